/* Extended CONNECT (RFC 8441) at the server role, against hand-made frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "frames.h"
#include "http/h2_conn.h"
#include "http/server.h"
#include "wire.h"

#define END NGHTTP2_FLAG_END_STREAM
#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ASK                                                                                \
	":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/x", \
		":authority", "a"
#define GET ":method", "GET", ":scheme", "https", ":path", "/x", ":authority", "a"
#define YES "H1(:status=200 x=y)"

static struct wire w;
static struct frames f;
static struct buf sent;
static struct h2_conn *conn;
static struct stream *stream;

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	(void)arg;
	wire_note(&w, "%.*s(%.*s)", STR_ARG(m->method), STR_ARG(m->upgrade));
	stream = s;
	stream_handle(s, &wire_notes, &w);
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	(void)arg;
	(void)s;
	wire_note(&w, "refused(%s)", wire_code(err));
}

static void on_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "closed(%s)", wire_code(err));
	conn = NULL;
}

static void flush(void)
{
	wire_send_str(&w, frames_take(&f, &sent));
}

static const char *replies(void)
{
	(void)wire_drain(&w);
	return frames_words(&f, buf_str(&w.got));
}

static int setup(void **state)
{
	static const struct h2_server_handler handler = { on_request, on_bad_request, on_closed };

	(void)state;
	wire_init(&w);
	frames_init(&f);
	buf_init(&sent, MIB(8));
	conn = h2_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	assert_int_equal(buf_addz(&f.out, FRAMES_PREFACE, NULL), 0);
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR(""));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (conn)
		h2_conn_close(conn);
	conn = NULL;
	wire_fini(&w);
	frames_fini(&f);
	buf_fini(&sent);
	return 0;
}

static void ask(void)
{
	frames_headers(&f, 0, 1, FIELDS(ASK));
	flush();
	(void)replies();
	wire_expect(&w, "GET(websocket)");
}

static int answer(int status)
{
	struct msg m = wire_response(&w, status);

	wire_field(&m, "X", "y");
	return stream_head(stream, &m, NULL);
}

static void data(unsigned flags, const char *text)
{
	frames_add(&f, NGHTTP2_DATA, flags, 1, str_of(text));
	flush();
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

/* RFC 8441 3 */
static void test_announced(void **state)
{
	bool found = false;

	(void)state;
	flush();
	(void)wire_drain(&w);
	/* The first frame is SETTINGS: six bytes an entry behind a head of nine. */
	for (size_t at = 9; at + 6 <= w.got.len && at < 9 + 6 * 8; at += 6)
		found |= memcmp(buf_str(&w.got).p + at, "\0\x08\0\0\0\1", 6) == 0;
	assert_true(found);
}

static void test_both_ways(void **state)
{
	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	assert_string_equal(replies(), YES);
	data(0, "up");
	wire_expect(&w, "body(up)");
	say("down");
	assert_string_equal(replies(), "D1(down)");
	data(0, "up");
	wire_expect(&w, "body(up)");
}

static void test_early_bytes(void **state)
{
	(void)state;
	ask();
	data(0, "early");
	data(0, "bird");
	wire_expect(&w, "");
	assert_int_equal(answer(101), 0);
	wire_spin(&w);
	wire_expect(&w, "body(earlybird)");
}

static void test_early_end(void **state)
{
	(void)state;
	frames_headers(&f, END, 1, FIELDS(ASK));
	flush();
	wire_expect(&w, "GET(websocket)");
	assert_int_equal(answer(101), 0);
	wire_spin(&w);
	wire_expect(&w, "end");
}

