#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"

#define UNIT alignof(max_align_t)

static void test_alloc_is_zeroed_and_aligned(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, KIB(256));
	for (int round = 0; round < 2; round++) {
		for (size_t n = 0; n < 300; n++) {
			unsigned char *p = arena_alloc(&a, n);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % UNIT, 0);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xaa, n);
		}
		arena_reset(&a); /* the kept block is dirty */
	}
	arena_fini(&a);
}

static void test_allocations_do_not_overlap(void **state)
{
	struct arena a;
	unsigned char *p[500];

	(void)state;
	arena_init(&a, KIB(256));
	for (size_t i = 0; i < 500; i++) {
		p[i] = arena_alloc(&a, i + 1);
		assert_non_null(p[i]);
		memset(p[i], (int)(i & 0xff), i + 1);
	}
	for (size_t i = 0; i < 500; i++) {
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(p[i][k], i & 0xff);
	}
	arena_fini(&a);
}

static void test_maximum(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 10 * UNIT);
	assert_non_null(arena_alloc(&a, 9 * UNIT));
	assert_null(arena_alloc(&a, UNIT + 1));
	assert_int_equal(a.used, 9 * UNIT);
	assert_non_null(arena_alloc(&a, UNIT));
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, 0));
	arena_reset(&a);
	assert_int_equal(a.used, 0);
	assert_non_null(arena_alloc(&a, 10 * UNIT));
	assert_null(arena_alloc(&a, 1));
	arena_fini(&a);
	assert_int_equal(a.used, 0);
	assert_null(a.head);
}

static void test_absurd_sizes(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - UNIT));
	assert_null(arena_str(&a, (struct str){ "x", SIZE_MAX }).p);
	assert_int_equal(a.used, 0);
	arena_fini(&a);
	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 1));
	arena_fini(&a);
}

static void test_large_goes_beside_small(void **state)
{
	struct arena a;
	char *small, *large;

	(void)state;
	arena_init(&a, MIB(1));
	small = arena_alloc(&a, 8);
	large = arena_alloc(&a, KIB(500));
	assert_non_null(small);
	assert_non_null(large);
	memset(large, 1, KIB(500));
	assert_int_equal(small[0], 0);
	assert_non_null(arena_alloc(&a, 8));
	/* a large block is given back */
	arena_reset(&a);
	assert_null(a.head);
	arena_fini(&a);
}

static void test_reset_keeps_a_small_block(void **state)
{
	struct arena a;
	const void *head;

	(void)state;
	arena_init(&a, MIB(1));
	assert_non_null(arena_alloc(&a, 8));
	head = a.head;
	arena_reset(&a);
	assert_ptr_equal(a.head, head);
	assert_non_null(arena_alloc(&a, 8));
	assert_ptr_equal(a.head, head);
	arena_fini(&a);
	arena_reset(&a);
}

static void test_strings(void **state)
{
	char source[] = "abcd";
	struct arena a;
	struct str s;

	(void)state;
	arena_init(&a, 4 * UNIT);
	s = arena_str(&a, str_mem(source, 2));
	source[0] = 'X';
	assert_int_equal(s.n, 2);
	assert_string_equal(s.p, "ab");
	s = arena_str(&a, STR_NONE);
	assert_int_equal(s.n, 0);
	assert_string_equal(s.p, "");
	/* the NUL counts: exactly UNIT bytes with it, then one more */
	s = arena_printf(&a, "%*d", (int)UNIT - 1, 7);
	assert_int_equal(s.n, UNIT - 1);
	assert_int_equal(strlen(s.p), UNIT - 1);
	assert_int_equal(a.used, 3 * UNIT);
	assert_null(arena_printf(&a, "%*d", (int)UNIT, 7).p);
	assert_int_equal(a.used, 3 * UNIT);
	assert_null(arena_str(&a, STR("0123456789abcdef")).p);
	assert_string_equal(arena_str(&a, STR("0123456789abcde")).p, "0123456789abcde");
	arena_fini(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_is_zeroed_and_aligned),
		cmocka_unit_test(test_allocations_do_not_overlap),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_absurd_sizes),
		cmocka_unit_test(test_large_goes_beside_small),
		cmocka_unit_test(test_reset_keeps_a_small_block),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
