/* Field sections to messages and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"
#include "http/h2_map.h"

static struct arena arena;
static struct msg m;
static struct err err;

/* "name: value" lines; a line without ": " is a name with an empty value. */
static int read_lines(enum h2_section section, const char *lines, bool end_stream)
{
	struct str rest = str_of(lines), line;
	struct h2_head h;
	int rc;

	arena_reset(&arena);
	msg_init(&m, &arena);
	err_clear(&err);
	h2_head_init(&h, section, &m);
	while (str_split(&rest, '|', &line)) {
		ssize_t at = str_find(line, STR(": "), 0);

		if (at < 0)
			h2_head_field(&h, line, STR(""));
		else
			h2_head_field(&h, str_sub(line, 0, (size_t)at),
				      str_from(line, (size_t)at + 2));
	}
	rc = h2_head_finish(&h, end_stream, STR("GET"), &err);
	h2_head_fini(&h);
	return rc;
}

static void accept(const char *lines)
{
	if (read_lines(H2_REQUEST, lines, true) < 0)
		fail_msg("%s: %s", lines, err.text);
}

static void refuse(const char *lines)
{
	if (read_lines(H2_REQUEST, lines, true) == 0)
		fail_msg("accepted: %s", lines);
	assert_int_equal(err.code, E_BAD);
}

static void expect_str(struct str got, const char *want)
{
	if (!str_eqz(got, want))
		fail_msg("got '%.*s', wanted '%s'", STR_ARG(got), want);
}

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, HTTP_ARENA_MAX);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

#define GET ":method: GET|:scheme: https|:authority: a.test|:path: /x"

static void test_request(void **state)
{
	(void)state;
	accept(GET "?q=1&r|accept: */*|te: trailers|x-empty");
	expect_str(m.method, "GET");
	expect_str(m.scheme, "https");
	expect_str(m.authority, "a.test");
	expect_str(m.host, "a.test");
	expect_str(m.target, "/x?q=1&r");
	expect_str(m.path, "/x");
	expect_str(m.query, "q=1&r");
	assert_int_equal(m.form, TARGET_ORIGIN);
	assert_int_equal(m.version, HTTP_2);
	assert_int_equal(m.fields.n, 4);
	expect_str(m.fields.v[0].name, "Host");
	expect_str(m.fields.v[0].value, "a.test");
	assert_non_null(m.fields.v[3].value.p);
	assert_true(m.keep_alive);
	assert_false(m.extended_connect);
	accept(":method: OPTIONS|:scheme: https|:authority: a|:path: *");
	assert_int_equal(m.form, TARGET_ASTERISK);
	accept(":method: GET|:scheme: HTTP|:authority: a|:path: /");
	expect_str(m.scheme, "HTTP");
	accept(GET);
	assert_null(m.query.p);
	assert_int_equal(m.fields.n, 1);
}

static void test_host(void **state)
{
	(void)state;
	/* RFC 9113 8.3.1: made from HTTP/1.1, it may have Host only. */
	accept(":method: GET|:scheme: https|:path: /|host: a.test");
	expect_str(m.host, "a.test");
	assert_int_equal(m.authority.n, 0);
	/* The same in other words is one Host. */
	accept(GET "|host: A.test:443");
	assert_int_equal(msg_count(&m, "host"), 1);
	expect_str(m.host, "a.test");
	refuse(GET "|host: b.test");
	refuse(GET "|host: a.test:444");
	refuse(GET "|host");
	refuse(":method: GET|:scheme: https|:path: /|host: a|host: a");
	refuse(":method: GET|:scheme: https|:path: /");
	refuse(":method: GET|:scheme: https|:path: /|:authority: u@a");
	refuse(":method: GET|:scheme: https|:path: /|:authority: a b");
	refuse(":method: GET|:scheme: https|:path: /|:authority");
	refuse(":method: GET|:scheme: https|:path: /|:authority: a/x");
}

static void test_paths(void **state)
{
	static const char *const bad[] = { "",          "x",         "*",    "/a b",
					   "/a#b",      "http://a/", "//\t", "/\x7f",
					   "/\xc3\xa9", "/a ",       " /a",  "?q" };
	char line[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(line, sizeof(line),
			       ":method: GET|:scheme: https|:authority: a|:path: %s", bad[i]);
		refuse(line);
	}
	refuse(":method: GET|:scheme: https|:authority: a");
	refuse(":method: POST|:scheme: https|:authority: a|:path: *");
}

