/*
 * home: the operator's directory of bottles and agents, and what lies in it.
 *
 * $BOTTLE_HOME, by default ~/.bottle. Bottles come from here only; agents from here or, when asked
 * for as `./NAME`, from the working directory (agent.h).
 */
#ifndef BOTTLE_MANIFEST_HOME_H
#define BOTTLE_MANIFEST_HOME_H

#include <stdbool.h>

#include "base/err.h"
#include "base/schema.h"
#include "base/str.h"
#include "manifest/notes.h"

/*
 * The host's environment behind a function, so that a plan is a pure function and tests need no
 * setenv. The result of `get` is borrowed and NULL when the variable is unset.
 */
struct host_env {
	const char *(*get)(void *user, const char *name);
	void *user;
};
/* The environment of this process. */
extern const struct host_env host_env_process;
static inline const char *host_env_get(const struct host_env *e, const char *name)
{
	return e->get(e->user, name);
}

struct home {
	char *dir;  /* absolute; need not exist */
	char *user; /* $HOME, absolute; what "~/" means */
};

/*
 * Finds the directory; does not create it. E_BAD when neither BOTTLE_HOME nor HOME is an absolute
 * path. When it does not exist but a home of the predecessor does (~/claude-bottle.json,
 * ~/.claude-bottle, ~/.bot-bottle, ~/bot-bottle.json): E_BAD, and `notes->recipe` says how to move.
 */
int home_find(const struct host_env *env, struct home *ret, struct notes *notes, struct err *err)
	__attribute__((warn_unused_result));
void home_fini(struct home *h);
#define auto_home __attribute__((cleanup(home_fini))) struct home

/*
 * Names of the manifests in `dir` ("…/agents"), sorted, without ".md". Names that do not match
 * [a-z][a-z0-9-]* and other files are skipped with a warning; a missing directory is an empty list.
 */
int home_list(const char *dir, struct str_list *ret, struct notes *notes, struct err *err)
	__attribute__((warn_unused_result));

/* [a-z][a-z0-9-]*, at most MANIFEST_NAME_MAX bytes. */
bool manifest_name_ok(struct str name);

/*
 * "~/x" under the user's home, an absolute path as it is, anything else relative to the directory
 * of `file`. Heap. "~user" is E_BAD.
 */
char *home_resolve(const struct home *h, const char *file, const char *path, struct err *err)
	__attribute__((warn_unused_result));

#endif
