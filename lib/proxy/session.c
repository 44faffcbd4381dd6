#include "proxy/session.h"

#include "base/budget.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/h1_conn.h"
#include "http/h2_conn.h"
#include "net/hello.h"
#include "proxy/event.h"
#include "proxy/exchange.h"
#include "proxy/splice.h"
#include "proxy/upstream.h"

enum session_state {
	SESSION_OUTER,     /* HTTP as to a proxy */
	SESSION_PEEK,      /* CONNECT answered, first bytes awaited */
	SESSION_HANDSHAKE, /* TLS with the client */
	SESSION_INNER,     /* HTTP inside the tunnel */
	SESSION_DIAL,      /* passthrough: upstream awaited */
	SESSION_SPLICE,
	SESSION_DEAD,
};

struct session {
	struct proxy *p;
	struct session *prev, *next;
	enum session_state state;
	struct exchange_origin origin;
	struct exchange_tally tally;
	char peer[ADDR_TEXT_MAX];
	int fd; /* the client's; owned by conn, h2, f or splice */
	int64_t since;

	struct h1_conn *conn; /* OUTER, INNER */
	struct h2_conn *h2;   /* INNER, when the client chose so */
	struct filter *f;     /* PEEK, HANDSHAKE, DIAL */
	struct loop_watch watch;
	struct loop_timer timer;
	struct buf first; /* PEEK, DIAL: the first bytes inside the tunnel */
	int64_t tunnel_since;
	uint64_t tunnel_id;
	struct upstream_dial *dial;
	char gate_reason[64]; /* the gate's own word for why it refused */
	struct splice *splice;
	size_t cost; /* charged to the budget */
	struct loop_deferred reap;
};

static void reap(void *arg)
{
	struct session *s = arg;

	buf_fini(&s->first);
	free(s);
}

/* See PROXY_CONN_COST. */
static void charge(struct session *s, size_t cost)
{
	s->cost += cost;
	budget_charge(cost);
}

static void session_close(struct session *s)
{
	struct proxy *p = s->p;

	if (s->state == SESSION_DEAD)
		return;
	s->state = SESSION_DEAD;
	log_debug("%s: closed after %llu requests", s->peer, (unsigned long long)s->tally.total);
	loop_unwatch(&s->watch);
	loop_timer_stop(&s->timer);
	if (s->conn)
		h1_conn_close(s->conn);
	s->conn = NULL;
	if (s->h2)
		h2_conn_close(s->h2);
	s->h2 = NULL;
	upstream_cancel(s->dial);
	splice_cancel(s->splice);
	filter_free(s->f);
	s->f = NULL;
	if (s->prev)
		s->prev->next = s->next;
	else
		p->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	p->metrics.connections_open--;
	p->refusals -= s->origin.refused;
	budget_return(s->cost);
	loop_defer(p->loop, &s->reap, reap, s);
	proxy_session_gone(p);
}

/* A tunnel that never became HTTP ends in one event. */
static void end_tunnel(struct session *s, enum event_verdict verdict, enum reason reason,
		       const char *message, uint64_t in, uint64_t out)
{
	const struct route *route = routes_find(
		s->p->policy->routes, authority_host(&s->origin.tunnel), s->origin.tunnel.port);
	struct event ev = {
		.kind = EVENT_TUNNEL,
		.verdict = verdict,
		.reason = reason,
		.reason_text = s->gate_reason[0] ? s->gate_reason : NULL,
		.client = s->peer,
		.method = STR("CONNECT"),
		.host = authority_host(&s->origin.tunnel),
		.port = s->origin.tunnel.port,
		.bytes_in = in,
		.bytes_out = out,
		.ms = loop_now(s->p->loop) - s->tunnel_since,
		.rule = route ? route->host : NULL,
		.message = message,
		.request_id = s->tunnel_id,
	};

	event_write(s->p, &ev);
	session_close(s);
}

static void on_conn_closed(void *arg, const struct err *err)
{
	struct session *s = arg;

	(void)err;
	s->conn = NULL;
	s->h2 = NULL;
	session_close(s);
}

