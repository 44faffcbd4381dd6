/*
 * splice: bytes between two ready stacks, both ways, unread.
 */
#ifndef BOTTLE_PROXY_SPLICE_H
#define BOTTLE_PROXY_SPLICE_H

#include <stdint.h>

#include "base/err.h"
#include "net/filter.h"
#include "sys/loop.h"

struct splice;

/* Over: both directions ended, one side failed (err) or idle_ms passed without a byte. Called once;
 * both stacks are freed by then. */
typedef void splice_done_fn(void *arg, uint64_t a_to_b, uint64_t b_to_a, const struct err *err);

/* Takes over both stacks. NULL (stacks freed) when they cannot be watched. */
struct splice *splice_start(struct loop *l, struct filter *a, struct filter *b, int idle_ms,
			    splice_done_fn *fn, void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* At once, with it. */
void splice_finish(struct splice *s, const struct err *err);
/* At once, without the callback. NULL is fine. */
void splice_cancel(struct splice *s);

#endif
