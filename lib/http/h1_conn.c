#include "http/h1_conn.h"

#include <sys/socket.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h1_conn_impl.h"

const struct stream_handler *h1_conn_handler(const struct h1_conn *c)
{
	static const struct stream_handler none = { .on_head = NULL };

	return c->announced && c->stream.handler ? c->stream.handler : &none;
}

/* --- output --------------------------------------------------------------------------------- */

static void write_failed(struct h1_conn *c, const struct err *err)
{
	/*
	 * A server may answer early and close: its answer is worth more than our failure to go on,
	 * and may be waiting in the socket (RFC 9112 9.5). If there is none, reading will say so.
	 */
	if (c->client) {
		c->out_broken = c->close_after = true;
		buf_clear(&c->out);
		return;
	}
	c->broken = true;
	h1_conn_fail(c, err);
}

/* Returns how much of s, which is first in line, has gone; less than all when blocked or failed. */
static size_t write_some(struct h1_conn *c, struct str s, struct err *err)
{
	size_t done = 0;

	while (done < s.n && !c->write_blocked && err->code == E_NONE) {
		ssize_t n = filter_write(c->f, s.p + done, s.n - done, err);

		if (n > 0) {
			done += (size_t)n;
			c->last_active = loop_now(c->loop);
		} else if (n == FILTER_AGAIN) {
			c->write_blocked = true;
		}
	}
	return done;
}

size_t h1_conn_write(struct h1_conn *c, struct str s)
{
	struct err err = ERR_INIT;
	size_t done = write_some(c, s, &err);

	if (err.code != E_NONE)
		c->write_error = mem_dup(&err, sizeof(err));
	return done;
}

static void flush(struct h1_conn *c)
{
	struct err err = c->write_error ? *c->write_error : (struct err)ERR_INIT;

	buf_consume(&c->out, write_some(c, buf_str(&c->out), &err));
	if (err.code != E_NONE)
		write_failed(c, &err);
	if (c->was_high && c->out.len <= budget_queue_low()) {
		c->was_high = false;
		c->drained = true;
	}
}

/* --- phases --------------------------------------------------------------------------------- */

void h1_conn_set_phase(struct h1_conn *c, enum h1_phase phase)
{
	c->phase = phase;
	c->since = loop_now(c->loop);
}

void h1_conn_open(struct h1_conn *c)
{
	c->phase = H1_OPEN;
	c->used++;
	c->last_active = loop_now(c->loop);
	c->stream.handler = NULL;
	c->stream.arg = NULL;
	c->method = METHOD_OTHER;
	c->in_state = IN_HEAD;
	c->out_state = OUT_HEAD;
	c->paused = c->upgrade_asked = c->out_mute = c->was_high = c->drained = false;
	c->switched = c->out_shut = false;
	c->scanned = 0;
	c->interims = 0;
	msg_init(&c->msg, &c->arena);
	msg_init(&c->trailers, &c->arena);
}

/* Idle connections hold no memory; one with its next request at hand keeps what it needs for that. */
static void forget_exchange(struct h1_conn *c)
{
	c->announced = false;
	if (c->data.n > 0) {
		arena_reset(&c->arena);
		return;
	}
	arena_fini(&c->arena);
	buf_shrink(&c->out);
}

static void exchange_over(struct h1_conn *c)
{
	const struct stream_handler *h = h1_conn_handler(c);

	if (h->on_done)
		h->on_done(c->stream.arg);
	if (c->phase == H1_GONE)
		return;
	/* Bytes after a response answer nothing: what comes next would be read as one to another
	 * request. */
	if (c->client && (c->data.n > 0 || filter_pending(c->f)))
		c->close_after = true;
	forget_exchange(c);
	if (!c->close_after && !c->draining && !c->switched) {
		h1_conn_set_phase(c, H1_IDLE);
		c->role->idle(c);
	} else if (c->server && !c->in_eof) {
		h1_conn_set_phase(c, H1_SHUTDOWN);
	} else {
		h1_conn_end(c, NULL);
	}
}

static bool step_idle(struct h1_conn *c)
{
	if (c->data.n > 0) {
		c->role->first_byte(c);
		return true;
	}
	if (!c->in_eof && !c->draining)
		return false;
	if (c->server && !c->in_eof) {
		h1_conn_set_phase(c, H1_SHUTDOWN);
		return true;
	}
	h1_conn_end(c, NULL);
	return false;
}

