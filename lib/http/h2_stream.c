/* One stream: what stream.h promises, for both roles. */
#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h2_conn_impl.h"

#define TRAILER_ARENA KIB(32)

const struct stream_handler *h2_stream_handler(const struct h2_stream *s)
{
	static const struct stream_handler none = { .on_head = NULL };

	return s->announced && s->stream.handler ? s->stream.handler : &none;
}

struct h2_stream *h2_stream_of(struct stream *s)
{
	return container_of(s, struct h2_stream, stream);
}

/* --- life ----------------------------------------------------------------------------------- */

struct h2_stream *h2_stream_new(struct h2_conn *c)
{
	struct h2_stream *s = mem_new(struct h2_stream);

	s->stream.ops = &h2_stream_ops;
	s->c = c;
	s->last_active = loop_now(c->loop);
	buf_init(&s->in, c->server ? H2_SERVER_WINDOW : H2_CLIENT_WINDOW);
	buf_init(&s->out, PROXY_OUT_MAX);
	arena_init(&s->arena, HTTP_ARENA_MAX);
	arena_init(&s->out_arena, TRAILER_ARENA);
	msg_init(&s->msg, &s->arena);
	msg_init(&s->trailers, &s->arena);
	s->next = c->streams;
	if (s->next)
		s->next->prev = s;
	c->streams = s;
	c->open++;
	c->used = c->busy = true;
	return s;
}

void h2_stream_free(struct h2_stream *s)
{
	buf_fini(&s->in);
	buf_fini(&s->out);
	arena_fini(&s->arena);
	arena_fini(&s->out_arena);
	free(s);
}

/* n bytes of body will not be looked at again: the peer may send as many more. */
static void give_window(struct h2_stream *s, size_t n)
{
	if (n == 0)
		return;
	if (s->id != 0)
		(void)nghttp2_session_consume(s->c->session, s->id, n);
	else
		(void)nghttp2_session_consume_connection(s->c->session, n);
}

/* What waits to be sent is not wanted any more. */
static void forget_out(struct h2_stream *s)
{
	s->c->queued -= s->out.len;
	buf_clear(&s->out);
}

void h2_stream_remove(struct h2_stream *s)
{
	struct h2_conn *c = s->c;

	if (s->gone)
		return;
	s->gone = true;
	s->announced = false;
	give_window(s, s->in.len);
	buf_clear(&s->in);
	forget_out(s);
	if (s->id != 0)
		(void)nghttp2_session_set_stream_user_data(c->session, s->id, NULL);
	if (s->prev)
		s->prev->next = s->next;
	else
		c->streams = s->next;
	if (s->next)
		s->next->prev = s->prev;
	if (c->head.m == &s->msg || c->head.m == &s->trailers)
		c->head.m = NULL;
	s->next_dead = c->dead;
	c->dead = s;
	c->open--;
	if (c->open == 0)
		c->since = loop_now(c->loop);
	/* Freed from there, after whoever is looking at it now. */
	loop_defer(c->loop, &c->work, c->work.fn, c);
	h2_conn_wake(c);
}

void h2_stream_fail(struct h2_stream *s, const struct err *err)
{
	const struct stream_handler *h = h2_stream_handler(s);
	void *arg = s->stream.arg;

	if (s->gone)
		return;
	h2_stream_remove(s);
	if (h->on_fail)
		h->on_fail(arg, err);
}

void h2_stream_reset(struct h2_stream *s, uint32_t code)
{
	if (s->id != 0)
		(void)nghttp2_submit_rst_stream(s->c->session, NGHTTP2_FLAG_NONE, s->id, code);
}

/* --- incoming ------------------------------------------------------------------------------- */

/* A switch was asked for: what follows is nothing until that is answered. */
static bool is_held(const struct h2_stream *s)
{
	return s->msg.extended_connect && s->out_state == H2_OUT_HEAD;
}

