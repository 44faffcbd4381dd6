#include "http/h2_conn.h"

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h2_conn_impl.h"

/* See h1_input.c: one for the process, as the engine is never nested. */
static char scratch[PROXY_BODY_READ_SIZE];

#define OUT_MAX (H2_OUT_FILL + KIB(64)) /* and the frame that crosses the line */

static void run(struct h2_conn *c);

/* --- endings -------------------------------------------------------------------------------- */

static void drop(struct h2_conn *c)
{
	/* No more callbacks, also from what is on the stack now. */
	for (struct h2_stream *s = c->streams; s; s = s->next)
		s->announced = false;
	loop_unwatch(&c->watch);
	loop_timer_stop(&c->timer);
	c->phase = H2_GONE;
	loop_defer(c->loop, &c->work, c->work.fn, c);
}

static void end(struct h2_conn *c)
{
	const struct err *why = c->why.code == E_NONE ? NULL : &c->why;

	drop(c);
	if (c->server)
		c->server->on_closed(c->arg, why);
	else
		c->client->on_closed(c->arg, why);
}

/* What the connection's end means to one of its requests. */
static enum err_code cut_code(const struct h2_stream *s, enum err_code code)
{
	if (s->c->server || s->in_state != H2_IN_HEAD || s->interims > 0)
		return code;
	if (!s->head_sent)
		return E_CANCELLED;
	return code == E_IO && s->c->answered ? E_STALE : code;
}

/* For each stream; the callbacks may take out any of them. */
static void cut_streams(struct h2_conn *c, const struct err *err)
{
	for (struct h2_stream *s = c->streams, *next; s && c->phase != H2_GONE; s = next) {
		struct err why = *err;

		next = s->next;
		if (s->gone)
			continue;
		why.code = cut_code(s, err->code);
		h2_stream_cut(s, &why);
	}
}

static void fail_streams(struct h2_conn *c, const struct err *err)
{
	while (c->streams && c->phase != H2_GONE)
		h2_stream_fail(c->streams, err);
}

/*
 * GOAWAY, then the end. A server waits for the client to have read it (RFC 9113 9.1, RFC 9112 9.6);
 * a client leaves. Never from inside a callback of nghttp2.
 */
static void shut_down(struct h2_conn *c, uint32_t reason)
{
	struct err err = c->why;

	(void)nghttp2_session_terminate_session(c->session, reason);
	if (err.code == E_NONE)
		(void)err_set(&err, E_IO, "the connection is closing");
	fail_streams(c, &err);
	if (c->phase != H2_OPEN)
		return;
	if (c->server && !c->in_eof && !c->broken) {
		c->phase = H2_SHUTDOWN;
		c->since = loop_now(c->loop);
	} else {
		end(c);
	}
}

/* The last words, as far as they fit the socket. */
static void farewell(struct h2_conn *c)
{
	struct str s;

	if (c->broken || c->phase == H2_LINGER)
		return;
	(void)nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
	if (h2_session_fill(c, NULL) < 0)
		return;
	s = buf_str(&c->out);
	if (s.n > 0 && filter_write(c->f, s.p, s.n, NULL) != (ssize_t)s.n)
		return;
	(void)filter_shutdown(c->f, NULL);
}

static void free_dead(struct h2_conn *c)
{
	struct h2_stream *s = steal(&c->dead);

	while (s) {
		struct h2_stream *next = s->next_dead;

		h2_stream_free(s);
		s = next;
	}
}

static void reap(struct h2_conn *c)
{
	while (c->streams)
		h2_stream_remove(c->streams);
	loop_undefer(&c->work);
	farewell(c);
	nghttp2_session_del(c->session);
	free_dead(c);
	h2_head_fini(&c->head);
	filter_free(c->f);
	buf_fini(&c->out);
	free(c);
}

/* --- output --------------------------------------------------------------------------------- */

/* The stack is broken. That hurts nobody when the last word was said. */
static void note_trouble(struct h2_conn *c, const struct err *err)
{
	c->broken = true;
	if (c->why.code == E_NONE && (c->open > 0 || !c->draining))
		c->why = *err;
}

/* What was said before can still be read: a server may answer early and close. */
static void write_failed(struct h2_conn *c, const struct err *err)
{
	note_trouble(c, err);
	buf_clear(&c->out);
	if (c->server || c->open == 0)
		c->in_eof = true;
}

static bool flush(struct h2_conn *c)
{
	struct err err = ERR_INIT;
	bool moved = false;

	while (!c->write_blocked && !c->broken && c->phase != H2_GONE) {
		struct str s;
		ssize_t n;

		if (h2_session_fill(c, &err) < 0) {
			write_failed(c, &err);
			return true;
		}
		s = buf_str(&c->out);
		if (s.n == 0)
			break;
		n = filter_write(c->f, s.p, s.n, &err);
		if (n == FILTER_AGAIN) {
			c->write_blocked = true;
		} else if (n < 0) {
			write_failed(c, &err);
			return true;
		} else {
			buf_consume(&c->out, (size_t)n);
			c->out_written += (uint64_t)n;
			moved = true;
		}
	}
	return moved;
}

