/*
 * sandbox: what a process gives up before it meets bytes from outside, one function per role.
 */
#ifndef BOTTLE_SYS_SANDBOX_H
#define BOTTLE_SYS_SANDBOX_H

#include "base/err.h"

/*
 * Any process that holds secrets: no core dump, not ptraceable, no new privileges (PR_SET_DUMPABLE
 * 0, RLIMIT_CORE 0, PR_SET_NO_NEW_PRIVS).
 */
int sandbox_secrets(struct err *err) __attribute__((warn_unused_result));

/*
 * One that holds secrets and starts programs of the host, which may need privileges of their own
 * (newuidmap, sudo): no core dump, not ptraceable.
 */
int sandbox_launcher(struct err *err) __attribute__((warn_unused_result));

/* Process 1 of an agent's box: sandbox_secrets, and no capability. */
int sandbox_hold(struct err *err) __attribute__((warn_unused_result));

/* A proxy sidecar: sandbox_secrets, SIGPIPE ignored, descriptor limit raised to its hard maximum. */
int sandbox_proxy(struct err *err) __attribute__((warn_unused_result));

#endif
