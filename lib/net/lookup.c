#include "net/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

/*
 * Shared by the resolver and its threads, freed by whoever leaves last: a lookup can take half a
 * minute, and nobody waits for it.
 */
struct lookup_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct lookup *queue, **queue_end; /* first in, first out */
	struct lookup *results;
	unsigned queued, idle, threads;
	unsigned refs;
	bool stopping;
	int eventfd;
};

void lookup_free(struct lookup *list)
{
	while (list) {
		struct lookup *next = list->next;

		free(list);
		list = next;
	}
}

/* Called with the lock held, gives it back. */
static void pool_unref(struct lookup_pool *p)
{
	bool last = --p->refs == 0;

	(void)pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	lookup_free(p->queue);
	lookup_free(p->results);
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_mutex_destroy(&p->lock);
	(void)close(p->eventfd);
	free(p);
}

static void run(struct lookup *lk)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;

	lk->gai = getaddrinfo(lk->name, NULL, &hints, &list);
	lk->sys_errno = errno;
	if (lk->gai != 0)
		return;
	for (const struct addrinfo *ai = list; ai && lk->count < RESOLVE_ADDRS_MAX;
	     ai = ai->ai_next) {
		struct addr *a = &lk->addrs[lk->count];

		if (ai->ai_addrlen > sizeof(a->in6))
			continue;
		if (ai->ai_family == AF_INET || ai->ai_family == AF_INET6) {
			memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
			a->len = ai->ai_addrlen;
			lk->count++;
		}
	}
	freeaddrinfo(list);
	if (lk->count == 0)
		lk->gai = EAI_NONAME;
}

static void done(struct lookup_pool *p, struct lookup *lk)
{
	const uint64_t one = 1;
	ssize_t n;

	lk->next = p->results;
	p->results = lk;
	/* Cannot fail: the counter would have to pass 2^64. */
	n = write(p->eventfd, &one, sizeof(one));
	(void)n;
}

static void *worker(void *arg)
{
	struct lookup_pool *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct lookup *lk = p->queue;

		if (!lk) {
			p->idle++;
			(void)pthread_cond_wait(&p->work, &p->lock);
			p->idle--;
			continue;
		}
		p->queue = lk->next;
		if (!p->queue)
			p->queue_end = &p->queue;
		p->queued--;
		(void)pthread_mutex_unlock(&p->lock);
		run(lk);
		(void)pthread_mutex_lock(&p->lock);
		done(p, lk);
	}
	pool_unref(p);
	return NULL;
}

/* Signals are the loop's: a thread must not take one from it. */
static int start_thread(struct lookup_pool *p)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t id;
	int rc;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, RESOLVE_STACK);
	rc = pthread_create(&id, &attr, worker, p);
	(void)pthread_attr_destroy(&attr);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		p->threads++;
		p->refs++;
	}
	return rc;
}

void lookup_submit(struct lookup_pool *p, const char *name, void *arg)
{
	struct lookup *lk = mem_new(struct lookup);

	lk->arg = arg;
	memcpy(lk->name, name, strlen(name) + 1);
	(void)pthread_mutex_lock(&p->lock);
	if (p->idle <= p->queued && p->threads < RESOLVE_THREADS && start_thread(p) != 0 &&
	    p->threads == 0) {
		lk->gai = EAI_MEMORY;
		done(p, lk);
	} else {
		lk->next = NULL;
		*p->queue_end = lk;
		p->queue_end = &lk->next;
		p->queued++;
		(void)pthread_cond_signal(&p->work);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

struct lookup_pool *lookup_pool_new(struct err *err)
{
	struct lookup_pool *p = mem_new(struct lookup_pool);

	p->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->eventfd < 0) {
		(void)err_sys(err, "eventfd");
		free(p);
		return NULL;
	}
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	p->queue_end = &p->queue;
	p->refs = 1;
	return p;
}

int lookup_pool_fd(const struct lookup_pool *p)
{
	return p->eventfd;
}

void lookup_pool_leave(struct lookup_pool *p)
{
	if (!p)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_broadcast(&p->work);
	pool_unref(p);
}

struct lookup *lookup_take(struct lookup_pool *p)
{
	struct lookup *list;
	uint64_t count;
	ssize_t n = read(p->eventfd, &count, sizeof(count));

	(void)n; /* only to make it unreadable */
	(void)pthread_mutex_lock(&p->lock);
	list = steal(&p->results);
	(void)pthread_mutex_unlock(&p->lock);
	return list;
}