/* --- phases --------------------------------------------------------------------------------- */

static bool step_streams(struct h2_conn *c)
{
	bool moved = false;

	for (struct h2_stream *s = c->streams; s && c->phase == H2_OPEN; s = s->next)
		if (!s->gone)
			moved |= h2_stream_step(s);
	return moved;
}

static void tell_idle(struct h2_conn *c)
{
	if (c->phase != H2_OPEN || !c->client || !c->busy || c->open > 0)
		return;
	c->busy = false;
	c->client->on_idle(c->arg);
}

static bool step_open(struct h2_conn *c)
{
	const struct err closed = { .code = E_IO, .text = "the peer closed the connection" };
	bool moved = step_streams(c);

	if (c->phase == H2_OPEN)
		moved |= flush(c);
	if (c->phase != H2_OPEN || moved)
		return true;
	if (c->in_eof) {
		const struct err why = c->why;

		cut_streams(c, why.code == E_NONE ? &closed : &why);
	}
	if (c->phase != H2_OPEN)
		return true;
	if (c->terminated || (c->open == 0 && (c->draining || c->in_eof))) {
		shut_down(c, NGHTTP2_NO_ERROR);
		return true;
	}
	tell_idle(c);
	return c->phase != H2_OPEN;
}

static bool step_shutdown(struct h2_conn *c)
{
	(void)flush(c);
	if (c->broken) {
		end(c);
		return false;
	}
	if (c->write_blocked)
		return false;
	switch (filter_shutdown(c->f, NULL)) {
	case FILTER_READY:
		c->phase = H2_LINGER;
		return true;
	case FILTER_NOT_YET:
		c->write_blocked = true;
		return false;
	case FILTER_FAILED:
		break;
	}
	c->broken = true;
	end(c);
	return false;
}

static bool step_linger(struct h2_conn *c)
{
	if (c->in_eof)
		end(c);
	return false;
}

static bool step_gone(struct h2_conn *c)
{
	(void)c;
	return false;
}

static void run(struct h2_conn *c)
{
	static bool (*const steps[])(struct h2_conn *) = {
		[H2_OPEN] = step_open,
		[H2_SHUTDOWN] = step_shutdown,
		[H2_LINGER] = step_linger,
		[H2_GONE] = step_gone,
	};
	bool moved;

	do {
		c->again = false;
		moved = steps[c->phase](c);
	} while (c->phase != H2_GONE && (moved || c->again));
}

/* --- input ---------------------------------------------------------------------------------- */

static bool input_wanted(const struct h2_conn *c)
{
	return !c->in_eof && c->phase != H2_GONE;
}

static void take_input(struct h2_conn *c, struct str data)
{
	uint32_t reason = NGHTTP2_NO_ERROR;
	struct err err = ERR_INIT;

	if (c->phase != H2_OPEN || c->terminated)
		return;
	if (h2_session_input(c, data, &reason, &err) < 0) {
		c->why = err;
		shut_down(c, reason);
	}
}

/* One read a round, so that other connections have their turn. */
static void read_once(struct h2_conn *c, bool readable)
{
	const size_t size =
		budget_level() == BUDGET_PLENTY ? PROXY_BODY_READ_SIZE : PROXY_READ_SIZE;
	struct err err = ERR_INIT;
	ssize_t n;

	if (!input_wanted(c) || !(readable || filter_pending(c->f)))
		return;
	n = filter_read(c->f, scratch, size, &err);
	if (n == FILTER_AGAIN)
		return;
	if (n > 0) {
		c->last_read = loop_now(c->loop);
		take_input(c, str_mem(scratch, (size_t)n));
	} else {
		c->in_eof = true;
		if (n != FILTER_EOF)
			note_trouble(c, &err);
	}
	run(c);
}

/* --- time ----------------------------------------------------------------------------------- */

static int64_t after(int64_t since, int ms)
{
	return ms > 0 ? since + ms : -1;
}