static void test_long_path(void **state)
{
	static char line[2 * HTTP_LINE_MAX];
	int n = snprintf(line, sizeof(line), ":method: GET|:scheme: https|:authority: a|:path: /");

	(void)state;
	memset(line + n, 'p', HTTP_LINE_MAX);
	assert_int_equal(read_lines(H2_REQUEST, line, true), -1);
	assert_int_equal(err.code, E_LIMIT);
	line[n + (int)HTTP_LINE_MAX - 1] = '\0';
	accept(line);
}

static void test_pseudo(void **state)
{
	(void)state;
	refuse(GET "|:method: GET");
	refuse(GET "|:path: /x");
	refuse(GET "|:status: 200");
	refuse(GET "|:new: x");
	refuse("x: y|" GET);
	refuse(":scheme: https|:authority: a|:path: /");
	refuse(":method: |:scheme: https|:authority: a|:path: /");
	refuse(":method: G T|:scheme: https|:authority: a|:path: /");
	refuse(":method: GET|:authority: a|:path: /");
	refuse(":method: GET|:scheme: ftp|:authority: a|:path: /");
	refuse(":Method: GET|:scheme: https|:authority: a|:path: /");
}

static void test_names_and_values(void **state)
{
	(void)state;
	refuse(GET "|X-Upper: a");
	refuse(GET "|a b: c");
	refuse(GET "|a:b: c");
	refuse(GET "|");
	refuse(GET "|a\r: c");
	refuse(GET "|a: b\nc");
	refuse(GET "|a: b\rc");
	refuse(GET "|a: \x01");
	refuse(GET "|a: b\x7f");
	refuse(GET "|a:  b");
	refuse(GET "|a: b ");
	refuse(GET "|a: b\t");
	accept(GET "|a: b\tc d|b: \xc3\xa9");
}

static void test_nul(void **state)
{
	struct h2_head h;

	(void)state;
	msg_init(&m, &arena);
	h2_head_init(&h, H2_REQUEST, &m);
	h2_head_field(&h, STR("a"), STR("b\0c"));
	assert_int_equal(h2_head_finish(&h, true, STR("GET"), &err), -1);
	h2_head_fini(&h);
}

static void test_connection_fields(void **state)
{
	(void)state;
	refuse(GET "|connection: close");
	refuse(GET "|proxy-connection: x");
	refuse(GET "|keep-alive: 1");
	refuse(GET "|transfer-encoding: chunked");
	refuse(GET "|upgrade: websocket");
	refuse(GET "|content_length: 1");
	refuse(GET "|transfer.encoding: chunked");
	refuse(GET "|te: gzip");
	refuse(GET "|te: trailers, gzip");
}

static void test_cookies(void **state)
{
	(void)state;
	accept(GET "|cookie: a=1|x: y|cookie: b=2|cookie: c=3");
	assert_int_equal(msg_count(&m, "cookie"), 1);
	expect_str(msg_value(&m, "cookie"), "a=1; b=2; c=3");
	expect_str(m.fields.v[1].name, "cookie");
}

/* Each crumb is no field of its own: a browser may send very many. */
static void test_many_crumbs(void **state)
{
	struct h2_head h;

	(void)state;
	msg_init(&m, &arena);
	h2_head_init(&h, H2_REQUEST, &m);
	h2_head_field(&h, STR(":method"), STR("GET"));
	h2_head_field(&h, STR(":scheme"), STR("https"));
	h2_head_field(&h, STR(":path"), STR("/"));
	h2_head_field(&h, STR(":authority"), STR("a"));
	for (int i = 0; i < 2 * HTTP_FIELDS_MAX; i++)
		h2_head_field(&h, STR("cookie"), STR("abc=def"));
	assert_int_equal(h2_head_finish(&h, true, STR(""), &err), 0);
	assert_int_equal(msg_value(&m, "cookie").n, 2 * HTTP_FIELDS_MAX * 9 - 2);
	h2_head_fini(&h);
}

