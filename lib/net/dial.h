/*
 * dial: a TCP connection to whichever of several addresses answers (RFC 8305, "happy eyeballs").
 *
 * The addresses are tried in the order they are given, their families taking turns (RFC 8305 4).
 * The next one is started when the latest failed, or after DIAL_STAGGER_MS without an outcome; the
 * first that connects wins and the others are closed. Names are not looked up here, so what the
 * caller has checked is what is dialled.
 */
#ifndef BOTTLE_NET_DIAL_H
#define BOTTLE_NET_DIAL_H

#include <stddef.h>

#include "base/err.h"
#include "net/addr.h"
#include "net/filter.h"
#include "sys/loop.h"

struct dial;

/*
 * Exactly once, from the loop, unless cancelled; the dial is gone then. `f` is connected and the
 * callee's, or NULL with `err`: why the last address failed, E_TIMEOUT when it did not answer.
 */
typedef void dial_fn(void *arg, struct filter *f, const struct err *err);

/* `n` addresses, at least one and at most DIAL_ADDRS_MAX of them are looked at; copied. Each may
 * take timeout_ms. */
struct dial *dial_start(struct loop *l, const struct addr *addrs, size_t n, int timeout_ms,
			dial_fn *fn, void *arg);
void dial_cancel(struct dial *d); /* NULL is fine */

#endif
