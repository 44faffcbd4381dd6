/* What the tests of lib/backend share: a home with a plan, and a backend of ordinary processes. */
#ifndef TEST_BACKEND_SUPPORT_H
#define TEST_BACKEND_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/manifest.h"
#include "manifest/plan.h"

struct world {
	char *dir;
	struct home home; /* DIR/home */
	struct manifest manifest;
	struct plan *plan; /* of agent "a", identity "a-00000", command "true" */
	struct err err;
};

/* `command` runs in a shell; NULL: "true". */
void world_init(struct world *w, const char *command);
void world_fini(struct world *w);
/* A host environment in which nothing is set. */
const char *world_no_env(void *user, const char *name);
/* Content of a file below DIR; heap; NULL when there is none. */
char *world_read(const struct world *w, const char *path);
bool world_has(const struct world *w, const char *path);

/* A backend whose boxes are shell scripts. It writes down each operation: "prepare create …". */
struct fake {
	struct backend b;
	struct buf calls;
	const char *fail_at;   /* this operation fails */
	const char *cancel_at; /* sets *cancel, and succeeds */
	bool *cancel;
	const char
		*sidecar;  /* script; NULL: reads its bundle, is ready, waits for its lease's end */
	const char *agent; /* the same */
	const char *answer; /* of run_inside; NULL: {"ok":true} */
	struct buf inside;  /* what run_inside was given last */
	const char *taken;  /* every name that contains this is taken */
};
void fake_init(struct fake *f, struct loop *l, bool *cancel);
void fake_fini(struct fake *f);

#endif
