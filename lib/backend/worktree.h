/*
 * worktree: the host's directories that are copied into the agent's box, as archives.
 *
 * The working directory (--cwd) goes to the plan's work directory, each skill to
 * BACKEND_AGENT_SKILLS. Of a git repository the configuration is rewritten on the way
 * (gitconfig.h), and hooks are left behind: both run programs and may hold credentials.
 */
#ifndef BOTTLE_BACKEND_WORKTREE_H
#define BOTTLE_BACKEND_WORKTREE_H

#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"
#include "docker/tar.h"
#include "manifest/plan.h"

struct worktree {
	struct tar_tree *v[WORKTREES_MAX];
	size_t n;
};

int worktree_open(const struct plan *p, struct worktree *ret, struct err *err)
	__attribute__((warn_unused_result));
void worktree_fini(struct worktree *w);
#define auto_worktree __attribute__((cleanup(worktree_fini))) struct worktree

#endif