/* Nobody wants the rest of the message: it is answered already, or broken, or never was one. */
static bool read_past(const struct h2_stream *s)
{
	if (s->in_state != H2_IN_BODY)
		return true;
	if (s->msg.extended_connect)
		return !s->switched && !is_held(s);
	return s->c->server && s->out_state == H2_OUT_DONE;
}

static void give_piece(struct h2_stream *s, struct str piece)
{
	const struct stream_handler *h = h2_stream_handler(s);

	if (h->on_body && !read_past(s))
		h->on_body(s->stream.arg, piece);
}

static void message_complete(struct h2_stream *s)
{
	const struct stream_handler *h = h2_stream_handler(s);
	const bool silent = read_past(s);

	s->in_state = H2_IN_DONE;
	if (h->on_end && !silent)
		h->on_end(s->stream.arg, s->trailers.fields.n > 0 ? &s->trailers.fields : NULL);
	h2_conn_wake(s->c);
}

void h2_stream_bad_body(struct h2_stream *s, const struct err *err)
{
	const struct stream_handler *h = h2_stream_handler(s);

	(void)h2_conn_tire(s->c, H2_COST_RESET);
	if (s->c->server && s->out_state == H2_OUT_HEAD && h->on_bad) {
		s->in_state = H2_IN_BAD;
		s->reset_reason = NGHTTP2_PROTOCOL_ERROR;
		h->on_bad(s->stream.arg, err);
		if (s->gone || s->out_state != H2_OUT_HEAD)
			return;
	}
	h2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR);
	h2_stream_fail(s, err);
}

/* The peer keeps to its window, which it was given when there was memory for it. */
static void give_up(struct h2_stream *s)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, E_EXHAUSTED, "no memory is left for what came and cannot go on");
	h2_stream_reset(s, s->c->server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
	h2_stream_fail(s, &err);
}

void h2_stream_input(struct h2_stream *s, struct str piece)
{
	struct err err = ERR_INIT;

	s->last_active = loop_now(s->c->loop);
	if (s->in_state == H2_IN_HEAD) {
		(void)err_set(&err, E_BAD, "a body before its head");
	} else if (read_past(s)) {
		give_window(s, piece.n);
		return;
	} else if (s->in_counted && piece.n > s->in_left) {
		(void)err_set(&err, E_BAD, "a body longer than announced");
	} else if ((s->paused || is_held(s) || s->in.len > 0) && budget_level() == BUDGET_SPENT) {
		give_window(s, piece.n);
		give_up(s);
		return;
	} else if (s->paused || is_held(s) || s->in.len > 0) {
		s->in_left -= s->in_counted ? piece.n : 0;
		if (buf_add(&s->in, piece, &err) == 0)
			return;
	} else {
		s->in_left -= s->in_counted ? piece.n : 0;
		give_piece(s, piece);
		give_window(s, piece.n);
		return;
	}
	give_window(s, piece.n);
	h2_stream_bad_body(s, &err);
}

void h2_stream_input_end(struct h2_stream *s)
{
	struct err err = ERR_INIT;

	s->in_end = true;
	if (!read_past(s) && s->in_counted && s->in_left > 0) {
		(void)err_set(&err, E_BAD, "a body shorter than announced");
		h2_stream_bad_body(s, &err);
	} else if (s->in.len == 0 && s->in_state != H2_IN_BAD && !is_held(s)) {
		message_complete(s);
	} else {
		h2_conn_wake(s->c);
	}
}

void h2_stream_cut(struct h2_stream *s, const struct err *err)
{
	if (s->out_broken)
		return;
	if (s->id != 0)
		(void)nghttp2_session_set_stream_user_data(s->c->session, s->id, NULL);
	s->id = 0;
	if (s->c->server || !s->in_end) {
		h2_stream_fail(s, err);
		return;
	}
	/* RFC 9113 8.1: the answer is complete, the rest of the request is of no use to anybody. */
	s->out_broken = true;
	forget_out(s);
	h2_conn_wake(s->c);
}

