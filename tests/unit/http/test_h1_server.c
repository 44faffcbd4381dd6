#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1_conn_impl.h"
#include "wire.h"

#define GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST5 "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
#define EMPTY "HTTP/1.1 200 R\r\nContent-Length: 0\r\n\r\n"
#define HELLO "HTTP/1.1 200 R\r\nContent-Length: 5\r\n\r\nhello"
#define REFUSED "HTTP/1.1 400 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* What the test wants done inside on_request; the stream stays for later. */
static struct wire w;
static struct h1_conn *conn;
static struct stream *stream;
static struct msg *req;
static void (*in_request)(void);
static void (*in_bad)(void);

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	(void)arg;
	wire_note(&w, "%.*s", STR_ARG(m->method));
	stream_handle(s, &wire_notes, &w);
	stream = s;
	req = m;
	if (in_request)
		in_request();
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	(void)arg;
	wire_note(&w, "refused(%s)", wire_code(err));
	stream = s;
	if (in_bad)
		in_bad();
}

static void on_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "closed(%s)", wire_code(err));
	conn = NULL;
}

static const struct h1_server_handler handler = { on_request, on_bad_request, on_closed };

static int setup(void **state)
{
	(void)state;
	wire_init(&w);
	conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	in_request = in_bad = NULL;
	stream = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (conn)
		h1_conn_close(conn);
	conn = NULL;
	wire_fini(&w);
	return 0;
}

