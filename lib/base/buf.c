#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/budget.h"
#include "base/limits.h"
#include "base/mem.h"

/*
 * Memory may be one byte larger than the maximum, for the NUL of buf_z, buf_take and vsnprintf.
 * In a secret buffer no byte outside [off, off+len) that was ever content survives: consumed,
 * truncated and moved bytes are wiped at once, the whole block before it is freed.
 */
#define FIRST_CAP 64

/* The sanitizer shall see each use of memory that was given back. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if __has_feature(address_sanitizer)
#define SPARE_MAX 0
#else
#define SPARE_MAX BUF_SPARE_MAX
#endif

/*
 * Blocks that were given back. A buffer on the way of a body fills and empties with each read, and
 * what the kernel takes back it maps and clears again page by page, which costs more than all that
 * is done with the bytes.
 */
static _Thread_local struct {
	char *mem[BUF_SPARE_MAX];
	size_t n;
} spare;

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

static void release(struct buf *b)
{
	if (b->secret)
		mem_free_secret(b->mem, b->cap);
	else if (b->cap == BUF_BLOCK && spare.n < SPARE_MAX)
		spare.mem[spare.n++] = b->mem;
	else
		free(b->mem);
	budget_return(b->cap);
	b->mem = NULL;
	b->off = b->cap = 0;
}

void buf_fini(struct buf *b)
{
	release(b);
	b->len = 0;
}

static void move_to_front(struct buf *b)
{
	if (b->off == 0)
		return;
	memmove(b->mem, b->mem + b->off, b->len);
	if (b->secret)
		mem_wipe(b->mem + b->len, b->off);
	b->off = 0;
}

static void grow(struct buf *b, size_t cap)
{
	const bool block = !b->secret && cap == BUF_BLOCK;
	char *mem;

	if (!b->secret && !block && b->cap != BUF_BLOCK && b->off == 0) {
		b->mem = mem_resize(b->mem, cap, 1);
		budget_charge(cap - b->cap);
		b->cap = cap;
		return;
	}
	mem = block && spare.n > 0 ? spare.mem[--spare.n] : mem_alloc(cap);
	if (b->len > 0)
		memcpy(mem, b->mem + b->off, b->len);
	release(b);
	budget_charge(cap);
	b->mem = mem;
	b->cap = cap;
}

/* Makes room for n contiguous bytes behind the content; the caller has checked the maximum. */
static void ensure(struct buf *b, size_t n)
{
	size_t largest = b->max == SIZE_MAX ? SIZE_MAX : b->max + 1;
	size_t need = b->len + n;
	size_t cap;

	if (n <= b->cap - b->off - b->len)
		return;
	/* Moving costs len: only when at least as much was consumed since, so it stays linear. */
	if (need <= b->cap && b->off >= b->len) {
		move_to_front(b);
		return;
	}
	cap = b->cap > largest / 2 ? largest : b->cap * 2;
	if (cap < FIRST_CAP)
		cap = FIRST_CAP;
	if (cap < need)
		cap = need;
	if (!b->secret && cap > BUF_KEEP && cap < BUF_BLOCK && largest > BUF_BLOCK &&
	    budget_level() == BUDGET_PLENTY)
		cap = BUF_BLOCK;
	if (cap > largest)
		cap = largest;
	if (cap > b->cap)
		grow(b, cap);
	else
		move_to_front(b);
}

static int check_room(const struct buf *b, size_t n, struct err *err)
{
	if (n > buf_room(b))
		return err_set(err, E_LIMIT, "longer than %zu bytes", b->max);
	return 0;
}

int buf_add(struct buf *b, struct str s, struct err *err)
{
	bool own;
	size_t at = 0;

	if (check_room(b, s.n, err) < 0)
		return -1;
	if (s.n == 0)
		return 0;
	own = b->mem && (uintptr_t)s.p >= (uintptr_t)b->mem &&
	      (uintptr_t)s.p < (uintptr_t)(b->mem + b->cap);
	if (own)
		at = (size_t)(s.p - b->mem) - b->off;
	ensure(b, s.n);
	memcpy(b->mem + b->off + b->len, own ? b->mem + b->off + at : s.p, s.n);
	b->len += s.n;
	return 0;
}

int buf_addz(struct buf *b, const char *z, struct err *err)
{
	return buf_add(b, str_of(z), err);
}

int buf_addc(struct buf *b, char c, struct err *err)
{
	return buf_add(b, str_mem(&c, 1), err);
}

int buf_addf(struct buf *b, struct err *err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_set(err, E_BAD, "text cannot be formatted");
	if (check_room(b, (size_t)n, err) < 0)
		return -1;
	ensure(b, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(b->mem + b->off + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

char *buf_reserve(struct buf *b, size_t n, struct err *err)
{
	if (check_room(b, n, err) < 0)
		return NULL;
	ensure(b, n ? n : 1);
	return b->mem + b->off + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->off - b->len && n <= buf_room(b));
	b->len += n;
}

void buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (b->secret && n > 0)
		mem_wipe(b->mem + b->off, n);
	b->off += n;
	b->len -= n;
	if (b->len > 0)
		return;
	b->off = 0;
	if (b->cap > BUF_KEEP)
		release(b);
}

void buf_clear(struct buf *b)
{
	buf_consume(b, b->len);
}

void buf_truncate(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (b->secret && len < b->len)
		mem_wipe(b->mem + b->off + len, b->len - len);
	b->len = len;
}

void buf_shrink(struct buf *b)
{
	if (b->len == 0)
		release(b);
}

const char *buf_z(struct buf *b)
{
	ensure(b, 1);
	b->mem[b->off + b->len] = '\0';
	return b->mem + b->off;
}

char *buf_take(struct buf *b, size_t *ret_len)
{
	char *mem;

	ensure(b, 1);
	move_to_front(b);
	b->mem[b->len] = '\0';
	if (ret_len)
		*ret_len = b->len;
	mem = b->mem;
	budget_return(b->cap);
	b->mem = NULL;
	b->len = b->cap = 0;
	return mem;
}
