#include "sys/proc.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/mem.h"

#define SECONDS_30 30000

static struct err err;

static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
}

/* More than the pipes hold, in both directions at once. */
static void test_run_large(void **state)
{
	const size_t n = 1000000;
	auto_free char *text = mem_alloc(n);
	const char *argv[] = { "cat", NULL };
	struct proc_spec spec = { .argv = argv };
	auto_buf exact = BUF_INIT(n), small = BUF_INIT(n - 1);
	int status = -7;

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + i % 26);
	assert_int_equal(proc_run(&spec, str_mem(text, n), &exact, NULL, SECONDS_30, &status, &err),
			 0);
	assert_int_equal(status, 0);
	assert_true(str_eq(buf_str(&exact), str_mem(text, n)));

	status = -7;
	assert_int_equal(proc_run(&spec, str_mem(text, n), &small, NULL, SECONDS_30, &status, &err),
			 -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_non_null(strstr(err.text, "cat: more than 999999 bytes"));
	assert_int_equal(status, -7);
	assert_no_child();
}

static void test_run_both_outputs(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "echo out; echo err >&2; exit 5", NULL };
	struct proc_spec spec = { .argv = argv };
	auto_buf out = BUF_INIT(100), errout = BUF_INIT(100), both = BUF_INIT(8),
		 small = BUF_INIT(3);
	int status;

	(void)state;
	assert_int_equal(proc_run(&spec, STR_NONE, &out, &errout, SECONDS_30, &status, &err), 0);
	assert_int_equal(proc_exit_code(status), 5);
	assert_string_equal(buf_z(&out), "out\n");
	assert_string_equal(buf_z(&errout), "err\n");
	assert_int_equal(proc_run(&spec, STR_NONE, &both, &both, SECONDS_30, &status, &err), 0);
	assert_int_equal(both.len, 8);
	assert_int_equal(proc_run(&spec, STR_NONE, NULL, &small, SECONDS_30, &status, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
}

/* A child that ends without reading: neither an error nor our death, and no signal stays behind. */
static void test_run_input_not_wanted(void **state)
{
	const size_t n = 1000000;
	auto_free char *text = mem_zalloc(n);
	const char *argv[] = { "/bin/sh", "-c", "exec <&-; echo done", NULL };
	struct proc_spec spec = { .argv = argv };
	auto_buf out = BUF_INIT(100);
	sigset_t mask, pending;
	int status;

	(void)state;
	assert_int_equal(proc_run(&spec, str_mem(text, n), &out, NULL, SECONDS_30, &status, &err),
			 0);
	assert_int_equal(status, 0);
	assert_string_equal(buf_z(&out), "done\n");

	/* the same for a process that has the signal blocked, for a loop perhaps */
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGPIPE);
	assert_int_equal(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
	assert_int_equal(proc_run(&spec, str_mem(text, n), &out, NULL, SECONDS_30, &status, &err),
			 0);
	assert_int_equal(sigpending(&pending), 0);
	assert_int_equal(sigismember(&pending, SIGPIPE), 0);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &mask, NULL), 0);
}

/* A process of whose pid `out` tells is told to end; returns the signal that ended it. */
static int orphan_signal(const struct buf *out)
{
	struct str line = str_trim(str_sub(buf_str(out), 0, out->len - 1));
	uint64_t pid;
	int status;

	assert_int_equal(str_to_u64(line, INT32_MAX, &pid), 0);
	assert_int_equal(kill((pid_t)pid, SIGTERM), 0);
	assert_int_equal(waitpid((pid_t)pid, &status, 0), (pid_t)pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* The shell's child would live on for a long time; in a group of its own it goes with the shell. */
static void test_run_timeout(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "sleep 1000 & echo $!; wait", NULL };
	struct proc_spec spec = { .argv = argv, .flags = PROC_NEW_GROUP };
	auto_buf out = BUF_INIT(100);
	int status = -7;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(proc_run(&spec, STR_NONE, &out, NULL, 200, &status, &err), -1);
	assert_int_equal(err.code, E_TIMEOUT);
	assert_non_null(strstr(err.text, "200 ms"));
	assert_int_equal(status, -7);
	if (out.len > 0) /* else the machine was too busy for the shell to get there */
		assert_int_equal(orphan_signal(&out), SIGKILL);
	assert_no_child();
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

/* Something in the background that holds the pipes open does not hold us up. */
static void test_run_leaves_background(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "sleep 1000 & echo $!", NULL };
	struct proc_spec spec = { .argv = argv };
	auto_buf out = BUF_INIT(100);
	int status;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(proc_run(&spec, STR_NONE, &out, NULL, SECONDS_30, &status, &err), 0);
	assert_int_equal(status, 0);
	assert_true(out.len > 1);
	assert_int_equal(orphan_signal(&out), SIGTERM);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_large),
		cmocka_unit_test(test_run_both_outputs),
		cmocka_unit_test(test_run_input_not_wanted),
		cmocka_unit_test(test_run_timeout),
		cmocka_unit_test(test_run_leaves_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