static void send_response(int status, enum body_framing framing, const char *body)
{
	struct msg m = wire_response(&w, status);
	struct err err = ERR_INIT;

	m.framing = framing;
	m.length = framing == BODY_LENGTH ? strlen(body) : 0;
	if (stream_head(stream, &m, &err) < 0 || stream_body(stream, str_of(body), &err) < 0 ||
	    stream_end(stream, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

static void reply_hello(void)
{
	send_response(200, BODY_LENGTH, "hello");
}

static void reply_empty(void)
{
	send_response(200, BODY_NONE, "");
}

static void reply_400(void)
{
	send_response(400, BODY_NONE, "");
}

static void head_only(enum body_framing framing, uint64_t length)
{
	struct msg m = wire_response(&w, 200);

	m.framing = framing;
	m.length = length;
	assert_int_equal(stream_head(stream, &m, NULL), 0);
}

/* --- the ordinary --------------------------------------------------------------------------- */

static void test_keep_alive(void **state)
{
	(void)state;
	in_request = reply_hello;
	for (int i = 0; i < 3; i++) {
		wire_send(&w, GET);
		assert_string_equal(wire_recv(&w), HELLO);
		wire_expect(&w, "GET end done");
	}
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

static void test_answer_later(void **state)
{
	(void)state;
	wire_send(&w, GET);
	wire_expect(&w, "GET end");
	assert_string_equal(wire_recv(&w), "");
	reply_hello();
	wire_spin(&w);
	assert_string_equal(wire_recv(&w), HELLO);
	wire_expect(&w, "done");
}

/* A piece leaves in the round in which it was given (SSE). */
static void test_pieces_leave_at_once(void **state)
{
	(void)state;
	wire_send(&w, GET);
	head_only(BODY_CHUNKED, 0);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stream_body(stream, STR("data"), NULL), 0);
		assert_int_equal(loop_once(w.loop, 0, NULL), 0);
		assert_string_equal(wire_recv(&w), "4\r\ndata\r\n");
	}
	assert_int_equal(stream_body(stream, STR(""), NULL), 0); /* would end the body */
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_string_equal(wire_recv(&w), "0\r\n\r\n");
}

static const char echo_request[] =
	"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	"3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\nX-Sum: 7\r\n\r\n";

/* Every split of the bytes gives the same exchange. */
static void test_splits(void **state)
{
	struct str all = STR(echo_request);

	(void)state;
	in_request = reply_empty;
	for (size_t cut = 1; cut < all.n; cut++) {
		wire_send_str(&w, str_sub(all, 0, cut));
		wire_send_str(&w, str_from(all, cut));
		buf_clear(&w.log);
		assert_string_equal(
			wire_recv(&w),
			"HTTP/1.1 200 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		h1_conn_close(conn);
		wire_close(&w);
		wire_spin(&w);
		conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	}
}

static struct buf collected;

static void collect_body(void *arg, struct str piece)
{
	(void)arg;
	assert_int_equal(buf_add(&collected, piece, NULL), 0);
}

static void collect_end(void *arg, const struct fields *trailers)
{
	(void)arg;
	assert_non_null(trailers);
	assert_true(str_eqz(trailers->v[0].value, "7"));
	send_response(200, BODY_LENGTH, buf_z(&collected));
}

static void collect(void)
{
	static const struct stream_handler h = { .on_body = collect_body, .on_end = collect_end };

	buf_clear(&collected);
	stream_handle(stream, &h, NULL);
}

static void test_echo_splits(void **state)
{
	struct str all = STR(echo_request);

	(void)state;
	buf_init(&collected, 4096);
	in_request = collect;
	for (size_t cut = 1; cut < all.n; cut++) {
		wire_send_str(&w, str_sub(all, 0, cut));
		wire_send_str(&w, str_from(all, cut));
		assert_string_equal(wire_recv(&w),
				    "HTTP/1.1 200 R\r\nContent-Length: 6\r\n\r\nabcdef");
	}
	for (size_t i = 0; i < all.n; i++)
		wire_send_str(&w, str_sub(all, i, 1));
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nContent-Length: 6\r\n\r\nabcdef");
	buf_fini(&collected);
}

/* Bytes that lie in the stack already, where poll cannot see them. */
static void test_pending_bytes(void **state)
{
	struct filter *f;

	(void)state;
	h1_conn_close(conn);
	wire_close(&w);
	f = filter_unread(wire_unix(&w), GET GET, strlen(GET GET));
	conn = h1_server_new(w.loop, f, &wire_timeouts, &handler, NULL);
	in_request = reply_hello;
	assert_string_equal(wire_recv(&w), HELLO HELLO);
}

static void test_idle_holds_no_memory(void **state)
{
	(void)state;
	in_request = reply_hello;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nConte");
	assert_non_null(conn->in.mem);
	wire_send(&w, "nt-Length: 3\r\n\r\nabc");
	assert_string_equal(wire_recv(&w), HELLO);
	assert_null(conn->in.mem);
	assert_null(conn->out.mem);
	assert_null(conn->arena.head);
	assert_false(conn->work.queued);
}

/* --- pipelining ----------------------------------------------------------------------------- */

static void test_pipelining(void **state)
{
	(void)state;
	wire_send(&w, GET GET POST5 "abcde" GET);
	wire_expect(&w, "GET end");
	for (int i = 0; i < 2; i++) {
		reply_hello();
		assert_string_equal(wire_recv(&w), HELLO);
	}
	wire_expect(&w, "done GET end done POST body(abcde) end");
	reply_empty();
	assert_string_equal(wire_recv(&w), EMPTY);
	wire_expect(&w, "done GET end");
	reply_hello();
	assert_string_equal(wire_recv(&w), HELLO);
}

static void test_pipelining_at_once(void **state)
{
	auto_buf many = BUF_INIT(KIB(64)), want = BUF_INIT(KIB(64));

	(void)state;
	in_request = reply_hello;
	for (int i = 0; i < 500; i++) {
		assert_int_equal(buf_addz(&many, GET, NULL), 0);
		assert_int_equal(buf_addz(&want, HELLO, NULL), 0);
	}
	wire_send_str(&w, buf_str(&many));
	assert_int_equal(wire_drain(&w), want.len);
	assert_memory_equal(buf_z(&w.got), buf_z(&want), want.len);
}

static void test_pipelined_input_is_bounded(void **state)
{
	(void)state;
	wire_send(&w, GET);
	assert_true(wire_flood(&w) < MIB(8));
	assert_true(conn->in.len <= 2 * PROXY_READ_SIZE);
	assert_false(conn->watch.events & LOOP_READ);
	wire_expect(&w, "GET end");
}

/* --- versions, methods, statuses ------------------------------------------------------------ */

static void test_http10(void **state)
{
	(void)state;
	in_request = reply_hello;
	wire_send(&w, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nContent-Length: 5\r\n"
					   "Connection: keep-alive\r\n\r\nhello");
	wire_send(&w, "GET / HTTP/1.0\r\n\r\n");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nContent-Length: 5\r\n"
					   "Connection: close\r\n\r\nhello");
	assert_true(w.eof);
}

/* Chunks mean nothing to it: the body lasts until the close. An interim response it would take for
 * the answer. */
static void test_http10_stream(void **state)
{
	struct msg interim = wire_response(&w, 100);

	(void)state;
	wire_send(&w, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_int_equal(stream_head(stream, &interim, NULL), 0);
	send_response(200, BODY_CHUNKED, "hello");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nConnection: close\r\n\r\nhello");
	assert_true(w.eof);
}

static void test_until_close_becomes_chunked(void **state)
{
	(void)state;
	wire_send(&w, GET);
	send_response(200, BODY_UNTIL_CLOSE, "hello");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nTransfer-Encoding: chunked\r\n\r\n"
					   "5\r\nhello\r\n0\r\n\r\n");
	assert_false(w.eof);
}

static void test_trailers(void **state)
{
	struct field f = { STR("X-Sum"), STR("7") };
	const struct fields trailers = { &f, 1, 1 };

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_CHUNKED, 0);
	assert_int_equal(stream_end(stream, &trailers, NULL), 0);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nTransfer-Encoding: chunked\r\n\r\n"
					   "0\r\nX-Sum: 7\r\n\r\n");
}

