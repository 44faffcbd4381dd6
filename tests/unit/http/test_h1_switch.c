/* A switch of protocols (101) on either side of an HTTP/1.1 connection. */
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

#define ASK "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
#define YES "HTTP/1.1 101 R\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
#define EMPTY "HTTP/1.1 200 R\r\nContent-Length: 0\r\n\r\n"
#define LAST "HTTP/1.1 200 R\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#define GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

static struct wire w;
static struct h1_conn *conn;
static struct stream *stream;
static struct msg *req;

static void on_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "closed(%s)", wire_code(err));
	conn = NULL;
}

static void on_idle(void *arg)
{
	(void)arg;
	wire_note(&w, "idle");
}

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	(void)arg;
	wire_note(&w, "%.*s", STR_ARG(m->method));
	stream_handle(s, &wire_notes, &w);
	stream = s;
	req = m;
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	(void)arg;
	(void)s;
	wire_note(&w, "refused(%s)", wire_code(err));
}

static void serve(struct filter *f)
{
	static const struct h1_server_handler h = { on_request, on_bad_request, on_closed };

	conn = h1_server_new(w.loop, f, &wire_timeouts, &h, NULL);
}

static void ask(struct filter *f)
{
	static const struct h1_client_handler h = { on_closed, on_idle };
	struct msg m = wire_request(&w, "GET", "/ws");

	m.upgrade = STR("websocket");
	conn = h1_client_new(w.loop, f, &wire_timeouts, &h, NULL);
	stream = h1_client_start(conn, &wire_notes, &w);
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	assert_string_equal(wire_recv(&w), ASK);
}

static int setup(void **state)
{
	(void)state;
	wire_init(&w);
	return 0;
}

static void close_all(void)
{
	if (conn)
		h1_conn_close(conn);
	conn = NULL;
	wire_close(&w);
	wire_spin(&w);
	buf_clear(&w.log);
}

static int teardown(void **state)
{
	(void)state;
	close_all();
	wire_fini(&w);
	return 0;
}

static void answer(int status)
{
	struct msg m = wire_response(&w, status);

	m.upgrade = status == 101 ? STR("websocket") : STR_NONE;
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	if (status != 101)
		assert_int_equal(stream_end(stream, NULL, NULL), 0);
}

static void say(const char *text)
{
	assert_int_equal(stream_body(stream, str_of(text), NULL), 0);
}

static void end(void)
{
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	wire_spin(&w);
}

/* A server and a client after their handshakes. */
static void switched_server(struct filter *f)
{
	serve(f);
	wire_send(&w, ASK);
	wire_expect(&w, "GET");
	answer(101);
	assert_string_equal(wire_recv(&w), YES);
}

static void switched_client(struct filter *f)
{
	ask(f);
	wire_send(&w, YES);
	wire_expect(&w, "head(101)");
}

static void (*const switched[])(struct filter *) = { switched_server, switched_client };
#define EACH_ROLE(i) for (size_t i = 0; i < ARRAY_LEN(switched); close_all(), i++)

/* --- bytes both ways ------------------------------------------------------------------------ */

/* Bytes are bytes: what looks like HTTP is not read as HTTP. */
static void test_raw(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_unix(&w));
		wire_send(&w, GET);
		wire_expect(&w, "body(GET /x HTTP/1.1\r\nHost: a\r\n\r\n)");
		say(EMPTY);
		say("0\r\n\r\n");
		assert_string_equal(wire_recv(&w), EMPTY "0\r\n\r\n");
		wire_send(&w, YES "more");
		wire_expect(&w, "body(" YES "more)");
		wire_expect(&w, "");
	}
}

/* Whatever way the bytes of a handshake arrive. */
static void test_server_splits(void **state)
{
	static const char input[] = ASK "one";

	(void)state;
	for (size_t cut = 1; cut < sizeof(input) - 1; cut++, close_all()) {
		serve(wire_unix(&w));
		wire_send_str(&w, str_mem(input, cut));
		wire_send(&w, input + cut);
		wire_expect(&w, "GET");
		answer(101);
		assert_string_equal(wire_recv(&w), YES);
		wire_expect(&w, "body(one)");
	}
}

