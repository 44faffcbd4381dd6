/*
 * pool: connections to upstreams, kept after their exchange and shared by those of the same scope.
 *
 * A scope is a host, its port, the way of speaking to it, and the credential slot that requests
 * carry ("": none): nothing that a server may have tied to a connection passes from one credential
 * to another, and connections of one host are never used for another one (no coalescing).
 *
 *	HTTP/1.1  one exchange at a time; a request takes the connection that was used last, or has
 *	          one dialled
 *	HTTP/2    many at a time; requests to a host that is not known yet wait for one dial, for it
 *	          may turn out to be enough for all
 *
 * Kept connections are POOL_IDLE_MAX at most and idle for POOL_IDLE_MS at most. A request that may
 * not be sent twice takes no HTTP/1.1 connection that was idle for more than POOL_FRESH_MS: the
 * server may be closing it at this moment, and then nobody could tell whether it was acted on.
 */
#ifndef BOTTLE_PROXY_POOL_H
#define BOTTLE_PROXY_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "http/stream.h"
#include "http/url.h"
#include "proxy/upstream.h"

struct pool;
struct pool_wait; /* a request that waits for its stream */

struct pool_want {
	struct authority to;
	enum upstream_kind kind; /* UPSTREAM_RAW: HTTP/1.1 in it */
	const char *slot;        /* the credential's, or NULL; copied */
	bool once;               /* may not be sent twice; see above */
	bool fresh;              /* on no kept connection: one of them has failed */
};

/* Exactly one of the two is called, from the loop, unless the wait is cancelled; the wait is gone
 * then. */
struct pool_handler {
	/*
	 * A stream to send one request on; stream_handle comes first. The connection is kept when
	 * the exchange is over in order, and not after stream_close_after or stream_abort.
	 */
	void (*on_stream)(void *arg, struct stream *s, enum upstream_speaks speaks);
	void (*on_failed)(void *arg,
			  const struct upstream_failure *failure); /* valid during the call */
};

struct pool *pool_new(struct proxy *p);
/* Closes all connections; no exchange may be under way or waiting. NULL is fine. */
void pool_free(struct pool *pool);

struct pool_wait *pool_get(struct pool *pool, const struct pool_want *want,
			   const struct pool_handler *h, void *arg);
/* A dial that nobody waits for any more is given up. NULL is fine. */
void pool_cancel(struct pool_wait *w);

struct pool_stats {
	uint64_t dialled, dials_failed; /* connections made, and not */
	uint64_t fresh, reused;         /* streams: on a connection that was new, that was kept */
	uint64_t open, idle;            /* connections, now */
};
void pool_stats(const struct pool *pool, struct pool_stats *ret);

#endif
