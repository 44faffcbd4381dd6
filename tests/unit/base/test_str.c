#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

static void assert_str(struct str s, const char *want)
{
	assert_int_equal(s.n, strlen(want));
	if (s.n > 0)
		assert_memory_equal(s.p, want, s.n);
}

static void test_equality(void **state)
{
	(void)state;
	assert_true(str_eq(STR("abc"), STR("abc")));
	assert_false(str_eq(STR("abc"), STR("abC")));
	assert_false(str_eq(STR("abc"), STR("ab")));
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_true(str_eq(STR_NONE, STR("")));
	assert_true(str_eq(STR_NONE, STR_NONE));
	assert_true(str_ieq(STR("Host"), STR("hOST")));
	assert_false(str_ieq(STR("Host"), STR("Hosts")));
	/* not 0x20 apart by accident */
	assert_false(str_ieq(STR("@"), STR("`")));
	assert_false(str_ieq(STR("["), STR("{")));
	/* ASCII only: a-umlaut and A-umlaut in Latin-1 */
	assert_false(str_ieq(STR("\xc4"), STR("\xe4")));
	assert_true(str_eqz(STR("x"), "x"));
	assert_false(str_eqz(STR("x\0"), "x"));
	assert_true(str_eqz(STR_NONE, NULL));
	assert_false(str_eqz(STR("x"), NULL));
	assert_false(str_eqz(STR("x"), "xy"));
	assert_false(str_eqz(STR("xy"), "x"));
	assert_false(str_eqz(STR_NONE, "x"));
	assert_false(str_ieqz(STR("X"), "xy"));
	assert_false(str_ieqz(STR("Xy"), "x"));
	assert_false(str_ieqz(STR("X\0"), "x"));
	assert_true(str_ieqz(STR("X"), "x"));
}

static void test_secret_equality(void **state)
{
	(void)state;
	assert_true(str_eq_secret(STR("token"), STR("token")));
	assert_false(str_eq_secret(STR("token"), STR("tokex")));
	assert_false(str_eq_secret(STR("xoken"), STR("token")));
	assert_false(str_eq_secret(STR("token"), STR("token1")));
	assert_true(str_eq_secret(STR_NONE, STR_NONE));
}

static void test_order(void **state)
{
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("b"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR("a"), STR("a")), 0);
	assert_true(str_cmp(STR("a"), STR("aa")) < 0);
	assert_true(str_cmp(STR("aa"), STR("a")) > 0);
	assert_true(str_cmp(STR_NONE, STR("a")) < 0);
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
	/* bytes are unsigned */
	assert_true(str_cmp(STR("\x7f"), STR("\x80")) < 0);
}

