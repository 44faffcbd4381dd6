#include "proxy/exchange_impl.h"

#include "base/budget.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/server.h"
#include "proxy/inject.h"
#include "proxy/tokens.h"

#define MAGIC_HOST "egress-proxy.local"
#define MAGIC_PATH "/allowlist"

static bool is_own_name(const struct exchange *x, struct str host)
{
	const struct str_list *names = &x->p->config->names;

	for (size_t i = 0; i < names->n; i++)
		if (str_ieqz(host, names->v[i]))
			return true;
	return str_eqz(host, "localhost") || str_eqz(host, "127.0.0.1") || str_eqz(host, "::1");
}

/* What the next hop needs and the request may leave out. */
static bool complete_request(struct exchange *x)
{
	struct msg *m = x->req;
	char authority[URL_HOST_MAX + 16];
	struct err err = ERR_INIT;

	/* RFC 9112 3.2.4: OPTIONS for a URL without a path is about the server. */
	if (m->form == TARGET_ABSOLUTE && str_eqz(m->path, "*"))
		m->form = TARGET_ASTERISK;
	if (m->host.p)
		return true;
	authority_text(&x->dest, x->from.tls ? 443 : 80, authority);
	if (msg_add(m, STR("Host"), str_of(authority), &err) == 0)
		return true;
	exchange_refuse_with(x, REASON_BAD_REQUEST, "%.200s", err.text);
	return false;
}

/* Where does it want to go? False when it was refused here. */
static bool find_destination(struct exchange *x)
{
	const struct msg *m = x->req;
	uint16_t port = x->from.tls ? 443 : 80;
	struct err err = ERR_INIT;
	struct authority host;

	if (m->form == TARGET_AUTHORITY) {
		exchange_refuse_with(x, REASON_BAD_REQUEST,
				     "CONNECT inside a tunnel is not supported");
		return false;
	}
	if (x->from.name_mismatch) {
		exchange_refuse_with(x, REASON_NAME_MISMATCH,
				     "The TLS server name %s is not the CONNECT host %s.",
				     x->from.sni, x->from.tunnel.host);
		return false;
	}
	if (m->scheme.n > 0 && !str_ieqz(m->scheme, x->from.tls ? "https" : "http")) {
		exchange_refuse_with(x, REASON_BAD_REQUEST,
				     x->from.tls
					     ? "An https connection carries https requests only."
					     : "Use CONNECT for https URLs.");
		return false;
	}
	if (m->form == TARGET_ABSOLUTE &&
	    url_parse_authority(m->authority, port, &x->dest, &err) < 0) {
		exchange_refuse_with(x, REASON_BAD_REQUEST, "%.200s", err.text);
		return false;
	}
	if (m->host.p && url_parse_authority(m->host, port, &host, &err) < 0) {
		exchange_refuse_with(x, REASON_BAD_REQUEST, "Host: %.200s", err.text);
		return false;
	}
	if (m->form != TARGET_ABSOLUTE && x->from.in_tunnel) {
		x->dest = x->from.tunnel;
	} else if (m->form != TARGET_ABSOLUTE) {
		/* A request to the proxy itself; one that was meant for an origin server is not
		 * forwarded. */
		if (!m->host.p || !is_own_name(x, authority_host(&host))) {
			exchange_refuse_with(
				x, REASON_BAD_REQUEST,
				"This is a proxy: requests carry whole URLs, or come through CONNECT.");
			return false;
		}
		x->dest = host;
	}
	if ((m->host.p && !authority_eq(&host, &x->dest)) ||
	    (x->from.in_tunnel && !authority_eq(&x->dest, &x->from.tunnel))) {
		exchange_refuse_with(x, REASON_NAME_MISMATCH,
				     "The request's own names disagree: Host %.*s, destination %s.",
				     STR_ARG(m->host), x->dest.host);
		return false;
	}
	return complete_request(x);
}

