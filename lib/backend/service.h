/*
 * service: a box that runs beside the session, seen from the launcher.
 *
 * Its standard input is its bundle and then its lease: the box ends when it is closed, which the
 * kernel does for us however we die. Its standard output is lines (events of a sidecar), the first
 * of which says that it is ready; its standard error is kept for the message when it fails.
 */
#ifndef BOTTLE_BACKEND_SERVICE_H
#define BOTTLE_BACKEND_SERVICE_H

#include <stdbool.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sys/loop.h"
#include "sys/proc.h"

/* A whole line without its newline. False: it cannot be kept, and the service must not go on. */
typedef bool service_line_fn(void *arg, struct str line);

struct service {
	/* Set by the owner. */
	struct backend *backend;
	const struct plan_box *box;
	struct str bundle; /* what is fed first; borrowed, kept for restarts; may be secret */
	service_line_fn *on_line;
	void *arg;

	bool started; /* there is a child, or was one that nobody has collected */
	bool ready;   /* said so */
	bool ended;   /* reaped */
	int status;   /* wait status, when ended */
	bool broken;  /* a line was too long or could not be kept */

	/* service's own */
	struct proc proc;
	struct str unfed;
	struct loop_watch in, out, err;
	struct buf line, said;
	int64_t restarts[8]; /* times, newest last */
	size_t restart_count;
};

void service_init(struct service *s, struct backend *b, const struct plan_box *box,
		  struct str bundle, service_line_fn *on_line, void *arg);
void service_fini(struct service *s);

int service_start(struct service *s, struct err *err) __attribute__((warn_unused_result));

/*
 * Waits until all are ready. -1 when one ended before (with its own words), when time ran out, or
 * E_CANCELLED.
 */
int services_wait_ready(struct service *const *s, size_t n, const bool *cancel, struct err *err)
	__attribute__((warn_unused_result));

/* Closes its input and waits until it has ended; then it is killed. */
void service_stop(struct service *s);

/* Starts an ended one again; E_LIMIT when that was too often lately. */
int service_restart(struct service *s, struct err *err) __attribute__((warn_unused_result));

#endif
