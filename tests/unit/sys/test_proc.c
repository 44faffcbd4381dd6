#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sys/fd.h"
#include "dir_fixture.h"

#define SECONDS_30 30000

static struct err err;

/* Stands before the C library's: a child's parent may die just before the child asks to be told. */
static void (*before_pdeathsig)(void);

int prctl(int option, ...)
{
	unsigned long a[4];
	va_list ap;

	va_start(ap, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_PDEATHSIG && before_pdeathsig)
		before_pdeathsig();
	return (int)syscall(SYS_prctl, option, a[0], a[1], a[2], a[3]);
}

static int setup(void **state)
{
	err_clear(&err);
	before_pdeathsig = NULL;
	return dir_setup(state);
}

static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
}

static void put(const char *name, const char *text, mode_t mode)
{
	auto_free char *path = in_dir(name);

	assert_int_equal(file_write_atomic(path, str_of(text), mode, &err), 0);
}

/* stdout of a shell script, from a child made as `spec` says */
static char *shell(struct proc_spec spec, const char *script)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	auto_buf out = BUF_INIT(10000);
	int status;

	spec.argv = argv;
	assert_int_equal(proc_run(&spec, STR_NONE, &out, NULL, SECONDS_30, &status, &err), 0);
	assert_int_equal(status, 0);
	return buf_take(&out, NULL);
}

static void assert_shell(struct proc_spec spec, const char *script, const char *want)
{
	auto_free char *got = shell(spec, script);

	assert_string_equal(got, want);
}

/* ---- exec and what it needs ---- */

static void assert_no_spawn(const char *name, const char *cwd, enum err_code code, const char *text)
{
	const char *argv[] = { name, NULL };
	struct proc_spec spec = { .argv = argv, .cwd = cwd, .in = PROC_PIPE, .out = PROC_PIPE };
	struct proc p = { .pid = -7 };

	assert_int_equal(proc_spawn(&spec, &p, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, text));
	assert_int_equal(p.pid, -7);
	assert_no_child();
}

static size_t open_descriptors(void)
{
	struct dir_list l;
	size_t n;

	assert_int_equal(dir_list("/proc/self/fd", &l, &err), 0);
	n = l.count;
	dir_list_free(&l);
	return n;
}

static void test_exec_failures(void **state)
{
	auto_free char *old_path = mem_strdup(getenv("PATH"));
	auto_free char *no_shebang = in_dir("script");
	size_t before = open_descriptors();

	(void)state;
	assert_no_spawn("/no/such/program", NULL, E_NOTFOUND, "/no/such/program");
	assert_no_spawn("no-such-program", NULL, E_NOTFOUND, "not found in PATH");
	assert_no_spawn("", NULL, E_BAD, "without a name");
	assert_no_spawn(NULL, NULL, E_BAD, "without a name");
	assert_no_spawn("/bin/sh", "/no/such/dir", E_NOTFOUND, "/no/such/dir");

	/* never through a shell */
	put("script", "exit 0\n", 0755);
	assert_no_spawn(no_shebang, NULL, E_SYS, "script");

	assert_int_equal(setenv("PATH", dir, 1), 0);
	put("plain", "#!/bin/sh\n", 0644);
	assert_no_spawn("plain", NULL, E_DENIED, "not executable");
	assert_int_equal(setenv("PATH", old_path, 1), 0);
	assert_int_equal(open_descriptors(), before);
}

static int run(const char *name, const char *cwd)
{
	const char *argv[] = { name, NULL };
	struct proc_spec spec = { .argv = argv, .cwd = cwd };
	int status;

	if (proc_run(&spec, STR_NONE, NULL, NULL, SECONDS_30, &status, &err) < 0)
		return -1;
	return proc_exit_code(status);
}

