#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/chars.h"
#include "http/msg.h"

struct fixture {
	struct arena arena;
	struct msg m;
};

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	arena_init(&f->arena, HTTP_ARENA_MAX);
	msg_init(&f->m, &f->arena);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->arena);
	free(f);
	return 0;
}

static void add(struct msg *m, const char *name, const char *value)
{
	struct err err = ERR_INIT;

	if (msg_add(m, str_of(name), str_of(value), &err) < 0)
		fail_msg("%s: %s", name, err.text);
}

/* "Name=value,…" of all fields in order */
static void expect_fields(const struct msg *m, const char *want)
{
	auto_buf got = BUF_INIT(4096);

	for (size_t i = 0; i < m->fields.n; i++)
		assert_int_equal(buf_addf(&got, NULL, "%s%.*s=%.*s", i ? "|" : "",
					  STR_ARG(m->fields.v[i].name),
					  STR_ARG(m->fields.v[i].value)),
				 0);
	assert_string_equal(buf_z(&got), want);
}

static void test_fields(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	add(m, "Accept", " a \t");
	add(m, "X-One", "");
	add(m, "accept", "b");
	expect_fields(m, "Accept=a|X-One=|accept=b");
	assert_int_equal(msg_count(m, "ACCEPT"), 2);
	assert_true(str_eqz(msg_value(m, "accept"), "a"));
	assert_non_null(msg_value(m, "x-one").p);
	assert_null(msg_value(m, "nope").p);
	assert_null(msg_field(m, "nope"));
	assert_int_equal(msg_set(m, STR("ACCEPT"), STR("c"), NULL), 0);
	expect_fields(m, "Accept=c|X-One=");
	assert_int_equal(msg_set(m, STR("New"), STR("d"), NULL), 0);
	expect_fields(m, "Accept=c|X-One=|New=d");
	assert_int_equal(msg_remove(m, "x-ONE"), 1);
	assert_int_equal(msg_remove(m, "x-one"), 0);
	expect_fields(m, "Accept=c|New=d");
}

static void test_values_are_copied(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	char name[] = "Name", value[] = "value";

	add(m, name, value);
	memset(name, 'x', 4);
	memset(value, 'x', 5);
	expect_fields(m, "Name=value");
}

static void test_injection(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	static const struct {
		struct str name, value;
	} bad[] = {
		{ { "A", 1 }, { "x\r\nB: y", 7 } }, { { "A", 1 }, { "x\n", 2 } },
		{ { "A", 1 }, { "x\0y", 3 } },      { { "A", 1 }, { "\x7f", 1 } },
		{ { "A:", 2 }, { "x", 1 } },        { { "A B", 3 }, { "x", 1 } },
		{ { "", 0 }, { "x", 1 } },          { { "A\r", 2 }, { "x", 1 } },
		{ { "\xc3\xbc", 2 }, { "x", 1 } },
	};
	struct err err = ERR_INIT;

	add(m, "A", "before");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(msg_add(m, bad[i].name, bad[i].value, &err), -1);
		assert_int_equal(err.code, E_BAD);
		assert_int_equal(msg_set(m, bad[i].name, bad[i].value, &err), -1);
	}
	expect_fields(m, "A=before");
	/* An error about a value never shows it. */
	assert_int_equal(msg_set(m, STR("A"), STR("sesame\n"), &err), -1);
	assert_null(strstr(err.text, "sesame"));
}

static void test_fields_max(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;
	struct err err = ERR_INIT;

	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		add(m, "A", "b");
	assert_int_equal(msg_add(m, STR("A"), STR("b"), &err), -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_int_equal(m->fields.n, HTTP_FIELDS_MAX);
	for (size_t i = 0; i < m->fields.n; i++)
		assert_true(str_eqz(m->fields.v[i].value, "b"));
}

static void test_arena_max(void **state)
{
	struct arena small;
	struct msg m;
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&small, 1024);
	msg_init(&m, &small);
	assert_int_equal(msg_add(&m, STR("A"), STR("b"), &err), 0);
	while (msg_add(&m, STR("A"), STR("0123456789012345678901234567890123456789"), &err) == 0)
		;
	assert_int_equal(err.code, E_LIMIT);
	assert_true(str_eqz(m.fields.v[0].value, "b"));
	for (size_t i = 1; i < m.fields.n; i++)
		assert_int_equal(m.fields.v[i].value.n, 40);
	arena_fini(&small);
}

static void test_host_follows(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	assert_null(m->host.p);
	add(m, "host", "a.example");
	assert_true(str_eqz(m->host, "a.example"));
	assert_int_equal(msg_set(m, STR("Host"), STR("b.example"), NULL), 0);
	assert_true(str_eqz(m->host, "b.example"));
	assert_int_equal(msg_remove(m, "HOST"), 1);
	assert_null(m->host.p);
	m->is_response = true;
	m->host = STR_NONE;
	add(m, "Host", "b");
	assert_null(m->host.p);
}

static void test_tokens(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	add(m, "Connection", "keep-alive ,\tUpgrade");
	add(m, "connection", ", x");
	assert_true(msg_has_token(m, "connection", "upgrade"));
	assert_true(msg_has_token(m, "connection", "keep-alive"));
	assert_true(msg_has_token(m, "connection", "X"));
	assert_false(msg_has_token(m, "connection", "up"));
	assert_false(msg_has_token(m, "other", "x"));
}

