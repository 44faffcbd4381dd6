/* The server role against hand-made frames: what a request must look like, and abuse. */
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
#define GET ":method", "GET", ":scheme", "https", ":path", "/x", ":authority", "a"
#define PUT ":method", "PUT", ":scheme", "https", ":path", "/x", ":authority", "a"

static struct wire w;
static struct frames f;
static struct buf sent;
static struct h2_conn *conn;
static struct stream *stream;
static bool answer_bad, answer_requests;

static void note_bad(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "bad(%s)", wire_code(err));
	if (answer_bad)
		(void)http_reply(stream, 400, NULL, STR("why"), NULL, NULL);
}

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	static struct stream_handler notes;

	(void)arg;
	notes = wire_notes;
	notes.on_bad = note_bad;
	wire_note(&w, "%.*s(%.*s)", STR_ARG(m->method), STR_ARG(m->path));
	stream = s;
	stream_handle(s, &notes, &w);
	if (answer_requests)
		assert_int_equal(http_reply(s, 200, NULL, STR("ok"), NULL, NULL), 0);
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	(void)arg;
	wire_note(&w, "refused(%s)", wire_code(err));
	stream_handle(s, &wire_notes, &w);
	if (answer_bad)
		(void)http_reply(s, 400, NULL, STR("why"), NULL, NULL);
}

static void on_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "closed(%s)", wire_code(err));
	conn = NULL;
}

static const struct h2_server_handler handler = { on_request, on_bad_request, on_closed };

static void flush(void)
{
	wire_send_str(&w, frames_take(&f, &sent));
}

/* As flush, when the server may leave in the middle of it. */
static void flush_some(void)
{
	struct str s = frames_take(&f, &sent);

	while (s.n > 0) {
		ssize_t n = send(w.peer, s.p, s.n < 4096 ? s.n : 4096, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break;
		s = str_from(s, (size_t)n);
		assert_int_equal(loop_once(w.loop, 0, NULL), 0);
	}
	wire_spin(&w);
}

static const char *replies(void)
{
	(void)wire_drain(&w);
	return frames_words(&f, buf_str(&w.got));
}

static void begin(void)
{
	wire_init(&w);
	frames_init(&f);
	buf_init(&sent, MIB(8));
	conn = h2_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	answer_bad = answer_requests = false;
	assert_int_equal(buf_addz(&f.out, FRAMES_PREFACE, NULL), 0);
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR(""));
	flush();
	assert_string_equal(replies(), "");
}

static void finish(void)
{
	if (conn)
		h2_conn_close(conn);
	conn = NULL;
	wire_fini(&w);
	frames_fini(&f);
	buf_fini(&sent);
}

static int setup(void **state)
{
	(void)state;
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	finish();
	return 0;
}

/* --- malformed heads ------------------------------------------------------------------------ */

