#include "proxy/proxy.h"

#include <unistd.h>

#include "base/budget.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/control.h"
#include "proxy/event.h"
#include "proxy/exchange.h"
#include "proxy/pool.h"
#include "proxy/refuse.h"
#include "proxy/session.h"
#include "sys/fd.h"

#define LEAF_CACHE_MAX 1000

struct policy *policy_ref(struct policy *p)
{
	p->refs++;
	return p;
}

void policy_unref(struct policy *p)
{
	if (!p || --p->refs > 0)
		return;
	routes_free(p->routes);
	free(p);
}

static void put_in_force(struct proxy *p, struct routes *routes)
{
	struct policy *next = mem_new(struct policy);

	next->refs = 1;
	next->routes = routes;
	next->generation = p->policy ? p->policy->generation + 1 : 1;
	policy_unref(p->policy);
	p->policy = next;
}

int proxy_set_routes(struct proxy *p, struct str text, const char *source, struct err *err)
{
	struct routes *routes = routes_parse(text, source, err);
	struct log_event ev;

	if (!routes) {
		p->metrics.reloads_failed++;
		return -1;
	}
	put_in_force(p, routes);
	p->metrics.reloads_ok++;
	log_event_begin(&ev, "routes");
	log_event_u64(&ev, "generation", p->policy->generation);
	log_event_strz(&ev, "sha256", p->policy->routes->sha256);
	log_event_u64(&ev, "routes", p->policy->routes->n);
	if (log_event_end(&ev) < 0)
		event_lost(p);
	return 0;
}

/* One quarter of the descriptors is for upstreams, so that clients cannot take all of them. */
static bool has_room(const struct proxy *p, int fd)
{
	return fd < p->descriptors - p->descriptors / 4 &&
	       p->metrics.connections_open - p->refusals < PROXY_CONNS_MAX &&
	       budget_level() < BUDGET_SCARCE;
}

/* Says no, in passing, and closes. */
static void turn_away(void *arg, int fd, const struct addr *peer)
{
	struct proxy *p = arg;
	char client[ADDR_TEXT_MAX];
	struct refusal r = {
		.reason = REASON_TOO_MANY_CONNECTIONS,
		.message = "Too many connections are open.",
	};
	struct event ev = {
		.kind = EVENT_REQUEST,
		.verdict = EVENT_BLOCK,
		.reason = r.reason,
		.client = client,
		.status = reason_status(r.reason),
		.message = r.message,
		.request_id = ++p->next_request_id,
	};

	addr_text(peer, true, client);
	refuse_socket(fd, &r);
	(void)close(fd);
	p->metrics.connections_total++;
	event_write(p, &ev);
}

/*
 * A connection that is one too many is told so when it has sent a request. That takes a descriptor
 * and time, of which there is a limited number; with all of them taken it is told at once.
 */
static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct proxy *p = arg;

	if (has_room(p, fd))
		session_start(p, fd, peer, false);
	else if (p->refusals < PROXY_REFUSALS_MAX && p->refusals < (unsigned)p->descriptors / 8)
		session_start(p, fd, peer, true);
	else
		turn_away(p, fd, peer);
}

static void on_health(void *arg, struct http_request *req)
{
	struct proxy *p = arg;
	auto_buf out = BUF_INIT(KIB(64));
	struct err err = ERR_INIT;
	int res;

	if (!str_eqz(req->msg->method, "GET") && !str_eqz(req->msg->method, "HEAD")) {
		res = http_reply(req->stream, 405, "text/plain", STR("only GET is served here\n"),
				 NULL, &err);
	} else if (str_eqz(req->msg->path, "/health")) {
		bool well = !p->draining && !p->events_broken;

		res = http_reply(req->stream, well ? 200 : 503, "application/json",
				 well ? STR("{\"status\":\"ok\"}\n")
				      : STR("{\"status\":\"refusing\"}\n"),
				 NULL, &err);
	} else if (str_eqz(req->msg->path, "/metrics")) {
		res = metrics_write(p, &out, &err);
		if (res == 0)
			res = http_reply(req->stream, 200, PROM_CONTENT_TYPE, buf_str(&out), NULL,
					 &err);
	} else {
		res = http_reply(req->stream, 404, "text/plain", STR("not found\n"), NULL, &err);
	}
	if (res < 0)
		stream_abort(req->stream);
}

