/* The seam to nghttp2: its settings, and what it tells us. */
#include <nghttp2/nghttp2.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h2_conn_impl.h"

/* --- what comes in -------------------------------------------------------------------------- */

static struct h2_stream *find(nghttp2_session *session, int32_t id)
{
	return id == 0 ? NULL : nghttp2_session_get_stream_user_data(session, id);
}

/* What a callback returns: no more of this input is to be looked at? */
static int go_on(const struct h2_conn *c)
{
	return c->phase != H2_OPEN || c->patience < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* A fair share for each stream: without it nghttp2 serves them one after the other (RFC 9218 10). */
static void share(nghttp2_session *session, int32_t id)
{
	nghttp2_extpri fair = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1 };

	(void)nghttp2_session_change_extpri_stream_priority(session, id, &fair, 1);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *c = arg;
	const int32_t id = frame->hd.stream_id;
	struct h2_stream *s = find(session, id);

	if (c->phase != H2_OPEN)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	c->in_head = true;
	c->head_since = loop_now(c->loop);
	h2_head_fini(&c->head);
	c->head = (struct h2_head){ .m = NULL };
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && c->server &&
	    budget_level() == BUDGET_SPENT) {
		/* Not even for an answer. */
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
						NGHTTP2_REFUSED_STREAM);
	} else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && c->server) {
		s = h2_stream_new(c);
		s->id = id;
		(void)nghttp2_session_set_stream_user_data(session, id, s);
		share(session, id);
		h2_head_init(&c->head, H2_REQUEST, &s->msg);
	} else if (s && s->in_state == H2_IN_HEAD) {
		/* An interim head is forgotten when the next one comes. */
		arena_reset(&s->arena);
		msg_init(&s->msg, &s->arena);
		msg_init(&s->trailers, &s->arena);
		h2_head_init(&c->head, H2_RESPONSE, &s->msg);
	} else if (s && s->in_state == H2_IN_BODY) {
		h2_head_init(&c->head, H2_TRAILERS, &s->trailers);
	}
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
	struct h2_conn *c = arg;

	(void)session;
	(void)frame;
	(void)flags;
	if (c->head.m)
		h2_head_field(&c->head, str_mem(name, name_n), str_mem(value, value_n));
	else
		c->head.size += name_n + value_n;
	if (c->head.size > H2_HEAD_WASTE_MAX)
		c->patience = -1;
	return go_on(c);
}

static void trailers_complete(struct h2_conn *c, struct h2_stream *s, bool end_stream)
{
	struct err err = ERR_INIT;

	if (c->head.m == &s->trailers && h2_head_finish(&c->head, end_stream, STR_NONE, &err) < 0)
		h2_stream_bad_body(s, &err);
	else if (end_stream)
		h2_stream_input_end(s);
}

static void headers_complete(struct h2_conn *c, struct h2_stream *s, bool end_stream)
{
	c->in_head = false;
	if (!s)
		return;
	s->last_active = loop_now(c->loop);
	if (s->in_state != H2_IN_HEAD)
		trailers_complete(c, s, end_stream);
	else if (c->server)
		h2_server_head(s, end_stream);
	else
		h2_client_head(s, end_stream);
	h2_head_fini(&c->head);
	c->head = (struct h2_head){ .m = NULL };
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *s = find(session, frame->hd.stream_id);
	const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (c->phase != H2_OPEN)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		headers_complete(c, s, end_stream);
		break;
	case NGHTTP2_DATA:
		if (end_stream && s)
			h2_stream_input_end(s);
		else if (!end_stream && frame->hd.length == 0)
			(void)h2_conn_tire(c, H2_COST_FRAME);
		break;
	case NGHTTP2_RST_STREAM:
		/* Work was done in vain, unless all of it was sent already. */
		if (s && !s->end_sent)
			(void)h2_conn_tire(c, H2_COST_RESET);
		break;
	case NGHTTP2_SETTINGS:
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
			(void)h2_conn_tire(c, H2_COST_SETTINGS);
		break;
	case NGHTTP2_PING:
	case NGHTTP2_PRIORITY:
		(void)h2_conn_tire(c, H2_COST_FRAME);
		break;
	case NGHTTP2_GOAWAY:
		c->draining = true;
		break;
	default:
		break;
	}
	return go_on(c);
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
			    void *arg)
{
	struct h2_conn *c = arg;

	(void)session;
	(void)frame;
	(void)code;
	(void)h2_conn_tire(c, H2_COST_RESET);
	return go_on(c);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t n, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *s = find(session, id);

	(void)flags;
	if (c->phase != H2_OPEN)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (s)
		h2_stream_input(s, str_mem(data, n));
	else
		(void)nghttp2_session_consume(session, id, n);
	return go_on(c);
}

