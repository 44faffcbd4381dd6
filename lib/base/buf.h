/*
 * buf: a growing byte buffer with a maximum fixed at birth.
 *
 * Bytes are added at the end and consumed at the front; consuming does not move memory until the
 * space is needed again. A buffer that would pass its maximum refuses (E_LIMIT) and stays as it
 * was: "unbounded because internal" does not exist here. data[len] is not terminated; use
 * buf_z where a C string is wanted.
 */
#ifndef BOTTLE_BASE_BUF_H
#define BOTTLE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct buf {
	char *mem;
	size_t off;  /* first unread byte in mem */
	size_t len;  /* unread bytes */
	size_t cap;  /* size of mem */
	size_t max;  /* len never exceeds this */
	bool secret; /* wipe memory before it is given back */
};

#define BUF_INIT(maximum)                                                                    \
	{                                                                                    \
		.mem = NULL, .off = 0, .len = 0, .cap = 0, .max = (maximum), .secret = false \
	}
#define BUF_INIT_SECRET(maximum)                                                            \
	{                                                                                   \
		.mem = NULL, .off = 0, .len = 0, .cap = 0, .max = (maximum), .secret = true \
	}

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
#define auto_buf __attribute__((cleanup(buf_fini))) struct buf

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->mem ? b->mem + b->off : "", b->len };
}
static inline size_t buf_room(const struct buf *b)
{
	return b->max - b->len;
}

/*
 * All return 0, or -1 with E_LIMIT when the maximum would be passed (nothing is added then).
 * `s` may lie in b itself.
 */
int buf_add(struct buf *b, struct str s, struct err *err) __attribute__((warn_unused_result));
int buf_addz(struct buf *b, const char *z, struct err *err) __attribute__((warn_unused_result));
int buf_addc(struct buf *b, char c, struct err *err) __attribute__((warn_unused_result));
int buf_addf(struct buf *b, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), warn_unused_result));

/*
 * Room for n more bytes, contiguous: returns where to write, then buf_commit(b, used).
 * NULL (E_LIMIT) when the maximum would be passed.
 */
char *buf_reserve(struct buf *b, size_t n, struct err *err) __attribute__((warn_unused_result));
void buf_commit(struct buf *b, size_t n);

/* Drops n (<= len) bytes from the front. Memory is given back when the buffer empties and it is
 * larger than BUF_KEEP; not to the kernel if it is one of the few blocks that are kept. */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);
/* Gives memory back when empty (idle connections hold none). */
void buf_shrink(struct buf *b);

/* Drops bytes from the end until len (<= the length now) are left. */
void buf_truncate(struct buf *b, size_t len);

/* Terminated view of the content until the next change; the NUL counts neither in len nor in max. */
const char *buf_z(struct buf *b);
/* Moves the content out as a heap string, terminated; *ret_len may be NULL. The buffer is empty
 * afterwards. */
char *buf_take(struct buf *b, size_t *ret_len) __attribute__((warn_unused_result));

#endif
