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
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static struct wire w;
static struct h1_conn *conn;
static struct stream *stream;
static void (*in_idle)(void);

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
	if (in_idle)
		in_idle();
}

static const struct h1_client_handler handler = { on_closed, on_idle };

static void connect_over(struct filter *f)
{
	conn = h1_client_new(w.loop, f, &wire_timeouts, &handler, NULL);
}

static int setup(void **state)
{
	(void)state;
	wire_init(&w);
	connect_over(wire_unix(&w));
	in_idle = NULL;
	return 0;
}

static void close_all(void)
{
	if (conn)
		h1_conn_close(conn);
	conn = NULL;
	wire_close(&w);
	wire_spin(&w);
}

static int teardown(void **state)
{
	(void)state;
	close_all();
	wire_fini(&w);
	return 0;
}

/* A new connection for the next case. */
static void renew(void)
{
	close_all();
	buf_clear(&w.log);
	connect_over(wire_unix(&w));
}

static void start(const char *method)
{
	struct msg m = wire_request(&w, method, "/x");
	struct err err = ERR_INIT;

	stream = h1_client_start(conn, &wire_notes, &w);
	if (strcmp(method, "CONNECT") == 0) {
		m.form = TARGET_AUTHORITY;
		m.authority = STR("a:443");
	}
	if (stream_head(stream, &m, &err) < 0)
		fail_msg("%s", err.text);
}

static void get(void)
{
	start("GET");
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_string_equal(wire_recv(&w), GET);
}

static void start_upload(enum body_framing framing, uint64_t length)
{
	struct msg m = wire_request(&w, "PUT", "/x");

	m.framing = framing;
	m.length = length;
	stream = h1_client_start(conn, &wire_notes, &w);
	assert_int_equal(stream_head(stream, &m, NULL), 0);
}

/* --- the ordinary --------------------------------------------------------------------------- */

static void test_reuse(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		get();
		assert_int_equal(h1_client_used(conn), i);
		wire_send(&w, HELLO);
		wire_expect(&w, "head(200) body(hello) end done idle");
		assert_null(conn->in.mem);
		assert_null(conn->out.mem);
		assert_null(conn->arena.head);
	}
}

static void start_again(void)
{
	in_idle = NULL;
	start("GET");
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
}

static void test_start_in_idle(void **state)
{
	(void)state;
	in_idle = start_again;
	get();
	wire_send(&w, HELLO);
	assert_string_equal(wire_recv(&w), GET);
	wire_send(&w, HELLO);
	wire_expect(&w, "head(200) body(hello) end done idle head(200) body(hello) end done idle");
}

