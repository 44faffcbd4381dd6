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

static void assert_content(const struct buf *b, const char *want)
{
	assert_int_equal(b->len, strlen(want));
	assert_memory_equal(buf_str(b).p, want, b->len);
}

static void add(struct buf *b, const char *z)
{
	assert_int_equal(buf_addz(b, z, NULL), 0);
}

static void test_adding(void **state)
{
	auto_buf b = BUF_INIT(100);

	(void)state;
	assert_content(&b, "");
	assert_non_null(buf_str(&b).p);
	add(&b, "ab");
	assert_int_equal(buf_add(&b, STR_NONE, NULL), 0);
	assert_int_equal(buf_addc(&b, 'c', NULL), 0);
	assert_int_equal(buf_addf(&b, NULL, "%d%s", 12, "x"), 0);
	assert_content(&b, "abc12x");
	assert_int_equal(buf_room(&b), 94);
}

static void test_maximum(void **state)
{
	static const size_t maxima[] = { 1, 5, 63, 64, 65, 1000 };
	char text[1001];
	struct err err = ERR_INIT;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
		size_t max = maxima[i];
		auto_buf b = BUF_INIT(max);

		assert_int_equal(buf_add(&b, str_mem(text, max + 1), &err), -1);
		assert_int_equal(err.code, E_LIMIT);
		assert_int_equal(b.len, 0);
		assert_int_equal(buf_add(&b, str_mem(text, max), NULL), 0);
		assert_int_equal(buf_room(&b), 0);
		assert_int_equal(buf_addc(&b, 'y', NULL), -1);
		assert_int_equal(buf_addf(&b, NULL, "y"), -1);
		assert_null(buf_reserve(&b, 1, NULL));
		assert_non_null(buf_reserve(&b, 0, NULL));
		assert_int_equal(b.len, max);
		assert_memory_equal(buf_str(&b).p, text, max);
		/* memory: the maximum and a NUL */
		assert_true(b.cap <= max + 1);
		assert_int_equal(strlen(buf_z(&b)), max);
		/* what was consumed is room again */
		buf_consume(&b, 1);
		assert_int_equal(buf_addc(&b, 'y', NULL), 0);
		assert_int_equal(buf_addc(&b, 'z', NULL), -1);
		assert_int_equal(buf_str(&b).p[max - 1], 'y');
	}
}

static void test_maximum_by_single_bytes(void **state)
{
	auto_buf b = BUF_INIT(200);
	size_t n = 0;

	(void)state;
	while (buf_addc(&b, 'x', NULL) == 0)
		n++;
	assert_int_equal(n, 200);
	assert_int_equal(b.len, 200);
}

static void test_maximum_of_format(void **state)
{
	auto_buf b = BUF_INIT(5);

	(void)state;
	assert_int_equal(buf_addf(&b, NULL, "%s", "123456"), -1);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_addf(&b, NULL, "%s", "12345"), 0);
	assert_content(&b, "12345");
}

/* Around the size of the first block: the terminator of the formatting has room, too. */
static void test_format_of_every_length(void **state)
{
	(void)state;
	for (int n = 0; n < 300; n++) {
		auto_buf b = BUF_INIT(1000);

		assert_int_equal(buf_addf(&b, NULL, "%*s", n, ""), 0);
		assert_int_equal(b.len, n);
		assert_true(b.cap > b.len);
	}
}

static void test_no_bounds_overflow(void **state)
{
	auto_buf b = BUF_INIT(SIZE_MAX);
	auto_buf none = BUF_INIT(0);

	(void)state;
	add(&b, "abc");
	assert_int_equal(buf_add(&b, (struct str){ "x", SIZE_MAX - 2 }, NULL), -1);
	assert_null(buf_reserve(&b, SIZE_MAX, NULL));
	assert_content(&b, "abc");
	assert_int_equal(buf_addc(&none, 'x', NULL), -1);
	assert_string_equal(buf_z(&none), "");
}

