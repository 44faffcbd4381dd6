#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

static struct json *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct json *j = json_parse(str_of(text), "t", &err);

	if (!j)
		fail_msg("%s", err.text);
	return j;
}

static void assert_refused(struct str text, enum err_code code, const char *want)
{
	struct err err = ERR_INIT;
	auto_json struct json *j = json_parse(text, "t.json", &err);

	assert_null(j);
	assert_string_equal(err.text, want);
	assert_int_equal(err.code, code);
}

static void assert_str(struct str s, const char *want)
{
	assert_int_equal(s.n, strlen(want));
	assert_memory_equal(s.p, want, s.n);
}

static void assert_written(const struct json *j, bool pretty, const char *want)
{
	auto_buf b = BUF_INIT(MIB(1));

	assert_int_equal(json_write(j, pretty, &b, NULL), 0);
	assert_string_equal(buf_z(&b), want);
}

static void test_values(void **state)
{
	auto_json struct json *j = parse(" {\"s\":\"x\\u00e9\\n\",\"i\":-12,\"t\":true,\"f\":false,"
					 "\"n\":null,\"a\":[1,\"two\",[]],\"o\":{\"k\":{}}}\n");

	(void)state;
	assert_int_equal(json_kind(j), JSON_KIND_OBJECT);
	assert_int_equal(json_len(j), 7);
	assert_int_equal(json_kind(json_get(j, "s")), JSON_KIND_STR);
	assert_str(json_str(json_get(j, "s")), "x\xc3\xa9\n");
	assert_int_equal(json_kind(json_get(j, "i")), JSON_KIND_NUMBER);
	assert_int_equal(json_int(json_get(j, "i")), -12);
	assert_int_equal(json_kind(json_get(j, "t")), JSON_KIND_BOOL);
	assert_true(json_bool(json_get(j, "t")));
	assert_int_equal(json_kind(json_get(j, "f")), JSON_KIND_BOOL);
	assert_false(json_bool(json_get(j, "f")));
	assert_int_equal(json_kind(json_get(j, "n")), JSON_KIND_NULL);
	assert_int_equal(json_kind(json_get(j, "a")), JSON_KIND_ARRAY);
	assert_int_equal(json_len(json_get(j, "a")), 3);
	assert_int_equal(json_int(json_at(json_get(j, "a"), 0)), 1);
	assert_str(json_str(json_at(json_get(j, "a"), 1)), "two");
	assert_null(json_at(json_get(j, "a"), 3));
	assert_non_null(json_get(json_get(j, "o"), "k"));
	assert_null(json_get(j, "absent"));
}

static void test_other_types_give_nothing(void **state)
{
	auto_json struct json *j = parse("[\"5\",5,true]");
	struct str key = STR("untouched");
	void *pos = NULL;

	(void)state;
	assert_int_equal(json_int(json_at(j, 0)), 0);
	assert_false(json_bool(json_at(j, 0)));
	assert_int_equal(json_str(json_at(j, 1)).n, 0);
	assert_false(json_bool(json_at(j, 1)));
	assert_int_equal(json_int(json_at(j, 2)), 0);
	assert_int_equal(json_len(json_at(j, 0)), 0);
	assert_null(json_get(j, "x"));
	assert_null(json_at(json_at(j, 0), 0));
	assert_null(json_each(j, &pos, &key));
	assert_str(key, "untouched");

	assert_int_equal(json_kind(NULL), JSON_KIND_NULL);
	assert_null(json_get(NULL, "x"));
	assert_null(json_at(NULL, 0));
	assert_int_equal(json_len(NULL), 0);
	assert_int_equal(json_int(NULL), 0);
	assert_false(json_bool(NULL));
	assert_int_equal(json_str(NULL).n, 0);
	assert_null(json_each(NULL, &pos, &key));
	json_free(NULL);
}