static void test_malformed(void **state)
{
	const struct {
		const char *name;
		const char *const *fields;
	} cases[] = {
		{ "no method", FIELDS(":scheme", "https", ":path", "/", ":authority", "a") },
		{ "no path", FIELDS(":method", "GET", ":scheme", "https", ":authority", "a") },
		{ "no scheme", FIELDS(":method", "GET", ":path", "/", ":authority", "a") },
		{ "no authority", FIELDS(":method", "GET", ":scheme", "https", ":path", "/") },
		{ "upper case", FIELDS(GET, "X-A", "b") },
		{ "late pseudo", FIELDS("x", "y", GET) },
		{ "connection", FIELDS(GET, "connection", "close") },
		{ "status", FIELDS(GET, ":status", "200") },
		{ "host", FIELDS(GET, "host", "b") },
		{ "line feed", FIELDS(GET, "x", "a\nb: c") },
		{ "space in path", FIELDS(":method", "GET", ":scheme", "https", ":authority", "a",
					  ":path", "/a HTTP/1.1") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const unsigned id = (unsigned)i * 2 + 1;
		char want[64];

		/* Nobody answers: reset. The connection goes on. */
		frames_headers(&f, END, id, cases[i].fields);
		flush();
		(void)snprintf(want, sizeof(want), "RST%u(PROTOCOL_ERROR)", id);
		if (strcmp(replies(), want) != 0)
			fail_msg("%s: %s", cases[i].name, buf_z(&f.words));
		wire_expect(&w, "refused(bad) fail(bad)");
	}
	answer_requests = true;
	frames_headers(&f, END, 101, FIELDS(GET));
	flush();
	wire_expect(&w, "GET(/x) done");
}

static void test_malformed_answered(void **state)
{
	(void)state;
	answer_bad = true;
	frames_headers(&f, END, 1, FIELDS(GET, "X", "y"));
	frames_headers(&f, 0, 3, FIELDS(GET, "X", "y"));
	frames_add(&f, NGHTTP2_DATA, 0, 3, STR("body"));
	flush();
	wire_expect(&w, "refused(bad) refused(bad) done done");
	(void)replies();
	assert_non_null(strstr(buf_z(&f.words), "H1(:status=400"));
	assert_non_null(strstr(buf_z(&f.words), "D1(why)."));
	assert_non_null(strstr(buf_z(&f.words), "D3(why)."));
	assert_non_null(strstr(buf_z(&f.words), "RST3(PROTOCOL_ERROR)"));
}

static void test_large_head(void **state)
{
	static char value[16000];

	(void)state;
	answer_bad = true;
	memset(value, 'v', sizeof(value) - 1);
	{
		auto_buf block = BUF_INIT(MIB(1));
		struct str rest;
		const char *const *p = FIELDS(GET);

		for (; *p; p += 2)
			frames_field(&block, str_of(p[0]), str_of(p[1]));
		for (int i = 0; i < 5; i++)
			frames_field(&block, STR("x"), str_of(value));
		rest = buf_str(&block);
		frames_add(&f, NGHTTP2_HEADERS, END, 1, str_sub(rest, 0, 16384));
		for (rest = str_from(rest, 16384); rest.n > 16384; rest = str_from(rest, 16384))
			frames_add(&f, NGHTTP2_CONTINUATION, 0, 1, str_sub(rest, 0, 16384));
		frames_add(&f, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, rest);
	}
	flush();
	wire_expect(&w, "refused(limit) done");
	assert_non_null(strstr(replies(), "H1(:status=400"));
}

/* --- bodies --------------------------------------------------------------------------------- */

static void test_bad_body(void **state)
{
	(void)state;
	frames_headers(&f, 0, 1, FIELDS(PUT, "content-length", "3"));
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("abcd"));
	frames_headers(&f, 0, 3, FIELDS(PUT, "content-length", "3"));
	frames_add(&f, NGHTTP2_DATA, END, 3, STR("ab"));
	frames_headers(&f, END, 5, FIELDS(PUT, "content-length", "3"));
	flush();
	wire_expect(&w, "PUT(/x) bad(bad) fail(bad) PUT(/x) body(ab) bad(bad) fail(bad) "
			"refused(bad) fail(bad)");
	assert_string_equal(replies(), "RST1(PROTOCOL_ERROR) RST3(PROTOCOL_ERROR) "
				       "RST5(PROTOCOL_ERROR)");
}

static void test_bad_body_answered(void **state)
{
	(void)state;
	answer_bad = true;
	frames_headers(&f, 0, 1, FIELDS(PUT, "content-length", "3"));
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("abcd"));
	flush();
	wire_expect(&w, "PUT(/x) bad(bad) done");
	(void)replies();
	assert_non_null(strstr(buf_z(&f.words), "D1(why). RST1(PROTOCOL_ERROR)"));
}

static void test_bad_trailers(void **state)
{
	const char *const *const cases[] = {
		FIELDS("Upper", "x"),
		FIELDS(":path", "/"),
		FIELDS("content-length", "1"),
		FIELDS("a", "b\r\nc: d"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		frames_headers(&f, 0, (unsigned)i * 2 + 1, FIELDS(PUT));
		frames_headers(&f, END, (unsigned)i * 2 + 1, cases[i]);
		flush();
		wire_expect(&w, "PUT(/x) bad(bad) fail(bad)");
	}
	/* A second head in the middle is no trailer section. */
	frames_headers(&f, 0, 21, FIELDS(PUT));
	frames_headers(&f, 0, 21, FIELDS("a", "b"));
	flush();
	wire_expect(&w, "PUT(/x) bad(bad) fail(bad)");
}

static void test_trailers(void **state)
{
	(void)state;
	frames_headers(&f, 0, 1, FIELDS(PUT));
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("x"));
	frames_headers(&f, END, 1, FIELDS("sum", "1"));
	flush();
	wire_expect(&w, "PUT(/x) body(x) end sum=1");
}

