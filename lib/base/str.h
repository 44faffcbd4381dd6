/*
 * str: a borrowed view of bytes, the only way bytes from outside are read.
 *
 * A view owns nothing and need not be terminated; it lives as long as what it points into.
 * Comparison that ignores case is ASCII only, never the locale's.
 */
#ifndef BOTTLE_BASE_STR_H
#define BOTTLE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "base/err.h"

struct str {
	const char *p; /* may be NULL only when n is 0 */
	size_t n;
};

#define STR(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
/* for "%.*s": printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), ((s).p ? (s).p : "")

static inline struct str str_of(const char *z)
{
	return (struct str){ z, z ? strlen(z) : 0 };
}
static inline struct str str_mem(const void *p, size_t n)
{
	return (struct str){ (const char *)p, n };
}

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b);
bool str_eqz(struct str a, const char *z);
bool str_ieqz(struct str a, const char *z);
/* memcmp order, shorter first on a tie; for sorting */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);
/* Equality in time that depends on the lengths only; for secrets. */
bool str_eq_secret(struct str a, struct str b);

/* Index of the first c / sub at or after `from`, or -1. */
ssize_t str_chr(struct str s, char c, size_t from);
ssize_t str_find(struct str s, struct str sub, size_t from);

/* s[from, from+n), cut at the ends of s; never out of bounds. */
struct str str_sub(struct str s, size_t from, size_t n);
struct str str_from(struct str s, size_t from);
/* Without leading and trailing SP and HTAB (RFC 9110 5.6.3 OWS). */
struct str str_trim(struct str s);

/*
 * Takes the piece before the next `sep` off the front of *rest (which becomes STR_NONE after the
 * last piece). False when *rest.p is NULL. An empty view with p != NULL yields one empty piece.
 */
bool str_split(struct str *rest, char sep, struct str *ret_piece);

/*
 * Strict decimal, hexadecimal: digits only (no sign, no space, no prefix, at least one digit),
 * result <= max. Return 0 or -1.
 */
int str_to_u64(struct str s, uint64_t max, uint64_t *ret);
int str_hex_to_u64(struct str s, uint64_t max, uint64_t *ret);
/* In decimal; a view of `digits`. */
#define STR_U64_MAX 20
struct str str_u64(uint64_t v, char digits[STR_U64_MAX]);

/* A heap copy, terminated. A NUL inside stays (the caller checks with str_has_ctl where it
 * matters). */
char *str_dupz(struct str s) __attribute__((malloc, returns_nonnull, warn_unused_result));

/* Any byte < 0x20 or 0x7f. */
bool str_has_ctl(struct str s);
/* Well-formed UTF-8: shortest form, no surrogates, <= U+10FFFF (RFC 3629). */
bool str_is_utf8(struct str s);
/*
 * Length (1..4) of the well-formed UTF-8 sequence that starts at s.p[at], or 0 when there is none.
 * *ret_cp (may be NULL) is the code point.
 */
size_t str_utf8_at(struct str s, size_t at, uint32_t *ret_cp);

/* Code points that move a terminal's cursor or worse: C0, DEL and C1 (U+0080..U+009F). */
static inline bool str_is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f);
}

static inline char ascii_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
}
static inline bool ascii_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_alpha(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

#endif
