/* The client role against a hand-made server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "frames.h"
#include "http/h2_conn.h"
#include "wire.h"

#define END NGHTTP2_FLAG_END_STREAM
#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define OK ":status", "200"

static struct wire w;
static struct frames f;
static struct buf sent;
static struct h2_conn *conn;
static struct stream *stream;

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

static const struct h2_client_handler handler = { on_closed, on_idle };

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
	(void)state;
	wire_init(&w);
	frames_init(&f);
	buf_init(&sent, MIB(8));
	conn = h2_client_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR(""));
	flush();
	assert_string_equal(replies(), "");
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

static void ask(const char *method)
{
	struct msg m = wire_request(&w, method, "/x");

	stream = h2_client_start(conn, &wire_notes, &w);
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	wire_spin(&w);
}

static void start_upload(void)
{
	struct msg m = wire_request(&w, "PUT", "/x");

	m.framing = BODY_CHUNKED;
	stream = h2_client_start(conn, &wire_notes, &w);
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	wire_spin(&w);
}

static void test_request(void **state)
{
	(void)state;
	ask("GET");
	assert_string_equal(replies(), "H1(:method=GET :scheme=https :authority=a :path=/x).");
	frames_headers(&f, 0, 1, FIELDS(OK, "content-length", "2"));
	frames_add(&f, NGHTTP2_DATA, END, 1, STR("ok"));
	flush();
	wire_expect(&w, "head(200) body(ok) end done idle");
}

/* A credential is never put into a compression table, here or further on. */
static void test_secrets_are_not_indexed(void **state)
{
	static const char *const names[] = { "authorization", "cookie",         "x-api-key",
					     "api-key",       "x-goog-api-key", "private-token" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct msg m = wire_request(&w, "GET", "/x");
		char want[128];

		wire_field(&m, names[i], "a-credential-of-some-length");
		wire_field(&m, "other", "o");
		stream = h2_client_start(conn, &wire_notes, &w);
		assert_int_equal(stream_head(stream, &m, NULL), 0);
		(void)snprintf(want, sizeof(want), "%s=a-credential-of-some-length! other=o)",
			       names[i]);
		assert_non_null(strstr(replies(), want));
	}
}

static void test_bad_responses(void **state)
{
	const char *const *const cases[] = {
		FIELDS("a", "b"),
		FIELDS(OK, "X", "y"),
		FIELDS(":status", "101"),
		FIELDS(OK, "connection", "close"),
		FIELDS(OK, "a", "b\r\nc: d"),
		FIELDS(OK, "content-length", "x"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char want[64];

		ask("GET");
		(void)replies();
		frames_headers(&f, 0, (unsigned)i * 2 + 1, cases[i]);
		flush();
		wire_expect(&w, "fail(bad) idle");
		(void)snprintf(want, sizeof(want), "RST%zu(PROTOCOL_ERROR)", i * 2 + 1);
		assert_string_equal(replies(), want);
	}
}

static void test_bad_bodies(void **state)
{
	(void)state;
	ask("GET");
	frames_headers(&f, 0, 1, FIELDS(OK, "content-length", "2"));
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("abc"));
	flush();
	wire_expect(&w, "head(200) fail(bad) idle");
	ask("GET");
	frames_headers(&f, 0, 3, FIELDS(OK, "content-length", "2"));
	frames_add(&f, NGHTTP2_DATA, END, 3, STR("a"));
	flush();
	wire_expect(&w, "head(200) body(a) fail(bad) idle");
	ask("HEAD");
	frames_headers(&f, 0, 5, FIELDS(OK, "content-length", "2"));
	frames_add(&f, NGHTTP2_DATA, END, 5, STR("ab"));
	flush();
	wire_expect(&w, "head(200) fail(bad) idle");
	/* An empty last frame is no body. */
	ask("HEAD");
	frames_headers(&f, 0, 7, FIELDS(OK, "content-length", "2"));
	frames_add(&f, NGHTTP2_DATA, END, 7, STR(""));
	flush();
	wire_expect(&w, "head(200) end done idle");
}