/* Both directions are over for nghttp2, or a reset came or went out. */
static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *s = find(session, id);
	struct err err = ERR_INIT;

	if (!s || c->phase != H2_OPEN)
		return 0;
	s->id = 0;
	if (s->end_sent && s->in_end) {
		h2_conn_wake(c); /* in order; on_done when all is delivered */
		return 0;
	}
	if (c->server && s->end_sent) {
		/* The client has its answer and takes back the rest of its request. */
		s->in_state = H2_IN_DONE;
		h2_conn_wake(c);
		return 0;
	}
	(void)err_set(&err,
		      code == NGHTTP2_REFUSED_STREAM || (c->client && !s->head_sent) ? E_CANCELLED
										     : E_IO,
		      "the stream was reset (%s)", h2_reason(code));
	h2_stream_cut(s, &err);
	return 0;
}

/* --- what goes out -------------------------------------------------------------------------- */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *s = find(session, frame->hd.stream_id);
	const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
	    c->phase == H2_OPEN && !c->terminated) {
		c->terminated = true;
		(void)err_set(
			&c->why,
			frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM ? E_LIMIT : E_BAD,
			"the peer broke the protocol (%s)", h2_reason(frame->goaway.error_code));
	}
	if (!s)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		s->head_sent = true;
	if (end_stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)) {
		s->end_sent = true;
		s->end_at = c->out_made;
	}
	return 0;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
			size_t n, nghttp2_data_source *source, void *arg)
{
	struct h2_conn *c = arg;
	struct h2_stream *s = find(session, frame->hd.stream_id);

	(void)source;
	if (!s || h2_stream_send(s, str_mem(head, 9), n) < 0)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	/* Else nghttp2 goes on with the next one. */
	return c->out.len < H2_OUT_FILL ? 0 : NGHTTP2_ERR_PAUSE;
}

int h2_session_fill(struct h2_conn *c, struct err *err)
{
	while (c->out.len < H2_OUT_FILL) {
		const uint8_t *data;
		const size_t before = c->out.len;
		nghttp2_ssize n = nghttp2_session_mem_send2(c->session, &data);

		if (n < 0)
			return err_set(err, E_IO, "HTTP/2: %s", nghttp2_strerror((int)n));
		if (n > 0 && buf_add(&c->out, str_mem(data, (size_t)n), err) < 0)
			return -1;
		c->out_made += (uint64_t)n;
		if (c->out.len == before)
			return 0;
	}
	return 0;
}

/* --- input ---------------------------------------------------------------------------------- */

const char *h2_reason(uint32_t code)
{
	return nghttp2_http2_strerror(code);
}

static int refused(const struct h2_conn *c, int rc, uint32_t *reason, struct err *err)
{
	*reason = NGHTTP2_ENHANCE_YOUR_CALM;
	if (c->patience < 0)
		return err_set(err, E_LIMIT, "the peer wastes resources");
	switch (rc) {
	case NGHTTP2_ERR_FLOODED:
	case NGHTTP2_ERR_TOO_MANY_SETTINGS:
	case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
		return err_set(err, E_LIMIT, "HTTP/2: %s", nghttp2_strerror(rc));
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
		*reason = NGHTTP2_PROTOCOL_ERROR;
		return err_set(err, E_BAD, "this is not HTTP/2");
	default:
		*reason = NGHTTP2_INTERNAL_ERROR;
		return err_set(err, E_BAD, "HTTP/2: %s", nghttp2_strerror(rc));
	}
}

