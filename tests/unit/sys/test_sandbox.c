#include "sys/sandbox.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What is given up cannot be had back, so each test gives it up in a child; 0 is success. */
static int in_child(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int check(int no_new_privs)
{
	struct rlimit core;

	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 3;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != no_new_privs)
		return 4;
	return 0;
}

static int secrets(void)
{
	return sandbox_secrets(NULL) < 0 ? 1 : check(1);
}

/* The programs that the launcher starts may need theirs. */
static int launcher(void)
{
	const int before = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

	return sandbox_launcher(NULL) < 0 ? 1 : check(before);
}

static int proxy(void)
{
	const struct rlimit low = { 20, 40 };
	struct rlimit files;
	int sv[2];

	if (setrlimit(RLIMIT_NOFILE, &low) < 0)
		return 10;
	if (sandbox_proxy(NULL) < 0)
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur != 40 || files.rlim_max != 40)
		return 11;
	/* a peer that has gone: an error, and we are still here */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0 || close(sv[1]) < 0)
		return 12;
	if (write(sv[0], "x", 1) != -1)
		return 13;
	return check(1);
}

static void test_secrets(void **state)
{
	(void)state;
	assert_int_equal(in_child(secrets), 0);
}

static void test_launcher(void **state)
{
	(void)state;
	assert_int_equal(in_child(launcher), 0);
}

static void test_proxy(void **state)
{
	(void)state;
	assert_int_equal(in_child(proxy), 0);
}

/* From the outside: an ordinary user, who may trace what is theirs, may not trace this. */
static int traced(bool with_sandbox)
{
	int fds[2];
	bool traceable;
	pid_t pid;
	char c;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 10;
	/* a change of user has made us undumpable already */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || pipe(fds) < 0)
		return 11;
	pid = fork();
	if (pid == 0) {
		if (with_sandbox && sandbox_secrets(NULL) < 0)
			_exit(1);
		(void)!write(fds[1], "x", 1);
		for (;;)
			(void)pause();
	}
	if (pid < 0 || read(fds[0], &c, 1) != 1)
		return 12;
	traceable = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
	(void)kill(pid, SIGKILL);
	return traceable;
}

static int trace_open(void)
{
	return traced(false);
}

static int trace_closed(void)
{
	return traced(true);
}

static void test_not_traceable(void **state)
{
	(void)state;
	if (in_child(trace_open) != 1)
		skip(); /* tracing is not permitted here at all */
	assert_int_equal(in_child(trace_closed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_launcher),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_not_traceable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
