/*
 * inside: what our program does in the agent's box, before and as the session starts.
 *
 * inside_provision runs as the box's root with the document of provision.h, once; inside_hosts with
 * the same document when a sidecar has moved; inside_session as the agent. What the agent could
 * have prepared for root does not matter, since it has not run yet, but for inside_hosts, which
 * touches a file that only root may write.
 */
#ifndef BOTTLE_BACKEND_INSIDE_H
#define BOTTLE_BACKEND_INSIDE_H

#include "base/err.h"
#include "base/str.h"

/*
 * In order: the network is closed and the sidecars answer (probe.h); user, home, work directory;
 * CA; files of the bundle; skills; ~/.gitconfig; the environment file.
 */
int inside_provision(struct str document, struct err *err) __attribute__((warn_unused_result));

/* The sidecars' names in /etc/hosts. */
int inside_hosts(struct str document, struct err *err) __attribute__((warn_unused_result));

/*
 * Sets the environment that provisioning stored and executes `argv`. Returns only when that failed:
 * the shell's exit status for it (127 not found, 126 otherwise), with err set.
 */
int inside_session(char **argv, struct err *err) __attribute__((warn_unused_result));

#endif
