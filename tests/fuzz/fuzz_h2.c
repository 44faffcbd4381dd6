/*
 * HTTP/2 connections, in both roles. Besides memory safety:
 * - each exchange that was announced gets exactly one end (done, fail or our abort), nothing after
 *   it, and on_closed comes last;
 * - a head that was accepted can be written as HTTP/1.1 and is accepted there;
 * - what a connection holds stays within its windows.
 *
 * The first byte of the input chooses the role and how the handlers behave, the second how the rest
 * is cut. For the server the preface and a SETTINGS frame are given.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"
#include "http/h2_conn.h"
#include "http/server.h"
#include "net/filter.h"
#include "sys/loop.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

#define STREAMS 64

enum { ANSWER_NOW = 2, ANSWER_AT_END = 4, PAUSE = 8, ABORT = 16 };

struct side {
	struct stream *stream;
	bool over, answered;
	size_t body;
};

static struct loop *loop;
static struct h2_conn *conn;
static struct side sides[STREAMS];
static size_t sides_n;
static unsigned behaviour;

static void finish(struct side *s)
{
	CHECK(!s->over);
	s->over = true;
}

static void answer(struct side *s)
{
	if (!s->answered && !s->over)
		(void)http_reply(s->stream, 200, "text/plain", STR("answer"), NULL, NULL);
	s->answered = true;
}

/* It goes down as HTTP/1.1, or it is none of ours. */
static void check_head(const struct msg *m)
{
	auto_buf out = BUF_INIT(MIB(1));
	struct arena arena;
	struct msg back;
	size_t scanned = 0;
	int rc;

	arena_init(&arena, MIB(1));
	msg_init(&back, &arena);
	if (m->is_response) {
		CHECK(h1_write_response(&out, m, NULL, NULL) == 0);
		rc = h1_head_end(buf_str(&out), &scanned, NULL) == (ssize_t)out.len
			     ? h1_parse_response(buf_str(&out), STR("GET"), &back, NULL)
			     : -1;
	} else {
		CHECK(h1_write_request(&out, m, NULL, NULL) == 0);
		rc = h1_head_end(buf_str(&out), &scanned, NULL) == (ssize_t)out.len
			     ? h1_parse_request(buf_str(&out), &back, NULL)
			     : -1;
	}
	/* 64 KiB of fields are a little more in HTTP/1.1's spelling, or a little less. */
	CHECK(rc == 0 || out.len > HTTP_HEAD_MAX - KIB(8) || m->target.n + 64 > HTTP_LINE_MAX);
	CHECK(rc < 0 || m->is_response ||
	      (str_eq(back.method, m->method) && str_eq(back.path, m->path) &&
	       str_eq(back.query, m->query) && str_eq(back.host, m->host)));
	arena_fini(&arena);
}

static void on_head(void *arg, struct msg *m)
{
	struct side *s = arg;

	CHECK(!s->over);
	check_head(m);
}

static void on_body(void *arg, struct str piece)
{
	struct side *s = arg;

	CHECK(!s->over && piece.n > 0);
	s->body += piece.n;
	if (behaviour & PAUSE)
		stream_pause(s->stream, true);
	if ((behaviour & ABORT) && s->body > 3) {
		finish(s);
		stream_abort(s->stream);
	}
}

static void on_end(void *arg, const struct fields *trailers)
{
	struct side *s = arg;

	(void)trailers;
	CHECK(!s->over);
	if (behaviour & ANSWER_AT_END)
		answer(s);
}

static void on_bad(void *arg, const struct err *err)
{
	struct side *s = arg;

	(void)err;
	CHECK(!s->over);
	if (behaviour & ANSWER_AT_END)
		answer(s);
}

static void on_drain(void *arg)
{
	struct side *s = arg;

	CHECK(!s->over);
}

static void on_fail(void *arg, const struct err *err)
{
	CHECK(err->code != E_NONE);
	finish(arg);
}

static void on_done(void *arg)
{
	finish(arg);
}

static const struct stream_handler handler = { on_head,  on_body, on_end, on_bad,
					       on_drain, on_fail, on_done };

