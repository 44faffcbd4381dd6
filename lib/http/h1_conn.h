/*
 * h1_conn: an HTTP/1.1 connection over a filter stack, as server or as client.
 *
 * Owns the stack from creation (the stack's handshake must be complete) until closed or taken.
 * Time-outs: a request head must be complete the head time after its first byte (or after creation
 * for the first one); an exchange in which neither direction moves for the idle time is dead; a
 * connection between exchanges is closed quietly after the keep-alive time. A server's closing
 * waits for the client to have read the last bytes (RFC 9112 9.6), HTTP_LINGER_MS at most, or
 * HTTP_LINGER_MAX_MS while it goes on sending.
 */
#ifndef BOTTLE_HTTP_H1_CONN_H
#define BOTTLE_HTTP_H1_CONN_H

#include <stdbool.h>

#include "base/err.h"
#include "http/msg.h"
#include "http/stream.h"
#include "net/filter.h"
#include "sys/loop.h"

struct h1_conn;

struct h1_timeouts { /* milliseconds; 0: none */
	int head, idle, keepalive;
};

struct h1_server_handler {
	/*
	 * A request head. The handler calls stream_handle(s, …) before returning and answers with
	 * stream_head/_body/_end, now or later. For a request without a body on_end still comes
	 * (after this returns). The next request is read when this exchange is over. `m` is valid
	 * until the stream is over; the handler may edit it.
	 */
	void (*on_request)(void *arg, struct stream *s, struct msg *m);
	/*
	 * The head was refused (E_BAD, E_LIMIT, E_EXHAUSTED) or not complete in time (E_TIMEOUT,
	 * only when some bytes had come). The handler may answer on `s` (one response,
	 * stream_close_after is implied); returning without stream_head closes the connection.
	 */
	void (*on_bad_request)(void *arg, struct stream *s, const struct err *err);
	/* The connection is gone; the pointer is dead after this. `err` NULL: closed in order
	 * between exchanges; E_CANCELLED: by stream_abort. */
	void (*on_closed)(void *arg, const struct err *err);
};

/* Never NULL; no callback before it returns. Bytes that were read from the stack already are put
 * back with filter_unread. */
struct h1_conn *h1_server_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h1_server_handler *h, void *arg);

/*
 * Takes the stack out (after a CONNECT was answered with 200): no more callbacks, the connection
 * frees itself after the round. Response bytes already queued are written first by the
 * filter that is returned (it carries both the unread input and the unwritten output). Called from
 * on_request or later while that exchange is open; by a client from on_head or later. The descriptor
 * is not watched any more. Messages of the connection are valid until the end of the round.
 */
struct filter *h1_conn_take(struct h1_conn *c);
/* The connection of a stream of ours. */
struct h1_conn *h1_conn_of(struct stream *s);

/* No further requests: idle connections close now, busy ones after their exchange. */
void h1_conn_drain(struct h1_conn *c);
void h1_conn_close(struct h1_conn *c); /* at once, no callback */

struct h1_client_handler {
	/* Closed, or broken while idle; the pointer is dead after this. An exchange in flight got
	 * on_fail first. */
	void (*on_closed)(void *arg, const struct err *err);
	/* The exchange is over and the connection can carry another one (else on_closed comes). */
	void (*on_idle)(void *arg);
};
struct h1_conn *h1_client_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h1_client_handler *h, void *arg);
/*
 * One exchange; the connection must be idle. The response to it arrives at `h`. When it fails with
 * E_STALE the connection had carried others before, and ended before anything of an answer came:
 * what may be done twice can be tried once more elsewhere (RFC 9112 9.3.1).
 */
struct stream *h1_client_start(struct h1_conn *c, const struct stream_handler *h, void *arg);
/* How many exchanges it has carried, with the open one (a failure on the second one may be a stale
 * connection). */
unsigned h1_client_used(const struct h1_conn *c);

#endif