static void test_path_lookup(void **state)
{
	auto_free char *old_path = mem_strdup(getenv("PATH"));
	auto_free char *second = in_dir("second");
	auto_free char *shadow = in_dir("first/prog");
	auto_free char *path = mem_printf("%s/missing:%s/first:%s", dir, dir, second);
	auto_free char *relative = mem_printf(".::second:%s", second);
	auto_close int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	/* a directory of that name does not count */
	assert_int_equal(dir_make(shadow, 0755, &err), 0);
	assert_int_equal(dir_make(second, 0755, &err), 0);
	put("second/prog", "#!/bin/sh\nexit 12\n", 0755);
	put("prog", "#!/bin/sh\nexit 66\n", 0755);
	put("trap", "#!/bin/sh\nexit 66\n", 0755);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(run("prog", NULL), 12);

	/* what lies where we stand is not run by accident, only when it is meant */
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(setenv("PATH", relative, 1), 0);
	assert_int_equal(run("prog", NULL), 12);
	assert_int_equal(run("trap", NULL), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(run("./trap", NULL), 66);
	assert_int_equal(run("./prog", second), 12);
	assert_int_equal(fchdir(here), 0);
	assert_int_equal(setenv("PATH", old_path, 1), 0);
}

static void test_cwd_and_environment(void **state)
{
	const char *envp[] = { "ONE=1", "TWO=with space", NULL };
	auto_free char *real = realpath(dir, NULL);
	auto_free char *want = mem_printf("%s\n", real);

	(void)state;
	assert_shell((struct proc_spec){ .cwd = dir }, "pwd -P", want);
	assert_shell((struct proc_spec){ .envp = envp }, "echo \"$ONE|$TWO|$HOME\"",
		     "1|with space|\n");
	assert_int_equal(setenv("BOTTLE_TEST", "inherited", 1), 0);
	assert_shell((struct proc_spec){ .cwd = NULL }, "echo $BOTTLE_TEST", "inherited\n");
	assert_int_equal(unsetenv("BOTTLE_TEST"), 0);
}

/* ---- what a child inherits ---- */

static void test_pipes(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "read x; echo \"out $x\"; echo err >&2", NULL };
	struct proc_spec spec = {
		.argv = argv, .in = PROC_PIPE, .out = PROC_PIPE, .err = PROC_PIPE
	};
	auto_buf out = BUF_INIT(100), errout = BUF_INIT(100);
	struct proc p;
	int status;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &p, &err), 0);
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? p.in : i == 1 ? p.out : p.err;

		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_int_equal(fd_nonblock(fd, false, &err), 0);
	}
	assert_int_equal(fd_write_all(p.in, STR("hello\n"), &err), 0);
	assert_int_equal(fd_read_all(p.out, &out, "out", &err), 0);
	assert_int_equal(fd_read_all(p.err, &errout, "err", &err), 0);
	assert_string_equal(buf_z(&out), "out hello\n");
	assert_string_equal(buf_z(&errout), "err\n");
	(void)close(p.in);
	(void)close(p.out);
	(void)close(p.err);
	assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
	assert_int_equal(status, 0);
}

static void test_inherited_and_null_streams(void **state)
{
	const char *argv[] = { "/bin/sh", "-c", "readlink /proc/self/fd/0 >&2; cat", NULL };
	struct proc_spec spec = { .argv = argv, .in = PROC_NULL, .out = PROC_NULL };
	auto_free char *path = in_dir("err");
	auto_buf got = BUF_INIT(100);
	int status, saved = fcntl(2, F_DUPFD_CLOEXEC, 3);
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct proc p;

	(void)state;
	assert_int_equal(dup2(file, 2), 2);
	assert_int_equal(proc_spawn(&spec, &p, &err), 0);
	assert_int_equal(dup2(saved, 2), 2);
	(void)close(saved);
	(void)close(file);
	assert_int_equal(p.in, -1);
	assert_int_equal(p.out, -1);
	assert_int_equal(p.err, -1);
	assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
	assert_int_equal(status, 0);
	assert_int_equal(file_read(path, &got, &err), 0);
	assert_string_equal(buf_z(&got), "/dev/null\n");
}

static void test_no_descriptor_leaks(void **state)
{
	int low = dup(0), high = dup2(0, 200);
	auto_free char *script =
		mem_printf("for n in %d %d; do "
			   "if test -e /proc/$$/fd/$n; then echo leaked $n; fi; done",
			   low, high);

	(void)state;
	assert_true(low > 2);
	assert_int_equal(high, 200);
	assert_shell((struct proc_spec){ .cwd = NULL }, script, "");
	(void)close(low);
	(void)close(high);
}

