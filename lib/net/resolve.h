/*
 * resolve: name lookups off the loop.
 *
 * getaddrinfo runs in up to RESOLVE_THREADS threads that do nothing else (started when first
 * needed, all signals blocked); answers come back over an eventfd. Positive answers are cached for
 * RESOLVE_TTL_MS, failures for RESOLVE_NEG_TTL_MS, at most RESOLVE_CACHE_MAX names, the ones being
 * looked up included; concurrent questions for one name share one lookup. Literal addresses and
 * pinned names answer without a thread, but also from the loop (never inside resolve_start).
 *
 * What the C library would take for an address without being a strict literal (127.1, 0x7f000001)
 * is refused, and so is what cannot be a host name.
 */
#ifndef BOTTLE_NET_RESOLVE_H
#define BOTTLE_NET_RESOLVE_H

#include "base/err.h"
#include "base/str.h"
#include "net/addr.h"
#include "sys/loop.h"

struct resolver;
struct resolve_query; /* one waiting question */

#define RESOLVE_ADDRS_MAX 16

struct resolve_result {
	struct addr
		addrs[RESOLVE_ADDRS_MAX]; /* ports filled in; order of RFC 6724 as libc gives it */
	size_t count;
	bool pinned; /* an operator's --resolve: exempt from the SSRF guard */
};

/*
 * Exactly once per query, unless cancelled; the query is gone then. `err` is NULL on success:
 * E_NOTFOUND no such name, E_TIMEOUT no answer, E_BAD no host name, E_LIMIT too many lookups at
 * once. Result is valid during the call. May start and cancel other queries.
 */
typedef void resolve_fn(void *arg, const struct resolve_result *res, const struct err *err);

struct resolver *resolver_new(struct loop *l, struct err *err) __attribute__((warn_unused_result));
/* Forgets all queries without calling them back. Lookups under way end by themselves, later. Not
 * from a callback of this resolver. NULL is fine. */
void resolver_free(struct resolver *r);

/* host and port as in curl --resolve; several pins of one name add up (to RESOLVE_ADDRS_MAX). */
void resolver_pin(struct resolver *r, struct str host, uint16_t port, const struct addr *a);

/* host: case and one final dot do not matter. */
struct resolve_query *resolve_start(struct resolver *r, struct str host, uint16_t port,
				    resolve_fn *fn, void *arg);
void resolve_cancel(struct resolve_query *q);

#endif