static void test_each_in_document_order(void **state)
{
	static const char *const keys[] = { "zeta", "alpha", "m", "b", "a", "" };
	auto_json struct json *j = parse("{\"zeta\":0,\"alpha\":1,\"m\":2,\"b\":3,\"a\":4,\"\":5}");
	struct json *value;
	struct str key;
	void *pos = NULL;
	int n = 0;

	(void)state;
	while ((value = json_each(j, &pos, &key))) {
		assert_true(n < 6);
		assert_str(key, keys[n]);
		assert_int_equal(json_int(value), n++);
	}
	assert_int_equal(n, 6);
}

static void test_any_value_is_a_document(void **state)
{
	auto_json struct json *s = parse("\"x\"");
	auto_json struct json *i = parse("7");
	auto_json struct json *n = parse("null");

	(void)state;
	assert_str(json_str(s), "x");
	assert_int_equal(json_int(i), 7);
	assert_int_equal(json_kind(n), JSON_KIND_NULL);
}

static void test_integers(void **state)
{
	auto_json struct json *max = parse("9223372036854775807");
	auto_json struct json *min = parse("-9223372036854775808");
	auto_json struct json *zero = parse("-0");

	(void)state;
	assert_true(json_int(max) == INT64_MAX);
	assert_true(json_int(min) == INT64_MIN);
	assert_int_equal(json_int(zero), 0);
	assert_refused(STR("9223372036854775808"), E_BAD, "t.json:1:19: too big integer");
	assert_refused(STR("-9223372036854775809"), E_BAD, "t.json:1:20: too big negative integer");
}

static void test_only_whole_numbers(void **state)
{
	static const char message[] = "only whole numbers are accepted";
	char want[100];

	(void)state;
	assert_refused(STR("1.5"), E_BAD, "t.json:1:1: only whole numbers are accepted");
	assert_refused(STR("{\n  \"a\": 1e3}"), E_BAD,
		       "t.json:2:8: only whole numbers are accepted");
	assert_refused(STR("[1,-2E5]"), E_BAD, "t.json:1:4: only whole numbers are accepted");
	assert_refused(STR("[1.0]"), E_BAD, "t.json:1:2: only whole numbers are accepted");
	/* columns count characters */
	(void)snprintf(want, sizeof(want), "t.json:1:6: %s", message);
	assert_refused(STR("[\"\xc3\xa9\",.5]"), E_BAD, "t.json:1:6: invalid token");
	assert_refused(STR("[\"\xc3\xa9\",0.5]"), E_BAD, want);
	/* in strings they are text */
	json_free(parse("[\"1.5\",\"\\\"1.5\",\"\\\\\",1,\"x\\\\\",true]"));
}

