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
#include "proxy/mask.h"

static void feed(struct mask *m, const char *text, size_t n, struct buf *out)
{
	assert_int_equal(mask_feed(m, str_mem(text, n), out, NULL), 0);
}

/* The same text in every split into two pieces, and byte by byte, gives the same result. */
static void check(const struct str *secrets, size_t count, const char *text, const char *want)
{
	size_t n = strlen(text);

	for (size_t cut = 0; cut <= n + 1; cut++) {
		struct mask *m = mask_new(secrets, count);
		auto_buf out = BUF_INIT(KIB(64));

		assert_non_null(m);
		if (cut <= n) {
			feed(m, text, cut, &out);
			feed(m, text + cut, n - cut, &out);
		} else {
			for (size_t i = 0; i < n; i++)
				feed(m, text + i, 1, &out);
		}
		assert_int_equal(mask_finish(m, &out, NULL), 0);
		assert_string_equal(buf_z(&out), want);
		mask_free(m);
	}
}

static void test_every_split(void **state)
{
	const struct str one[] = { STR("sk-secret") };

	(void)state;
	check(one, 1, "", "");
	check(one, 1, "nothing here", "nothing here");
	check(one, 1, "sk-secret", "*********");
	check(one, 1, "a sk-secret b", "a ********* b");
	check(one, 1, "sk-secretsk-secret", "******************");
	check(one, 1, "sk-sk-secret", "sk-*********");
	check(one, 1, "sk-secre", "sk-secre");
	check(one, 1, "ssk-secrett", "s*********t");
}

/* A secret that can overlap itself, and two that share a beginning. */
static void test_overlaps(void **state)
{
	const struct str self[] = { STR("abababab") };
	const struct str two[] = { STR("token-a1"), STR("token-a1-long") };

	(void)state;
	check(self, 1, "xababababy", "x********y");
	check(self, 1, "abababababab", "************");
	check(self, 1, "ababab", "ababab");
	check(two, 2, "token-a1-lon", "********-lon");
	check(two, 2, "token-a1-long", "*************");
}

/* Ordinary bytes are never held back; a beginning of the secret is, and only that. */
static void test_what_is_held(void **state)
{
	const struct str one[] = { STR("sk-secret") };
	struct mask *m = mask_new(one, 1);
	auto_buf out = BUF_INIT(KIB(1));

	(void)state;
	feed(m, "data: hello\n\n", 13, &out);
	assert_int_equal(out.len, 13);
	feed(m, "x sk-", 5, &out);
	assert_int_equal(out.len, 15);
	feed(m, "y", 1, &out);
	assert_int_equal(out.len, 19);
	assert_int_equal(mask_hits(m), 0);
	/* A complete secret is masked at once: nothing more could change it. */
	feed(m, "sk-secret", 9, &out);
	assert_int_equal(out.len, 28);
	assert_int_equal(mask_hits(m), 1);
	mask_free(m);
}

static void test_short_secrets_are_left_out(void **state)
{
	const struct str brief[] = { STR("12345"), STR_NONE };
	const struct str both[] = { STR("123"), STR("long-enough") };

	(void)state;
	assert_null(mask_new(brief, 2));
	check(both, 2, "123 long-enough", "123 ***********");
}

static void test_head(void **state)
{
	const struct str one[] = { STR("sk-secret") };
	struct mask *m = mask_new(one, 1);
	struct arena a;
	struct msg head;

	(void)state;
	arena_init(&a, KIB(64));
	msg_init(&head, &a);
	assert_int_equal(msg_add(&head, STR("X-Echo"), STR("Bearer sk-secret"), NULL), 0);
	assert_int_equal(msg_add(&head, STR("X-Half"), STR("sk-sec"), NULL), 0);
	assert_int_equal(msg_add(&head, STR("X-Rest"), STR("ret"), NULL), 0);
	assert_int_equal(msg_add(&head, STR("sk-secret"), STR("name"), NULL), 0);
	head.reason = STR("OK sk-secret");
	assert_int_equal(mask_head(m, &head, NULL), 0);
	assert_int_equal(mask_hits(m), 3);
	assert_true(str_eqz(head.reason, "OK *********"));
	assert_true(str_eqz(msg_value(&head, "*********"), "name"));
	assert_true(str_eqz(msg_value(&head, "x-echo"), "Bearer *********"));
	assert_true(str_eqz(msg_value(&head, "x-half"), "sk-sec"));
	assert_true(str_eqz(msg_value(&head, "x-rest"), "ret"));
	mask_free(m);
	arena_fini(&a);
}

