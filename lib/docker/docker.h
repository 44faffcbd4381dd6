/*
 * docker: a container engine by its command line (docker, or podman by the same words).
 *
 * A call is an argument vector and a job. The functions of engine.h build one for each operation;
 * docker_run runs several at the same time. No secret ever is an argument or in an environment:
 * those go through standard input.
 *
 * What an engine says when it refuses is many lines in its own words. A failed call has one line
 * that names what was tried and, for the usual causes, how to mend it.
 */
#ifndef BOTTLE_DOCKER_DOCKER_H
#define BOTTLE_DOCKER_DOCKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "sys/job.h"
#include "sys/loop.h"

struct docker_call {
	struct job job;
	const char *what; /* for messages: "create network bottle-net-x"; heap */
	char **argv;      /* NULL-terminated, heap */
	size_t argc;
};

/* `program` is the engine's client; an option of it may not follow. `what` as printf. */
void docker_call_init(struct docker_call *c, const char *program, const char *what, ...)
	__attribute__((format(printf, 3, 4)));
void docker_call_fini(struct docker_call *c);
#define auto_call __attribute__((cleanup(docker_call_fini))) struct docker_call

void docker_arg(struct docker_call *c, const char *arg);
void docker_argf(struct docker_call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Runs them at the same time, until each has ended. -1 with the first failure in their order:
 * E_NOTFOUND (no such object, or no such program), E_EXISTS (name taken), E_DENIED (no permission
 * on the engine's socket), E_IO (no engine answers), E_TIMEOUT, E_CANCELLED, else E_CHILD.
 */
int docker_run(struct loop *l, struct docker_call *const *calls, size_t count, const bool *cancel,
	       struct err *err) __attribute__((warn_unused_result));

/* The same judgement for one that has run. 0 or -1. */
int docker_result(const struct docker_call *c, struct err *err) __attribute__((warn_unused_result));

/* What it printed, without white space at the ends. */
struct str docker_out(const struct docker_call *c);

/*
 * The error of `program` having ended with a failure and said `said`. Exposed for children that are
 * not jobs (an attached container).
 */
int docker_explain(const char *program, const char *what, struct str said, struct err *err);

#endif