static void test_no_body_allowed(void **state)
{
	(void)state;
	in_request = reply_hello;
	wire_send(&w, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nContent-Length: 5\r\n\r\n");
	in_request = NULL;
	wire_send(&w, GET);
	send_response(204, BODY_CHUNKED, "hello");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 204 R\r\n\r\n");
	wire_send(&w, GET);
	send_response(304, BODY_NONE, "hello");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 304 R\r\n\r\n");
	/* and the connection goes on */
	in_request = reply_hello;
	wire_send(&w, GET);
	assert_string_equal(wire_recv(&w), HELLO);
}

static void test_connection_close(void **state)
{
	(void)state;
	in_request = reply_empty;
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET);
	assert_string_equal(wire_recv(&w),
			    "HTTP/1.1 200 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_true(w.eof);
	wire_expect(&w, "GET end done"); /* not a second request */
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

static void close_and_reply(void)
{
	stream_close_after(stream);
	reply_empty();
}

static void test_close_after(void **state)
{
	(void)state;
	in_request = close_and_reply;
	wire_send(&w, GET);
	assert_string_equal(wire_recv(&w),
			    "HTTP/1.1 200 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_true(w.eof);
}

static void test_expect_continue(void **state)
{
	struct msg interim = wire_response(&w, 100);

	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
		      "Content-Length: 5\r\n\r\n");
	assert_true(req->expect_continue);
	assert_string_equal(wire_recv(&w), "");
	assert_int_equal(stream_head(stream, &interim, NULL), 0);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 100 R\r\n\r\n");
	wire_send(&w, "hello");
	wire_expect(&w, "POST body(hello) end");
	reply_empty();
	assert_string_equal(wire_recv(&w), EMPTY);
}

/* --- early answers -------------------------------------------------------------------------- */

/* The client is told to go, can still read the answer, and what it goes on sending is read past. */
static void test_early_answer(void **state)
{
	(void)state;
	in_request = reply_400;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc");
	wire_expect(&w, "POST done");
	wire_push(&w, MIB(1));
	assert_string_equal(wire_recv(&w), REFUSED);
	assert_true(w.eof);
	assert_false(w.reset);
	wire_expect(&w, "");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

/* It does not even read the answer: that is its business, not an error of the connection. */
static void test_client_resets_while_lingering(void **state)
{
	(void)state;
	in_request = reply_400;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "POST done closed(-)");
}

/* A client in the middle of a long upload reads the answer when it is done, if that is soon. */
static void test_linger_waits_for_a_sender(void **state)
{
	(void)state;
	in_request = reply_400;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc");
	wire_expect(&w, "POST done");
	for (int gone = 0; gone + HTTP_LINGER_MS - 1 < HTTP_LINGER_MAX_MS;
	     gone += HTTP_LINGER_MS - 1) {
		wire_send(&w, "more");
		wire_expect(&w, "");
		loop_test_advance(w.loop, HTTP_LINGER_MS - 1);
	}
	wire_send(&w, "more");
	wire_expect(&w, "");
	loop_test_advance(w.loop, HTTP_LINGER_MS - 1); /* less than its pause, more than its time */
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

static void test_linger_ends(void **state)
{
	(void)state;
	in_request = reply_400;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc");
	wire_expect(&w, "POST done");
	loop_test_advance(w.loop, HTTP_LINGER_MS - 1);
	wire_spin(&w);
	wire_expect(&w, "");
	loop_test_advance(w.loop, 1);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

/* When the rest of the request is here already, reading past it is cheaper than a new connection. */
static void test_early_answer_small_request(void **state)
{
	(void)state;
	in_request = reply_hello;
	wire_send(&w, POST5 "abcde" GET);
	assert_string_equal(wire_recv(&w), HELLO HELLO);
	wire_expect(&w, "POST end done GET end done");
}

static void pause_and_reply(void)
{
	stream_pause(stream, true);
	reply_hello();
}

static void test_early_answer_while_paused(void **state)
{
	(void)state;
	in_request = pause_and_reply;
	wire_send(&w, POST5 "abcde" GET);
	assert_string_equal(wire_recv(&w), HELLO HELLO);
}

/* An answer may begin while the request still comes, and both go on. */
static void test_both_directions_at_once(void **state)
{
	(void)state;
	wire_send(&w, POST5 "ab");
	head_only(BODY_LENGTH, 4);
	assert_int_equal(stream_body(stream, STR("12"), NULL), 0);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nContent-Length: 4\r\n"
					   "Connection: close\r\n\r\n12");
	wire_send(&w, "cde");
	assert_int_equal(stream_body(stream, STR("34"), NULL), 0);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_string_equal(wire_recv(&w), "34");
	wire_expect(&w, "POST body(ab) body(cde) end done");
}

/* --- what goes wrong ------------------------------------------------------------------------ */

static void test_client_leaves(void **state)
{
	static const struct {
		const char *sent, *log;
	} cases[] = {
		{ "", "closed(-)" },
		{ "GET / HT", "closed(io)" },
		{ GET, "GET end fail(io) closed(io)" },
		{ POST5 "ab", "POST body(ab) fail(io) closed(io)" },
		{ POST5 "abcde", "POST body(abcde) end fail(io) closed(io)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (i > 0)
			conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
		wire_send(&w, cases[i].sent);
		assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
		wire_spin(&w);
		wire_expect(&w, cases[i].log);
		wire_close(&w);
	}
}

/* No body is given while the stream is paused; a client that hangs up is noticed nevertheless, once.
 */
static void test_client_leaves_while_paused(void **state)
{
	(void)state;
	wire_send(&w, POST5);
	stream_pause(stream, true);
	wire_send(&w, "ab");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "POST fail(io) closed(io)");
}

/* Over TCP only the end of what it sends tells: it closed, but nothing was sent to it since. */
static void test_client_ends_while_paused(void **state)
{
	(void)state;
	wire_send(&w, POST5);
	stream_pause(stream, true);
	wire_send(&w, "ab");
	assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
	wire_spin(&w);
	wire_expect(&w, "POST fail(io) closed(io)");
}

static void test_client_leaves_while_answered(void **state)
{
	static char big[KIB(128)];

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_CHUNKED, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stream_body(stream, str_mem(big, sizeof(big)), NULL), 0);
	wire_spin(&w);
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "GET end fail(io) closed(io)");
}

static const char smuggling[] =
	"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
	"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

static void test_bad_request_answered(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"\x16\x03\x01\r\n\r\n",
		smuggling,
	};

	(void)state;
	in_bad = reply_400;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (i > 0)
			conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
		wire_send(&w, bad[i]);
		assert_string_equal(wire_recv(&w), REFUSED);
		assert_true(w.eof);
		wire_expect(&w, "refused(bad)");
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, "closed(-)");
	}
}

