#include "proxy/splice.h"

#include "base/budget.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"

/* One end, and the bytes read from it that the other end has not taken yet. */
struct end {
	struct splice *splice;
	struct end *other;
	struct filter *f;
	struct loop_watch watch;
	struct buf out; /* to be written to f */
	uint64_t total; /* bytes read from f */
	bool eof;       /* f will send nothing more */
	bool shut;      /* we told f that nothing more comes */
};

struct splice {
	struct loop *loop;
	struct end a, b;
	int idle_ms;
	int64_t last;
	struct loop_timer idle;
	struct loop_deferred reap;
	splice_done_fn *fn;
	void *arg;
	bool dead;
};

static void reap(void *arg)
{
	struct splice *s = arg;

	buf_fini(&s->a.out);
	buf_fini(&s->b.out);
	free(s);
}

static void close_ends(struct splice *s)
{
	s->dead = true;
	loop_unwatch(&s->a.watch);
	loop_unwatch(&s->b.watch);
	loop_timer_stop(&s->idle);
	filter_free(s->a.f);
	filter_free(s->b.f);
	s->a.f = s->b.f = NULL;
	loop_defer(s->loop, &s->reap, reap, s);
}

static void finish(struct splice *s, const struct err *err)
{
	if (s->dead)
		return;
	close_ends(s);
	s->fn(s->arg, s->a.total, s->b.total, err);
}

/* May more be read from e? */
static bool has_room(const struct end *e)
{
	return !e->eof && e->other->out.len <= budget_queue_high();
}

/* Bytes for e: on their way at once if it takes them, else queued. */
static int deliver(struct end *e, struct str s, struct err *err)
{
	while (e->out.len == 0 && s.n > 0) {
		ssize_t n = filter_write(e->f, s.p, s.n, err);

		if (n == FILTER_AGAIN)
			break;
		if (n < 0)
			return -1;
		s = str_from(s, (size_t)n);
	}
	return buf_add(&e->out, s, err);
}

/* Moves what `e` has to say to the other end. 0, or -1 when one of them failed. */
static int pull(struct end *e, struct err *err)
{
	/* One for the process, so that an idle tunnel holds none. */
	static char scratch[PROXY_READ_SIZE];

	/* As many as may be queued, so that other connections have their turn. */
	for (int i = 0; has_room(e) && i < (int)(PROXY_OUT_HIGH / sizeof(scratch)); i++) {
		ssize_t n = filter_read(e->f, scratch, sizeof(scratch), err);

		if (n == FILTER_AGAIN)
			break;
		if (n == FILTER_ERROR)
			return -1;
		if (n == FILTER_EOF) {
			e->eof = true;
			break;
		}
		if (deliver(e->other, str_mem(scratch, (size_t)n), err) < 0)
			return -1;
		e->total += (uint64_t)n;
		e->splice->last = loop_now(e->splice->loop);
	}
	return 0;
}

static int push(struct end *e, struct err *err)
{
	while (e->out.len > 0) {
		struct str s = buf_str(&e->out);
		ssize_t n = filter_write(e->f, s.p, s.n, err);

		if (n == FILTER_AGAIN)
			return 0;
		if (n < 0)
			return -1;
		buf_consume(&e->out, (size_t)n);
		e->splice->last = loop_now(e->splice->loop);
	}
	if (e->other->eof && !e->shut) {
		enum filter_ready r = filter_shutdown(e->f, err);

		if (r == FILTER_FAILED)
			return -1;
		e->shut = r == FILTER_READY;
	}
	return 0;
}

static unsigned events_for(const struct end *e)
{
	unsigned ev = filter_wants(e->f) & LOOP_WRITE;

	if (has_room(e))
		ev |= LOOP_READ;
	if (e->out.len > 0 || (e->other->eof && !e->shut))
		ev |= LOOP_WRITE;
	return ev;
}

static void on_ready(void *arg, unsigned events);

/* A hang-up is reported for ever, so an end that nothing is wanted of is not watched. */
static int watch(struct end *e, struct err *err)
{
	unsigned events = events_for(e);

	if (e->watch.loop)
		loop_watch_events(&e->watch, events);
	else if (events)
		return loop_watch(e->splice->loop, &e->watch, filter_fd(e->f), events, on_ready, e,
				  err);
	return 0;
}

/*
 * Reading tells of a reset; where nothing more can be read only the event does. Without a reset it
 * means that both directions were closed, ours by us.
 */
static int hung_up(struct end *e, struct err *err)
{
	if (events_for(e) & LOOP_READ)
		return 0;
	if (!e->shut)
		return err_set(err, E_IO, "the connection was reset");
	loop_unwatch(&e->watch);
	return 0;
}

static void on_ready(void *arg, unsigned events)
{
	struct end *e = arg;
	struct splice *s = e->splice;
	struct err err = ERR_INIT;

	if (s->dead)
		return;
	if (pull(e, &err) < 0 || push(e, &err) < 0 || push(e->other, &err) < 0 ||
	    pull(e->other, &err) < 0 || push(e, &err) < 0 ||
	    ((events & LOOP_HANGUP) && hung_up(e, &err) < 0)) {
		finish(s, &err);
		return;
	}
	buf_shrink(&s->a.out);
	buf_shrink(&s->b.out);
	if (s->a.shut && s->b.shut) {
		finish(s, NULL);
		return;
	}
	if (watch(&s->a, &err) < 0 || watch(&s->b, &err) < 0)
		finish(s, &err);
}

static void on_idle(void *arg)
{
	struct splice *s = arg;
	int64_t left = s->last + s->idle_ms - loop_now(s->loop);
	struct err err = ERR_INIT;

	if (left > 0) {
		loop_timer(s->loop, &s->idle, left, on_idle, s);
		return;
	}
	err_set(&err, E_TIMEOUT, "no byte in either direction for %d s", s->idle_ms / 1000);
	finish(s, &err);
}

static void end_init(struct splice *s, struct end *e, struct end *other, struct filter *f)
{
	e->splice = s;
	e->other = other;
	e->f = f;
	/* One read more than the mark may be under way when the mark is reached. */
	buf_init(&e->out, PROXY_OUT_HIGH + PROXY_READ_SIZE);
}

struct splice *splice_start(struct loop *l, struct filter *a, struct filter *b, int idle_ms,
			    splice_done_fn *fn, void *arg, struct err *err)
{
	struct splice *s = mem_new(struct splice);

	s->loop = l;
	s->idle_ms = idle_ms;
	s->last = loop_now(l);
	s->fn = fn;
	s->arg = arg;
	end_init(s, &s->a, &s->b, a);
	end_init(s, &s->b, &s->a, b);
	/* Both start writable: bytes may already wait inside a stack, where poll cannot see them. */
	if (loop_watch(l, &s->a.watch, filter_fd(a), LOOP_READ | LOOP_WRITE, on_ready, &s->a, err) <
		    0 ||
	    loop_watch(l, &s->b.watch, filter_fd(b), LOOP_READ | LOOP_WRITE, on_ready, &s->b, err) <
		    0) {
		close_ends(s);
		return NULL;
	}
	loop_timer(l, &s->idle, idle_ms, on_idle, s);
	return s;
}

void splice_cancel(struct splice *s)
{
	if (s && !s->dead)
		close_ends(s);
}

void splice_finish(struct splice *s, const struct err *err)
{
	finish(s, err);
}
