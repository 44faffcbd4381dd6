#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"

static struct arena arena;
static struct msg m;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, HTTP_ARENA_MAX);
	msg_init(&m, &arena);
	m.version = HTTP_1_1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static void request(const char *method, const char *path)
{
	m.method = str_of(method);
	m.form = TARGET_ORIGIN;
	m.path = str_of(path);
}

static void response(int status)
{
	m.is_response = true;
	m.status = status;
	m.reason = STR("Why");
}

static void add(const char *name, const char *value)
{
	assert_int_equal(msg_add(&m, str_of(name), str_of(value), NULL), 0);
}

static void expect(const char *connection, const char *want)
{
	auto_buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	int rc;

	assert_int_equal(buf_addz(&out, "before|", NULL), 0);
	rc = m.is_response ? h1_write_response(&out, &m, connection, &err)
			   : h1_write_request(&out, &m, connection, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	assert_memory_equal(buf_z(&out), "before|", 7);
	assert_string_equal(buf_z(&out) + 7, want);
}

/* Refused, and nothing of it written. */
static void expect_bad(void)
{
	auto_buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;

	assert_int_equal(m.is_response ? h1_write_response(&out, &m, NULL, &err)
				       : h1_write_request(&out, &m, NULL, &err),
			 -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(out.len, 0);
}

static void test_order_and_spelling(void **state)
{
	(void)state;
	request("POST", "/a");
	m.query = STR("b=c");
	add("zeta", "1");
	add("CONTENT-length", "99");
	add("HoSt", "a.example");
	add("Zeta", "2");
	m.framing = BODY_LENGTH;
	m.length = 3;
	expect(NULL, "POST /a?b=c HTTP/1.1\r\nzeta: 1\r\nCONTENT-length: 3\r\n"
		     "HoSt: a.example\r\nZeta: 2\r\n\r\n");
}

static void test_framing_takes_the_place(void **state)
{
	(void)state;
	request("POST", "/");
	add("transfer-encoding", "gzip, chunked");
	add("Content-Length", "5");
	add("Host", "a");
	add("Transfer-Encoding", "chunked");
	m.framing = BODY_CHUNKED;
	expect(NULL, "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nHost: a\r\n\r\n");
	m.framing = BODY_LENGTH;
	m.length = 7;
	expect(NULL, "POST / HTTP/1.1\r\nContent-Length: 7\r\nHost: a\r\n\r\n");
	m.framing = BODY_NONE;
	expect(NULL, "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void test_framing_at_the_end(void **state)
{
	(void)state;
	request("POST", "/");
	add("Host", "a");
	m.framing = BODY_CHUNKED;
	expect("close",
	       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
	m.framing = BODY_LENGTH;
	m.length = 18446744073709551615u;
	expect(NULL, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n");
}

static void test_connection(void **state)
{
	(void)state;
	request("GET", "/");
	add("Connection", "close");
	add("Host", "a");
	add("Upgrade", "h2c");
	expect(NULL, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n");
	m.upgrade = STR("websocket");
	expect("upgrade",
	       "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
	expect("close", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: close\r\n\r\n");
}

static void test_forms(void **state)
{
	(void)state;
	request("GET", "/x");
	add("Host", "a:81");
	m.query = STR("");
	m.form = TARGET_ABSOLUTE;
	m.scheme = STR("http");
	m.authority = STR("a:81");
	expect(NULL, "GET http://a:81/x? HTTP/1.1\r\nHost: a:81\r\n\r\n");
	m.method = STR("OPTIONS");
	m.path = STR("*");
	m.query = STR_NONE;
	expect(NULL, "OPTIONS http://a:81 HTTP/1.1\r\nHost: a:81\r\n\r\n");
	m.form = TARGET_ASTERISK;
	expect(NULL, "OPTIONS * HTTP/1.1\r\nHost: a:81\r\n\r\n");
	m.method = STR("CONNECT");
	m.form = TARGET_AUTHORITY;
	expect(NULL, "CONNECT a:81 HTTP/1.1\r\nHost: a:81\r\n\r\n");
}

static void test_bad_requests(void **state)
{
	static const struct {
		struct str method, path, query;
	} bad[] = {
		{ STR("GET"), STR("x"), STR_NONE },
		{ STR("GET"), STR(""), STR_NONE },
		{ STR("GET"), STR("*"), STR_NONE },
		{ STR("GET"), STR("/ HTTP/1.1\r\nX: "), STR_NONE },
		{ STR("GET"), STR("/a b"), STR_NONE },
		{ STR("GET"), STR("/a?b"), STR_NONE },
		{ STR("GET"), STR("/a#b"), STR_NONE },
		{ STR("GET"), STR("/"), STR("a b") },
		{ STR("GET"), STR("/"), STR("a\n") },
		{ STR("GET / "), STR("/"), STR_NONE },
		{ STR(""), STR("/"), STR_NONE },
		{ STR("CONNECT"), STR("/"), STR_NONE },
	};

	(void)state;
	add("Host", "a");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		m.method = bad[i].method;
		m.path = bad[i].path;
		m.query = bad[i].query;
		expect_bad();
	}
	request("GET", "/");
	m.query = STR_NONE;
	m.framing = BODY_UNTIL_CLOSE;
	expect_bad();
	m.framing = BODY_NONE;
	add("Host", "b");
	expect_bad();
	assert_int_equal(msg_remove(&m, "host"), 2);
	expect_bad();
}

static void test_bad_targets(void **state)
{
	static const struct {
		const char *method;
		enum http_target_form form;
		const char *scheme, *authority, *path, *query;
	} bad[] = {
		{ "CONNECT", TARGET_AUTHORITY, "", "a b:1", "", NULL },
		{ "CONNECT", TARGET_AUTHORITY, "", "", "", NULL },
		{ "GET", TARGET_AUTHORITY, "", "a:1", "", NULL },
		{ "GET", TARGET_ASTERISK, "", "", "*", NULL },
		{ "GET", TARGET_ABSOLUTE, "h ttp", "a", "/", NULL },
		{ "GET", TARGET_ABSOLUTE, "", "a", "/", NULL },
		{ "GET", TARGET_ABSOLUTE, "http", "a b", "/", NULL },
		{ "GET", TARGET_ABSOLUTE, "http", "a/b", "/", NULL },
		{ "GET", TARGET_ABSOLUTE, "http", "", "/", NULL },
		{ "GET", TARGET_ABSOLUTE, "http", "a", "*", NULL },
		{ "OPTIONS", TARGET_ABSOLUTE, "http", "a", "*", "q" },
		{ "OPTIONS", TARGET_ABSOLUTE, "http", "a", "x", NULL },
	};

	(void)state;
	add("Host", "a");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		m.method = str_of(bad[i].method);
		m.form = bad[i].form;
		m.scheme = str_of(bad[i].scheme);
		m.authority = str_of(bad[i].authority);
		m.path = str_of(bad[i].path);
		m.query = str_of(bad[i].query);
		expect_bad();
	}
}

/* Whoever edits a message past msg_add cannot inject either. */
static void test_last_guard(void **state)
{
	static const struct field bad[] = {
		{ STR("A"), STR("b\r\nC: d") }, { STR("A"), STR("b\n") }, { STR("A"), STR("\0") },
		{ STR("A: b\r\nC"), STR("d") }, { STR("A "), STR("b") },  { STR(""), STR("b") },
	};

	(void)state;
	request("GET", "/");
	add("Host", "a");
	add("A", "b");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		m.fields.v[1] = bad[i];
		expect_bad();
	}
	m.fields.v[1] = (struct field){ STR("A"), STR("b") };
	expect(NULL, "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n");
	response(200);
	m.fields.v[1] = bad[0];
	expect_bad();
	m.fields.v[1] = (struct field){ STR("A"), STR("b") };
	m.reason = STR("OK\r\nX: y");
	expect_bad();
	m.reason = STR("OK");
	m.status = 99;
	expect_bad();
	m.status = 1000;
	expect_bad();
}

static void test_upgrade_guard(void **state)
{
	auto_buf out = BUF_INIT(4096);

	(void)state;
	request("GET", "/");
	add("Host", "a");
	m.upgrade = STR("x\r\nY: z");
	assert_int_equal(h1_write_request(&out, &m, "upgrade", NULL), -1);
	assert_int_equal(out.len, 0);
}

static void test_responses(void **state)
{
	(void)state;
	response(200);
	add("Content-Length", "5");
	add("X", "y");
	/* HEAD, 304: the length that a body would have */
	expect(NULL, "HTTP/1.1 200 Why\r\nContent-Length: 5\r\nX: y\r\n\r\n");
	m.framing = BODY_UNTIL_CLOSE;
	expect("close", "HTTP/1.1 200 Why\r\nX: y\r\nConnection: close\r\n\r\n");
	m.framing = BODY_CHUNKED;
	expect(NULL, "HTTP/1.1 200 Why\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n");
	m.framing = BODY_NONE;
	m.status = 204;
	expect(NULL, "HTTP/1.1 204 Why\r\nX: y\r\n\r\n");
	assert_int_equal(msg_remove(&m, "content-length"), 1);
	m.framing = BODY_LENGTH;
	expect(NULL, "HTTP/1.1 204 Why\r\nX: y\r\n\r\n");
	m.status = 103;
	expect(NULL, "HTTP/1.1 103 Why\r\nX: y\r\n\r\n");
	m.framing = BODY_NONE;
	m.status = 101;
	m.upgrade = STR("websocket");
	expect("upgrade",
	       "HTTP/1.1 101 Why\r\nX: y\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
}

/* What HEAD would have: a length may be told, chunks are nobody's business. */
static void test_announced_framing(void **state)
{
	(void)state;
	response(200);
	add("Transfer-Encoding", "chunked");
	expect(NULL, "HTTP/1.1 200 Why\r\n\r\n");
	add("Content-Length", "x");
	expect(NULL, "HTTP/1.1 200 Why\r\n\r\n");
	add("Content-Length", "7");
	expect(NULL, "HTTP/1.1 200 Why\r\nContent-Length: 7\r\n\r\n");
}

static void test_out_of_room(void **state)
{
	auto_buf out = BUF_INIT(16);
	struct err err = ERR_INIT;

	(void)state;
	response(200);
	assert_int_equal(h1_write_response(&out, &m, NULL, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_int_equal(out.len, 0);
	assert_int_equal(buf_addz(&out, "0123456789abc", NULL), 0);
	assert_int_equal(h1_write_last_chunk(&out, NULL, NULL), -1);
	assert_int_equal(h1_write_chunk_head(&out, 16, NULL), -1);
	assert_int_equal(out.len, 13);
}

static void test_chunks(void **state)
{
	struct field f[] = { { STR("X-Sum"), STR("1") }, { STR("grpc-status"), STR("0") } };
	struct fields trailers = { f, 2, 2 };
	auto_buf out = BUF_INIT(4096);

	(void)state;
	assert_int_equal(h1_write_chunk_head(&out, 1, NULL), 0);
	assert_int_equal(h1_write_chunk_head(&out, 0x1a2b, NULL), 0);
	assert_int_equal(h1_write_chunk_head(&out, UINT64_MAX, NULL), 0);
	assert_int_equal(h1_write_last_chunk(&out, NULL, NULL), 0);
	assert_int_equal(h1_write_last_chunk(&out, &trailers, NULL), 0);
	assert_string_equal(buf_z(&out), "1\r\n1a2b\r\nffffffffffffffff\r\n0\r\n\r\n"
					 "0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n");
	buf_clear(&out);
	f[0].name = STR("Content-Length");
	assert_int_equal(h1_write_last_chunk(&out, &trailers, NULL), -1);
	f[0] = (struct field){ STR("X"), STR("1\r\n\r\n") };
	assert_int_equal(h1_write_last_chunk(&out, &trailers, NULL), -1);
	assert_int_equal(out.len, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_order_and_spelling),
		TEST(test_framing_takes_the_place),
		TEST(test_framing_at_the_end),
		TEST(test_connection),
		TEST(test_forms),
		TEST(test_bad_requests),
		TEST(test_last_guard),
		TEST(test_bad_targets),
		TEST(test_announced_framing),
		TEST(test_upgrade_guard),
		TEST(test_responses),
		TEST(test_out_of_room),
		TEST(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
