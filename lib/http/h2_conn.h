/*
 * h2_conn: an HTTP/2 connection over a filter stack, as server or as client (RFC 9113).
 *
 * Many streams at once, each a `struct stream` as in stream.h, each with its own end: a stream that
 * is refused, reset or malformed does not touch its neighbours. Owns the filter stack from creation
 * (its handshake must be complete) until closed. A malformed request is answered if there is
 * somebody who answers, and its stream reset with PROTOCOL_ERROR (RFC 9113 8.1.1).
 *
 * Back-pressure: a paused stream gives its peer no more window; what has come before is kept, at
 * most H2_SERVER_WINDOW or H2_CLIENT_WINDOW of it. Time-outs: the first request's head must be
 * complete the head time after creation, each head that long after it began; a stream on which
 * nothing moves for the idle time is dead; a connection without streams is closed after the
 * keep-alive time.
 *
 * Abuse (resets, malformed heads, PING, SETTINGS and empty DATA in numbers, heads that unpack to
 * megabytes, a peer who makes us answer and does not read) ends the connection with
 * ENHANCE_YOUR_CALM; see H2_PATIENCE. Server push is off; so are priorities (RFC 9113 5.3.2).
 */
#ifndef BOTTLE_HTTP_H2_CONN_H
#define BOTTLE_HTTP_H2_CONN_H

#include <stdbool.h>

#include "base/err.h"
#include "http/h1_conn.h"
#include "http/msg.h"
#include "http/stream.h"
#include "net/filter.h"
#include "sys/loop.h"

struct h2_conn;

struct h2_server_handler {
	/* As in h1_server_handler, but for one of many streams. */
	void (*on_request)(void *arg, struct stream *s, struct msg *m);
	/*
	 * The head was refused (E_BAD, E_LIMIT). The handler may answer on `s`, before it returns;
	 * without an answer the stream is reset. Either way it ends here.
	 */
	void (*on_bad_request)(void *arg, struct stream *s, const struct err *err);
	/* The connection is gone and each of its streams had its end; the pointer is dead after
	 * this. `err` NULL: in order. */
	void (*on_closed)(void *arg, const struct err *err);
};

/* Never NULL; no callback before it returns. */
struct h2_conn *h2_server_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h2_server_handler *h, void *arg);

struct h2_client_handler {
	void (*on_closed)(void *arg, const struct err *err); /* as above */
	/* The last open stream is over and the connection can carry others (else on_closed comes). */
	void (*on_idle)(void *arg);
};
struct h2_conn *h2_client_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h2_client_handler *h, void *arg);

/* How many more streams may be started now; 0 when the server is leaving. */
unsigned h2_client_room(const struct h2_conn *c);
/*
 * One more exchange; there must be room. A stream that fails with E_CANCELLED was not looked at by
 * the server (REFUSED_STREAM, or beyond its GOAWAY): it may be tried again elsewhere. E_STALE: as
 * in h1_client_start.
 */
struct stream *h2_client_start(struct h2_conn *c, const struct stream_handler *h, void *arg);

/* No further requests (GOAWAY); closes when the last stream is over. */
void h2_conn_drain(struct h2_conn *c);
/* At once, no callback, neither of the streams; the peer gets a GOAWAY if it fits the socket. */
void h2_conn_close(struct h2_conn *c);

#endif