static void test_bad_request_not_answered(void **state)
{
	(void)state;
	wire_send(&w, "GET\r\n\r\n");
	wire_expect(&w, "refused(bad) closed(bad)");
	assert_string_equal(wire_recv(&w), "");
}

static void test_head_too_large(void **state)
{
	auto_buf head = BUF_INIT(MIB(1));

	(void)state;
	in_bad = reply_400;
	assert_int_equal(buf_addz(&head, "GET / HTTP/1.1\r\nA: ", NULL), 0);
	while (head.len <= HTTP_HEAD_MAX)
		assert_int_equal(buf_addz(&head, "xxxxxxxxxxxxxxxx", NULL), 0);
	wire_send_str(&w, buf_str(&head));
	assert_string_equal(wire_recv(&w), REFUSED);
	wire_expect(&w, "refused(limit)");
}

static void test_bad_body(void **state)
{
	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3\r\nabc\r\nnonsense\r\n");
	wire_expect(&w, "POST body(abc) fail(bad) closed(bad)");
}

static void answer_bad_body(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "bad-body(%s)", wire_code(err));
	if (in_bad)
		in_bad();
}

static void use_answer_bad_body(void)
{
	static struct stream_handler h;

	h = wire_notes;
	h.on_bad = answer_bad_body;
	stream_handle(stream, &h, &w);
}

/* While no head was sent the client is told what is wrong; nothing after it is read as a request. */
static void test_bad_body_answered(void **state)
{
	static const char text[] =
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n0x1\r\n" GET;

	const size_t text_head = (size_t)(strstr(text, "3\r\n") - text);

	(void)state;
	in_request = use_answer_bad_body;
	in_bad = reply_400;
	wire_send(&w, text);
	assert_string_equal(wire_recv(&w), REFUSED);
	assert_true(w.eof);
	wire_expect(&w, "POST body(abc) bad-body(bad) done");
	h1_conn_close(conn);
	wire_close(&w);
	/* too late: it fails as without the callback */
	in_bad = reply_400;
	conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	wire_send_str(&w, str_sub(str_of(text), 0, text_head));
	head_only(BODY_CHUNKED, 0);
	wire_send_str(&w, str_from(str_of(text), text_head));
	wire_expect(&w, "POST body(abc) fail(bad) closed(bad)");
	wire_close(&w);
	/* not answered: as well */
	in_bad = NULL;
	conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	wire_send(&w, text);
	wire_expect(&w, "POST body(abc) bad-body(bad) fail(bad) closed(bad)");
}