static void test_trailers(void **state)
{
	const struct str one[] = { STR("sk-secret") };
	struct field v[] = { { STR("X-Sum"), STR("1") }, { STR("X-Echo"), STR("sk-secret") } };
	const struct fields trailers = { v, 2, 2 };
	struct mask *m = mask_new(one, 1);
	struct fields masked;
	struct arena a;

	(void)state;
	arena_init(&a, KIB(64));
	assert_int_equal(mask_trailers(m, &trailers, &a, &masked, NULL), 0);
	assert_int_equal(masked.n, 2);
	assert_true(str_eqz(masked.v[0].value, "1"));
	assert_true(str_eqz(masked.v[1].value, "*********"));
	assert_true(str_eqz(v[1].value, "sk-secret"));
	mask_free(m);
	arena_fini(&a);
}

/* What passes is what mask_feed would let go as it is; a secret anywhere does not. */
static void test_passes(void **state)
{
	const struct str two[] = { STR("sk-secret"), STR("xtokens") };
	static char text[1000];
	struct mask *m = mask_new(two, 2);
	auto_buf out = BUF_INIT(KIB(1));

	(void)state;
	assert_true(mask_passes(m, STR_NONE));
	memset(text, '-', sizeof(text));
	for (size_t n = 1; n <= sizeof(text); n++) {
		auto_free char *exactly = mem_dup(text, n); /* not a byte behind it is looked at */

		assert_true(mask_passes(m, str_mem(exactly, n)));
	}
	for (size_t at = 0; at + 9 <= sizeof(text); at++) {
		memcpy(text + at, two[at % 2].p, two[at % 2].n);
		assert_false(mask_passes(m, str_mem(text, sizeof(text))));
		/* Also of a beginning at the end, however short. */
		for (size_t n = 1; n < two[at % 2].n; n++)
			assert_false(mask_passes(m, str_mem(text, at + n)));
		assert_true(mask_passes(m, str_mem(text, at)));
		memset(text + at, '-', two[at % 2].n);
	}
	/* The first letters of one, but then something else. */
	memcpy(text + 500, "sk-sec-", 7);
	assert_false(mask_passes(m, str_mem(text, sizeof(text))));
	memcpy(text + 500, "sk-se--", 7);
	assert_true(mask_passes(m, str_mem(text, sizeof(text))));
	/* What is held decides with the next piece. */
	feed(m, "sk-", 3, &out);
	assert_false(mask_passes(m, STR("secret")));
	feed(m, "secret", 6, &out);
	assert_string_equal(buf_z(&out), "*********");
	assert_true(mask_passes(m, STR("secret")));
	mask_free(m);
}

/* After a secret that overlaps itself its end may be the beginning of the next one. */
static void test_passes_after_overlap(void **state)
{
	const struct str self[] = { STR("abababab") };
	struct mask *m = mask_new(self, 1);
	auto_buf out = BUF_INIT(KIB(1));

	(void)state;
	feed(m, "abababab", 8, &out);
	assert_false(mask_passes(m, STR("ab")));
	feed(m, "-", 1, &out);
	assert_true(mask_passes(m, STR("-b")));
	mask_free(m);
}

static void test_large_pieces(void **state)
{
	const struct str one[] = { STR("sk-secret") };
	struct mask *m = mask_new(one, 1);
	size_t n = 5 * PROXY_READ_SIZE + 3, at = 3 * PROXY_READ_SIZE - 4;
	auto_free char *text = mem_alloc(n);
	auto_buf out = BUF_INIT(MIB(1));

	(void)state;
	memset(text, 's', n); /* every byte may begin the secret */
	memcpy(text + at, "sk-secret", 9);
	feed(m, text, n, &out);
	assert_int_equal(mask_finish(m, &out, NULL), 0);
	assert_int_equal(out.len, n);
	assert_memory_equal(buf_str(&out).p + at, "*********", 9);
	assert_int_equal(buf_str(&out).p[at - 1], 's');
	assert_int_equal(mask_hits(m), 1);
	mask_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_what_is_held),
		cmocka_unit_test(test_short_secrets_are_left_out),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_passes),
		cmocka_unit_test(test_passes_after_overlap),
		cmocka_unit_test(test_large_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