static void on_inner_request(void *arg, struct stream *stream, struct msg *m)
{
	struct session *s = arg;

	exchange_start(s->p, &s->origin, stream, m);
}

static void on_bad_request(void *arg, struct stream *stream, const struct err *err)
{
	struct session *s = arg;

	exchange_refuse_bad(s->p, &s->origin, stream, err);
}

static void start_inner(struct session *s)
{
	static const struct h1_server_handler h1 = { on_inner_request, on_bad_request,
						     on_conn_closed };
	static const struct h2_server_handler h2 = { on_inner_request, on_bad_request,
						     on_conn_closed };
	const struct h1_timeouts *t = &s->p->client_timeouts;

	s->state = SESSION_INNER;
	loop_unwatch(&s->watch);
	loop_timer_stop(&s->timer);
	if (s->origin.tls && str_eqz(tls_alpn(s->f), "h2")) {
		charge(s, PROXY_H2_COST);
		s->h2 = h2_server_new(s->p->loop, steal(&s->f), t, &h2, s);
		return;
	}
	s->conn = h1_server_new(s->p->loop, steal(&s->f), t, &h1, s);
}

/* Puts the bytes that were looked at back under whatever comes next. */
static void unread_first(struct session *s)
{
	struct str first = buf_str(&s->first);

	s->f = filter_unread(s->f, first.p, first.n);
	buf_clear(&s->first);
	buf_shrink(&s->first);
}

static struct tls_identity *choose_identity(void *arg, struct str sni, struct err *err)
{
	struct session *s = arg;
	struct str host = authority_host(&s->origin.tunnel);

	/*
	 * The handshake is finished under the name the client asked for, so that it can read why it
	 * is refused; every request inside is then answered with 421.
	 */
	if (sni.n > 0 && !str_eq(sni, host)) {
		s->origin.name_mismatch = true;
		memcpy(s->origin.sni, sni.p, sni.n < URL_HOST_MAX ? sni.n : URL_HOST_MAX);
		host = sni;
	}
	return leaf_cache_get(s->p->leaves, host, err);
}

static void on_timeout(void *arg)
{
	struct session *s = arg;

	if (s->state == SESSION_HANDSHAKE)
		s->p->metrics.client_tls.failed++;
	end_tunnel(s, EVENT_ERROR, REASON_REQUEST_TIMEOUT,
		   s->state == SESSION_PEEK ? "the client sent nothing into its tunnel"
					    : "the client did not finish its TLS handshake",
		   0, 0);
}

static void drive_handshake(void *arg, unsigned events)
{
	struct session *s = arg;
	struct err err = ERR_INIT;
	unsigned wants;

	(void)events;
	switch (filter_handshake(s->f, &err)) {
	case FILTER_READY:
		metrics_tls_up(&s->p->metrics.client_tls, s->f);
		log_debug("%s: %s, %sname %.*s, protocol %.*s", s->peer, tls_version(s->f),
			  tls_resumed(s->f) ? "resumed, " : "", STR_ARG(tls_sni(s->f)),
			  STR_ARG(tls_alpn(s->f)));
		start_inner(s);
		return;
	case FILTER_FAILED:
		s->p->metrics.client_tls.failed++;
		err_wrap(&err, "TLS with the client");
		end_tunnel(s, EVENT_ERROR, REASON_CLIENT_TLS, err.text, 0, 0);
		return;
	case FILTER_NOT_YET:
		wants = filter_wants(s->f);
		loop_watch_events(&s->watch, wants ? wants : LOOP_READ);
		return;
	}
}