int h2_session_input(struct h2_conn *c, struct str data, uint32_t *reason, struct err *err)
{
	nghttp2_ssize n = nghttp2_session_mem_recv2(c->session, (const uint8_t *)data.p, data.n);

	if (c->phase != H2_OPEN)
		return 0;
	if (nghttp2_session_get_outbound_queue_size(c->session) > H2_QUEUE_MAX)
		c->patience = -1;
	return n < 0 || c->patience < 0 ? refused(c, (int)n, reason, err) : 0;
}

/* --- field sections ------------------------------------------------------------------------- */

/* Never in a compression table, ours or one further on (RFC 7541 7.1.3). */
static bool is_secret(struct str name)
{
	static const char *const names[] = {
		"authorization", "proxy-authorization", "cookie",        "set-cookie", "x-api-key",
		"api-key",       "x-goog-api-key",      "private-token",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqz(name, names[i]))
			return true;
	return false;
}

/* nghttp2 takes pointers to bytes that it will not change. */
static uint8_t *bytes(struct str s)
{
	return (uint8_t *)(uintptr_t)(s.n > 0 ? s.p : "");
}

nghttp2_nv *h2_session_nv(const struct fields *f, struct arena *a, struct err *err)
{
	nghttp2_nv *nv = arena_alloc(a, (f->n + 1) * sizeof(*nv));

	if (!nv) {
		(void)err_set(err, E_LIMIT, "the header fields need too much memory");
		return NULL;
	}
	for (size_t i = 0; i < f->n; i++) {
		const struct field *from = &f->v[i];

		nv[i] = (nghttp2_nv){
			.name = bytes(from->name),
			.namelen = from->name.n,
			.value = bytes(from->value),
			.valuelen = from->value.n,
			.flags = is_secret(from->name) ? NGHTTP2_NV_FLAG_NO_INDEX
						       : NGHTTP2_NV_FLAG_NONE,
		};
	}
	return nv;
}

/* --- settings ------------------------------------------------------------------------------- */

static nghttp2_option *options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o) != 0)
		abort();
	nghttp2_option_set_no_auto_window_update(o, 1);
	/* h2_map reads messages itself: strictly, and so that the client can be told what is wrong.
	 */
	nghttp2_option_set_no_http_messaging(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
	nghttp2_option_set_max_settings(o, H2_SETTINGS_MAX);
	nghttp2_option_set_max_continuations(o, H2_CONTINUATIONS_MAX);
	nghttp2_option_set_max_send_header_block_length(o, HTTP_ARENA_MAX);
	/* Ours (H2_PATIENCE) comes first, and by the loop's clock. */
	nghttp2_option_set_stream_reset_rate_limit(o, 1000 * 1000, 1000 * 1000);
	return o;
}

static nghttp2_session_callbacks *callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	return cb;
}

static void announce(nghttp2_session *session, bool server)
{
	/* The first is for servers, the last for clients (RFC 9113 6.5.2), who may be told of
	 * extended CONNECT (RFC 8441 3). */
	const nghttp2_settings_entry all[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server ? H2_STREAMS_MAX : 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
		  server ? H2_SERVER_WINDOW : H2_CLIENT_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
		server ? (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 }
		       : (nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	};
	const size_t window = server ? H2_SERVER_CONN_WINDOW : H2_CLIENT_CONN_WINDOW;

	if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, all, ARRAY_LEN(all)) != 0 ||
	    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, (int32_t)window) !=
		    0)
		abort();
}

/* Of all this only memory can fail, and that ends the process (see base/mem.h). */
void h2_session_init(struct h2_conn *c, bool server)
{
	nghttp2_session_callbacks *cb = callbacks();
	nghttp2_option *o = options();
	int rc = server ? nghttp2_session_server_new2(&c->session, cb, c, o)
			: nghttp2_session_client_new2(&c->session, cb, c, o);

	if (rc != 0)
		abort();
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(cb);
	announce(c->session, server);
}
