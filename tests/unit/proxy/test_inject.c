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
#include "proxy/inject.h"

struct fixture {
	struct arena arena;
	struct msg m;
};

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	arena_init(&f->arena, KIB(64));
	msg_init(&f->m, &f->arena);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->arena);
	free(f);
	return 0;
}

static void check(struct fixture *f, enum auth_scheme auth, const char *value, const char *field,
		  const char *want)
{
	char name[] = "X-Api-Key";
	struct route route = { .auth = auth, .auth_header = name };
	struct mask *mask = NULL;

	assert_int_equal(inject_credential(&f->m, &route, str_of(value), &mask, NULL), 0);
	assert_true(str_eqz(msg_value(&f->m, field), want));
	assert_int_equal(msg_count(&f->m, field), 1);
	assert_true(str_eqz(msg_value(&f->m, "accept-encoding"), "identity"));
	mask_free(mask);
}

static void test_schemes(void **state)
{
	struct fixture *f = *state;

	check(f, AUTH_BEARER, "abcdefgh", "authorization", "Bearer abcdefgh");
	check(f, AUTH_TOKEN, "abcdefgh", "authorization", "token abcdefgh");
	/* RFC 7617 2: the example of the standard itself. */
	check(f, AUTH_BASIC, "Aladdin:open sesame", "authorization",
	      "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	check(f, AUTH_HEADER, "abcdefgh", "x-api-key", "abcdefgh");
}

/* What the client sent under that name is replaced, wherever and how often it stands. */
static void test_replaces(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(msg_add(&f->m, STR("authorization"), STR("Bearer mine"), NULL), 0);
	assert_int_equal(msg_add(&f->m, STR("Authorization"), STR("Bearer other"), NULL), 0);
	assert_int_equal(msg_add(&f->m, STR("Accept-Encoding"), STR("gzip, br"), NULL), 0);
	check(f, AUTH_BEARER, "injected", "authorization", "Bearer injected");
}

static void masked(enum auth_scheme auth, struct fixture *f, const char *value, const char *echo,
		   const char *want)
{
	struct route route = { .auth = auth };
	struct mask *mask = NULL;
	auto_buf out = BUF_INIT(KIB(4));

	assert_int_equal(inject_credential(&f->m, &route, str_of(value), &mask, NULL), 0);
	assert_int_equal(mask_feed(mask, str_of(echo), &out, NULL), 0);
	assert_int_equal(mask_finish(mask, &out, NULL), 0);
	assert_string_equal(buf_z(&out), want);
	mask_free(mask);
}

static void test_answers_are_masked(void **state)
{
	struct fixture *f = *state;

	masked(AUTH_BEARER, f, "abcdefgh", "you sent Bearer abcdefgh", "you sent Bearer ********");
	masked(AUTH_BASIC, f, "Aladdin:open sesame",
	       "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic ****************************");
	/* The password on its own too; the user's name is no secret. */
	masked(AUTH_BASIC, f, "Aladdin:open sesame", "Aladdin says open sesame",
	       "Aladdin says ***********");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_schemes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers_are_masked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
