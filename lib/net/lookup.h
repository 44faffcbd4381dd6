/*
 * lookup: getaddrinfo in threads, for resolve.c only.
 *
 * The threads (up to RESOLVE_THREADS, started when needed, all signals blocked) see struct lookup
 * and nothing else of the program.
 */
#ifndef BOTTLE_NET_LOOKUP_H
#define BOTTLE_NET_LOOKUP_H

#include "base/limits.h"
#include "net/resolve.h"

struct lookup_pool;

struct lookup {
	struct lookup *next;
	void *arg; /* the caller's; threads do not look at it */
	char name[RESOLVE_NAME_MAX + 1];
	int gai; /* getaddrinfo's result; with EAI_SYSTEM sys_errno counts */
	int sys_errno;
	size_t count;
	struct addr addrs[RESOLVE_ADDRS_MAX]; /* ports 0 */
};

struct lookup_pool *lookup_pool_new(struct err *err) __attribute__((warn_unused_result));
/* Readable when lookup_take has something to give. */
int lookup_pool_fd(const struct lookup_pool *p);
/* Nobody waits for lookups under way: their threads end, and the pool goes, when they are done. */
void lookup_pool_leave(struct lookup_pool *p);

/* name: at most RESOLVE_NAME_MAX bytes. */
void lookup_submit(struct lookup_pool *p, const char *name, void *arg);
/* All that are done, as a list for lookup_free; NULL when none is. */
struct lookup *lookup_take(struct lookup_pool *p) __attribute__((warn_unused_result));
void lookup_free(struct lookup *list);

#endif
