#include "proxy/exchange_impl.h"

#include "base/limits.h"
#include "base/mem.h"

static void close_conn(struct exchange *x)
{
	if (x->up_h1)
		h1_conn_close(x->up_h1);
	if (x->up_h2)
		h2_conn_close(x->up_h2);
	x->up_h1 = NULL;
	x->up_h2 = NULL;
}

void exchange_drop_upstream(struct exchange *x)
{
	upstream_cancel(x->dial);
	x->dial = NULL;
	close_conn(x);
	x->up = NULL;
}

/* Location of a reverse mount points back at the mount (spec 2.2). */
static int map_location(struct exchange *x, struct msg *m, struct err *err)
{
	struct field *f = msg_field(m, "location");
	struct url url;
	struct str tail;

	if (!f || x->mount.n == 0)
		return 0;
	if (str_starts(f->value, STR("/")) && !str_starts(f->value, STR("//"))) {
		tail = f->value;
	} else if (url_parse_absolute(f->value, &url, NULL) == 0 && str_ieqz(url.scheme, "https") &&
		   authority_eq(&url.authority, &x->dest)) {
		tail = url.path.n > 0
			       ? str_mem(url.path.p, (size_t)(f->value.p + f->value.n - url.path.p))
			       : STR("/");
	} else {
		return 0;
	}
	f->value = arena_printf(m->arena, "%.*s%.*s%.*s", STR_ARG(x->mount_base), STR_ARG(x->mount),
				(int)tail.n, tail.p);
	return f->value.p ? 0 : err_set(err, E_LIMIT, "Location is too long");
}

static bool is_coded(const struct msg *m)
{
	for (size_t i = 0; i < m->fields.n; i++) {
		const struct field *f = &m->fields.v[i];

		if (str_ieqz(f->name, "content-encoding") && f->value.n > 0 &&
		    !str_ieqz(f->value, "identity"))
			return true;
	}
	return false;
}