static void test_interims(void **state)
{
	(void)state;
	ask("GET");
	for (int i = 0; i < HTTP_INTERIM_MAX; i++)
		frames_headers(&f, 0, 1, FIELDS(":status", "103"));
	flush();
	buf_clear(&w.log);
	frames_headers(&f, 0, 1, FIELDS(":status", "103"));
	flush();
	wire_expect(&w, "fail(limit) idle");
}

/* RFC 9113 8.1: the answer is whole, the rest of the request is not wanted. */
static void test_no_error_reset(void **state)
{
	(void)state;
	start_upload();
	frames_headers(&f, END, 1, FIELDS(":status", "413"));
	frames_add(&f, NGHTTP2_RST_STREAM, 0, 1, STR("\0\0\0\0"));
	flush();
	wire_expect(&w, "head(413) end");
	assert_int_equal(stream_body(stream, STR("more"), NULL), 0);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "done idle");
}

static void test_resets(void **state)
{
	(void)state;
	ask("GET");
	frames_add(&f, NGHTTP2_RST_STREAM, 0, 1, STR("\0\0\0\x02"));
	flush();
	wire_expect(&w, "fail(io) idle");
	ask("GET");
	/* REFUSED_STREAM: may be tried again. */
	frames_add(&f, NGHTTP2_RST_STREAM, 0, 3, STR("\0\0\0\x07"));
	flush();
	wire_expect(&w, "fail(cancelled) idle");
	ask("GET");
	/* NO_ERROR before the answer is whole is a failure. */
	frames_headers(&f, 0, 5, FIELDS(OK));
	frames_add(&f, NGHTTP2_RST_STREAM, 0, 5, STR("\0\0\0\0"));
	flush();
	wire_expect(&w, "head(200) fail(io) idle");
}

static void test_goaway(void **state)
{
	(void)state;
	ask("GET");
	ask("GET");
	frames_add(&f, NGHTTP2_GOAWAY, 0, 0, STR("\0\0\0\1\0\0\0\0"));
	flush();
	wire_expect(&w, "fail(cancelled)");
	assert_int_equal(h2_client_room(conn), 0);
	frames_headers(&f, END, 1, FIELDS(OK));
	flush();
	wire_expect(&w, "head(200) end done closed(-)");
}

static void test_push_is_refused(void **state)
{
	(void)state;
	frames_add(&f, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, STR(""));
	ask("GET");
	frames_add(&f, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, STR("\0\0\0\x02"));
	flush();
	wire_expect(&w, "fail(bad) closed(bad)");
	assert_non_null(strstr(replies(), "GOAWAY(PROTOCOL_ERROR)"));
}

static void test_room_follows_settings(void **state)
{
	(void)state;
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR("\0\x03\0\0\0\x02"));
	flush();
	assert_int_equal(h2_client_room(conn), 2);
	ask("GET");
	assert_int_equal(h2_client_room(conn), 1);
	ask("GET");
	assert_int_equal(h2_client_room(conn), 0);
	frames_headers(&f, END, 1, FIELDS(OK));
	flush();
	assert_int_equal(h2_client_room(conn), 1);
	wire_expect(&w, "head(200) end done");
}

static void test_flood_from_server(void **state)
{
	(void)state;
	ask("GET");
	(void)replies();
	for (int i = 0; i < 2 * H2_PATIENCE; i++)
		frames_add(&f, NGHTTP2_PING, 0, 0, STR("12345678"));
	wire_send_str(&w, str_sub(frames_take(&f, &sent), 0, H2_PATIENCE * 17 + 17));
	(void)replies();
	wire_expect(&w, "fail(limit) closed(limit)");
}

static void test_eof(void **state)
{
	(void)state;
	ask("GET");
	frames_headers(&f, 0, 1, FIELDS(OK));
	flush();
	(void)replies();
	wire_close(&w);
	wire_spin(&w);
	/* Cut: never the end of a body. */
	wire_expect(&w, "head(200) fail(io) closed(-)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_request),
		T(test_secrets_are_not_indexed),
		T(test_bad_responses),
		T(test_bad_bodies),
		T(test_interims),
		T(test_no_error_reset),
		T(test_resets),
		T(test_goaway),
		T(test_push_is_refused),
		T(test_room_follows_settings),
		T(test_flood_from_server),
		T(test_eof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