static void test_strip_hop(void **state)
{
	struct msg *m = &((struct fixture *)*state)->m;

	add(m, "Host", "a");
	add(m, "Connection", "close, X-Private,");
	add(m, "Keep-Alive", "timeout=5");
	add(m, "X-Private", "1");
	add(m, "Accept", "b");
	add(m, "x-private", "2");
	add(m, "Proxy-Connection", "keep-alive");
	add(m, "TE", "trailers");
	add(m, "Transfer-Encoding", "chunked");
	add(m, "Upgrade", "websocket");
	add(m, "Proxy-Authorization", "Basic eA==");
	add(m, "Proxy-Authenticate", "Basic");
	add(m, "Trailer", "X-Sum");
	add(m, "Content-Length", "3");
	assert_int_equal(msg_strip_hop(m, NULL), 0);
	expect_fields(m,
		      "Host=a|Accept=b|Transfer-Encoding=chunked|Trailer=X-Sum|Content-Length=3");
}

/* A field must not be able to vanish after it was judged. */
static void test_strip_hop_refuses(void **state)
{
	static const char *const bad[] = { "Authorization",
					   "content-length",
					   "HOST",
					   "x, Cookie",
					   "expect",
					   "x-api-key",
					   "a b",
					   "\"x\"",
					   "Private-Token",
					   "Content-Type",
					   "Set-Cookie",
					   "Transfer-Encoding",
					   "Content-Encoding",
					   "Content-Range",
					   "Cache-Control",
					   "WWW-Authenticate",
					   "Origin",
					   "Api-Key",
					   "X-Goog-Api-Key",
					   "Location" };
	struct msg *m = &((struct fixture *)*state)->m;
	auto_buf many = BUF_INIT(4096);
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		msg_init(m, m->arena);
		add(m, "X", "y");
		add(m, "Connection", bad[i]);
		assert_int_equal(msg_strip_hop(m, &err), -1);
		assert_int_equal(err.code, E_BAD);
		assert_int_equal(m->fields.n, 2);
	}
	for (int i = 0; i <= HTTP_CONNECTION_OPTIONS_MAX; i++)
		assert_int_equal(buf_addz(&many, "x,", NULL), 0);
	msg_init(m, m->arena);
	add(m, "Connection", buf_z(&many));
	assert_int_equal(msg_strip_hop(m, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
}

static void test_checks(void **state)
{
	(void)state;
	assert_true(http_is_token(STR("!#$%&'*+-.^_`|~09azAZ")));
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		bool token = c < 0x80 && c > 0x20 && c != 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
		bool value = c == '\t' || (c >= 0x20 && c != 0x7f);
		bool target = c > 0x20 && c < 0x7f && c != '#';

		assert_int_equal(http_is_token(str_mem(&byte, 1)), token);
		assert_int_equal(http_is_field_value(str_mem(&byte, 1)), value);
		assert_int_equal(http_is_target(str_mem(&byte, 1)), target);
	}
	assert_false(http_is_token(STR("")));
	assert_true(http_is_field_value(STR("")));
	assert_false(http_is_target(STR("")));
}

/* The word-wise span agrees with the table for each byte at each place, whatever stands around it. */
static void test_field_span(void **state)
{
	static const char around[] = { ' ', 'x', '\t', (char)0x80, (char)0xff, '~' };
	char text[27];

	(void)state;
	for (size_t k = 0; k < sizeof(around); k++)
		for (size_t at = 0; at < sizeof(text); at++)
			for (int c = 0; c < 256; c++) {
				memset(text, around[k], sizeof(text));
				text[at] = (char)c;
				assert_int_equal(chars_field_span(text, sizeof(text)),
						 chars_span(text, sizeof(text), CHAR_FIELD));
			}
}

static void test_names(void **state)
{
	static const char *const forbidden[] = {
		"Content-Length",
		"transfer-encoding",
		"Connection",
		"Upgrade",
		"TE",
		"Trailer",
		"Host",
		"Expect",
		"Cache-Control",
		"Max-Forwards",
		"Pragma",
		"Range",
		"If-Match",
		"If-None-Match",
		"If-Range",
		"If-Modified-Since",
		"If-Unmodified-Since",
		"Authorization",
		"Proxy-Authorization",
		"WWW-Authenticate",
		"Proxy-Authenticate",
		"Cookie",
		"Set-Cookie",
		"Age",
		"Expires",
		"Location",
		"Retry-After",
		"Vary",
		"Content-Encoding",
		"Content-Type",
		"Content-Range",
		"Keep-Alive",
		"Proxy-Connection",
		"X-Api-Key",
		"Api-Key",
		"X-Goog-Api-Key",
		"Private-Token",
	};
	static const char *const idempotent[] = {
		"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(idempotent); i++)
		assert_true(http_is_idempotent(str_of(idempotent[i])));
	assert_false(http_is_idempotent(STR("POST")));
	assert_false(http_is_idempotent(STR("PATCH")));
	assert_false(http_is_idempotent(STR("get")));
	assert_false(http_is_idempotent(STR("")));
	assert_string_equal(http_reason(421), "Misdirected Request");
	assert_string_equal(http_reason(999), "");
	for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
		if (!http_trailer_is_forbidden(str_of(forbidden[i])))
			fail_msg("%s may be a trailer", forbidden[i]);
	assert_false(http_trailer_is_forbidden(STR("grpc-status")));
	assert_true(http_name_disguises(STR("Content_Length"), STR("content-length")));
	assert_false(http_name_disguises(STR("Content-Length"), STR("content-length")));
	assert_false(http_name_disguises(STR("Content_Lengths"), STR("content-length")));
	assert_false(http_name_disguises(STR("Content"), STR("content-length")));
	assert_false(http_name_disguises(STR("Content-Verbum"), STR("content-length")));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_fields),
		TEST(test_values_are_copied),
		TEST(test_injection),
		TEST(test_fields_max),
		TEST(test_arena_max),
		TEST(test_host_follows),
		TEST(test_tokens),
		TEST(test_strip_hop),
		TEST(test_strip_hop_refuses),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_field_span),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
