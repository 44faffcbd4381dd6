#include "proxy/pool.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/h1_conn.h"
#include "http/h2_conn.h"

/* "kind host:port slot" */
#define SCOPE_MAX (8 + URL_HOST_MAX + 8 + ROUTE_TEXT_MAX)

struct host {             /* one scope; lives while there is something in it */
	struct list link; /* of pool->hosts, the one that was asked for last first */
	struct pool *pool;
	char *scope;
	struct authority to;
	enum upstream_kind kind;
	bool one_each; /* a connection carries one exchange at a time; known after the first one */
	struct list conns; /* those that are idle come first, the one used last before the others */
	struct list waits; /* oldest first */
	struct list dials;
	size_t n_waits, n_dials;
	struct loop_deferred work;
};

struct conn {
	struct list link; /* of host->conns */
	struct list idle; /* of pool->idle; in no list while it is busy */
	struct host *host;
	struct h1_conn *h1; /* one of the two */
	struct h2_conn *h2;
	enum upstream_speaks speaks;
	bool used; /* has carried an exchange */
	bool kept; /* has been idle after that */
	int64_t idle_since;
};

struct dial {
	struct list link; /* of host->dials */
	struct host *host;
	struct upstream_dial *up;
};

struct pool_wait {
	struct list link; /* of host->waits */
	struct host *host;
	bool once, fresh;
	const struct pool_handler *handler;
	void *arg;
};

struct pool {
	struct proxy *p;
	struct list hosts;
	struct list idle; /* connections, the longest idle one first */
	struct pool_stats stats;
};

static void host_wake(struct host *h);

/* --- connections ---------------------------------------------------------------------------- */

static void conn_busy(struct conn *c)
{
	if (list_empty(&c->idle))
		return;
	list_remove(&c->idle);
	c->host->pool->stats.idle--;
}

/* The connection itself is gone, or going. */
static void conn_free(struct conn *c)
{
	conn_busy(c);
	list_remove(&c->link);
	c->host->pool->stats.open--;
	host_wake(c->host);
	free(c);
}

static void conn_close(struct conn *c)
{
	if (c->h1)
		h1_conn_close(c->h1);
	else
		h2_conn_close(c->h2);
	conn_free(c);
}

static void conn_idle(struct conn *c)
{
	struct pool *pool = c->host->pool;

	c->idle_since = loop_now(pool->p->loop);
	list_remove(&c->link);
	list_add_first(&c->host->conns, &c->link);
	list_add_last(&pool->idle, &c->idle);
	if (++pool->stats.idle > POOL_IDLE_MAX)
		conn_close(list_first(&pool->idle, struct conn, idle));
}

static void on_conn_closed(void *arg, const struct err *err)
{
	(void)err; /* an exchange that was on it has been told */
	conn_free(arg);
}

static void on_conn_idle(void *arg)
{
	struct conn *c = arg;

	c->kept = true;
	host_wake(c->host);
	conn_idle(c);
}

static void conn_new(struct host *h, struct filter *f, enum upstream_speaks speaks)
{
	static const struct h1_client_handler h1 = { on_conn_closed, on_conn_idle };
	static const struct h2_client_handler h2 = { on_conn_closed, on_conn_idle };
	const struct proxy *p = h->pool->p;
	struct conn *c = mem_new(struct conn);

	c->host = h;
	c->speaks = speaks;
	list_init(&c->link);
	list_init(&c->idle);
	h->pool->stats.open++;
	if (speaks == SPEAKS_H2)
		c->h2 = h2_client_new(p->loop, f, &p->upstream_timeouts, &h2, c);
	else
		c->h1 = h1_client_new(p->loop, f, &p->upstream_timeouts, &h1, c);
	conn_idle(c);
}

static bool fits(const struct conn *c, const struct pool_wait *w)
{
	const int64_t idle = loop_now(c->host->pool->p->loop) - c->idle_since;

	if (w->fresh && c->kept)
		return false;
	if (c->h2)
		return h2_client_room(c->h2) > 0;
	return !(w->once && c->kept && idle > POOL_FRESH_MS);
}

static struct conn *conn_for(const struct pool_wait *w)
{
	list_each(at, &w->host->conns)
	{
		struct conn *c = list_entry(at, struct conn, link);

		if (c->h1 && list_empty(&c->idle))
			return NULL; /* so are the others behind it */
		if (fits(c, w))
			return c;
	}
	return NULL;
}

static struct stream *conn_start(struct conn *c)
{
	struct pool_stats *stats = &c->host->pool->stats;

	conn_busy(c);
	log_debug("%s:%u: request on a %s connection", c->host->to.host, c->host->to.port,
		  c->used ? "kept" : "new");
	if (c->used)
		stats->reused++;
	else
		stats->fresh++;
	c->used = true;
	if (c->h2)
		return h2_client_start(c->h2, NULL, NULL);
	list_remove(&c->link);
	list_add_last(&c->host->conns, &c->link);
	return h1_client_start(c->h1, NULL, NULL);
}

/* --- waiting -------------------------------------------------------------------------------- */

static void wait_remove(struct pool_wait *w)
{
	list_remove(&w->link);
	w->host->n_waits--;
}

static void wait_fail(struct pool_wait *w, const struct upstream_failure *failure)
{
	wait_remove(w);
	w->handler->on_failed(w->arg, failure);
	free(w);
}

