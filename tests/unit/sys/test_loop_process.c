#include "sys/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop_fixture.h"

struct signals {
	int calls[_NSIG];
};

static void on_sig(void *arg, int signo)
{
	((struct signals *)arg)->calls[signo]++;
}

static void test_signals(void **state)
{
	const int first[] = { SIGUSR1, SIGTERM }, second[] = { SIGUSR2 }, bad[] = { 0 };
	struct signals a = { { 0 } }, b = { { 0 } };
	struct timespec none = { 0 };
	sigset_t mask;

	assert_int_equal(loop_signals(*state, first, 2, on_sig, &a, &err), 0);
	assert_int_equal(loop_signals(*state, second, 1, on_sig, &b, &err), 0);
	assert_int_equal(loop_signals(*state, bad, 1, on_sig, &a, &err), -1);
	assert_int_equal(err.code, E_BAD);
	(void)raise(SIGUSR1);
	(void)raise(SIGUSR2);
	(void)raise(SIGTERM);
	once(*state);
	once(*state);
	assert_int_equal(a.calls[SIGUSR1], 1);
	assert_int_equal(a.calls[SIGTERM], 1);
	assert_int_equal(a.calls[SIGUSR2], 0);
	assert_int_equal(b.calls[SIGUSR2], 1);

	/* given to another function */
	assert_int_equal(loop_signals(*state, first, 1, on_sig, &b, &err), 0);
	(void)raise(SIGUSR1);
	once(*state);
	assert_int_equal(a.calls[SIGUSR1], 1);
	assert_int_equal(b.calls[SIGUSR1], 1);

	/* signals do not keep a loop running */
	assert_int_equal(loop_run(*state, &err), 0);

	/* still blocked when the loop has gone: nothing kills a teardown */
	loop_free(*state);
	*state = NULL;
	(void)raise(SIGTERM);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	assert_int_equal(sigtimedwait(&mask, NULL, &none), SIGTERM);
	(void)sigaddset(&mask, SIGUSR1);
	(void)sigaddset(&mask, SIGUSR2);
	(void)sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

struct ended {
	int calls, status;
	pid_t pid;
};

static void on_ended(void *arg, pid_t pid, int status)
{
	struct ended *e = arg;

	e->calls++;
	e->pid = pid;
	e->status = status;
}

/* A child that lives until it is released, then exits with `code`. */
static pid_t fork_child(int code, int *ret_fd)
{
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[1]);
		(void)!read(fds[0], &c, 1);
		_exit(code);
	}
	(void)close(fds[0]);
	*ret_fd = fds[1];
	return pid;
}

static void release(int hold)
{
	assert_int_equal(write(hold, "x", 1), 1);
	(void)close(hold);
}

static void test_children(void **state)
{
	struct ended a = { 0 }, b = { 0 };
	int hold_a, hold_b;
	pid_t pa = fork_child(3, &hold_a), pb = fork_child(0, &hold_b);

	assert_int_equal(loop_child(*state, pa, on_ended, &a, &err), 0);
	assert_int_equal(loop_child(*state, pb, on_ended, &b, &err), 0);
	once(*state);
	assert_int_equal(a.calls + b.calls, 0);
	release(hold_a);
	assert_int_equal(loop_once(*state, -1, &err), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.pid, pa);
	assert_true(WIFEXITED(a.status) && WEXITSTATUS(a.status) == 3);
	assert_int_equal(waitpid(pa, NULL, WNOHANG), -1); /* reaped */

	assert_int_equal(kill(pb, SIGKILL), 0);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(b.calls, 1);
	assert_true(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGKILL);
	(void)close(hold_b);

	assert_int_equal(loop_child(*state, pa, on_ended, &a, &err), -1);
	assert_int_equal(err.code, E_SYS);
}

static void test_child_dead_already(void **state)
{
	struct ended e = { 0 };
	siginfo_t info;
	int hold;
	pid_t pid = fork_child(7, &hold);

	release(hold);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(loop_child(*state, pid, on_ended, &e, &err), 0);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_true(e.calls == 1 && WEXITSTATUS(e.status) == 7);
}

static void test_child_reaped_elsewhere(void **state)
{
	struct ended e = { 0 };
	int hold;
	pid_t pid = fork_child(0, &hold);

	assert_int_equal(loop_child(*state, pid, on_ended, &e, &err), 0);
	release(hold);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(e.calls, 1);
	assert_true(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 255);
}

static void test_child_left_at_free(void **state)
{
	struct ended e = { 0 };
	int hold, status;
	pid_t pid = fork_child(0, &hold);

	assert_int_equal(loop_child(*state, pid, on_ended, &e, &err), 0);
	loop_free(*state);
	*state = NULL;
	release(hold);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(e.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_signals),
		LOOP_TEST(test_children),
		LOOP_TEST(test_child_dead_already),
		LOOP_TEST(test_child_reaped_elsewhere),
		LOOP_TEST(test_child_left_at_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
