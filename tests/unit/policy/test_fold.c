#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/fold.h"

static void assert_decoded(const char *in, const char *want)
{
	/* No byte more than it is promised, so that reading before or behind it is seen. */
	char *out = mem_alloc(strlen(in));
	struct str s = fold_escapes(str_of(in), out);

	if (!str_eqz(s, want))
		fail_msg("'%s' became '%.*s'", in, STR_ARG(s));
	free(out);
}

static void escapes_go_to_a_fixed_point(void **state)
{
	(void)state;
	assert_decoded("", "");
	assert_decoded("plain", "plain");
	assert_decoded("%41", "A");
	assert_decoded("%2541", "A");
	assert_decoded("%25252541", "A");
	assert_decoded("%2%35", "%");
	assert_decoded("%%34%31", "A");
	assert_decoded("%%341", "A");
	assert_decoded("%", "%");
	assert_decoded("%4", "%4");
	assert_decoded("%zz%41", "%zzA");
	assert_decoded("a%3", "a%3");
}

static void names_lose_their_spelling(void **state)
{
	char out[FOLD_NAME_MAX];
	char longer[2 * FOLD_NAME_MAX];

	(void)state;
	assert_true(str_eqz(str_mem(out, fold_name(STR("X_Api-Key"), out)), "xapikey"));
	assert_true(str_eqz(str_mem(out, fold_name(STR("oauth2.token[]"), out)), "oauth2token"));
	assert_int_equal(fold_name(STR("-_ \xc3\xa9"), out), 0);
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(fold_name(str_mem(longer, sizeof(longer)), out), FOLD_NAME_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_go_to_a_fixed_point),
		cmocka_unit_test(names_lose_their_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