static int64_t sooner(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

/* When the connection's patience with its peer ends; -1: never. */
static int64_t due(const struct h2_conn *c)
{
	int64_t at = -1;

	if (c->phase != H2_OPEN) {
		/* A peer that is still sending reads after that; see h1_conn. */
		at = (c->last_read > c->since ? c->last_read : c->since) + HTTP_LINGER_MS;
		return sooner(at, c->since + HTTP_LINGER_MAX_MS);
	}
	if (c->in_head)
		at = after(c->head_since, c->t.head);
	if (c->open == 0)
		return sooner(at,
			      after(c->since, c->server && !c->used ? c->t.head : c->t.keepalive));
	for (const struct h2_stream *s = c->streams; s; s = s->next)
		at = sooner(at, after(s->last_active, c->t.idle));
	return at;
}

static void expire_streams(struct h2_conn *c)
{
	const int64_t now = loop_now(c->loop);
	struct err err = ERR_INIT;

	(void)err_set(&err, E_TIMEOUT, "nothing moved for %d s", c->t.idle / 1000);
	for (struct h2_stream *s = c->streams, *next; s && c->phase == H2_OPEN; s = next) {
		int64_t at = after(s->last_active, c->t.idle);

		next = s->next;
		if (s->gone || at < 0 || now < at)
			continue;
		h2_stream_reset(s, NGHTTP2_CANCEL);
		h2_stream_fail(s, &err);
	}
}

static void expired(struct h2_conn *c)
{
	if (c->phase != H2_OPEN) {
		end(c);
	} else if (c->in_head && c->t.head > 0 && loop_now(c->loop) >= c->head_since + c->t.head) {
		(void)err_set(&c->why, E_TIMEOUT, "the request head was not complete after %d s",
			      c->t.head / 1000);
		shut_down(c, NGHTTP2_NO_ERROR);
	} else if (c->open == 0) {
		shut_down(c, NGHTTP2_NO_ERROR);
	} else {
		expire_streams(c);
	}
}

/* --- the engine ----------------------------------------------------------------------------- */

static void pump(struct h2_conn *c, bool readable);

/* As in h1_conn: it goes off at the earliest time that was ever due, and looks what is due now. */
static void on_timer(void *arg)
{
	struct h2_conn *c = arg;
	int64_t at = due(c);

	if (at >= 0 && loop_now(c->loop) >= at) {
		c->running = true;
		expired(c);
		c->running = false;
	}
	if (c->phase != H2_GONE)
		pump(c, false);
}

static void set_timer(struct h2_conn *c)
{
	int64_t at = due(c);

	if (at >= 0 && (!c->timer.loop || c->timer.due_ms > at))
		loop_timer(c->loop, &c->timer, at - loop_now(c->loop), on_timer, c);
}

static void on_event(void *arg, unsigned events)
{
	struct h2_conn *c = arg;

	if (events & (LOOP_WRITE | LOOP_HANGUP))
		c->write_blocked = false;
	pump(c, (events & (LOOP_READ | LOOP_HANGUP)) != 0);
	/* A hang-up is reported for ever; what there was to read was read until its end. */
	if (c->phase != H2_GONE && (events & LOOP_HANGUP) && !input_wanted(c))
		loop_unwatch(&c->watch);
}

static void set_watch(struct h2_conn *c)
{
	unsigned events = input_wanted(c) ? LOOP_READ | (filter_wants(c->f) & LOOP_WRITE) : 0;

	if (c->write_blocked)
		events |= LOOP_WRITE;
	if (c->watch.loop) {
		loop_watch_events(&c->watch, events);
	} else if (events && loop_watch(c->loop, &c->watch, filter_fd(c->f), events, on_event, c,
					&c->why) < 0) {
		c->broken = c->in_eof = true;
		h2_conn_wake(c);
	}
}

static void pump(struct h2_conn *c, bool readable)
{
	c->running = true;
	run(c);
	read_once(c, readable);
	if (c->phase != H2_GONE) {
		buf_shrink(&c->out);
		set_timer(c);
		set_watch(c);
	}
	c->running = false;
	if (c->phase != H2_GONE && (c->again || (input_wanted(c) && filter_pending(c->f))))
		h2_conn_wake(c);
}

static void on_work(void *arg)
{
	struct h2_conn *c = arg;

	free_dead(c);
	if (c->phase == H2_GONE)
		reap(c);
	else
		pump(c, false);
}

void h2_conn_wake(struct h2_conn *c)
{
	if (c->running)
		c->again = true;
	else
		loop_defer(c->loop, &c->work, on_work, c);
}

bool h2_conn_tire(struct h2_conn *c, int cost)
{
	const int64_t now = loop_now(c->loop);
	const int64_t back = (now - c->patience_at) * H2_PATIENCE_PER_SECOND / 1000;

	if (c->patience < 0)
		return true;
	if (back > 0) {
		c->patience =
			back > H2_PATIENCE - c->patience ? H2_PATIENCE : c->patience + (int)back;
		c->patience_at = now;
	}
	c->patience = c->patience < cost ? -1 : c->patience - cost;
	return c->patience < 0;
}

/* --- for both roles ------------------------------------------------------------------------- */

struct h2_conn *h2_conn_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			    void *arg)
{
	struct h2_conn *c = mem_new(struct h2_conn);

	c->arg = arg;
	c->loop = l;
	c->f = f;
	c->t = *t;
	c->work.fn = on_work;
	c->since = c->patience_at = loop_now(l);
	c->patience = H2_PATIENCE;
	buf_init(&c->out, OUT_MAX);
	/* Bytes may wait inside the stack already; the first run also sets watch and timer. */
	h2_conn_wake(c);
	return c;
}

void h2_conn_drain(struct h2_conn *c)
{
	if (c->phase != H2_OPEN || c->draining)
		return;
	c->draining = true;
	if (c->server)
		(void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
					    nghttp2_session_get_last_proc_stream_id(c->session),
					    NGHTTP2_NO_ERROR, NULL, 0);
	h2_conn_wake(c);
}

void h2_conn_close(struct h2_conn *c)
{
	if (c->phase != H2_GONE)
		drop(c);
}