/* However the bytes come. */
static void test_split(void **state)
{
	struct str all;

	(void)state;
	frames_headers(&f, 0, 1, FIELDS(PUT, "content-length", "6", "cookie", "a=b"));
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("abc"));
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("def"));
	frames_headers(&f, END, 1, FIELDS("sum", "1"));
	all = frames_take(&f, &sent);
	for (size_t i = 0; i < all.n; i++)
		wire_send_str(&w, str_sub(all, i, 1));
	wire_expect(&w, "PUT(/x) body(a) body(b) body(c) body(d) body(e) body(f) end sum=1");
	assert_int_equal(http_reply(stream, 200, NULL, STR("ok"), NULL, NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "done");
}

/* --- abuse ---------------------------------------------------------------------------------- */

static void expect_calm(void)
{
	flush_some();
	assert_non_null(strstr(replies(), "GOAWAY(ENHANCE_YOUR_CALM)"));
	wire_close(&w);
	wire_spin(&w);
	assert_null(conn);
	assert_non_null(strstr(buf_z(&w.log), "closed(limit)"));
}

static void test_rapid_reset(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * H2_PATIENCE / H2_COST_RESET; i++) {
		frames_headers(&f, END, 2 * i + 1, FIELDS(GET));
		frames_add(&f, NGHTTP2_RST_STREAM, 0, 2 * i + 1, STR("\0\0\0\x08"));
	}
	expect_calm();
}

/* A client that cancels what it does not need any more, all of a page's requests at once. */
static void test_honest_resets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < H2_STREAMS_MAX; i++)
		frames_headers(&f, END, 2 * i + 1, FIELDS(GET));
	for (unsigned i = 0; i < H2_STREAMS_MAX; i++)
		frames_add(&f, NGHTTP2_RST_STREAM, 0, 2 * i + 1, STR("\0\0\0\x08"));
	flush();
	assert_non_null(conn);
	assert_null(strstr(replies(), "GOAWAY"));
}

/* Go's client now and then cancels a stream over which it has the whole answer; it costs nobody. */
static void test_resets_of_what_is_answered(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * H2_PATIENCE / H2_COST_RESET; i++) {
		/* With and without a rest of the request. */
		frames_headers(&f, i % 2 ? END : 0, 2 * i + 1, FIELDS(GET));
		flush();
		assert_int_equal(http_reply(stream, 200, NULL, STR("ok"), NULL, NULL), 0);
		assert_non_null(strstr(replies(), "(ok)."));
		frames_add(&f, NGHTTP2_RST_STREAM, 0, 2 * i + 1, STR("\0\0\0\x08"));
		flush();
		assert_non_null(conn);
	}
	assert_null(strstr(replies(), "GOAWAY"));
}

/* Forgiven with time. */
static void test_patience_comes_back(void **state)
{
	unsigned id = 1;

	(void)state;
	for (int round = 0; round < 5; round++) {
		for (unsigned i = 0; i < H2_PATIENCE / H2_COST_RESET - 10; i++, id += 2) {
			frames_headers(&f, END, id, FIELDS(GET));
			frames_add(&f, NGHTTP2_RST_STREAM, 0, id, STR("\0\0\0\x08"));
		}
		flush_some();
		assert_non_null(conn);
		loop_test_advance(w.loop, 1000 * H2_PATIENCE / H2_PATIENCE_PER_SECOND);
	}
}

static void test_malformed_flood(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * H2_PATIENCE / H2_COST_RESET; i++)
		frames_headers(&f, END, 2 * i + 1, FIELDS(GET, "X", "y"));
	expect_calm();
}

/* More streams than we allow, by a client that has not seen yet what we allow; again and again. */
static void test_refused_flood(void **state)
{
	(void)state;
	for (unsigned i = 0; i < H2_STREAMS_MAX; i++)
		frames_headers(&f, 0, 2 * i + 1, FIELDS(GET));
	flush();
	assert_non_null(conn);
	frames_headers(&f, 0, 2 * H2_STREAMS_MAX + 1, FIELDS(GET));
	flush();
	assert_string_equal(replies(), "RST257(REFUSED_STREAM)");
	for (unsigned i = H2_STREAMS_MAX + 1; i < 2 * H2_PATIENCE / H2_COST_RESET; i++)
		frames_headers(&f, 0, 2 * i + 1, FIELDS(GET));
	expect_calm();
}

/* One that has seen it breaks the protocol. */
static void test_too_many_streams(void **state)
{
	(void)state;
	frames_add(&f, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, STR(""));
	for (unsigned i = 0; i <= H2_STREAMS_MAX; i++)
		frames_headers(&f, 0, 2 * i + 1, FIELDS(GET));
	flush();
	assert_non_null(strstr(replies(), "GOAWAY(PROTOCOL_ERROR)"));
}

