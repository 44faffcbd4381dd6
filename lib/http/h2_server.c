#include "http/h2_conn.h"

#include "base/limits.h"
#include "base/mem.h"
#include "http/h2_conn_impl.h"

/* Answered at most (RFC 9113 8.1.1); what comes of the body is passed over. */
static void bad_request(struct h2_stream *s, const struct err *err)
{
	struct h2_conn *c = s->c;

	(void)h2_conn_tire(c, H2_COST_RESET);
	s->in_state = H2_IN_BAD;
	s->reset_reason = NGHTTP2_PROTOCOL_ERROR;
	s->announced = true;
	/* Whatever was read of the head before it went wrong is not to be believed. */
	msg_init(&s->msg, &s->arena);
	s->msg.version = HTTP_2;
	c->server->on_bad_request(c->arg, &s->stream, err);
	if (s->gone || c->phase != H2_OPEN || s->out_state != H2_OUT_HEAD)
		return;
	h2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR);
	h2_stream_fail(s, err);
}

void h2_server_head(struct h2_stream *s, bool end_stream)
{
	struct h2_conn *c = s->c;
	struct err err = ERR_INIT;

	s->in_end = end_stream;
	if (h2_head_finish(&c->head, end_stream, STR_NONE, &err) < 0) {
		bad_request(s, &err);
		return;
	}
	s->is_head = str_eqz(s->msg.method, "HEAD");
	s->in_state = H2_IN_BODY;
	s->in_counted = s->msg.framing != BODY_CHUNKED;
	s->in_left = s->msg.length;
	s->announced = true;
	c->server->on_request(c->arg, &s->stream, &s->msg);
	if (end_stream && !s->gone && c->phase == H2_OPEN)
		h2_stream_input_end(s);
}

static int write_head(struct h2_stream *s, const struct msg *m, struct err *err)
{
	const nghttp2_data_provider2 source = h2_stream_source();
	const bool interim = m->status < 200;
	const bool mute = s->is_head || m->status == 204 || m->status == 304;
	const bool counted = m->framing == BODY_LENGTH || m->framing == BODY_NONE;
	const bool has_body = !mute && (!counted || m->length > 0);
	struct fields fields;
	struct arena arena;
	nghttp2_nv *nv = NULL;
	int rc = -1;

	arena_init(&arena, HTTP_ARENA_MAX);
	if (h2_write_response(m, &arena, &fields, err) == 0)
		nv = h2_session_nv(&fields, &arena, err);
	if (nv && interim)
		rc = nghttp2_submit_headers(s->c->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv,
					    fields.n, NULL);
	else if (nv)
		rc = nghttp2_submit_response2(s->c->session, s->id, nv, fields.n,
					      has_body ? &source : NULL);
	arena_fini(&arena);
	if (!nv)
		return -1;
	if (rc < 0)
		return err_set(err, E_IO, "the head cannot be sent: %s", nghttp2_strerror(rc));
	if (interim)
		return 0;
	s->out_mute = mute;
	s->out_counted = counted;
	s->out_left = counted ? m->length : 0;
	s->out_state = H2_OUT_BODY;
	return 0;
}

/*
 * RFC 8441 5: a 2xx opens the tunnel, which is what 101 means in a message. Another 2xx would open
 * one by mistake.
 */
static int grant(struct h2_stream *s, const struct msg *m, struct err *err)
{
	struct msg out = *m;

	if (m->status != 101)
		return err_set(err, E_BAD, "an answer that would open a tunnel");
	out.status = 200;
	out.framing = BODY_CHUNKED;
	if (write_head(s, &out, err) < 0)
		return -1;
	s->switched = true;
	return 0;
}

int h2_server_write_head(struct h2_stream *s, const struct msg *m, struct err *err)
{
	if (s->msg.extended_connect && (m->status == 101 || m->status / 100 == 2))
		return grant(s, m, err);
	return write_head(s, m, err);
}

struct h2_conn *h2_server_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h2_server_handler *h, void *arg)
{
	struct h2_conn *c = h2_conn_new(l, f, t, arg);

	c->server = h;
	h2_session_init(c, true);
	return c;
}
