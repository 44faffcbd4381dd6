/*
 * backend: what boxes are made of, behind one interface.
 *
 * The launch (launch.h) calls these in the order given here and decides everything else; a backend
 * decides nothing that the plan does not say. Each call returns when its work is done, runs at the
 * same time what does not depend on each other, and serves the loop while it waits.
 *
 * Undoing is by identity, not by what was created: remove_boxes and remove_networks find every
 * object of the identity, so that they are right after a failure at any point.
 */
#ifndef BOTTLE_BACKEND_BACKEND_H
#define BOTTLE_BACKEND_BACKEND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/schema.h"
#include "manifest/plan.h"
#include "sys/loop.h"
#include "sys/proc.h"

/* Where our own program lies in the agent's box. */
#define BACKEND_AGENT_BINARY "/.bottle/bottle"
/* Where skills wait until provisioning knows the user's home. */
#define BACKEND_AGENT_SKILLS "/.bottle/skills"

struct backend;

struct backend_ops {
	const char *name;

	/* Is it there and fit, what is in it already. E_IO, E_DENIED, E_NOTFOUND say how to mend. */
	int (*open)(struct backend *b, const struct plan *p, struct err *err);
	/* After open: is an object of this name there? */
	bool (*has_name)(const struct backend *b, const char *name);
	/* After open: what this launch will have to make first, a word or two, or NULL. */
	const char *(*missing)(const struct backend *b, const struct plan *p);
	/* Networks and images. */
	int (*prepare)(struct backend *b, const struct plan *p, struct err *err);
	/* All boxes, complete but not running, with the work tree and our program in the agent's. */
	int (*create)(struct backend *b, const struct plan *p, struct err *err);
	/*
	 * Starts a created box (again). Its standard streams are the pipes of *ret; the box ends
	 * when its input is closed.
	 */
	int (*start)(struct backend *b, const struct plan_box *box, struct proc *ret,
		     struct err *err);
	/* Address of a running box on the internal network, added to `ret`. */
	int (*address)(struct backend *b, const struct plan *p, const struct plan_box *box,
		       struct buf *ret, struct err *err);
	/* Runs our program in the agent's box, as its root: argv[0] is the applet. */
	int (*run_inside)(struct backend *b, const struct plan *p, const char *const *argv,
			  struct str input, struct buf *answer, struct err *err);
	/* The agent's command, with our standard streams. */
	int (*session)(struct backend *b, const struct plan *p, bool tty, struct proc *ret,
		       struct err *err);
	/* Everything with this identity; what is missing is fine. Not cancelled by `cancel`. */
	int (*remove_boxes)(struct backend *b, const char *identity, struct err *err);
	int (*remove_networks)(struct backend *b, const char *identity, struct err *err);
	/* Identities that have objects here, each once. */
	int (*identities)(struct backend *b, struct str_list *ret, struct err *err);
	/* The error of a started box that ended and said `said` (as err_set: -1). */
	int (*explain)(const struct backend *b, const char *what, struct str said, struct err *err);
	void (*free)(struct backend *b);
};

struct backend {
	const struct backend_ops *ops;
	struct loop *loop;
	const bool *cancel; /* becomes true when the operator wants to stop */
};

/*
 * Containers, by the engine's command line ($BOTTLE_ENGINE, default docker). `hide` are variables
 * of our environment that hold secrets: the engine's client does not get them.
 */
struct backend *backend_docker_new(struct loop *l, const bool *cancel, const struct str_list *hide);

static inline void backend_free(struct backend *b)
{
	if (b)
		b->ops->free(b);
}

#endif
