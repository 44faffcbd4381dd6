#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sys/job.h"
#include "sys/loop.h"

static struct loop *l;
static struct err err;

static int setup(void **state)
{
	(void)state;
	err_clear(&err);
	(void)signal(SIGPIPE, SIG_IGN);
	l = loop_new(&err);
	return l ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(l);
	return 0;
}

#define SH(script) ((const char *const[]){ "sh", "-c", script, NULL })

static void run(struct job *j, const bool *cancel, int want)
{
	struct job *const jobs[] = { j };

	assert_int_equal(jobs_run(l, jobs, 1, cancel, &err), want);
}

static void captures_output(void **state)
{
	struct job j;

	(void)state;
	job_init(&j, SH("echo out; echo err >&2; exit 3"));
	run(&j, NULL, 0);
	assert_int_equal(j.err.code, E_NONE);
	assert_false(job_ok(&j));
	assert_int_equal(WEXITSTATUS(j.status), 3);
	assert_string_equal(buf_z(&j.out), "out\n");
	assert_string_equal(buf_z(&j.errout), "err\n");
	job_fini(&j);
}

/* More than a pipe holds, in both directions at once. */
static void feeds_input(void **state)
{
	size_t n = MIB(1);
	char *text = mem_alloc(n);
	struct job j;

	(void)state;
	memset(text, 'x', n);
	job_init(&j, SH("cat"));
	j.input = str_mem(text, n);
	run(&j, NULL, 0);
	assert_true(job_ok(&j));
	assert_int_equal(j.out.len, n);
	job_fini(&j);
	free(text);
}

static int pieces(void *arg, struct buf *out, struct err *e)
{
	int *left = arg;

	if (*left == 0)
		return err_set(e, E_SYS, "the source broke");
	return buf_addf(out, e, "%d ", *left) < 0 ? -1 : --*left > 1;
}

static void feeds_pieces(void **state)
{
	struct job j;
	int left = 5;

	(void)state;
	job_init(&j, SH("cat"));
	j.input = STR("first ");
	j.feed = pieces;
	j.feed_arg = &left;
	run(&j, NULL, 0);
	assert_true(job_ok(&j));
	assert_string_equal(buf_z(&j.out), "first 5 4 3 2 ");
	job_fini(&j);
}

/* The child must not take half an input for all of it. */
static void broken_source_kills(void **state)
{
	struct job j;
	int left = 0;

	(void)state;
	job_init(&j, SH("cat; exec sleep 100"));
	j.feed = pieces;
	j.feed_arg = &left;
	run(&j, NULL, 0);
	assert_false(job_ok(&j));
	assert_string_equal(j.err.text, "the source broke");
	job_fini(&j);
}

static void input_not_wanted(void **state)
{
	size_t n = MIB(1);
	char *text = mem_zalloc(n);
	struct job j;

	(void)state;
	job_init(&j, SH("exec <&-; echo done"));
	j.input = str_mem(text, n);
	run(&j, NULL, 0);
	assert_true(job_ok(&j));
	job_fini(&j);
	free(text);
}

/* Each waits for what another makes: they must run at the same time. */
static void runs_together(void **state)
{
	char dir[] = "/tmp/bottle-test-XXXXXX";
	auto_free char *a = NULL, *b = NULL;
	struct job j[3];
	struct job *const jobs[] = { &j[0], &j[1], &j[2] };

	(void)state;
	assert_non_null(mkdtemp(dir));
	a = mem_printf("cd %s && mkfifo f && touch ready && echo hello > f", dir);
	b = mem_printf("cd %s; until [ -e ready ]; do sleep 0.01; done; cat f", dir);
	job_init(&j[0], SH(a));
	job_init(&j[1], SH(b));
	job_init(&j[2], SH("exit 1"));
	assert_int_equal(jobs_run(l, jobs, 3, NULL, &err), 0);
	assert_true(job_ok(&j[0]));
	assert_string_equal(buf_z(&j[1].out), "hello\n");
	assert_false(job_ok(&j[2]));
	for (size_t i = 0; i < 3; i++)
		job_fini(&j[i]);
	free(a);
	a = mem_printf("rm -r %s", dir);
	job_init(&j[0], SH(a));
	run(&j[0], NULL, 0);
	assert_true(job_ok(&j[0]));
	job_fini(&j[0]);
}

static void missing_program(void **state)
{
	static const char *const argv[] = { "no-such-program-here", NULL };
	struct job j;

	(void)state;
	job_init(&j, argv);
	run(&j, NULL, 0);
	assert_int_equal(j.err.code, E_NOTFOUND);
	assert_false(job_ok(&j));
	job_fini(&j);
}

static void too_long(void **state)
{
	struct job j;

	(void)state;
	/* The grandchild holds the pipes open: the group is killed, not the child alone. */
	job_init(&j, SH("sleep 100 & wait"));
	j.timeout_ms = 50;
	run(&j, NULL, 0);
	assert_int_equal(j.err.code, E_TIMEOUT);
	job_fini(&j);
}

static void too_much_output(void **state)
{
	struct job j;

	(void)state;
	job_init(&j, SH("cat /dev/zero"));
	run(&j, NULL, 0);
	assert_int_equal(j.err.code, E_LIMIT);
	job_fini(&j);
}

static void too_much_talk_is_dropped(void **state)
{
	struct job j;

	(void)state;
	job_init(&j, SH("head -c 1000000 /dev/zero >&2; echo done"));
	run(&j, NULL, 0);
	assert_true(job_ok(&j));
	assert_int_equal(j.errout.len, JOB_ERR_MAX);
	job_fini(&j);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void cancel_kills_all_but_kept(void **state)
{
	struct loop_timer timer = { .loop = NULL };
	bool cancel = false;
	struct job j[2];
	struct job *const jobs[] = { &j[0], &j[1] };

	(void)state;
	job_init(&j[0], SH("sleep 100"));
	job_init(&j[1], SH("sleep 0.2; echo whole"));
	j[1].keep = true;
	loop_timer(l, &timer, 20, set_true, &cancel);
	assert_int_equal(jobs_run(l, jobs, 2, &cancel, &err), -1);
	assert_int_equal(err.code, E_CANCELLED);
	assert_int_equal(j[0].err.code, E_CANCELLED);
	assert_true(job_ok(&j[1]));
	assert_string_equal(buf_z(&j[1].out), "whole\n");
	job_fini(&j[0]);
	job_fini(&j[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(captures_output),
		T(feeds_input),
		T(feeds_pieces),
		T(broken_source_kills),
		T(input_not_wanted),
		T(runs_together),
		T(missing_program),
		T(too_long),
		T(too_much_output),
		T(too_much_talk_is_dropped),
		T(cancel_kills_all_but_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
