#include "proxy/exchange_impl.h"

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "proxy/event.h"

static void reap(void *arg)
{
	struct exchange *x = arg;

	mask_free(x->mask);
	buf_fini(&x->masked);
	policy_unref(x->policy);
	free(x);
}

/* The query is left out on purpose: presigned links and keys travel there. */
static void write_event(const struct exchange *x)
{
	const struct route *route = x->verdict.route;
	bool refused = !x->verdict.allow;
	struct event ev = {
		.kind = EVENT_REQUEST,
		.verdict = refused      ? EVENT_BLOCK
			   : x->trouble ? EVENT_ERROR
					: EVENT_ALLOW,
		.reason = refused ? x->verdict.reason : x->trouble_reason,
		.reason_text = x->gate_reason[0] ? x->gate_reason : NULL,
		.client = x->from.client,
		.method = x->method,
		.host = x->host,
		.port = x->dest.port,
		.path = x->path,
		.status = x->status,
		.bytes_in = x->bytes_in,
		.bytes_out = x->bytes_out,
		.ms = loop_now(x->p->loop) - x->since,
		.rule = route ? route->host : NULL,
		.credential =
			route && route->auth != AUTH_NONE && !refused ? route->token_env : NULL,
		.message = refused ? x->verdict.message : x->trouble,
		.request_id = x->id,
		.masked = x->mask ? mask_hits(x->mask) : 0,
	};

	event_write(x->p, &ev);
}

void exchange_finish(struct exchange *x)
{
	if (x->over)
		return;
	x->over = true;
	if (x->prev)
		x->prev->next = x->next;
	else
		x->p->exchanges = x->next;
	if (x->next)
		x->next->prev = x->prev;
	x->from.tally->open--;
	if (x->from.tally->latest == x)
		x->from.tally->latest = NULL;
	exchange_drop_upstream(x);
	budget_return(PROXY_EXCHANGE_COST);
	write_event(x);
	loop_defer(x->p->loop, &x->reap, reap, x);
}

void exchange_note(struct exchange *x, enum reason reason, const struct err *err)
{
	char *text = x->trouble_err.text;

	if (x->trouble)
		return;
	x->trouble_err = *err;
	x->trouble = text;
	x->trouble_reason = reason;
	if (!x->mask)
		return;
	/* It may quote the upstream, who knows the credential; of one where the text was cut a part
	 * would stay. */
	if (strlen(text) + sizeof("...") + 4 >= ERR_TEXT_MAX)
		(void)err_set(&x->trouble_err, err->code, "the upstream's answer is not valid");
	else
		mask_line(x->mask, text);
}

void exchange_cut(struct exchange *x)
{
	if (x->client)
		stream_abort(x->client);
	x->client = NULL;
	exchange_finish(x);
}

void exchange_answer_refusal(struct exchange *x, const struct refusal *r)
{
	struct err err = ERR_INIT;

	x->status = r->status ? r->status : reason_status(r->reason);
	/* What was not understood is not a place to look for the next request, and a connection too
	 * many shall go. */
	if (r->reason == REASON_BAD_REQUEST || r->reason == REASON_PATH_NOT_CANONICAL ||
	    r->reason == REASON_TOO_MANY_CONNECTIONS)
		stream_close_after(x->client);
	x->head_sent = x->answered = true;
	if (refuse_stream(x->client, r, x->grpc, &err) < 0)
		exchange_cut(x);
}

void exchange_refuse(struct exchange *x)
{
	struct refusal r = {
		.reason = x->verdict.reason,
		.message = x->verdict.message,
		.host = x->host,
	};

	x->verdict.allow = false;
	exchange_answer_refusal(x, &r);
}

void exchange_refuse_with(struct exchange *x, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->verdict.message, sizeof(x->verdict.message), fmt, ap);
	va_end(ap);
	x->verdict.reason = reason;
	exchange_refuse(x);
}

