/*
 * leaf_cache: minted identities by name, least recently used out first.
 */
#ifndef BOTTLE_CA_LEAF_CACHE_H
#define BOTTLE_CA_LEAF_CACHE_H

#include "base/err.h"
#include "ca/ca.h"
#include "net/tls.h"

struct leaf_cache;

/* `ca` stays the caller's and must outlive the cache. */
struct leaf_cache *leaf_cache_new(struct ca *ca, size_t max);
void leaf_cache_free(struct leaf_cache *c);
/* A new reference to the identity for this host (DNS name or IP literal), minted when missing or
 * within a day of its end. */
struct tls_identity *leaf_cache_get(struct leaf_cache *c, struct str host, struct err *err)
	__attribute__((warn_unused_result));
struct leaf_cache_stats {
	uint64_t entries, max; /* now, and at most */
	uint64_t hits, mints;  /* ever */
};
struct leaf_cache_stats leaf_cache_stats(const struct leaf_cache *c);
/* Each entry, the one used last first; renew_at is time(2)'s. The cache must not change meanwhile. */
typedef void leaf_cache_fn(void *arg, const char *host, int64_t renew_at);
void leaf_cache_each(const struct leaf_cache *c, leaf_cache_fn *fn, void *arg);

#endif
