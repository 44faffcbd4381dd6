#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/yaml.h"

static struct yaml *parse_str(struct str text)
{
	struct err err = ERR_INIT;
	struct yaml *root = yaml_parse(text, "t.yaml", 0, &err);

	if (!root)
		fail_msg("%s", err.text);
	return root;
}

static struct yaml *parse(const char *text)
{
	return parse_str(str_of(text));
}

static void refuse(struct str text, enum err_code code, const char *message)
{
	struct err err = ERR_INIT;
	auto_yaml struct yaml *root = yaml_parse(text, "t.yaml", 0, &err);

	if (root)
		fail_msg("accepted: %.*s", STR_ARG(text));
	assert_string_equal(err.text, message);
	assert_int_equal(err.code, code);
}

/* The tree as text: maps {k:v}, lists [v], plain scalars as they are, quoted ones in ''. */
static void show(const struct yaml *y, struct buf *out)
{
	const char *mark = y->kind == YAML_MAP ? "{}" : "[]";

	if (y->kind == YAML_SCALAR) {
		assert_int_equal(strlen(y->text.p), y->text.n);
		assert_int_equal(buf_addf(out, NULL, y->quoted ? "'%s'" : "%s", y->text.p), 0);
		return;
	}
	assert_int_equal(buf_addc(out, mark[0], NULL), 0);
	for (const struct yaml *v = y->child; v; v = v->next) {
		assert_int_equal(v->key != NULL, y->kind == YAML_MAP);
		if (v->key) {
			show(v->key, out);
			assert_int_equal(buf_addc(out, ':', NULL), 0);
		}
		show(v, out);
		if (v->next)
			assert_int_equal(buf_addc(out, ',', NULL), 0);
	}
	assert_int_equal(buf_addc(out, mark[1], NULL), 0);
}

static void assert_tree(const char *text, const char *want)
{
	auto_yaml struct yaml *root = parse(text);
	auto_buf b = BUF_INIT(10000);

	show(root, &b);
	assert_string_equal(buf_z(&b), want);
}