void h1_conn_switch(struct h1_conn *c)
{
	struct msg raw = { .framing = BODY_UNTIL_CLOSE };

	c->switched = true;
	c->in_state = IN_BODY;
	h1_body_init(&c->body, &raw);
	c->out_framing = BODY_UNTIL_CLOSE;
}

/* The peer is to see the end of what we send now, not when its own direction ends too. */
static void shut_direction(struct h1_conn *c)
{
	if (!c->switched || c->out_shut || c->write_blocked)
		return;
	if (filter_shutdown(c->f, NULL) == FILTER_NOT_YET)
		c->write_blocked = true;
	else
		c->out_shut = true; /* a peer who cannot be told is gone and needs no word */
}

static bool step_open(struct h1_conn *c)
{
	bool moved = h1_input_step(c);

	if (c->phase == H1_OPEN && !moved)
		flush(c);
	if (c->phase != H1_OPEN || moved)
		return true;
	if (c->out_state != OUT_DONE || c->out.len > 0)
		return false;
	shut_direction(c);
	if ((c->switched && !c->out_shut) || !c->role->over(c))
		return false;
	exchange_over(c);
	return true;
}

static bool step_shutdown(struct h1_conn *c)
{
	h1_input_consume(c, c->data.n);
	if (c->write_blocked)
		return false;
	switch (filter_shutdown(c->f, NULL)) {
	case FILTER_READY:
		h1_conn_set_phase(c, H1_LINGER);
		return true;
	case FILTER_NOT_YET:
		c->write_blocked = true;
		return false;
	case FILTER_FAILED:
		break;
	}
	c->broken = true;
	h1_conn_end(c, NULL);
	return false;
}

static bool step_linger(struct h1_conn *c)
{
	/* Only a peer that still sends could miss something: our close would be a reset to it. */
	const bool sends = c->data.n > 0 || c->in_state == IN_BODY || c->in_state == IN_BAD;

	h1_input_consume(c, c->data.n);
	/* Who drains wants to be gone. */
	if (c->in_eof || (c->draining && !sends))
		h1_conn_end(c, NULL);
	return false;
}

static bool step_gone(struct h1_conn *c)
{
	(void)c;
	return false;
}

static void run(struct h1_conn *c)
{
	static h1_conn_fn *const steps[] = {
		[H1_IDLE] = step_idle,     [H1_OPEN] = step_open, [H1_SHUTDOWN] = step_shutdown,
		[H1_LINGER] = step_linger, [H1_GONE] = step_gone,
	};
	bool moved;

	do {
		c->again = false;
		moved = steps[c->phase](c);
	} while (c->phase != H1_GONE && (moved || c->again));
}

/* --- endings -------------------------------------------------------------------------------- */

/* A message of which the peer has got a part, and will not get the rest. */
static bool half_sent(const struct h1_conn *c)
{
	return c->phase == H1_OPEN &&
	       (c->out_state == OUT_BODY || (c->out_state == OUT_DONE && c->out.len > 0));
}

