/*
 * gitconfig: a repository's .git/config, fit to be given to an agent.
 *
 * Only what git needs to read the repository and what a remote's name points to is kept; a list of
 * what is dangerous would never be complete (credential helpers, hooks, filters, textconv,
 * fsmonitor and includes all run programs or read files). User information in URLs is cut out.
 */
#ifndef BOTTLE_BACKEND_GITCONFIG_H
#define BOTTLE_BACKEND_GITCONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Appends the kept part of `config` (git-config(1), "Syntax") to `out`. E_BAD when it cannot be
 * read: it is not passed on then.
 */
int gitconfig_scrub(struct str config, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