static void test_client_splits(void **state)
{
	static const char input[] = "HTTP/1.1 100 Continue\r\n\r\n" YES "o";

	(void)state;
	for (size_t cut = 1; cut < sizeof(input) - 1; cut++, close_all()) {
		ask(wire_unix(&w));
		wire_send_str(&w, str_mem(input, cut));
		wire_send(&w, input + cut);
		wire_expect(&w, "head(100) head(101) body(o)");
	}
}

/* --- before the answer ---------------------------------------------------------------------- */

/* Neither given nor read as a request until the answer is known; then they come first. */
static void test_early_bytes(void **state)
{
	(void)state;
	serve(wire_unix(&w));
	wire_send(&w, ASK GET);
	wire_send(&w, "late");
	wire_expect(&w, "GET");
	answer(101);
	wire_spin(&w);
	wire_expect(&w, "body(GET /x HTTP/1.1\r\nHost: a\r\n\r\nlate)");
}

/* No more than one read of them is taken. */
static void test_early_flood(void **state)
{
	size_t sent;

	(void)state;
	serve(wire_unix(&w));
	wire_send(&w, ASK);
	sent = wire_flood(&w);
	assert_true(conn->in.len < 2 * PROXY_READ_SIZE + 1);
	assert_true(sent < MIB(4));
	wire_expect(&w, "GET");
}

/* After another answer nobody knows what they are, so the connection ends there. */
static void test_early_bytes_and_no_switch(void **state)
{
	static const char *const early[] = { GET, "\x81\x85", "x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(early); i++, close_all()) {
		char both[256];

		(void)snprintf(both, sizeof(both), "%s%s", ASK, early[i]);
		serve(wire_unix(&w));
		wire_send(&w, both);
		answer(200);
		assert_string_equal(wire_recv(&w), LAST);
		wire_send(&w, GET);
		wire_expect(&w, "GET end done");
		assert_string_equal(wire_recv(&w), "");
		assert_true(w.eof);
	}
}

static void test_no_switch(void **state)
{
	(void)state;
	serve(wire_unix(&w));
	wire_send(&w, ASK);
	answer(200);
	assert_string_equal(wire_recv(&w), EMPTY);
	wire_expect(&w, "GET end done");
	wire_send(&w, GET);
	answer(200);
	assert_string_equal(wire_recv(&w), EMPTY);
	wire_expect(&w, "GET end done");
}

/* Who judges may say that this is an ordinary request. */
static void test_switch_taken_back(void **state)
{
	(void)state;
	serve(wire_unix(&w));
	wire_send(&w, ASK GET);
	wire_expect(&w, "GET");
	req->upgrade = STR_NONE;
	wire_send(&w, GET);
	wire_expect(&w, "end");
	answer(200);
	assert_string_equal(wire_recv(&w), EMPTY);
	wire_expect(&w, "done GET end");
	answer(200);
	assert_string_equal(wire_recv(&w), EMPTY);
	wire_expect(&w, "done GET end");
}

/* Of what was sent to a client before the upstream's answer not a byte leaves. */
static void test_nothing_before_the_answer(void **state)
{
	(void)state;
	ask(wire_unix(&w));
	assert_int_equal(stream_body(stream, STR("early"), NULL), -1);
	assert_string_equal(wire_recv(&w), "");
	wire_send(&w, YES);
	wire_expect(&w, "head(101)");
	say("now");
	assert_string_equal(wire_recv(&w), "now");
}

static void test_client_no_switch(void **state)
{
	(void)state;
	ask(wire_unix(&w));
	wire_send(&w, "HTTP/1.1 426 No\r\nContent-Length: 2\r\n\r\nno");
	wire_expect(&w, "head(426) body(no) end");
	end();
	wire_expect(&w, "done idle");
}

/* --- that was not asked for ----------------------------------------------------------------- */

static void expect_no_101(const char *request)
{
	struct msg m;

	serve(wire_unix(&w));
	wire_send(&w, request);
	m = wire_response(&w, 101);
	m.upgrade = STR("websocket");
	assert_int_equal(stream_head(stream, &m, NULL), -1);
	answer(200);
	close_all();
}

