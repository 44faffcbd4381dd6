/* The outgoing half: what stream.h promises, for both roles. */
#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h1_conn_impl.h"

#define CHUNK_OVERHEAD 20 /* size line and final CRLF */

static int check_open(const struct h1_conn *c, struct err *err)
{
	if (c->phase != H1_OPEN || !c->announced)
		return err_set(err, E_IO, "the connection is gone");
	return 0;
}

static int op_head(struct stream *s, const struct msg *m, struct err *err)
{
	struct h1_conn *c = h1_conn_of(s);

	if (check_open(c, err) < 0)
		return -1;
	if (c->out_state != OUT_HEAD)
		return err_set(err, E_BAD, "a second head in one message");
	if (c->role->write_head(c, m, err) < 0)
		return -1;
	h1_conn_wake(c);
	return 0;
}

static int add_chunk(struct buf *to, struct str piece, struct err *err)
{
	if (h1_write_chunk_head(to, piece.n, err) < 0 || buf_add(to, piece, err) < 0)
		return -1;
	return buf_add(to, STR("\r\n"), err);
}

/*
 * Large pieces go straight to the peer while it takes them, and small ones gather in the queue:
 * neither is a megabyte kept that the socket would have taken, nor a packet sent for each line.
 */
static int add_bytes(struct h1_conn *c, struct str s, struct err *err)
{
	/* One for the process: it is filled and written within one call. */
	static struct buf chunk = BUF_INIT(PROXY_OUT_MAX);
	const bool direct = s.n >= H1_DIRECT_MIN && c->out.len == 0;

	if (c->out_framing == BODY_CHUNKED) {
		buf_truncate(&chunk, 0);
		if (add_chunk(direct ? &chunk : &c->out, s, err) < 0)
			return -1;
		s = buf_str(&chunk);
	}
	if (direct)
		s = str_from(s, h1_conn_write(c, s));
	return buf_add(&c->out, s, err);
}

static int add_piece(struct h1_conn *c, struct str piece, struct err *err)
{
	if (buf_room(&c->out) < CHUNK_OVERHEAD || piece.n > buf_room(&c->out) - CHUNK_OVERHEAD)
		return err_set(err, E_LIMIT, "the peer does not take what was sent");
	if (c->out_framing == BODY_NONE)
		return err_set(err, E_BAD, "a body in a message that has none");
	if (c->out_framing == BODY_LENGTH) {
		if (piece.n > c->out_left)
			return err_set(err, E_BAD, "a body longer than announced");
		c->out_left -= piece.n;
	}
	return add_bytes(c, piece, err);
}

static int op_body(struct stream *s, struct str piece, struct err *err)
{
	struct h1_conn *c = h1_conn_of(s);

	if (check_open(c, err) < 0)
		return -1;
	if (c->out_state != OUT_BODY)
		return err_set(err, E_BAD, "a body without a head");
	if (piece.n == 0 || c->out_mute || c->out_broken)
		return 0;
	if (add_piece(c, piece, err) < 0)
		return -1;
	if (c->out.len > budget_queue_high())
		c->was_high = true;
	if (c->out.len > 0)
		h1_conn_wake(c);
	return 0;
}

static int op_end(struct stream *s, const struct fields *trailers, struct err *err)
{
	struct h1_conn *c = h1_conn_of(s);

	if (check_open(c, err) < 0)
		return -1;
	if (c->out_state != OUT_BODY)
		return err_set(err, E_BAD, "the end of a message without a head");
	if (!c->out_mute && !c->out_broken) {
		if (c->out_framing == BODY_LENGTH && c->out_left > 0)
			return err_set(err, E_BAD, "a body %llu bytes shorter than announced",
				       (unsigned long long)c->out_left);
		if (c->out_framing == BODY_CHUNKED &&
		    h1_write_last_chunk(&c->out, trailers, err) < 0)
			return -1;
	}
	c->out_state = OUT_DONE;
	h1_conn_wake(c);
	return 0;
}

static size_t op_queued(const struct stream *s)
{
	return container_of_const(s, struct h1_conn, stream)->out.len;
}

static bool op_full(const struct stream *s)
{
	return container_of_const(s, struct h1_conn, stream)->was_high;
}

static void op_pause(struct stream *s, bool paused)
{
	struct h1_conn *c = h1_conn_of(s);

	if (c->phase != H1_OPEN || c->paused == paused)
		return;
	c->paused = paused;
	h1_conn_wake(c);
}

static void op_abort(struct stream *s)
{
	struct h1_conn *c = h1_conn_of(s);

	if (c->phase == H1_GONE)
		return;
	c->announced = false;
	h1_conn_drop(c, true);
}

static void op_close_after(struct stream *s)
{
	h1_conn_of(s)->close_after = true;
}

const struct stream_ops h1_stream_ops = {
	.head = op_head,
	.body = op_body,
	.end = op_end,
	.queued = op_queued,
	.full = op_full,
	.pause = op_pause,
	.abort = op_abort,
	.close_after = op_close_after,
};