static void test_trees(void **state)
{
	static const struct {
		const char *text, *tree;
	} cases[] = {
		{ "a: 1\nb: two words\n", "{a:1,b:two words}" },
		{ "a:\n  b:\n  - x\n  - y: 1\n    z: 2\n  c: {}\n", "{a:{b:[x,{y:1,z:2}],c:{}}}" },
		{ "- a\n- [b, {c: d}]\n", "[a,[b,{c:d}]]" },
		{ "a: 'it''s'\nb: \"t\\tx\"\n", "{a:'it's',b:'t\tx'}" },
		{ "a: |\n  two\n  lines\nb: >\n  one\n  line\n",
		  "{a:'two\nlines\n',b:'one line\n'}" },
		{ "a: no\nb: ~\nc: 010\nd: null\ne: Yes\n", "{a:no,b:~,c:010,d:null,e:Yes}" },
		{ "a:\nb: ''\n", "{a:,b:''}" },
		{ "? a\n: b\n", "{a:b}" },
		{ "'a': b\n", "{'a':b}" },
		{ "a: x # comment\n# more\n", "{a:x}" },
		{ "plain", "plain" },
		{ "---\na: b\n...\n", "{a:b}" },
		{ "--- {a: b}\n# end\n", "{a:b}" },
		{ "a: gr\xc3\xbc\xc3\x9f\n", "{a:gr\xc3\xbc\xc3\x9f}" },
		{ "a: \"\\u00e9\\x41\\U0001F433\"\n", "{a:'\xc3\xa9"
						      "A\xf0\x9f\x90\xb3'}" },
		{ "a: b\r\nc: d\r\n", "{a:b,c:d}" },
		{ "<<: a\n", "{<<:a}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_tree(cases[i].text, cases[i].tree);
}

static void test_json_is_read(void **state)
{
	(void)state;
	assert_tree("{\"a\":1,\"b\":[true,null,\"x\\/\\u0041\"],\n\t\"c\":{\"d\":-1.5e3}}",
		    "{'a':1,'b':[true,null,'x/A'],'c':{'d':-1.5e3}}");
	assert_tree("[]", "[]");
}

static void test_empty(void **state)
{
	static const char *const texts[] = { "", "\n\n", "# only a comment\n", "  \n#\n",
					     "\xef\xbb\xbf" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		auto_yaml struct yaml *root = yaml_parse(str_of(texts[i]), "t", 6, NULL);

		assert_non_null(root);
		assert_int_equal(root->kind, YAML_MAP);
		assert_int_equal(root->count, 0);
		assert_null(root->child);
		assert_int_equal(root->line, 7);
		assert_int_equal(root->col, 1);
	}
	{
		auto_yaml struct yaml *root = parse_str(STR_NONE);

		assert_int_equal(root->kind, YAML_MAP);
	}
	yaml_tree_free(NULL);
}

static void assert_at(const struct yaml *y, int line, int col)
{
	assert_non_null(y);
	assert_int_equal(y->line, line);
	assert_int_equal(y->col, col);
}

static void test_positions(void **state)
{
	auto_yaml struct yaml *root = parse("# top\n"
					    "a: 1\n"
					    "list:\n"
					    "  - x\n"
					    "  - {k:  'v'}\n"
					    "\xc3\xbc: |\n"
					    "  text\n"
					    "none:\n");
	const struct yaml *list = yaml_get(root, "list");

	(void)state;
	assert_at(root, 2, 1);
	assert_at(yaml_get(root, "a"), 2, 4);
	assert_at(yaml_get(root, "a")->key, 2, 1);
	assert_at(list, 4, 3);
	assert_at(list->key, 3, 1);
	assert_at(list->child, 4, 5);
	assert_at(list->child->next, 5, 5);
	assert_at(list->child->next->child, 5, 10);
	assert_at(list->child->next->child->key, 5, 6);
	/* columns count characters, not bytes */
	assert_at(yaml_get(root, "\xc3\xbc"), 6, 4);
	assert_at(yaml_get(root, "none")->key, 8, 1);
	assert_int_equal(root->count, 4);
	assert_int_equal(list->count, 2);
}

static void test_first_line(void **state)
{
	auto_yaml struct yaml *root = yaml_parse(STR("\na: 1\n"), "t", 1, NULL);
	struct err err = ERR_INIT;

	(void)state;
	assert_at(yaml_get(root, "a"), 3, 4);
	assert_null(yaml_parse(STR("a: 1\na: 2\n"), "t", 1, &err));
	assert_string_equal(err.text, "t:3:1: duplicate key 'a' (first on line 2)");
	assert_null(yaml_parse(STR("a: 1\nb: [\n"), "t", 10, &err));
	assert_string_equal(err.text, "t:13:1: did not find expected node content (while parsing a "
				      "flow node from line 13)");
}

static void test_byte_order_mark(void **state)
{
	auto_yaml struct yaml *root = parse("\xef\xbb\xbf"
					    "a: 1\n");

	(void)state;
	assert_at(root, 1, 1);
	assert_at(yaml_get(root, "a"), 1, 4);
	/* of UTF-8 only: other encodings are not guessed */
	refuse(STR("\xff\xfe"
		   "a\0:\0 \0b\0"),
	       E_BAD, "t.yaml:1:1: invalid leading UTF-8 octet");
	refuse(STR("\xfe\xff\0a"), E_BAD, "t.yaml:1:1: invalid leading UTF-8 octet");
}

static void test_refusals(void **state)
{
	static const struct {
		struct str text;
		const char *message;
	} cases[] = {
		{ STR("a: 1\nb: 2\na: 3\n"), "t.yaml:3:1: duplicate key 'a' (first on line 1)" },
		{ STR("a: 1\n'a': 3\n"), "t.yaml:2:1: duplicate key 'a' (first on line 1)" },
		{ STR("x:\n  {a: 1, \"\\x61\": 2}\n"),
		  "t.yaml:2:10: duplicate key 'a' (first on line 2)" },
		{ STR("a: &x 1\n"), "t.yaml:1:4: anchors are not allowed" },
		{ STR("a: &x [1]\n"), "t.yaml:1:4: anchors are not allowed" },
		{ STR("a: &x {b: 1}\n"), "t.yaml:1:4: anchors are not allowed" },
		{ STR("&k a: 1\n"), "t.yaml:1:1: anchors are not allowed" },
		{ STR("a: *x\n"), "t.yaml:1:4: aliases are not allowed" },
		{ STR("*x : 1\n"), "t.yaml:1:1: aliases are not allowed" },
		{ STR("a: !!str 1\n"), "t.yaml:1:4: tags are not allowed" },
		{ STR("a: !x [1]\n"), "t.yaml:1:4: tags are not allowed" },
		{ STR("a: !<t:x> {b: 1}\n"), "t.yaml:1:4: tags are not allowed" },
		{ STR("a: ! b\n"), "t.yaml:1:4: tags are not allowed" },
		{ STR("--- !!map\na: b\n"), "t.yaml:1:5: tags are not allowed" },
		{ STR("a: 1\n---\nb: 1\n"), "t.yaml:2:1: a second document is not allowed" },
		{ STR("---\n---\n"), "t.yaml:2:1: a second document is not allowed" },
		{ STR("a: 1\n...\n---\nb\n"), "t.yaml:3:1: a second document is not allowed" },
		{ STR("? [a]\n: b\n"), "t.yaml:1:3: a key must be a string" },
		{ STR("? {a: b}\n: c\n"), "t.yaml:1:3: a key must be a string" },
		{ STR("{[a]: b}\n"), "t.yaml:1:2: a key must be a string" },
		{ STR("a: \"x\\0y\"\n"), "t.yaml:1:4: NUL in a string" },
		{ STR("\"x\\0\": y\n"), "t.yaml:1:1: NUL in a string" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(cases[i].text, E_BAD, cases[i].message);
}

static void test_directives(void **state)
{
	static const struct {
		struct str text;
		int line, col;
	} cases[] = {
		{ STR("%YAML 1.1\n---\na: 1\n"), 1, 1 },
		{ STR("\xef\xbb\xbf%YAML 1.1\n---\na: 1\n"), 1, 1 },
		{ STR("# c\n\n%TAG ! t:x,\n---\na: 1\n"), 3, 1 },
		{ STR("a: 50%\n...\n%FOO\n"), 3, 1 },
		{ STR("# c\r%FOO\r--- a"), 1, 5 },
		{ STR("# c\xc2\x85%FOO\n--- a"), 1, 5 },
		{ STR("# c\xe2\x80\xa8%FOO\n--- a"), 1, 5 },
		{ STR("# c\xe2\x80\xa9%FOO\n--- a"), 1, 5 },
		{ STR("a: 'b\n%c'\n"), 2, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *message =
			mem_printf("t.yaml:%d:%d: a line may not start with '%%': directives are "
				   "not allowed",
				   cases[i].line, cases[i].col);

		refuse(cases[i].text, E_BAD, message);
	}
	assert_tree("a: 50%\nb: '%'\nc: 'd\n  %e'\n", "{a:50%,b:'%',c:'d %e'}");
}

/* What the library itself refuses has a position as well, whichever of its parts says so. */
static void test_grammar(void **state)
{
	static const struct {
		struct str text;
		const char *message;
	} cases[] = {
		{ STR("a: 'x\n"),
		  "t.yaml:2:1: found unexpected end of stream (while scanning a quoted scalar from line 1)" },
		{ STR("a:\n\t- b\n"),
		  "t.yaml:2:1: found character that cannot start any token (while scanning for the next token from line 2)" },
		{ STR("a: b: c\n"), "t.yaml:1:5: mapping values are not allowed in this context" },
		{ STR("a: 1\n  b: 2\n"),
		  "t.yaml:2:4: mapping values are not allowed in this context" },
		{ STR("a: [1, 2\n"),
		  "t.yaml:2:1: did not find expected ',' or ']' (while parsing a flow sequence from line 1)" },
		{ STR("a: {b\n"),
		  "t.yaml:2:1: did not find expected ',' or '}' (while parsing a flow mapping from line 1)" },
		{ STR("a: \"\\q\"\n"),
		  "t.yaml:1:5: found unknown escape character (while parsing a quoted scalar from line 1)" },
		{ STR("a: @b\n"),
		  "t.yaml:1:4: found character that cannot start any token (while scanning for the next token from line 1)" },
		{ STR("a: 1\n]\n"),
		  "t.yaml:2:1: did not find expected key (while parsing a block mapping from line 1)" },
		{ STR("a: 1\nb\n"),
		  "t.yaml:3:1: could not find expected ':' (while scanning a simple key from line 2)" },
		{ STR("a: b\n\xc3\xbc: \xff\n"), "t.yaml:2:4: invalid leading UTF-8 octet" },
		{ STR("a: b\nc: \xed\xa0\x80\n"), "t.yaml:2:4: invalid Unicode character" },
		{ STR("a: \xc0\x80\n"), "t.yaml:1:4: invalid length of a UTF-8 sequence" },
		{ STR("a: \xc3"), "t.yaml:1:4: incomplete UTF-8 octet sequence" },
		{ STR("a: b\0c\n"), "t.yaml:1:5: control characters are not allowed" },
		{ STR("a: b\nc: \x07\n"), "t.yaml:2:4: control characters are not allowed" },
		{ STR("a: \"\\ud83d\\ude00\"\n"),
		  "t.yaml:1:7: found invalid Unicode character escape code (while parsing a quoted scalar from line 1)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(cases[i].text, E_BAD, cases[i].message);
}

/* n lists, one in the other, the innermost empty */
static char *nested(size_t n)
{
	char *text = mem_alloc(2 * n + 1);

	memset(text, '[', n);
	memset(text + n, ']', n);
	text[2 * n] = '\0';
	return text;
}

static void test_depth(void **state)
{
	auto_free char *most = nested(YAML_DEPTH_MAX), *more = nested(YAML_DEPTH_MAX + 1);
	auto_free char *absurd = nested(YAML_TEXT_MAX / 2);
	auto_buf block = BUF_INIT(YAML_TEXT_MAX);

	(void)state;
	assert_tree(most, most);
	refuse(str_of(more), E_LIMIT, "t.yaml:1:33: nested more than 32 deep");
	refuse(str_of(absurd), E_LIMIT, "t.yaml:1:33: nested more than 32 deep");
	/* depth, not number */
	yaml_tree_free(
		parse("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		      "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],{},{}]"));
	/* by maps in block style, each a line and a column further */
	for (int i = 0; i < YAML_DEPTH_MAX; i++)
		assert_int_equal(buf_addf(&block, NULL, "%*sk:\n", i, ""), 0);
	yaml_tree_free(parse(buf_z(&block)));
	assert_int_equal(buf_addf(&block, NULL, "%*sk:\n", YAML_DEPTH_MAX, ""), 0);
	refuse(buf_str(&block), E_LIMIT, "t.yaml:33:33: nested more than 32 deep");
}

static void test_number_of_values(void **state)
{
	auto_buf list = BUF_INIT(YAML_TEXT_MAX), map = BUF_INIT(YAML_TEXT_MAX);
	int i;

	(void)state;
	/* the list itself counts */
	for (i = 1; i < YAML_NODES_MAX; i++)
		assert_int_equal(buf_addz(&list, "- a\n", NULL), 0);
	yaml_tree_free(parse(buf_z(&list)));
	assert_int_equal(buf_addz(&list, "- a\n", NULL), 0);
	refuse(buf_str(&list), E_LIMIT, "t.yaml:20000:3: more than 20000 values");
	/* so do keys */
	for (i = 0; i + 2 < YAML_NODES_MAX; i += 2)
		assert_int_equal(buf_addf(&map, NULL, "k%d: a\n", i), 0);
	yaml_tree_free(parse(buf_z(&map)));
	assert_int_equal(buf_addz(&map, "last: a\n", NULL), 0);
	refuse(buf_str(&map), E_LIMIT, "t.yaml:10000:7: more than 20000 values");
}

static void test_length(void **state)
{
	auto_free char *text = mem_alloc(YAML_TEXT_MAX + 1);

	(void)state;
	memset(text, '\n', YAML_TEXT_MAX + 1);
	text[0] = 'a';
	yaml_tree_free(parse_str(str_mem(text, YAML_TEXT_MAX)));
	refuse(str_mem(text, YAML_TEXT_MAX + 1), E_LIMIT,
	       "t.yaml:1:1: YAML text longer than 1048576 bytes");
}

/* The text that grows most when read: two bytes become three. */
static void test_longest_tree(void **state)
{
	auto_buf text = BUF_INIT(YAML_TEXT_MAX);

	(void)state;
	assert_int_equal(buf_addc(&text, '"', NULL), 0);
	while (buf_room(&text) > 2)
		assert_int_equal(buf_addz(&text, "\\L", NULL), 0);
	assert_int_equal(buf_addc(&text, '"', NULL), 0);
	{
		auto_yaml struct yaml *root = parse_str(buf_str(&text));

		assert_int_equal(root->text.n, (text.len - 2) / 2 * 3);
	}
}

static void test_get(void **state)
{
	auto_yaml struct yaml *root = parse("a: 1\nab: 2\nlist: [a]\n");

	(void)state;
	assert_true(str_eqz(yaml_get(root, "ab")->text, "2"));
	assert_null(yaml_get(root, "b"));
	assert_null(yaml_get(root, ""));
	assert_null(yaml_get(yaml_get(root, "list"), "a"));
	assert_null(yaml_get(yaml_get(root, "a"), "a"));
	assert_null(yaml_get(NULL, "a"));
}

static void test_null_and_names(void **state)
{
	static const struct {
		const char *text;
		bool null;
		const char *name;
	} cases[] = {
		{ "", true, "nothing" },
		{ "~", true, "nothing" },
		{ "null", true, "nothing" },
		{ "Null", false, "a string" },
		{ "''", false, "a string" },
		{ "'~'", false, "a string" },
		{ "\"null\"", false, "a string" },
		{ "|\n    null", false, "a string" },
		{ "nul", false, "a string" },
		{ "true", false, "true or false" },
		{ "false", false, "true or false" },
		{ "'true'", false, "a string" },
		{ "yes", false, "a string" },
		{ "12", false, "a number" },
		{ "-12", false, "a number" },
		{ "'12'", false, "a string" },
		{ "-x", false, "a string" },
		{ "1.5", false, "a string" },
		{ "[]", false, "a list" },
		{ "{}", false, "a map" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *text = mem_printf("- %s\n", cases[i].text);
		auto_yaml struct yaml *root = NULL;

		root = parse(text);
		assert_int_equal(yaml_is_null(root->child), cases[i].null);
		assert_string_equal(yaml_kind_name(root->child), cases[i].name);
	}
}

static void test_no_error_wanted(void **state)
{
	(void)state;
	assert_null(yaml_parse(STR("a: ["), "t", 0, NULL));
	assert_null(yaml_parse(STR("a: *b"), "t", 0, NULL));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_json_is_read),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_first_line),
		cmocka_unit_test(test_byte_order_mark),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_directives),
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_number_of_values),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_longest_tree),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_null_and_names),
		cmocka_unit_test(test_no_error_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
