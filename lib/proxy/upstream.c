#include "proxy/upstream.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/h1_conn.h"
#include "net/dial.h"
#include "policy/ssrf.h"

struct upstream_dial {
	struct proxy *p;
	struct authority to;
	enum upstream_kind kind;
	const char *scope;
	int64_t since;
	const struct upstream_handler *handler;
	void *arg;

	struct resolve_query *query;
	struct dial *tcp;
	struct filter *f; /* connected; TLS on it is being brought up */
	struct loop_watch watch;
	struct loop_timer timer;

	/* The CONNECT exchange with the gate, while it lasts. */
	struct h1_conn *gate;
	struct arena gate_arena;
	int gate_status;
	char gate_reason[64];
	struct buf gate_body;
	bool gate_body_cut;

	bool again; /* the second time, without a session to resume */
	bool over;
	struct loop_deferred reap;
};

static bool by_gate(const struct upstream_dial *d)
{
	return d->p->config->gate_host != NULL;
}

static void reap(void *arg)
{
	struct upstream_dial *d = arg;

	arena_fini(&d->gate_arena);
	buf_fini(&d->gate_body);
	free(d);
}

/* Stops everything that could call back; the struct goes after the round. */
static void wind_up(struct upstream_dial *d)
{
	d->over = true;
	if (d->query)
		resolve_cancel(d->query);
	d->query = NULL;
	dial_cancel(d->tcp);
	d->tcp = NULL;
	loop_unwatch(&d->watch);
	loop_timer_stop(&d->timer);
	if (d->gate)
		h1_conn_close(d->gate);
	d->gate = NULL;
	filter_free(d->f);
	d->f = NULL;
	loop_defer(d->p->loop, &d->reap, reap, d);
}

static void fail(struct upstream_dial *d, enum reason reason, const struct err *err)
{
	struct upstream_failure failure = { .reason = reason, .err = *err };

	if (d->over)
		return;
	log_debug("%s:%u: not connected: %s", d->to.host, d->to.port, err->text);
	if (reason == REASON_GATE_REFUSED) {
		failure.gate_status = d->gate_status;
		memcpy(failure.gate_reason, d->gate_reason, sizeof(failure.gate_reason));
		failure.gate_body = d->gate_body_cut ? STR_NONE : buf_str(&d->gate_body);
	}
	wind_up(d);
	d->handler->on_failed(d->arg, &failure);
}

static void ready(struct upstream_dial *d)
{
	struct filter *f = steal(&d->f);
	enum upstream_speaks speaks = SPEAKS_H1;
	int64_t ms = loop_now(d->p->loop) - d->since;

	prom_observe(&d->p->metrics.connect, ms);
	log_debug("%s:%u: connected in %d ms", d->to.host, d->to.port, (int)ms);
	if (by_gate(d) && d->kind == UPSTREAM_PLAIN)
		speaks = SPEAKS_H1_ABSOLUTE;
	else if (d->kind == UPSTREAM_TLS && str_eqz(tls_alpn(f), "h2"))
		speaks = SPEAKS_H2;
	wind_up(d);
	d->handler->on_ready(d->arg, f, speaks);
}

static void on_timeout(void *arg)
{
	struct upstream_dial *d = arg;
	char host[URL_HOST_MAX + 16];
	struct err err = ERR_INIT;

	authority_text(&d->to, 0, host);
	(void)err_set(&err, E_TIMEOUT, "%s did not answer in time", host);
	if (!d->gate)
		d->p->metrics.upstream_tls.failed++;
	fail(d, d->gate ? REASON_GATE_UNREACHABLE : REASON_UPSTREAM_TIMEOUT, &err);
}

static void drive(void *arg, unsigned events);

static void start_tls(struct upstream_dial *d)
{
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	struct err err = ERR_INIT;
	struct filter *tls;

	tls = tls_client(d->p->tls_client, d->f, d->to.host, d->scope,
			 d->kind == UPSTREAM_TLS_H1 ? alpn + 1 : alpn, &err);
	if (!tls) {
		d->f = NULL; /* taken over, and freed with the failure */
		fail(d, REASON_UPSTREAM_TLS, &err);
		return;
	}
	d->f = tls;
	if (loop_watch(d->p->loop, &d->watch, filter_fd(tls), LOOP_READ | LOOP_WRITE, drive, d,
		       &err) < 0) {
		fail(d, REASON_UPSTREAM_UNREACHABLE, &err);
		return;
	}
	loop_timer(d->p->loop, &d->timer, PROXY_HANDSHAKE_TIMEOUT_MS, on_timeout, d);
	drive(d, 0);
}

