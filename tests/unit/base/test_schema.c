#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/schema.h"

/* A table with every type, after the shape of a bottle's. */

struct limits {
	int64_t cpus;
	char *unit;
};

struct route {
	char *host;
	struct str_list paths;
	bool raw;
};

struct box {
	char *name;
	bool supervise;
	bool supervise_set;
	int64_t port;
	int provider;
	struct str_list skills;
	struct str_list exactly_a_list;
	struct str_map env;
	struct limits limits;
	struct obj_list routes;
	struct obj_list several;
	char *short_text;
	size_t custom_count;
	int checks;
};

static const struct schema_key limits_keys[] = {
	{ .name = "cpus",
	  .type = SCHEMA_INT,
	  .offset = offsetof(struct limits, cpus),
	  .min = -2,
	  .max = 64 },
	{ .name = "unit", .type = SCHEMA_STR, .offset = offsetof(struct limits, unit) },
	{ .name = NULL },
};
static const struct schema limits_schema = { .what = "limits",
					     .size = sizeof(struct limits),
					     .keys = limits_keys };

static int check_path(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct route *r = out;

	for (size_t i = 0; i < r->paths.n; i++) {
		if (r->paths.v[i][0] != '/')
			return schema_error(ctx, node, err, "'%s' does not start with '/'",
					    r->paths.v[i]);
	}
	return 0;
}

/* both-or-neither, of the whole object */
static int check_route(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct route *r = out;

	if (r->raw && r->paths.n > 0)
		return schema_error(ctx, node, err, "raw routes have no paths");
	return 0;
}

static const struct schema_key route_keys[] = {
	{ .name = "host",
	  .type = SCHEMA_STR,
	  .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct route, host) },
	{ .name = "paths",
	  .type = SCHEMA_STR_LIST,
	  .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct route, paths),
	  .check = check_path },
	{ .name = "raw", .type = SCHEMA_BOOL, .offset = offsetof(struct route, raw) },
	{ .name = NULL },
};
static const struct schema route_schema = { .what = "route",
					    .size = sizeof(struct route),
					    .keys = route_keys,
					    .check = check_route };

static int read_custom(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct box *b = out;

	if (node->kind != YAML_LIST)
		return schema_error(ctx, node, err, "custom: %s", (const char *)ctx->user);
	b->custom_count = node->count;
	return 0;
}

static int count_check(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct box *b = out;

	(void)ctx;
	(void)node;
	(void)err;
	b->checks++;
	return 0;
}

static const char *const providers[] = { "claude", "codex", "custom", NULL };

static const struct schema_key box_keys[] = {
	{ .name = "name", .type = SCHEMA_STR, .offset = offsetof(struct box, name) },
	{ .name = "supervise",
	  .type = SCHEMA_BOOL,
	  .offset = offsetof(struct box, supervise),
	  .set_offset = offsetof(struct box, supervise_set) },
	{ .name = "port",
	  .type = SCHEMA_INT,
	  .offset = offsetof(struct box, port),
	  .min = 1,
	  .max = 65535,
	  .check = count_check },
	{ .name = "provider",
	  .type = SCHEMA_ENUM,
	  .offset = offsetof(struct box, provider),
	  .names = providers },
	{ .name = "skills",
	  .type = SCHEMA_STR_LIST,
	  .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct box, skills),
	  .min = 1,
	  .max = 3 },
	{ .name = "exactly_a_list",
	  .type = SCHEMA_STR_LIST,
	  .offset = offsetof(struct box, exactly_a_list) },
	{ .name = "env", .type = SCHEMA_STR_MAP, .offset = offsetof(struct box, env), .max = 2 },
	{ .name = "limits",
	  .type = SCHEMA_MAP,
	  .offset = offsetof(struct box, limits),
	  .sub = &limits_schema },
	{ .name = "routes",
	  .type = SCHEMA_MAP_LIST,
	  .offset = offsetof(struct box, routes),
	  .sub = &route_schema,
	  .max = 3 },
	{ .name = "several",
	  .type = SCHEMA_MAP_LIST,
	  .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct box, several),
	  .sub = &route_schema },
	{ .name = "short_text",
	  .type = SCHEMA_STR,
	  .offset = offsetof(struct box, short_text),
	  .min = 2,
	  .max = 4 },
	{ .name = "custom", .type = SCHEMA_CUSTOM, .check = read_custom },
	{ .name = "model", .type = SCHEMA_IGNORED },
	{ .name = NULL },
};
static const struct schema box_schema = { .what = "bottle",
					  .size = sizeof(struct box),
					  .keys = box_keys,
					  .check = count_check };

