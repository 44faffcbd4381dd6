#include "proxy/exchange.h"

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1_conn.h"
#include "http/server.h"
#include "proxy/event.h"
#include "proxy/inject.h"
#include "proxy/mask.h"
#include "proxy/refuse.h"
#include "proxy/tokens.h"
#include "proxy/upstream.h"

#define MAGIC_HOST "egress-proxy.local"
#define MAGIC_PATH "/allowlist"

struct exchange {
	struct proxy *p;
	struct policy *policy;
	struct exchange_origin from;
	struct stream *client; /* NULL when it is gone */
	struct msg *req;
	struct str method, host, path; /* as asked, for the event */
	uint64_t id;
	int64_t since;

	struct authority dest;
	struct verdict verdict;
	struct str mount;      /* reverse mount: its prefix, and */
	struct str mount_base; /* "http://host[:port]" the agent used */

	struct upstream_dial *dial;
	struct h1_conn *up_conn;
	struct stream *up;
	struct mask *mask;
	struct buf masked; /* one piece at a time */
	bool absolute;
	bool req_ended; /* the client's message is complete */
	bool head_sent; /* the final head went to the client */
	bool answered;  /* the whole answer was handed to the client's stream */
	int status;
	uint64_t bytes_in, bytes_out;
	const char *trouble; /* why it was cut short */
	struct err trouble_err;
	enum reason trouble_reason;
	bool over;
	struct loop_deferred reap;
};

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
		.kind = "request",
		.verdict = refused      ? EVENT_BLOCK
			   : x->trouble ? EVENT_ERROR
					: EVENT_ALLOW,
		.reason = refused ? x->verdict.reason : x->trouble_reason,
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

static void drop_upstream(struct exchange *x)
{
	upstream_cancel(x->dial);
	x->dial = NULL;
	if (x->up_conn)
		h1_conn_close(x->up_conn);
	x->up_conn = NULL;
	x->up = NULL;
}

/* The end, in every case: one event, everything let go. */
static void finish(struct exchange *x)
{
	struct metrics *mt = &x->p->metrics;

	if (x->over)
		return;
	x->over = true;
	drop_upstream(x);
	if (!x->verdict.allow)
		mt->refused[x->verdict.reason]++;
	else if (x->trouble)
		mt->requests_failed++;
	else
		mt->requests_allowed++;
	mt->bytes_in += x->bytes_in;
	mt->bytes_out += x->bytes_out;
	mt->masked += x->mask ? mask_hits(x->mask) : 0;
	write_event(x);
	loop_defer(x->p->loop, &x->reap, reap, x);
}

static void note_trouble(struct exchange *x, enum reason reason, const struct err *err)
{
	if (x->trouble)
		return;
	x->trouble_err = *err;
	x->trouble = x->trouble_err.text;
	x->trouble_reason = reason;
}

/* Ends the exchange when the client cannot be told any more. */
static void cut(struct exchange *x)
{
	if (x->client)
		stream_abort(x->client);
	x->client = NULL;
	finish(x);
}

static void answer_refusal(struct exchange *x, const struct refusal *r)
{
	struct err err = ERR_INIT;

	x->status = r->status ? r->status : reason_status(r->reason);
	x->head_sent = x->answered = true;
	if (refuse_stream(x->client, r, &err) < 0)
		cut(x);
}

static void refuse(struct exchange *x)
{
	struct refusal r = {
		.reason = x->verdict.reason,
		.message = x->verdict.message,
		.host = x->host,
	};

	x->verdict.allow = false;
	answer_refusal(x, &r);
}

static void refuse_with(struct exchange *x, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse_with(struct exchange *x, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->verdict.message, sizeof(x->verdict.message), fmt, ap);
	va_end(ap);
	x->verdict.reason = reason;
	refuse(x);
}

