#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/ssrf.h"

/* Addresses separated by spaces; fills a result. */
static struct resolve_result answers(const char *list)
{
	struct resolve_result res = { .count = 0 };
	struct str rest = str_of(list), ip;

	while (str_split(&rest, ' ', &ip))
		if (addr_parse(ip, 443, &res.addrs[res.count++], NULL) < 0)
			fail_msg("%.*s", STR_ARG(ip));
	return res;
}

static bool passes(const struct ssrf_policy *p, const char *list)
{
	struct resolve_result res = answers(list);
	struct err err = ERR_INIT;

	if (ssrf_check(p, STR("name.test"), &res, &err) == 0)
		return true;
	assert_int_equal(err.code, E_DENIED);
	return false;
}

static const struct ssrf_policy strict = { .allow_count = 0 };

static void public_addresses_pass(void **state)
{
	(void)state;
	assert_true(passes(&strict, "93.184.215.14"));
	assert_true(passes(&strict, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"));
	assert_true(passes(&strict, "1.1.1.1 2606:4700::1111"));
}

static void internal_addresses_are_refused(void **state)
{
	static const char *const internal[] = {
		"127.0.0.1",
		"10.0.0.1",
		"172.16.0.1",
		"192.168.1.1",
		"100.64.0.1",
		"169.254.169.254",
		"0.0.0.0",
		"224.0.0.1",
		"255.255.255.255",
		"198.18.0.1",
		"192.0.2.1",
		"192.0.0.1",
		"240.0.0.1",
		"::",
		"::1",
		"fe80::1",
		"fd00::1",
		"ff02::1",
		"2001:db8::1",
		"::ffff:8.8.8.8",
		"64:ff9b::8.8.8.8",
		"2002:808:808::1",
		"2001::1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(internal); i++)
		if (passes(&strict, internal[i]))
			fail_msg("%s passed", internal[i]);
}

/* DNS rebinding: one good answer does not make up for a bad one. */
static void one_internal_answer_refuses_the_name(void **state)
{
	(void)state;
	assert_false(passes(&strict, "1.1.1.1 10.0.0.1"));
	assert_false(passes(&strict, "10.0.0.1 1.1.1.1"));
	assert_false(passes(&strict, "1.1.1.1 ::1"));
}

static void the_operator_can_allow_a_network(void **state)
{
	struct ssrf_policy p = { .allow_count = 0 };

	(void)state;
	assert_int_equal(ssrf_allow(&p, STR("10.1.0.0/16"), NULL), 0);
	assert_int_equal(ssrf_allow(&p, STR("fd00::/8"), NULL), 0);
	assert_true(passes(&p, "10.1.2.3"));
	assert_true(passes(&p, "fd00::1 1.1.1.1"));
	assert_false(passes(&p, "10.2.0.1"));
	assert_false(passes(&p, "10.1.2.3 10.2.0.1"));
	assert_int_equal(ssrf_allow(&p, STR("10.1.0.0/33"), NULL), -1);
	assert_int_equal(p.allow_count, 2);
	while (p.allow_count < SSRF_ALLOW_MAX)
		assert_int_equal(ssrf_allow(&p, STR("10.0.0.0/8"), NULL), 0);
	assert_int_equal(ssrf_allow(&p, STR("10.0.0.0/8"), NULL), -1);
}

static void a_pinned_address_is_the_operators_word(void **state)
{
	struct resolve_result res = answers("127.0.0.1");

	(void)state;
	res.pinned = true;
	assert_int_equal(ssrf_check(&strict, STR("name.test"), &res, NULL), 0);
}

static void no_address_is_refused(void **state)
{
	struct resolve_result res = { .count = 0 };

	(void)state;
	assert_int_equal(ssrf_check(&strict, STR("name.test"), &res, NULL), -1);
}

static void the_message_says_the_class_only(void **state)
{
	struct resolve_result res = answers("10.20.30.40");
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ssrf_check(&strict, STR("name.test"), &res, &err), -1);
	assert_non_null(strstr(err.text, "name.test"));
	assert_non_null(strstr(err.text, "private"));
	assert_null(strstr(err.text, "10.20"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_addresses_pass),
		cmocka_unit_test(internal_addresses_are_refused),
		cmocka_unit_test(one_internal_answer_refuses_the_name),
		cmocka_unit_test(the_operator_can_allow_a_network),
		cmocka_unit_test(a_pinned_address_is_the_operators_word),
		cmocka_unit_test(no_address_is_refused),
		cmocka_unit_test(the_message_says_the_class_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
