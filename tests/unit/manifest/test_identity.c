#include "support.h"

#include "manifest/identity.h"

static void test_make(void **state)
{
	char a[IDENTITY_MAX + 1], b[IDENTITY_MAX + 1];

	(void)state;
	identity_make("dev", a);
	identity_make("dev", b);
	assert_int_equal(strlen(a), 3 + 1 + IDENTITY_RANDOM);
	assert_memory_equal(a, "dev-", 4);
	assert_true(identity_ok(str_of(a)));
	assert_string_not_equal(a, b); /* one chance in sixty million */
}

/*
 * A random byte modulo 36 would favour 0 to 3: an eighth of all instead of a ninth. Of 200000 that
 * is 25000 instead of 22222, and 23600 lies more than nine standard deviations from both.
 */
static void test_even(void **state)
{
	char id[IDENTITY_MAX + 1];
	unsigned count[36] = { 0 };

	(void)state;
	for (int i = 0; i < 200000 / IDENTITY_RANDOM; i++) {
		identity_make("a", id);
		for (const char *c = id + 2; *c; c++)
			count[ascii_digit(*c) ? *c - '0' : *c - 'a' + 10]++;
	}
	assert_true(count[0] + count[1] + count[2] + count[3] < 23600);
	for (size_t i = 0; i < 36; i++)
		assert_true(count[i] > 4800); /* 5555 - 10 standard deviations */
}

static void test_ok(void **state)
{
	static const char *const good[] = { "dev-a1b2c", "a-00000", "my-agent-2-zzzzz",
					    "dev-a1b2c-2", "dev-a1b2c-99" };
	static const char *const bad[] = {
		"",
		"dev",
		"dev-",
		"dev-a1b2",
		"dev-a1b2cd",
		"-a1b2c",
		"Dev-a1b2c",
		"dev-A1b2c",
		"1dev-a1b2c",
		"dev_a1b2c",
		"dev-a1b2c-1",
		"dev-a1b2c-0",
		"dev-a1b2c-02",
		"dev-a1b2c-100",
		"../x-a1b2c",
		"dev-a1b2c\n",
	};
	char name[MANIFEST_NAME_MAX + 1], id[IDENTITY_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!identity_ok(str_of(good[i])))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (identity_ok(str_of(bad[i])))
			fail_msg("%s", bad[i]);
	memset(name, 'a', MANIFEST_NAME_MAX);
	name[MANIFEST_NAME_MAX] = '\0';
	identity_make(name, id);
	assert_true(identity_ok(str_of(id)));
	/* the longest name of an object is a DNS label (RFC 1035 2.3.4) */
	assert_true(strlen("bottle-egress-proxy-") + IDENTITY_MAX <= 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_even),
		cmocka_unit_test(test_ok),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
