#include "support.h"

#include "backend/names.h"
#include "sys/fd.h"

static struct world w;
static struct fake f;
static bool cancel;
static int plans;

static int setup(void **state)
{
	(void)state;
	plans = 0;
	world_init(&w, NULL);
	fake_init(&f, NULL, &cancel);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_fini(&f);
	world_fini(&w);
	return 0;
}

static const struct plan *make(void *arg, const char *identity, struct err *err)
{
	static const char *const argv[] = { "true", NULL };
	static const struct host_env env = { .get = world_no_env };
	const struct plan_input in = {
		.identity = identity, .env = &env, .cwd = "/", .command = argv
	};

	(void)arg;
	plans++;
	plan_free(w.plan);
	w.plan = plan_make(&w.manifest, &in, err);
	return w.plan;
}

static int take(void)
{
	return names_take(&f.b, w.home.dir, "a-00000", make, NULL, &w.err);
}

static void free_at_once(void **state)
{
	(void)state;
	assert_int_equal(take(), 0);
	assert_string_equal(w.plan->identity, "a-00000");
	assert_int_equal(plans, 1);
}

/* One network that is there is enough, and so is a state directory. */
static void the_next_number(void **state)
{
	auto_free char *dir = path_join(w.home.dir, "state/a-00000-2");

	(void)state;
	assert_int_equal(dir_make(dir, 0700, &w.err), 0);
	assert_int_equal(take(), 0);
	assert_string_equal(w.plan->identity, "a-00000");
	f.taken = "proxy-a-00000-3";
	dir[strlen(dir) - 2] = '\0';
	assert_int_equal(dir_make(dir, 0700, &w.err), 0);
	assert_int_equal(take(), 0);
	assert_string_equal(w.plan->identity, "a-00000-4");
	assert_string_equal(plan_box(w.plan, ROLE_AGENT)->name, "bottle-a-00000-4");
}

static void all_taken(void **state)
{
	(void)state;
	f.taken = "bottle-net-a-00000";
	assert_int_equal(take(), -1);
	assert_int_equal(w.err.code, E_EXISTS);
	assert_non_null(strstr(w.err.text, "a-00000-99"));
	assert_non_null(strstr(w.err.text, "bottle cleanup"));
	assert_int_equal(plans, 99);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(free_at_once), T(the_next_number), T(all_taken) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
