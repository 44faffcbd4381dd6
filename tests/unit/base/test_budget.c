#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/budget.h"
#include "base/buf.h"
#include "base/limits.h"

#define EIGHTH MIB(1)

static int teardown(void **state)
{
	(void)state;
	budget_return(budget_used());
	budget_set_max(0);
	return 0;
}

static void test_levels(void **state)
{
	const struct {
		size_t used;
		enum budget_level level;
		size_t high;
	} rows[] = {
		{ 0, BUDGET_PLENTY, PROXY_OUT_HIGH },
		{ BUDGET_SHORT_EIGHTHS * EIGHTH - 1, BUDGET_PLENTY, PROXY_OUT_HIGH },
		{ BUDGET_SHORT_EIGHTHS * EIGHTH, BUDGET_SHORT, PROXY_OUT_SHORT },
		{ BUDGET_SCARCE_EIGHTHS * EIGHTH - 1, BUDGET_SHORT, PROXY_OUT_SHORT },
		{ BUDGET_SCARCE_EIGHTHS * EIGHTH, BUDGET_SCARCE, 0 },
		{ 8 * EIGHTH - 1, BUDGET_SCARCE, 0 },
		{ 8 * EIGHTH, BUDGET_SPENT, 0 },
		{ 9 * EIGHTH, BUDGET_SPENT, 0 },
	};

	(void)state;
	budget_set_max(8 * EIGHTH);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		budget_return(budget_used());
		budget_charge(rows[i].used);
		assert_int_equal(budget_level(), rows[i].level);
		assert_int_equal(budget_queue_high(), rows[i].high);
		assert_true(budget_queue_low() <= rows[i].high / 2);
	}
}

static void test_without_maximum(void **state)
{
	(void)state;
	budget_charge(SIZE_MAX / 2);
	assert_int_equal(budget_level(), BUDGET_PLENTY);
}

/* Whatever way its memory comes and goes. */
static void test_buffers_are_charged(void **state)
{
	static const char text[KIB(20)] = "x";
	struct buf b, secret = BUF_INIT_SECRET(MIB(1));
	size_t n;

	(void)state;
	buf_init(&b, MIB(1));
	for (int i = 0; i < 20; i++) {
		assert_int_equal(buf_add(&b, str_mem(text, sizeof(text)), NULL), 0);
		assert_int_equal(buf_add(&secret, str_mem(text, sizeof(text)), NULL), 0);
		assert_int_equal(budget_used(), b.cap + secret.cap);
		buf_consume(&b, 1000);
		assert_non_null(buf_reserve(&b, KIB(1), NULL));
		assert_int_equal(budget_used(), b.cap + secret.cap);
	}
	buf_clear(&b);
	assert_int_equal(budget_used(), secret.cap);
	buf_fini(&secret);
	assert_int_equal(budget_used(), 0);
	assert_int_equal(buf_addz(&b, "abc", NULL), 0);
	free(buf_take(&b, &n));
	assert_int_equal(budget_used(), 0);
	assert_int_equal(buf_addz(&b, "abc", NULL), 0);
	buf_clear(&b);
	assert_true(budget_used() > 0);
	buf_shrink(&b);
	assert_int_equal(budget_used(), 0);
}

/* Blocks are for speed; with little memory a buffer takes what it needs. */
static void test_no_blocks_when_short(void **state)
{
	static const char text[BUF_KEEP + 1] = "x";
	struct buf b;

	(void)state;
	buf_init(&b, MIB(1));
	assert_int_equal(buf_add(&b, str_mem(text, sizeof(text)), NULL), 0);
	assert_int_equal(budget_used(), BUF_BLOCK);
	buf_fini(&b);
	budget_set_max(8 * EIGHTH);
	budget_charge(BUDGET_SHORT_EIGHTHS * EIGHTH);
	assert_int_equal(buf_add(&b, str_mem(text, sizeof(text)), NULL), 0);
	assert_true(budget_used() - BUDGET_SHORT_EIGHTHS * EIGHTH <= 2 * sizeof(text));
	buf_fini(&b);
}

static void test_arenas_are_charged(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, MIB(1));
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&a, 2000));
	assert_true(budget_used() >= 100 * 2000);
	arena_reset(&a);
	assert_true(budget_used() <= 2 * ARENA_KEEP);
	arena_fini(&a);
	assert_int_equal(budget_used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_levels, teardown),
		cmocka_unit_test_teardown(test_without_maximum, teardown),
		cmocka_unit_test_teardown(test_buffers_are_charged, teardown),
		cmocka_unit_test_teardown(test_no_blocks_when_short, teardown),
		cmocka_unit_test_teardown(test_arenas_are_charged, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