static void test_wrong_use(void **state)
{
	struct msg m = wire_response(&w, 200);
	struct err err = ERR_INIT;

	(void)state;
	wire_send(&w, GET);
	assert_int_equal(stream_body(stream, STR("x"), &err), -1);
	assert_int_equal(stream_end(stream, NULL, &err), -1);
	m.reason = STR("a\r\nb");
	assert_int_equal(stream_head(stream, &m, &err), -1);
	m = wire_response(&w, 101);
	assert_int_equal(stream_head(stream, &m, &err), -1);
	assert_int_equal(err.code, E_BAD);
	/* none of which sent anything */
	head_only(BODY_LENGTH, 3);
	m = wire_response(&w, 200);
	assert_int_equal(stream_head(stream, &m, &err), -1);
	assert_int_equal(stream_body(stream, STR("abcd"), &err), -1);
	assert_int_equal(stream_body(stream, STR("ab"), &err), 0);
	assert_int_equal(stream_end(stream, NULL, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(stream_body(stream, STR("c"), &err), 0);
	assert_int_equal(stream_end(stream, NULL, &err), 0);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nContent-Length: 3\r\n\r\nabc");
}

/* --- time ----------------------------------------------------------------------------------- */

static void test_head_timeout(void **state)
{
	(void)state;
	in_bad = reply_400;
	wire_send(&w, "GET / HTTP/1.1\r\n");
	/* It drips: that does not help. */
	for (int i = 0; i < 59; i++) {
		loop_test_advance(w.loop, 1000);
		wire_send(&w, "A: b\r\n");
		wire_expect(&w, "");
	}
	loop_test_advance(w.loop, 1000);
	assert_string_equal(wire_recv(&w), REFUSED);
	wire_expect(&w, "refused(timeout)");
}

static void test_silent_from_the_start(void **state)
{
	(void)state;
	wire_spin(&w);
	loop_test_advance(w.loop, 59999);
	wire_spin(&w);
	wire_expect(&w, "");
	loop_test_advance(w.loop, 1);
	assert_string_equal(wire_recv(&w), "");
	assert_true(w.eof);
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

static void test_keepalive_timeout(void **state)
{
	(void)state;
	in_request = reply_empty;
	wire_send(&w, GET);
	assert_string_equal(wire_recv(&w), EMPTY);
	wire_expect(&w, "GET end done");
	loop_test_advance(w.loop, 299999);
	wire_spin(&w);
	assert_string_equal(wire_recv(&w), "");
	assert_false(w.eof);
	loop_test_advance(w.loop, 1);
	assert_string_equal(wire_recv(&w), "");
	assert_true(w.eof);
	/* The head of a second request has its own time, from its first byte. */
	h1_conn_close(conn);
	wire_close(&w);
	conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	wire_send(&w, GET);
	(void)wire_recv(&w);
	loop_test_advance(w.loop, 200000);
	wire_send(&w, "GET");
	loop_test_advance(w.loop, 59999);
	wire_spin(&w);
	wire_expect(&w, "GET end done");
	loop_test_advance(w.loop, 1);
	wire_spin(&w);
	wire_expect(&w, "refused(timeout) closed(timeout)");
}

static void test_idle_timeout(void **state)
{
	(void)state;
	wire_send(&w, POST5);
	loop_test_advance(w.loop, 599999);
	wire_send(&w, "ab"); /* a byte in, */
	loop_test_advance(w.loop, 599999);
	head_only(BODY_LENGTH, 5);
	wire_spin(&w); /* a byte out: neither direction is idle */
	loop_test_advance(w.loop, 599999);
	wire_spin(&w);
	wire_expect(&w, "POST body(ab)");
	loop_test_advance(w.loop, 1);
	wire_spin(&w);
	wire_expect(&w, "fail(timeout) closed(timeout)");
}

static void test_no_timeouts(void **state)
{
	static const struct h1_timeouts none = { 0, 0, 0 };

	(void)state;
	h1_conn_close(conn);
	wire_close(&w);
	conn = h1_server_new(w.loop, wire_unix(&w), &none, &handler, NULL);
	wire_spin(&w);
	assert_null(conn->timer.loop);
	wire_send(&w, "GET / HTTP/1.1\r\n");
	assert_null(conn->timer.loop);
	wire_send(&w, "Host: a\r\n\r\n");
	assert_null(conn->timer.loop);
	wire_expect(&w, "GET end");
}

/* Bytes do not move the timer: it looks what is due when it goes off. */
static void test_timer_is_not_moved(void **state)
{
	int64_t at;

	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
	at = conn->timer.due_ms;
	for (int i = 0; i < 10; i++) {
		loop_test_advance(w.loop, 1000);
		wire_send(&w, "x");
		assert_int_equal(conn->timer.due_ms, at);
	}
}

/* --- back-pressure
 * ----------------------------------------------------------------------------------- */

static void test_slow_reader(void **state)
{
	static char piece[KIB(16)];
	size_t sent = 0, total;

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_UNTIL_CLOSE, 0);
	/* What the proxy does: it stops above the mark. */
	while (stream_queued(stream) <= PROXY_OUT_HIGH) {
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
		sent += sizeof(piece);
		wire_spin(&w);
		assert_true(sent < MIB(16));
	}
	wire_expect(&w, "GET end");
	total = wire_drain(&w);
	assert_true(total > sent);
	wire_expect(&w, "drain");
	assert_int_equal(stream_queued(stream), 0);
}

/* What the socket takes needs no queue; what waits, and what it does not take, stays in order. */
static void test_large_pieces(void **state)
{
	static char piece[H1_DIRECT_MIN];
	const struct str head = STR("HTTP/1.1 200 R\r\nTransfer-Encoding: chunked\r\n\r\n");
	const size_t framed = strlen("2000\r\n\r\n") + sizeof(piece);
	size_t sent = 0;

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_CHUNKED, 0);
	do {
		memset(piece, 'a' + (int)(sent % 26), sizeof(piece));
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
		if (sent++ == 0) /* behind the head */
			wire_spin(&w);
		else if (sent == 2)
			assert_int_equal(stream_queued(stream), 0);
	} while (stream_queued(stream) <= sizeof(piece));
	assert_int_equal(stream_body(stream, STR("small"), NULL), 0);
	assert_int_equal(wire_drain(&w), head.n + sent * framed + strlen("5\r\nsmall\r\n"));
	assert_memory_equal(w.got.mem, head.p, head.n);
	for (size_t i = 0; i < sent; i++) {
		const char *at = w.got.mem + head.n + i * framed;

		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		assert_memory_equal(at, "2000\r\n", 6);
		assert_memory_equal(at + 6, piece, sizeof(piece));
	}
	assert_memory_equal(w.got.mem + head.n + sent * framed, "5\r\nsmall\r\n", 10);
}

/* A transport that says once why it failed. */
static ssize_t broken_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	(void)p;
	(void)n;
	(void)err_set(err, f->ready ? E_TIMEOUT : E_SYS, "broken");
	f->ready = false;
	return FILTER_ERROR;
}

static ssize_t dry_read(struct filter *f, void *p, size_t n, struct err *err)
{
	(void)f;
	(void)p;
	(void)n;
	(void)err;
	return FILTER_AGAIN;
}

static void free_nothing(struct filter *f)
{
	(void)f;
}