static char wanted[] = "a list is wanted";
static const struct schema_ctx ctx = { .source = "b.md", .user = wanted };

static int read_box(const char *text, struct box *b, struct err *err)
{
	auto_yaml struct yaml *root = yaml_parse(str_of(text), "b.md", 0, err);

	if (!root)
		fail_msg("%s", err->text);
	return schema_read(&box_schema, &ctx, root, b, err);
}

static void accept(const char *text, struct box *b)
{
	struct err err = ERR_INIT;

	memset(b, 0, sizeof(*b));
	if (read_box(text, b, &err) < 0)
		fail_msg("%s", err.text);
}

static void refuse(const char *text, const char *message)
{
	struct box b;
	struct err err = ERR_INIT;

	memset(&b, 0, sizeof(b));
	if (read_box(text, &b, &err) == 0)
		fail_msg("accepted: %s", text);
	assert_string_equal(err.text, message);
	assert_int_equal(err.code, E_BAD);
	/* whatever was read before the error is freed; LeakSanitizer looks */
	schema_free(&box_schema, &b);
}

static void test_every_type(void **state)
{
	struct box b;
	const struct route *routes;
	static const struct box zero;

	(void)state;
	accept("name: no\n"
	       "supervise: true\n"
	       "port: 8080\n"
	       "provider: custom\n"
	       "skills: [a, b]\n"
	       "env:\n"
	       "  B: '1'\n"
	       "  A: 2\n"
	       "limits: {cpus: -2, unit: x}\n"
	       "routes:\n"
	       "  - host: a.example\n"
	       "    paths: [/x, /y]\n"
	       "  - host: b.example\n"
	       "    raw: true\n"
	       "short_text: abcd\n"
	       "custom: [1, 2, 3]\n"
	       "model: {any: [thing]}\n",
	       &b);
	assert_string_equal(b.name, "no");
	assert_true(b.supervise);
	assert_true(b.supervise_set);
	assert_int_equal(b.port, 8080);
	assert_int_equal(b.provider, 2);
	assert_int_equal(b.skills.n, 2);
	assert_string_equal(b.skills.v[0], "a");
	assert_string_equal(b.skills.v[1], "b");
	assert_int_equal(b.env.n, 2);
	assert_string_equal(b.env.v[0].name, "B");
	assert_string_equal(b.env.v[0].value, "1");
	assert_int_equal(b.env.v[0].line, 7);
	assert_int_equal(b.env.v[0].col, 3);
	assert_string_equal(b.env.v[1].name, "A");
	assert_string_equal(b.env.v[1].value, "2");
	assert_int_equal(b.env.v[1].line, 8);
	assert_int_equal(b.limits.cpus, -2);
	assert_string_equal(b.limits.unit, "x");
	assert_int_equal(b.routes.n, 2);
	routes = b.routes.v;
	assert_string_equal(routes[0].host, "a.example");
	assert_int_equal(routes[0].paths.n, 2);
	assert_string_equal(routes[0].paths.v[1], "/y");
	assert_false(routes[0].raw);
	assert_string_equal(routes[1].host, "b.example");
	assert_true(routes[1].raw);
	assert_string_equal(b.short_text, "abcd");
	assert_int_equal(b.custom_count, 3);
	/* one for `port`, one for the whole */
	assert_int_equal(b.checks, 2);
	schema_free(&box_schema, &b);
	assert_memory_equal(&b, &zero, sizeof(b));
	schema_free(&box_schema, &b);
}

