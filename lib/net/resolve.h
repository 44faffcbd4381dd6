/*
 * resolve: name lookups off the loop.
 *
 * getaddrinfo runs in up to RESOLVE_THREADS threads that do nothing else; answers come back over an
 * eventfd. Positive answers are cached for RESOLVE_TTL_MS, failures for RESOLVE_NEG_TTL_MS, at most RESOLVE_CACHE_MAX
 * names; concurrent questions for one name share one lookup. Literal addresses and pinned names answer
 * without a thread, but also from the loop (never inside resolve_start).
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
	struct addr addrs[RESOLVE_ADDRS_MAX]; /* ports filled in; order of RFC 6724 as libc gives it */
	size_t count;
	bool pinned; /* an operator's --resolve: exempt from the SSRF guard */
};

/* Exactly once per query, unless cancelled. `err` is NULL on success. Result is valid during the call. */
typedef void resolve_fn(void *arg, const struct resolve_result *res, const struct err *err);

struct resolver *resolver_new(struct loop *l, struct err *err) __attribute__((warn_unused_result));
void resolver_free(struct resolver *r);

/* host (lower case, no trailing dot) and port as in curl --resolve; several pins of one name add up. */
void resolver_pin(struct resolver *r, struct str host, uint16_t port, const struct addr *a);

struct resolve_query *resolve_start(struct resolver *r, struct str host, uint16_t port, resolve_fn *fn, void *arg);
void resolve_cancel(struct resolve_query *q);

#endif