/* Its failure is told from the loop, as all is, and as it was when it happened. */
static void test_large_piece_fails(void **state)
{
	static const struct filter_ops ops = {
		.name = "broken", .read = dry_read, .write = broken_write, .free = free_nothing
	};
	struct filter broken = { .ops = &ops, .ready = true };
	static char piece[H1_DIRECT_MIN];

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_UNTIL_CLOSE, 0);
	(void)wire_recv(&w);
	broken.below = conn->f;
	conn->f = &broken;
	for (int i = 0; i < 2; i++)
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
	wire_expect(&w, "GET end");
	wire_spin(&w);
	wire_expect(&w, "fail(timeout) closed(timeout)");
}

/* The same while nothing is to be read, and with a handler that does not care. */
static void use_quiet(void)
{
	static const struct stream_handler quiet = { .on_done = NULL };

	stream_handle(stream, &quiet, NULL);
	stream_pause(stream, true);
}

static void test_slow_reader_while_paused(void **state)
{
	static char piece[KIB(64)];

	(void)state;
	in_request = use_quiet;
	wire_send(&w, POST5);
	head_only(BODY_UNTIL_CLOSE, 0);
	while (stream_queued(stream) <= PROXY_OUT_HIGH) {
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
		wire_spin(&w);
	}
	(void)wire_drain(&w);
	assert_int_equal(stream_queued(stream), 0);
	wire_spin(&w);
	assert_false(conn->work.queued);
}

static void test_queue_has_a_maximum(void **state)
{
	static char piece[KIB(64)];
	struct err err = ERR_INIT;
	size_t n = 0, before;

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_CHUNKED, 0);
	do {
		before = stream_queued(stream);
		assert_true(++n < 1000);
	} while (stream_body(stream, str_mem(piece, sizeof(piece)), &err) == 0);
	assert_int_equal(err.code, E_LIMIT);
	assert_int_equal(stream_queued(stream), before); /* not even its size line */
	assert_true(stream_queued(stream) <= PROXY_OUT_MAX);
}

static void test_pause(void **state)
{
	size_t taken;

	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
	stream_pause(stream, true);
	taken = wire_flood(&w);
	assert_true(taken < MIB(8));
	assert_true(conn->in.len <= 2 * PROXY_READ_SIZE);
	wire_expect(&w, "POST");
	stream_pause(stream, false);
	wire_spin(&w);
	wire_push(&w, MIB(1));
	assert_true(w.log.len > 0);
}

/* Pausing holds back the body only: a request without one is complete all the same. */
static void pause_now(void)
{
	stream_pause(stream, true);
}

static void test_pause_without_body(void **state)
{
	(void)state;
	in_request = pause_now;
	wire_send(&w, GET);
	wire_expect(&w, "GET end");
}

static void test_paused_from_the_start(void **state)
{
	(void)state;
	in_request = pause_now;
	wire_send(&w, POST5 "abcde");
	wire_expect(&w, "POST");
	stream_pause(stream, false);
	wire_spin(&w);
	wire_expect(&w, "body(abcde) end");
}

/* --- callbacks that end things -------------------------------------------------------------- */

static void abort_now(void)
{
	stream_abort(stream);
	assert_int_equal(stream_body(stream, STR("x"), NULL), -1);
	assert_int_equal(stream_end(stream, NULL, NULL), -1);
}

static void close_now(void)
{
	h1_conn_close(conn);
	conn = NULL;
}

static void test_abort_in_callback(void **state)
{
	(void)state;
	in_request = abort_now;
	wire_send(&w, POST5 "abcde" GET);
	wire_expect(&w, "POST closed(cancelled)");
	(void)wire_recv(&w);
	assert_true(w.eof || w.reset);
}

static void test_close_in_callback(void **state)
{
	(void)state;
	in_request = close_now;
	wire_send(&w, POST5 "abcde" GET);
	wire_expect(&w, "POST");
	(void)wire_recv(&w);
	assert_true(w.eof || w.reset);
}

static void end_in_body(void *arg, struct str piece)
{
	(void)arg;
	(void)piece;
	if (in_bad == abort_now)
		abort_now();
	else
		close_now();
}

static void use_end_in_body(void)
{
	static const struct stream_handler h = { .on_body = end_in_body };

	stream_handle(stream, &h, NULL);
}

static void test_end_in_body(void **state)
{
	(void)state;
	in_request = use_end_in_body;
	in_bad = abort_now; /* chooses what end_in_body does */
	wire_send(&w, POST5 "abcde" GET);
	wire_expect(&w, "POST closed(cancelled)");
	wire_close(&w);
	conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	in_bad = NULL;
	wire_send(&w, POST5 "abcde" GET);
	wire_expect(&w, "POST");
}

static void test_abort_from_outside(void **state)
{
	(void)state;
	wire_send(&w, GET);
	stream_abort(stream);
	stream_abort(stream);
	wire_expect(&w, "GET end"); /* not from inside the call */
	wire_spin(&w);
	wire_expect(&w, "closed(cancelled)");
}

