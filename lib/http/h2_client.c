#include "http/h2_conn.h"

#include "base/limits.h"
#include "base/mem.h"
#include "http/h2_conn_impl.h"

static void bad_response(struct h2_stream *s, const struct err *err)
{
	(void)h2_conn_tire(s->c, H2_COST_RESET);
	h2_stream_reset(s, NGHTTP2_PROTOCOL_ERROR);
	h2_stream_fail(s, err);
}

void h2_client_head(struct h2_stream *s, bool end_stream)
{
	const struct str method = s->is_head ? STR("HEAD") : STR("GET");
	struct h2_conn *c = s->c;
	struct err err = ERR_INIT;

	if (h2_head_finish(&c->head, end_stream, method, &err) == 0 && s->msg.status < 200 &&
	    ++s->interims > HTTP_INTERIM_MAX)
		(void)err_set(&err, E_LIMIT, "more than %d interim responses", HTTP_INTERIM_MAX);
	if (err.code != E_NONE) {
		bad_response(s, &err);
		return;
	}
	c->answered = true;
	if (s->msg.status >= 200) {
		s->in_state = H2_IN_BODY;
		s->in_counted = s->msg.framing != BODY_CHUNKED;
		s->in_left = s->msg.length;
		s->in_end = end_stream;
	}
	if (h2_stream_handler(s)->on_head)
		h2_stream_handler(s)->on_head(s->stream.arg, &s->msg);
	if (end_stream && !s->gone && c->phase == H2_OPEN)
		h2_stream_input_end(s);
}

int h2_client_write_head(struct h2_stream *s, const struct msg *m, struct err *err)
{
	const nghttp2_data_provider2 source = h2_stream_source();
	const bool counted = m->framing != BODY_CHUNKED;
	const bool has_body = !counted || m->length > 0;
	struct fields fields;
	struct arena arena;
	nghttp2_nv *nv = NULL;
	int32_t id = -1;

	arena_init(&arena, HTTP_ARENA_MAX);
	if (h2_write_request(m, &arena, &fields, err) == 0)
		nv = h2_session_nv(&fields, &arena, err);
	if (nv)
		id = nghttp2_submit_request2(s->c->session, NULL, nv, fields.n,
					     has_body ? &source : NULL, s);
	arena_fini(&arena);
	if (!nv)
		return -1;
	if (id < 0)
		return err_set(err, E_IO, "the head cannot be sent: %s", nghttp2_strerror(id));
	s->id = id;
	s->is_head = str_eqz(m->method, "HEAD");
	s->out_counted = counted;
	s->out_left = counted ? m->length : 0;
	s->out_state = H2_OUT_BODY;
	return 0;
}

unsigned h2_client_room(const struct h2_conn *c)
{
	uint32_t max;

	if (c->phase != H2_OPEN || c->draining || c->in_eof || c->broken || c->terminated ||
	    !nghttp2_session_check_request_allowed(c->session))
		return 0;
	max = nghttp2_session_get_remote_settings(c->session,
						  NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	if (max > H2_CLIENT_STREAMS_MAX)
		max = H2_CLIENT_STREAMS_MAX;
	return max > c->open ? max - c->open : 0;
}

struct stream *h2_client_start(struct h2_conn *c, const struct stream_handler *h, void *arg)
{
	struct h2_stream *s = h2_stream_new(c);

	s->announced = true;
	s->reset_reason = NGHTTP2_CANCEL;
	stream_handle(&s->stream, h, arg);
	return &s->stream;
}

struct h2_conn *h2_client_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h2_client_handler *h, void *arg)
{
	struct h2_conn *c = h2_conn_new(l, f, t, arg);

	c->client = h;
	h2_session_init(c, false);
	return c;
}