static void test_nothing_given(void **state)
{
	struct box b;

	(void)state;
	accept("", &b);
	assert_null(b.name);
	assert_false(b.supervise_set);
	assert_int_equal(b.checks, 1);
	schema_free(&box_schema, &b);
	accept("supervise: false\n", &b);
	assert_false(b.supervise);
	assert_true(b.supervise_set);
	schema_free(&box_schema, &b);
	accept("routes: []\nenv: {}\nexactly_a_list: []\nlimits: {}\n", &b);
	assert_int_equal(b.routes.n, 0);
	assert_int_equal(b.env.n, 0);
	schema_free(&box_schema, &b);
}

static void test_defaults(void **state)
{
	struct box b = { .name = mem_strdup("default"), .port = 9099, .provider = 1 };
	struct err err = ERR_INIT;

	(void)state;
	b.skills.v = mem_array(1, sizeof(*b.skills.v));
	b.skills.v[0] = mem_strdup("x");
	b.skills.n = 1;
	b.limits.unit = mem_strdup("default");
	b.limits.cpus = 4;
	assert_int_equal(read_box("port: 1\nlimits: {cpus: 2}\n", &b, &err), 0);
	assert_string_equal(b.name, "default");
	assert_int_equal(b.port, 1);
	assert_int_equal(b.provider, 1);
	assert_int_equal(b.skills.n, 1);
	/* a nested object keeps the defaults of the keys that are not given */
	assert_string_equal(b.limits.unit, "default");
	assert_int_equal(b.limits.cpus, 2);
	/* a given one replaces the default, and a list is not added to it */
	assert_int_equal(read_box("name: x\nskills: [y, z]\n", &b, &err), 0);
	assert_string_equal(b.name, "x");
	assert_int_equal(b.skills.n, 2);
	schema_free(&box_schema, &b);
}

static void test_one_or_list(void **state)
{
	struct box b;

	(void)state;
	accept("skills: a\nseveral: {host: h, paths: /x}\n", &b);
	assert_int_equal(b.skills.n, 1);
	assert_string_equal(b.skills.v[0], "a");
	assert_int_equal(b.several.n, 1);
	assert_string_equal(((struct route *)b.several.v)->host, "h");
	assert_string_equal(((struct route *)b.several.v)->paths.v[0], "/x");
	schema_free(&box_schema, &b);
	accept("several: [{host: h}, {host: i}]\n", &b);
	assert_int_equal(b.several.n, 2);
	schema_free(&box_schema, &b);
	refuse("exactly_a_list: a\n",
	       "b.md:1:17: 'exactly_a_list' must be a list of strings, not a string");
	refuse("routes: {host: a}\n", "b.md:1:9: 'routes' must be a list of maps, not a map");
	refuse("skills: {a: b}\n",
	       "b.md:1:9: 'skills' must be a string or a list of strings, not a map");
	refuse("skills: ~\n",
	       "b.md:1:9: 'skills' must be a string or a list of strings, not nothing");
	refuse("several: x\n",
	       "b.md:1:10: 'several' must be a map or a list of maps, not a string");
}