/* Our own standard streams closed: the pipes must not be mistaken for the child's. */
static void test_spawn_with_closed_stdio(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		const char *argv[] = { "/bin/sh", "-c", "cat; echo err >&2", NULL };
		struct proc_spec spec = { .argv = argv };
		struct buf out = BUF_INIT(100), errout = BUF_INIT(100);

		for (int fd = 0; fd <= 2; fd++)
			(void)close(fd);
		if (proc_run(&spec, STR("in"), &out, &errout, SECONDS_30, &status, &err) < 0)
			_exit(1);
		_exit(status != 0 || !str_eqz(buf_str(&out), "in") ||
		      !str_eqz(buf_str(&errout), "err\n"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A mask of /proc/self/status as a child sees it, without the signals that C libraries keep. */
static uint64_t child_mask(const char *field)
{
	const uint64_t reserved = UINT64_C(7) << 31; /* 32, 33, 34 */
	auto_free char *script =
		mem_printf("exec sed -n 's/^%s:[[:space:]]*//p' /proc/self/status", field);
	auto_free char *line = shell((struct proc_spec){ .cwd = NULL }, script);
	uint64_t mask;

	assert_int_equal(str_hex_to_u64(str_sub(str_of(line), 0, 16), UINT64_MAX, &mask), 0);
	return mask & ~reserved;
}

static void test_signals_reset(void **state)
{
	sigset_t mask, old, now;
	void (*pipe_action)(int) = signal(SIGPIPE, SIG_IGN);
	void (*hup_action)(int) = signal(SIGHUP, SIG_IGN);

	(void)state;
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGUSR1);
	assert_int_equal(sigprocmask(SIG_BLOCK, &mask, &old), 0);
	assert_int_equal(child_mask("SigBlk"), 0);
	assert_int_equal(child_mask("SigIgn"), 0);
	/* and ours are as they were */
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, &now), 0);
	assert_int_equal(sigismember(&now, SIGTERM), 1);
	assert_int_equal(sigismember(&now, SIGUSR1), 1);
	assert_int_equal(sigismember(&now, SIGINT), 0);
	assert_ptr_equal(signal(SIGPIPE, pipe_action), SIG_IGN);
	assert_ptr_equal(signal(SIGHUP, hup_action), SIG_IGN);
}

/* ---- whose death is whose ---- */

/*
 * Runs `body` in a process of its own, whose orphans come to us; the pid it returns is the
 * orphan's. Returns how the orphan ended, -1 when it still runs (then it is killed).
 */
static int orphan_status(pid_t (*body)(void))
{
	int fds[2], status;
	pid_t middle, orphan;
	siginfo_t info = { 0 };

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	middle = fork();
	assert_true(middle >= 0);
	if (middle == 0) {
		orphan = body();
		_exit(write(fds[1], &orphan, sizeof(orphan)) != sizeof(orphan));
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &orphan, sizeof(orphan)), sizeof(orphan));
	(void)close(fds[0]);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(status, 0);
	assert_true(orphan > 0);
	/* The signal of the middle's death was sent before we could reap it. */
	assert_int_equal(kill(orphan, SIGTERM), 0);
	assert_int_equal(waitid(P_PID, (id_t)orphan, &info, WEXITED), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
	return info.si_status;
}

static pid_t spawn_sleep(unsigned flags)
{
	const char *argv[] = { "sleep", "1000", NULL };
	struct proc_spec spec = { .argv = argv, .in = PROC_NULL, .flags = flags };
	struct proc p;

	return proc_spawn(&spec, &p, &err) < 0 ? -1 : p.pid;
}

static pid_t spawn_attached(void)
{
	return spawn_sleep(0);
}

static pid_t spawn_detached(void)
{
	return spawn_sleep(PROC_DETACH);
}

static void test_dies_with_us(void **state)
{
	(void)state;
	assert_int_equal(orphan_status(spawn_attached), SIGKILL);
	assert_int_equal(orphan_status(spawn_detached), SIGTERM);
}

