/*
 * proc: children by argument vectors, never through a shell.
 *
 * An exec that fails is an error of proc_spawn itself (reported over a close-on-exec pipe), not an
 * exit status 127. Children get an empty signal mask, default dispositions, no inherited descriptor
 * but those asked for, and die with us (PR_SET_PDEATHSIG, SIGKILL) unless PROC_DETACH. "With us" is
 * with the thread that spawned them: the main one. The kernel drops this for set-user-id programs.
 */
#ifndef BOTTLE_SYS_PROC_H
#define BOTTLE_SYS_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define PROC_DETACH 0x1u    /* may outlive us */
#define PROC_NEW_GROUP 0x2u /* own process group: a terminal's Ctrl-C does not reach it */
/*
 * With PROC_NEW_GROUP: becomes the foreground group of our terminal, if there is one. When it has
 * ended, proc_retake_terminal makes us that again.
 */
#define PROC_FOREGROUND 0x4u

enum proc_io {
	PROC_INHERIT, /* our own descriptor */
	PROC_NULL,    /* /dev/null */
	PROC_PIPE,    /* a pipe; our end, non-blocking and close-on-exec, in struct proc */
};

struct proc_spec {
	/*
	 * NULL-terminated. argv[0] is looked up in our PATH when it has no '/'; entries of PATH
	 * that are not absolute are passed over. With a '/' it is relative to cwd.
	 */
	const char *const *argv;
	const char *const *envp;   /* NULL: ours */
	const char *cwd;           /* NULL: ours */
	enum proc_io in, out, err; /* stdio; zero = inherit */
	unsigned flags;
};

struct proc {
	pid_t pid;
	int in, out, err; /* our pipe ends or -1 */
};

/*
 * Returns when the program runs. E_NOTFOUND, E_DENIED when it (or cwd) is not there or may not be
 * used, else E_SYS. The child is the caller's to reap (loop_child, waitpid), the pipe ends to close.
 * Writing to proc.in after the child has closed it raises SIGPIPE: ignore that signal, or proc_run.
 */
int proc_spawn(const struct proc_spec *spec, struct proc *ret, struct err *err)
	__attribute__((warn_unused_result));

/* Makes our own process group the terminal's foreground group again. No terminal: nothing. */
int proc_retake_terminal(struct err *err);

/* "exit status 3" / "killed by signal 9 (KILL)" */
void proc_status_text(int wait_status, char *buf, size_t size);
/* Shell convention: exit status, or 128 + signal. */
int proc_exit_code(int wait_status);

/*
 * Runs to the end: feeds `input` to stdin, collects stdout into `out` and stderr into `errout`
 * (NULL: dropped; they may be the same; each bounded by its buffer's maximum — more output than
 * that is an error, E_LIMIT), at most timeout_ms (-1: no limit; then E_TIMEOUT). spec's own
 * in/out/err and PROC_FOREGROUND are not used. On those errors the child is killed, with
 * PROC_NEW_GROUP its whole group. Returns 0 when it ran and was reaped; *ret_status has the wait
 * status. What it leaves running in the background is not waited for. Blocking; not for use inside
 * the loop.
 */
int proc_run(const struct proc_spec *spec, struct str input, struct buf *out, struct buf *errout,
	     int timeout_ms, int *ret_status, struct err *err) __attribute__((warn_unused_result));

#endif
