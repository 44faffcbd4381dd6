#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "proxy/tokens.h"

static void test_slot_names(void **state)
{
	static const char *const good[] = { "EGRESS_PROXY_TOKEN_0", "EGRESS_PROXY_TOKEN_12" };
	static const char *const bad[] = {
		"",
		"EGRESS_PROXY_TOKEN_",
		"EGRESS_PROXY_TOKEN_x",
		"EGRESS_PROXY_TOKEN_01",
		"egress_proxy_token_0",
		"EGRESS_PROXY_TOKEN_-1",
		"EGRESS_PROXY_TOKEN_1 ",
		"XEGRESS_PROXY_TOKEN_1",
		"EGRESS_PROXY_TOKEN_123456",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(tokens_is_slot(str_of(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(tokens_is_slot(str_of(bad[i])));
}

static void test_set_and_get(void **state)
{
	struct tokens t = { NULL, 0 };

	(void)state;
	assert_int_equal(tokens_set(&t, STR("EGRESS_PROXY_TOKEN_0"), STR("first"), NULL), 0);
	assert_int_equal(tokens_set(&t, STR("EGRESS_PROXY_TOKEN_1"), STR("other"), NULL), 0);
	assert_int_equal(tokens_set(&t, STR("EGRESS_PROXY_TOKEN_0"), STR("rotated"), NULL), 0);
	assert_int_equal(t.n, 2);
	assert_true(str_eqz(tokens_get(&t, STR("EGRESS_PROXY_TOKEN_0")), "rotated"));
	assert_null(tokens_get(&t, STR("EGRESS_PROXY_TOKEN_7")).p);
	tokens_fini(&t);
}

/* A value with a line break would add header fields of its own; messages never show values. */
static void test_refused_values(void **state)
{
	static const char *const bad[] = { "", "a\r\nX-Evil: 1", "tail\n", "nul\x01" };
	struct tokens t = { NULL, 0 };
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(tokens_set(&t, STR("EGRESS_PROXY_TOKEN_0"), str_of(bad[i]), &err),
				 -1);
		assert_null(strstr(err.text, "Evil"));
		assert_non_null(strstr(err.text, "EGRESS_PROXY_TOKEN_0"));
	}
	assert_int_equal(t.n, 0);
	tokens_fini(&t);
}

static void test_longest_value(void **state)
{
	struct tokens t = { NULL, 0 };
	auto_free char *value = mem_alloc(TOKEN_VALUE_MAX + 1);

	(void)state;
	memset(value, 'v', TOKEN_VALUE_MAX + 1);
	assert_int_equal(tokens_set(&t, STR("EGRESS_PROXY_TOKEN_0"),
				    str_mem(value, TOKEN_VALUE_MAX), NULL),
			 0);
	assert_int_equal(tokens_set(&t, STR("EGRESS_PROXY_TOKEN_0"),
				    str_mem(value, TOKEN_VALUE_MAX + 1), NULL),
			 -1);
	assert_int_equal(tokens_get(&t, STR("EGRESS_PROXY_TOKEN_0")).n, TOKEN_VALUE_MAX);
	tokens_fini(&t);
}

static void test_from_env(void **state)
{
	struct tokens t = { NULL, 0 };

	(void)state;
	assert_int_equal(setenv("EGRESS_PROXY_TOKEN_3", "three", 1), 0);
	assert_int_equal(setenv("EGRESS_PROXY_TOKEN_4", "", 1), 0);
	assert_int_equal(setenv("EGRESS_PROXY_TOKENS", "not one", 1), 0);
	assert_int_equal(tokens_from_env(&t, NULL), 0);
	assert_int_equal(t.n, 1);
	assert_true(str_eqz(tokens_get(&t, STR("EGRESS_PROXY_TOKEN_3")), "three"));
	assert_null(getenv("EGRESS_PROXY_TOKEN_3"));
	assert_string_equal(getenv("EGRESS_PROXY_TOKENS"), "not one");
	tokens_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slot_names),     cmocka_unit_test(test_set_and_get),
		cmocka_unit_test(test_refused_values), cmocka_unit_test(test_longest_value),
		cmocka_unit_test(test_from_env),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
