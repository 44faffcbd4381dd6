/*
 * undo: what must be done to leave no trace, collected while a launch goes forward.
 *
 * Each step pushes its undo before it starts, since a step that fails may have done half of its
 * work; undoing what was never done is nothing. Run in reverse order, all of them, whatever fails.
 */
#ifndef BOTTLE_BACKEND_UNDO_H
#define BOTTLE_BACKEND_UNDO_H

#include <stddef.h>

#include "base/err.h"

#define UNDO_MAX 16

typedef int undo_fn(void *arg, struct err *err);

struct undo_item {
	undo_fn *fn;
	void *arg;
	const char *what; /* "remove networks" */
};

struct undo {
	struct undo_item v[UNDO_MAX];
	size_t n;
};

/* `what` is kept by reference. */
void undo_push(struct undo *u, undo_fn *fn, void *arg, const char *what);
/* 0, or -1 with the first error ("what: text") after all have run. The stack is empty afterwards. */
int undo_run(struct undo *u, struct err *err);

#endif
