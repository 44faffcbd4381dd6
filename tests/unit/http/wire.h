/*
 * wire: a loop, a connection under test at one end of a socket, and the test at the other.
 *
 * Callbacks are noted as words in a log that the test compares. No test waits for time to pass: the
 * sockets are local, so a few rounds of the loop settle everything, and time-outs come by
 * loop_test_advance.
 */
#ifndef TESTS_HTTP_WIRE_H
#define TESTS_HTTP_WIRE_H

#include <stdbool.h>

#include "base/buf.h"
#include "http/h1_conn.h"
#include "http/stream.h"
#include "net/filter.h"
#include "sys/loop.h"

struct wire {
	struct loop *loop;
	int peer;        /* the test's end, non-blocking; -1 when closed */
	bool eof, reset; /* what wire_recv saw */
	struct buf got;  /* what wire_recv returned last */
	struct buf log;
	struct arena arena; /* for messages the test builds */
};

extern const struct h1_timeouts wire_timeouts; /* head 60 s, idle 600 s, keepalive 300 s */

void wire_init(struct wire *w);
void wire_fini(struct wire *w);

/* A new pair; the filter is for the connection. */
struct filter *wire_unix(struct wire *w);
struct filter *wire_tcp(struct wire *w);
void wire_close(struct wire *w);

void wire_spin(struct wire *w);
/* All of it must fit the socket; then spins. */
void wire_send(struct wire *w, const char *text);
void wire_send_str(struct wire *w, struct str s);
/* Writes filler until the socket takes no more; how much. */
size_t wire_flood(struct wire *w);
/* Writes n bytes of filler; somebody must be reading them. */
void wire_push(struct wire *w, size_t n);
/* Everything that is there, after spinning. */
const char *wire_recv(struct wire *w);
/* The same and spins until nothing more comes; how much. */
size_t wire_drain(struct wire *w);

void wire_note(struct wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Compares the whole log and empties it. */
#define wire_expect(w, want) wire_expect_at(w, want, __FILE__, __LINE__)
void wire_expect_at(struct wire *w, const char *want, const char *file, int line);

/* A handler that notes: arg is the wire. "head(200) body(text) end(k=v) drain fail(code) done" */
extern const struct stream_handler wire_notes;
const char *wire_code(const struct err *err); /* "-" for NULL, "bad", "io", … */

/* A message for stream_head; fields are "Name: value" pairs ending with NULL. */
struct msg wire_request(struct wire *w, const char *method, const char *path);
struct msg wire_response(struct wire *w, int status);
void wire_field(struct msg *m, const char *name, const char *value);

#endif
