#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/lookup.h"

#define BUCKETS 256

/* One name: being looked up, or known until it expires. Not freed while looking or refs > 0. */
struct entry {
	struct entry *next;          /* in its bucket */
	struct entry *older, *newer; /* by last use */
	char *name;
	bool looking;
	size_t refs; /* queries that wait for it or have not been told yet */
	struct resolve_query *waiting;
	int64_t expires_ms;
	int gai, sys_errno;
	size_t count;
	struct addr *addrs;
};

enum kind { FROM_ENTRY, FROM_PIN, FROM_LITERAL, BAD_NAME, BAD_SPELLING, TOO_MANY };

struct resolve_query {
	struct resolver *r;
	struct resolve_query *next, **link; /* waiting (entry), ready or telling (resolver) */
	enum kind kind;
	char *host; /* lower case, no final dot; as given when it is no name */
	uint16_t port;
	struct entry *entry; /* FROM_ENTRY */
	struct addr literal; /* FROM_LITERAL */
	resolve_fn *fn;
	void *arg;
};

struct pin {
	struct pin *next;
	char *host;
	struct addr addr;
};

struct resolver {
	struct loop *loop;
	struct lookup_pool *pool;
	struct loop_watch watch;
	struct loop_deferred tell;
	struct resolve_query *ready, **ready_end;
	struct resolve_query *telling;
	struct pin *pins, **pins_end;
	struct entry *buckets[BUCKETS];
	struct entry *oldest, *newest;
	size_t count;
};

static struct entry **bucket(struct resolver *r, const char *name)
{
	uint32_t h =
		2166136261u; /* FNV-1a; the table is bounded, so a chosen collision costs little */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return &r->buckets[h % BUCKETS];
}

static void lru_remove(struct resolver *r, struct entry *e)
{
	*(e->older ? &e->older->newer : &r->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &r->newest) = e->older;
}

static void lru_append(struct resolver *r, struct entry *e)
{
	e->older = r->newest;
	e->newer = NULL;
	*(r->newest ? &r->newest->newer : &r->oldest) = e;
	r->newest = e;
}

static void entry_free(struct resolver *r, struct entry *e)
{
	struct entry **at = bucket(r, e->name);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	lru_remove(r, e);
	r->count--;
	free(e->name);
	free(e->addrs);
	free(e);
}

/* Makes room for one more; false when every name is in use. */
static bool evict(struct resolver *r)
{
	if (r->count < RESOLVE_CACHE_MAX)
		return true;
	for (struct entry *e = r->oldest; e; e = e->newer) {
		if (!e->looking && e->refs == 0) {
			entry_free(r, e);
			return true;
		}
	}
	return false;
}