static void close_stack(struct h1_conn *c)
{
	/* A reset: an orderly end would make a cut body that lasts until the close pass for a whole
	 * one. */
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (!c->f)
		return;
	if (half_sent(c))
		(void)setsockopt(filter_fd(c->f), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	else if (!c->broken && c->phase != H1_LINGER)
		(void)filter_shutdown(c->f, NULL);
}

void h1_conn_drop(struct h1_conn *c, bool tell)
{
	close_stack(c);
	loop_unwatch(&c->watch);
	loop_timer_stop(&c->timer);
	c->phase = H1_GONE;
	c->tell = tell;
	loop_defer(c->loop, &c->work, c->work.fn, c);
}

void h1_conn_end(struct h1_conn *c, const struct err *err)
{
	h1_conn_drop(c, false);
	c->role->closed(c, err);
}

/* Not a byte of an answer came, and this is not the first request: it may never have been read. */
static bool is_stale(const struct h1_conn *c, const struct err *err)
{
	return c->client && c->phase == H1_OPEN && c->used > 1 && err->code == E_IO &&
	       c->in_state == IN_HEAD && c->interims == 0 && h1_input_left(c) == 0;
}

void h1_conn_fail(struct h1_conn *c, const struct err *err)
{
	const struct stream_handler *h = h1_conn_handler(c);
	struct err told = *err;

	if (is_stale(c, err))
		told.code = E_STALE;
	if (h->on_fail)
		h->on_fail(c->stream.arg, &told);
	c->announced = false;
	if (c->phase != H1_GONE)
		h1_conn_end(c, err);
}

static void reap(struct h1_conn *c)
{
	struct err err = ERR_INIT;

	if (c->tell) {
		c->tell = false;
		(void)err_set(&err, E_CANCELLED, "the exchange was aborted");
		c->role->closed(c, &err);
	}
	filter_free(c->f);
	buf_fini(&c->in);
	buf_fini(&c->out);
	arena_fini(&c->arena);
	free(c->write_error);
	free(c);
}

/* --- time ----------------------------------------------------------------------------------- */

/* When the connection's patience ends; -1: never. */
static int64_t due(const struct h1_conn *c)
{
	const bool in_head = c->server && c->in_state == IN_HEAD;
	int64_t from = c->since;
	int ms = HTTP_LINGER_MS;

	if (c->phase == H1_IDLE) {
		ms = c->server && c->used == 0 ? c->t.head : c->t.keepalive;
	} else if (c->phase == H1_OPEN) {
		ms = in_head ? c->t.head : c->t.idle;
		from = in_head ? c->since : c->last_active;
	} else if (c->phase == H1_LINGER && c->last_active > from) {
		/* It is still sending what was refused, and reads the answer after that. */
		from = c->last_active;
		if (from + ms > c->since + HTTP_LINGER_MAX_MS)
			return c->since + HTTP_LINGER_MAX_MS;
	}
	return ms > 0 ? from + ms : -1;
}

static void expired(struct h1_conn *c)
{
	struct err err = ERR_INIT;

	if (c->phase == H1_IDLE && c->server) {
		h1_conn_set_phase(c, H1_SHUTDOWN);
	} else if (c->phase != H1_OPEN) {
		h1_conn_end(c, NULL);
	} else if (c->server && c->in_state == IN_HEAD) {
		(void)err_set(&err, E_TIMEOUT, "the request head was not complete after %d s",
			      c->t.head / 1000);
		c->role->bad_head(c, &err);
	} else {
		(void)err_set(&err, E_TIMEOUT, "nothing moved for %d s", c->t.idle / 1000);
		h1_conn_fail(c, &err);
	}
}

static void pump(struct h1_conn *c, bool readable);

/*
 * The timer is not moved with every byte: it goes off at the earliest time that was ever due, and
 * looks what is due now.
 */
static void on_timer(void *arg)
{
	struct h1_conn *c = arg;
	int64_t at = due(c);

	if (at >= 0 && loop_now(c->loop) >= at) {
		c->running = true;
		expired(c);
		c->running = false;
	}
	if (c->phase != H1_GONE)
		pump(c, false);
}

static void set_timer(struct h1_conn *c)
{
	int64_t at = due(c);

	if (at >= 0 && (!c->timer.loop || c->timer.due_ms > at))
		loop_timer(c->loop, &c->timer, at - loop_now(c->loop), on_timer, c);
}

/* --- the engine ----------------------------------------------------------------------------- */

static void on_event(void *arg, unsigned events);

static void set_watch(struct h1_conn *c)
{
	const bool reads = h1_input_wanted(c);
	struct err err = ERR_INIT;
	unsigned events = 0;

	if (reads)
		events |= LOOP_READ | (filter_wants(c->f) & LOOP_WRITE);
	if (c->write_blocked)
		events |= LOOP_WRITE;
	if (c->watch.loop)
		loop_watch_events(&c->watch, events);
	else if (events &&
		 loop_watch(c->loop, &c->watch, filter_fd(c->f), events, on_event, c, &err) < 0)
		h1_conn_fail(c, &err);
}

static void give_drain(struct h1_conn *c)
{
	const struct stream_handler *h = h1_conn_handler(c);

	if (!c->drained)
		return;
	c->drained = false;
	if (c->phase == H1_OPEN && h->on_drain)
		h->on_drain(c->stream.arg);
}

/*
 * In order (err is NULL) or not, which makes no difference once our message is received; nor after
 * a switch: WebSocket says by itself whether it ended well, and how its peers close matters to
 * nobody (RFC 6455 7.1.1, 7.1.5).
 */
static void input_ended(struct h1_conn *c, const struct err *err)
{
	const bool done = c->switched || (c->client && c->in_state == IN_DONE);

	c->in_eof = true;
	c->broken = err != NULL;
	if (!err || (c->phase == H1_OPEN && done))
		run(c);
	else if (c->phase == H1_SHUTDOWN || c->phase == H1_LINGER)
		h1_conn_end(c, NULL);
	else
		h1_conn_fail(c, err);
}

/* One read a round, so that others have their turn. */
static void read_once(struct h1_conn *c, bool readable)
{
	struct err err = ERR_INIT;
	ssize_t n;

	if (!h1_input_wanted(c) || !(readable || filter_pending(c->f)))
		return;
	n = h1_input_fill(c, &err);
	if (n > 0)
		run(c);
	else if (n == FILTER_EOF)
		input_ended(c, NULL);
	else if (n == FILTER_ERROR)
		input_ended(c, &err);
}

static void pump(struct h1_conn *c, bool readable)
{
	c->running = true;
	h1_input_load(c);
	give_drain(c);
	run(c);
	read_once(c, readable);
	if (c->phase != H1_GONE) {
		h1_input_stash(c);
		buf_shrink(&c->in);
		set_timer(c);
		set_watch(c);
	}
	c->running = false;
	if (c->phase != H1_GONE && (c->drained || (h1_input_wanted(c) && filter_pending(c->f))))
		h1_conn_wake(c);
}

static void on_event(void *arg, unsigned events)
{
	struct h1_conn *c = arg;
	struct err err = ERR_INIT;

	if (events & (LOOP_WRITE | LOOP_HANGUP))
		c->write_blocked = false;
	pump(c, (events & (LOOP_READ | LOOP_HANGUP)) != 0);
	/*
	 * A hang-up is reported for ever. When nothing is to be read now, a server gives up; a
	 * client may have part of a response waiting and looks again when it is wanted, as do both
	 * after a switch.
	 */
	if (c->phase == H1_GONE || !(events & LOOP_HANGUP) || h1_input_wanted(c))
		return;
	if (c->server && c->phase == H1_OPEN && !c->switched) {
		c->broken = true;
		(void)err_set(&err, E_IO, "the client closed the connection");
		h1_conn_fail(c, &err);
	} else {
		loop_unwatch(&c->watch);
	}
}

static void on_work(void *arg)
{
	struct h1_conn *c = arg;

	if (c->phase == H1_GONE)
		reap(c);
	else
		pump(c, false);
}

void h1_conn_wake(struct h1_conn *c)
{
	if (c->running)
		c->again = true;
	else
		loop_defer(c->loop, &c->work, on_work, c);
}

/* --- for both roles ------------------------------------------------------------------------- */

struct h1_conn *h1_conn_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			    const struct h1_role *role, void *arg)
{
	struct h1_conn *c = mem_new(struct h1_conn);

