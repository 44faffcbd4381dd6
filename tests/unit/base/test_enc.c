#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/enc.h"
#include "base/mem.h"

typedef int coder(struct buf *out, struct str in, struct err *err);

static void assert_coded(coder *f, struct str in, struct str want)
{
	auto_buf b = BUF_INIT(1000);
	struct err err = ERR_INIT;

	assert_int_equal(buf_addc(&b, '<', NULL), 0);
	if (f(&b, in, &err) < 0)
		fail_msg("%.*s: %s", STR_ARG(in), err.text);
	assert_int_equal(b.len, want.n + 1);
	assert_memory_equal(buf_str(&b).p + 1, want.p, want.n);
}

static void assert_refused(coder *f, struct str in)
{
	auto_buf b = BUF_INIT(1000);
	struct err err = ERR_INIT;

	assert_int_equal(buf_addc(&b, '<', NULL), 0);
	if (f(&b, in, &err) == 0)
		fail_msg("accepted: %.*s", STR_ARG(in));
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(b.len, 1);
}

/* RFC 4648 10, and the two digits that vectors of letters never show */
static const struct {
	struct str plain, coded;
} base64[] = {
	{ STR(""), STR("") },
	{ STR("f"), STR("Zg==") },
	{ STR("fo"), STR("Zm8=") },
	{ STR("foo"), STR("Zm9v") },
	{ STR("foob"), STR("Zm9vYg==") },
	{ STR("fooba"), STR("Zm9vYmE=") },
	{ STR("foobar"), STR("Zm9vYmFy") },
	{ STR("\xfb\xff\xfe"), STR("+//+") },
	{ STR("\0\0\0\0"), STR("AAAAAA==") },
};

static void test_base64(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(base64); i++) {
		assert_coded(enc_base64, base64[i].plain, base64[i].coded);
		assert_coded(enc_base64_decode, base64[i].coded, base64[i].plain);
	}
}

static void test_base64_of_every_byte(void **state)
{
	auto_buf coded = BUF_INIT(1000), plain = BUF_INIT(1000);
	char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t n = 0; n <= 256; n++) {
		buf_clear(&coded);
		buf_clear(&plain);
		assert_int_equal(enc_base64(&coded, str_mem(all, n), NULL), 0);
		assert_int_equal(coded.len, (n + 2) / 3 * 4);
		assert_int_equal(enc_base64_decode(&plain, buf_str(&coded), NULL), 0);
		assert_true(str_eq(buf_str(&plain), str_mem(all, n)));
	}
}

static void test_base64_is_strict(void **state)
{
	static const struct str bad[] = {
		STR("Z"),
		STR("Zg"),
		STR("Zg="),
		STR("Zg=== "),
		STR("="),
		STR("===="),
		STR("Z==="),
		STR("Zg==Zg=="),
		STR("Zm9v\n"),
		STR("Zm 9v"),
		STR("Zm9v===="),
		STR("Zm9-"),
		STR("Zm9_"),
		STR("Zm=v"),
		STR("Zm\0v"),
		STR("Zm9\x80"),
		/* bits behind the last byte */ STR("Zh=="),
		STR("Zm9="),
		STR("Zg=a"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(enc_base64_decode, bad[i]);
}

static void test_hex(void **state)
{
	(void)state;
	assert_coded(enc_hex, STR(""), STR(""));
	assert_coded(enc_hex, STR("\0\x0f\xa0\xff"), STR("000fa0ff"));
	for (int c = 0; c < 256; c++) {
		static const char digits[] = "0123456789abcdefABCDEF";
		const char *at = c ? strchr(digits, c) : NULL;
		int place = at ? (int)(at - digits) : -1;

		assert_int_equal(enc_hex_digit((char)c), place < 16 ? place : place - 6);
	}
}

static void test_percent_decode(void **state)
{
	static const struct str bad[] = { STR("%"),   STR("%4"),   STR("a%"),     STR("%4g"),
					  STR("%g4"), STR("%%41"), STR("%u0041"), STR("% 41"),
					  STR("%-1"), STR("41%2") };

	(void)state;
	assert_coded(enc_percent_decode, STR(""), STR(""));
	assert_coded(enc_percent_decode, STR("a%2fb%2F%00%ff+"), STR("a/b/\0\xff+"));
	assert_coded(enc_percent_decode, STR("%2541"), STR("%41"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(enc_percent_decode, bad[i]);
	/* an escape ends with the view */
	assert_refused(enc_percent_decode, str_mem("a%41", 3));
	assert_refused(enc_percent_decode, str_mem("a%41", 2));
}

static void test_percent(void **state)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	auto_buf b = BUF_INIT(1000);
	char all[256];

	(void)state;
	assert_int_equal(enc_percent(&b, STR("a b/c%\xff"), NULL, NULL), 0);
	assert_string_equal(buf_z(&b), "a%20b%2Fc%25%FF");
	buf_clear(&b);
	assert_int_equal(enc_percent(&b, STR("a b/c:"), "/:", NULL), 0);
	assert_string_equal(buf_z(&b), "a%20b/c:");
	for (int c = 0; c < 256; c++) {
		all[c] = (char)c;
		buf_clear(&b);
		assert_int_equal(enc_percent(&b, str_mem(&all[c], 1), "", NULL), 0);
		assert_int_equal(b.len, c && strchr(plain, c) ? 1 : 3);
	}
	buf_clear(&b);
	assert_int_equal(enc_percent(&b, str_mem(all, 256), NULL, NULL), 0);
	assert_coded(enc_percent_decode, buf_str(&b), str_mem(all, 256));
}

static int percent_all(struct buf *out, struct str in, struct err *err)
{
	return enc_percent(out, in, NULL, err);
}

/* Exactly the room that is needed, and one byte less: all or nothing. */
static void test_room(void **state)
{
	static const struct {
		coder *f;
		struct str in;
		size_t need;
	} cases[] = {
		{ enc_base64, STR("foob"), 8 }, { enc_base64_decode, STR("Zm9vYg=="), 4 },
		{ enc_hex, STR("ab"), 4 },      { enc_percent_decode, STR("%41b%43"), 3 },
		{ percent_all, STR("a/b"), 5 },
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf fits = BUF_INIT(cases[i].need);
		auto_buf small = BUF_INIT(cases[i].need - 1);

		assert_int_equal(cases[i].f(&fits, cases[i].in, NULL), 0);
		assert_int_equal(fits.len, cases[i].need);
		assert_int_equal(cases[i].f(&small, cases[i].in, &err), -1);
		assert_int_equal(err.code, E_LIMIT);
		assert_int_equal(small.len, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_of_every_byte),
		cmocka_unit_test(test_base64_is_strict),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_percent_decode),
		cmocka_unit_test(test_percent),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
