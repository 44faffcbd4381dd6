/* What connections do when the memory for all of them is short (base/budget.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"
#include "frames.h"
#include "http/h1_conn.h"
#include "http/h2_conn.h"
#include "http/server.h"
#include "wire.h"

#define EIGHTH MIB(8)
#define PIECE KIB(16)
#define END NGHTTP2_FLAG_END_STREAM
#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define GET ":method", "GET", ":scheme", "https", ":path", "/x", ":authority", "a"
#define PUT ":method", "PUT", ":scheme", "https", ":path", "/x", ":authority", "a"

static struct wire w;
static struct frames f;
static struct buf sent;
static struct h1_conn *h1;
static struct h2_conn *h2;
static struct stream *stream;
static size_t filled;
static char piece[PIECE];

/* As if others held so much. */
static void fill(size_t eighths)
{
	budget_return(filled);
	filled = eighths * EIGHTH;
	budget_charge(filled);
}

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	(void)arg;
	wire_note(&w, "%.*s", STR_ARG(m->method));
	stream = s;
	stream_handle(s, &wire_notes, &w);
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	(void)arg;
	wire_note(&w, "refused(%s)", wire_code(err));
	stream_handle(s, &wire_notes, &w);
	(void)http_reply(s, 503, NULL, STR("full"), NULL, NULL);
}

static void on_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "closed(%s)", wire_code(err));
	h1 = NULL;
	h2 = NULL;
}

static int setup(void **state)
{
	(void)state;
	wire_init(&w);
	frames_init(&f);
	buf_init(&sent, MIB(8));
	budget_set_max(8 * EIGHTH);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (h1)
		h1_conn_close(h1);
	if (h2)
		h2_conn_close(h2);
	h1 = NULL;
	h2 = NULL;
	wire_fini(&w);
	frames_fini(&f);
	buf_fini(&sent);
	fill(0);
	assert_true(budget_used() <= 2 * BUF_BLOCK); /* what the process keeps */
	budget_set_max(0);
	return 0;
}

static void start_h1(void)
{
	static const struct h1_server_handler handler = { on_request, on_bad_request, on_closed };

	h1 = h1_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
}

static void flush(void)
{
	wire_send_str(&w, frames_take(&f, &sent));
}

static const char *words(void)
{
	(void)wire_drain(&w);
	return frames_words(&f, buf_str(&w.got));
}

/* The client grants each stream 4 MiB and the connection nothing but the 64 KiB it begins with. */
static void start_h2(void)
{
	static const struct h2_server_handler handler = { on_request, on_bad_request, on_closed };

	h2 = h2_server_new(w.loop, wire_unix(&w), &wire_timeouts, &handler, NULL);
	assert_int_equal(buf_addz(&f.out, FRAMES_PREFACE, NULL), 0);
	frames_add(&f, NGHTTP2_SETTINGS, 0, 0, STR("\0\x04\x00\x40\0\0"));
	flush();
	(void)wire_drain(&w);
}

static void begin_response(void)
{
	struct msg m = wire_response(&w, 200);

	m.framing = BODY_CHUNKED;
	assert_int_equal(stream_head(stream, &m, NULL), 0);
}

/* What a source does: it goes on until the stream is full. Returns how much then waits. */
static size_t send_until_full(void)
{
	for (size_t total = 0; !stream_full(stream); total += PIECE) {
		assert_true(total < MIB(16));
		assert_int_equal(stream_body(stream, str_mem(piece, PIECE), NULL), 0);
		wire_spin(&w);
	}
	return stream_queued(stream);
}