static void test_ping_flood(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * H2_PATIENCE; i++)
		frames_add(&f, NGHTTP2_PING, 0, 0, STR("12345678"));
	expect_calm();
}

static void test_settings_flood(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * H2_PATIENCE / H2_COST_SETTINGS; i++)
		frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR(""));
	expect_calm();
}

static void test_many_settings(void **state)
{
	auto_buf entries = BUF_INIT(KIB(16));

	(void)state;
	for (int i = 0; i <= H2_SETTINGS_MAX; i++)
		assert_int_equal(buf_add(&entries, STR("\x0f\0\0\0\0\0"), NULL), 0);
	for (int i = 0; i <= H2_SETTINGS_MAX; i++)
		entries.mem[entries.off + (size_t)i * 6 + 1] = (char)i;
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, buf_str(&entries));
	expect_calm();
}

static void test_empty_data_flood(void **state)
{
	(void)state;
	frames_headers(&f, 0, 1, FIELDS(PUT));
	for (int i = 0; i < 2 * H2_PATIENCE; i++)
		frames_add(&f, NGHTTP2_DATA, 0, 1, STR(""));
	expect_calm();
}

static void test_continuation_flood(void **state)
{
	(void)state;
	frames_add(&f, NGHTTP2_HEADERS, 0, 1, STR(""));
	for (int i = 0; i < 2 * H2_CONTINUATIONS_MAX; i++)
		frames_add(&f, NGHTTP2_CONTINUATION, 0, 1, STR(""));
	expect_calm();
}

/* A large value in the table, referred to again and again (one byte each). */
static void test_hpack_bomb(void **state)
{
	auto_buf block = BUF_INIT(MIB(1));
	static char value[4000];

	(void)state;
	memset(value, 'v', sizeof(value));
	assert_int_equal(buf_add(&block, STR("\x40\x01x\x7f"), NULL), 0); /* literal, indexed */
	assert_int_equal(buf_add(&block, STR("\xa1\x1e"), NULL), 0);      /* 4000 - 127 */
	assert_int_equal(buf_add(&block, str_mem(value, sizeof(value)), NULL), 0);
	for (int i = 0; i < 12000; i++)
		assert_int_equal(buf_addc(&block, (char)0xbe, NULL), 0);
	frames_add(&f, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | END, 1, buf_str(&block));
	expect_calm();
}

/* Makes us answer, and reads nothing; so slowly that the frames alone would be forgiven. */
static void test_unread_answers(void **state)
{
	unsigned id = 1;

	(void)state;
	while (!strstr(buf_z(&w.log), "closed") && id < 100 * 1000) {
		buf_clear(&w.log);
		for (int i = 0; i < 100; i++, id += 2)
			frames_headers(&f, END, id, FIELDS(GET, "X", "y"));
		flush_some();
		loop_test_advance(w.loop, 100 * 1000 * H2_COST_RESET / H2_PATIENCE_PER_SECOND);
		if (conn && id > 20 * 1000)
			loop_test_advance(w.loop, HTTP_LINGER_MS);
		wire_spin(&w);
	}
	assert_non_null(strstr(buf_z(&w.log), "closed(limit)"));
}

/* The same with PING, which nghttp2 counts. */
static void test_unread_pings(void **state)
{
	(void)state;
	for (int i = 0; i < 400 && !strstr(buf_z(&w.log), "closed"); i++) {
		for (int j = 0; j < 100; j++)
			frames_add(&f, NGHTTP2_PING, 0, 0, STR("12345678"));
		flush_some();
		loop_test_advance(w.loop, 250);
	}
	loop_test_advance(w.loop, HTTP_LINGER_MS);
	wire_spin(&w);
	wire_expect(&w, "closed(limit)");
}

/* A client in the middle of a long upload reads why it failed when it is done, if that is soon. */
static void test_linger_waits_for_a_sender(void **state)
{
	(void)state;
	frames_add(&f, NGHTTP2_PING, 0, 1, STR("12345678")); /* belongs to no stream */
	flush();
	assert_non_null(strstr(replies(), "GOAWAY(PROTOCOL_ERROR)"));
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
	wire_expect(&w, "closed(bad)");
}