/* GET http://egress-proxy.local/allowlist: the agent may read its own rules. */
static void answer_magic(struct exchange *x)
{
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);
	struct err err = ERR_INIT;

	if (!str_eqz(x->req->path, MAGIC_PATH)) {
		exchange_refuse_with(x, REASON_PATH_NOT_ALLOWED,
				     "Only " MAGIC_PATH " is served here.");
		return;
	}
	if (x->req->extended_connect ||
	    (!str_eqz(x->req->method, "GET") && !str_eqz(x->req->method, "HEAD"))) {
		exchange_refuse_with(x, REASON_METHOD_NOT_ALLOWED, "Only GET is served here.");
		return;
	}
	x->status = 200;
	x->head_sent = x->answered = true;
	x->verdict.allow = true;
	if (routes_write(x->policy->routes, &text, &err) < 0 ||
	    http_reply(x->client, 200, "application/json", buf_str(&text), NULL, &err) < 0) {
		exchange_note(x, REASON_NONE, &err);
		exchange_cut(x);
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

	/* A page in a browser on this host must not be able to spend the credential: with fetch()
	 * or by DNS rebinding it says Origin, with an image or a link only where it comes from. */
	if (msg_field(m, "origin") || msg_field(m, "sec-fetch-site")) {
		exchange_refuse_with(x, REASON_HOST_NOT_ALLOWED,
				     "A web page may not use a reverse mount.");
		return false;
	}
	route = routes_find_mount(x->policy->routes, m->path, &rest);
	if (!route) {
		exchange_refuse_with(x, REASON_HOST_NOT_ALLOWED,
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
		exchange_refuse_with(x, REASON_BAD_REQUEST, "The request head is too large.");
		return false;
	}
	m->host = msg_value(m, "host");
	x->host = arena_str(m->arena, authority_host(&x->dest));
	x->path = rest;
	return true;
}

static bool credential_known(void *arg, const char *slot)
{
	const struct proxy *p = arg;

	return tokens_get(&p->config->tokens, str_of(slot)).n > 0;
}

/* WebSocket may be asked for; h2c is only an offer and is dropped (RFC 9110 7.8); any other upgrade
 * would leave the rules. */
static bool judge_upgrade(struct exchange *x)
{
	struct msg *m = x->req;
	struct err err = ERR_INIT;

	if (ws_is_asked(m)) {
		if (ws_check_request(m, &err) == 0)
			return true;
		exchange_refuse_with(x, REASON_BAD_REQUEST, "%.200s", err.text);
		return false;
	}
	if (m->upgrade.n > 0 && (m->extended_connect || !str_ieqz(m->upgrade, "h2c"))) {
		exchange_refuse_with(x, REASON_UPGRADE_NOT_ALLOWED,
				     "Switching to %.*s is not supported.",
				     (int)(m->upgrade.n > 64 ? 64 : m->upgrade.n), m->upgrade.p);
		return false;
	}
	m->upgrade = STR_NONE;
	return true;
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
		exchange_refuse(x);
		return false;
	}
	route = x->verdict.route;
	if (route->passthrough) {
		exchange_refuse_with(
			x, REASON_HOST_NOT_ALLOWED,
			"This host is passed through as TLS only; plain requests are refused.");
		return false;
	}
	if (!judge_upgrade(x))
		return false;
	if (msg_strip_hop(x->req, &err) < 0 ||
	    decide_strip_credentials(x->req, route, &removed, &err) < 0 ||
	    (route->auth != AUTH_NONE &&
	     inject_credential(x->req, route,
			       tokens_get(&x->p->config->tokens, str_of(route->token_env)),
			       &x->mask, &err) < 0) ||
	    (ws_is_asked(x->req) && exchange_ws_request(x, &err) < 0)) {
		exchange_refuse_with(x, REASON_BAD_REQUEST, "%.200s", err.text);
		return false;
	}
	return true;
}

void exchange_begin(struct exchange *x)
{
	struct proxy *p = x->p;
	bool tls;

	if (p->draining || p->events_broken) {
		exchange_refuse_with(
			x, REASON_SHUTTING_DOWN, "%s",
			p->draining ? "The proxy is shutting down."
				    : "Decisions cannot be recorded, so nothing is forwarded.");
		return;
	}
	if (x->from.refused) {
		exchange_refuse_with(x, REASON_TOO_MANY_CONNECTIONS,
				     "Too many connections are open.");
		return;
	}
	if (budget_level() >= BUDGET_SCARCE) {
		exchange_refuse_with(x, REASON_OVERLOADED,
				     "The proxy has as much under way as its memory is for.");
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
	log_debug("request %llu: %.*s for %s:%u allowed by route %s, credential %s",
		  (unsigned long long)x->id, STR_ARG(x->method), x->dest.host, x->dest.port,
		  x->verdict.route->host,
		  x->verdict.route->token_env ? x->verdict.route->token_env : "none");
	tls = x->from.tls || x->mount.n > 0;
	exchange_forward(x, x->websocket ? exchange_ws_kind(tls)
			    : tls        ? UPSTREAM_TLS
					 : UPSTREAM_PLAIN);
}
