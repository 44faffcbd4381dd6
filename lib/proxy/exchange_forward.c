#include "proxy/exchange_impl.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

void exchange_drop_upstream(struct exchange *x)
{
	static const struct stream_handler nobody = { .on_head = NULL };

	pool_cancel(x->wait);
	x->wait = NULL;
	/* When both sides of a WebSocket have said all, the last of it may still be on its way. */
	if (x->up && x->switched && x->req_ended && x->answered)
		stream_handle(x->up, &nobody, NULL);
	else if (x->up)
		stream_abort(x->up);
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
	x->up_spoke = true;
	if (exchange_ws_answer(x, m, &err) < 0 || msg_strip_hop(m, &err) < 0 ||
	    map_location(x, m, &err) < 0 || (x->mask && mask_head(x->mask, m, &err) < 0)) {
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (m->status >= 200 || x->switched) {
		if (x->mask && m->framing != BODY_NONE && is_coded(m)) {
			err_set(&err, E_BAD,
				"the upstream sent a coded body although an uncoded one was asked for; "
				"the credential could hide in it");
			exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
			return;
		}
		prom_observe(&x->p->metrics.first_byte, loop_now(x->p->loop) - x->since);
		log_debug("request %llu: answered with %d", (unsigned long long)x->id, m->status);
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
	if (x->up && stream_full(x->client))
		stream_pause(x->up, true);
}

static void to_client_masked(struct exchange *x, struct str piece, bool last)
{
	struct err err = ERR_INIT;

	if ((x->switched ? exchange_ws_mask(x, piece, &err)
			 : mask_feed(x->mask, piece, &x->masked, &err)) < 0 ||
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
	if (x->mask && (x->switched || !mask_passes(x->mask, piece)))
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
	if (!x->req_ended && !x->switched)
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

/*
 * Once more, on a new connection? Only when nothing of the request is lost by then (its body is not
 * kept), nothing of an answer came, and a second time does no harm: the server has not looked at
 * it, or its method is idempotent (RFC 9110 9.2.2).
 */
static bool may_retry(const struct exchange *x, const struct err *err)
{
	if (x->retried || x->up_spoke || x->bytes_in > 0)
		return false;
	return err->code == E_CANCELLED ||
	       (err->code == E_STALE && http_is_idempotent(x->req->method));
}

static void get_stream(struct exchange *x);

static void on_up_fail(void *arg, const struct err *err)
{
	struct exchange *x = arg;
	enum reason reason = err->code == E_TIMEOUT     ? REASON_UPSTREAM_TIMEOUT
			     : err->code == E_EXHAUSTED ? REASON_OVERLOADED
							: REASON_UPSTREAM_PROTOCOL;

	x->up = NULL;
	if (x->over || x->answered)
		return;
	if (x->client && may_retry(x, err)) {
		x->retried = true;
		x->p->metrics.retries++;
		log_debug("request %llu: sent again: %s", (unsigned long long)x->id, err->text);
		get_stream(x);
		return;
	}
	exchange_fail(x, reason, err);
}

static void on_up_done(void *arg)
{
	struct exchange *x = arg;

	x->up = NULL;
}

/* As it is on this connection, which may differ from what the client said (a mount, h1's
 * origin-form). */
static void set_target(struct exchange *x, enum upstream_speaks speaks)
{
	struct msg *m = x->req;
	char authority[URL_HOST_MAX + 16];

	if (speaks == SPEAKS_H2)
		m->scheme = STR("https");
	if (speaks == SPEAKS_H1_ABSOLUTE) {
		/* Inside a tunnel the request itself names neither; the destination is settled. */
		authority_text(&x->dest, 80, authority);
		m->scheme = STR("http");
		m->authority = arena_str(m->arena, str_of(authority));
	}
	m->form = speaks == SPEAKS_H1_ABSOLUTE ? TARGET_ABSOLUTE
		  : m->form == TARGET_ASTERISK ? TARGET_ASTERISK
					       : TARGET_ORIGIN;
}

static void on_stream(void *arg, struct stream *up, enum upstream_speaks speaks)
{
	static const struct stream_handler handler = {
		.on_head = on_up_head,
		.on_body = on_up_body,
		.on_end = on_up_end,
		.on_drain = on_up_drain,
		.on_fail = on_up_fail,
		.on_done = on_up_done,
	};
	struct exchange *x = arg;
	struct err err = ERR_INIT;

	log_debug("request %llu: sent by %s", (unsigned long long)x->id,
		  speaks == SPEAKS_H2 ? "h2" : "http/1.1");
	x->wait = NULL;
	x->up = up;
	stream_handle(up, &handler, x);
	set_target(x, speaks);
	if (stream_head(up, x->req, &err) < 0 || (x->req_ended && stream_end(up, NULL, &err) < 0)) {
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (!x->req_ended)
		stream_pause(x->client, false);
}

static void on_no_stream(void *arg, const struct upstream_failure *failure)
{
	struct exchange *x = arg;
	struct refusal r = {
		.reason = failure->reason,
		.message = failure->err.text,
		.host = x->host,
		.name = failure->gate_reason[0] ? x->gate_reason : NULL,
		.gate_body = failure->gate_body,
	};

	x->wait = NULL;
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

static void get_stream(struct exchange *x)
{
	static const struct pool_handler handler = { on_stream, on_no_stream };
	const struct route *route = x->verdict.route;
	const struct pool_want want = {
		.to = x->dest,
		.kind = x->up_kind,
		.slot = route->auth != AUTH_NONE ? route->token_env : NULL,
		.once = !http_is_idempotent(x->req->method) || x->req->framing != BODY_NONE,
		.fresh = x->retried,
	};

	stream_pause(x->client, true);
	x->wait = pool_get(x->p->pool, &want, &handler, x);
}

void exchange_forward(struct exchange *x, enum upstream_kind kind)
{
	x->up_kind = kind;
	get_stream(x);
}