static void kill_parent(void)
{
	pid_t parent = getppid();

	(void)kill(parent, SIGKILL);
	while (getppid() == parent)
		(void)sched_yield();
}

/* The kernel tells of a death that comes after the request only. */
static void test_parent_dead_before_the_request(void **state)
{
	auto_free char *path = in_dir("alive");
	siginfo_t info = { 0 };
	int status;
	pid_t middle;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	middle = fork();
	assert_true(middle >= 0);
	if (middle == 0) {
		const char *argv[] = { "touch", path, NULL };
		struct proc_spec spec = { .argv = argv };
		struct proc p;

		before_pdeathsig = kill_parent;
		_exit(proc_spawn(&spec, &p, &err) < 0);
	}
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED), 0); /* the orphan */
	assert_int_equal(info.si_status, 127);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static void test_groups(void **state)
{
	pid_t pid = spawn_sleep(0);

	(void)state;
	assert_int_equal(getpgid(pid), getpgrp());
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pid = spawn_sleep(PROC_NEW_GROUP);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(kill(-pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* In a session of its own, on the terminal `tty` (-1: none). Exit status 0 is success. */
static int foreground_session(int tty)
{
	pid_t pid;

	if (setsid() < 0 || (tty >= 0 && ioctl(tty, TIOCSCTTY, 0) < 0))
		return 1;
	if (tty >= 0 && tcgetpgrp(tty) != getpgrp())
		return 2;
	pid = spawn_sleep(PROC_NEW_GROUP | PROC_FOREGROUND);
	if (pid < 0)
		return 3;
	if (tty >= 0 && tcgetpgrp(tty) != pid)
		return 4;
	if (kill(pid, SIGKILL) < 0 || waitpid(pid, NULL, 0) != pid)
		return 5;
	if (proc_retake_terminal(&err) < 0)
		return 6;
	return tty >= 0 && tcgetpgrp(tty) != getpgrp() ? 7 : 0;
}

static void test_foreground(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	for (int with_tty = 0; with_tty < 2; with_tty++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(foreground_session(with_tty ? slave : -1));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	(void)close(slave);
	(void)close(master);
}

/* ---- wait statuses ---- */

static void assert_status(const char *script, int code, const char *text)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct proc_spec spec = { .argv = argv };
	char got[40];
	int status;

	assert_int_equal(proc_run(&spec, STR_NONE, NULL, NULL, SECONDS_30, &status, &err), 0);
	assert_int_equal(proc_exit_code(status), code);
	proc_status_text(status, got, sizeof(got));
	assert_string_equal(got, text);
}

static void test_statuses(void **state)
{
	char small[8];

	(void)state;
	assert_status("exit 0", 0, "exit status 0");
	assert_status("exit 3", 3, "exit status 3");
	assert_status("kill -KILL $$", 137, "killed by signal 9 (KILL)");
	assert_status("kill -TERM $$", 143, "killed by signal 15 (TERM)");
	assert_status("kill -40 $$", 168, "killed by signal 40 (?)");
	proc_status_text(0, small, sizeof(small));
	assert_string_equal(small, "exit st");
}

/* A parent of ours that ignored SIGCHLD hands that down. */
static void test_status_though_sigchld_ignored(void **state)
{
	struct sigaction nocldwait = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	(void)state;
	(void)signal(SIGCHLD, SIG_IGN);
	assert_status("exit 3", 3, "exit status 3");
	(void)sigaction(SIGCHLD, &nocldwait, NULL);
	assert_status("exit 4", 4, "exit status 4");
	(void)signal(SIGCHLD, SIG_DFL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exec_failures),
		TEST(test_path_lookup),
		TEST(test_cwd_and_environment),
		TEST(test_pipes),
		TEST(test_inherited_and_null_streams),
		TEST(test_no_descriptor_leaks),
		TEST(test_spawn_with_closed_stdio),
		TEST(test_signals_reset),
		TEST(test_dies_with_us),
		TEST(test_parent_dead_before_the_request),
		TEST(test_groups),
		TEST(test_foreground),
		TEST(test_statuses),
		TEST(test_status_though_sigchld_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