static void test_ends(void **state)
{
	(void)state;
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_true(str_starts(STR("abc"), STR("abc")));
	assert_true(str_starts(STR("abc"), STR_NONE));
	assert_false(str_starts(STR("ab"), STR("abc")));
	assert_false(str_starts(STR("abc"), STR("AB")));
	assert_true(str_istarts(STR("abc"), STR("AB")));
	assert_false(str_istarts(STR("a"), STR("AB")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_true(str_ends(STR("abc"), STR("abc")));
	assert_true(str_ends(STR("abc"), STR("")));
	assert_false(str_ends(STR("bc"), STR("abc")));
	assert_false(str_ends(STR("abc"), STR("BC")));
	assert_true(str_iends(STR("abc"), STR("BC")));
	assert_true(str_ends(STR_NONE, STR_NONE));
}

static void test_search(void **state)
{
	struct str s = STR("abcabc");

	(void)state;
	assert_int_equal(str_chr(s, 'b', 0), 1);
	assert_int_equal(str_chr(s, 'b', 1), 1);
	assert_int_equal(str_chr(s, 'b', 2), 4);
	assert_int_equal(str_chr(s, 'b', 5), -1);
	assert_int_equal(str_chr(s, 'b', 6), -1);
	assert_int_equal(str_chr(s, 'b', SIZE_MAX), -1);
	assert_int_equal(str_chr(STR_NONE, 'b', 0), -1);
	assert_int_equal(str_find(s, STR("bc"), 0), 1);
	assert_int_equal(str_find(s, STR("bc"), 2), 4);
	assert_int_equal(str_find(s, STR("bc"), 5), -1);
	assert_int_equal(str_find(s, STR("abcabcd"), 0), -1);
	assert_int_equal(str_find(s, STR(""), 6), 6);
	assert_int_equal(str_find(s, STR(""), 7), -1);
	assert_int_equal(str_find(s, STR("a"), SIZE_MAX), -1);
	assert_int_equal(str_find(STR_NONE, STR_NONE, 0), 0);
	assert_int_equal(str_find(STR("a\0b"), STR("\0b"), 0), 1);
	/* the match may not reach behind the view */
	assert_int_equal(str_find(str_mem("abcd", 3), STR("cd"), 0), -1);
}

static void test_sub(void **state)
{
	struct str s = STR("abcdef");

	(void)state;
	assert_str(str_sub(s, 1, 2), "bc");
	assert_str(str_sub(s, 4, 100), "ef");
	assert_str(str_sub(s, 4, SIZE_MAX), "ef");
	assert_str(str_sub(s, 6, 1), "");
	assert_str(str_sub(s, SIZE_MAX, SIZE_MAX), "");
	assert_str(str_from(s, 5), "f");
	assert_str(str_from(s, 7), "");
	assert_null(str_from(STR_NONE, 3).p);
}

static void test_trim(void **state)
{
	(void)state;
	assert_str(str_trim(STR(" \t a b\t ")), "a b");
	assert_str(str_trim(STR("ab")), "ab");
	assert_str(str_trim(STR(" \t ")), "");
	assert_str(str_trim(STR("")), "");
	assert_str(str_trim(STR_NONE), "");
	/* OWS is SP and HTAB only */
	assert_str(str_trim(STR("\r\na\v")), "\r\na\v");
}

static void test_split(void **state)
{
	static const struct {
		const char *text;
		const char *pieces[5];
	} cases[] = {
		{ "a,b,c", { "a", "b", "c" } },
		{ ",a,", { "", "a", "" } },
		{ "abc", { "abc" } },
		{ "", { "" } },
		{ ",", { "", "" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str rest = str_of(cases[i].text), piece;
		size_t n = 0;

		while (str_split(&rest, ',', &piece)) {
			assert_true(n < 4 && cases[i].pieces[n]);
			assert_str(piece, cases[i].pieces[n++]);
		}
		assert_null(cases[i].pieces[n]);
		assert_null(rest.p);
	}
	assert_false(str_split(&(struct str){ NULL, 0 }, ',', &(struct str){ NULL, 0 }));
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int rc;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "65535", 65535, 0, 65535 },
		{ "65536", 65535, -1, 0 },
		{ "007", 10, 0, 7 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -1, 0 },
		{ "18446744073709551620", UINT64_MAX, -1, 0 },
		{ "99999999999999999999999", UINT64_MAX, -1, 0 },
		{ "", 10, -1, 0 },
		{ "+1", 10, -1, 0 },
		{ "-1", 10, -1, 0 },
		{ " 1", 10, -1, 0 },
		{ "1 ", 10, -1, 0 },
		{ "0x1", 10, -1, 0 },
		{ "1a", 100, -1, 0 },
		{ "1.0", 100, -1, 0 },
		{ "1e1", 100, -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t v = 4711;

		assert_int_equal(str_to_u64(str_of(cases[i].text), cases[i].max, &v), cases[i].rc);
		assert_true(v == (cases[i].rc ? 4711 : cases[i].value));
	}
}

static void test_hex_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int rc;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "aF9", 0xfff, 0, 0xaf9 },
		{ "1000", 0xfff, -1, 0 },
		{ "ffffffffffffffff", UINT64_MAX, 0, UINT64_MAX },
		{ "10000000000000000", UINT64_MAX, -1, 0 },
		{ "0000000000000000001", UINT64_MAX, 0, 1 },
		{ "", 10, -1, 0 },
		{ "0x1", 10, -1, 0 },
		{ "g", 100, -1, 0 },
		{ "@", 100, -1, 0 },
		{ "-1", 100, -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t v = 4711;

		assert_int_equal(str_hex_to_u64(str_of(cases[i].text), cases[i].max, &v),
				 cases[i].rc);
		assert_true(v == (cases[i].rc ? 4711 : cases[i].value));
	}
	/* digits end with the view, not with the memory behind it */
	uint64_t v;
	assert_int_equal(str_to_u64(str_mem("1234", 2), 1000, &v), 0);
	assert_int_equal(v, 12);
}

static void test_from_number(void **state)
{
	static const struct {
		uint64_t v;
		const char *text;
	} cases[] = { { 0, "0" },
		      { 9, "9" },
		      { 10, "10" },
		      { 18446744073709551614U, "18446744073709551614" },
		      { UINT64_MAX, "18446744073709551615" } };
	char digits[STR_U64_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(str_eqz(str_u64(cases[i].v, digits), cases[i].text));
}

static void test_dupz(void **state)
{
	auto_free char *copy = str_dupz(str_mem("abcd", 2));
	auto_free char *empty = str_dupz(STR_NONE);

	(void)state;
	assert_string_equal(copy, "ab");
	assert_string_equal(empty, "");
}

static void test_control(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;

		assert_int_equal(str_has_ctl(str_mem(&byte, 1)), c < 0x20 || c == 0x7f);
		assert_int_equal(str_is_control((uint32_t)c), c < 0x20 || (c >= 0x7f && c <= 0x9f));
	}
	assert_true(str_has_ctl(STR("ab\0")));
	assert_false(str_has_ctl(STR_NONE));
}

static void test_utf8_table(void **state)
{
	static const struct {
		const char *text;
		size_t n; /* length of the first sequence, 0: not well-formed */
		uint32_t cp;
	} cases[] = {
		{ "A", 1, 'A' },
		{ "\x7f", 1, 0x7f },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbf", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xee\x80\x80", 3, 0xe000 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		/* alone or cut off */
		{ "\x80", 0, 0 },
		{ "\xbf", 0, 0 },
		{ "\xc2", 0, 0 },
		{ "\xe0\xa0", 0, 0 },
		{ "\xf0\x90\x80", 0, 0 },
		{ "\xc2\x41", 0, 0 },
		{ "\xe0\xa0\x41", 0, 0 },
		{ "\xc2\xc2", 0, 0 },
		/* longer than needed */
		{ "\xc0\x80", 0, 0 },
		{ "\xc1\xbf", 0, 0 },
		{ "\xe0\x9f\xbf", 0, 0 },
		{ "\xf0\x8f\xbf\xbf", 0, 0 },
		/* surrogates, above the last code point, longer forms */
		{ "\xed\xa0\x80", 0, 0 },
		{ "\xed\xbf\xbf", 0, 0 },
		{ "\xf4\x90\x80\x80", 0, 0 },
		{ "\xf5\x80\x80\x80", 0, 0 },
		{ "\xf8\x88\x80\x80\x80", 0, 0 },
		{ "\xfe", 0, 0 },
		{ "\xff", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str s = str_of(cases[i].text);
		uint32_t cp = 4711;

		assert_int_equal(str_utf8_at(s, 0, &cp), cases[i].n);
		assert_int_equal(cp, cases[i].n ? cases[i].cp : 4711);
		assert_int_equal(str_is_utf8(s), cases[i].n > 0);
	}
	assert_true(str_is_utf8(STR_NONE));
	assert_true(str_is_utf8(STR("a\0b")));
	assert_true(str_is_utf8(STR("gr\xc3\xbc\xc3\x9f")));
	assert_false(str_is_utf8(STR("gr\xfc\xdf")));
	/* what stands behind the view does not complete a sequence */
	assert_int_equal(str_utf8_at(str_mem("\xc3\xbc", 1), 0, NULL), 0);
	assert_int_equal(str_utf8_at(str_mem("x\xe2\x82\xac", 3), 1, NULL), 0);
	assert_int_equal(str_utf8_at(STR("a"), 1, NULL), 0);
	assert_int_equal(str_utf8_at(STR("a"), 2, NULL), 0);
	assert_int_equal(str_utf8_at(STR("\xc3\xbc"), 1, NULL), 0);
}

/* Every code point, encoded here by RFC 3629 3, is read back; nothing else of two bytes is. */
static void test_utf8_all(void **state)
{
	(void)state;
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		char b[4];
		size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		uint32_t got = 0;
		bool surrogate = cp >= 0xd800 && cp <= 0xdfff;

		b[0] = (char)(n == 1 ? cp : (0xf00u >> n & 0xf0) | cp >> 6 * (n - 1));
		for (size_t i = 1; i < n; i++)
			b[i] = (char)(0x80 | (cp >> 6 * (n - 1 - i) & 0x3f));
		if (str_utf8_at(str_mem(b, n), 0, &got) != (surrogate ? 0 : n) ||
		    got != (surrogate ? 0 : cp))
			fail_msg("U+%04X", cp);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equality),    cmocka_unit_test(test_secret_equality),
		cmocka_unit_test(test_order),       cmocka_unit_test(test_ends),
		cmocka_unit_test(test_search),      cmocka_unit_test(test_sub),
		cmocka_unit_test(test_trim),        cmocka_unit_test(test_split),
		cmocka_unit_test(test_numbers),     cmocka_unit_test(test_hex_numbers),
		cmocka_unit_test(test_from_number), cmocka_unit_test(test_dupz),
		cmocka_unit_test(test_control),     cmocka_unit_test(test_utf8_table),
		cmocka_unit_test(test_utf8_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
