#include "http/server.h"

#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h1_conn.h"
#include "net/listen.h"

struct conn {
	struct http_server *server;
	struct conn *prev, *next;
	struct h1_conn *h1;
	struct buf body;
	struct http_request req;
};

struct http_server {
	struct loop *loop;
	struct listener *listener;
	size_t body_max;
	http_handler_fn *fn;
	void *arg;
	struct conn *conns;
	size_t count;
};

static void conn_free(struct conn *c)
{
	struct http_server *s = c->server;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->count--;
	buf_fini(&c->body);
	free(c);
}

static void reply_error(struct conn *c, struct stream *s, int status)
{
	if (http_reply(s, status, "text/plain", str_of(http_reason(status)), NULL, NULL) == 0)
		return;
	h1_conn_close(c->h1);
	conn_free(c);
}

static void on_body(void *arg, struct str piece)
{
	struct conn *c = arg;

	if (buf_add(&c->body, piece, NULL) < 0)
		reply_error(c, c->req.stream, 413);
}

static void on_end(void *arg, const struct fields *trailers)
{
	struct conn *c = arg;

	(void)trailers;
	c->req.body = buf_str(&c->body);
	c->server->fn(c->server->arg, &c->req);
}

/* RFC 9110 10.1.1: without it the client waits before it sends its body. */
static void invite_body(struct stream *s, struct msg *m)
{
	struct msg interim;

	if (!m->expect_continue)
		return;
	msg_init(&interim, m->arena);
	interim.is_response = true;
	interim.status = 100;
	interim.reason = str_of(http_reason(100));
	(void)stream_head(s, &interim, NULL);
}

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	static const struct stream_handler handler = { .on_body = on_body, .on_end = on_end };
	struct conn *c = arg;

	buf_clear(&c->body);
	buf_shrink(&c->body);
	c->req = (struct http_request){ .msg = m, .stream = s };
	stream_handle(s, &handler, c);
	if (m->framing == BODY_LENGTH && m->length > c->server->body_max)
		reply_error(c, s, 413);
	else
		invite_body(s, m);
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	static const struct stream_handler quiet = { .on_head = NULL };

	stream_handle(s, &quiet, NULL);
	reply_error(arg, s, err->code == E_TIMEOUT ? 408 : err->code == E_LIMIT ? 431 : 400);
}

static void on_closed(void *arg, const struct err *err)
{
	(void)err;
	conn_free(arg);
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	static const struct h1_server_handler handler = { on_request, on_bad_request, on_closed };
	static const struct h1_timeouts timeouts = {
		.head = HTTP_SERVER_HEAD_MS,
		.idle = HTTP_SERVER_IDLE_MS,
		.keepalive = HTTP_SERVER_KEEPALIVE_MS,
	};
	struct http_server *s = arg;
	struct conn *c;

	(void)peer;
	if (s->count >= HTTP_SERVER_CONNS_MAX) {
		(void)close(fd);
		return;
	}
	c = mem_new(struct conn);
	c->server = s;
	buf_init(&c->body, s->body_max);
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->count++;
	c->h1 = h1_server_new(s->loop, filter_tcp(fd, false), &timeouts, &handler, c);
}

struct http_server *http_server_new(struct loop *l, const struct addr *at, size_t body_max,
				    http_handler_fn *fn, void *arg, struct err *err)
{
	struct http_server *s = mem_new(struct http_server);

	s->loop = l;
	s->body_max = body_max;
	s->fn = fn;
	s->arg = arg;
	s->listener = listen_tcp(l, at, on_accept, s, err);
	if (!s->listener) {
		free(s);
		return NULL;
	}
	return s;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	listen_close(s->listener);
	while (s->conns) {
		h1_conn_close(s->conns->h1);
		conn_free(s->conns);
	}
	free(s);
}

const struct addr *http_server_addr(const struct http_server *s)
{
	return listen_addr(s->listener);
}

static int add_fields(struct msg *m, const char *content_type, const struct fields *extra,
		      struct err *err)
{
	const time_t now = time(NULL);
	char date[64];
	struct tm tm;

	/* RFC 9110 5.6.7, 6.6.1. The C locale's names: nobody here calls setlocale. */
	if (gmtime_r(&now, &tm) && strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) &&
	    msg_add(m, STR("Date"), str_of(date), err) < 0)
		return -1;
	if (content_type && msg_add(m, STR("Content-Type"), str_of(content_type), err) < 0)
		return -1;
	for (size_t i = 0; extra && i < extra->n; i++)
		if (msg_add(m, extra->v[i].name, extra->v[i].value, err) < 0)
			return -1;
	return 0;
}

int http_reply(struct stream *s, int status, const char *content_type, struct str body,
	       const struct fields *extra, struct err *err)
{
	struct arena arena;
	struct msg m;
	int rc = -1;

	arena_init(&arena, HTTP_ARENA_MAX);
	msg_init(&m, &arena);
	m.is_response = true;
	m.version = HTTP_1_1;
	m.status = status;
	m.reason = str_of(http_reason(status));
	m.framing = BODY_LENGTH;
	m.length = body.n;
	if (add_fields(&m, content_type, extra, err) == 0 && stream_head(s, &m, err) == 0 &&
	    stream_body(s, body, err) == 0)
		rc = stream_end(s, NULL, err);
	arena_fini(&arena);
	return rc;
}
