#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/url.h"

#define X16 "xxxxxxxxxxxxxxxx"
#define L63 X16 X16 X16 "xxxxxxxxxxxxxxx"

static void test_authority_accepted(void **state)
{
	static const struct {
		const char *in, *host;
		int port; /* default is 443 */
		bool has_port, is_ip;
	} cases[] = {
		{ "example.com", "example.com", 443, false, false },
		{ "EXAMPLE.com:8080", "example.com", 8080, true, false },
		{ "example.com.", "example.com", 443, false, false },
		{ "example.com.:1", "example.com", 1, true, false },
		{ "localhost:65535", "localhost", 65535, true, false },
		{ "a_b.x-y.example", "a_b.x-y.example", 443, false, false },
		{ "1.2.3.4", "1.2.3.4", 443, false, true },
		{ "1.2.3.4:80", "1.2.3.4", 80, true, true },
		{ "4.example", "4.example", 443, false, false },
		{ "0xcafe.example", "0xcafe.example", 443, false, false },
		{ "cafe", "cafe", 443, false, false },
		{ "[::1]:443", "::1", 443, true, true },
		{ "[2001:DB8:0:0::1]", "2001:db8::1", 443, false, true },
		{ L63 ".example", L63 ".example", 443, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct authority a;
		struct err err = ERR_INIT;

		if (url_parse_authority(str_of(cases[i].in), 443, &a, &err) < 0)
			fail_msg("%s: %s", cases[i].in, err.text);
		assert_string_equal(a.host, cases[i].host);
		assert_int_equal(a.port, cases[i].port);
		assert_int_equal(a.has_port, cases[i].has_port);
		assert_int_equal(a.is_ip, cases[i].is_ip);
	}
}

static void test_authority_refused(void **state)
{
	static const struct {
		const char *in, *why;
	} cases[] = {
		{ "", "empty host" },
		{ ".", "empty host" },
		{ ":80", "empty host" },
		{ "user@example.com", "0x40" },
		{ "user:pw@example.com", "port" },
		{ "example.com:", "port" },
		{ "example.com:0", "port" },
		{ "example.com:080", "port" },
		{ "example.com:65536", "port" },
		{ "example.com:+80", "port" },
		{ "example.com:80:80", "port" },
		{ "example.com:80 ", "port" },
		{ "a..b", "empty label" },
		{ ".a", "empty label" },
		{ "a..", "empty label" },
		{ "-a.example", "'-'" },
		{ "a-.example", "'-'" },
		{ L63 "x.example", "63" },
		{ L63 "." L63 "." L63 "." L63 ".example", "253" },
		{ "ex ample.com", "0x20" },
		{ "ex\tample", "0x09" },
		{ "ex%61mple.com", "0x25" },
		{ "b\xc3\xbc"
		  "cher.example",
		  "0xc3" },
		{ "a/b", "0x2f" },
		{ "a\\b", "0x5c" },
		{ "a,b", "0x2c" },
		{ "127.1", "odd spelling" },
		{ "2130706433", "odd spelling" },
		{ "0x7f000001", "odd spelling" },
		{ "0177.0.0.1", "odd spelling" },
		{ "127.0.0.1.", "odd spelling" },
		{ "0x7f.1", "odd spelling" },
		{ "256.1.1.1", "ends in a number" },
		{ "1.2.3.4.5", "ends in a number" },
		{ "example.99999999999999999999999", "ends in a number" },
		{ "example.0x", "ends in a number" },
		{ "example.0xg1", NULL },
		{ "[::1", "bracket" },
		{ "[::1]x", "port" },
		{ "[::1]x80", "port" },
		{ "[1.2.3.4]", "IPv6" },
		{ "[fe80::1%eth0]", "IPv6" },
		{ "[]", "IPv6" },
		{ "::1", "empty host" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct authority a = { .port = 7 };
		struct err err = ERR_INIT;

		if (!cases[i].why) { /* looks odd and is a name all the same */
			assert_int_equal(url_parse_authority(str_of(cases[i].in), 0, &a, &err), 0);
			continue;
		}
		if (url_parse_authority(str_of(cases[i].in), 0, &a, &err) == 0)
			fail_msg("accepted: %s", cases[i].in);
		assert_int_equal(err.code, E_BAD);
		if (!strstr(err.text, cases[i].why))
			fail_msg("%s: %s", cases[i].in, err.text);
		assert_int_equal(a.port, 7); /* untouched */
	}
	assert_int_equal(url_parse_authority(str_mem("a\0b", 3), 0,
					     &(struct authority){ .port = 0 }, NULL),
			 -1);
}

static void test_authority_text(void **state)
{
	static const struct {
		const char *in;
		uint16_t leave_out;
		const char *out;
	} cases[] = {
		{ "A.example", 443, "a.example" },   { "a.example:80", 443, "a.example:80" },
		{ "a.example", 0, "a.example:443" }, { "[::1]:8443", 443, "[::1]:8443" },
		{ "[0:0::1]", 443, "[::1]" },        { "1.2.3.4:1", 0, "1.2.3.4:1" },
	};
	struct authority a, b;
	char text[URL_HOST_MAX + 16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(url_parse_authority(str_of(cases[i].in), 443, &a, NULL), 0);
		authority_text(&a, cases[i].leave_out, text);
		assert_string_equal(text, cases[i].out);
		assert_int_equal(url_parse_authority(str_of(text), 443, &b, NULL), 0);
		assert_true(authority_eq(&a, &b));
	}
	b.port++;
	assert_false(authority_eq(&a, &b));
}

static void test_absolute(void **state)
{
	static const struct {
		const char *in, *host, *path, *query;
		int port;
	} good[] = {
		{ "http://example.com/a/b?c=d", "example.com", "/a/b", "c=d", 80 },
		{ "HTTPS://Example.com", "example.com", "", NULL, 443 },
		{ "http://example.com?q", "example.com", "", "q", 80 },
		{ "http://[::1]:8080/?", "::1", "/", "", 8080 },
	};
	static const char *const bad[] = {
		"http://",
		"http:///a",
		"ftp://a/",
		"http:/a",
		"http://a/#f",
		"http://u@a/",
		"http://a/ b",
		"http://a/\x7f",
		"http://a/\xc3\xbc",
		"//a/b",
		"",
		"http://a b/",
	};
	struct url u;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(url_parse_absolute(str_of(good[i].in), &u, NULL), 0);
		assert_string_equal(u.authority.host, good[i].host);
		assert_int_equal(u.authority.port, good[i].port);
		assert_true(str_eqz(u.path, good[i].path));
		assert_int_equal(u.query.p == NULL, good[i].query == NULL);
		assert_true(str_eq(u.query, str_of(good[i].query)));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (url_parse_absolute(str_of(bad[i]), &u, NULL) == 0)
			fail_msg("accepted: %s", bad[i]);
}

static void test_split_target(void **state)
{
	struct str path, query;
	static const char *const bad[] = { "", "a", "*", "/a b", "/a#b", "/a\x01", "/\xff" };

	(void)state;
	assert_int_equal(url_split_target(STR("/a?b?c"), &path, &query, NULL), 0);
	assert_true(str_eqz(path, "/a") && str_eqz(query, "b?c"));
	assert_int_equal(url_split_target(STR("/"), &path, &query, NULL), 0);
	assert_true(str_eqz(path, "/") && query.p == NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (url_split_target(str_of(bad[i]), &path, &query, NULL) == 0)
			fail_msg("accepted: %s", bad[i]);
}

static void test_path_refused(void **state)
{
	static const struct {
		const char *path, *why;
	} cases[] = {
		{ "", "start with" },
		{ "a", "start with" },
		{ "/.", "dot segment" },
		{ "/..", "dot segment" },
		{ "/a/../b", "dot segment" },
		{ "/a/./b", "dot segment" },
		{ "/a/..", "dot segment" },
		{ "/%2e%2e/a", "dot segment" },
		{ "/%2E./a", "dot segment" },
		{ "/a%2f..%2fb", "dot segment" },
		{ "/a%2F%2e%2e", "dot segment" },
		{ "/..;/a", "dot segment" },
		{ "/a/..;x=y/b", "dot segment" },
		{ "/a/%2e%2e%3bx/b", "dot segment" },
		{ "/a;/..", "dot segment" },
		{ "/a\\b", "backslash" },
		{ "/a%5cb", "backslash" },
		{ "/a%5C..%5c", "backslash" },
		{ "/a%00", "control" },
		{ "/a%0d%0aX", "control" },
		{ "/a%7f", "control" },
		{ "/%", "broken" },
		{ "/%2", "broken" },
		{ "/%zz", "broken" },
		{ "/%2z", "broken" },
		{ "/%z2", "broken" },
		{ "/%u002e", "broken" },
		{ "/%252e%252e/", "escape inside" },
		{ "/%252f", "escape inside" },
		{ "/%255c", "escape inside" },
		{ "/%2525", "escape inside" },
		{ "/%253b", "escape inside" },
		{ "/%2500", "escape inside" },
		{ "/%25%32%65", "escape inside" },
		{ "/%c0%ae", "over-long" },
		{ "/%c1%9c", "over-long" },
		{ "/%C0%2f", "over-long" },
		{ "/%e0%80%ae", "over-long" },
		{ "/%f0%80%80%ae", "over-long" },
		{ "/%f8%80%80%80%ae", "over-long" },
		{ "/%ed%a0%80", "over-long" },
		{ "/%f4%90%80%80", "over-long" },
		{ "/a?b", "0x3f" },
		{ "/a b", "0x20" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url_readings r = { .n = 99 };
		struct err err = ERR_INIT;
		struct arena a;

		arena_init(&a, 65536);
		if (url_path_readings(str_of(cases[i].path), &a, &r, &err) == 0)
			fail_msg("accepted: %s", cases[i].path);
		assert_int_equal(err.code, E_BAD);
		if (!strstr(err.text, cases[i].why))
			fail_msg("%s: %s", cases[i].path, err.text);
		assert_int_equal(r.n, 99);
		arena_fini(&a);
	}
}

static void test_path_readings(void **state)
{
	static const struct {
		const char *path;
		const char *readings[URL_READINGS_MAX + 1];
	} cases[] = {
		{ "/", { "/" } },
		{ "/v1/messages", { "/v1/messages" } },
		{ "/a/", { "/a/" } },
		{ "/.well-known/x", { "/.well-known/x" } },
		{ "/a...b/...", { "/a...b/..." } },
		{ "/%61%42", { "/aB" } },
		{ "/caf%c3%a9", { "/caf\xc3\xa9" } },
		{ "/caf%e9", { "/caf\xe9" } },         /* Latin-1 */
		{ "/%e0%a0%80", { "/\xe0\xa0\x80" } }, /* the first and last of what is UTF-8 */
		{ "/%ed%9f%bf", { "/\xed\x9f\xbf" } },
		{ "/%f0%90%80%80", { "/\xf0\x90\x80\x80" } },
		{ "/%f4%8f%bf%bf", { "/\xf4\x8f\xbf\xbf" } },
		{ "/%e0.%ed.%f0.%f4.%f5.", { "/\xe0.\xed.\xf0.\xf4.\xf5." } },
		{ "/100%25", { "/100%" } },
		{ "/100%2541", { "/100%41" } },
		{ "/100%251x", { "/100%1x" } },
		{ "/100%25x", { "/100%x" } },
		{ "/%3f%23", { "/?#" } },
		{ "/a%2fb", { "/a%2Fb", "/a/b" } },
		{ "/a//b", { "/a//b", "/a/b" } },
		{ "//a", { "//a", "/a" } },
		{ "/a;x=1/b", { "/a;x=1/b", "/a/b" } },
		{ "/a%3bx/b", { "/a;x/b", "/a/b" } },
		{ "/;a/b", { "/;a/b", "//b", "/b" } },
		{ "/team%2fx;y/z//w",
		  { "/team%2Fx;y/z//w", "/team/x;y/z//w", "/team%2Fx/z//w", "/team/x/z//w",
		    "/team%2Fx;y/z/w", "/team/x;y/z/w", "/team%2Fx/z/w", "/team/x/z/w" } },
		{ "/a;b%2fc", { "/a;b%2Fc", "/a;b/c", "/a", "/a/c" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url_readings r;
		struct err err = ERR_INIT;
		struct arena a;
		size_t n = 0;

		arena_init(&a, 65536);
		if (url_path_readings(str_of(cases[i].path), &a, &r, &err) < 0)
			fail_msg("%s: %s", cases[i].path, err.text);
		for (; cases[i].readings[n]; n++) {
			bool found = false;

			for (size_t j = 0; j < r.n; j++)
				found |= str_eqz(r.v[j], cases[i].readings[n]);
			if (!found)
				fail_msg("%s: no reading %s", cases[i].path, cases[i].readings[n]);
		}
		assert_int_equal(r.n, n);
		arena_fini(&a);
	}
}

/* A long path must not cost more memory than the arena has. */
static void test_path_limit(void **state)
{
	static char path[9000];
	struct url_readings r;
	struct err err = ERR_INIT;
	struct arena a;

	(void)state;
	memset(path, ';', sizeof(path));
	path[0] = '/';
	for (size_t max = 4096; max <= 32768; max *= 2) {
		arena_init(&a, max);
		assert_int_equal(url_path_readings(str_mem(path, sizeof(path)), &a, &r, &err), -1);
		assert_int_equal(err.code, E_LIMIT);
		arena_fini(&a);
	}
}

static void test_query(void **state)
{
	struct str rest = STR("a=1&b&&c=d=e;f=&=g&%61=%2"), k, v;
	static const char *const want[][2] = { { "a", "1" }, { "b", NULL }, { "c", "d=e" },
					       { "f", "" },  { "", "g" },   { "%61", "%2" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(url_query_next(&rest, &k, &v));
		assert_true(str_eqz(k, want[i][0]));
		assert_int_equal(v.p == NULL, want[i][1] == NULL);
		assert_true(str_eq(v, str_of(want[i][1])));
	}
	assert_false(url_query_next(&rest, &k, &v));
	rest = STR_NONE;
	assert_false(url_query_next(&rest, &k, &v));
	rest = STR("&;&");
	assert_false(url_query_next(&rest, &k, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authority_accepted),
		cmocka_unit_test(test_authority_refused),
		cmocka_unit_test(test_authority_text),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_split_target),
		cmocka_unit_test(test_path_refused),
		cmocka_unit_test(test_path_readings),
		cmocka_unit_test(test_path_limit),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
