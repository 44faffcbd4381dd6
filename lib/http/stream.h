/*
 * stream: one side of one exchange (a request and its responses), whatever protocol carries it.
 *
 * The proxy joins two streams. An h1 connection offers one at a time, an h2 connection many; both
 * behave the same here. Callbacks come from the loop, never from inside a call on the same stream.
 * After on_fail or stream_abort nothing more is called and the pointer is dead after the loop's
 * round. After a complete message in both directions the stream is over by itself (on_done) and the
 * pointer is dead.
 *
 * Early answers. Server side: once stream_end was called, what is left of the request is read past
 * or not at all, without on_body; on_done comes even if on_end never did. Client side: when the
 * response is complete (on_end) and the server reads no more, what is still sent is dropped;
 * on_done comes after stream_end as usual, or the caller aborts.
 *
 * Switching protocols. A request with m->upgrade may be answered with 101 (an extended CONNECT of
 * HTTP/2 too, which then says 200). From there on both bodies are raw bytes; each direction ends by
 * itself, and the stream is over when both have. Until then the server side gives neither body nor
 * end of the request, and the client side takes none; what the client sent early is given after the
 * 101. With any other answer the request had no body; early bytes are dropped.
 */
#ifndef BOTTLE_HTTP_STREAM_H
#define BOTTLE_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

struct stream;

/* A NULL function is passed over. */
struct stream_handler {
	/* Server side: the request was announced by the connection's on_request, so this is client
	 * side only: interim (1xx, several) and final response heads. `m` is valid until
	 * on_done/on_fail, an interim one during the call; the handler may edit it. When no body
	 * follows on_end is still called, except after a 2xx to CONNECT: then the connection is to
	 * be taken. */
	void (*on_head)(void *arg, struct msg *m);
	void (*on_body)(void *arg, struct str piece); /* valid during the call */
	void (*on_end)(void *arg,
		       const struct fields
			       *trailers); /* NULL when none; the incoming message is complete */
	/*
	 * Server side: the request's body breaks the grammar (E_BAD); no more of it will come.
	 * While no head was sent it may be answered, now, and the connection closes after that;
	 * else, or when this is NULL, the exchange fails.
	 */
	void (*on_bad)(void *arg, const struct err *err);
	/* The queue of outgoing bytes, which was full, has drained (budget_queue_low). */
	void (*on_drain)(void *arg);
	/* Dead: peer gone, protocol error (E_BAD), time-out (E_TIMEOUT), connection trouble. */
	void (*on_fail)(void *arg, const struct err *err);
	/* Both messages complete and all bytes written. */
	void (*on_done)(void *arg);
};

struct stream_ops {
	int (*head)(struct stream *s, const struct msg *m, struct err *err);
	int (*body)(struct stream *s, struct str piece, struct err *err);
	int (*end)(struct stream *s, const struct fields *trailers, struct err *err);
	size_t (*queued)(const struct stream *s);
	bool (*full)(const struct stream *s);
	void (*pause)(struct stream *s, bool paused);
	void (*abort)(struct stream *s);
	void (*close_after)(struct stream *s);
};

struct stream {
	const struct stream_ops *ops;
	const struct stream_handler *handler;
	void *arg;
};

static inline void stream_handle(struct stream *s, const struct stream_handler *h, void *arg)
{
	s->handler = h;
	s->arg = arg;
}
/*
 * Sends a head: a request on the client side; interim or final response on the server side. The
 * stream sees to what its protocol and its peer need: the Connection field, chunks or none for
 * HTTP/1.0, no body for HEAD, 204 and 304, no interim response for HTTP/1.0. E_BAD: it cannot be
 * written, nothing was sent.
 */
static inline int stream_head(struct stream *s, const struct msg *m, struct err *err)
{
	return s->ops->head(s, m, err);
}
/* Writes, or copies into the output queue. E_LIMIT when the peer does not take what PROXY_OUT_MAX
 * holds (callers pause the source when the stream is full, so that is a bug or an attack). */
static inline int stream_body(struct stream *s, struct str piece, struct err *err)
{
	return s->ops->body(s, piece, err);
}
/* The outgoing message is complete. E_BAD when fewer bytes went than its length announced. */
static inline int stream_end(struct stream *s, const struct fields *trailers, struct err *err)
{
	return s->ops->end(s, trailers, err);
}
static inline size_t stream_queued(const struct stream *s)
{
	return s->ops->queued(s);
}
/* The queue has passed its mark (budget_queue_high): pause the source; on_drain will come. */
static inline bool stream_full(const struct stream *s)
{
	return s->ops->full(s);
}
/* Paused: no on_body until resumed (on_end comes when no body bytes precede it); the peer feels it
 * as back-pressure. */
static inline void stream_pause(struct stream *s, bool paused)
{
	s->ops->pause(s, paused);
}
/*
 * Resets: h1 closes the connection (without an orderly end, so that a cut body cannot pass for a
 * whole one; its on_closed comes later in the round, from the loop), h2 sends RST_STREAM. No
 * callback of the stream follows.
 */
static inline void stream_abort(struct stream *s)
{
	s->ops->abort(s);
}
/* The connection takes no further exchange after this one (h1: Connection: close; h2: nothing).
 * Before stream_head. */
static inline void stream_close_after(struct stream *s)
{
	s->ops->close_after(s);
}

#endif