/* Bytes go to the host from here on. */
static void tunnel_ready(struct upstream_dial *d)
{
	if (d->kind == UPSTREAM_TLS || d->kind == UPSTREAM_TLS_H1)
		start_tls(d);
	else
		ready(d);
}

/* The gate's answer to our CONNECT. */
static void on_gate_head(void *arg, struct msg *m)
{
	struct upstream_dial *d = arg;
	struct str reason;

	if (d->over || m->status < 200)
		return;
	d->gate_status = m->status;
	if (m->status / 100 == 2) {
		d->f = h1_conn_take(d->gate);
		d->gate = NULL;
		tunnel_ready(d);
		return;
	}
	reason = msg_value(m, "bottle-block-reason");
	if (reason.n > 0 && reason.n < sizeof(d->gate_reason) && http_is_token(reason))
		memcpy(d->gate_reason, reason.p, reason.n);
	/* Only our own kind of refusal is passed on as it is; a stranger's page is not. */
	if (reason.n == 0)
		d->gate_body_cut = true;
}

static void on_gate_body(void *arg, struct str piece)
{
	struct upstream_dial *d = arg;

	if (d->over)
		return;
	if (buf_add(&d->gate_body, piece, NULL) < 0)
		d->gate_body_cut = true;
}

static void on_gate_end(void *arg, const struct fields *trailers)
{
	struct upstream_dial *d = arg;
	struct err err = ERR_INIT;

	(void)trailers;
	if (d->over || !d->gate)
		return;
	err_set(&err, E_DENIED, "the gate refused %s with status %d", d->to.host, d->gate_status);
	fail(d, REASON_GATE_REFUSED, &err);
}

static void on_gate_fail(void *arg, const struct err *err)
{
	struct upstream_dial *d = arg;

	if (d->over)
		return;
	d->gate = NULL;
	fail(d, REASON_GATE_UNREACHABLE, err);
}

static void on_gate_quiet(void *arg)
{
	(void)arg; /* drain and done mean nothing for one CONNECT */
}

static void on_gate_closed(void *arg, const struct err *err)
{
	struct upstream_dial *d = arg;
	struct err closed = ERR_INIT;

	if (d->over)
		return;
	d->gate = NULL;
	if (!err)
		err_set(&closed, E_IO, "the gate closed the connection");
	fail(d, REASON_GATE_UNREACHABLE, err ? err : &closed);
}

static void send_gate_connect(struct upstream_dial *d)
{
	static const struct h1_client_handler conn_handler = { on_gate_closed, on_gate_quiet };
	static const struct stream_handler handler = {
		.on_head = on_gate_head,
		.on_body = on_gate_body,
		.on_end = on_gate_end,
		.on_drain = on_gate_quiet,
		.on_fail = on_gate_fail,
		.on_done = on_gate_quiet,
	};
	char target[URL_HOST_MAX + 16];
	struct err err = ERR_INIT;
	struct msg m;
	struct stream *s;

	loop_timer(d->p->loop, &d->timer, PROXY_HANDSHAKE_TIMEOUT_MS, on_timeout, d);
	d->gate =
		h1_client_new(d->p->loop, steal(&d->f), &d->p->upstream_timeouts, &conn_handler, d);
	s = h1_client_start(d->gate, &handler, d);
	authority_text(&d->to, 0, target);
	msg_init(&m, &d->gate_arena);
	m.version = HTTP_1_1;
	m.method = STR("CONNECT");
	m.form = TARGET_AUTHORITY;
	m.target = m.authority = str_of(target);
	m.framing = BODY_NONE;
	m.keep_alive = true;
	if (msg_add(&m, STR("Host"), str_of(target), &err) < 0 || stream_head(s, &m, &err) < 0 ||
	    stream_end(s, NULL, &err) < 0)
		fail(d, REASON_GATE_UNREACHABLE, &err);
}

static void start(struct upstream_dial *d);

