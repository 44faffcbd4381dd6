#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/state.h"
#include "backend/undo.h"
#include "sys/fd.h"

static struct world w;
static struct state s;

static int setup(void **state)
{
	(void)state;
	world_init(&w, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	state_fini(&s);
	world_fini(&w);
	return 0;
}

static void create(void)
{
	if (state_create(w.home.dir, w.plan, &s, &w.err) < 0)
		fail_msg("%s", w.err.text);
}

static const struct state_entry *only(struct state_list *list)
{
	assert_int_equal(state_list(w.home.dir, list, &w.err), 0);
	assert_int_equal(list->n, 1);
	return state_find(list, "a-00000");
}

static void life(void **state)
{
	struct state_list list;
	const struct state_entry *e;

	(void)state;
	create();
	e = only(&list);
	assert_non_null(e);
	assert_true(e->live);
	assert_int_equal(e->pid, getpid());
	assert_string_equal(e->agent, "a");
	assert_string_equal(e->backend, "docker");
	assert_true(e->started_at > 1600000000);
	state_list_free(&list);
	/* The launcher dies: the lock goes with its descriptors. */
	state_fini(&s);
	e = only(&list);
	assert_false(e->live);
	state_list_free(&list);
}

static void one_at_a_time(void **state)
{
	struct state other;

	(void)state;
	create();
	assert_int_equal(state_create(w.home.dir, w.plan, &other, &w.err), -1);
	assert_int_equal(w.err.code, E_EXISTS);
	assert_true(world_has(&w, "home/state/a-00000/lock"));
}

static void nobody_else_may_look(void **state)
{
	auto_free char *events = NULL;
	struct stat st;

	(void)state;
	create();
	assert_int_equal(stat(s.dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	events = path_join(s.dir, "events.jsonl");
	assert_int_equal(stat(events, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void ends(void **state)
{
	auto_free char *kept = NULL;

	(void)state;
	create();
	assert_int_equal(state_event(&s, STR("{}"), &w.err), 0);
	assert_int_equal(state_note(&s, "x", "y \"z\"", &w.err), 0);
	assert_int_equal(state_settle(&s, STATE_KEEP, &w.err), 0);
	assert_true(world_has(&w, "home/state/a-00000/events.jsonl"));
	assert_int_equal(state_settle(&s, STATE_CLEAN, &w.err), 0);
	assert_false(world_has(&w, "home/state/a-00000"));
	kept = world_read(&w, "home/audit/a-00000.events.jsonl");
	assert_non_null(kept);
	assert_int_equal(strncmp(kept, "{}\n{\"ts\":\"20", 12), 0);
	assert_non_null(strstr(kept, "\"event\":\"x\",\"detail\":\"y \\\"z\\\"\"}\n"));
}

static void nothing_happened(void **state)
{
	(void)state;
	create();
	assert_int_equal(state_settle(&s, STATE_NONE, &w.err), 0);
	assert_false(world_has(&w, "home/state/a-00000"));
	assert_false(world_has(&w, "home/audit/a-00000.events.jsonl"));
}

/* The record is worth more than tidiness. */
static void events_that_cannot_be_moved_stay(void **state)
{
	auto_free char *audit = path_join(w.home.dir, "audit");

	(void)state;
	create();
	assert_int_equal(state_event(&s, STR("{}"), &w.err), 0);
	assert_int_equal(file_write_atomic(audit, STR("in the way"), 0600, &w.err), 0);
	assert_int_equal(state_settle(&s, STATE_CLEAN, &w.err), -1);
	assert_true(world_has(&w, "home/state/a-00000/events.jsonl"));
}

static void full_disk(void **state)
{
	(void)state;
	create();
	(void)close(s.events_fd);
	s.events_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(s.events_fd >= 0);
	assert_int_equal(state_event(&s, STR("{}"), &w.err), -1);
	assert_true(s.events_failed);
}

static void finding_events(void **state)
{
	auto_free char *live = NULL;

	(void)state;
	assert_null(state_events_path(w.home.dir, "a-00000", &w.err));
	assert_int_equal(w.err.code, E_NOTFOUND);
	create();
	live = state_events_path(w.home.dir, "a-00000", &w.err);
	assert_non_null(strstr(live, "/state/a-00000/events.jsonl"));
}

/* ---- undo ---- */

static char order[16]; /* all zero behind what was noted */

static int mark(void *arg, struct err *err)
{
	const char *name = arg;

	order[strlen(order)] = name[0];
	return name[1] ? err_set(err, E_SYS, "%s", name + 1) : 0;
}

static void undo_in_reverse(void **state)
{
	static char a[] = "a", b[] = "bfirst", c[] = "csecond", d[] = "d";
	struct undo u = { .n = 0 };
	struct err err = ERR_INIT;

	(void)state;
	memset(order, 0, sizeof(order));
	undo_push(&u, mark, a, "undo a");
	undo_push(&u, mark, b, "undo b");
	undo_push(&u, mark, c, "undo c");
	undo_push(&u, mark, d, "undo d");
	assert_int_equal(undo_run(&u, &err), -1);
	assert_string_equal(order, "dcba");
	assert_string_equal(err.text, "undo c: second");
	assert_int_equal(undo_run(&u, &err), 0); /* once */
	assert_string_equal(order, "dcba");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(life),      T(one_at_a_time),    T(nobody_else_may_look),
		T(ends),      T(nothing_happened), T(events_that_cannot_be_moved_stay),
		T(full_disk), T(finding_events),   cmocka_unit_test(undo_in_reverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