static void test_consume(void **state)
{
	auto_buf b = BUF_INIT(100);

	(void)state;
	add(&b, "abcdef");
	buf_consume(&b, 0);
	buf_consume(&b, 2);
	assert_content(&b, "cdef");
	add(&b, "gh");
	assert_content(&b, "cdefgh");
	buf_consume(&b, 6);
	assert_content(&b, "");
	assert_int_equal(b.off, 0);
	add(&b, "x");
	buf_clear(&b);
	assert_content(&b, "");
}

static void test_truncate(void **state)
{
	auto_buf b = BUF_INIT(100);

	(void)state;
	buf_truncate(&b, 0);
	add(&b, "abcdef");
	buf_consume(&b, 1);
	buf_truncate(&b, 3);
	assert_content(&b, "bcd");
	buf_truncate(&b, 3);
	buf_truncate(&b, 0);
	assert_content(&b, "");
}

static void test_reserve_and_commit(void **state)
{
	auto_buf b = BUF_INIT(300);
	char *p;

	(void)state;
	add(&b, "ab");
	p = buf_reserve(&b, 250, NULL);
	assert_non_null(p);
	memset(p, 'z', 250);
	buf_commit(&b, 1);
	assert_content(&b, "abz");
	p = buf_reserve(&b, 297, NULL);
	assert_non_null(p);
	memset(p, 'y', 297);
	buf_commit(&b, 297);
	assert_int_equal(b.len, 300);
	assert_int_equal(buf_str(&b).p[299], 'y');
	assert_null(buf_reserve(&b, 1, NULL));
	buf_commit(&b, 0);
}

static void test_reserve_moves_content_to_the_front(void **state)
{
	auto_buf b = BUF_INIT(64);
	char *p;

	(void)state;
	p = buf_reserve(&b, 64, NULL);
	for (int i = 0; i < 64; i++)
		p[i] = (char)i;
	buf_commit(&b, 64);
	buf_consume(&b, 60);
	p = buf_reserve(&b, 60, NULL);
	memset(p, 'q', 60);
	buf_commit(&b, 60);
	for (int i = 0; i < 4; i++)
		assert_int_equal(buf_str(&b).p[i], 60 + i);
	for (int i = 4; i < 64; i++)
		assert_int_equal(buf_str(&b).p[i], 'q');
	assert_true(b.cap <= 65);
}

/* A queue for a long time: memory stays small, bytes keep their order. */
static void test_queue(void **state)
{
	auto_buf b = BUF_INIT(97);
	unsigned in = 0, out = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		unsigned n = (unsigned)(round * 7919) % 23;

		while (n-- > 0 && buf_room(&b) > 0)
			assert_int_equal(buf_addc(&b, (char)(in++ & 0xff), NULL), 0);
		n = (unsigned)(round * 104729) % 23;
		while (n-- > 0 && b.len > 0) {
			assert_int_equal((unsigned char)buf_str(&b).p[0], out++ & 0xff);
			buf_consume(&b, 1);
		}
		assert_true(b.cap <= 98);
	}
	assert_int_equal(in - out, b.len);
	assert_true(in > 10000);
}

static void test_adding_own_content(void **state)
{
	/* with growth by realloc, by copy (something consumed), and by moving to the front */
	for (size_t consumed = 0; consumed < 60; consumed++) {
		auto_buf b = BUF_INIT(1000);
		char want[200];
		size_t n;

		for (int i = 0; i < 63; i++)
			assert_int_equal(buf_addc(&b, (char)('A' + i), NULL), 0);
		buf_consume(&b, consumed);
		n = b.len;
		memcpy(want, buf_str(&b).p, n);
		memcpy(want + n, buf_str(&b).p + 1, n - 1);
		assert_int_equal(buf_add(&b, str_from(buf_str(&b), 1), NULL), 0);
		assert_int_equal(b.len, 2 * n - 1);
		assert_memory_equal(buf_str(&b).p, want, b.len);
	}
	(void)state;
}