static void test_limits(void **state)
{
	static const char value[4000] = { [0 ... 3999] = 'v' };
	struct h2_head h;

	(void)state;
	for (int many = 0; many < 2; many++) {
		arena_reset(&arena);
		msg_init(&m, &arena);
		h2_head_init(&h, H2_REQUEST, &m);
		for (int i = 0; i < (many ? HTTP_FIELDS_MAX + 1 : 17); i++)
			h2_head_field(&h, STR("x"), many ? STR("") : str_mem(value, sizeof(value)));
		assert_int_equal(h2_head_finish(&h, true, STR(""), &err), -1);
		assert_int_equal(err.code, E_LIMIT);
		h2_head_fini(&h);
	}
}

static void test_framing(void **state)
{
	(void)state;
	assert_int_equal(read_lines(H2_REQUEST, GET, false), 0);
	assert_int_equal(m.framing, BODY_CHUNKED);
	assert_int_equal(read_lines(H2_REQUEST, GET "|content-length: 3", false), 0);
	assert_int_equal(m.framing, BODY_LENGTH);
	assert_int_equal(m.length, 3);
	accept(GET "|content-length: 0");
	refuse(GET "|content-length: 3"); /* and END_STREAM */
	refuse(GET "|content-length: 0|content-length: 0");
	refuse(GET "|content-length: +0");
	refuse(GET "|content-length: ");
	refuse(GET "|content-length: 0, 0");
	accept(GET "|expect: 100-continue");
	assert_true(m.expect_continue);
}

static void test_connect(void **state)
{
	(void)state;
	accept(":method: CONNECT|:authority: a:443");
	assert_int_equal(m.form, TARGET_AUTHORITY);
	expect_str(m.authority, "a:443");
	refuse(":method: CONNECT|:authority: a");
	refuse(":method: CONNECT|:authority: a:443|:path: /");
	refuse(":method: CONNECT|:authority: a:443|:scheme: https");
	refuse(":method: CONNECT");
	refuse(":method: CONNECT|:authority: a:443|content-length: 0");
	/* RFC 8441 */
	accept(":method: CONNECT|:protocol: websocket|:scheme: https|:authority: a|:path: /chat");
	assert_true(m.extended_connect);
	expect_str(m.method, "GET");
	expect_str(m.upgrade, "websocket");
	expect_str(m.path, "/chat");
	assert_int_equal(m.form, TARGET_ORIGIN);
	refuse(":method: CONNECT|:protocol: websocket|:authority: a:443");
	refuse(":method: CONNECT|:protocol: websocket|:scheme: https|:path: /|host: a");
	refuse(":method: CONNECT|:protocol: a b|:scheme: https|:authority: a|:path: /");
	refuse(":method: CONNECT|:protocol: websocket|:scheme: https|:authority: a|:path: /|"
	       "content-length: 0");
	refuse(GET "|:protocol: websocket");
}

static int read_response(const char *lines, bool end_stream)
{
	return read_lines(H2_RESPONSE, lines, end_stream);
}

static void test_response(void **state)
{
	(void)state;
	assert_int_equal(read_response(":status: 200|server: x|content-length: 2", false), 0);
	assert_int_equal(m.status, 200);
	expect_str(m.reason, "OK");
	assert_true(m.is_response);
	assert_int_equal(m.framing, BODY_LENGTH);
	assert_int_equal(read_response(":status: 200", false), 0);
	assert_int_equal(m.framing, BODY_CHUNKED);
	assert_int_equal(read_response(":status: 304|content-length: 20", true), 0);
	assert_int_equal(m.framing, BODY_NONE);
	assert_int_equal(read_response(":status: 103|link: x", false), 0);
	assert_int_equal(read_response(":status: 103|link: x", true), -1);
	assert_int_equal(read_response(":status: 103|content-length: 5", false), 0);
	assert_int_equal(m.framing, BODY_NONE);
	assert_int_equal(read_response(":status: 204|content-length: 5", true), 0);
	assert_int_equal(m.framing, BODY_NONE);
	assert_int_equal(read_response(":status: 101", false), -1);
	assert_int_equal(read_response(":status: 20", false), -1);
	assert_int_equal(read_response(":status: 2000", false), -1);
	assert_int_equal(read_response(":status: abc", false), -1);
	assert_int_equal(read_response(":status: 0200", false), -1);
	assert_int_equal(read_response(":status: 099", false), -1);
	assert_int_equal(read_response("server: x", false), -1);
	assert_int_equal(read_response(":status: 200|:status: 200", false), -1);
	assert_int_equal(read_response(":status: 200|:path: /", false), -1);
	assert_int_equal(read_response(":status: 200|connection: close", false), -1);
	assert_int_equal(read_response(":status: 200|content-length: 2", true), -1);
	/* A response may carry fields that mean something in requests only. */
	assert_int_equal(read_response(":status: 200|host: b|cookie: a|cookie: b", false), 0);
	assert_int_equal(m.fields.n, 3);
	assert_null(m.host.p);
	assert_int_equal(read_response(":status: 200|host: a b|host: c", false), 0);
	assert_int_equal(read_response(":status: 200|content_length: 1", true), 0);
}