static struct entry *entry_find(struct resolver *r, const char *name)
{
	for (struct entry *e = *bucket(r, name); e; e = e->next) {
		if (strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

static struct entry *entry_new(struct resolver *r, const char *name)
{
	struct entry *e = mem_new(struct entry), **at = bucket(r, name);

	e->name = mem_strdup(name);
	e->next = *at;
	*at = e;
	lru_append(r, e);
	r->count++;
	return e;
}

static void look(struct resolver *r, struct entry *e)
{
	e->looking = true;
	lookup_submit(r->pool, e->name, e);
}

/* The entry for a name, fresh or being looked up; NULL when there are too many. */
static struct entry *entry_get(struct resolver *r, const char *name)
{
	struct entry *e = entry_find(r, name);

	if (!e) {
		if (!evict(r))
			return NULL;
		e = entry_new(r, name);
		look(r, e);
		return e;
	}
	lru_remove(r, e);
	lru_append(r, e);
	if (!e->looking && e->refs == 0 && loop_now(r->loop) >= e->expires_ms)
		look(r, e);
	return e;
}

/* --- queries ------------------------------------------------------------------------------------ */

static void query_unlink(struct resolve_query *q)
{
	*q->link = q->next;
	if (q->next)
		q->next->link = q->link;
	else if (q->r->ready_end == &q->next)
		q->r->ready_end = q->link;
}

static void query_free(struct resolve_query *q)
{
	query_unlink(q);
	if (q->entry)
		q->entry->refs--;
	free(q->host);
	free(q);
}

static void answer_pinned(const struct resolve_query *q, struct resolve_result *res)
{
	res->pinned = true;
	for (const struct pin *p = q->r->pins; p && res->count < RESOLVE_ADDRS_MAX; p = p->next) {
		if (addr_port(&p->addr) == q->port && strcmp(p->host, q->host) == 0)
			res->addrs[res->count++] = p->addr;
	}
}

static int answer_entry(const struct resolve_query *q, struct resolve_result *res, struct err *err)
{
	const struct entry *e = q->entry;

	switch (e->gai) {
	case 0:
		break;
	case EAI_NONAME:
	case EAI_NODATA:
		return err_set(err, E_NOTFOUND, "%s: no such host", q->host);
	case EAI_AGAIN:
		return err_set(err, E_TIMEOUT, "%s: the name server does not answer", q->host);
	case EAI_FAIL:
		return err_set(err, E_IO, "%s: the name server failed", q->host);
	case EAI_SYSTEM:
		return err_set(
			err, e->sys_errno == EMFILE || e->sys_errno == ENFILE ? E_EXHAUSTED : E_SYS,
			"look up %s: %s", q->host, strerror(e->sys_errno));
	default:
		return err_set(err, E_SYS, "look up %s: %s", q->host, gai_strerror(e->gai));
	}
	for (size_t i = 0; i < e->count; i++) {
		res->addrs[i] = e->addrs[i];
		addr_set_port(&res->addrs[i], q->port);
	}
	res->count = e->count;
	return 0;
}

static int answer(const struct resolve_query *q, struct resolve_result *res, struct err *err)
{
	switch (q->kind) {
	case FROM_ENTRY:
		return answer_entry(q, res, err);
	case FROM_PIN:
		answer_pinned(q, res);
		return 0;
	case FROM_LITERAL:
		res->addrs[0] = q->literal;
		res->count = 1;
		return 0;
	case BAD_NAME:
		return err_set(err, E_BAD, "'%s' is not a host name", q->host);
	case BAD_SPELLING:
		return err_set(err, E_BAD,
			       "'%s' is an IP address in a spelling that is not accepted; "
			       "write it as four decimal numbers",
			       q->host);
	case TOO_MANY:
		break;
	}
	return err_set(err, E_LIMIT, "%s: too many name lookups at the same time", q->host);
}

/* What becomes ready during a round of answers is told in the next. */
static void on_tell(void *arg)
{
	struct resolver *r = arg;

	r->telling = r->ready;
	if (r->telling)
		r->telling->link = &r->telling;
	r->ready = NULL;
	r->ready_end = &r->ready;
	while (r->telling) {
		struct resolve_query *q = r->telling;
		struct resolve_result res = { .count = 0 };
		struct err err = ERR_INIT;
		resolve_fn *fn = q->fn;
		void *fn_arg = q->arg;
		int rc = answer(q, &res, &err);

		query_free(q);
		fn(fn_arg, rc ? NULL : &res, rc ? &err : NULL);
	}
}

static void make_ready(struct resolver *r, struct resolve_query *q)
{
	q->next = NULL;
	q->link = r->ready_end;
	*r->ready_end = q;
	r->ready_end = &q->next;
	loop_defer(r->loop, &r->tell, on_tell, r);
}

static void on_done(void *arg, unsigned events)
{
	struct resolver *r = arg;
	struct lookup *list = lookup_take(r->pool);

	(void)events;
	for (struct lookup *lk = list; lk; lk = lk->next) {
		struct entry *e = lk->arg;
		struct resolve_query *q;
		size_t size = lk->count * sizeof(lk->addrs[0]);

		e->looking = false;
		e->gai = lk->gai;
		e->sys_errno = lk->sys_errno;
		e->count = lk->count;
		free(e->addrs);
		e->addrs = size ? mem_dup(lk->addrs, size) : NULL;
		e->expires_ms =
			loop_now(r->loop) + (lk->gai == 0 ? RESOLVE_TTL_MS : RESOLVE_NEG_TTL_MS);
		while ((q = e->waiting)) {
			query_unlink(q);
			make_ready(r, q);
		}
	}
	lookup_free(list);
}

/* Letters, digits, hyphen and underscore in labels of 1 to 63; the last one no number (WHATWG URL).
 */
static bool valid_name(struct str s)
{
	struct str label;
	bool number = false;

	if (s.n == 0 || s.n > RESOLVE_NAME_MAX)
		return false;
	while (str_split(&s, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		number = true;
		for (size_t i = 0; i < label.n; i++) {
			char c = label.p[i];

			if (!ascii_alpha(c) && !ascii_digit(c) && c != '-' && c != '_')
				return false;
			number = number && ascii_digit(c);
		}
	}
	return !number;
}

static struct str without_dot(struct str host)
{
	return host.n > 1 && host.p[host.n - 1] == '.' ? str_sub(host, 0, host.n - 1) : host;
}

static char *normal_host(struct str host)
{
	char *z = str_dupz(without_dot(host));

	for (char *p = z; *p; p++)
		*p = ascii_lower(*p);
	return z;
}

static bool is_pinned(const struct resolver *r, const char *host, uint16_t port)
{
	for (const struct pin *p = r->pins; p; p = p->next) {
		if (addr_port(&p->addr) == port && strcmp(p->host, host) == 0)
			return true;
	}
	return false;
}

struct resolve_query *resolve_start(struct resolver *r, struct str host, uint16_t port,
				    resolve_fn *fn, void *arg)
{
	struct resolve_query *q = mem_new(struct resolve_query);
	struct in_addr any;

	q->r = r;
	q->host = normal_host(host);
	q->port = port;
	q->fn = fn;
	q->arg = arg;
	if (str_has_ctl(host))
		q->kind = BAD_NAME;
	else if (is_pinned(r, q->host, port))
		q->kind = FROM_PIN;
	else if (addr_parse(host, port, &q->literal, NULL) == 0)
		q->kind = FROM_LITERAL;
	else if (addr_ipv4_any_spelling(host, &any))
		q->kind = BAD_SPELLING;
	else if (!valid_name(without_dot(host)))
		q->kind = BAD_NAME;
	else if (!(q->entry = entry_get(r, q->host)))
		q->kind = TOO_MANY;
	else
		q->kind = FROM_ENTRY;

	if (q->entry)
		q->entry->refs++;
	if (!q->entry || !q->entry->looking) {
		make_ready(r, q);
		return q;
	}
	q->next = q->entry->waiting;
	q->link = &q->entry->waiting;
	if (q->next)
		q->next->link = &q->next;
	q->entry->waiting = q;
	return q;
}

void resolve_cancel(struct resolve_query *q)
{
	query_free(q);
}

void resolver_pin(struct resolver *r, struct str host, uint16_t port, const struct addr *a)
{
	struct pin *p = mem_new(struct pin);

	p->host = normal_host(host);
	p->addr = *a;
	addr_set_port(&p->addr, port);
	*r->pins_end = p;
	r->pins_end = &p->next;
}

struct resolver *resolver_new(struct loop *l, struct err *err)
{
	struct resolver *r = mem_new(struct resolver);

	r->loop = l;
	r->ready_end = &r->ready;
	r->pins_end = &r->pins;
	r->pool = lookup_pool_new(err);
	if (!r->pool ||
	    loop_watch(l, &r->watch, lookup_pool_fd(r->pool), LOOP_READ, on_done, r, err)) {
		resolver_free(r);
		return NULL;
	}
	return r;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	loop_unwatch(&r->watch);
	loop_undefer(&r->tell);
	while (r->ready)
		query_free(r->ready);
	while (r->oldest) {
		while (r->oldest->waiting)
			query_free(r->oldest->waiting);
		entry_free(r, r->oldest);
	}
	while (r->pins) {
		struct pin *p = r->pins;

		r->pins = p->next;
		free(p->host);
		free(p);
	}
	lookup_pool_leave(r->pool);
	free(r);
}
