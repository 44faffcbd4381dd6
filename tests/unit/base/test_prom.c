#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/prom.h"

static void test_samples(void **state)
{
	auto_buf out = BUF_INIT(KIB(4));
	struct prom w = PROM_INIT(&out, "app");

	(void)state;
	prom_family(&w, "requests_total", PROM_COUNTER, "Requests.");
	prom_sample(&w, UINT64_MAX, NULL, 0);
	prom_sample(&w, 2, PROM_LABELS({ "verdict", "allow" }, { "reason", "" }));
	prom_single(&w, "open", PROM_GAUGE, "Open now.", 0);
	assert_int_equal(prom_end(&w, NULL), 0);
	assert_string_equal(buf_z(&out), "# HELP app_requests_total Requests.\n"
					 "# TYPE app_requests_total counter\n"
					 "app_requests_total 18446744073709551615\n"
					 "app_requests_total{verdict=\"allow\",reason=\"\"} 2\n"
					 "# HELP app_open Open now.\n"
					 "# TYPE app_open gauge\n"
					 "app_open 0\n");
}

static void test_label_values_are_escaped(void **state)
{
	auto_buf out = BUF_INIT(KIB(4));
	struct prom w = PROM_INIT(&out, "app");

	(void)state;
	prom_family(&w, "x", PROM_GAUGE, "X.");
	buf_clear(&out);
	prom_sample(&w, 1, PROM_LABELS({ "a", "back\\slash \"quote\"\nline % \xc3\xa9" }));
	assert_int_equal(prom_end(&w, NULL), 0);
	assert_string_equal(buf_z(&out),
			    "app_x{a=\"back\\\\slash \\\"quote\\\"\\nline % \xc3\xa9\"} 1\n");
}

static void test_histogram(void **state)
{
	struct prom_histogram h = { .sum_ms = 0 };
	auto_buf out = BUF_INIT(KIB(4));
	struct prom w = PROM_INIT(&out, "app");

	(void)state;
	/* A bound belongs to its bucket; a clock that went back counts as no time. */
	prom_observe(&h, -5);
	prom_observe(&h, 1);
	prom_observe(&h, 2);
	prom_observe(&h, 3);
	prom_observe(&h, 600000);
	prom_observe(&h, 600001);
	prom_observe(&h, (int64_t)1 << 50);
	prom_family(&w, "t_seconds", PROM_HISTOGRAM, "Times.");
	prom_histogram(&w, &h);
	assert_int_equal(prom_end(&w, NULL), 0);
	assert_string_equal(buf_z(&out), "# HELP app_t_seconds Times.\n"
					 "# TYPE app_t_seconds histogram\n"
					 "app_t_seconds_bucket{le=\"0.001\"} 2\n"
					 "app_t_seconds_bucket{le=\"0.002\"} 3\n"
					 "app_t_seconds_bucket{le=\"0.005\"} 4\n"
					 "app_t_seconds_bucket{le=\"0.01\"} 4\n"
					 "app_t_seconds_bucket{le=\"0.025\"} 4\n"
					 "app_t_seconds_bucket{le=\"0.05\"} 4\n"
					 "app_t_seconds_bucket{le=\"0.1\"} 4\n"
					 "app_t_seconds_bucket{le=\"0.25\"} 4\n"
					 "app_t_seconds_bucket{le=\"0.5\"} 4\n"
					 "app_t_seconds_bucket{le=\"1\"} 4\n"
					 "app_t_seconds_bucket{le=\"2.5\"} 4\n"
					 "app_t_seconds_bucket{le=\"5\"} 4\n"
					 "app_t_seconds_bucket{le=\"10\"} 4\n"
					 "app_t_seconds_bucket{le=\"60\"} 4\n"
					 "app_t_seconds_bucket{le=\"600\"} 5\n"
					 "app_t_seconds_bucket{le=\"+Inf\"} 7\n"
					 "app_t_seconds_sum 1125899908042.631\n"
					 "app_t_seconds_count 7\n");
}

/* Half a text would pass for a whole one. */
static void test_what_does_not_fit_is_an_error(void **state)
{
	auto_buf out = BUF_INIT(100);
	struct prom w = PROM_INIT(&out, "app");
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 20; i++)
		prom_sample(&w, 1, PROM_LABELS({ "a", "b" }));
	assert_int_equal(prom_end(&w, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_label_values_are_escaped),
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_what_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
