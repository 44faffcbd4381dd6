#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/embed.h"
#include "base/version.h"

static void every_linked_library_has_its_notice(void **state)
{
	size_t n;
	const struct version_dependency *d = bottle_dependencies(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char path[64] = "licenses/";
		const struct embed_file *f;

		assert_true(strlen(d[i].name) < sizeof(path) - strlen(path));
		memcpy(path + strlen(path), d[i].name, strlen(d[i].name));
		f = embed_find(path);
		assert_non_null(f);
		assert_true(f->size > 500);
	}
}

static void data_is_the_file_and_a_nul(void **state)
{
	const struct embed_file *f = embed_find("licenses/bottle");

	(void)state;
	assert_non_null(f);
	assert_int_equal(f->mode, 0644);
	assert_int_equal(f->data[f->size], '\0');
	assert_int_equal(strlen((const char *)f->data), f->size);
	assert_non_null(strstr((const char *)f->data, "Apache License"));
	assert_int_equal(f->data[f->size - 1], '\n');
}

static void files_are_sorted_and_found(void **state)
{
	size_t n;
	const struct embed_file *all = embed_all(&n);

	(void)state;
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			assert_true(strcmp(all[i - 1].path, all[i].path) < 0);
		assert_ptr_equal(embed_find(all[i].path), &all[i]);
	}
}

static void other_paths_are_not_found(void **state)
{
	(void)state;
	assert_null(embed_find(""));
	assert_null(embed_find("licenses/"));
	assert_null(embed_find("licenses/bottl"));
	assert_null(embed_find("licenses/bottlee"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_linked_library_has_its_notice),
		cmocka_unit_test(data_is_the_file_and_a_nul),
		cmocka_unit_test(files_are_sorted_and_found),
		cmocka_unit_test(other_paths_are_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