static void test_request_bodies(void **state)
{
	struct field f = { STR("X-Sum"), STR("1") };
	const struct fields trailers = { &f, 1, 1 };

	(void)state;
	start_upload(BODY_LENGTH, 5);
	assert_int_equal(stream_body(stream, STR("hel"), NULL), 0);
	assert_int_equal(stream_body(stream, STR("lo"), NULL), 0);
	assert_int_equal(stream_end(stream, &trailers, NULL), 0);
	assert_string_equal(wire_recv(&w),
			    "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
	wire_send(&w, HELLO);
	start_upload(BODY_CHUNKED, 0);
	assert_int_equal(stream_body(stream, STR("hello"), NULL), 0);
	assert_int_equal(stream_end(stream, &trailers, NULL), 0);
	assert_string_equal(wire_recv(&w),
			    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
}

static void test_close_after(void **state)
{
	struct msg m = wire_request(&w, "GET", "/x");

	(void)state;
	stream = h1_client_start(conn, &wire_notes, &w);
	stream_close_after(stream);
	assert_int_equal(stream_head(stream, &m, NULL), 0);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_string_equal(wire_recv(&w),
			    "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	wire_send(&w, HELLO);
	wire_expect(&w, "head(200) body(hello) end done closed(-)");
}

static const char long_response[] = "HTTP/1.1 100 Continue\r\n\r\n"
				    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
				    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				    "1\r\na\r\n1\r\nb\r\n0\r\nX-Sum: 7\r\n\r\n";

static void test_splits(void **state)
{
	struct str all = STR(long_response);

	(void)state;
	for (size_t cut = 1; cut < all.n; cut++) {
		get();
		wire_send_str(&w, str_sub(all, 0, cut));
		wire_send_str(&w, str_from(all, cut));
		wire_expect(&w,
			    "head(100) head(103) head(200) body(a) body(b) end X-Sum=7 done idle");
	}
}

/* A body with a length, cut anywhere: the same bytes, whatever the pieces. */
static void test_length_splits(void **state)
{
	struct str all = STR(HELLO);

	(void)state;
	for (size_t cut = 1; cut < all.n; cut++) {
		size_t in_body = cut > all.n - 5 ? cut - (all.n - 5) : 0;
		char want[100] = "head(200) body(hello) end done idle";

		get();
		wire_send_str(&w, str_sub(all, 0, cut));
		wire_send_str(&w, str_from(all, cut));
		if (in_body > 0)
			snprintf(want, sizeof(want), "head(200) body(%.*s) body(%s) end done idle",
				 (int)in_body, "hello", &"hello"[in_body]);
		wire_expect(&w, want);
	}
}

static void test_no_body(void **state)
{
	(void)state;
	start("HEAD");
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_string_equal(wire_recv(&w), "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_send(&w, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	wire_expect(&w, "head(200) end done idle");
	get();
	wire_send(&w, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
	wire_expect(&w, "head(304) end done idle");
	get();
	wire_send(&w, "HTTP/1.1 204 No Content\r\n\r\n");
	wire_expect(&w, "head(204) end done idle");
}

static void test_until_close(void **state)
{
	(void)state;
	get();
	wire_send(&w, "HTTP/1.1 200 OK\r\n\r\nhel");
	wire_send(&w, "lo");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "head(200) body(hel) body(lo) end done closed(-)");
}

static void test_server_says_close(void **state)
{
	(void)state;
	get();
	wire_send(&w, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	wire_expect(&w, "head(200) end done closed(-)");
	renew();
	get();
	wire_send(&w, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
	wire_expect(&w, "head(200) end done closed(-)");
	/* One that announces a body where there can be none may send it some time. */
	renew();
	get();
	wire_send(&w, "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" HELLO);
	wire_expect(&w, "head(103) head(200) body(hello) end done closed(-)");
}

/* --- what goes wrong ------------------------------------------------------------------------ */

static void test_server_leaves(void **state)
{
	static const struct {
		const char *sent, *log;
	} cases[] = {
		{ "", "fail(io) closed(io)" },
		{ "HTTP/1.1 2", "fail(io) closed(io)" },
		{ "HTTP/1.1 100 Continue\r\n\r\n", "head(100) fail(io) closed(io)" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		  "head(200) body(hell) fail(io) closed(io)" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
		  "head(200) body(a) fail(io) closed(io)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		renew();
		get();
		if (cases[i].sent[0])
			wire_send(&w, cases[i].sent);
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, cases[i].log);
	}
}

/*
 * A stack that ends without saying so, as TLS does when close_notify is missing, and that is
 * readable at times with nothing to give, as TLS is with a part of a record.
 */
static ssize_t abrupt_read(struct filter *f, void *p, size_t n, struct err *err)
{
	static bool moody;
	ssize_t got;

	moody = !moody;
	if (moody)
		return FILTER_AGAIN;
	got = filter_read(f->below, p, n, err);
	if (got != FILTER_EOF)
		return got;
	(void)err_set(err, E_IO, "closed without close_notify");
	return FILTER_ERROR;
}

static ssize_t abrupt_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	return filter_write(f->below, p, n, err);
}

static enum filter_ready abrupt_shutdown(struct filter *f, struct err *err)
{
	return filter_shutdown(f->below, err);
}

static void abrupt_free(struct filter *f)
{
	free(f);
}

static const struct filter_ops abrupt_ops = { .name = "abrupt",
					      .read = abrupt_read,
					      .write = abrupt_write,
					      .shutdown = abrupt_shutdown,
					      .free = abrupt_free };

static void test_truncation(void **state)
{
	struct filter *f = mem_new(struct filter);

	(void)state;
	close_all();
	f->ops = &abrupt_ops;
	f->below = wire_unix(&w);
	f->ready = true;
	connect_over(f);
	get();
	wire_send(&w, "HTTP/1.1 200 OK\r\n\r\nhel");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "head(200) body(hel) fail(io) closed(io)");
}

static void test_bad_responses(void **state)
{
	static const struct {
		const char *sent, *log;
	} cases[] = {
		{ "SSH-2.0-OpenSSH\r\n\r\n", "fail(bad) closed(bad)" },
		{ "HTTP/1.1 200 OK\nA: b\n\n", "fail(bad) closed(bad)" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		  "fail(bad) closed(bad)" },
		{ "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
		  "fail(bad) closed(bad)" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		  "head(200) fail(bad) closed(bad)" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
		  "head(200) fail(bad) closed(bad)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		renew();
		get();
		wire_send(&w, cases[i].sent);
		wire_expect(&w, cases[i].log);
	}
}

static void test_interim_maximum(void **state)
{
	(void)state;
	get();
	for (int i = 0; i < HTTP_INTERIM_MAX; i++) {
		wire_send(&w, "HTTP/1.1 102 Processing\r\n\r\n");
		wire_expect(&w, "head(102)");
	}
	wire_send(&w, HELLO); /* the final one does not count */
	wire_expect(&w, "head(200) body(hello) end done idle");
	get();
	for (int i = 0; i < HTTP_INTERIM_MAX; i++)
		wire_send(&w, "HTTP/1.1 102 Processing\r\n\r\n");
	buf_clear(&w.log);
	wire_send(&w, "HTTP/1.1 102 Processing\r\n\r\n");
	wire_expect(&w, "fail(limit) closed(limit)");
}

static void test_bytes_while_idle(void **state)
{
	(void)state;
	wire_send(&w, "HTTP/1.1 408 Request Timeout\r\n\r\n");
	wire_expect(&w, "closed(io)");
}

static void test_eof_while_idle(void **state)
{
	(void)state;
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

/* More than the response: what follows would answer the next request. The connection does not go
 * on. */
static void test_bytes_after_response(void **state)
{
	(void)state;
	get();
	wire_send(&w, HELLO "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
	wire_expect(&w, "head(200) body(hello) end done closed(-)");
	renew();
	get();
	wire_send(&w, "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc");
	wire_expect(&w, "head(204) end done closed(-)");
}

static void test_response_before_request(void **state)
{
	(void)state;
	stream = h1_client_start(conn, &wire_notes, &w);
	wire_send(&w, HELLO);
	wire_expect(&w, "fail(bad) closed(bad)");
}

static void test_stale_connection(void **state)
{
	(void)state;
	get();
	wire_send(&w, HELLO);
	wire_expect(&w, "head(200) body(hello) end done idle");
	wire_close(&w);
	start("GET"); /* before the loop has seen that it is gone */
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_int_equal(h1_client_used(conn), 2);
	wire_spin(&w);
	wire_expect(&w, "fail(stale) closed(io)");
}

/* Something of an answer came: it was acted on. */
static void test_cut_on_a_kept_connection(void **state)
{
	static const char *const parts[] = { "H", "HTTP/1.1 200 OK\r\nContent-Le",
					     "HTTP/1.1 103 Early Hints\r\n\r\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		renew();
		get();
		wire_send(&w, HELLO);
		wire_expect(&w, "head(200) body(hello) end done idle");
		start("GET");
		assert_int_equal(stream_end(stream, NULL, NULL), 0);
		wire_spin(&w);
		wire_send(&w, parts[i]);
		wire_close(&w);
		wire_spin(&w);
		wire_expect(&w, i < 2 ? "fail(io) closed(io)" : "head(103) fail(io) closed(io)");
	}
}

/* --- early answers -------------------------------------------------------------------------- */

static void test_answer_before_the_request_ends(void **state)
{
	(void)state;
	start_upload(BODY_LENGTH, 10);
	assert_int_equal(stream_body(stream, STR("01234"), NULL), 0);
	wire_send(&w, HELLO);
	wire_expect(&w, "head(200) body(hello) end");
	assert_int_equal(stream_body(stream, STR("56789"), NULL), 0);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "done idle");
}

/* The server answers, reads no more and is gone: the answer counts, the rest of the upload goes
 * nowhere. */
static void test_answer_and_close_during_upload(void **state)
{
	static char piece[KIB(64)];

	(void)state;
	start_upload(BODY_LENGTH, MIB(100));
	while (stream_queued(stream) <= PROXY_OUT_HIGH) { /* until the socket is full */
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
		wire_spin(&w);
	}
	wire_send(&w, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "head(413) body(big) end drain");
	assert_false(conn->watch.loop && (conn->watch.events & LOOP_READ)); /* or it would spin */
	assert_false(conn->work.queued);
	for (int i = 0; i < 100; i++)
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
	wire_spin(&w);
	assert_int_equal(stream_queued(stream), 0);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "done closed(-)");
}

/* Writing fails first; the answer that waits in the socket is found all the same. */
static void expect_answer_behind_a_broken_pipe(struct str piece)
{
	const struct str answer = STR("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");

	start_upload(BODY_CHUNKED, 0);
	wire_spin(&w);
	stream_pause(stream, true);
	assert_int_equal(send(w.peer, answer.p, answer.n, 0), answer.n);
	wire_close(&w);
	assert_int_equal(stream_body(stream, piece, NULL), 0);
	stream_pause(stream, false);
	wire_spin(&w);
	wire_expect(&w, "head(413) end");
	assert_int_equal(stream_body(stream, piece, NULL), 0);
	assert_int_equal(stream_queued(stream), 0);
	stream_abort(stream);
	wire_spin(&w);
	wire_expect(&w, "closed(cancelled)");
}

static void test_answer_behind_a_broken_pipe(void **state)
{
	static char large[H1_DIRECT_MIN];

	(void)state;
	expect_answer_behind_a_broken_pipe(STR("x"));
	renew();
	expect_answer_behind_a_broken_pipe(str_mem(large, sizeof(large)));
}

static void test_no_answer_during_upload(void **state)
{
	(void)state;
	start_upload(BODY_CHUNKED, 0);
	wire_close(&w);
	assert_int_equal(stream_body(stream, STR("x"), NULL), 0);
	wire_spin(&w);
	wire_expect(&w, "fail(io) closed(io)");
}

/* --- back-pressure
 * ----------------------------------------------------------------------------------- */

static void test_pause(void **state)
{
	(void)state;
	get();
	stream_pause(stream, true);
	wire_send(&w, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
	wire_expect(&w, "head(200)");
	assert_true(wire_flood(&w) < MIB(8));
	assert_true(conn->in.len <= 2 * PROXY_READ_SIZE);
	wire_expect(&w, "");
	stream_pause(stream, false);
	wire_spin(&w);
	assert_true(w.log.len > 0);
}

/* The server is gone while we are paused: nothing is lost, and the loop does not spin on the
 * hang-up. */
static void test_pause_and_close(void **state)
{
	(void)state;
	get();
	wire_send(&w, "HTTP/1.1 200 OK\r\n\r\n");
	stream_pause(stream, true);
	wire_send(&w, "hello");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "head(200)");
	assert_null(conn->watch.loop);
	stream_pause(stream, false);
	wire_spin(&w);
	wire_expect(&w, "body(hello) end done closed(-)");
}

static void test_upload_drains(void **state)
{
	static char piece[KIB(64)];

	(void)state;
	start_upload(BODY_CHUNKED, 0);
	while (stream_queued(stream) <= PROXY_OUT_HIGH) {
		assert_int_equal(stream_body(stream, str_mem(piece, sizeof(piece)), NULL), 0);
		wire_spin(&w);
	}
	wire_expect(&w, "");
	(void)wire_drain(&w);
	wire_expect(&w, "drain");
}

/* --- time ----------------------------------------------------------------------------------- */

static void test_timeouts(void **state)
{
	(void)state;
	get();
	loop_test_advance(w.loop, 599999);
	wire_send(&w, "HTTP/1.1 100 Continue\r\n\r\n");
	loop_test_advance(w.loop, 599999);
	wire_spin(&w);
	wire_expect(&w, "head(100)");
	loop_test_advance(w.loop, 1);
	wire_spin(&w);
	wire_expect(&w, "fail(timeout) closed(timeout)");
	renew();
	get();
	wire_send(&w, HELLO);
	loop_test_advance(w.loop, 299999);
	wire_spin(&w);
	wire_expect(&w, "head(200) body(hello) end done idle");
	loop_test_advance(w.loop, 1);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

/* --- endings -------------------------------------------------------------------------------- */

static void abort_head(void *arg, struct msg *m)
{
	(void)arg;
	(void)m;
	wire_note(&w, "abort");
	stream_abort(stream);
}

static void test_abort_in_callback(void **state)
{
	static const struct stream_handler h = { .on_head = abort_head };

	(void)state;
	get();
	stream_handle(stream, &h, NULL);
	wire_send(&w, HELLO);
	wire_expect(&w, "abort closed(cancelled)");
}

static void close_conn(void)
{
	h1_conn_close(conn);
	conn = NULL;
}

static void test_close_in_idle(void **state)
{
	(void)state;
	in_idle = close_conn;
	get();
	wire_send(&w, HELLO);
	wire_expect(&w, "head(200) body(hello) end done idle");
	(void)wire_recv(&w);
	assert_true(w.eof);
}

static void test_drain(void **state)
{
	(void)state;
	get();
	h1_conn_drain(conn);
	wire_spin(&w);
	wire_send(&w, HELLO);
	wire_expect(&w, "head(200) body(hello) end done closed(-)");
	renew();
	h1_conn_drain(conn);
	wire_spin(&w);
	wire_expect(&w, "closed(-)");
}

/* --- taking the stack ----------------------------------------------------------------------- */

static struct filter *taken;

static void take_head(void *arg, struct msg *m)
{
	(void)arg;
	wire_note(&w, "take(%d)", m->status);
	taken = h1_conn_take(conn);
	conn = NULL;
}

static const struct stream_handler taker = { .on_head = take_head };

static void expect_tunnel(const char *first)
{
	char got[64];

	assert_int_equal(filter_read(taken, got, sizeof(got), NULL), strlen(first));
	assert_memory_equal(got, first, strlen(first));
	assert_int_equal(filter_write(taken, "up", 2, NULL), 2);
	assert_string_equal(wire_recv(&w), "up");
	filter_free(taken);
}

static void test_take_connect(void **state)
{
	(void)state;
	start("CONNECT");
	stream_handle(stream, &taker, NULL);
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	assert_string_equal(wire_recv(&w), "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
	/* RFC 9110 9.3.6: length fields in this response mean nothing */
	wire_send(&w, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef");
	wire_expect(&w, "take(200)");
	expect_tunnel("abcdef");
}

static void test_take_later(void **state)
{
	(void)state;
	start("CONNECT");
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	(void)wire_recv(&w);
	wire_send(&w, "HTTP/1.1 200 OK\r\n\r\nabc");
	wire_expect(&w, "head(200)");
	taken = h1_conn_take(conn);
	conn = NULL;
	expect_tunnel("abc");
}

static void test_connect_refused(void **state)
{
	(void)state;
	start("CONNECT");
	assert_int_equal(stream_end(stream, NULL, NULL), 0);
	wire_send(&w, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
	wire_expect(&w, "head(403) body(no) end done idle");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reuse),
		TEST(test_start_in_idle),
		TEST(test_request_bodies),
		TEST(test_close_after),
		TEST(test_splits),
		TEST(test_length_splits),
		TEST(test_no_body),
		TEST(test_until_close),
		TEST(test_server_says_close),
		TEST(test_server_leaves),
		TEST(test_truncation),
		TEST(test_bad_responses),
		TEST(test_interim_maximum),
		TEST(test_bytes_while_idle),
		TEST(test_eof_while_idle),
		TEST(test_bytes_after_response),
		TEST(test_response_before_request),
		TEST(test_stale_connection),
		TEST(test_cut_on_a_kept_connection),
		TEST(test_answer_before_the_request_ends),
		TEST(test_answer_and_close_during_upload),
		TEST(test_answer_behind_a_broken_pipe),
		TEST(test_no_answer_during_upload),
		TEST(test_pause),
		TEST(test_pause_and_close),
		TEST(test_upload_drains),
		TEST(test_timeouts),
		TEST(test_abort_in_callback),
		TEST(test_close_in_idle),
		TEST(test_drain),
		TEST(test_take_connect),
		TEST(test_take_later),
		TEST(test_connect_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