static struct side *side_new(struct stream *stream)
{
	struct side *s;

	if (sides_n == STREAMS)
		return NULL;
	s = &sides[sides_n++];
	*s = (struct side){ .stream = stream };
	return s;
}

static void on_request(void *arg, struct stream *stream, struct msg *m)
{
	struct side *s = side_new(stream);

	(void)arg;
	if (m->form != TARGET_AUTHORITY)
		check_head(m);
	if (!s) {
		stream_abort(stream);
		return;
	}
	stream_handle(stream, &handler, s);
	if (behaviour & ANSWER_NOW)
		answer(s);
}

static void on_bad_request(void *arg, struct stream *stream, const struct err *err)
{
	struct side *s = side_new(stream);

	(void)arg;
	CHECK(err->code == E_BAD || err->code == E_LIMIT);
	if (!s)
		return;
	stream_handle(stream, &handler, s);
	if (behaviour & ANSWER_NOW)
		answer(s);
}

static void check_all_over(void)
{
	for (size_t i = 0; i < sides_n; i++)
		CHECK(sides[i].over);
}

static void on_closed(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
	check_all_over();
	conn = NULL;
}

static void on_idle(void *arg)
{
	(void)arg;
	check_all_over();
}

static void spin(int peer)
{
	char sink[4096];

	for (int i = 0; i < 6; i++)
		CHECK(loop_once(loop, 0, NULL) == 0);
	while (recv(peer, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void push(int peer, const void *p, size_t n)
{
	if (n > 0 && send(peer, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n)
		spin(peer);
}

static void start_requests(void)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT" };
	struct arena arena;

	arena_init(&arena, MIB(1));
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct side *s = side_new(NULL);
		struct msg m;

		msg_init(&m, &arena);
		m.method = str_of(methods[i]);
		m.path = STR("/");
		m.form = TARGET_ORIGIN;
		m.framing = i == 2 ? BODY_CHUNKED : BODY_NONE;
		CHECK(msg_add(&m, STR("Host"), STR("a"), NULL) == 0);
		s->stream = h2_client_start(conn, &handler, s);
		CHECK(stream_head(s->stream, &m, NULL) == 0);
		if (i != 2)
			CHECK(stream_end(s->stream, NULL, NULL) == 0);
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h1_timeouts times = { 1000, 2000, 3000 };
	static const struct h2_server_handler server = { on_request, on_bad_request, on_closed };
	static const struct h2_client_handler client = { on_closed, on_idle };
	static const char settings[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	size_t cut;
	int fds[2];

	if (size < 3 || size > KIB(64))
		return 0;
	behaviour = data[0];
	cut = data[1] % 4 == 0 ? 1 + data[1] / 4 : size;
	sides_n = 0;
	loop = loop_new(NULL);
	CHECK(loop && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	loop_test_advance(loop, 0);
	if (behaviour & 1) {
		conn = h2_client_new(loop, filter_tcp(fds[0], false), &times, &client, NULL);
		start_requests();
		push(fds[1], settings + 24, 9);
	} else {
		conn = h2_server_new(loop, filter_tcp(fds[0], false), &times, &server, NULL);
		push(fds[1], settings, 24 + 9);
	}
	for (size_t at = 2; at < size; at += cut)
		push(fds[1], data + at, size - at < cut ? size - at : cut);
	for (size_t i = 0; conn && i < sides_n; i++)
		if (!sides[i].over)
			stream_pause(sides[i].stream, false);
	spin(fds[1]);
	if (data[1] & 1)
		loop_test_advance(loop, 10000);
	else
		(void)shutdown(fds[1], SHUT_WR);
	spin(fds[1]);
	(void)close(fds[1]);
	for (int i = 0; i < 6; i++)
		CHECK(loop_once(loop, 0, NULL) == 0);
	loop_test_advance(loop, 10000);
	for (int i = 0; i < 6; i++)
		CHECK(loop_once(loop, 0, NULL) == 0);
	CHECK(!conn);
	loop_free(loop);
	return 0;
}
