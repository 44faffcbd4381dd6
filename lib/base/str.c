#include "base/str.h"

#include "base/mem.h"

/* memcmp and friends may not be given NULL, even for no bytes (C11 7.24.1). */
static bool same(const char *a, const char *b, size_t n)
{
	return n == 0 || memcmp(a, b, n) == 0;
}

static bool same_nocase(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): NULL only with n == 0 */
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	}
	return true;
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && same(a.p, b.p, a.n);
}

bool str_ieq(struct str a, struct str b)
{
	return a.n == b.n && same_nocase(a.p, b.p, a.n);
}

/* Most comparisons with a literal end at the first byte: its length is not looked for. */
bool str_eqz(struct str a, const char *z)
{
	size_t i = 0;

	while (i < a.n && z && z[i] && a.p[i] == z[i])
		i++;
	return i == a.n && !(z && z[i]);
}

bool str_ieqz(struct str a, const char *z)
{
	size_t i = 0;

	while (i < a.n && z && z[i] && ascii_lower(a.p[i]) == ascii_lower(z[i]))
		i++;
	return i == a.n && !(z && z[i]);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && same(s.p, prefix.p, prefix.n);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && same_nocase(s.p, prefix.p, prefix.n);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_from(s, s.n - suffix.n), suffix);
}

bool str_iends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_ieq(str_from(s, s.n - suffix.n), suffix);
}

bool str_eq_secret(struct str a, struct str b)
{
	/* volatile: the compiler may not leave the loop at the first difference */
	volatile unsigned char differ = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		differ = (unsigned char)(differ | (a.p[i] ^ b.p[i]));
	return differ == 0;
}

ssize_t str_chr(struct str s, char c, size_t from)
{
	const char *hit;

	if (from >= s.n)
		return -1;
	hit = memchr(s.p + from, c, s.n - from);
	return hit ? hit - s.p : -1;
}

ssize_t str_find(struct str s, struct str sub, size_t from)
{
	const char *hit;

	if (from > s.n || sub.n > s.n - from)
		return -1;
	if (sub.n == 0)
		return (ssize_t)from;
	hit = memmem(s.p + from, s.n - from, sub.p, sub.n);
	return hit ? hit - s.p : -1;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
	if (from > s.n)
		from = s.n;
	if (n > s.n - from)
		n = s.n - from;
	return (struct str){ s.p ? s.p + from : NULL, n };
}

struct str str_from(struct str s, size_t from)
{
	return str_sub(s, from, s.n);
}

struct str str_trim(struct str s)
{
	size_t from = 0, to = s.n;

	while (from < to && (s.p[from] == ' ' || s.p[from] == '\t'))
		from++;
	while (to > from && (s.p[to - 1] == ' ' || s.p[to - 1] == '\t'))
		to--;
	return str_sub(s, from, to - from);
}

bool str_split(struct str *rest, char sep, struct str *ret_piece)
{
	ssize_t at;

	if (!rest->p)
		return false;
	at = str_chr(*rest, sep, 0);
	if (at < 0) {
		*ret_piece = *rest;
		*rest = STR_NONE;
		return true;
	}
	*ret_piece = str_sub(*rest, 0, (size_t)at);
	*rest = str_from(*rest, (size_t)at + 1);
	return true;
}

static int digit(char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static int to_u64(struct str s, unsigned base, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)digit(s.p[i]);

		if (d >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)d, &value))
			return -1;
	}
	if (value > max)
		return -1;
	*ret = value;
	return 0;
}

int str_to_u64(struct str s, uint64_t max, uint64_t *ret)
{
	return to_u64(s, 10, max, ret);
}

int str_hex_to_u64(struct str s, uint64_t max, uint64_t *ret)
{
	return to_u64(s, 16, max, ret);
}

struct str str_u64(uint64_t v, char digits[STR_U64_MAX])
{
	size_t at = STR_U64_MAX;

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	return str_mem(digits + at, STR_U64_MAX - at);
}

char *str_dupz(struct str s)
{
	char *copy = mem_alloc(s.n + 1);

	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

bool str_has_ctl(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			return true;
	}
	return false;
}

size_t str_utf8_at(struct str s, size_t at, uint32_t *ret_cp)
{
	/* RFC 3629 3: smallest code point of each length, so that longer forms are refused */
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char lead;
	uint32_t cp;
	size_t n;

	if (at >= s.n)
		return 0;
	lead = (unsigned char)s.p[at];
	if (lead < 0x80) {
		n = 1;
		cp = lead;
	} else if ((lead & 0xe0) == 0xc0) {
		n = 2;
		cp = lead & 0x1f;
	} else if ((lead & 0xf0) == 0xe0) {
		n = 3;
		cp = lead & 0x0f;
	} else if ((lead & 0xf8) == 0xf0) {
		n = 4;
		cp = lead & 0x07;
	} else {
		return 0;
	}
	if (n > s.n - at)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char c = (unsigned char)s.p[at + i];

		if ((c & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (c & 0x3f);
	}
	if (cp < smallest[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	if (ret_cp)
		*ret_cp = cp;
	return n;
}

bool str_is_utf8(struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = str_utf8_at(s, i, NULL);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
