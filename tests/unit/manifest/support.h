/* What the tests of lib/manifest share: a home of their own, a pretended environment. */
#ifndef TEST_MANIFEST_SUPPORT_H
#define TEST_MANIFEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manifest/manifest.h"
#include "manifest/plan.h"
#include "manifest/secrets.h"
#include "sys/fd.h"

/* A temporary directory: DIR/home is $BOTTLE_HOME, DIR/work a repository's working directory. */
struct world {
	char *dir;
	char *work;
	struct home home;
	struct manifest manifest;
	struct plan *plan;
	struct secrets secrets;
	struct notes notes;
	struct err err;
};

/* A test has one at a time, and is listed as WORLD_TEST: when it fails the directory goes as well. */
void world_init(struct world *w);
void world_fini(struct world *w);
int world_teardown(void **state);
#define WORLD_TEST(f) cmocka_unit_test_teardown(f, world_teardown)
/* Writes DIR/PATH, making directories. */
void world_write(const struct world *w, const char *path, const char *text);
/* "---\nHEAD---\nBODY" as home/bottles/NAME.md, home/agents/NAME.md. */
void world_bottle(const struct world *w, const char *name, const char *head);
void world_agent(const struct world *w, const char *name, const char *head, const char *body);
/* Writes the agent "dev" and the bottle "b", loads both to w->manifest; the plan of that. */
void world_load(struct world *w, const char *agent_head, const char *prompt,
		const char *bottle_head);
struct plan *world_plan(struct world *w, const struct plan_input *in);
/* The error's text with DIR replaced by "@"; lives until the next call. */
const char *world_error(const struct world *w);

/* A bottle from its frontmatter, of the file "b.md"; `notes` and `err` may be NULL. */
struct bottle *bottle_of(const char *head, struct notes *notes, struct err *err);

/* Compares and, when they differ, prints both; so that a table shows all that differs at once. */
bool same_text(const char *got, const char *want);

/* An environment of NAME, VALUE pairs that ends with NULL. */
struct host_env env_of(const char *const *pairs);

/* A file of the repository, relative to its root; heap. */
char *read_file(const char *path);

#endif
