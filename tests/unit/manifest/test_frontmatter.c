#include "support.h"

#include "manifest/frontmatter.h"

static void test_split(void **state)
{
	static const struct {
		const char *text, *head, *body;
		int body_line;
	} cases[] = {
		{ "---\nbottle: x\n---\nPrompt\n", "bottle: x\n", "Prompt\n", 4 },
		{ "---\n---\n", "", "", 3 },
		{ "---\n---", "", "", 3 },
		{ "---\na: 1\n---\n\n \nPrompt", "a: 1\n", "Prompt", 6 },
		{ "---\r\na: 1\r\n---\r\nPrompt\r\n", "a: 1\r\n", "Prompt\r\n", 4 },
		/* only a line that is the fence and nothing else closes */
		{ "---\na: |\n  ---\n----\n---\nx", "a: |\n  ---\n----\n", "x", 6 },
		/* and only the first of them */
		{ "---\na: 1\n---\nx\n---\ny\n", "a: 1\n", "x\n---\ny\n", 4 },
		{ "---\n---\n\xc3\xa9\t\n", "", "\xc3\xa9\t\n", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct frontmatter fm;
		struct err err = ERR_INIT;

		if (frontmatter_split(str_of(cases[i].text), "f", &fm, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		if (!str_eqz(fm.head, cases[i].head) || !str_eqz(fm.body, cases[i].body) ||
		    fm.body_line != cases[i].body_line)
			fail_msg("%zu: '%.*s' '%.*s' %d", i, STR_ARG(fm.head), STR_ARG(fm.body),
				 fm.body_line);
	}
}

static void test_refused(void **state)
{
	static const struct {
		struct str text;
		const char *error;
	} cases[] = {
		{ STR_NONE, "f:1:1: empty file; it starts with a line '---'" },
		{ STR("bottle: x\n"), "f:1:1: the first line must be '---'" },
		{ STR("--- \n---\n"), "f:1:1: the first line must be '---'" },
		{ STR("\n---\n---\n"), "f:1:1: the first line must be '---'" },
		{ STR("---\nbottle: x\n"), "f:1:1: the '---' that opens the head is never closed" },
		{ STR("---\nbottle: x\n --- \n"),
		  "f:1:1: the '---' that opens the head is never closed" },
		{ STR("---"), "f:1:1: the '---' that opens the head is never closed" },
		{ STR("\xef\xbb\xbf---\n---\n"),
		  "f:1:1: byte-order mark; save the file without one" },
		{ STR("---\na: \0\n---\n"), "f:2:4: control character 0x00: not a text file" },
		{ STR("---\n---\nab\x1b[31m\n"), "f:3:3: control character 0x1b: not a text file" },
		{ STR("---\n---\nab\x7f\n"), "f:3:3: control character 0x7f: not a text file" },
		/* a line ends in LF or CRLF, not in CR */
		{ STR("---\ra: 1\r---\r"), "f:1:4: control character 0x0d: not a text file" },
		{ STR("---\n---\r\r\n"), "f:2:4: control character 0x0d: not a text file" },
		{ STR("---\na: \xff\n---\n"), "f:2:1: not UTF-8" },
		{ STR("\x7f"
		      "ELF\x02\x01"),
		  "f:1:1: control character 0x7f: not a text file" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct frontmatter fm = { .body_line = -1 };
		struct err err = ERR_INIT;

		assert_int_equal(frontmatter_split(cases[i].text, "f", &fm, &err), -1);
		assert_string_equal(err.text, cases[i].error);
		assert_int_equal(err.code, E_BAD);
		assert_int_equal(fm.body_line, -1); /* untouched */
	}
}

static void test_huge(void **state)
{
	auto_free char *text = mem_alloc(MANIFEST_FILE_MAX + 1);
	struct frontmatter fm;
	struct err err = ERR_INIT;

	(void)state;
	memset(text, 'x', MANIFEST_FILE_MAX + 1);
	memcpy(text, "---\n---\n", 8);
	assert_int_equal(frontmatter_split(str_mem(text, MANIFEST_FILE_MAX), "f", &fm, &err), 0);
	assert_int_equal(frontmatter_split(str_mem(text, MANIFEST_FILE_MAX + 1), "f", &fm, &err),
			 -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_string_equal(err.text, "f:1:1: larger than 1024 KiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