static void test_unasked(void **state)
{
	(void)state;
	expect_no_101(GET);
	/* Connection does not list it. */
	expect_no_101("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
	expect_no_101("GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\n"
		      "Connection: upgrade\r\n\r\n");
	expect_no_101("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		      "Connection: upgrade\r\nContent-Length: 2\r\n\r\nab");
	expect_no_101("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		      "Connection: upgrade\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void test_client_unasked(void **state)
{
	static const struct h1_client_handler h = { on_closed, on_idle };
	struct msg m = wire_request(&w, "GET", "/");

	(void)state;
	conn = h1_client_new(w.loop, wire_unix(&w), &wire_timeouts, &h, NULL);
	stream = h1_client_start(conn, &wire_notes, &w);
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	wire_send(&w, YES);
	wire_expect(&w, "fail(bad) closed(bad)");
}

/* --- ends ----------------------------------------------------------------------------------- */

static void test_peer_ends_first(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_unix(&w));
		wire_send(&w, "last");
		assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
		wire_spin(&w);
		wire_expect(&w, "body(last) end");
		say("still here");
		assert_string_equal(wire_recv(&w), "still here");
		assert_false(w.eof);
		end();
		wire_expect(&w, "done closed(-)");
		assert_string_equal(wire_recv(&w), "");
		assert_true(w.eof);
	}
}

static void test_we_end_first(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_unix(&w));
		say("bye");
		end();
		assert_string_equal(wire_recv(&w), "bye");
		assert_true(w.eof);
		wire_expect(&w, "");
		wire_send(&w, "but");
		wire_send(&w, "wait");
		assert_int_equal(stream_body(stream, STR("x"), NULL), -1);
		assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
		wire_spin(&w);
		wire_expect(&w, "body(but) body(wait) end done closed(-)");
	}
}

/* Our end waits for the bytes before it. */
static void test_end_behind_a_full_socket(void **state)
{
	static char filler[KIB(64)];

	(void)state;
	EACH_ROLE(i)
	{
		size_t sent = 0;

		switched[i](wire_unix(&w));
		while (stream_queued(stream) < KIB(256)) {
			assert_int_equal(stream_body(stream, str_mem(filler, sizeof(filler)), NULL),
					 0);
			sent += sizeof(filler);
			wire_spin(&w);
		}
		end();
		assert_false(conn->out_shut);
		assert_int_equal(wire_drain(&w), sent);
		assert_true(w.eof);
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, "drain end done closed(-)");
	}
}

/* How a peer leaves is not told apart: what it had said is passed on, and then the end. */
static void test_peer_resets(void **state)
{
	const struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_tcp(&w));
		wire_send(&w, "last");
		assert_int_equal(setsockopt(w.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, "body(last) end");
		end();
		wire_expect(&w, "done closed(-)");
	}
}

/* A client that is gone cannot be told; a server may have said something before it went. */
static void test_writing_to_a_peer_that_is_gone(void **state)
{
	(void)state;
	switched_server(wire_unix(&w));
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "end");
	say("x");
	wire_spin(&w);
	wire_expect(&w, "fail(io) closed(io)");
	close_all();
	switched_client(wire_unix(&w));
	wire_send(&w, "last");
	wire_close(&w);
	say("x");
	wire_spin(&w);
	wire_expect(&w, "body(last) end");
	say("y");
	end();
	wire_expect(&w, "done closed(-)");
}

static void test_client_leaves_before_the_answer(void **state)
{
	(void)state;
	serve(wire_unix(&w));
	wire_send(&w, ASK);
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "GET fail(io) closed(io)");
}

/* A cut exchange must not pass for one that ended well. */
static void test_abort(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_tcp(&w));
		stream_abort(stream);
		(void)wire_recv(&w);
		assert_true(w.reset);
		wire_expect(&w, "closed(cancelled)");
	}
}