static void test_early_bytes_and_no_switch(void **state)
{
	(void)state;
	ask();
	data(0, "early");
	assert_int_equal(http_reply(stream, 403, NULL, STR("no"), NULL, NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "done");
	(void)replies();
	assert_non_null(strstr(buf_z(&f.words), ":status=403"));
	assert_non_null(strstr(buf_z(&f.words), "RST1(NO_ERROR)"));
}

/* While the refusal is on its way nothing of it is given either. */
static void test_refusal_in_pieces(void **state)
{
	struct msg m = wire_response(&w, 404);

	(void)state;
	ask();
	data(0, "early");
	m.framing = BODY_CHUNKED;
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	wire_spin(&w);
	data(0, "late");
	say("no");
	wire_spin(&w);
	wire_expect(&w, "");
	end();
	wire_expect(&w, "done");
}

/* Only a 101 of ours opens the tunnel. */
static void test_other_success(void **state)
{
	(void)state;
	ask();
	assert_int_equal(answer(200), -1);
	assert_int_equal(answer(204), -1);
	assert_string_equal(replies(), "");
	assert_int_equal(answer(502), 0);
	assert_non_null(strstr(replies(), ":status=502"));
}

static void test_unasked(void **state)
{
	(void)state;
	frames_headers(&f, END, 1, FIELDS(GET));
	flush();
	assert_int_equal(answer(101), -1);
	frames_headers(&f, END, 3, FIELDS(ASK, "content-length", "0"));
	flush();
	wire_expect(&w, "GET() end refused(bad)");
}

static void test_client_ends_first(void **state)
{
	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	assert_string_equal(replies(), YES);
	data(END, "last");
	wire_expect(&w, "body(last) end");
	say("still here");
	assert_string_equal(replies(), "D1(still here)");
	end();
	assert_string_equal(replies(), "D1().");
	wire_expect(&w, "done");
}

static void test_we_end_first(void **state)
{
	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	assert_string_equal(replies(), YES);
	say("bye");
	end();
	assert_string_equal(replies(), "D1(bye).");
	data(0, "but");
	data(END, "wait");
	wire_expect(&w, "body(but) body(wait) end done");
	assert_string_equal(replies(), "");
}

static void test_reset(void **state)
{
	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	frames_add(&f, NGHTTP2_RST_STREAM, 0, 1, STR("\0\0\0\x08"));
	flush();
	wire_expect(&w, "fail(io)");
}

/* Its answer is complete, and it takes back the rest. */
static void test_reset_after_our_end(void **state)
{
	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	end();
	frames_add(&f, NGHTTP2_RST_STREAM, 0, 1, STR("\0\0\0\x08"));
	flush();
	wire_expect(&w, "done");
}

static void pass(int ms)
{
	loop_test_advance(w.loop, ms);
	wire_spin(&w);
}

static void test_idle(void **state)
{
	const int most = wire_timeouts.idle - 1;

	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	assert_string_equal(replies(), YES);
	for (int turn = 0; turn < 3; turn++) {
		pass(most);
		data(0, "i");
		wire_expect(&w, "body(i)");
		pass(most);
		say("o");
		assert_string_equal(replies(), "D1(o)");
	}
	pass(most);
	wire_expect(&w, "");
	pass(1);
	wire_expect(&w, "fail(timeout)");
	assert_string_equal(replies(), "RST1(CANCEL)");
}

static void test_back_pressure(void **state)
{
	static char filler[16384];

	(void)state;
	ask();
	assert_int_equal(answer(101), 0);
	/* The window that was announced counts from here on. */
	frames_add(&f, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, STR(""));
	stream_pause(stream, true);
	for (size_t n = 0; n + sizeof(filler) <= H2_SERVER_WINDOW; n += sizeof(filler)) {
		frames_add(&f, NGHTTP2_DATA, 0, 1, str_mem(filler, sizeof(filler)));
		flush();
	}
	wire_expect(&w, "");
	/* One more is more than it had window for. */
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("x"));
	flush();
	assert_non_null(strstr(replies(), "FLOW_CONTROL_ERROR"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_announced),
		TEST(test_both_ways),
		TEST(test_early_bytes),
		TEST(test_early_end),
		TEST(test_early_bytes_and_no_switch),
		TEST(test_refusal_in_pieces),
		TEST(test_other_success),
		TEST(test_unasked),
		TEST(test_client_ends_first),
		TEST(test_we_end_first),
		TEST(test_reset),
		TEST(test_reset_after_our_end),
		TEST(test_idle),
		TEST(test_back_pressure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
