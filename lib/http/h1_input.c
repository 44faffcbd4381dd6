/* The incoming half: reading, and the states a message goes through. */
#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h1_conn_impl.h"

/*
 * Where input is read to. One for the process: it is used only inside the engine, which is never
 * nested, and what is left unread moves to the connection's own buffer. So an idle connection holds
 * no buffer, and a streamed body costs no allocation.
 */
static char scratch[PROXY_BODY_READ_SIZE];

void h1_input_load(struct h1_conn *c)
{
	c->data = buf_str(&c->in);
	c->in_scratch = false;
}

/* Keeps what was not consumed, behind what was there: a head, or what is held of a body. */
void h1_input_stash(struct h1_conn *c)
{
	if (c->in_scratch && c->data.n > 0 && buf_add(&c->in, c->data, NULL) < 0)
		c->broken = true;
	h1_input_load(c);
}

void h1_input_consume(struct h1_conn *c, size_t n)
{
	if (c->in_scratch) {
		c->data = str_from(c->data, n);
	} else {
		buf_consume(&c->in, n);
		h1_input_load(c);
	}
}

size_t h1_input_left(const struct h1_conn *c)
{
	return (c->in_scratch ? c->data.n : c->in.len) - c->held;
}

/* A body that is wanted comes in larger pieces; nobody can make us hold so much of anything else. */
static size_t read_size(const struct h1_conn *c)
{
	const bool streams = c->phase == H1_OPEN && c->in_state == IN_BODY && !c->paused;

	return streams && budget_level() == BUDGET_PLENTY ? PROXY_BODY_READ_SIZE : PROXY_READ_SIZE;
}

ssize_t h1_input_fill(struct h1_conn *c, struct err *err)
{
	ssize_t n;

	h1_input_stash(c);
	n = filter_read(c->f, scratch, read_size(c), err);
	if (n <= 0)
		return n;
	c->last_active = loop_now(c->loop);
	c->data = str_mem(scratch, (size_t)n);
	c->in_scratch = true;
	/* Behind what is there. */
	if (c->in.len > 0)
		h1_input_stash(c);
	return n;
}

/* A request that is answered already is read past, whoever paused it. */
static bool answered(const struct h1_conn *c)
{
	return c->server && c->out_state == OUT_DONE && !c->switched;
}

bool h1_input_wanted(const struct h1_conn *c)
{
	if (c->in_eof || c->broken || c->phase == H1_GONE)
		return false;
	if (c->phase != H1_OPEN)
		return true;
	switch (c->in_state) {
	case IN_HEAD:
	case IN_BAD:
		return true;
	case IN_BODY:
		if (!c->paused || answered(c))
			return true;
		return c->server && c->in.len < PROXY_READ_SIZE; /* as below */
	case IN_HELD:
	case IN_DONE: /* to see the peer leave, and no more than one read of what it sends ahead */
		return c->in.len < PROXY_READ_SIZE;
	case IN_TUNNEL:
		break;
	}
	return false;
}

static bool step_in_head(struct h1_conn *c)
{
	struct err err = ERR_INIT;
	ssize_t n = h1_head_end(c->data, &c->scanned, &err);

	if (n > 0) {
		c->scanned = 0;
		c->role->head(c, (size_t)n);
		return true;
	}
	if (n == 0 && c->data.n > 0 && budget_level() == BUDGET_SPENT)
		n = err_set(&err, E_EXHAUSTED, "no memory is left for the rest of the head");
	if (n < 0) {
		c->role->bad_head(c, &err);
		return true;
	}
	if (c->in_eof) {
		(void)err_set(&err, E_IO, "closed %s",
			      c->data.n > 0 ? "in the middle of a head" : "without an answer");
		h1_conn_fail(c, &err);
	}
	return false;
}

static void message_complete(struct h1_conn *c)
{
	const struct stream_handler *h = h1_conn_handler(c);

	c->in_state = IN_DONE;
	if (h->on_end)
		h->on_end(c->stream.arg, c->trailers.fields.n > 0 ? &c->trailers.fields : NULL);
}

static void give_piece(struct h1_conn *c, struct str piece, size_t used)
{
	const struct stream_handler *h = h1_conn_handler(c);

	if (h->on_body && !answered(c)) {
		c->held = used;
		h->on_body(c->stream.arg, piece);
		c->held = 0;
	}
	if (c->phase != H1_GONE)
		h1_input_consume(c, used);
}

/* No more input is at hand, and none may come. */
static bool body_starved(struct h1_conn *c)
{
	struct err err = ERR_INIT;

	if (!c->in_eof)
		return false;
	if (h1_body_eof(&c->body, &err) == 0)
		return true;
	h1_conn_fail(c, &err);
	return false;
}

/* Where the next request would start nobody knows, so this one can be answered at most. */
static void bad_body(struct h1_conn *c, const struct err *err)
{
	const struct stream_handler *h = h1_conn_handler(c);

	if (c->server && c->out_state == OUT_HEAD && h->on_bad) {
		c->in_state = IN_BAD;
		c->close_after = true;
		h->on_bad(c->stream.arg, err);
		if (c->phase != H1_OPEN || c->out_state != OUT_HEAD)
			return;
	}
	h1_conn_fail(c, err);
}

static bool step_in_body(struct h1_conn *c)
{
	struct err err = ERR_INIT;
	struct str piece;
	size_t used;

	/* A message without further bytes ends even so: pausing holds back on_body only. */
	if (c->paused && !answered(c) && c->body.state != H1_BODY_DONE) {
		if (c->in_eof && c->server && !c->switched)
			c->role->eof_after_message(c);
		return false;
	}
	switch (h1_body_next(&c->body, c->data, &piece, &used, &c->trailers, &err)) {
	case H1_PIECE:
		give_piece(c, piece, used);
		return true;
	case H1_MORE:
		h1_input_consume(c, used);
		return body_starved(c);
	case H1_END:
		h1_input_consume(c, used);
		message_complete(c);
		return true;
	case H1_BAD:
		break;
	}
	bad_body(c, &err);
	return c->phase == H1_OPEN;
}

static bool step_in_done(struct h1_conn *c)
{
	if (c->in_eof && !c->switched)
		c->role->eof_after_message(c);
	return false;
}

/* Whoever judges the request may decide that no switch was asked for, or answer something else. */
static bool step_in_held(struct h1_conn *c)
{
	if (c->msg.upgrade.n > 0 && c->out_state == OUT_HEAD)
		return step_in_done(c);
	c->in_state = IN_BODY;
	return true;
}

static bool step_in_bad(struct h1_conn *c)
{
	h1_input_consume(c, c->data.n);
	return step_in_done(c);
}

static bool step_in_tunnel(struct h1_conn *c)
{
	(void)c;
	return false;
}

bool h1_input_step(struct h1_conn *c)
{
	static h1_conn_fn *const steps[] = {
		[IN_HEAD] = step_in_head, [IN_HELD] = step_in_held, [IN_BODY] = step_in_body,
		[IN_DONE] = step_in_done, [IN_BAD] = step_in_bad,   [IN_TUNNEL] = step_in_tunnel,
	};
	return steps[c->in_state](c);
}

struct buf h1_input_take(struct h1_conn *c)
{
	struct buf in;

	/* What a callback is looking at is used; what was read with it is not. */
	h1_input_consume(c, c->held);
	c->held = 0;
	if (c->in_scratch)
		h1_input_stash(c);
	in = c->in;
	buf_init(&c->in, 0);
	return in;
}