static void test_dead_stream(void **state)
{
	struct msg m = wire_response(&w, 200);
	struct err err = ERR_INIT;

	(void)state;
	wire_send(&w, GET);
	head_only(BODY_CHUNKED, 0);
	stream_abort(stream);
	assert_int_equal(stream_body(stream, STR("x"), &err), -1);
	assert_int_equal(err.code, E_IO);
	assert_int_equal(stream_end(stream, NULL, &err), -1);
	assert_int_equal(err.code, E_IO);
	stream_pause(stream, true);
	wire_spin(&w);
	wire_expect(&w, "GET end closed(cancelled)");
	/* over, and the connection idle */
	wire_close(&w);
	conn = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	wire_send(&w, GET);
	reply_empty();
	wire_spin(&w);
	assert_int_equal(stream_head(stream, &m, &err), -1);
	/* the next one has begun, and nobody was told yet */
	wire_send(&w, "GET");
	assert_int_equal(stream_head(stream, &m, &err), -1);
	assert_string_equal(wire_recv(&w), EMPTY);
}

static void test_abort_after_close(void **state)
{
	(void)state;
	wire_send(&w, GET);
	close_now();
	stream_abort(stream);
	wire_spin(&w);
	wire_expect(&w, "GET end");
}

static void close_in_done(void *arg)
{
	(void)arg;
	wire_note(&w, "done");
	close_now();
}

static void use_close_in_done(void)
{
	static const struct stream_handler h = { .on_done = close_in_done };

	stream_handle(stream, &h, NULL);
	reply_hello();
}

static void test_close_in_done(void **state)
{
	(void)state;
	in_request = use_close_in_done;
	wire_send(&w, GET GET);
	assert_string_equal(wire_recv(&w), HELLO);
	assert_true(w.eof || w.reset);
	wire_expect(&w, "GET done");
}

static void test_close_after_abort(void **state)
{
	(void)state;
	wire_send(&w, GET);
	stream_abort(stream);
	close_now();
	wire_spin(&w);
	wire_expect(&w, "GET end");
}