/* The server could not make anything of the session that was offered: once more, from nothing. */
static void start_again(struct upstream_dial *d)
{
	d->again = true;
	loop_unwatch(&d->watch);
	loop_timer_stop(&d->timer);
	filter_free(d->f);
	d->f = NULL;
	arena_reset(&d->gate_arena);
	start(d);
}

static void drive(void *arg, unsigned events)
{
	struct upstream_dial *d = arg;
	struct err err = ERR_INIT;
	unsigned wants;

	(void)events;
	switch (filter_handshake(d->f, &err)) {
	case FILTER_READY:
		metrics_tls_up(&d->p->metrics.upstream_tls, d->f);
		log_debug("%s:%u: %s, %s%.*s", d->to.host, d->to.port, tls_version(d->f),
			  tls_resumed(d->f) ? "resumed, " : "", STR_ARG(tls_alpn(d->f)));
		ready(d);
		return;
	case FILTER_FAILED:
		d->p->metrics.upstream_tls.failed++;
		if (tls_session_refused(d->f) && !d->again) {
			start_again(d);
			return;
		}
		fail(d, err.code == E_IO ? REASON_UPSTREAM_UNREACHABLE : REASON_UPSTREAM_TLS, &err);
		return;
	case FILTER_NOT_YET:
		wants = filter_wants(d->f);
		loop_watch_events(&d->watch, wants ? wants : LOOP_READ);
		return;
	}
}

static void on_tcp(void *arg, struct filter *f, const struct err *err)
{
	struct upstream_dial *d = arg;

	d->tcp = NULL;
	d->f = f;
	if (err)
		fail(d,
		     err->code == E_EXHAUSTED ? REASON_OVERLOADED
		     : by_gate(d)             ? REASON_GATE_UNREACHABLE
		     : err->code == E_TIMEOUT ? REASON_UPSTREAM_TIMEOUT
					      : REASON_UPSTREAM_UNREACHABLE,
		     err);
	else if (by_gate(d) && d->kind != UPSTREAM_PLAIN)
		send_gate_connect(d);
	else
		tunnel_ready(d);
}

static void on_resolved(void *arg, const struct resolve_result *res, const struct err *err)
{
	struct upstream_dial *d = arg;
	struct err denied = ERR_INIT;

	d->query = NULL;
	if (err) {
		fail(d,
		     err->code == E_EXHAUSTED ? REASON_OVERLOADED
		     : by_gate(d)             ? REASON_GATE_UNREACHABLE
					      : REASON_UPSTREAM_UNRESOLVED,
		     err);
		return;
	}
	/* The gate is the operator's word and guards for itself; without one this is the guard. */
	if (!by_gate(d) && ssrf_check(&d->p->config->ssrf, str_of(d->to.host), res, &denied) < 0) {
		fail(d, REASON_ADDRESS_NOT_ALLOWED, &denied);
		return;
	}
	log_debug("%s:%u: connecting to %zu address(es)%s", d->to.host, d->to.port, res->count,
		  by_gate(d) ? " of the gate" : "");
	d->tcp =
		dial_start(d->p->loop, res->addrs, res->count, PROXY_CONNECT_TIMEOUT_MS, on_tcp, d);
}

static void start(struct upstream_dial *d)
{
	struct proxy *p = d->p;

	if (by_gate(d))
		d->query = resolve_start(p->resolver, str_of(p->config->gate_host),
					 p->config->gate_port, on_resolved, d);
	else
		d->query = resolve_start(p->resolver, authority_host(&d->to), d->to.port,
					 on_resolved, d);
}

struct upstream_dial *upstream_dial(struct proxy *p, const struct authority *to,
				    enum upstream_kind kind, const char *scope,
				    const struct upstream_handler *h, void *arg)
{
	struct upstream_dial *d = mem_new(struct upstream_dial);

	d->p = p;
	d->to = *to;
	d->kind = kind;
	d->scope = scope;
	d->since = loop_now(p->loop);
	d->handler = h;
	d->arg = arg;
	arena_init(&d->gate_arena, KIB(8));
	buf_init(&d->gate_body, KIB(16));
	start(d);
	return d;
}

void upstream_cancel(struct upstream_dial *d)
{
	if (d && !d->over)
		wind_up(d);
}
