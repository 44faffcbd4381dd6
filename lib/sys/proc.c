/*
 * proc: fork, a little work that is safe after fork in a process with threads, exec.
 *
 * Everything that allocates happens before the fork. The child reports what failed over a pipe
 * that exec closes.
 */
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "sys/fd.h"

extern char **environ;

enum step { STEP_DIE_WITH_PARENT, STEP_GROUP, STEP_CWD, STEP_STDIO, STEP_DESCRIPTORS, STEP_EXEC };

/* For the others the path says enough. */
static const char *const step_names[] = {
	[STEP_DIE_WITH_PARENT] = "set the parent-death signal",
	[STEP_GROUP] = "make a process group",
	[STEP_STDIO] = "connect its standard streams",
	[STEP_DESCRIPTORS] = "close inherited descriptors (Linux 5.11 or newer is needed)",
};

struct failure {
	enum step step;
	int code; /* errno */
};

/* What the child needs, made before the fork. Descriptors are above 2, so that dup2 hits none. */
struct launch {
	const struct proc_spec *spec;
	const char *path; /* to execute */
	pid_t parent;
	int std[3];  /* what becomes 0, 1, 2; -1: inherited */
	int ours[3]; /* our ends of the pipes; -1: none */
	int report[2];
};

/* ---- before the fork ---- */

/* A copy above the standard descriptors when fd is one of them (a caller that has closed its own). */
static int above_stdio(int fd)
{
	int high;

	if (fd < 0 || fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	(void)close(fd);
	return high;
}

static int make_pipe(int ret[2], struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	fds[0] = above_stdio(fds[0]);
	fds[1] = above_stdio(fds[1]);
	if (fds[0] < 0 || fds[1] < 0) {
		(void)err_sys(err, "pipe");
		mem_close_p(&fds[0]);
		mem_close_p(&fds[1]);
		return -1;
	}
	ret[0] = fds[0];
	ret[1] = fds[1];
	return 0;
}

static int make_stdio(struct launch *l, int i, enum proc_io io, struct err *err)
{
	int fds[2];

	switch (io) {
	case PROC_INHERIT:
		return 0;
	case PROC_NULL:
		l->std[i] = above_stdio(open("/dev/null", O_RDWR | O_CLOEXEC));
		return l->std[i] < 0 ? err_sys(err, "/dev/null") : 0;
	case PROC_PIPE:
		if (make_pipe(fds, err) < 0)
			return -1;
		l->std[i] = i == 0 ? fds[0] : fds[1];
		l->ours[i] = i == 0 ? fds[1] : fds[0];
		return fd_nonblock(l->ours[i], true, err);
	}
	return err_set(err, E_BAD, "no such standard stream");
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mem_close_p(&fds[i]);
		fds[i] = -1;
	}
}

/* NULL: not there, or not a program; *ret_denied tells of a file that may not be executed. */
static char *program_in(struct str dir, const char *name, bool *ret_denied)
{
	auto_free char *d = str_dupz(dir);
	auto_free char *path = path_join(d, name);
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0) {
		*ret_denied = true;
		return NULL;
	}
	return steal(&path);
}

/*
 * Relative entries of PATH are passed over, the empty one too: we are run in work trees of others,
 * and those must not choose what we execute.
 */
static char *find_program(const char *name, struct err *err)
{
	const char *env = getenv("PATH");
	struct str rest = str_of(env ? env : "/usr/local/bin:/usr/bin:/bin"), dir;
	bool denied = false;

	if (!name || !*name) {
		(void)err_set(err, E_BAD, "a program without a name");
		return NULL;
	}
	if (strchr(name, '/'))
		return mem_strdup(name);
	while (str_split(&rest, ':', &dir)) {
		char *path = dir.n > 0 && dir.p[0] == '/' ? program_in(dir, name, &denied) : NULL;

		if (path)
			return path;
	}
	if (denied)
		(void)err_set(err, E_DENIED, "%s: found in PATH, but not executable", name);
	else
		(void)err_set(err, E_NOTFOUND, "%s: not found in PATH", name);
	return NULL;
}

/*
 * A parent that ignores SIGCHLD hands that down to us, and then the kernel reaps our children and
 * forgets how they ended.
 */
static void keep_exit_statuses(void)
{
	struct sigaction sa;

	if (sigaction(SIGCHLD, NULL, &sa) == 0 &&
	    (sa.sa_handler == SIG_IGN || (sa.sa_flags & SA_NOCLDWAIT)))
		(void)signal(SIGCHLD, SIG_DFL);
}

/* ---- in the child ---- */

static _Noreturn void child_fail(const struct launch *l, enum step step)
{
	struct failure f = { .step = step, .code = errno };

	(void)!write(l->report[1], &f, sizeof(f));
	_exit(127);
}

static void child_group(const struct launch *l)
{
	int tty;

	if (!(l->spec->flags & PROC_NEW_GROUP))
		return;
	if (setpgid(0, 0) < 0)
		child_fail(l, STEP_GROUP);
	if (!(l->spec->flags & PROC_FOREGROUND))
		return;
	/* No terminal: nobody to compete with. SIGTTOU is blocked here, so this does not stop us. */
	tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty >= 0 && tcsetpgrp(tty, getpid()) < 0)
		child_fail(l, STEP_GROUP);
	if (tty >= 0)
		(void)close(tty);
}