/* Body that came while the stream was paused. */
static bool step_in(struct h2_stream *s)
{
	bool moved = false;

	if (is_held(s))
		return false;
	while (!s->gone && s->in.len > 0 && (!s->paused || read_past(s))) {
		struct str piece = str_sub(buf_str(&s->in), 0, PROXY_READ_SIZE);

		give_piece(s, piece);
		moved = true;
		if (s->gone)
			break;
		buf_consume(&s->in, piece.n);
		give_window(s, piece.n);
	}
	if (!s->gone && s->in_end && s->in.len == 0 && s->in_state == H2_IN_BODY) {
		message_complete(s);
		moved = true;
	}
	return moved;
}

/* --- outgoing ------------------------------------------------------------------------------- */

/* nghttp2 asks how much of the body the next frame shall hold. */
static nghttp2_ssize read_source(nghttp2_session *session, int32_t id, uint8_t *to, size_t n,
				 uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct err err = ERR_INIT;
	nghttp2_nv *nv;

	(void)to;
	(void)source;
	(void)arg;
	if (!s || s->gone)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (s->out.len == 0 && s->out_state != H2_OUT_DONE) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n < s->out.len || s->out_state != H2_OUT_DONE)
		return (nghttp2_ssize)(n < s->out.len ? n : s->out.len);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->out_trailers.n > 0) {
		nv = h2_session_nv(&s->out_trailers, &s->out_arena, &err);
		if (!nv || nghttp2_submit_trailer(session, id, nv, s->out_trailers.n) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (nghttp2_ssize)s->out.len;
}

nghttp2_data_provider2 h2_stream_source(void)
{
	return (nghttp2_data_provider2){ .read_callback = read_source };
}

int h2_stream_send(struct h2_stream *s, struct str frame_head, size_t n)
{
	struct h2_conn *c = s->c;

	if (n > s->out.len || buf_add(&c->out, frame_head, NULL) < 0 ||
	    buf_add(&c->out, str_sub(buf_str(&s->out), 0, n), NULL) < 0)
		return -1;
	c->out_made += frame_head.n + n;
	buf_consume(&s->out, n);
	c->queued -= n;
	s->last_active = loop_now(c->loop);
	if (s->was_high && s->out.len <= budget_queue_low()) {
		s->was_high = false;
		s->drained = true;
		h2_conn_wake(c);
	}
	return 0;
}

static void resume(struct h2_stream *s)
{
	if (s->deferred && s->id != 0)
		(void)nghttp2_session_resume_data(s->c->session, s->id);
	s->deferred = false;
	h2_conn_wake(s->c);
}

static bool step_drain(struct h2_stream *s)
{
	const struct stream_handler *h = h2_stream_handler(s);

	if (!s->drained)
		return false;
	s->drained = false;
	if (h->on_drain)
		h->on_drain(s->stream.arg);
	return true;
}

/* --- the end -------------------------------------------------------------------------------- */

static bool is_over(const struct h2_stream *s)
{
	const bool sent = s->end_sent && s->c->out_written >= s->end_at;

	return s->out_state == H2_OUT_DONE && (sent || s->out_broken) &&
	       (s->in_state == H2_IN_DONE || (s->c->server && !s->switched));
}

static bool step_over(struct h2_stream *s)
{
	const struct stream_handler *h = h2_stream_handler(s);
	void *arg = s->stream.arg;

	if (!is_over(s))
		return false;
	/* RFC 9113 8.1: answered before the request was complete; nobody reads the rest. A client
	 * that sends on after the whole answer is stopped the same way. */
	h2_stream_reset(s, s->reset_reason);
	h2_stream_remove(s);
	if (h->on_done)
		h->on_done(arg);
	return true;
}

bool h2_stream_step(struct h2_stream *s)
{
	bool moved = step_drain(s);

	if (!s->gone)
		moved |= step_in(s);
	if (!s->gone)
		moved |= step_over(s);
	return moved;
}

/* --- stream.h ------------------------------------------------------------------------------- */

static int check_open(const struct h2_stream *s, struct err *err)
{
	if (s->gone || !s->announced || s->c->phase != H2_OPEN)
		return err_set(err, E_IO, "the connection is gone");
	return 0;
}

static int op_head(struct stream *stream, const struct msg *m, struct err *err)
{
	struct h2_stream *s = h2_stream_of(stream);

	if (check_open(s, err) < 0)
		return -1;
	if (s->out_state != H2_OUT_HEAD)
		return err_set(err, E_BAD, "a second head in one message");
	if ((s->c->server ? h2_server_write_head : h2_client_write_head)(s, m, err) < 0)
		return -1;
	s->last_active = loop_now(s->c->loop);
	h2_conn_wake(s->c);
	return 0;
}

/* A client that grants no window could have us keep as much for each of its streams. */
static size_t queue_high(const struct h2_stream *s)
{
	const size_t high = budget_queue_high();

	return s->c->queued > H2_QUEUED_HIGH && high > PROXY_OUT_SHORT ? PROXY_OUT_SHORT : high;
}

static int op_body(struct stream *stream, struct str piece, struct err *err)
{
	struct h2_stream *s = h2_stream_of(stream);

	if (check_open(s, err) < 0)
		return -1;
	if (s->out_state != H2_OUT_BODY)
		return err_set(err, E_BAD, "a body without a head");
	if (piece.n == 0 || s->out_mute || s->out_broken)
		return 0;
	if (s->out_counted && piece.n > s->out_left)
		return err_set(err, E_BAD, "a body longer than announced");
	if (buf_add(&s->out, piece, NULL) < 0)
		return err_set(err, E_LIMIT, "the peer does not take what was sent");
	s->out_left -= s->out_counted ? piece.n : 0;
	s->c->queued += piece.n;
	if (s->out.len > queue_high(s))
		s->was_high = true;
	resume(s);
	return 0;
}

static int keep_trailers(struct h2_stream *s, const struct fields *trailers, struct err *err)
{
	struct msg copy;

	/* Copies: the caller's live during the call. */
	msg_init(&copy, &s->out_arena);
	for (size_t i = 0; i < trailers->n; i++)
		if (msg_add(&copy, trailers->v[i].name, trailers->v[i].value, err) < 0)
			return -1;
	return h2_write_trailers(&copy.fields, &s->out_arena, &s->out_trailers, err);
}

static int op_end(struct stream *stream, const struct fields *trailers, struct err *err)
{
	struct h2_stream *s = h2_stream_of(stream);

	if (check_open(s, err) < 0)
		return -1;
	if (s->out_state != H2_OUT_BODY)
		return err_set(err, E_BAD, "the end of a message without a head");
	if (!s->out_mute && !s->out_broken) {
		if (s->out_counted && s->out_left > 0)
			return err_set(err, E_BAD, "a body %llu bytes shorter than announced",
				       (unsigned long long)s->out_left);
		if (trailers && keep_trailers(s, trailers, err) < 0)
			return -1;
	}
	s->out_state = H2_OUT_DONE;
	resume(s);
	return 0;
}

static size_t op_queued(const struct stream *s)
{
	return container_of_const(s, struct h2_stream, stream)->out.len;
}

static bool op_full(const struct stream *s)
{
	return container_of_const(s, struct h2_stream, stream)->was_high;
}

static void op_pause(struct stream *stream, bool paused)
{
	struct h2_stream *s = h2_stream_of(stream);

	if (s->gone || s->paused == paused)
		return;
	s->paused = paused;
	h2_conn_wake(s->c);
}

static void op_abort(struct stream *stream)
{
	struct h2_stream *s = h2_stream_of(stream);

	if (s->gone || s->c->phase == H2_GONE)
		return;
	/* A server that breaks off must not let its cut body pass for a whole one. */
	h2_stream_reset(s, s->c->server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
	h2_stream_remove(s);
}

static void op_close_after(struct stream *s)
{
	(void)s; /* means nothing to the other streams */
}

const struct stream_ops h2_stream_ops = {
	.head = op_head,
	.body = op_body,
	.end = op_end,
	.queued = op_queued,
	.full = op_full,
	.pause = op_pause,
	.abort = op_abort,
	.close_after = op_close_after,
};