static void test_h1_queue_is_short(void **state)
{
	static const struct {
		size_t eighths, least, most;
	} rows[] = {
		{ 0, PROXY_OUT_HIGH, PROXY_OUT_HIGH + KIB(20) },
		{ BUDGET_SHORT_EIGHTHS, PROXY_OUT_SHORT, PROXY_OUT_SHORT + KIB(20) },
		{ BUDGET_SCARCE_EIGHTHS, 1, KIB(20) },
		{ 8, 1, KIB(20) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t waits;

		start_h1();
		wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		begin_response();
		fill(rows[i].eighths);
		waits = send_until_full();
		assert_in_range(waits, rows[i].least, rows[i].most);
		buf_clear(&w.log);
		/* And it goes on when that is read, with as little memory as before. */
		(void)wire_drain(&w);
		wire_expect(&w, "drain");
		assert_false(stream_full(stream));
		h1_conn_close(h1);
		h1 = NULL;
		fill(0);
		wire_close(&w);
	}
}

static void test_h1_queue_recovers(void **state)
{
	(void)state;
	start_h1();
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	begin_response();
	fill(BUDGET_SCARCE_EIGHTHS);
	(void)send_until_full();
	fill(0);
	buf_clear(&w.log);
	(void)wire_drain(&w);
	wire_expect(&w, "drain");
	assert_true(send_until_full() > PROXY_OUT_HIGH);
}

static void test_h1_head_does_not_grow(void **state)
{
	(void)state;
	start_h1();
	fill(8);
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	wire_expect(&w, "refused(exhausted) done");
	assert_non_null(strstr(wire_recv(&w), "HTTP/1.1 503 "));
}

static void test_h1_whole_head_is_taken(void **state)
{
	(void)state;
	start_h1();
	fill(8);
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_expect(&w, "GET end");
}

/* A client that opens many streams and grants no window. */
static void test_h2_connection_is_bounded(void **state)
{
	const size_t most = H2_QUEUED_HIGH + H2_STREAMS_MAX * (PROXY_OUT_SHORT + PIECE);
	size_t waits = 0;

	(void)state;
	start_h2();
	for (unsigned i = 0; i < H2_STREAMS_MAX; i++) {
		frames_headers(&f, END, 1 + 2 * i, FIELDS(GET));
		flush();
		begin_response();
		waits += send_until_full();
	}
	assert_true(waits > H2_QUEUED_HIGH);
	assert_true(waits <= most);
	/* What is not wanted any more counts no more. */
	for (unsigned i = 0; i < H2_STREAMS_MAX; i++)
		frames_add(&f, NGHTTP2_RST_STREAM, 0, 1 + 2 * i, STR("\0\0\0\x08"));
	flush();
	buf_clear(&w.log);
	frames_headers(&f, END, 1001, FIELDS(GET));
	flush();
	begin_response();
	assert_true(send_until_full() > PROXY_OUT_HIGH);
}

static void test_h2_queue_is_short(void **state)
{
	(void)state;
	start_h2();
	fill(BUDGET_SCARCE_EIGHTHS);
	frames_headers(&f, END, 1, FIELDS(GET));
	flush();
	begin_response();
	assert_in_range(send_until_full(), 1, KIB(20));
	buf_clear(&w.log);
	frames_add(&f, NGHTTP2_WINDOW_UPDATE, 0, 0, STR("\x00\x40\0\0"));
	flush();
	(void)wire_drain(&w);
	wire_expect(&w, "drain");
}

/* The window was granted in better times. */
static void test_h2_upload_that_cannot_be_kept(void **state)
{
	(void)state;
	start_h2();
	frames_headers(&f, 0, 1, FIELDS(PUT));
	flush();
	stream_pause(stream, true);
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("kept"));
	flush();
	wire_expect(&w, "PUT");
	fill(8);
	frames_add(&f, NGHTTP2_DATA, 0, 1, STR("not kept"));
	flush();
	wire_expect(&w, "fail(exhausted)");
	assert_non_null(strstr(words(), "RST1(INTERNAL_ERROR)"));
}

/* What is not paused passes through. */
static void test_h2_upload_that_flows(void **state)
{
	(void)state;
	start_h2();
	frames_headers(&f, 0, 1, FIELDS(PUT));
	fill(7);
	flush();
	fill(8);
	frames_add(&f, NGHTTP2_DATA, END, 1, STR("bytes"));
	flush();
	wire_expect(&w, "PUT body(bytes) end");
}

static void test_h2_no_new_streams(void **state)
{
	(void)state;
	start_h2();
	fill(8);
	frames_headers(&f, END, 1, FIELDS(GET));
	flush();
	wire_expect(&w, "");
	assert_non_null(strstr(words(), "RST1(REFUSED_STREAM)"));
	fill(7);
	frames_headers(&f, END, 3, FIELDS(GET));
	flush();
	wire_expect(&w, "GET end");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_h1_queue_is_short),
		TEST(test_h1_queue_recovers),
		TEST(test_h1_head_does_not_grow),
		TEST(test_h1_whole_head_is_taken),
		TEST(test_h2_connection_is_bounded),
		TEST(test_h2_queue_is_short),
		TEST(test_h2_upload_that_cannot_be_kept),
		TEST(test_h2_upload_that_flows),
		TEST(test_h2_no_new_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
