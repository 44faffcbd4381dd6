#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ca/leaf_cache.h"

#define DAY 86400
#define START 1800000000 /* in 2027 */

/* The clock of this program: in place of the C library's. */
static time_t now = START;

time_t time(time_t *t)
{
	if (t)
		*t = now;
	return now;
}

struct fixture {
	struct ca *ca;
	struct leaf_cache *cache;
};

static int setup(void **state)
{
	struct ca_params p = { .days = 365 };
	struct fixture *f = mem_new(struct fixture);

	now = START;
	if (tls_global_init(NULL) < 0)
		return -1;
	f->ca = ca_new(&p, NULL);
	f->cache = leaf_cache_new(f->ca, 4);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	leaf_cache_free(f->cache);
	ca_free(f->ca);
	free(f);
	return 0;
}

/* The identity, of which no reference is kept: for comparing only. */
static const void *get(struct fixture *f, const char *host)
{
	struct err err = ERR_INIT;
	struct tls_identity *id = leaf_cache_get(f->cache, str_of(host), &err);

	if (!id)
		fail_msg("%s", err.text);
	tls_identity_unref(id);
	return id;
}

static void assert_stats(struct fixture *f, uint64_t entries, uint64_t hits, uint64_t mints)
{
	struct leaf_cache_stats s = leaf_cache_stats(f->cache);

	assert_int_equal(s.entries, entries);
	assert_int_equal(s.hits, hits);
	assert_int_equal(s.mints, mints);
}

static void a_name_is_minted_once(void **state)
{
	struct fixture *f = *state;
	const void *first = get(f, "a.test");

	assert_ptr_equal(get(f, "a.test"), first);
	assert_ptr_not_equal(get(f, "b.test"), first);
	get(f, "10.0.0.7");
	assert_stats(f, 3, 1, 3);
}

static void the_least_recently_used_goes(void **state)
{
	struct fixture *f = *state;

	get(f, "a.test");
	get(f, "b.test");
	get(f, "c.test");
	get(f, "d.test");
	get(f, "a.test");
	get(f, "e.test"); /* b goes */
	assert_stats(f, 4, 1, 5);
	get(f, "a.test");
	get(f, "c.test");
	assert_stats(f, 4, 3, 5);
	get(f, "b.test");
	assert_stats(f, 4, 3, 6);
}

/* Whatever falls into the same bucket, and however much comes. */
static void many_names_stay_within_the_maximum(void **state)
{
	struct fixture *f = *state;
	char host[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(host, sizeof(host), "h%d.test", i);
		get(f, host);
	}
	assert_stats(f, 4, 0, 100);
	get(f, "h99.test");
	get(f, "h96.test");
	assert_stats(f, 4, 2, 100);
}

static void a_leaf_is_renewed_a_day_before_its_end(void **state)
{
	struct fixture *f = *state;

	get(f, "a.test");
	now = START + (CA_MINT_DAYS - 1) * DAY - 1;
	get(f, "a.test");
	assert_stats(f, 1, 1, 1);
	now = START + (CA_MINT_DAYS - 1) * DAY;
	get(f, "a.test");
	assert_stats(f, 1, 1, 2);
	get(f, "a.test");
	assert_stats(f, 1, 2, 2);
}

/* A leaf that its CA's end cuts short is not minted anew for each connection. */
static void the_last_day_of_the_ca_is_no_storm(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	now = START + 365 * DAY - 3600;
	get(f, "a.test");
	get(f, "a.test");
	assert_stats(f, 1, 1, 1);
	now = START + 365 * DAY;
	assert_null(leaf_cache_get(f->cache, STR("a.test"), &err));
	assert_int_equal(err.code, E_DENIED);
}

static void add_host(void *arg, const char *host, int64_t renew_at)
{
	struct buf *seen = arg;

	assert_int_equal(renew_at, START + (CA_MINT_DAYS - 1) * DAY);
	assert_int_equal(buf_addf(seen, NULL, "%s ", host), 0);
}

static void what_is_kept_is_shown_last_used_first(void **state)
{
	struct fixture *f = *state;
	auto_buf seen = BUF_INIT(100);

	get(f, "a.test");
	get(f, "b.test");
	get(f, "a.test");
	leaf_cache_each(f->cache, add_host, &seen);
	assert_string_equal(buf_z(&seen), "a.test b.test ");
	assert_int_equal(leaf_cache_stats(f->cache).max, 4);
}

static void a_bad_name_is_not_kept(void **state)
{
	struct fixture *f = *state;

	assert_null(leaf_cache_get(f->cache, STR("a..test"), NULL));
	assert_stats(f, 0, 0, 0);
}

static void an_identity_outlives_the_cache(void **state)
{
	struct fixture *f = *state;
	struct tls_identity *id = leaf_cache_get(f->cache, STR("a.test"), NULL);

	leaf_cache_free(f->cache);
	f->cache = NULL;
	tls_identity_unref(id);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_name_is_minted_once),
		TEST(the_least_recently_used_goes),
		TEST(many_names_stay_within_the_maximum),
		TEST(a_leaf_is_renewed_a_day_before_its_end),
		TEST(the_last_day_of_the_ca_is_no_storm),
		TEST(what_is_kept_is_shown_last_used_first),
		TEST(a_bad_name_is_not_kept),
		TEST(an_identity_outlives_the_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