/* A response of which `queued` bytes wait when the socket is full, read little by little. */
static void done_when_written(size_t queued)
{
	static char body[KIB(16)];
	struct msg m;

	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR("\0\x04\x00\x40\0\0"));
	frames_add(&f, NGHTTP2_WINDOW_UPDATE, 0, 0, STR("\x00\x40\0\0"));
	frames_headers(&f, END, 1, FIELDS(GET));
	flush();
	wire_expect(&w, "GET(/x) end");
	m = wire_response(&w, 200);
	m.framing = BODY_CHUNKED;
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	while (stream_queued(stream) < queued) {
		assert_int_equal(stream_body(stream, str_mem(body, sizeof(body)), NULL), 0);
		wire_spin(&w);
	}
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	buf_clear(&w.got);
	while (!strstr(buf_z(&w.log), "done")) {
		char *to = buf_reserve(&w.got, KIB(4), NULL);
		ssize_t n = recv(w.peer, to, KIB(4), MSG_DONTWAIT);

		assert_true(n > 0);
		buf_commit(&w.got, (size_t)n);
		assert_int_equal(loop_once(w.loop, 0, NULL), 0);
	}
	buf_clear(&w.log);
	/* Without another round everything is there. */
	for (ssize_t n = 1; n > 0;) {
		char *to = buf_reserve(&w.got, KIB(64), NULL);

		n = recv(w.peer, to, KIB(64), MSG_DONTWAIT);
		if (n > 0)
			buf_commit(&w.got, (size_t)n);
	}
	(void)frames_words(&f, buf_str(&w.got));
	assert_int_equal(f.words.mem[f.words.off + f.words.len - 1], '.');
}

/*
 * on_done says that all bytes are written, not that they are about to be. Where the last ones are
 * when the socket is full depends on its size, so several lengths are tried.
 */
static void test_done_when_written(void **state)
{
	(void)state;
	for (size_t queued = KIB(16); queued <= KIB(512); queued += KIB(16)) {
		done_when_written(queued);
		finish();
		begin();
	}
}

/* What means nothing costs nothing and changes nothing. */
static void test_priority_and_unknown(void **state)
{
	(void)state;
	answer_requests = true;
	for (unsigned i = 0; i < 2000; i++) {
		frames_add(&f, NGHTTP2_PRIORITY, 0, 2 * i + 1, STR("\0\0\0\0\x10"));
		frames_add(&f, 0xee, 0, 1, STR("what"));
	}
	frames_headers(&f, END, 5001, FIELDS(GET));
	flush();
	wire_expect(&w, "GET(/x) done");
}

/* Nobody takes the answer: it is dropped after the idle time, and the memory was bounded. */
static void test_zero_window(void **state)
{
	static char body[KIB(64)];

	(void)state;
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR("\0\x04\0\0\0\0"));
	frames_headers(&f, END, 1, FIELDS(GET));
	flush();
	wire_expect(&w, "GET(/x) end");
	{
		struct msg m = wire_response(&w, 200);
		int n = 0;

		m.framing = BODY_CHUNKED;
		assert_int_equal(stream_head(stream, &m, NULL), 0);
		while (stream_body(stream, str_mem(body, sizeof(body)), NULL) == 0)
			n++;
		assert_int_equal(n, PROXY_OUT_MAX / sizeof(body));
	}
	loop_test_advance(w.loop, wire_timeouts.idle);
	wire_spin(&w);
	wire_expect(&w, "fail(timeout)");
	assert_non_null(strstr(replies(), "RST1(CANCEL)"));
	assert_non_null(conn);
}

/* --- the protocol itself -------------------------------------------------------------------- */

static void test_not_h2(void **state)
{
	(void)state;
	finish();
	wire_init(&w);
	frames_init(&f);
	buf_init(&sent, MIB(1));
	conn = h2_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_string_equal(replies(), "GOAWAY(PROTOCOL_ERROR)");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(bad)");
}