static void test_grammar(void **state)
{
	static const struct {
		struct str text;
		const char *want;
	} cases[] = {
		{ STR(""), "t.json:1:1: unexpected token" },
		{ STR("{"), "t.json:1:1: string or '}' expected" },
		{ STR("{\"a\":1"), "t.json:1:6: '}' expected" },
		{ STR("{\"a\" 1}"), "t.json:1:6: ':' expected" },
		{ STR("{\"a\":1,}"), "t.json:1:8: string or '}' expected" },
		{ STR("{a:1}"), "t.json:1:2: string or '}' expected" },
		{ STR("[1,]"), "t.json:1:4: unexpected token" },
		{ STR("[1 2]"), "t.json:1:4: ']' expected" },
		{ STR("[1]]"), "t.json:1:4: end of file expected" },
		{ STR("{} {}"), "t.json:1:4: end of file expected" },
		{ STR("{}x"), "t.json:1:3: end of file expected" },
		{ STR("[01]"), "t.json:1:2: invalid token" },
		{ STR("[-]"), "t.json:1:2: invalid token" },
		{ STR("[+1]"), "t.json:1:2: invalid token" },
		{ STR("[True]"), "t.json:1:5: invalid token" },
		{ STR("['a']"), "t.json:1:2: invalid token" },
		{ STR("[NaN]"), "t.json:1:4: invalid token" },
		{ STR("// c\n[]"), "t.json:1:1: invalid token" },
		{ STR("\xef\xbb\xbf[]"), "t.json:1:1: invalid token" },
		{ STR("[\"\n\"]"), "t.json:1:2: unexpected newline" },
		{ STR("[\"\t\"]"), "t.json:1:2: control character 0x9" },
		{ STR("[\"\\x\"]"), "t.json:1:4: invalid escape" },
		{ STR("[\"a"), "t.json:1:3: premature end of input" },
		{ STR("[\"a\\"), "t.json:1:4: invalid escape" },
		{ STR("[\"\\u0000\"]"), "t.json:1:9: \\u0000 is not allowed" },
		{ STR("{\"\\u0000\":1}"), "t.json:1:9: NUL byte in object key not supported" },
		{ STR("[\"\\ud800\"]"), "t.json:1:9: invalid Unicode '\\uD800'" },
		{ STR("[\0]"), "t.json:1:2: invalid token" },
		{ STR("[]\0"), "t.json:1:3: end of file expected" },
		{ STR("[\"\xff\"]"), "t.json:1:2: unable to decode byte 0xff" },
		{ STR("[\"\xc0\x80\"]"), "t.json:1:2: unable to decode byte 0xc0" },
		{ STR("[\"\xed\xa0\x80\"]"), "t.json:1:2: unable to decode byte 0xed" },
		{ STR("{\n\"a\":1,\n\"b\":2,\n \"a\":3}"), "t.json:4:4: duplicate object key" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_refused(cases[i].text, E_BAD, cases[i].want);
}

/* The library's messages quote the text near an error. A bundle holds tokens. */
static void test_errors_do_not_quote_the_text(void **state)
{
	static const struct str bad[] = {
		STR("{\"t\":\"hunter2\""),
		STR("{\"t\":\"hunter2\" \"hunter2\"}"),
		STR("[\"hunter2\",hunter2]"),
		STR("{\"hunter2\":1,\"hunter2\":2}"),
		STR("[\"hunter2"),
		STR("[\"hunter2\x01\"]"),
		STR("[\"hunter2\xff\"]"),
		STR("[\"near hunter2\" near \"hunter2\"]"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_null(json_parse(bad[i], "t", &err));
		assert_null(strstr(err.text, "hunter"));
	}
}

static char *nested(size_t depth)
{
	char *text = mem_alloc(2 * depth + 1);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = '\0';
	return text;
}

static void test_depth(void **state)
{
	auto_free char *most = nested(JSON_DEPTH_MAX);
	auto_free char *more = nested(JSON_DEPTH_MAX + 1);
	auto_free char *absurd = nested(1000000);
	auto_json struct json *j = parse(most);

	(void)state;
	assert_written(j, false, most);
	assert_refused(str_of(more), E_LIMIT, "t.json:1:65: nested too deeply");
	assert_refused(str_of(absurd), E_LIMIT, "t.json:1:65: nested too deeply");
	/* depth, not number; and brackets in strings do not count */
	{
		auto_buf flat = BUF_INIT(1000);

		assert_int_equal(buf_addz(&flat, "[[]", NULL), 0);
		for (int i = 0; i < JSON_DEPTH_MAX; i++)
			assert_int_equal(buf_addz(&flat, ",{}", NULL), 0);
		assert_int_equal(buf_addz(&flat, "]", NULL), 0);
		json_free(parse(buf_z(&flat)));
	}
	json_free(parse(
		"[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"));
}

static void test_number_of_values(void **state)
{
	/* an array of n values and the array itself */
	auto_buf text = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(buf_addz(&text, "[0", NULL), 0);
	for (int i = 1; i < JSON_NODES_MAX; i++)
		assert_int_equal(buf_addz(&text, ",0", NULL), 0);
	assert_int_equal(buf_addz(&text, "]", NULL), 0);
	json_free(parse(buf_z(&text)));
	buf_truncate(&text, text.len - 1);
	assert_int_equal(buf_addz(&text, ",0]", NULL), 0);
	assert_null(json_parse(buf_str(&text), "t.json", &err));
	assert_int_equal(err.code, E_LIMIT);
	assert_string_equal(err.text, "t.json:1:100001: too many values");
}

static void test_length(void **state)
{
	auto_free char *text = mem_alloc(JSON_TEXT_MAX + 1);

	(void)state;
	memset(text, ' ', JSON_TEXT_MAX + 1);
	text[0] = '7';
	json_free(json_parse(str_mem(text, JSON_TEXT_MAX), "t", NULL));
	assert_refused(str_mem(text, JSON_TEXT_MAX + 1), E_LIMIT,
		       "t.json:1:1: JSON text longer than 4194304 bytes");
}

static struct json *example(void)
{
	struct json *j = json_new_object();
	struct json *list = json_new_array();

	json_set(j, "z", json_new_str(STR("a\"b\\c/\n\x7f\xc2\x9b\xc3\xa9")));
	json_set(j, "i", json_new_int(INT64_MIN));
	json_set(j, "list", list);
	json_append(list, json_new_bool(true));
	json_append(list, json_new_bool(false));
	json_append(list, json_new_null());
	json_append(list, json_new_object());
	json_append(list, json_new_array());
	json_set_strz(j, "a", "x");
	json_set_strz(j, "absent", NULL);
	return j;
}

static void test_writing(void **state)
{
	auto_json struct json *j = example();
	auto_json struct json *empty = json_new_object();

	(void)state;
	assert_written(j, false,
		       "{\"z\":\"a\\\"b\\\\c/\\u000a\\u007f\\u009b\xc3\xa9\","
		       "\"i\":-9223372036854775808,\"list\":[true,false,null,{},[]],\"a\":\"x\"}");
	assert_written(j, true,
		       "{\n  \"z\": \"a\\\"b\\\\c/\\u000a\\u007f\\u009b\xc3\xa9\",\n"
		       "  \"i\": -9223372036854775808,\n"
		       "  \"list\": [\n    true,\n    false,\n    null,\n    {},\n    []\n  ],\n"
		       "  \"a\": \"x\"\n}");
	assert_written(empty, true, "{}");
}

static void test_write_and_read_back(void **state)
{
	auto_json struct json *j = example();
	auto_buf first = BUF_INIT(1000), second = BUF_INIT(1000);

	(void)state;
	for (int pretty = 0; pretty < 2; pretty++) {
		buf_clear(&first);
		buf_clear(&second);
		assert_int_equal(json_write(j, pretty, &first, NULL), 0);
		{
			auto_json struct json *again = parse(buf_z(&first));

			assert_int_equal(json_write(again, pretty, &second, NULL), 0);
		}
		assert_string_equal(buf_z(&first), buf_z(&second));
	}
}

static void test_write_all_or_nothing(void **state)
{
	auto_json struct json *j = example();
	auto_buf whole = BUF_INIT(1000);

	(void)state;
	assert_int_equal(json_write(j, true, &whole, NULL), 0);
	for (size_t max = 0; max < whole.len; max++) {
		auto_buf b = BUF_INIT(max + 1);
		struct err err = ERR_INIT;

		assert_int_equal(buf_addc(&b, '<', NULL), 0);
		assert_int_equal(json_write(j, true, &b, &err), -1);
		assert_int_equal(err.code, E_LIMIT);
		assert_int_equal(b.len, 1);
	}
}

static void test_write_limits_depth(void **state)
{
	struct json *j = json_new_array();
	auto_buf b = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 1; i < JSON_DEPTH_MAX; i++) {
		struct json *outer = json_new_array();

		json_append(outer, j);
		j = outer;
	}
	assert_int_equal(json_write(j, false, &b, &err), 0);
	assert_int_equal(b.len, 2 * JSON_DEPTH_MAX);
	{
		auto_json struct json *outer = json_new_array();

		json_append(outer, j);
		assert_int_equal(json_write(outer, false, &b, &err), -1);
		assert_int_equal(err.code, E_LIMIT);
	}
}

static void test_set_replaces(void **state)
{
	auto_json struct json *j = json_new_object();

	(void)state;
	json_set(j, "a", json_new_int(1));
	json_set(j, "b", json_new_int(2));
	json_set(j, "a", json_new_int(3));
	assert_int_equal(json_len(j), 2);
	assert_int_equal(json_int(json_get(j, "a")), 3);
}

static void test_invalid_utf8_is_replaced(void **state)
{
	auto_json struct json *j = json_new_object();

	(void)state;
	json_set(j, "k\xff", json_new_str(STR("a\xff\xc3(\xe2\x82")));
	assert_str(json_str(json_get(j, "k\xef\xbf\xbd")),
		   "a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd");
	json_set_strz(j, "z", "\x80");
	assert_str(json_str(json_get(j, "z")), "\xef\xbf\xbd");
	json_set(j, "none", json_new_str(STR_NONE));
	assert_int_equal(json_kind(json_get(j, "none")), JSON_KIND_STR);
}

static void test_clone_is_deep(void **state)
{
	auto_json struct json *copy = NULL;

	(void)state;
	{
		auto_json struct json *j = parse("{\"a\":[{\"b\":1}]}");

		copy = json_clone(j);
		json_set(json_at(json_get(j, "a"), 0), "b", json_new_int(2));
	}
	assert_written(copy, false, "{\"a\":[{\"b\":1}]}");
}

static void test_quote(void **state)
{
	static const struct {
		struct str in;
		const char *out;
	} cases[] = {
		{ STR(""), "\"\"" },
		{ STR_NONE, "\"\"" },
		{ STR("plain text"), "\"plain text\"" },
		{ STR("\"\\/"), "\"\\\"\\\\/\"" },
		{ STR("a\nb\r\t\0\x1f\x7f"), "\"a\\u000ab\\u000d\\u0009\\u0000\\u001f\\u007f\"" },
		{ STR("\xc2\x80\xc2\x9f\xc2\xa0"), "\"\\u0080\\u009f\xc2\xa0\"" },
		{ STR("\xe2\x82\xac\xf0\x9f\x90\xb3"), "\"\xe2\x82\xac\xf0\x9f\x90\xb3\"" },
		{ STR("\xff\xc3"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf b = BUF_INIT(100);

		assert_int_equal(json_quote(&b, cases[i].in, NULL), 0);
		assert_string_equal(buf_z(&b), cases[i].out);
		/* exactly that room, and one byte less */
		{
			auto_buf fits = BUF_INIT(b.len), small = BUF_INIT(b.len - 1);

			assert_int_equal(json_quote(&fits, cases[i].in, NULL), 0);
			assert_int_equal(json_quote(&small, cases[i].in, NULL), -1);
			assert_int_equal(small.len, 0);
		}
	}
}

/* --- memory: in place of the C library's, to see what is wiped ---------------------------------- */

static size_t wiped;

void explicit_bzero(void *p, size_t n)
{
	volatile char *c = p;

	for (size_t i = 0; i < n; i++)
		c[i] = 0;
	wiped += n;
}

static void test_documents_are_wiped(void **state)
{
	char text[1000];
	struct json *j;

	(void)state;
	memset(text, 'S', sizeof(text));
	text[0] = text[sizeof(text) - 1] = '"';
	j = json_parse(str_mem(text, sizeof(text)), "t", NULL);
	assert_non_null(j);
	wiped = 0;
	json_free(j);
	assert_true(wiped >= sizeof(text) - 2);
	/* and what a failing parse had read */
	text[sizeof(text) - 1] = 'S';
	wiped = 0;
	assert_null(json_parse(str_mem(text, sizeof(text)), "t", NULL));
	assert_true(wiped >= sizeof(text) - 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_other_types_give_nothing),
		cmocka_unit_test(test_each_in_document_order),
		cmocka_unit_test(test_any_value_is_a_document),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_only_whole_numbers),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_errors_do_not_quote_the_text),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_number_of_values),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_writing),
		cmocka_unit_test(test_write_and_read_back),
		cmocka_unit_test(test_write_all_or_nothing),
		cmocka_unit_test(test_write_limits_depth),
		cmocka_unit_test(test_set_replaces),
		cmocka_unit_test(test_invalid_utf8_is_replaced),
		cmocka_unit_test(test_clone_is_deep),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_documents_are_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
