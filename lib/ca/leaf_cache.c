#include "ca/leaf_cache.h"

#include <time.h>

#include "base/mem.h"

#define RENEW_BEFORE (24 * 3600) /* seconds before its end in which a leaf is replaced */

struct entry {
	char *host;
	struct tls_identity *identity;
	int64_t renew_at;
	struct entry *chain;         /* next in its bucket */
	struct entry *newer, *older; /* order of use */
};

struct leaf_cache {
	struct ca *ca;
	size_t max;
	struct entry **buckets; /* as many as entries at most, to a power of two */
	size_t mask;
	struct entry *newest, *oldest;
	struct leaf_cache_stats stats;
};

struct leaf_cache *leaf_cache_new(struct ca *ca, size_t max)
{
	struct leaf_cache *c = mem_new(struct leaf_cache);
	size_t buckets = 1;

	c->ca = ca;
	c->max = max ? max : 1;
	c->stats.max = c->max;
	while (buckets < c->max)
		buckets *= 2;
	c->buckets = mem_array(buckets, sizeof(struct entry *));
	c->mask = buckets - 1;
	return c;
}

/* FNV-1a. Names come from the agent, who can fill one bucket on purpose: it holds at most max. */
static size_t hash(struct str host)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < host.n; i++)
		h = (h ^ (unsigned char)host.p[i]) * 0x100000001b3;
	return (size_t)(h ^ (h >> 32));
}

static struct entry **find(struct leaf_cache *c, struct str host)
{
	struct entry **at = &c->buckets[hash(host) & c->mask];

	while (*at && !str_eqz(host, (*at)->host))
		at = &(*at)->chain;
	return at;
}

static void unlink_use(struct leaf_cache *c, struct entry *e)
{
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(struct leaf_cache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void drop(struct leaf_cache *c, struct entry *e)
{
	struct entry **at = find(c, str_of(e->host));

	*at = e->chain;
	unlink_use(c, e);
	tls_identity_unref(e->identity);
	free(e->host);
	free(e);
	c->stats.entries--;
}

void leaf_cache_free(struct leaf_cache *c)
{
	if (!c)
		return;
	while (c->newest)
		drop(c, c->newest);
	free(c->buckets);
	free(c);
}

static struct tls_identity *mint(struct leaf_cache *c, struct str host, int64_t now,
				 int64_t *ret_renew_at, struct err *err)
{
	auto_leaf leaf = { .cert_der = NULL };

	if (ca_leaf_mint(c->ca, host, &leaf, err) < 0)
		return NULL;
	*ret_renew_at = leaf.not_after - RENEW_BEFORE;
	/* Cut short by the end of its CA: a new one would not last longer. */
	if (*ret_renew_at <= now)
		*ret_renew_at = leaf.not_after;
	return tls_identity_new(str_mem(leaf.cert_der, leaf.cert_len), STR_NONE,
				str_mem(leaf.key_der, leaf.key_len), err);
}

struct tls_identity *leaf_cache_get(struct leaf_cache *c, struct str host, struct err *err)
{
	int64_t now = (int64_t)time(NULL), renew_at;
	struct entry *e = *find(c, host);
	struct tls_identity *identity;

	if (e && now < e->renew_at) {
		c->stats.hits++;
		unlink_use(c, e);
		link_newest(c, e);
		return tls_identity_ref(e->identity);
	}
	identity = mint(c, host, now, &renew_at, err);
	if (!identity)
		return NULL;
	c->stats.mints++;
	if (e)
		drop(c, e);
	else if (c->stats.entries >= c->max)
		drop(c, c->oldest);
	e = mem_new(struct entry);
	e->host = str_dupz(host);
	e->identity = identity;
	e->renew_at = renew_at;
	*find(c, host) = e;
	link_newest(c, e);
	c->stats.entries++;
	return tls_identity_ref(identity);
}

struct leaf_cache_stats leaf_cache_stats(const struct leaf_cache *c)
{
	return c->stats;
}

void leaf_cache_each(const struct leaf_cache *c, leaf_cache_fn *fn, void *arg)
{
	for (const struct entry *e = c->newest; e; e = e->older)
		fn(arg, e->host, e->renew_at);
}