/* An allowed request that could not be carried out: told when there is still a head to tell it in. */
static void fail(struct exchange *x, enum reason reason, const struct err *err)
{
	struct refusal r = { .reason = reason, .message = err->text, .host = x->host };

	note_trouble(x, reason, err);
	drop_upstream(x);
	if (x->head_sent || !x->client)
		cut(x);
	else
		answer_refusal(x, &r);
}

/* ---- the client's side ---- */

static void on_client_body(void *arg, struct str piece)
{
	struct exchange *x = arg;
	struct err err = ERR_INIT;

	if (x->over || !x->up)
		return; /* refused or answered early: the rest of the body is not wanted */
	x->bytes_in += piece.n;
	if (stream_body(x->up, piece, &err) < 0) {
		fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (stream_queued(x->up) > PROXY_OUT_HIGH)
		stream_pause(x->client, true);
}

static void on_client_end(void *arg, const struct fields *trailers)
{
	struct exchange *x = arg;
	struct err err = ERR_INIT;

	x->req_ended = true;
	if (!x->over && x->up && stream_end(x->up, trailers, &err) < 0)
		fail(x, REASON_UPSTREAM_PROTOCOL, &err);
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
	if (!x->answered)
		note_trouble(x, REASON_NONE, err);
	finish(x);
}

static void on_client_done(void *arg)
{
	struct exchange *x = arg;

	x->client = NULL;
	finish(x);
}

/* ---- the upstream's side ---- */

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
	struct str coding = msg_value(m, "content-encoding");

	return coding.n > 0 && !str_ieqz(coding, "identity");
}

