#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"

struct arena_block {
	struct arena_block *next;
	size_t size; /* of data */
	size_t used;
	alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

static void free_blocks(struct arena_block *block)
{
	while (block) {
		struct arena_block *next = block->next;

		budget_return(sizeof(*block) + block->size);
		free(block);
		block = next;
	}
}

void arena_fini(struct arena *a)
{
	free_blocks(a->head);
	a->head = NULL;
	a->used = 0;
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = a->head;

	a->used = 0;
	if (!keep)
		return;
	if (keep->size > ARENA_KEEP) {
		arena_fini(a);
		return;
	}
	free_blocks(keep->next);
	keep->next = NULL;
	keep->used = 0;
}

/* A block for at least n bytes becomes the head; what is left in the one before stays unused. */
static void add_block(struct arena *a, size_t n)
{
	size_t size = a->head ? a->head->size * 2 : ARENA_BLOCK_MIN;
	struct arena_block *block;

	if (size > ARENA_BLOCK_MAX)
		size = ARENA_BLOCK_MAX;
	if (size > a->max - a->used)
		size = a->max - a->used;
	if (size < n)
		size = n;
	block = mem_alloc(sizeof(*block) + size);
	budget_charge(sizeof(*block) + size);
	block->next = a->head;
	block->size = size;
	block->used = 0;
	a->head = block;
}

void *arena_alloc(struct arena *a, size_t n)
{
	const size_t unit = alignof(max_align_t);
	void *p;

	if (n == 0)
		n = 1;
	if (n > SIZE_MAX - sizeof(struct arena_block) - unit)
		return NULL;
	n = (n + unit - 1) / unit * unit;
	if (n > a->max - a->used)
		return NULL;
	if (!a->head || n > a->head->size - a->head->used)
		add_block(a, n);
	p = a->head->data + a->head->used;
	a->head->used += n;
	a->used += n;
	return memset(p, 0, n);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *copy = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

	if (!copy)
		return STR_NONE;
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return str_mem(copy, s.n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return STR_NONE;
	text = arena_alloc(a, (size_t)n + 1);
	if (!text)
		return STR_NONE;
	va_start(ap, fmt);
	(void)vsnprintf(text, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return str_mem(text, (size_t)n);
}
