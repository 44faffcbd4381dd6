#include "sys/job.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

/* One running child. */
struct job_run {
	struct job *job;
	struct proc proc;
	struct str input; /* what was not written yet, of job->input or of `piece` */
	struct buf piece;
	struct loop_watch in, out, err;
	struct loop_timer timer;
	bool exited;
};

void job_init(struct job *j, const char *const *argv)
{
	*j = (struct job){ .argv = argv,
			   .out = BUF_INIT(JOB_OUT_MAX),
			   .errout = BUF_INIT(JOB_ERR_MAX) };
}

void job_fini(struct job *j)
{
	buf_fini(&j->out);
	buf_fini(&j->errout);
}

bool job_ok(const struct job *j)
{
	return j->err.code == E_NONE && WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0;
}

static void close_pipe(struct loop_watch *w, int *fd)
{
	loop_unwatch(w);
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* It has ended when the child is reaped and both its outputs are at their end. */
static void check_end(struct job_run *r)
{
	if (!r->exited || r->proc.out >= 0 || r->proc.err >= 0)
		return;
	close_pipe(&r->in, &r->proc.in);
	loop_timer_stop(&r->timer);
	buf_fini(&r->piece);
	r->job->run = NULL;
	free(r);
}

/* Ends the child, with its group; the rest follows when it is reaped. What a grandchild still holds
 * open is not waited for. */
static void kill_run(struct job_run *r)
{
	if (!r->exited)
		(void)kill(-r->proc.pid, SIGKILL);
	close_pipe(&r->out, &r->proc.out);
	close_pipe(&r->err, &r->proc.err);
	check_end(r);
}

static void on_child(void *arg, pid_t pid, int status)
{
	struct job_run *r = arg;

	(void)pid;
	r->exited = true;
	r->job->status = status;
	check_end(r);
}

static void on_timeout(void *arg)
{
	struct job_run *r = arg;

	err_set(&r->job->err, E_TIMEOUT, "%s did not finish within %d s", r->job->argv[0],
		r->job->timeout_ms / 1000);
	kill_run(r);
}

/* The next piece of input: 1, 0 at the end, -1 with the job's error set. */
static int next_piece(struct job_run *r)
{
	struct job *j = r->job;
	int more;

	do {
		if (!j->feed)
			return 0;
		buf_clear(&r->piece);
		more = j->feed(j->feed_arg, &r->piece, &j->err);
		if (more <= 0)
			j->feed = NULL;
		if (more < 0)
			return -1;
		r->input = buf_str(&r->piece);
	} while (r->input.n == 0);
	return 1;
}

static void on_in(void *arg, unsigned events)
{
	struct job_run *r = arg;
	int more = r->input.n > 0 ? 1 : next_piece(r);
	ssize_t n;

	(void)events;
	if (more < 0) {
		kill_run(r);
		return;
	}
	if (more == 0) {
		close_pipe(&r->in, &r->proc.in);
		return;
	}
	n = write(r->proc.in, r->input.p, r->input.n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A child that does not want the rest says why in its exit status. */
	if (n < 0)
		close_pipe(&r->in, &r->proc.in);
	else
		r->input = str_from(r->input, (size_t)n);
}

static void on_out(void *arg, unsigned events)
{
	struct job_run *r = arg;
	struct job *j = r->job;
	char *room = buf_reserve(&j->out, JOB_READ_SIZE, NULL);
	ssize_t n;

	(void)events;
	if (!room) {
		err_set(&j->err, E_LIMIT, "%s printed more than %zu bytes", j->argv[0],
			JOB_OUT_MAX);
		kill_run(r);
		return;
	}
	n = read(r->proc.out, room, JOB_READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		buf_commit(&j->out, (size_t)n);
		return;
	}
	close_pipe(&r->out, &r->proc.out);
	check_end(r);
}

static void on_err(void *arg, unsigned events)
{
	struct job_run *r = arg;
	char chunk[KIB(4)];
	ssize_t n = read(r->proc.err, chunk, sizeof(chunk));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		/* The first words say what is wrong; the rest is read and dropped. */
		struct str kept = str_sub(str_mem(chunk, (size_t)n), 0, buf_room(&r->job->errout));

		if (buf_add(&r->job->errout, kept, NULL) == 0)
			return;
	}
	close_pipe(&r->err, &r->proc.err);
	check_end(r);
}

static int watch(struct loop *l, struct job_run *r, struct err *err)
{
	const struct proc *p = &r->proc;

	if (loop_watch(l, &r->out, p->out, LOOP_READ, on_out, r, err) < 0 ||
	    loop_watch(l, &r->err, p->err, LOOP_READ, on_err, r, err) < 0)
		return -1;
	return p->in < 0 ? 0 : loop_watch(l, &r->in, p->in, LOOP_WRITE, on_in, r, err);
}

static int start(struct loop *l, struct job *j, struct err *err)
{
	struct proc_spec spec = {
		.argv = j->argv,
		.envp = j->envp,
		.in = j->input.n > 0 || j->feed ? PROC_PIPE : PROC_NULL,
		.out = PROC_PIPE,
		.err = PROC_PIPE,
		.flags = PROC_NEW_GROUP, /* Ctrl-C is ours to act on */
	};
	struct job_run *r = mem_new(struct job_run);

	r->job = j;
	r->input = j->input;
	buf_init(&r->piece, JOB_FEED_MAX);
	if (proc_spawn(&spec, &r->proc, err) < 0) {
		free(r);
		return -1;
	}
	j->run = r;
	if (loop_child(l, r->proc.pid, on_child, r, err) < 0) {
		/* It cannot be waited for in the loop, so it is here. */
		(void)kill(-r->proc.pid, SIGKILL);
		while (waitpid(r->proc.pid, NULL, 0) < 0 && errno == EINTR)
			;
		r->exited = true;
		kill_run(r);
		return -1;
	}
	if (watch(l, r, err) < 0) {
		kill_run(r);
		return -1;
	}
	if (j->timeout_ms > 0)
		loop_timer(l, &r->timer, j->timeout_ms, on_timeout, r);
	return 0;
}

static void cancel_all(struct job *const *jobs, size_t count, bool all)
{
	for (size_t i = 0; i < count; i++) {
		if (!jobs[i]->run || (jobs[i]->keep && !all))
			continue;
		err_set(&jobs[i]->err, E_CANCELLED, "%s was stopped", jobs[i]->argv[0]);
		kill_run(jobs[i]->run);
	}
}

static bool any_runs(struct job *const *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (jobs[i]->run)
			return true;
	return false;
}

int jobs_run(struct loop *l, struct job *const *jobs, size_t count, const bool *cancel,
	     struct err *err)
{
	bool cancelled = false;

	for (size_t i = 0; i < count; i++)
		(void)start(l, jobs[i], &jobs[i]->err);
	while (any_runs(jobs, count)) {
		if (loop_once(l, -1, err) < 0) {
			cancel_all(jobs, count, true);
			return -1;
		}
		if (cancel && *cancel && !cancelled) {
			cancelled = true;
			cancel_all(jobs, count, false);
		}
	}
	return cancelled ? err_set(err, E_CANCELLED, "interrupted") : 0;
}
