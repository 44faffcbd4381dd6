/*
 * proc_run: a child from its start to its end, without a loop.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sys/proc.h"

struct run {
	const char *name;
	struct proc p;
	int pidfd;
	struct str input; /* what is left of it */
	struct buf *out, *errout;
	int timeout_ms;
	int64_t deadline_ms;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void close_end(int *fd)
{
	mem_close_p(fd);
	*fd = -1;
}

/* write(2) that does not raise SIGPIPE, whatever this process does about that signal. */
static ssize_t write_quietly(int fd, struct str s)
{
	const struct timespec none = { 0 };
	sigset_t sigpipe, pending, old;
	bool was_pending;
	ssize_t n;
	int code;

	(void)sigemptyset(&sigpipe);
	(void)sigaddset(&sigpipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
	was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
	n = write(fd, s.p, s.n);
	code = errno;
	if (n < 0 && code == EPIPE && !was_pending)
		while (sigtimedwait(&sigpipe, NULL, &none) < 0 && errno == EINTR)
			;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = code;
	return n;
}

/* A child that does not want all of its input is no error. */
static int feed(struct run *r, struct err *err)
{
	ssize_t n = write_quietly(r->p.in, r->input);

	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE)
		return err_sys(err, "%s: write to it", r->name);
	if (n > 0)
		r->input = str_from(r->input, (size_t)n);
	if (r->input.n == 0 || (n < 0 && errno == EPIPE))
		close_end(&r->p.in);
	return 0;
}

/* One read. 1: there may be more; 0: not now, or (then *fd is -1) never again. */
static int take(struct run *r, int *fd, struct buf *b, struct err *err)
{
	size_t room = buf_room(b);
	char extra, *p = &extra;
	ssize_t n;

	/* Full: one byte more tells an exact fit from too much. */
	if (room > FD_READ_SIZE)
		room = FD_READ_SIZE;
	if (room > 0 && !(p = buf_reserve(b, room, err)))
		return -1;
	n = read(*fd, p, room > 0 ? room : 1);
	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return err_sys(err, "%s: read its output", r->name);
	if (n == 0) {
		close_end(fd);
		return 0;
	}
	if (room == 0)
		return err_set(err, E_LIMIT, "%s: more than %zu bytes of output", r->name, b->max);
	buf_commit(b, (size_t)n);
	return 1;
}

/*
 * All that the ended child has written is in the pipes. Their end need not come: something that it
 * left in the background may hold them open.
 */
static int drain(struct run *r, struct err *err)
{
	int rc;

	while (r->p.out >= 0 && (rc = take(r, &r->p.out, r->out, err)) != 0)
		if (rc < 0)
			return -1;
	while (r->p.err >= 0 && (rc = take(r, &r->p.err, r->errout, err)) != 0)
		if (rc < 0)
			return -1;
	return 0;
}

/* Milliseconds for poll: -1 for ever, 0 when the time is up. */
static int time_left(const struct run *r)
{
	int64_t left;

	if (r->timeout_ms < 0)
		return -1;
	left = r->deadline_ms - now_ms();
	return left > 0 ? (int)left : 0;
}

/* Until the child has ended. */
static int exchange(struct run *r, struct err *err)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = r->p.in, .events = POLLOUT },
					{ .fd = r->p.out, .events = POLLIN },
					{ .fd = r->p.err, .events = POLLIN },
					{ .fd = r->pidfd, .events = POLLIN } };
		int n = poll(fds, ARRAY_LEN(fds), time_left(r));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "poll");
		if (fds[3].revents)
			return drain(r, err);
		if (time_left(r) == 0)
			return err_set(err, E_TIMEOUT, "%s: no end after %d ms", r->name,
				       r->timeout_ms);
		if (fds[0].revents && feed(r, err) < 0)
			return -1;
		if (fds[1].revents && take(r, &r->p.out, r->out, err) < 0)
			return -1;
		if (fds[2].revents && take(r, &r->p.err, r->errout, err) < 0)
			return -1;
	}
}

int proc_run(const struct proc_spec *spec, struct str input, struct buf *out, struct buf *errout,
	     int timeout_ms, int *ret_status, struct err *err)
{
	struct proc_spec s = *spec;
	struct run r = { .name = spec->argv[0],
			 .input = input,
			 .out = out,
			 .errout = errout,
			 .timeout_ms = timeout_ms,
			 .deadline_ms = now_ms() + timeout_ms };
	int rc, status;

	s.flags &= ~PROC_FOREGROUND;
	s.in = input.n > 0 ? PROC_PIPE : PROC_NULL;
	s.out = out ? PROC_PIPE : PROC_NULL;
	s.err = errout ? PROC_PIPE : PROC_NULL;
	if (proc_spawn(&s, &r.p, err) < 0)
		return -1;
	r.pidfd = (int)syscall(SYS_pidfd_open, r.p.pid, 0);
	rc = r.pidfd < 0 ? err_sys(err, "pidfd_open") : exchange(&r, err);
	if (rc < 0)
		(void)kill(s.flags & PROC_NEW_GROUP ? -r.p.pid : r.p.pid, SIGKILL);
	close_end(&r.p.in);
	close_end(&r.p.out);
	close_end(&r.p.err);
	close_end(&r.pidfd);
	while (waitpid(r.p.pid, &status, 0) < 0)
		if (errno != EINTR)
			return rc < 0 ? rc : err_sys(err, "%s: its exit status", r.name);
	if (rc == 0)
		*ret_status = status;
	return rc;
}
