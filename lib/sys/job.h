/*
 * job: several children at the same time, waited for inside the loop.
 *
 * For work that other programs do (an engine's command line): output is captured and bounded, input
 * comes from memory or from a function, and because the wait is the loop's, signals and timers go
 * on being served.
 */
#ifndef BOTTLE_SYS_JOB_H
#define BOTTLE_SYS_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sys/loop.h"
#include "sys/proc.h"

/*
 * Appends the next piece of input to `out`, which is empty and takes JOB_FEED_MAX bytes: 1 when
 * there may be more, 0 at the end, -1 when it cannot go on (the child is killed then).
 */
typedef int job_feed_fn(void *arg, struct buf *out, struct err *err);

struct job {
	/* Set by the caller. */
	const char *const *argv;
	const char *const *envp; /* NULL: ours */
	struct str input;        /* fed to stdin; may be secret; borrowed until jobs_run returns */
	job_feed_fn *feed;       /* what follows `input`, in pieces; NULL: nothing */
	void *feed_arg;
	int timeout_ms; /* 0: none */
	bool keep; /* is not killed when the others are cancelled: what it does must be whole */

	/*
	 * Results. `err` is set when it could not be started, timed out, printed too much, lost its
	 * input or was cancelled.
	 */
	struct err err;
	int status; /* wait status; meaningful when err.code is E_NONE */
	struct buf out, errout;

	struct job_run *run; /* job's own */
};

/* Only `argv` is set; the buffers are empty. */
void job_init(struct job *j, const char *const *argv);
void job_fini(struct job *j);
/* It ran and exited with 0. */
bool job_ok(const struct job *j);

/*
 * Runs all of them at the same time and returns when each has ended. One that fails does not stop
 * the others. `*cancel` (may be NULL) is looked at after every round of the loop: once true, all
 * but those with `keep` are killed, and the result is E_CANCELLED. -1 only for that and for
 * failures of the loop itself: whether a job did its work is in the job.
 */
int jobs_run(struct loop *l, struct job *const *jobs, size_t count, const bool *cancel,
	     struct err *err) __attribute__((warn_unused_result));

#endif
