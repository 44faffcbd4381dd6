/*
 * filter: the transport interface; a connection is a stack of filters.
 *
 * Every filter has the same few operations and talks to the one below it: tcp at the bottom, tls on
 * top, and whatever else is wanted between (a second hop is tcp + CONNECT + tls). All are
 * non-blocking. The owner of the stack drives it from one loop watch on the bottom descriptor:
 * filter_wants says which events to watch; filter_pending says that bytes wait inside the
 * stack, which poll cannot see.
 *
 * When an event comes, try again every operation that said FILTER_AGAIN or FILTER_NOT_YET: a read
 * may wait for the socket to become writable and the other way round. A write that said
 * FILTER_AGAIN is tried again with the same bytes first in line; more may have been added behind
 * them.
 */
#ifndef BOTTLE_NET_FILTER_H
#define BOTTLE_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Results of filter_read and filter_write besides a positive count of bytes. */
#define FILTER_EOF 0    /* read: the peer ended its direction in order (TLS: close_notify) */
#define FILTER_ERROR -1 /* err is set; after a write what has come can still be read */
#define FILTER_AGAIN -2 /* nothing now; watch filter_wants */

enum filter_ready { FILTER_NOT_YET, FILTER_READY, FILTER_FAILED };

struct filter;

/* `n` is never 0 in read and write. */
struct filter_ops {
	const char *name;
	/* Brings this filter up (TCP connect, TLS handshake). Called until it is not
	 * FILTER_NOT_YET. The stack below is ready. NULL: ready at once. */
	enum filter_ready (*handshake)(struct filter *f, struct err *err);
	ssize_t (*read)(struct filter *f, void *p, size_t n, struct err *err);
	ssize_t (*write)(struct filter *f, const void *p, size_t n, struct err *err);
	/* Ends our direction (TCP shutdown, TLS close_notify). FILTER_NOT_YET: call again when
	 * writable. A filter with an end of its own does not go on to the one below. */
	enum filter_ready (*shutdown)(struct filter *f, struct err *err);
	/* Bytes wait in this filter. NULL: never. */
	bool (*pending)(const struct filter *f);
	/* LOOP_READ/LOOP_WRITE needed to go on with the operation that said AGAIN / NOT_YET; 0 when
	 * none did. NULL: what the filter below wants. */
	unsigned (*wants)(const struct filter *f);
	void (*free)(struct filter *f); /* frees this filter only */
};

struct filter {
	const struct filter_ops *ops;
	struct filter *below; /* NULL at the bottom */
	bool ready;
};

/* A TCP (or Unix) socket that is connected, or with a connect(2) in progress. Owns fd. */
struct filter *filter_tcp(int fd, bool connecting);
int filter_fd(const struct filter *top);
/*
 * What the kernel counts for a TCP socket: bytes ever, TLS and all, and how long nothing has moved.
 * Zeros where it does not tell.
 */
struct tcp_usage {
	uint64_t bytes_in, bytes_out;
	int64_t idle_ms;
};
struct tcp_usage filter_tcp_usage(int fd);
/*
 * What every TCP socket of ours has: TCP_NODELAY; a bound on what the kernel queues for a peer that
 * does not read (by default 4 MiB, which count for our container), not on what is on its way; and
 * keep-alive probes, so that a peer that is gone without a word does not hold an idle tunnel for
 * its whole hour. No TCP_USER_TIMEOUT: it would end a peer that merely does not read for as long.
 * Accepted sockets have it from their listener.
 */
void filter_tune_tcp(int fd);

/* Brings the whole stack up, from the bottom. */
enum filter_ready filter_handshake(struct filter *top, struct err *err);
/*
 * A count of bytes, or FILTER_EOF, FILTER_ERROR, FILTER_AGAIN. n > 0. The stack is up. Less than n
 * is all that there was, unless filter_pending.
 */
ssize_t filter_read(struct filter *top, void *p, size_t n, struct err *err);
/* A count of bytes (> 0), or FILTER_ERROR, FILTER_AGAIN. n > 0. */
ssize_t filter_write(struct filter *top, const void *p, size_t n, struct err *err);
/*
 * Ends our direction, to be read as FILTER_EOF by the peer; reading goes on. Of a TLS stack it sends
 * close_notify and leaves the socket open both ways. Again after FILTER_READY: nothing happens.
 */
enum filter_ready filter_shutdown(struct filter *top, struct err *err);
/* filter_read may have something to return without another event; not after it said AGAIN. */
bool filter_pending(const struct filter *top);
unsigned filter_wants(const struct filter *top);
/* Frees the stack and closes the descriptor. NULL is fine. */
void filter_free(struct filter *top);

/*
 * Bytes that were read from `below` before a filter was put on it (a TLS hello that was peeked at)
 * are given back here; they are read first. Copies. Takes over `below`.
 */
struct filter *filter_unread(struct filter *below, const void *p, size_t n);

/*
 * Non-blocking connect; TCP_NODELAY. 0 with *ret_fd for filter_tcp(fd, true), whose handshake tells
 * the outcome; -1 when it failed at once (no such network, refused on loopback).
 */
int filter_connect_socket(const void *sockaddr, unsigned socklen, int *ret_fd, struct err *err)
	__attribute__((warn_unused_result));

#endif
