/*
 * listen: accepting sockets.
 */
#ifndef BOTTLE_NET_LISTEN_H
#define BOTTLE_NET_LISTEN_H

#include "base/err.h"
#include "net/addr.h"
#include "sys/loop.h"

struct listener; /* heap */

/* One accepted connection; the callee owns the descriptor (non-blocking, close-on-exec, TCP_NODELAY for TCP). */
typedef void listen_fn(void *arg, int fd, const struct addr *peer);

/*
 * SO_REUSEADDR; backlog SOMAXCONN. Out of descriptors (EMFILE/ENFILE/ENOMEM): accepting pauses for
 * a short time instead of spinning; a reserve descriptor lets one connection be accepted and closed so that
 * clients see a close, not a hang; `ret->starved` counts.
 */
struct listener *listen_tcp(struct loop *l, const struct addr *at, listen_fn *fn, void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* Unix stream socket, mode 0600; an existing socket at the path that nobody answers is replaced, any other file is an error. */
struct listener *listen_unix(struct loop *l, const char *path, listen_fn *fn, void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* Stops accepting, closes; removes the path of a Unix socket. */
void listen_close(struct listener *ls);
/* The bound address (port filled in). */
const struct addr *listen_addr(const struct listener *ls);

#endif