static int load_trust(struct proxy *p, struct err *err)
{
	const struct proxy_config *c = p->config;
	size_t n;

	p->tls_client = tls_client_config_new(err);
	if (!p->tls_client)
		return -1;
	for (size_t i = 0; i < c->upstream_ca.n; i++)
		if (tls_client_config_add_ca(p->tls_client, str_of(c->upstream_ca.v[i]),
					     c->upstream_ca_source.v[i], &n, err) < 0)
			return -1;
	return 0;
}

struct proxy *proxy_new(struct loop *l, struct proxy_config *config, struct err *err)
{
	struct proxy *p = mem_new(struct proxy);

	p->loop = l;
	p->config = config;
	p->descriptors = fd_raise_limit();
	budget_set_max(config->memory);
	/* When nothing moves the upstream's side gives up first, so that the client can be told. */
	p->upstream_timeouts = (struct h1_timeouts){
		.idle = config->idle_timeout_ms,
		.keepalive = POOL_IDLE_MS,
	};
	p->client_timeouts = (struct h1_timeouts){
		.head = config->head_timeout_ms,
		.idle = config->idle_timeout_ms + PROXY_IDLE_GRACE_MS,
		.keepalive = PROXY_KEEPALIVE_TIMEOUT_MS,
	};
	put_in_force(p, steal(&config->routes));
	p->resolver = resolver_new(l, err);
	if (!p->resolver || load_trust(p, err) < 0)
		goto fail;
	for (size_t i = 0; i < config->pin_count; i++)
		resolver_pin(p->resolver, str_of(config->pins[i].host),
			     addr_port(&config->pins[i].addr), &config->pins[i].addr);
	p->tls_server = tls_server_config_new(err);
	if (!p->tls_server)
		goto fail;
	p->leaves = leaf_cache_new(config->ca, LEAF_CACHE_MAX);
	p->pool = pool_new(p);
	if (config->control) {
		p->control = control_new(p, config->control, err);
		if (!p->control)
			goto fail;
	}
	if (config->has_health) {
		p->health = http_server_new(l, &config->health, KIB(4), on_health, p, err);
		if (!p->health)
			goto fail;
	}
	p->listener = listen_tcp(l, &config->listen, on_accept, p, err);
	if (!p->listener)
		goto fail;
	listen_on_starved(p->listener, turn_away);
	return p;
fail:
	proxy_free(p);
	return NULL;
}

void proxy_free(struct proxy *p)
{
	struct err err = ERR_INIT;

	if (!p)
		return;
	loop_timer_stop(&p->drain_timer);
	if (p->listener)
		listen_close(p->listener);
	exchange_cut_all(p);
	while (p->sessions)
		session_cut(p->sessions);
	if (p->health)
		http_server_free(p->health);
	control_free(p->control);
	pool_free(p->pool);
	/* What was closed is reaped by one more round; it still looks at the proxy. */
	if (loop_once(p->loop, 0, &err) < 0)
		log_error("%s", err.text);
	if (p->leaves)
		leaf_cache_free(p->leaves);
	if (p->tls_server)
		tls_server_config_free(p->tls_server);
	if (p->tls_client)
		tls_client_config_free(p->tls_client);
	if (p->resolver)
		resolver_free(p->resolver);
	policy_unref(p->policy);
	free(p);
}

const struct addr *proxy_addr(const struct proxy *p)
{
	return listen_addr(p->listener);
}

static void on_drain_timeout(void *arg)
{
	struct proxy *p = arg;

	loop_stop(p->loop);
}

void proxy_session_gone(struct proxy *p)
{
	if (p->draining && !p->sessions)
		loop_stop(p->loop);
}

void proxy_drain(struct proxy *p)
{
	if (p->draining)
		return;
	p->draining = true;
	listen_close(p->listener);
	p->listener = NULL;
	loop_timer(p->loop, &p->drain_timer, PROXY_DRAIN_MS, on_drain_timeout, p);
	for (struct session *s = p->sessions, *next; s; s = next) {
		next = session_next(s);
		session_drain(s);
	}
	proxy_session_gone(p);
}