static void start_handshake(struct session *s)
{
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	struct err err = ERR_INIT;
	struct filter *tls;

	charge(s, PROXY_TLS_COST);
	unread_first(s);
	tls = tls_server(s->p->tls_server, s->f, alpn, choose_identity, s, &err);
	s->f = tls;
	if (!tls) {
		end_tunnel(s, EVENT_ERROR, REASON_CLIENT_TLS, err.text, 0, 0);
		return;
	}
	s->state = SESSION_HANDSHAKE;
	s->origin.tls = true;
	loop_unwatch(&s->watch);
	if (loop_watch(s->p->loop, &s->watch, filter_fd(tls), LOOP_READ, drive_handshake, s, &err) <
	    0) {
		end_tunnel(s, EVENT_ERROR, REASON_CLIENT_TLS, err.text, 0, 0);
		return;
	}
	drive_handshake(s, 0);
}

static void on_splice_done(void *arg, uint64_t in, uint64_t out, const struct err *err)
{
	struct session *s = arg;

	s->splice = NULL;
	end_tunnel(s, err ? EVENT_ERROR : EVENT_ALLOW,
		   err && err->code == E_CANCELLED ? REASON_SHUTTING_DOWN : REASON_NONE,
		   err ? err->text : NULL, in, out);
}

static void on_dial_ready(void *arg, struct filter *up, enum upstream_speaks speaks)
{
	struct session *s = arg;
	struct err err = ERR_INIT;

	(void)speaks; /* raw tunnels carry no requests of ours */
	s->dial = NULL;
	s->state = SESSION_SPLICE;
	loop_timer_stop(&s->timer);
	unread_first(s);
	s->splice = splice_start(s->p->loop, steal(&s->f), up, s->p->upstream_timeouts.idle,
				 on_splice_done, s, &err);
	if (!s->splice)
		end_tunnel(s, EVENT_ERROR, REASON_UPSTREAM_UNREACHABLE, err.text, 0, 0);
}

static void on_dial_failed(void *arg, const struct upstream_failure *failure)
{
	struct session *s = arg;

	/* A rule said no, only further on. */
	const bool refused = failure->reason == REASON_GATE_REFUSED ||
			     failure->reason == REASON_ADDRESS_NOT_ALLOWED;

	s->dial = NULL;
	memcpy(s->gate_reason, failure->gate_reason, sizeof(s->gate_reason));
	end_tunnel(s, refused ? EVENT_BLOCK : EVENT_ERROR, failure->reason, failure->err.text, 0,
		   0);
}

/* Passthrough: nothing is decrypted, so the name in the ClientHello is all there is to check. */
static void check_hello(struct session *s)
{
	static const struct upstream_handler handler = { on_dial_ready, on_dial_failed };
	char scratch[HELLO_MAX], want[URL_HOST_MAX + 16];
	struct authority name;
	struct err err = ERR_INIT;
	struct str sni;

	switch (hello_sni(buf_str(&s->first), scratch, &sni, &err)) {
	case HELLO_MORE:
		return;
	case HELLO_BAD:
		end_tunnel(s, EVENT_BLOCK, REASON_BAD_REQUEST, err.text, 0, 0);
		return;
	case HELLO_DONE:
		break;
	}
	authority_text(&s->origin.tunnel, 0, want);
	if (sni.n > 0 && (url_parse_authority(sni, s->origin.tunnel.port, &name, &err) < 0 ||
			  !str_eq(authority_host(&name), authority_host(&s->origin.tunnel)))) {
		end_tunnel(s, EVENT_BLOCK, REASON_NAME_MISMATCH,
			   "the TLS server name is not the CONNECT host", 0, 0);
		return;
	}
	if (budget_level() >= BUDGET_SCARCE) {
		end_tunnel(s, EVENT_BLOCK, REASON_OVERLOADED,
			   "the proxy has as much under way as its memory is for", 0, 0);
		return;
	}
	s->state = SESSION_DIAL;
	charge(s, PROXY_CONN_COST);
	loop_unwatch(&s->watch);
	loop_timer_stop(&s->timer);
	s->dial = upstream_dial(s->p, &s->origin.tunnel, UPSTREAM_RAW, NULL, &handler, s);
}