/* exec resets handlers but keeps SIG_IGN: a child would inherit our ignored SIGPIPE. */
static void child_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < _NSIG; s++)
		(void)sigaction(s, &sa, NULL); /* KILL, STOP and the library's own are refused */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* execve takes char *const * for history's sake and does not write. */
static char *const *exec_vector(const char *const *v)
{
	return (char *const *)(uintptr_t)v;
}

static _Noreturn void child(const struct launch *l)
{
	const struct proc_spec *spec = l->spec;

	if (!(spec->flags & PROC_DETACH)) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			child_fail(l, STEP_DIE_WITH_PARENT);
		/* It may have died before it could be told: nobody is left to report to. */
		if (getppid() != l->parent)
			_exit(127);
	}
	child_group(l);
	if (spec->cwd && chdir(spec->cwd) < 0)
		child_fail(l, STEP_CWD);
	for (int i = 0; i < 3; i++)
		if (l->std[i] >= 0 && dup2(l->std[i], i) < 0)
			child_fail(l, STEP_STDIO);
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		child_fail(l, STEP_DESCRIPTORS);
	child_signals();
	(void)execve(l->path, exec_vector(spec->argv),
		     spec->envp ? exec_vector(spec->envp) : environ);
	child_fail(l, STEP_EXEC);
}

/* ---- the parent again ---- */

static int report_failure(const struct launch *l, const struct failure *f, struct err *err)
{
	errno = f->code;
	if (f->step == STEP_EXEC)
		return file_err(err, l->path);
	if (f->step == STEP_CWD) {
		(void)file_err(err, l->spec->cwd);
		return err_wrap(err, "%s", l->spec->argv[0]);
	}
	return err_sys(err, "%s: %s", l->spec->argv[0], step_names[f->step]);
}

/* Waits until the child has executed its program, or has said why not. */
static int await_exec(struct launch *l, pid_t pid, struct err *err)
{
	struct failure f;
	ssize_t n;

	close_all(&l->report[1], 1);
	do
		n = read(l->report[0], &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(f))
		return err_set(err, E_CHILD, "%s: no report from the child", l->spec->argv[0]);
	return report_failure(l, &f, err);
}

/* Signals stay blocked from before the fork to the child's exec: none of our handlers runs in it. */
static pid_t start(struct launch *l, struct err *err)
{
	sigset_t all, old;
	pid_t pid;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child(l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_sys(err, "fork");
	return await_exec(l, pid, err) < 0 ? -1 : pid;
}

int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err *err)
{
	const enum proc_io io[3] = { spec->in, spec->out, spec->err };
	struct launch l = { .spec = spec,
			    .parent = getpid(),
			    .std = { -1, -1, -1 },
			    .ours = { -1, -1, -1 },
			    .report = { -1, -1 } };
	char *path = find_program(spec->argv[0], err);
	pid_t pid = -1;

	if (!path)
		return -1;
	l.path = path;
	for (int i = 0; i < 3; i++)
		if (make_stdio(&l, i, io[i], err) < 0)
			goto out;
	if (make_pipe(l.report, err) < 0)
		goto out;
	keep_exit_statuses();
	pid = start(&l, err);
out:
	free(path);
	close_all(l.std, 3);
	close_all(l.report, 2);
	if (pid < 0) {
		close_all(l.ours, 3);
		return -1;
	}
	*ret = (struct proc){ .pid = pid, .in = l.ours[0], .out = l.ours[1], .err = l.ours[2] };
	return 0;
}

int proc_retake_terminal(struct err *err)
{
	auto_close int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	sigset_t ttou, old;
	int rc = 0;

	if (tty < 0)
		return 0;
	/* From the background this would stop us, but for a process that blocks the signal. */
	(void)sigemptyset(&ttou);
	(void)sigaddset(&ttou, SIGTTOU);
	(void)pthread_sigmask(SIG_BLOCK, &ttou, &old);
	if (tcsetpgrp(tty, getpgrp()) < 0)
		rc = err_sys(err, "take back the terminal");
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

/* ---- wait statuses ---- */

static const char *signal_name(int signo)
{
	static const char *const names[] = {
		[SIGHUP] = "HUP",   [SIGINT] = "INT",   [SIGQUIT] = "QUIT", [SIGILL] = "ILL",
		[SIGTRAP] = "TRAP", [SIGABRT] = "ABRT", [SIGBUS] = "BUS",   [SIGFPE] = "FPE",
		[SIGKILL] = "KILL", [SIGUSR1] = "USR1", [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
		[SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM", [SIGXCPU] = "XCPU",
		[SIGXFSZ] = "XFSZ", [SIGSYS] = "SYS",
	};
	const char *name = signo > 0 && (size_t)signo < ARRAY_LEN(names) ? names[signo] : NULL;

	return name ? name : "?";
}

void proc_status_text(int wait_status, char *buf, size_t size)
{
	if (WIFSIGNALED(wait_status))
		(void)snprintf(buf, size, "killed by signal %d (%s)", WTERMSIG(wait_status),
			       signal_name(WTERMSIG(wait_status)));
	else
		(void)snprintf(buf, size, "exit status %d", WEXITSTATUS(wait_status));
}

int proc_exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