static void test_memory_is_given_back(void **state)
{
	auto_buf b = BUF_INIT(MIB(1));
	char *p;

	(void)state;
	p = buf_reserve(&b, BUF_KEEP + 1, NULL);
	memset(p, 'x', BUF_KEEP + 1);
	buf_commit(&b, BUF_KEEP + 1);
	buf_consume(&b, BUF_KEEP);
	assert_non_null(b.mem);
	buf_consume(&b, 1);
	assert_null(b.mem);
	assert_int_equal(b.cap, 0);

	add(&b, "x");
	buf_shrink(&b); /* not empty: nothing happens */
	assert_content(&b, "x");
	buf_consume(&b, 1);
	assert_non_null(b.mem);
	buf_shrink(&b);
	assert_null(b.mem);
	add(&b, "again");
	assert_content(&b, "again");
}

/* The sanitizer gets them all back, and gives out memory with a pattern of its own. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if __has_feature(address_sanitizer)
#define WANT_KEPT 0
#else
#define WANT_KEPT BUF_SPARE_MAX
#endif

/* Some blocks wait for the next buffer that outgrows BUF_KEEP; those of secrets never do. */
static void test_blocks_are_kept(void **state)
{
	struct buf many[BUF_SPARE_MAX + 2];
	auto_buf secret = BUF_INIT_SECRET(MIB(1));
	size_t kept = 0;
	char *p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		buf_init(&many[i], MIB(1));
		add(&many[i], "begin");
		p = buf_reserve(&many[i], BUF_KEEP, NULL);
		memset(p, 'x', BUF_KEEP);
		assert_int_equal(many[i].cap, BUF_BLOCK);
		assert_content(&many[i], "begin");
	}
	(void)!buf_reserve(&secret, BUF_KEEP + 1, NULL);
	assert_true(secret.cap < BUF_BLOCK);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		buf_fini(&many[i]);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		p = buf_reserve(&many[i], BUF_KEEP + 1, NULL);
		kept += p[BUF_KEEP / 2] == 'x';
		memset(p, 'y', BUF_KEEP + 1);
		buf_commit(&many[i], BUF_KEEP + 1);
	}
	assert_int_equal(kept, WANT_KEPT);
	/* One that outgrows its block leaves it to the next. */
	p = buf_reserve(&many[0], BUF_BLOCK, NULL);
	memset(p, 'z', BUF_BLOCK);
	assert_true(many[0].cap > BUF_BLOCK);
	buf_fini(&many[1]);
	p = buf_reserve(&many[1], BUF_BLOCK - 1, NULL);
	memset(p, 'w', BUF_BLOCK - 1);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		assert_int_equal(buf_str(&many[i]).p[BUF_KEEP], i == 1 ? 'w' : 'y');
		buf_fini(&many[i]);
	}
}

static void test_terminated_view(void **state)
{
	auto_buf b = BUF_INIT(64);

	(void)state;
	assert_string_equal(buf_z(&b), "");
	add(&b, "abc");
	assert_string_equal(buf_z(&b), "abc");
	assert_int_equal(b.len, 3);
	buf_consume(&b, 1);
	add(&b, "d");
	assert_string_equal(buf_z(&b), "bcd");
}

static void test_take(void **state)
{
	auto_buf b = BUF_INIT(64);
	size_t n = 99;

	(void)state;
	{
		auto_free char *empty = buf_take(&b, &n);

		assert_string_equal(empty, "");
		assert_int_equal(n, 0);
	}
	add(&b, "abc");
	buf_consume(&b, 1);
	{
		auto_free char *text = buf_take(&b, &n);

		assert_string_equal(text, "bc");
		assert_int_equal(n, 2);
	}
	assert_content(&b, "");
	assert_null(b.mem);
	add(&b, "more");
	assert_content(&b, "more");
	{
		auto_free char *text = buf_take(&b, NULL);

		assert_string_equal(text, "more");
	}
}

/* --- secrets ----------------------------------------------------------------------------------- */

/* In place of the C library's, to count. */
static size_t wiped;