/* The first bytes inside a tunnel decide what it is. */
static void judge_first(struct session *s)
{
	struct verdict v;
	bool passthrough;

	/* By the rules of now, not by those of when the tunnel was opened. */
	decide_connect(s->p->policy->routes, &s->origin.tunnel, &v);
	passthrough = v.allow && v.route->passthrough;
	switch (tls_guess(buf_str(&s->first))) {
	case TLS_GUESS_MORE:
		return;
	case TLS_GUESS_YES:
		if (passthrough)
			check_hello(s);
		else
			start_handshake(s);
		return;
	case TLS_GUESS_NO:
		break;
	}
	if (!v.allow) {
		/* Not TLS, so there is no request that could be answered: the connection is closed.
		 */
		end_tunnel(s, EVENT_BLOCK, v.reason, v.message, 0, 0);
		return;
	}
	if (passthrough) {
		end_tunnel(s, EVENT_BLOCK, REASON_BAD_REQUEST,
			   "only TLS may pass on a passthrough route", 0, 0);
		return;
	}
	/* Judged as plain HTTP/1.1 (Node's fetch CONNECTs for http:// URLs too); what is not HTTP
	 * is refused by the parser. */
	unread_first(s);
	start_inner(s);
}

static void on_peek(void *arg, unsigned events)
{
	struct session *s = arg;
	struct err err = ERR_INIT;
	char *room = buf_reserve(&s->first, KIB(4), NULL);
	unsigned wants;
	ssize_t n;

	(void)events;
	if (!room) {
		end_tunnel(s, EVENT_BLOCK, REASON_BAD_REQUEST, "the TLS ClientHello is too long", 0,
			   0);
		return;
	}
	n = filter_read(s->f, room, KIB(4), &err);
	if (n == FILTER_AGAIN) {
		wants = filter_wants(s->f);
		loop_watch_events(&s->watch, LOOP_READ | wants);
		return;
	}
	if (n <= 0) {
		/* A client that opens a tunnel and leaves did nothing worth a line. */
		if (s->first.len == 0)
			session_close(s);
		else
			end_tunnel(s, EVENT_ERROR, REASON_CLIENT_TLS,
				   "the client closed its tunnel at once", 0, 0);
		return;
	}
	buf_commit(&s->first, (size_t)n);
	judge_first(s);
}

static void start_peek(struct session *s, struct stream *stream)
{
	struct err err = ERR_INIT;

	s->f = h1_conn_take(h1_conn_of(stream));
	s->conn = NULL;
	s->state = SESSION_PEEK;
	buf_init(&s->first, HELLO_MAX + KIB(4));
	if (loop_watch(s->p->loop, &s->watch, filter_fd(s->f), LOOP_READ | LOOP_WRITE, on_peek, s,
		       &err) < 0) {
		session_close(s);
		return;
	}
	loop_timer(s->p->loop, &s->timer, s->p->client_timeouts.head, on_timeout, s);
}

static void on_tunnel_quiet(void *arg)
{
	(void)arg;
}
static void on_tunnel_body(void *arg, struct str piece)
{
	(void)arg;
	(void)piece;
}
static void on_tunnel_end(void *arg, const struct fields *trailers)
{
	(void)arg;
	(void)trailers;
}
static void on_tunnel_fail(void *arg, const struct err *err)
{
	(void)arg; /* on_closed of the connection follows */
	(void)err;
}

static void on_connect(struct session *s, struct stream *stream, struct msg *m)
{
	static const struct stream_handler quiet = {
		.on_body = on_tunnel_body,
		.on_end = on_tunnel_end,
		.on_drain = on_tunnel_quiet,
		.on_fail = on_tunnel_fail,
		.on_done = on_tunnel_quiet,
	};
	struct err err = ERR_INIT;
	struct msg answer;

	if (url_parse_authority(m->authority, 0, &s->origin.tunnel, &err) < 0 ||
	    s->origin.tunnel.port == 0) {
		if (err.code == E_NONE)
			err_set(&err, E_BAD, "CONNECT needs a port");
		exchange_refuse_bad(s->p, &s->origin, stream, &err);
		return;
	}
	log_debug("%s: CONNECT %.*s", s->peer, STR_ARG(m->authority));
	s->origin.in_tunnel = true;
	s->tunnel_since = loop_now(s->p->loop);
	s->tunnel_id = ++s->p->next_request_id;
	stream_handle(stream, &quiet, s);
	/* Also for a host that will be refused: clients hide the body of a refused CONNECT, but
	 * show an inner answer. */
	msg_init(&answer, m->arena);
	answer.is_response = true;
	answer.version = HTTP_1_1;
	answer.status = 200;
	answer.reason = STR("Connection established");
	answer.framing = BODY_NONE;
	if (stream_head(stream, &answer, &err) < 0) {
		stream_abort(stream);
		return;
	}
	start_peek(s, stream);
}