static void test_wrong_types(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "name: [a]\n", "b.md:1:7: 'name' must be a string, not a list" },
		{ "name: {a: b}\n", "b.md:1:7: 'name' must be a string, not a map" },
		{ "name: ~\n", "b.md:1:7: 'name' must be a string, not nothing" },
		{ "name:\n", "b.md:1:6: 'name' must be a string, not nothing" },
		{ "supervise: yes\n",
		  "b.md:1:12: 'supervise' must be true or false, not a string" },
		{ "supervise: 'true'\n",
		  "b.md:1:12: 'supervise' must be true or false, not a string" },
		{ "supervise: True\n",
		  "b.md:1:12: 'supervise' must be true or false, not a string" },
		{ "supervise: 1\n", "b.md:1:12: 'supervise' must be true or false, not a number" },
		{ "supervise: [true]\n",
		  "b.md:1:12: 'supervise' must be true or false, not a list" },
		{ "supervise:\n", "b.md:1:11: 'supervise' must be true or false, not nothing" },
		{ "provider: [claude]\n", "b.md:1:11: 'provider' must be a string, not a list" },
		{ "provider: ~\n", "b.md:1:11: 'provider' must be a string, not nothing" },
		{ "exactly_a_list: [a, [b]]\n",
		  "b.md:1:21: 'exactly_a_list' must hold strings, not a list" },
		{ "exactly_a_list: [a, ~]\n",
		  "b.md:1:21: 'exactly_a_list' must hold strings, not nothing" },
		{ "env: [a]\n", "b.md:1:6: 'env' must be a map of names to strings, not a list" },
		{ "env: x\n", "b.md:1:6: 'env' must be a map of names to strings, not a string" },
		{ "env:\n  A: 1\n  B:\n", "b.md:3:5: 'B' in 'env' must be a string, not nothing" },
		{ "env: {A: {}}\n", "b.md:1:10: 'A' in 'env' must be a string, not a map" },
		{ "limits: [a]\n", "b.md:1:9: limits must be a map, not a list" },
		{ "limits:\n", "b.md:1:8: limits must be a map, not nothing" },
		{ "routes:\n- a\n", "b.md:2:3: route must be a map, not a string" },
		{ "routes:\n", "b.md:1:8: 'routes' must be a list of maps, not nothing" },
		{ "custom: 1\n", "b.md:1:9: custom: a list is wanted" },
		{ "- a\n", "b.md:1:1: bottle must be a map, not a list" },
		{ "a b\n", "b.md:1:1: bottle must be a map, not a string" },
		{ "---\n", "b.md:2:1: bottle must be a map, not nothing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(cases[i].text, cases[i].message);
}

static void test_integers(void **state)
{
	static const char *const no_numbers[] = { "x",
						  "1.0",
						  "0x10",
						  "010",
						  "00",
						  "1_000",
						  "+1",
						  "'80'",
						  "1e3",
						  "",
						  "true",
						  "-x",
						  "--1",
						  "-08",
						  "9223372036854775808",
						  "-9223372036854775809" };
	struct box b;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(no_numbers); i++) {
		auto_free char *text = mem_printf("port: %s\n", no_numbers[i]);

		memset(&b, 0, sizeof(b));
		assert_int_equal(read_box(text, &b, &err), -1);
		assert_true(str_starts(str_of(err.text), STR("b.md:1:")));
		assert_true(str_find(str_of(err.text),
				     STR("'port' must be a whole number (decimal), not "), 0) > 0);
		assert_int_equal(b.port, 0);
	}
	accept("port: 1\n", &b);
	assert_int_equal(b.port, 1);
	accept("port: 65535\n", &b);
	assert_int_equal(b.port, 65535);
	refuse("port: 0\n", "b.md:1:7: 'port' must be 1 to 65535");
	refuse("port: 65536\n", "b.md:1:7: 'port' must be 1 to 65535");
	refuse("limits: {cpus: -3}\n", "b.md:1:16: 'cpus' must be -2 to 64");
	accept("limits: {cpus: 0}\n", &b);
	assert_int_equal(b.limits.cpus, 0);
}

static void test_extreme_integers(void **state)
{
	static const struct schema_key keys[] = {
		{ .name = "n", .type = SCHEMA_INT, .min = INT64_MIN, .max = INT64_MAX },
		{ .name = NULL },
	};
	static const struct schema s = { .what = "x", .size = sizeof(int64_t), .keys = keys };
	auto_yaml struct yaml *max = yaml_parse(STR("n: 9223372036854775807"), "t", 0, NULL);
	auto_yaml struct yaml *min = yaml_parse(STR("n: -9223372036854775808"), "t", 0, NULL);
	int64_t n = 0;

	(void)state;
	assert_int_equal(schema_read(&s, &ctx, max, &n, NULL), 0);
	assert_true(n == INT64_MAX);
	assert_int_equal(schema_read(&s, &ctx, min, &n, NULL), 0);
	assert_true(n == INT64_MIN);
}