/* Gives a stream to the first one for whom there is one. False: nobody. */
static bool serve_one(struct host *h)
{
	list_each(at, &h->waits)
	{
		struct pool_wait *w = list_entry(at, struct pool_wait, link);
		struct conn *c = conn_for(w);

		if (!c)
			continue;
		wait_remove(w);
		w->handler->on_stream(w->arg, conn_start(c), c->speaks);
		free(w);
		return true;
	}
	return false;
}

/* --- dialling ------------------------------------------------------------------------------- */

/* As long as one connection may do for all, one is dialled. */
static size_t dials_wanted(const struct host *h)
{
	return h->one_each || h->n_waits == 0 ? h->n_waits : 1;
}

static struct host *dial_over(struct dial *d)
{
	struct host *h = d->host;

	list_remove(&d->link);
	h->n_dials--;
	free(d);
	host_wake(h);
	return h;
}

static void on_dial_ready(void *arg, struct filter *f, enum upstream_speaks speaks)
{
	struct host *h = dial_over(arg);

	h->pool->stats.dialled++;
	h->one_each = speaks != SPEAKS_H2;
	conn_new(h, f, speaks);
}

/* Who could only have been served by this dial is told. */
static void on_dial_failed(void *arg, const struct upstream_failure *failure)
{
	struct host *h = dial_over(arg);
	struct list told;

	h->pool->stats.dials_failed++;
	if (failure->reason == REASON_OVERLOADED && !list_empty(&h->pool->idle)) {
		/* Its descriptor is worth more to the one that waits, for whom is dialled anew. */
		conn_close(list_first(&h->pool->idle, struct conn, idle));
		return;
	}
	list_init(&told);
	if (h->n_dials >= dials_wanted(h))
		return;
	if (h->one_each) {
		wait_fail(list_first(&h->waits, struct pool_wait, link), failure);
		return;
	}
	list_take(&told, &h->waits);
	while (!list_empty(&told))
		wait_fail(list_first(&told, struct pool_wait, link), failure);
}

static void dial_new(struct host *h)
{
	static const struct upstream_handler handler = { on_dial_ready, on_dial_failed };
	struct dial *d = mem_new(struct dial);

	d->host = h;
	list_add_last(&h->dials, &d->link);
	h->n_dials++;
	d->up = upstream_dial(h->pool->p, &h->to, h->kind, h->scope, &handler, d);
}

static void dial_drop(struct dial *d)
{
	upstream_cancel(d->up);
	(void)dial_over(d);
}

/* --- hosts ---------------------------------------------------------------------------------- */

static void host_free(struct host *h)
{
	list_remove(&h->link);
	loop_undefer(&h->work);
	free(h->scope);
	free(h);
}

static void host_work(void *arg)
{
	struct host *h = arg;

	while (serve_one(h))
		;
	while (h->n_dials < dials_wanted(h))
		dial_new(h);
	/* An agent that gave up, or was served meanwhile, has no business there any more. */
	while (h->n_dials > dials_wanted(h))
		dial_drop(list_last(&h->dials, struct dial, link));
	if (list_empty(&h->conns) && h->n_waits == 0 && h->n_dials == 0)
		host_free(h);
}

/* Something has changed: looked at later in the round, when nobody is in the middle of it. */
static void host_wake(struct host *h)
{
	loop_defer(h->pool->p->loop, &h->work, host_work, h);
}

static struct host *host_get(struct pool *pool, const struct pool_want *want)
{
	char scope[SCOPE_MAX], to[URL_HOST_MAX + 16];
	struct host *h;

	authority_text(&want->to, 0, to);
	snprintf(scope, sizeof(scope), "%d %s %s", (int)want->kind, to,
		 want->slot ? want->slot : "");
	list_each(at, &pool->hosts)
	{
		h = list_entry(at, struct host, link);
		if (strcmp(h->scope, scope) != 0)
			continue;
		list_remove(&h->link);
		list_add_first(&pool->hosts, &h->link);
		return h;
	}
	h = mem_new(struct host);
	h->pool = pool;
	h->scope = mem_strdup(scope);
	h->to = want->to;
	h->kind = want->kind;
	h->one_each = want->kind != UPSTREAM_TLS;
	list_init(&h->conns);
	list_init(&h->waits);
	list_init(&h->dials);
	list_add_first(&pool->hosts, &h->link);
	return h;
}

/* --- pool.h --------------------------------------------------------------------------------- */

struct pool_wait *pool_get(struct pool *pool, const struct pool_want *want,
			   const struct pool_handler *handler, void *arg)
{
	struct pool_wait *w = mem_new(struct pool_wait);

	w->host = host_get(pool, want);
	w->once = want->once;
	w->fresh = want->fresh;
	w->handler = handler;
	w->arg = arg;
	list_add_last(&w->host->waits, &w->link);
	w->host->n_waits++;
	host_wake(w->host);
	return w;
}

void pool_cancel(struct pool_wait *w)
{
	if (!w)
		return;
	wait_remove(w);
	host_wake(w->host);
	free(w);
}

void pool_stats(const struct pool *pool, struct pool_stats *ret)
{
	*ret = pool->stats;
}

struct pool *pool_new(struct proxy *p)
{
	struct pool *pool = mem_new(struct pool);

	pool->p = p;
	list_init(&pool->hosts);
	list_init(&pool->idle);
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	while (!list_empty(&pool->hosts)) {
		struct host *h = list_first(&pool->hosts, struct host, link);

		while (!list_empty(&h->dials))
			dial_drop(list_first(&h->dials, struct dial, link));
		while (!list_empty(&h->conns))
			conn_close(list_first(&h->conns, struct conn, link));
		host_free(h);
	}
	free(pool);
}
