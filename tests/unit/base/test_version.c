#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <mbedtls/version.h>
#include <yaml.h>

#include "base/version.h"

static const char *version_of(const char *name)
{
	size_t n;
	const struct version_dependency *d = bottle_dependencies(&n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(d[i].name, name) == 0)
			return d[i].version;
	return NULL;
}

/* The versions we claim are those of the libraries we are linked with. */
static void dependencies_are_what_is_linked(void **state)
{
	char mbedtls[16];

	(void)state;
	mbedtls_version_get_string(mbedtls);
	assert_string_equal(version_of("mbedtls"), mbedtls);
	assert_string_equal(version_of("libyaml"), yaml_get_version_string());
	assert_string_equal(version_of("jansson"), jansson_version_str());
	assert_non_null(version_of("musl"));
}

static void test_only_libraries_are_not_listed(void **state)
{
	(void)state;
	assert_null(version_of("cmocka"));
}

static void version_has_three_numbers(void **state)
{
	const char *v = bottle_version();

	(void)state;
	assert_int_equal(strspn(v, "0123456789."), strlen(v));
	assert_non_null(strchr(v, '.'));
	assert_ptr_not_equal(strchr(v, '.'), strrchr(v, '.'));
}

static void revision_is_a_commit_or_unknown(void **state)
{
	const char *r = bottle_revision();

	(void)state;
	if (strcmp(r, "unknown") != 0) {
		assert_int_equal(strlen(r), 12);
		assert_int_equal(strspn(r, "0123456789abcdef"), 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dependencies_are_what_is_linked),
		cmocka_unit_test(test_only_libraries_are_not_listed),
		cmocka_unit_test(version_has_three_numbers),
		cmocka_unit_test(revision_is_a_commit_or_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
