/*
 * names: a free identity for a run (spec 1.3). Objects and the state directory are named by it.
 */
#ifndef BOTTLE_BACKEND_NAMES_H
#define BOTTLE_BACKEND_NAMES_H

#include "backend/backend.h"
#include "base/err.h"
#include "manifest/plan.h"

#define NAMES_LAST 99 /* identity, identity-2, … identity-99 */

/* Plans anew under this identity; the plan is the caller's. */
typedef const struct plan *names_plan_fn(void *arg, const char *identity, struct err *err);

/*
 * Calls `make` with `identity` and, as long as one of the plan's names is taken in the (open)
 * backend or under `home`, with the next one. 0 when the last plan made is free; E_EXISTS when all
 * are taken: 'bottle cleanup' helps.
 */
int names_take(const struct backend *b, const char *home, const char *identity, names_plan_fn *make,
	       void *arg, struct err *err) __attribute__((warn_unused_result));

#endif