	c->stream.ops = &h1_stream_ops;
	c->role = role;
	c->arg = arg;
	c->loop = l;
	c->f = f;
	c->t = *t;
	c->work.fn = on_work;
	buf_init(&c->in, H1_INPUT_MAX);
	buf_init(&c->out, PROXY_OUT_MAX);
	arena_init(&c->arena, HTTP_ARENA_MAX);
	h1_conn_set_phase(c, H1_IDLE);
	c->last_active = c->since;
	/* Bytes may wait inside the stack already; the first run also sets watch and timer. */
	h1_conn_wake(c);
	return c;
}

struct h1_conn *h1_conn_of(struct stream *s)
{
	return container_of(s, struct h1_conn, stream);
}

void h1_conn_drain(struct h1_conn *c)
{
	if (c->phase == H1_GONE)
		return;
	c->draining = true;
	h1_conn_wake(c);
}

void h1_conn_close(struct h1_conn *c)
{
	if (c->phase != H1_GONE)
		h1_conn_drop(c, false);
	c->tell = false;
}

struct filter *h1_conn_take(struct h1_conn *c)
{
	struct filter *f = steal(&c->f);
	struct buf in = h1_input_take(c), out = c->out;

	buf_init(&c->out, 0);
	h1_conn_drop(c, false);
	return h1_handoff(f, &in, &out);
}