static void on_up_head(void *arg, struct msg *m)
{
	struct exchange *x = arg;
	struct err err = ERR_INIT;

	if (x->over || !x->client)
		return;
	if (m->status == 101) {
		err_set(&err, E_BAD, "the upstream switched protocols unasked");
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (msg_strip_hop(m, &err) < 0 || map_location(x, m, &err) < 0 ||
	    (x->mask && mask_head(x->mask, m, &err) < 0)) {
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (m->status >= 200) {
		if (x->mask && m->framing != BODY_NONE && is_coded(m)) {
			err_set(&err, E_BAD,
				"the upstream sent a coded body although an uncoded one was asked for; "
				"the credential could hide in it");
			exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
			return;
		}
		prom_observe(&x->p->metrics.first_byte, loop_now(x->p->loop) - x->since);
		x->status = m->status;
		x->head_sent = true;
		if (m->framing == BODY_NONE || m->framing == BODY_LENGTH)
			x->announced = m->framing == BODY_NONE ? 0 : m->length;
	}
	if (stream_head(x->client, m, &err) < 0) {
		exchange_note(x, REASON_NONE, &err);
		exchange_cut(x);
	}
}

static void to_client(struct exchange *x, struct str piece)
{
	struct err err = ERR_INIT;

	x->bytes_out += piece.n;
	if (stream_body(x->client, piece, &err) < 0) {
		exchange_note(x, REASON_NONE, &err);
		exchange_cut(x);
		return;
	}
	if (x->up && stream_queued(x->client) > PROXY_OUT_HIGH)
		stream_pause(x->up, true);
}

static void to_client_masked(struct exchange *x, struct str piece, bool last)
{
	struct err err = ERR_INIT;

	if (mask_feed(x->mask, piece, &x->masked, &err) < 0 ||
	    (last && mask_finish(x->mask, &x->masked, &err) < 0)) {
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (x->masked.len > 0)
		to_client(x, buf_str(&x->masked));
	buf_clear(&x->masked);
}

static void on_up_body(void *arg, struct str piece)
{
	struct exchange *x = arg;

	if (x->over || !x->client)
		return;
	if (x->mask)
		to_client_masked(x, piece, false);
	else
		to_client(x, piece);
}

static void on_up_end(void *arg, const struct fields *trailers)
{
	struct exchange *x = arg;
	struct fields masked;
	struct err err = ERR_INIT;

	if (x->over || !x->client)
		return;
	if (x->mask)
		to_client_masked(x, STR_NONE, true);
	if (x->over)
		return;
	if (x->mask && trailers) {
		if (mask_trailers(x->mask, trailers, x->req->arena, &masked, &err) < 0) {
			exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
			return;
		}
		trailers = &masked;
	}
	x->answered = true;
	/* An answer that came before the whole request ends the exchange with the upstream. */
	if (!x->req_ended)
		exchange_drop_upstream(x);
	if (stream_end(x->client, trailers, &err) < 0) {
		exchange_note(x, REASON_UPSTREAM_PROTOCOL, &err);
		exchange_cut(x);
	}
}

static void on_up_drain(void *arg)
{
	struct exchange *x = arg;

	if (!x->over && x->client)
		stream_pause(x->client, false);
}

static void on_up_fail(void *arg, const struct err *err)
{
	struct exchange *x = arg;
	enum reason reason =
		err->code == E_TIMEOUT ? REASON_UPSTREAM_TIMEOUT : REASON_UPSTREAM_PROTOCOL;

	x->up = NULL;
	if (!x->over && !x->answered)
		exchange_fail(x, reason, err);
}

static void on_up_done(void *arg)
{
	struct exchange *x = arg;

	x->up = NULL;
}

static void on_up_closed(void *arg, const struct err *err)
{
	struct exchange *x = arg;

	(void)err;
	x->up_h1 = NULL;
	x->up_h2 = NULL;
	x->up = NULL;
}

static void on_up_idle(void *arg)
{
	close_conn(arg);
}

static void send_request(struct exchange *x)
{
	static const struct stream_handler handler = {
		.on_head = on_up_head,
		.on_body = on_up_body,
		.on_end = on_up_end,
		.on_drain = on_up_drain,
		.on_fail = on_up_fail,
		.on_done = on_up_done,
	};
	char authority[URL_HOST_MAX + 16];
	struct err err = ERR_INIT;

	x->up = x->up_h2 ? h2_client_start(x->up_h2, &handler, x)
			 : h1_client_start(x->up_h1, &handler, x);
	stream_close_after(x->up);
	/* As it is here, which may differ from what the client said (a mount, h1's origin-form). */
	if (x->up_h2)
		x->req->scheme = STR("https");
	if (x->absolute) {
		/* Inside a tunnel the request itself names neither; the destination is settled. */
		authority_text(&x->dest, 80, authority);
		x->req->scheme = STR("http");
		x->req->authority = arena_str(x->req->arena, str_of(authority));
	}
	x->req->form = x->absolute                       ? TARGET_ABSOLUTE
		       : x->req->form == TARGET_ASTERISK ? TARGET_ASTERISK
							 : TARGET_ORIGIN;
	if (stream_head(x->up, x->req, &err) < 0 ||
	    (x->req_ended && stream_end(x->up, NULL, &err) < 0)) {
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (!x->req_ended)
		stream_pause(x->client, false);
}

static void on_dial_ready(void *arg, struct filter *f, enum upstream_speaks speaks)
{
	static const struct h1_client_handler h1 = { on_up_closed, on_up_idle };
	static const struct h2_client_handler h2 = { on_up_closed, on_up_idle };
	struct exchange *x = arg;

	x->dial = NULL;
	x->absolute = speaks == SPEAKS_H1_ABSOLUTE;
	if (speaks == SPEAKS_H2)
		x->up_h2 = h2_client_new(x->p->loop, f, &x->p->upstream_timeouts, &h2, x);
	else
		x->up_h1 = h1_client_new(x->p->loop, f, &x->p->upstream_timeouts, &h1, x);
	send_request(x);
}

static void on_dial_failed(void *arg, const struct upstream_failure *failure)
{
	struct exchange *x = arg;
	struct refusal r = {
		.reason = failure->reason,
		.message = failure->err.text,
		.host = x->host,
		.name = failure->gate_reason[0] ? x->gate_reason : NULL,
		.gate_body = failure->gate_body,
	};

	x->dial = NULL;
	memcpy(x->gate_reason, failure->gate_reason, sizeof(x->gate_reason));
	if (failure->reason == REASON_GATE_REFUSED ||
	    failure->reason == REASON_ADDRESS_NOT_ALLOWED) {
		/* A rule said no, only further on. */
		x->verdict.allow = false;
		x->verdict.reason = failure->reason;
		snprintf(x->verdict.message, sizeof(x->verdict.message), "%.250s",
			 failure->err.text);
		r.status = failure->gate_status >= 400 ? failure->gate_status : 0;
	} else {
		exchange_note(x, failure->reason, &failure->err);
	}
	if (x->client)
		exchange_answer_refusal(x, &r);
	else
		exchange_finish(x);
}

void exchange_forward(struct exchange *x, bool tls)
{
	static const struct upstream_handler handler = { on_dial_ready, on_dial_failed };

	stream_pause(x->client, true);
	x->dial = upstream_dial(x->p, &x->dest, tls ? UPSTREAM_TLS : UPSTREAM_PLAIN, &handler, x);
}
