/*
 * agent: a named purpose: a system prompt, skills, and the bottle it runs in (spec 1.4).
 *
 *   NAME     $BOTTLE_HOME/agents/NAME.md, the operator's own
 *   ./NAME   $CWD/.bottle/agents/NAME.md, shipped by a repository
 *
 * The two never shadow each other: the spelling says which is meant. A repository's file is
 * written by somebody else, so no component of .bottle/agents/NAME.md may be a symlink, and its
 * bottle must say `repository_agents: true` (manifest.h checks).
 */
#ifndef BOTTLE_MANIFEST_AGENT_H
#define BOTTLE_MANIFEST_AGENT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/schema.h"
#include "manifest/home.h"
#include "manifest/notes.h"

struct agent {
	char *name;      /* without "./" */
	char *file;      /* where it was read from */
	bool repository; /* asked for as ./NAME */
	char *bottle;    /* name of its bottle */
	int bottle_line, bottle_col;
	struct str_list skills; /* directories under ~/.claude/skills, [a-z0-9_-]+ */
	char *description; /* Claude Code's field, for lists; NULL when absent or not a string */
	char *prompt;      /* the body; "" when empty */
};

/*
 * `spec` is NAME or ./NAME. E_NOTFOUND says where it looked, offers the nearest name, and points
 * at `./NAME` when only the repository has one. Freed with agent_free.
 */
struct agent *agent_load(const struct home *h, const char *spec, const char *cwd, struct err *err)
	__attribute__((warn_unused_result));

/* From text of `file`. */
struct agent *agent_parse(const char *name, struct str text, const char *file, bool repository,
			  struct err *err) __attribute__((warn_unused_result));

void agent_free(struct agent *a);
static inline void agent_free_p(struct agent **a)
{
	agent_free(*a);
}
#define auto_agent __attribute__((cleanup(agent_free_p)))

extern const struct schema agent_schema;

#endif