static void on_outer_request(void *arg, struct stream *stream, struct msg *m)
{
	struct session *s = arg;

	if (m->form == TARGET_AUTHORITY && !s->p->draining && !s->p->events_broken &&
	    !s->origin.refused)
		on_connect(s, stream, m);
	else
		exchange_start(s->p, &s->origin, stream, m);
}

void session_start(struct proxy *p, int fd, const struct addr *peer, bool refused)
{
	const struct h1_timeouts hurry = { .head = HTTP_LINGER_MS, .idle = HTTP_LINGER_MS };
	static const struct h1_server_handler handler = { on_outer_request, on_bad_request,
							  on_conn_closed };
	struct session *s = mem_new(struct session);

	s->p = p;
	s->state = SESSION_OUTER;
	addr_text(peer, true, s->peer);
	s->origin.client = s->peer;
	s->origin.tally = &s->tally;
	s->fd = fd;
	s->since = loop_now(p->loop);
	s->origin.refused = refused;
	charge(s, PROXY_CONN_COST);
	s->next = p->sessions;
	if (s->next)
		s->next->prev = s;
	p->sessions = s;
	log_debug("%s: connected", s->peer);
	p->metrics.connections_total++;
	p->metrics.connections_open++;
	p->refusals += refused;
	s->conn = h1_server_new(p->loop, filter_tcp(fd, false),
				refused ? &hurry : &p->client_timeouts, &handler, s);
}

void session_drain(struct session *s)
{
	if (s->conn)
		h1_conn_drain(s->conn);
	else if (s->h2)
		h2_conn_drain(s->h2);
	else if (s->state == SESSION_PEEK || s->state == SESSION_HANDSHAKE)
		session_close(s);
}

void session_cut(struct session *s)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, E_CANCELLED, "the proxy is shutting down");
	if (s->splice)
		splice_finish(s->splice, &err);
	else if (s->dial)
		end_tunnel(s, EVENT_ERROR, REASON_SHUTTING_DOWN, err.text, 0, 0);
	else
		session_close(s);
}

struct session *session_next(struct session *s)
{
	return s->next;
}

void session_describe(const struct session *s, struct session_info *ret)
{
	static const char *const states[] = {
		[SESSION_OUTER] = "proxy",         [SESSION_PEEK] = "tunnel",
		[SESSION_HANDSHAKE] = "handshake", [SESSION_INNER] = "intercepted",
		[SESSION_DIAL] = "dialling",       [SESSION_SPLICE] = "passthrough",
		[SESSION_DEAD] = "closed",
	};
	const struct tcp_usage usage = filter_tcp_usage(s->fd);

	*ret = (struct session_info){
		.peer = s->peer,
		.state = states[s->state],
		.protocol = s->h2     ? "h2"
			    : s->conn ? "http/1.1"
				      : NULL,
		.age_ms = loop_now(s->p->loop) - s->since,
		.bytes_in = usage.bytes_in,
		.bytes_out = usage.bytes_out,
		.exchanges = s->tally.total,
		.open = s->tally.open,
	};
	ret->idle_ms = usage.idle_ms < ret->age_ms ? usage.idle_ms : ret->age_ms;
	if (s->origin.in_tunnel)
		authority_text(&s->origin.tunnel, 0, ret->to);
	else if (s->tally.latest)
		exchange_to_text(s->tally.latest, ret->to);
}
