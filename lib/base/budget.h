/*
 * budget: how much memory the data under way may take, over all connections.
 *
 * Each buffer has its own maximum (limits.h); their sum over many connections needs one too. Every
 * struct buf and arena charges what it allocates, their owners charge what they cost otherwise (a
 * TLS context, say), and whoever could take in more asks for the level first: the nearer the
 * maximum, the less is taken in, and what is there drains. A charge never fails: the levels leave
 * room for what was promised before (see limits.h, BUDGET_*).
 *
 * One count for the process, kept by its loop; threads charge nothing.
 */
#ifndef BOTTLE_BASE_BUDGET_H
#define BOTTLE_BASE_BUDGET_H

#include <stddef.h>

enum budget_level {
	BUDGET_PLENTY,
	BUDGET_SHORT,  /* queues are kept short */
	BUDGET_SCARCE, /* and empty: nothing is read before what was read has gone; no new work */
	BUDGET_SPENT,  /* who needs more than it has now is cut */
};

/* Without a maximum (0, as at the start) there is always plenty. */
void budget_set_max(size_t bytes);
size_t budget_max(void);
void budget_charge(size_t bytes);
/* At most what was charged. */
void budget_return(size_t bytes);
size_t budget_used(void);
enum budget_level budget_level(void);

/* Above how many queued bytes a source is paused, and at how many it goes on. */
size_t budget_queue_high(void);
size_t budget_queue_low(void);

#endif