static void test_connection_errors(void **state)
{
	static const struct {
		unsigned type, flags, id;
		struct str load;
		const char *want;
	} cases[] = {
		{ NGHTTP2_DATA, 0, 0, { "x", 1 }, "GOAWAY(PROTOCOL_ERROR)" },
		{ NGHTTP2_DATA, 0, 7, { "x", 1 }, "GOAWAY(PROTOCOL_ERROR)" },
		{ NGHTTP2_HEADERS, 4, 2, { "", 0 }, "GOAWAY(PROTOCOL_ERROR)" },
		{ NGHTTP2_HEADERS,
		  4,
		  1,
		  { "\xff\xff\xff\xff\xff", 5 },
		  "GOAWAY(COMPRESSION_ERROR)" },
		{ NGHTTP2_CONTINUATION, 4, 1, { "", 0 }, "GOAWAY(PROTOCOL_ERROR)" },
		{ NGHTTP2_PING, 0, 0, { "1", 1 }, "GOAWAY(FRAME_SIZE_ERROR)" },
		{ NGHTTP2_PUSH_PROMISE, 4, 1, { "\0\0\0\x02", 4 }, "GOAWAY(PROTOCOL_ERROR)" },
		{ NGHTTP2_WINDOW_UPDATE, 0, 0, { "\0\0\0\0", 4 }, "GOAWAY(PROTOCOL_ERROR)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		frames_add(&f, cases[i].type, cases[i].flags, cases[i].id, cases[i].load);
		flush();
		if (!strstr(replies(), cases[i].want))
			fail_msg("case %zu: %s", i, buf_z(&f.words));
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, "closed(bad)");
		finish();
		begin();
	}
}

/* One stream's end by a protocol error of the connection takes all with it, each with its fail. */
static void test_error_fails_all(void **state)
{
	(void)state;
	frames_headers(&f, 0, 1, FIELDS(PUT));
	frames_headers(&f, 0, 3, FIELDS(PUT));
	frames_add(&f, NGHTTP2_DATA, 0, 0, STR("x"));
	flush();
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "PUT(/x) PUT(/x) fail(bad) fail(bad) closed(bad)");
}

static void test_slow_head(void **state)
{
	(void)state;
	frames_add(&f, NGHTTP2_HEADERS, END, 1, STR(""));
	flush();
	loop_test_advance(w.loop, wire_timeouts.head);
	assert_string_equal(replies(), "GOAWAY(NO_ERROR)");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(timeout)");
}

static void test_goaway_from_client(void **state)
{
	(void)state;
	frames_headers(&f, END, 1, FIELDS(GET));
	frames_add(&f, NGHTTP2_GOAWAY, 0, 0, STR("\0\0\0\0\0\0\0\0"));
	flush();
	wire_expect(&w, "GET(/x) end");
	assert_int_equal(http_reply(stream, 200, NULL, STR("ok"), NULL, NULL), 0);
	assert_non_null(strstr(replies(), "D1(ok)."));
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "done closed(-)");
}

/* After GOAWAY what comes later is not looked at. */
static void test_drain_refuses_later(void **state)
{
	(void)state;
	frames_headers(&f, END, 1, FIELDS(GET));
	flush();
	h2_conn_drain(conn);
	wire_spin(&w);
	frames_headers(&f, END, 3, FIELDS(GET));
	flush();
	wire_expect(&w, "GET(/x) end");
	assert_int_equal(http_reply(stream, 200, NULL, STR("ok"), NULL, NULL), 0);
	assert_non_null(strstr(replies(), "GOAWAY(NO_ERROR)"));
	wire_expect(&w, "done");
}

/* A peer that resets after the whole answer has had what it wanted. */
static void test_reset_after_answer(void **state)
{
	(void)state;
	frames_headers(&f, 0, 1, FIELDS(PUT));
	flush();
	assert_int_equal(http_reply(stream, 200, NULL, STR("ok"), NULL, NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "PUT(/x) done");
	assert_non_null(strstr(replies(), "RST1(NO_ERROR)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_malformed),
		T(test_malformed_answered),
		T(test_large_head),
		T(test_bad_body),
		T(test_bad_body_answered),
		T(test_bad_trailers),
		T(test_trailers),
		T(test_split),
		T(test_rapid_reset),
		T(test_honest_resets),
		T(test_resets_of_what_is_answered),
		T(test_patience_comes_back),
		T(test_malformed_flood),
		T(test_refused_flood),
		T(test_too_many_streams),
		T(test_ping_flood),
		T(test_settings_flood),
		T(test_many_settings),
		T(test_empty_data_flood),
		T(test_continuation_flood),
		T(test_hpack_bomb),
		T(test_unread_answers),
		T(test_unread_pings),
		T(test_linger_waits_for_a_sender),
		T(test_done_when_written),
		T(test_priority_and_unknown),
		T(test_zero_window),
		T(test_not_h2),
		T(test_connection_errors),
		T(test_error_fails_all),
		T(test_slow_head),
		T(test_goaway_from_client),
		T(test_drain_refuses_later),
		T(test_reset_after_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