/* A body that lasts until the close, cut: the client must see a reset, not an orderly end. */
/* Room for what does not come moves what is there. */
static void test_end_within_a_chunk_line(void **state)
{
	(void)state;
	wire_send(&w, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=bc");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "POST fail(io) closed(io)");
}

static void test_cut_body_is_a_reset(void **state)
{
	(void)state;
	h1_conn_close(conn);
	wire_close(&w);
	conn = h1_server_new(w.loop, wire_tcp(&w), &wire_timeouts, &handler, NULL);
	wire_send(&w, "GET / HTTP/1.0\r\n\r\n");
	head_only(BODY_UNTIL_CLOSE, 0);
	assert_int_equal(stream_body(stream, STR("half"), NULL), 0);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\nConnection: close\r\n\r\nhalf");
	stream_abort(stream);
	(void)wire_recv(&w);
	assert_true(w.reset);
	assert_false(w.eof);
}

/* --- taking the stack ----------------------------------------------------------------------- */

static struct filter *taken;

static void take_now(void)
{
	struct msg m = wire_response(&w, 200);

	assert_int_equal(stream_head(stream, &m, NULL), 0);
	taken = h1_conn_take(conn);
	conn = NULL;
}

static void expect_read(struct filter *f, const char *want)
{
	char got[256];
	ssize_t n = filter_read(f, got, sizeof(got), NULL);

	assert_int_equal(n, strlen(want));
	assert_memory_equal(got, want, strlen(want));
}

static void test_take(void **state)
{
	char c;

	(void)state;
	in_request = take_now;
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01 hello");
	wire_expect(&w, "CONNECT");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\n\r\n");
	assert_int_equal(filter_handshake(taken, NULL), FILTER_READY);
	assert_true(filter_pending(taken));
	expect_read(taken, "\x16\x03\x01 hello");
	assert_false(filter_pending(taken));
	assert_int_equal(filter_read(taken, &c, 1, NULL), FILTER_AGAIN);
	assert_int_equal(filter_wants(taken), LOOP_READ);
	assert_int_equal(filter_write(taken, "x", 1, NULL), 1);
	assert_string_equal(wire_recv(&w), "x");
	wire_send(&w, "y");
	expect_read(taken, "y");
	assert_int_equal(filter_shutdown(taken, NULL), FILTER_READY);
	(void)wire_recv(&w);
	assert_true(w.eof);
	filter_free(taken);
}

/* Answered and not taken: there is nothing to go on with. */
static void test_tunnel_not_taken(void **state)
{
	(void)state;
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
	send_response(200, BODY_LENGTH, "");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\n\r\n");
	assert_true(w.eof);
}

static void test_connect_refused(void **state)
{
	(void)state;
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
	reply_400();
	assert_string_equal(wire_recv(&w), "HTTP/1.1 400 R\r\nContent-Length: 0\r\n\r\n");
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	reply_400();
	assert_string_equal(wire_recv(&w), REFUSED);
}

static void test_take_later(void **state)
{
	(void)state;
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_send(&w, "early");
	wire_expect(&w, "CONNECT end");
	take_now();
	wire_spin(&w);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\n\r\n");
	expect_read(taken, "early");
	filter_free(taken);
}

/* The socket is full: what was queued goes out before anything the new owner writes, also if it
 * only listens. */
static void fill_and_take(void)
{
	struct msg m = wire_response(&w, 200);
	static char filler[KIB(64)];

	while (send(filter_fd(conn->f), filler, sizeof(filler), MSG_DONTWAIT) > 0)
		;
	while (send(filter_fd(conn->f), filler, 1, MSG_DONTWAIT) > 0)
		;
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	taken = h1_conn_take(conn);
	conn = NULL;
}

static void test_take_with_output(void **state)
{
	char c;

	(void)state;
	in_request = fill_and_take;
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nearly");
	assert_int_equal(filter_handshake(taken, NULL), FILTER_NOT_YET);
	assert_true(filter_wants(taken) & LOOP_WRITE);
	expect_read(taken, "early");
	assert_int_equal(filter_write(taken, "x", 1, NULL), FILTER_AGAIN);
	assert_int_equal(filter_shutdown(taken, NULL), FILTER_NOT_YET);
	(void)wire_drain(&w);
	assert_int_equal(filter_read(taken, &c, 1, NULL), FILTER_AGAIN);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\n\r\n");
	assert_int_equal(filter_handshake(taken, NULL), FILTER_READY);
	assert_int_equal(filter_write(taken, "x", 1, NULL), 1);
	assert_string_equal(wire_recv(&w), "x");
	filter_free(taken);
}

static void test_take_with_output_only(void **state)
{
	(void)state;
	in_request = fill_and_take;
	wire_send(&w, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(filter_handshake(taken, NULL), FILTER_NOT_YET);
	(void)wire_drain(&w);
	assert_int_equal(filter_write(taken, "x", 1, NULL), 1);
	assert_string_equal(wire_recv(&w), "HTTP/1.1 200 R\r\n\r\nx");
	filter_free(taken);
}

/* --- draining ------------------------------------------------------------------------------- */

static void test_drain_idle(void **state)
{
	(void)state;
	in_request = reply_empty;
	wire_send(&w, GET);
	(void)wire_recv(&w);
	h1_conn_drain(conn);
	wire_expect(&w, "GET end done");
	(void)wire_recv(&w);
	assert_true(w.eof);
	wire_spin(&w);
	wire_expect(&w, "closed(-)"); /* whatever the peer does */
}

/* It still sends: closing now would reset the answer away. */
static void test_drain_early_answer(void **state)
{
	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nabc");
	h1_conn_drain(conn);
	reply_400();
	wire_spin(&w);
	wire_expect(&w, "POST body(abc) done");
	wire_push(&w, MIB(1));
	assert_string_equal(wire_recv(&w), REFUSED);
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

static void test_drain_busy(void **state)
{
	(void)state;
	wire_send(&w, GET);
	h1_conn_drain(conn);
	wire_spin(&w);
	wire_expect(&w, "GET end");
	reply_empty();
	assert_string_equal(wire_recv(&w),
			    "HTTP/1.1 200 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	assert_true(w.eof);
	wire_expect(&w, "done closed(-)");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_keep_alive),
		TEST(test_answer_later),
		TEST(test_pieces_leave_at_once),
		TEST(test_splits),
		TEST(test_echo_splits),
		TEST(test_pending_bytes),
		TEST(test_idle_holds_no_memory),
		TEST(test_pipelining),
		TEST(test_pipelining_at_once),
		TEST(test_pipelined_input_is_bounded),
		TEST(test_http10),
		TEST(test_http10_stream),
		TEST(test_until_close_becomes_chunked),
		TEST(test_trailers),
		TEST(test_no_body_allowed),
		TEST(test_connection_close),
		TEST(test_close_after),
		TEST(test_expect_continue),
		TEST(test_early_answer),
		TEST(test_client_resets_while_lingering),
		TEST(test_linger_ends),
		TEST(test_linger_waits_for_a_sender),
		TEST(test_early_answer_small_request),
		TEST(test_early_answer_while_paused),
		TEST(test_both_directions_at_once),
		TEST(test_client_leaves),
		TEST(test_client_leaves_while_paused),
		TEST(test_client_ends_while_paused),
		TEST(test_client_leaves_while_answered),
		TEST(test_bad_request_answered),
		TEST(test_bad_request_not_answered),
		TEST(test_head_too_large),
		TEST(test_bad_body),
		TEST(test_bad_body_answered),
		TEST(test_wrong_use),
		TEST(test_head_timeout),
		TEST(test_silent_from_the_start),
		TEST(test_keepalive_timeout),
		TEST(test_idle_timeout),
		TEST(test_no_timeouts),
		TEST(test_timer_is_not_moved),
		TEST(test_slow_reader),
		TEST(test_large_pieces),
		TEST(test_large_piece_fails),
		TEST(test_slow_reader_while_paused),
		TEST(test_queue_has_a_maximum),
		TEST(test_pause),
		TEST(test_pause_without_body),
		TEST(test_paused_from_the_start),
		TEST(test_abort_in_callback),
		TEST(test_close_in_callback),
		TEST(test_end_in_body),
		TEST(test_abort_from_outside),
		TEST(test_dead_stream),
		TEST(test_abort_after_close),
		TEST(test_close_in_done),
		TEST(test_close_after_abort),
		TEST(test_cut_body_is_a_reset),
		TEST(test_end_within_a_chunk_line),
		TEST(test_take),
		TEST(test_tunnel_not_taken),
		TEST(test_connect_refused),
		TEST(test_take_later),
		TEST(test_take_with_output),
		TEST(test_take_with_output_only),
		TEST(test_drain_idle),
		TEST(test_drain_busy),
		TEST(test_drain_early_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