void exchange_fail(struct exchange *x, enum reason reason, const struct err *err)
{
	struct refusal r = { .reason = reason, .host = x->host };

	exchange_note(x, reason, err);
	r.message = x->trouble;
	exchange_drop_upstream(x);
	if (x->head_sent || !x->client)
		exchange_cut(x);
	else
		exchange_answer_refusal(x, &r);
}
static void on_client_body(void *arg, struct str piece)
{
	struct exchange *x = arg;
	struct err err = ERR_INIT;

	if (x->over || !x->up)
		return; /* refused or answered early: the rest of the body is not wanted */
	x->bytes_in += piece.n;
	if (stream_body(x->up, piece, &err) < 0) {
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (stream_full(x->up))
		stream_pause(x->client, true);
}

/* The body broke off its grammar: the upstream must not take what it got for a request. */
static void on_client_bad(void *arg, const struct err *err)
{
	struct exchange *x = arg;

	if (x->over || x->head_sent)
		return;
	exchange_drop_upstream(x);
	x->req_ended = true;
	exchange_refuse_with(x, REASON_BAD_REQUEST, "%.200s", err->text);
}

static void on_client_end(void *arg, const struct fields *trailers)
{
	struct exchange *x = arg;
	struct fields kept = { .n = 0 };
	struct err err = ERR_INIT;

	x->req_ended = true;
	if (x->over || !x->up)
		return;
	if ((trailers &&
	     decide_strip_trailers(trailers, x->verdict.route, x->req->arena, &kept, &err) < 0) ||
	    stream_end(x->up, kept.n > 0 ? &kept : NULL, &err) < 0)
		exchange_fail(x, REASON_UPSTREAM_PROTOCOL, &err);
}

static void on_client_drain(void *arg)
{
	struct exchange *x = arg;

	if (!x->over && x->up)
		stream_pause(x->up, false);
}

static void on_client_fail(void *arg, const struct err *err)
{
	struct exchange *x = arg;

	x->client = NULL;
	if (x->over)
		return;
	/* Whoever has all that the head announced need not wait for the upstream's END_STREAM. */
	if (!x->answered && (!x->head_sent || x->bytes_out != x->announced))
		exchange_note(x, REASON_NONE, err);
	exchange_finish(x);
}

static void on_client_done(void *arg)
{
	struct exchange *x = arg;

	x->client = NULL;
	exchange_finish(x);
}

static struct exchange *exchange_new(struct proxy *p, const struct exchange_origin *from,
				     struct stream *client, struct msg *request)
{
	static const struct stream_handler handler = {
		.on_body = on_client_body,
		.on_end = on_client_end,
		.on_bad = on_client_bad,
		.on_drain = on_client_drain,
		.on_fail = on_client_fail,
		.on_done = on_client_done,
	};
	struct exchange *x = mem_new(struct exchange);

	x->p = p;
	budget_charge(PROXY_EXCHANGE_COST);
	x->policy = policy_ref(p->policy);
	x->from = *from;
	x->client = client;
	x->req = request;
	x->id = ++p->next_request_id;
	x->since = loop_now(p->loop);
	x->dest = from->tunnel;
	x->announced = UINT64_MAX;
	x->masked = (struct buf)BUF_INIT_SECRET(PROXY_OUT_MAX);
	from->tally->open++;
	from->tally->total++;
	from->tally->latest = x;
	stream_handle(client, &handler, x);
	x->next = p->exchanges;
	if (x->next)
		x->next->prev = x;
	p->exchanges = x;
	return x;
}

void exchange_to_text(const struct exchange *x, char text[EXCHANGE_TO_MAX])
{
	text[0] = '\0';
	if (x->dest.host[0])
		authority_text(&x->dest, 0, text);
}

void exchange_cut_all(struct proxy *p)
{
	struct err err = ERR_INIT;

	err_set(&err, E_CANCELLED, "the proxy is shutting down");
	while (p->exchanges) {
		exchange_note(p->exchanges, REASON_SHUTTING_DOWN, &err);
		exchange_cut(p->exchanges);
	}
}

void exchange_start(struct proxy *p, const struct exchange_origin *from, struct stream *client,
		    struct msg *request)
{
	struct exchange *x = exchange_new(p, from, client, request);

	/* Copies of the views: stripping edits the request, and the event tells what was asked for.
	 */
	x->method = request->method;
	x->path = request->path;
	x->host = request->host.p ? request->host : request->authority;
	x->grpc = request->version == HTTP_2 &&
		  str_istarts(msg_value(request, "content-type"), STR("application/grpc"));
	exchange_begin(x);
}

void exchange_refuse_bad(struct proxy *p, const struct exchange_origin *from, struct stream *client,
			 const struct err *why)
{
	struct exchange *x = exchange_new(p, from, client, NULL);
	enum reason reason = why->code == E_LIMIT       ? REASON_HEAD_TOO_LARGE
			     : why->code == E_TIMEOUT   ? REASON_REQUEST_TIMEOUT
			     : why->code == E_EXHAUSTED ? REASON_OVERLOADED
							: REASON_BAD_REQUEST;

	if (from->in_tunnel)
		x->host = authority_host(&x->from.tunnel);
	x->req_ended = true;
	exchange_refuse_with(x, reason, "%.200s", why->text);
}
