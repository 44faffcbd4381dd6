/*
 * arena: memory of one connection or one message, freed all at once.
 *
 * A maximum at birth bounds it; what does not fit returns NULL and the caller refuses the message.
 * Small arenas live in one block.
 */
#ifndef BOTTLE_BASE_ARENA_H
#define BOTTLE_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t used; /* bytes handed out since init/reset, rounded up for alignment */
	size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a);
/* Frees everything handed out; the maximum stays, one block may be kept for reuse. */
void arena_reset(struct arena *a);

/* Aligned for any type, zeroed; NULL when the maximum would be passed. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((warn_unused_result));
/* A copy of s in the arena, followed by a NUL; .p is NULL when it does not fit. */
struct str arena_str(struct arena *a, struct str s) __attribute__((warn_unused_result));
struct str arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));

#endif
