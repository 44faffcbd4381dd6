/*
 * listen: accepting sockets.
 */
#ifndef BOTTLE_NET_LISTEN_H
#define BOTTLE_NET_LISTEN_H

#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"
#include "sys/loop.h"

struct listener; /* heap */

/* One accepted connection; the callee owns the descriptor (non-blocking, close-on-exec; for TCP as
 * filter_tune_tcp has it). */
typedef void listen_fn(void *arg, int fd, const struct addr *peer);

/*
 * SO_REUSEADDR; backlog SOMAXCONN. [::] takes IPv4 too (peers are told as IPv4), and is 0.0.0.0 on
 * a host without IPv6.
 *
 * Out of descriptors (EMFILE, ENFILE, ENOMEM): a reserve descriptor lets waiting connections be
 * accepted and closed, so that clients see a close, not a hang; then accepting pauses for
 * LISTEN_PAUSE_MS instead of spinning. listen_starved counts the connections closed so. The
 * callback may close the listener.
 */
struct listener *listen_tcp(struct loop *l, const struct addr *at, listen_fn *fn, void *arg,
			    struct err *err) __attribute__((warn_unused_result));
/* Unix stream socket, mode 0600; an existing socket at the path that nobody answers is replaced,
 * any other file is an error. */
struct listener *listen_unix(struct loop *l, const char *path, listen_fn *fn, void *arg,
			     struct err *err) __attribute__((warn_unused_result));
/* Lets fn have a word with each connection that is accepted only to be closed; it has closed the
 * descriptor, and not the listener, when it returns. */
void listen_on_starved(struct listener *ls, listen_fn *fn);
uint64_t listen_starved(const struct listener *ls);
/* Stops accepting, closes; removes the path of a Unix socket. */
void listen_close(struct listener *ls);
/* The bound address (port filled in). */
const struct addr *listen_addr(const struct listener *ls);

#endif