/* It is the connection's last exchange, however short. */
static void test_nothing_after_it(void **state)
{
	(void)state;
	switched_server(wire_unix(&w));
	end();
	wire_send(&w, GET);
	wire_expect(&w, "body(GET /x HTTP/1.1\r\nHost: a\r\n\r\n)");
	assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
	wire_spin(&w);
	wire_expect(&w, "end done closed(-)");
}

/* --- the rest ------------------------------------------------------------------------------- */

/* How many bytes of body the log tells of. */
static size_t given(void)
{
	struct str rest = buf_str(&w.log);
	uint64_t total = 0, n;
	ssize_t at;

	while ((at = str_find(rest, STR("body(#"), 0)) >= 0) {
		rest = str_from(rest, (size_t)at + 6);
		assert_int_equal(str_to_u64(str_sub(rest, 0, (size_t)str_chr(rest, ')', 0)),
					    UINT64_MAX, &n),
				 0);
		total += n;
	}
	return total;
}

static void test_back_pressure(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		size_t sent;

		switched[i](wire_unix(&w));
		stream_pause(stream, true);
		sent = wire_flood(&w);
		assert_true(sent < MIB(4));
		wire_expect(&w, "");
		assert_true(conn->in.len <= 2 * PROXY_READ_SIZE);
		assert_int_equal(shutdown(w.peer, SHUT_WR), 0);
		wire_spin(&w);
		wire_expect(&w, "");
		stream_pause(stream, false);
		wire_spin(&w);
		assert_int_equal(given(), sent);
		assert_non_null(strstr(buf_z(&w.log), ") end"));
	}
}

/* Also a peer that has gone is heard to its end. */
static void test_paused_and_gone(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_unix(&w));
		stream_pause(stream, true);
		wire_send(&w, "last");
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, "");
		stream_pause(stream, false);
		wire_spin(&w);
		wire_expect(&w, "body(last) end");
	}
}

static void pass(int ms)
{
	loop_test_advance(w.loop, ms);
	wire_spin(&w);
}

/* Bytes in either direction count; so does the time of a half that is still open. */
static void test_idle(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		const int most = wire_timeouts.idle - 1;

		switched[i](wire_unix(&w));
		for (int turn = 0; turn < 3; turn++) {
			pass(most);
			wire_send(&w, "i");
			wire_expect(&w, "body(i)");
			pass(most);
			say("o");
			assert_string_equal(wire_recv(&w), "o");
		}
		end();
		pass(most);
		wire_expect(&w, "");
		pass(1);
		wire_expect(&w, "fail(timeout) closed(timeout)");
	}
}

/* The time for heads is over with the head. */
static void test_idle_before_the_answer(void **state)
{
	(void)state;
	serve(wire_unix(&w));
	wire_send(&w, ASK);
	pass(wire_timeouts.idle - 1);
	wire_expect(&w, "GET");
	pass(1);
	wire_expect(&w, "fail(timeout) closed(timeout)");
}

static void test_drain(void **state)
{
	(void)state;
	EACH_ROLE(i)
	{
		switched[i](wire_unix(&w));
		h1_conn_drain(conn);
		wire_send(&w, "on");
		wire_expect(&w, "body(on)");
		end();
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, "end done closed(-)");
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_raw),
		TEST(test_server_splits),
		TEST(test_client_splits),
		TEST(test_early_bytes),
		TEST(test_early_flood),
		TEST(test_early_bytes_and_no_switch),
		TEST(test_no_switch),
		TEST(test_switch_taken_back),
		TEST(test_nothing_before_the_answer),
		TEST(test_client_no_switch),
		TEST(test_unasked),
		TEST(test_client_unasked),
		TEST(test_peer_ends_first),
		TEST(test_we_end_first),
		TEST(test_end_behind_a_full_socket),
		TEST(test_peer_resets),
		TEST(test_writing_to_a_peer_that_is_gone),
		TEST(test_client_leaves_before_the_answer),
		TEST(test_abort),
		TEST(test_nothing_after_it),
		TEST(test_back_pressure),
		TEST(test_paused_and_gone),
		TEST(test_idle),
		TEST(test_idle_before_the_answer),
		TEST(test_drain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