static void test_trailers(void **state)
{
	(void)state;
	assert_int_equal(read_lines(H2_TRAILERS, "grpc-status: 0|x: y", true), 0);
	assert_int_equal(m.fields.n, 2);
	assert_int_equal(read_lines(H2_TRAILERS, "grpc-status: 0", false), -1);
	assert_int_equal(read_lines(H2_TRAILERS, ":status: 200", true), -1);
	assert_int_equal(read_lines(H2_TRAILERS, "authorization: x", true), -1);
	assert_int_equal(read_lines(H2_TRAILERS, "X: y", true), -1);
}

/* --- writing -------------------------------------------------------------------------------- */

static struct fields out;

static void expect_fields(const char *want)
{
	auto_buf text = BUF_INIT(KIB(64));

	for (size_t i = 0; i < out.n; i++)
		assert_int_equal(buf_addf(&text, NULL, "%s%.*s: %.*s", i > 0 ? "|" : "",
					  STR_ARG(out.v[i].name), STR_ARG(out.v[i].value)),
				 0);
	assert_string_equal(buf_z(&text), want);
}

static void request(const char *method, const char *path)
{
	arena_reset(&arena);
	msg_init(&m, &arena);
	m.version = HTTP_1_1;
	m.method = str_of(method);
	m.path = str_of(path);
	m.form = TARGET_ORIGIN;
	assert_int_equal(msg_add(&m, STR("Host"), STR("a.test"), NULL), 0);
}

static void add(const char *name, const char *value)
{
	assert_int_equal(msg_add(&m, str_of(name), str_of(value), NULL), 0);
}

static void test_write_request(void **state)
{
	(void)state;
	request("POST", "/x");
	m.query = STR("q");
	add("X-One", "1");
	add("Connection", "close");
	add("Keep-Alive", "1");
	add("Transfer-Encoding", "chunked");
	add("TE", "trailers, deflate");
	m.framing = BODY_CHUNKED;
	assert_int_equal(h2_write_request(&m, &arena, &out, &err), 0);
	expect_fields(":method: POST|:scheme: https|:authority: a.test|:path: /x?q|x-one: 1|"
		      "te: trailers");
	request("PUT", "/");
	add("Content-Length", "999");
	add("B", "2");
	m.framing = BODY_LENGTH;
	m.length = 7;
	m.scheme = STR("http");
	assert_int_equal(h2_write_request(&m, &arena, &out, &err), 0);
	expect_fields(":method: PUT|:scheme: http|:authority: a.test|:path: /|content-length: 7|"
		      "b: 2");
	request("OPTIONS", "*");
	m.form = TARGET_ASTERISK;
	assert_int_equal(h2_write_request(&m, &arena, &out, &err), 0);
	expect_fields(":method: OPTIONS|:scheme: https|:authority: a.test|:path: *");
}

/* What strip says of TE is not lost. */
static void test_te_survives(void **state)
{
	(void)state;
	accept(GET "|te: trailers");
	assert_int_equal(msg_strip_hop(&m, &err), 0);
	assert_null(msg_field(&m, "te"));
	assert_true(m.te_trailers);
	assert_int_equal(h2_write_request(&m, &arena, &out, &err), 0);
	expect_fields(":method: GET|:scheme: https|:authority: a.test|:path: /x|te: trailers");
	accept(GET);
	assert_int_equal(msg_strip_hop(&m, &err), 0);
	assert_false(m.te_trailers);
}

