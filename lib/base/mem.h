/*
 * mem: allocation that cannot fail for the caller, and ownership by scope.
 *
 * Running out of memory ends the process (a gate that cannot allocate must not guess). Sizes are
 * checked for overflow. Memory that held a secret is freed with mem_free_secret.
 */
#ifndef BOTTLE_BASE_MEM_H
#define BOTTLE_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* count * size, zeroed, aborts on overflow */
void *mem_array(size_t count, size_t size)
	__attribute__((malloc, returns_nonnull, warn_unused_result));
void *mem_resize(void *p, size_t count, size_t size)
	__attribute__((returns_nonnull, warn_unused_result));
void *mem_dup(const void *p, size_t n) __attribute__((returns_nonnull, warn_unused_result));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *mem_strndup(const char *s, size_t n)
	__attribute__((malloc, returns_nonnull, warn_unused_result));
char *mem_printf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, returns_nonnull, warn_unused_result));

/* Overwrites n bytes in a way the compiler may not drop. */
void mem_wipe(void *p, size_t n);
/* mem_wipe and free; NULL is fine. */
void mem_free_secret(void *p, size_t n);

/* Every element type gets a zeroed object: struct x *p = mem_new(struct x); */
#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

/*
 * Ownership by scope: `auto_free char *s = …;` frees at the end of the block; `return steal(&s);`
 * moves the pointer out. A function uses either these or one `out:` label, never both.
 */
static inline void mem_free_p(void *pp)
{
	free(*(void **)pp);
}
#define auto_free __attribute__((cleanup(mem_free_p)))

static inline void mem_close_p(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define auto_close __attribute__((cleanup(mem_close_p)))

#define steal(pp)                               \
	({                                      \
		__typeof__(*(pp)) tmp_ = *(pp); \
		*(pp) = NULL;                   \
		tmp_;                           \
	})
static inline int steal_fd(int *fd)
{
	int f = *fd;

	*fd = -1;
	return f;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define container_of_const(ptr, type, member) \
	((const type *)(const void *)((const char *)(ptr)-offsetof(type, member)))

#endif
