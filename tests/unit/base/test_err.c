#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

/* n times c in a static buffer, terminated */
static const char *run(char c, size_t n)
{
	static char text[4096];

	assert_true(n < sizeof(text));
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

static void test_set(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, E_LIMIT, "port %d out of range", 70000), -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_string_equal(err.text, "port 70000 out of range");
	err_clear(&err);
	assert_int_equal(err.code, E_NONE);
	assert_string_equal(err.text, "");
}

static void test_null_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, E_BAD, "x"), -1);
	assert_int_equal(err_sys(NULL, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
	err_clear(NULL);
}

static void test_own_text_as_argument(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, E_BAD, "inner");
	err_set(&err, E_IO, "<%s>", err.text);
	assert_string_equal(err.text, "<inner>");
}

static void test_controls_are_replaced(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a\nb", "a?b" },
		{ "\x1b[31m", "?[31m" },
		{ "\x7f", "?" },
		{ "a\tb\r", "a?b?" },
		/* C1: U+009B is CSI; U+00A0 is not a control */
		{ "\xc2\x9b"
		  "31m",
		  "?31m" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xc3\xa9", "\xc3\xa9" },
		/* not UTF-8: one each */
		{ "\xff\xfe.", "??." },
		{ "\xc3", "?" },
		{ "\xc0\x8a", "??" },
	};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err_set(&err, E_BAD, "%s", cases[i].in);
		assert_string_equal(err.text, cases[i].out);
	}
}

__attribute__((format(printf, 2, 3))) static int at(struct err *err, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = err_at(err, E_BAD, "f.yaml", 3, 14, fmt, ap);
	va_end(ap);
	return rc;
}

static void test_at(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(at(&err, "%d \n", 7), -1);
	assert_int_equal(err.code, E_BAD);
	assert_string_equal(err.text, "f.yaml:3:14: 7 ?");
	(void)at(&err, "%s", run('x', 4000));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERR_TEXT_MAX - 1 - 4, "x...");
	assert_int_equal(at(NULL, "%d", 1), -1);
}

static void test_cut(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, E_BAD, "%s", run('x', ERR_TEXT_MAX - 1));
	assert_string_equal(err.text, run('x', ERR_TEXT_MAX - 1));
	err_set(&err, E_BAD, "%s", run('x', ERR_TEXT_MAX));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERR_TEXT_MAX - 1 - 4, "x...");
	err_set(&err, E_BAD, "%s", run('x', 4000));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERR_TEXT_MAX - 1 - 4, "x...");
}

/* The cut never leaves part of a character: every alignment of 4-byte characters. */
static void test_cut_between_characters(void **state)
{
	char text[800];
	struct err err = ERR_INIT;

	(void)state;
	for (int shift = 0; shift < 4; shift++) {
		size_t n = (size_t)shift;

		memset(text, 'x', n);
		for (; n + 4 < sizeof(text); n += 4)
			memcpy(text + n, "\xf0\x9f\x90\xb3", 4);
		text[n] = '\0';
		err_set(&err, E_BAD, "%s", text);
		n = strlen(err.text);
		assert_true(n < ERR_TEXT_MAX && n > ERR_TEXT_MAX - 8);
		assert_string_equal(err.text + n - 3, "...");
		assert_true(str_is_utf8(str_of(err.text)));
		assert_null(strchr(err.text, '?'));
	}
}

static void test_sys(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&err, "open %s", "f"), -1);
	assert_int_equal(err.code, E_SYS);
	assert_string_equal(err.text, "open f: No such file or directory");
}

static void test_sys_keeps_the_reason(void **state)
{
	static const char reason[] = "...: No such file or directory";
	struct err err = ERR_INIT;

	(void)state;
	errno = ENOENT;
	err_sys(&err, "%s", run('p', 2000));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_string_equal(err.text + ERR_TEXT_MAX - 1 - (sizeof(reason) - 1), reason);
}

static void test_wrap(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, E_TIMEOUT, "no answer");
	assert_int_equal(err_wrap(&err, "host %s", "a.example"), -1);
	assert_int_equal(err.code, E_TIMEOUT);
	assert_string_equal(err.text, "host a.example: no answer");

	err_set(&err, E_BAD, "%s", run('y', 400));
	err_wrap(&err, "%s", run('c', 400));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text + 398, "cc: yy", 6);
	assert_string_equal(err.text + ERR_TEXT_MAX - 1 - 4, "y...");

	err_set(&err, E_BAD, "%s", run('y', ERR_TEXT_MAX - 1));
	err_wrap(&err, "%s", run('c', 4000));
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_wrap_of_nothing(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_wrap(&err, "alone");
	assert_int_equal(err.code, E_BAD);
	assert_string_equal(err.text, "alone");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_null_is_accepted),
		cmocka_unit_test(test_own_text_as_argument),
		cmocka_unit_test(test_controls_are_replaced),
		cmocka_unit_test(test_at),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_between_characters),
		cmocka_unit_test(test_sys),
		cmocka_unit_test(test_sys_keeps_the_reason),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_wrap_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