static void test_lengths(void **state)
{
	struct box b;

	(void)state;
	accept("short_text: ab\nskills: [a]\nenv: {A: 1, B: 2}\n", &b);
	schema_free(&box_schema, &b);
	accept("skills: [a, b, c]\nroutes: [{host: a}, {host: b}, {host: c}]\n", &b);
	schema_free(&box_schema, &b);
	refuse("short_text: a\n", "b.md:1:13: 'short_text' must have 2 to 4 bytes, not 1");
	refuse("short_text: abcde\n", "b.md:1:13: 'short_text' must have 2 to 4 bytes, not 5");
	refuse("skills: []\n", "b.md:1:9: 'skills' must have 1 to 3 entries, not 0");
	refuse("skills: [a, b, c, d]\n", "b.md:1:9: 'skills' must have 1 to 3 entries, not 4");
	refuse("env: {A: 1, B: 2, C: 3}\n", "b.md:1:6: 'env' must have 0 to 2 entries, not 3");
	refuse("routes: [{host: a}, {host: b}, {host: c}, {host: d}]\n",
	       "b.md:1:9: 'routes' must have 0 to 3 entries, not 4");
}

static void test_names(void **state)
{
	struct box b;

	(void)state;
	accept("provider: claude\n", &b);
	assert_int_equal(b.provider, 0);
	accept("provider: 'codex'\n", &b);
	assert_int_equal(b.provider, 1);
	refuse("provider: claud\n", "b.md:1:11: 'provider' must be one of: claude, codex, custom; "
				    "not 'claud' (did you mean 'claude'?)");
	refuse("provider: gemini\n",
	       "b.md:1:11: 'provider' must be one of: claude, codex, custom; not 'gemini'");
	refuse("provider: Claude\n", "b.md:1:11: 'provider' must be one of: claude, codex, custom; "
				     "not 'Claude' (did you mean 'claude'?)");
}

static void test_unknown_keys(void **state)
{
	(void)state;
	refuse("limits: {cpu: 1}\n",
	       "b.md:1:10: unknown key 'cpu' in limits (did you mean 'cpus'?); accepted: cpus, unit");
	refuse("limits:\n  memory: 1\n",
	       "b.md:2:3: unknown key 'memory' in limits; accepted: cpus, unit");
	refuse("name: x\nroutes:\n- host: a\n- hots: b\n",
	       "b.md:4:3: unknown key 'hots' in route (did you mean 'host'?); accepted: host, paths, "
	       "raw");
	refuse("supervize: true\n",
	       "b.md:1:1: unknown key 'supervize' in bottle (did you mean 'supervise'?); accepted: "
	       "name, supervise, port, provider, skills, exactly_a_list, env, limits, routes, "
	       "several, short_text, custom, model");
	refuse("\"a\\e[31m\\n\": 1\n",
	       "b.md:1:1: unknown key 'a?[31m?' in bottle; accepted: "
	       "name, supervise, port, provider, skills, exactly_a_list, env, limits, routes, "
	       "several, short_text, custom, model");
	refuse("limits: {'': 1}\n", "b.md:1:10: unknown key '' in limits; accepted: cpus, unit");
}

static void test_missing_key(void **state)
{
	(void)state;
	refuse("routes:\n- host: a\n- paths: [/x]\n", "b.md:3:3: route needs the key 'host'");
	refuse("routes:\n- {}\n", "b.md:2:3: route needs the key 'host'");
}

static void test_validators(void **state)
{
	(void)state;
	refuse("routes:\n- host: a\n  paths: [/x, y]\n", "b.md:3:10: 'y' does not start with '/'");
	refuse("routes:\n- host: b\n- {host: a, paths: /x, raw: true}\n",
	       "b.md:3:3: raw routes have no paths");
}

/* A literal in a bottle's env may be a password: messages name the key only. */
static void test_values_are_not_quoted(void **state)
{
	static const char *const texts[] = {
		"env: {A: [hunter2]}\n",     "env: hunter2\n",        "supervise: hunter2\n",
		"port: hunter2\n",           "short_text: hunter2\n", "routes: hunter2\n",
		"exactly_a_list: hunter2\n", "limits: hunter2\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct box b;
		struct err err = ERR_INIT;

		memset(&b, 0, sizeof(b));
		assert_int_equal(read_box(texts[i], &b, &err), -1);
		assert_null(strstr(err.text, "hunter2"));
		schema_free(&box_schema, &b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_nothing_given),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_one_or_list),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_extreme_integers),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_unknown_keys),
		cmocka_unit_test(test_missing_key),
		cmocka_unit_test(test_validators),
		cmocka_unit_test(test_values_are_not_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
