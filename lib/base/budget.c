#include "base/budget.h"

#include <assert.h>

#include "base/limits.h"

static size_t most, used;

void budget_set_max(size_t bytes)
{
	most = bytes;
}

size_t budget_max(void)
{
	return most;
}

void budget_charge(size_t bytes)
{
	used += bytes;
}

void budget_return(size_t bytes)
{
	assert(bytes <= used);
	used -= bytes;
}

size_t budget_used(void)
{
	return used;
}

enum budget_level budget_level(void)
{
	if (most == 0 || used < most / 8 * BUDGET_SHORT_EIGHTHS)
		return BUDGET_PLENTY;
	if (used < most / 8 * BUDGET_SCARCE_EIGHTHS)
		return BUDGET_SHORT;
	return used < most ? BUDGET_SCARCE : BUDGET_SPENT;
}

size_t budget_queue_high(void)
{
	switch (budget_level()) {
	case BUDGET_PLENTY:
		return PROXY_OUT_HIGH;
	case BUDGET_SHORT:
		return PROXY_OUT_SHORT;
	case BUDGET_SCARCE:
	case BUDGET_SPENT:
		break;
	}
	return 0;
}

/* A quarter, so that a source is not woken for each packet; 64 KiB when there is plenty. */
size_t budget_queue_low(void)
{
	return budget_queue_high() / 4;
}
