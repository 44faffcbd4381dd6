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
#include "http/server.h"
#include "wire.h"

static struct wire w;
static struct http_server *server;
static struct stream *kept;
static bool keep, free_inside;

static void on_request(void *arg, struct http_request *req)
{
	struct field f = { STR("X-Path"), req->msg->path };
	const struct fields extra = { &f, 1, 1 };

	(void)arg;
	wire_note(&w, "%.*s(%.*s)", STR_ARG(req->msg->method), STR_ARG(req->body));
	if (keep) {
		kept = req->stream;
		stream_handle(kept, &wire_notes, &w);
		return;
	}
	assert_int_equal(http_reply(req->stream, 200, "text/plain", STR("hello"), &extra, NULL), 0);
	if (free_inside) {
		http_server_free(server);
		server = NULL;
	}
}

static int dial(void)
{
	const struct addr *at = http_server_addr(server);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, &at->sa, at->len), 0);
	wire_spin(&w);
	return fd;
}

static int setup(void **state)
{
	struct addr at;
	struct err err = ERR_INIT;

	(void)state;
	wire_init(&w);
	assert_int_equal(addr_parse_listen(STR("127.0.0.1:0"), &at, NULL), 0);
	server = http_server_new(w.loop, &at, 10, on_request, NULL, &err);
	if (!server)
		fail_msg("%s", err.text);
	keep = free_inside = false;
	w.peer = dial();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_server_free(server);
	wire_fini(&w);
	return 0;
}

static void expect_start(const char *want)
{
	const char *got = wire_recv(&w);

	if (strncmp(got, want, strlen(want)) != 0)
		fail_msg("got: %s", got);
}

static void test_get(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		wire_send(&w, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
		expect_start("HTTP/1.1 200 OK\r\nDate: ");
		assert_non_null(strstr(buf_z(&w.got),
				       " GMT\r\nContent-Type: text/plain\r\n"
				       "X-Path: /x\r\nContent-Length: 5\r\n\r\nhello"));
		wire_expect(&w, "GET()");
	}
	wire_send(&w, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_start("HTTP/1.1 200 OK\r\n");
	assert_non_null(strstr(buf_z(&w.got), "Content-Length: 5\r\n\r\n"));
	assert_null(strstr(buf_z(&w.got), "hello"));
}

static void test_body(void **state)
{
	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
	wire_expect(&w, "");
	wire_send(&w, "56789");
	wire_expect(&w, "POST(0123456789)");
	(void)wire_recv(&w);
	/* the next one starts from nothing */
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
	wire_expect(&w, "POST(x)");
}

static void test_body_too_large(void **state)
{
	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
	expect_start("HTTP/1.1 413 Content Too Large\r\n");
	assert_true(w.eof);
	wire_close(&w);
	w.peer = dial();
	w.eof = false;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "6\r\n012345\r\n6\r\n012345\r\n");
	expect_start("HTTP/1.1 413 Content Too Large\r\n");
	assert_true(w.eof);
	wire_expect(&w, "");
}

static void test_expect_continue(void **state)
{
	(void)state;
	wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		      "Expect: 100-continue\r\n\r\n");
	assert_string_equal(wire_recv(&w), "HTTP/1.1 100 Continue\r\n\r\n");
	wire_send(&w, "x");
	wire_expect(&w, "POST(x)");
}

static void test_bad_request(void **state)
{
	(void)state;
	wire_send(&w, "GET / HTTP/1.1\r\n\r\n");
	expect_start("HTTP/1.1 400 Bad Request\r\n");
	assert_true(w.eof);
	wire_close(&w);
	w.peer = dial();
	wire_send(&w, "GET / HTTP");
	loop_test_advance(w.loop, HTTP_SERVER_HEAD_MS);
	expect_start("HTTP/1.1 408 Request Timeout\r\n");
}

static void test_answer_later(void **state)
{
	(void)state;
	keep = true;
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_string_equal(wire_recv(&w), "");
	assert_int_equal(http_reply(kept, 404, NULL, STR_NONE, NULL, NULL), 0);
	expect_start("HTTP/1.1 404 Not Found\r\n");
	assert_null(strstr(buf_z(&w.got), "Content-Type"));
	wire_expect(&w, "GET() done");
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_close(&w);
	wire_spin(&w);
	wire_expect(&w, "GET() fail(io)");
}

static void test_server_free(void **state)
{
	(void)state;
	free_inside = true;
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	wire_expect(&w, "GET()");
	assert_null(server);
	(void)wire_recv(&w);
	assert_true(w.eof || w.reset);
}

static void test_free_while_kept(void **state)
{
	(void)state;
	keep = true;
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	http_server_free(server);
	server = NULL;
	(void)wire_recv(&w);
	assert_true(w.eof);
	wire_expect(&w, "GET()");
}

static void test_connection_maximum(void **state)
{
	int fds[HTTP_SERVER_CONNS_MAX];
	char c;

	(void)state;
	for (int i = 1; i < HTTP_SERVER_CONNS_MAX; i++)
		fds[i] = dial();
	fds[0] = dial(); /* one more: closed at once */
	assert_int_equal(recv(fds[0], &c, 1, MSG_DONTWAIT), 0);
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_start("HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < HTTP_SERVER_CONNS_MAX; i++)
		(void)close(fds[i]);
	wire_spin(&w);
	fds[0] = dial(); /* there is room again */
	assert_int_equal(recv(fds[0], &c, 1, MSG_DONTWAIT), -1);
	(void)close(fds[0]);
}

static void test_address_in_use(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_null(http_server_new(w.loop, http_server_addr(server), 10, on_request, NULL, &err));
	assert_int_not_equal(err.code, E_NONE);
}

static void test_reply_errors(void **state)
{
	struct field f = { STR("X"), STR("a\r\nb") };
	const struct fields extra = { &f, 1, 1 };
	struct err err = ERR_INIT;

	(void)state;
	keep = true;
	wire_send(&w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(http_reply(kept, 200, NULL, STR("x"), &extra, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_string_equal(wire_recv(&w), "");
	assert_int_equal(http_reply(kept, 200, NULL, STR("x"), NULL, &err), 0);
	assert_int_equal(http_reply(kept, 200, NULL, STR("x"), NULL, &err), -1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_get),
		TEST(test_body),
		TEST(test_body_too_large),
		TEST(test_expect_continue),
		TEST(test_bad_request),
		TEST(test_answer_later),
		TEST(test_server_free),
		TEST(test_free_while_kept),
		TEST(test_connection_maximum),
		TEST(test_reply_errors),
		TEST(test_address_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