static void on_up_head(void *arg, struct msg *m)
{
	struct exchange *x = arg;
	struct err err = ERR_INIT;

	if (x->over || !x->client)
		return;
	if (m->status == 101) {
		err_set(&err, E_BAD, "the upstream switched protocols unasked");
		fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (msg_strip_hop(m, &err) < 0 || map_location(x, m, &err) < 0 ||
	    (x->mask && mask_head(x->mask, m, &err) < 0)) {
		fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (m->status >= 200) {
		if (x->mask && m->framing != BODY_NONE && is_coded(m)) {
			err_set(&err, E_BAD,
				"the upstream sent a coded body although an uncoded one was asked for; "
				"the credential could hide in it");
			fail(x, REASON_UPSTREAM_PROTOCOL, &err);
			return;
		}
		x->status = m->status;
		x->head_sent = true;
	}
	if (stream_head(x->client, m, &err) < 0) {
		note_trouble(x, REASON_NONE, &err);
		cut(x);
	}
}

static void to_client(struct exchange *x, struct str piece)
{
	struct err err = ERR_INIT;

	x->bytes_out += piece.n;
	if (stream_body(x->client, piece, &err) < 0) {
		note_trouble(x, REASON_NONE, &err);
		cut(x);
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
		fail(x, REASON_UPSTREAM_PROTOCOL, &err);
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
	struct err err = ERR_INIT;

	if (x->over || !x->client)
		return;
	if (x->mask)
		to_client_masked(x, STR_NONE, true);
	if (x->over)
		return;
	x->answered = true;
	/* An answer that came before the whole request ends the exchange with the upstream. */
	if (!x->req_ended)
		drop_upstream(x);
	if (stream_end(x->client, trailers, &err) < 0) {
		note_trouble(x, REASON_UPSTREAM_PROTOCOL, &err);
		cut(x);
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
		fail(x, reason, err);
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
	x->up_conn = NULL;
	x->up = NULL;
}

static void on_up_idle(void *arg)
{
	struct exchange *x = arg;

	if (x->up_conn)
		h1_conn_close(x->up_conn);
	x->up_conn = NULL;
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
	struct err err = ERR_INIT;

	x->up = h1_client_start(x->up_conn, &handler, x);
	stream_close_after(x->up);
	x->req->form = x->absolute                       ? TARGET_ABSOLUTE
		       : x->req->form == TARGET_ASTERISK ? TARGET_ASTERISK
							 : TARGET_ORIGIN;
	if (stream_head(x->up, x->req, &err) < 0 ||
	    (x->req_ended && stream_end(x->up, NULL, &err) < 0)) {
		fail(x, REASON_UPSTREAM_PROTOCOL, &err);
		return;
	}
	if (!x->req_ended)
		stream_pause(x->client, false);
}

static void on_dial_ready(void *arg, struct filter *f, bool absolute)
{
	static const struct h1_client_handler handler = { on_up_closed, on_up_idle };
	struct exchange *x = arg;

	x->dial = NULL;
	x->absolute = absolute;
	x->up_conn = h1_client_new(x->p->loop, f, &x->p->timeouts, &handler, x);
	send_request(x);
}

static void on_dial_failed(void *arg, const struct upstream_failure *failure)
{
	struct exchange *x = arg;
	struct refusal r = {
		.reason = failure->reason,
		.message = failure->err.text,
		.host = x->host,
		.name = failure->gate_reason[0] ? failure->gate_reason : NULL,
		.gate_body = failure->gate_body,
	};

	x->dial = NULL;
	if (failure->reason == REASON_GATE_REFUSED ||
	    failure->reason == REASON_ADDRESS_NOT_ALLOWED) {
		/* A rule said no, only further on. */
		x->verdict.allow = false;
		x->verdict.reason = failure->reason;
		snprintf(x->verdict.message, sizeof(x->verdict.message), "%.250s",
			 failure->err.text);
		r.status = failure->gate_status >= 400 ? failure->gate_status : 0;
	} else {
		note_trouble(x, failure->reason, &failure->err);
	}
	if (x->client)
		answer_refusal(x, &r);
	else
		finish(x);
}

/* ---- judging ---- */

static bool is_own_name(const struct exchange *x, struct str host)
{
	const struct str_list *names = &x->p->config->names;

	for (size_t i = 0; i < names->n; i++)
		if (str_ieqz(host, names->v[i]))
			return true;
	return str_eqz(host, "localhost") || str_eqz(host, "127.0.0.1") || str_eqz(host, "::1");
}

/* Where does it want to go? False when it was refused here. */
static bool find_destination(struct exchange *x)
{
	const struct msg *m = x->req;
	uint16_t port = x->from.tls ? 443 : 80;
	struct err err = ERR_INIT;
	struct authority host;

	if (m->form == TARGET_AUTHORITY) {
		refuse_with(x, REASON_BAD_REQUEST, "CONNECT inside a tunnel is not supported");
		return false;
	}
	if (x->from.name_mismatch) {
		refuse_with(x, REASON_NAME_MISMATCH,
			    "The TLS server name %s is not the CONNECT host %s.", x->from.sni,
			    x->from.tunnel.host);
		return false;
	}
	if (m->form == TARGET_ABSOLUTE && !str_ieqz(m->scheme, x->from.tls ? "https" : "http")) {
		refuse_with(x, REASON_BAD_REQUEST,
			    x->from.tls ? "An https connection carries https requests only."
					: "Use CONNECT for https URLs.");
		return false;
	}
	if (m->form == TARGET_ABSOLUTE &&
	    url_parse_authority(m->authority, port, &x->dest, &err) < 0) {
		refuse_with(x, REASON_BAD_REQUEST, "%.200s", err.text);
		return false;
	}
	if (m->host.p && url_parse_authority(m->host, port, &host, &err) < 0) {
		refuse_with(x, REASON_BAD_REQUEST, "Host: %.200s", err.text);
		return false;
	}
	if (m->form != TARGET_ABSOLUTE) {
		if (x->from.in_tunnel)
			x->dest = x->from.tunnel;
		else if (m->host.p)
			x->dest = host;
		else {
			refuse_with(x, REASON_BAD_REQUEST, "The request names no host.");
			return false;
		}
	}
	if ((m->host.p && !authority_eq(&host, &x->dest)) ||
	    (x->from.in_tunnel && !authority_eq(&x->dest, &x->from.tunnel))) {
		refuse_with(x, REASON_NAME_MISMATCH,
			    "The request's own names disagree: Host %.*s, destination %s.",
			    STR_ARG(m->host), x->dest.host);
		return false;
	}
	return true;
}

/* GET http://egress-proxy.local/allowlist: the agent may read its own rules. */
static void answer_magic(struct exchange *x)
{
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);
	struct err err = ERR_INIT;

	if (!str_eqz(x->req->path, MAGIC_PATH)) {
		refuse_with(x, REASON_PATH_NOT_ALLOWED, "Only " MAGIC_PATH " is served here.");
		return;
	}
	if (!str_eqz(x->req->method, "GET") && !str_eqz(x->req->method, "HEAD")) {
		refuse_with(x, REASON_METHOD_NOT_ALLOWED, "Only GET is served here.");
		return;
	}
	x->status = 200;
	x->head_sent = x->answered = true;
	x->verdict.allow = true;
	if (routes_write(x->policy->routes, &text, &err) < 0 ||
	    http_reply(x->client, 200, "application/json", buf_str(&text), NULL, &err) < 0) {
		note_trouble(x, REASON_NONE, &err);
		cut(x);
		return;
	}
	x->bytes_out = text.len;
}

/* A reverse mount: http://egress-proxy:9099/anthropic/v1 → https://api.anthropic.com/v1. */
static bool enter_mount(struct exchange *x)
{
	struct msg *m = x->req;
	char base[URL_HOST_MAX + 16], target[URL_HOST_MAX + 16];
	const struct route *route;
	struct str rest;
	struct err err = ERR_INIT;

	/* A page in a browser on this host must not be able to spend the credential (DNS
	 * rebinding). */
	if (msg_field(m, "origin")) {
		refuse_with(x, REASON_HOST_NOT_ALLOWED, "A web page may not use a reverse mount.");
		return false;
	}
	route = routes_find_mount(x->policy->routes, m->path, &rest);
	if (!route) {
		refuse_with(x, REASON_HOST_NOT_ALLOWED,
			    "This is a proxy; no reverse mount serves this path.");
		return false;
	}
	authority_text(&x->dest, 80, base);
	x->mount_base = arena_printf(m->arena, "http://%s", base);
	x->mount = str_of(route->mount);
	snprintf(x->dest.host, sizeof(x->dest.host), "%s", route->host);
	x->dest.port = route->port ? route->port : 443;
	x->dest.is_ip = false;
	authority_text(&x->dest, 443, target);
	m->path = rest;
	m->form = TARGET_ORIGIN;
	if (!x->mount_base.p || msg_set(m, STR("Host"), str_of(target), &err) < 0) {
		refuse_with(x, REASON_BAD_REQUEST, "The request head is too large.");
		return false;
	}
	m->host = msg_value(m, "host");
	return true;
}

static bool credential_known(void *arg, const char *slot)
{
	const struct proxy *p = arg;

	return tokens_get(&p->config->tokens, str_of(slot)).n > 0;
}

/* An upgrade that would leave HTTP: h2c is only an offer and is dropped (RFC 9110 7.8), the rest
 * would leave the rules. */
static bool upgrade_ok(const struct msg *m)
{
	return m->upgrade.n == 0 || str_ieqz(m->upgrade, "h2c");
}

/* Spec 2.2 steps 1 to 5. True when it may go. */
static bool judge(struct exchange *x)
{
	struct decide_in in = {
		.msg = x->req,
		.destination = x->dest,
		.tls = x->from.tls || x->mount.n > 0,
		.routes = x->policy->routes,
		.known = credential_known,
		.known_arg = x->p,
	};
	const struct route *route;
	struct err err = ERR_INIT;
	unsigned removed;

	decide_request(&in, x->req->arena, &x->verdict);
	if (!x->verdict.allow) {
		refuse(x);
		return false;
	}
	route = x->verdict.route;
	if (route->passthrough) {
		refuse_with(x, REASON_HOST_NOT_ALLOWED,
			    "This host is passed through as TLS only; plain requests are refused.");
		return false;
	}
	if (!upgrade_ok(x->req)) {
		refuse_with(x, REASON_UPGRADE_NOT_ALLOWED, "Switching to %.*s is not supported.",
			    (int)(x->req->upgrade.n > 64 ? 64 : x->req->upgrade.n),
			    x->req->upgrade.p);
		return false;
	}
	if (msg_strip_hop(x->req, &err) < 0 ||
	    decide_strip_credentials(x->req, route, &removed, &err) < 0 ||
	    (route->auth != AUTH_NONE &&
	     inject_credential(x->req, route,
			       tokens_get(&x->p->config->tokens, str_of(route->token_env)),
			       &x->mask, &err) < 0)) {
		refuse_with(x, REASON_BAD_REQUEST, "%.200s", err.text);
		return false;
	}
	return true;
}

static void begin(struct exchange *x)
{
	static const struct upstream_handler handler = { on_dial_ready, on_dial_failed };
	struct proxy *p = x->p;

	if (p->draining || p->events_broken) {
		refuse_with(x, REASON_SHUTTING_DOWN, "%s",
			    p->draining ? "The proxy is shutting down."
					: "Decisions cannot be recorded, so nothing is forwarded.");
		return;
	}
	if (p->metrics.connections_open > PROXY_CONNS_MAX) {
		refuse_with(x, REASON_TOO_MANY_CONNECTIONS, "Too many connections are open.");
		return;
	}
	if (!find_destination(x))
		return;
	x->host = arena_str(x->req->arena, authority_host(&x->dest));
	if (str_eqz(authority_host(&x->dest), MAGIC_HOST)) {
		answer_magic(x);
		return;
	}
	if (!x->from.in_tunnel && is_own_name(x, authority_host(&x->dest)) && !enter_mount(x))
		return;
	if (!judge(x))
		return;
	stream_pause(x->client, true); /* the body waits for somewhere to go */
	x->dial = upstream_dial(p, &x->dest,
				x->from.tls || x->mount.n > 0 ? UPSTREAM_TLS : UPSTREAM_PLAIN,
				&handler, x);
}

static struct exchange *exchange_new(struct proxy *p, const struct exchange_origin *from,
				     struct stream *client, struct msg *request)
{
	static const struct stream_handler handler = {
		.on_body = on_client_body,
		.on_end = on_client_end,
		.on_drain = on_client_drain,
		.on_fail = on_client_fail,
		.on_done = on_client_done,
	};
	struct exchange *x = mem_new(struct exchange);

	x->p = p;
	x->policy = policy_ref(p->policy);
	x->from = *from;
	x->client = client;
	x->req = request;
	x->id = ++p->next_request_id;
	x->since = loop_now(p->loop);
	x->dest = from->tunnel;
	x->masked = (struct buf)BUF_INIT_SECRET(PROXY_OUT_MAX);
	stream_handle(client, &handler, x);
	return x;
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
	begin(x);
}

void exchange_refuse_bad(struct proxy *p, const struct exchange_origin *from, struct stream *client,
			 const struct err *why)
{
	struct exchange *x = exchange_new(p, from, client, NULL);
	enum reason reason = why->code == E_LIMIT     ? REASON_HEAD_TOO_LARGE
			     : why->code == E_TIMEOUT ? REASON_REQUEST_TIMEOUT
						      : REASON_BAD_REQUEST;

	if (from->in_tunnel)
		x->host = authority_host(&x->from.tunnel);
	x->req_ended = true;
	refuse_with(x, reason, "%.200s", why->text);
}