static void refuse_request(void)
{
	assert_int_equal(h2_write_request(&m, &arena, &out, &err), -1);
	assert_int_equal(err.code, E_BAD);
}

static void test_write_refuses(void **state)
{
	(void)state;
	request("G T", "/");
	refuse_request();
	request("GET", "/a b");
	refuse_request();
	request("GET", "x");
	refuse_request();
	request("GET", "/");
	m.query = STR("a b");
	refuse_request();
	request("GET", "/");
	m.form = TARGET_AUTHORITY;
	refuse_request();
	request("GET", "/");
	m.framing = BODY_UNTIL_CLOSE;
	refuse_request();
	request("GET", "/");
	m.upgrade = STR("websocket");
	refuse_request();
	request("GET", "/");
	add("Host", "b");
	refuse_request();
	request("GET", "/");
	(void)msg_remove(&m, "host");
	refuse_request();
	/* A value that came in by another way than msg_add. */
	request("GET", "/");
	assert_int_equal(msg_push(&m, STR("a"), STR("b\r\nc: d"), NULL), 0);
	refuse_request();
	request("GET", "/");
	assert_int_equal(msg_push(&m, STR("a b"), STR("c"), NULL), 0);
	refuse_request();
}

static void response(int status, enum body_framing framing, uint64_t length)
{
	arena_reset(&arena);
	msg_init(&m, &arena);
	m.is_response = true;
	m.status = status;
	m.framing = framing;
	m.length = length;
}

static void test_write_response(void **state)
{
	(void)state;
	response(200, BODY_LENGTH, 5);
	add("Server", "x");
	assert_int_equal(h2_write_response(&m, &arena, &out, &err), 0);
	expect_fields(":status: 200|server: x|content-length: 5");
	response(204, BODY_LENGTH, 5);
	add("Content-Length", "5");
	assert_int_equal(h2_write_response(&m, &arena, &out, &err), 0);
	expect_fields(":status: 204");
	response(304, BODY_NONE, 0);
	add("Content-Length", "77");
	assert_int_equal(h2_write_response(&m, &arena, &out, &err), 0);
	expect_fields(":status: 304|content-length: 77");
	response(200, BODY_UNTIL_CLOSE, 0);
	add("Connection", "close");
	assert_int_equal(h2_write_response(&m, &arena, &out, &err), 0);
	expect_fields(":status: 200");
	response(101, BODY_NONE, 0);
	assert_int_equal(h2_write_response(&m, &arena, &out, &err), -1);
}

/*
 * Whatever is accepted as HTTP/2 can be written as HTTP/1.1, and read back it means the same:
 * nothing can hide in a head on its way down.
 */
static void test_down_to_h1(void **state)
{
	static const char *const heads[] = {
		GET "?a=b|cookie: a=1|cookie: b=2|x: y",
		":method: POST|:scheme: https|:authority: a.test:8443|:path: /|content-length: 0",
		":method: OPTIONS|:scheme: https|:authority: a|:path: *",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		auto_buf text = BUF_INIT(KIB(64));
		struct arena arena2;
		struct msg back;
		size_t scanned = 0;

		arena_init(&arena2, HTTP_ARENA_MAX);
		accept(heads[i]);
		assert_int_equal(h1_write_request(&text, &m, NULL, &err), 0);
		assert_int_equal(h1_head_end(buf_str(&text), &scanned, &err), text.len);
		msg_init(&back, &arena2);
		assert_int_equal(h1_parse_request(buf_str(&text), &back, &err), 0);
		assert_true(str_eq(back.method, m.method));
		assert_true(str_eq(back.path, m.path));
		assert_true(str_eq(back.query, m.query));
		assert_true(str_eq(back.host, m.host));
		assert_int_equal(back.fields.n, m.fields.n);
		assert_int_equal(back.framing, m.framing);
		arena_fini(&arena2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_pseudo),
		cmocka_unit_test(test_names_and_values),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_connection_fields),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_many_crumbs),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_write_request),
		cmocka_unit_test(test_te_survives),
		cmocka_unit_test(test_write_refuses),
		cmocka_unit_test(test_write_response),
		cmocka_unit_test(test_down_to_h1),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