void explicit_bzero(void *p, size_t n)
{
	volatile char *c = p;

	for (size_t i = 0; i < n; i++)
		c[i] = 0;
	wiped += n;
}

static size_t secret_bytes(const char *mem, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += mem[i] == 'S';
	return found;
}

static void test_secret_is_wiped_in_place(void **state)
{
	auto_buf b = BUF_INIT_SECRET(63);
	char *p;

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(buf_addc(&b, 'S', NULL), 0);
	assert_int_equal(secret_bytes(b.mem, 40), 40);
	buf_consume(&b, 15);
	assert_int_equal(secret_bytes(b.mem, 40), 25);
	buf_truncate(&b, 10);
	assert_int_equal(secret_bytes(b.mem, 40), 10);
	/* moving to the front leaves no copy behind: first without, then with overlap */
	p = buf_reserve(&b, 45, NULL);
	assert_int_equal(b.off, 0);
	assert_int_equal(secret_bytes(b.mem, 40), 10);
	memset(p, 'S', 45);
	buf_commit(&b, 45);
	buf_consume(&b, 5);
	p = buf_reserve(&b, 13, NULL);
	assert_int_equal(b.off, 0);
	assert_int_equal(secret_bytes(b.mem, 63), 50);
	memset(p, 'S', 13);
	buf_commit(&b, 13);
	buf_clear(&b);
	assert_int_equal(secret_bytes(b.mem, 63), 0);
}

/* Every block that is left behind, by growing or by freeing, is wiped whole. */
static void test_secret_blocks_are_wiped(void **state)
{
	auto_buf b = BUF_INIT_SECRET(MIB(1));
	size_t left = 0;

	(void)state;
	wiped = 0;
	for (int i = 0; i < 1000; i++) {
		size_t cap = b.cap;

		assert_int_equal(buf_addc(&b, 'S', NULL), 0);
		if (b.cap != cap)
			left += cap;
		assert_int_equal(wiped, left);
	}
	assert_true(left > 0);
	assert_int_equal(secret_bytes(buf_str(&b).p, b.len), 1000);
	left += b.cap;
	buf_fini(&b);
	assert_int_equal(wiped, left);
	assert_null(b.mem);
	assert_int_equal(b.len, 0);
}

static void test_secret_given_back_when_empty_is_wiped(void **state)
{
	auto_buf b = BUF_INIT_SECRET(MIB(1));
	size_t cap;
	char *p;

	(void)state;
	p = buf_reserve(&b, BUF_KEEP + 1, NULL);
	memset(p, 'S', BUF_KEEP + 1);
	cap = b.cap;
	wiped = 0;
	buf_clear(&b); /* nothing was committed, the block goes all the same */
	assert_null(b.mem);
	assert_int_equal(wiped, cap);
	p = buf_reserve(&b, 10, NULL);
	memset(p, 'S', 10);
	cap = b.cap;
	wiped = 0;
	buf_shrink(&b);
	assert_null(b.mem);
	assert_int_equal(wiped, cap);
}

static void test_plain_buffer_is_not_wiped(void **state)
{
	auto_buf b = BUF_INIT(1000);

	(void)state;
	wiped = 0;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_addc(&b, 'x', NULL), 0);
	buf_fini(&b);
	assert_int_equal(wiped, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adding),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_maximum_by_single_bytes),
		cmocka_unit_test(test_maximum_of_format),
		cmocka_unit_test(test_format_of_every_length),
		cmocka_unit_test(test_no_bounds_overflow),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_reserve_and_commit),
		cmocka_unit_test(test_reserve_moves_content_to_the_front),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_adding_own_content),
		cmocka_unit_test(test_memory_is_given_back),
		cmocka_unit_test(test_blocks_are_kept),
		cmocka_unit_test(test_terminated_view),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_secret_is_wiped_in_place),
		cmocka_unit_test(test_secret_blocks_are_wiped),
		cmocka_unit_test(test_secret_given_back_when_empty_is_wiped),
		cmocka_unit_test(test_plain_buffer_is_not_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
