/*
 * The readings of a path. Servers differ in when they decode, whether "%2f" separates, whether
 * ";params" belong to a segment and whether "//" is "/". Where the difference could hide a dot
 * segment the path is refused; where it yields another path, policy gets both.
 */
#include "http/url.h"

#include "base/enc.h"
#include "http/chars.h"

/* Stands for a decoded "%2f" until it is known how to read it: no decoded path holds a NUL. */
#define SLASH_DATA '\0'

/* No escapes, no parameters, no empty or dotted segments: what is written is the one reading. */
static bool is_plain(struct str path)
{
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];

		if (c == '%' || c == ';' || c == '\\' || c == '?' || !char_is(c, CHAR_TARGET))
			return false;
		if (c == '/' && i + 1 < path.n && (path.p[i + 1] == '/' || path.p[i + 1] == '.'))
			return false;
	}
	return true;
}

static bool is_ctl(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* Some servers decode twice: what would then appear must not be able to change the path. */
static bool second_escape(struct str s, size_t at)
{
	int high, low, c;

	if (s.n - at < 3)
		return false;
	high = enc_hex_digit(s.p[at + 1]);
	low = enc_hex_digit(s.p[at + 2]);
	if (high < 0 || low < 0)
		return false;
	c = high * 16 + low;
	return c == '.' || c == '/' || c == '\\' || c == '%' || c == ';' ||
	       is_ctl((unsigned char)c);
}

/*
 * Over-long forms and surrogates (RFC 3629 3, 10) read as other characters by lenient decoders.
 * Bytes that are merely no UTF-8 pass: there are Latin-1 names, and nobody reads them as ASCII.
 * 0xc0 and 0xc1 start nothing but over-long forms, whatever follows.
 */
static bool is_overlong(struct str s, size_t at)
{
	const unsigned char c = (unsigned char)s.p[at];
	const unsigned char next = at + 1 < s.n ? (unsigned char)s.p[at + 1] : 0;
	const bool continues = (next & 0xc0) == 0x80;

	switch (c) {
	case 0xc0:
	case 0xc1:
		return true;
	case 0xe0:
		return continues && next < 0xa0;
	case 0xed:
		return continues && next >= 0xa0;
	case 0xf0:
		return continues && next < 0x90;
	case 0xf4:
		return continues && next >= 0x90;
	default:
		return c >= 0xf5 && continues;
	}
}

/* Percent-decodes once, "%2f" becoming SLASH_DATA. */
static int decode(struct str path, struct arena *a, struct str *ret, struct err *err)
{
	char *out = arena_alloc(a, path.n);
	struct str d = str_mem(out, 0);

	if (!out)
		return err_set(err, E_LIMIT, "the path needs too much memory");
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];
		int high, low;

		if (!char_is(c, CHAR_TARGET) || c == '?')
			return err_set(err, E_BAD, "a path may not hold the byte 0x%02x",
				       (unsigned char)c);
		if (c == '%') {
			high = i + 2 < path.n ? enc_hex_digit(path.p[i + 1]) : -1;
			low = i + 2 < path.n ? enc_hex_digit(path.p[i + 2]) : -1;
			if (high < 0 || low < 0)
				return err_set(err, E_BAD, "a broken percent escape in the path");
			c = (char)(high * 16 + low);
			i += 2;
			if (is_ctl((unsigned char)c))
				return err_set(err, E_BAD,
					       "an encoded control character in the path");
			if (c == '/')
				c = SLASH_DATA;
		}
		if (c == '\\')
			return err_set(err, E_BAD, "a backslash in the path");
		out[d.n++] = c;
	}
	for (size_t i = 0; i < d.n; i++) {
		if (out[i] == '%' && second_escape(d, i))
			return err_set(err, E_BAD, "an escape inside an escape in the path");
		if (is_overlong(d, i))
			return err_set(err, E_BAD,
				       "an over-long or surrogate UTF-8 form in the path");
	}
	*ret = d;
	return 0;
}

struct how {
	bool slash_separates; /* "%2f" is '/' */
	bool cut_params;      /* ";…" is not part of a segment */
	bool merge;           /* "//" is "/" */
};

/* One reading; *ret_dots when it has a dot segment. NULL in .p: no memory. */
static struct str read_as(struct str d, struct how how, struct arena *a, bool *ret_dots)
{
	size_t n = 0, segment = 0, room = d.n;
	bool skip = false;
	char *out;

	for (size_t i = 0; i < d.n; i++)
		room += d.p[i] == SLASH_DATA ? 2 : 0; /* a kept "%2F" takes three bytes */
	out = arena_alloc(a, room);
	if (!out)
		return STR_NONE;
	for (size_t i = 0; i <= d.n; i++) {
		const bool end = i == d.n;
		const char c = end ? '/' : d.p[i];

		if (c == '/' || (c == SLASH_DATA && how.slash_separates)) {
			struct str s = str_mem(out + segment, n - segment);

			if (str_eqz(s, ".") || str_eqz(s, ".."))
				*ret_dots = true;
			skip = false;
			if (end || (how.merge && n > 0 && out[n - 1] == '/'))
				continue;
			out[n++] = '/';
			segment = n;
		} else if (c == ';' && how.cut_params) {
			skip = true;
		} else if (!skip && c == SLASH_DATA) {
			memcpy(out + n, "%2F", 3);
			n += 3;
		} else if (!skip) {
			out[n++] = c;
		}
	}
	return str_mem(out, n);
}

static void add_reading(struct url_readings *r, struct str s)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->v[i], s))
			return;
	r->v[r->n++] = s;
}

int url_path_readings(struct str path, struct arena *a, struct url_readings *ret, struct err *err)
{
	struct url_readings r = { .n = 0 };
	struct str decoded = STR_NONE;

	if (path.n == 0 || path.p[0] != '/')
		return err_set(err, E_BAD, "a path must start with '/'");
	if (is_plain(path)) {
		*ret = (struct url_readings){ .v = { path }, .n = 1 };
		return 0;
	}
	if (decode(path, a, &decoded, err) < 0)
		return -1;
	for (unsigned i = 0; i < URL_READINGS_MAX; i++) {
		struct how how = { .slash_separates = i & 1, .cut_params = i & 2, .merge = i & 4 };
		bool dots = false;
		struct str s = read_as(decoded, how, a, &dots);

		if (!s.p)
			return err_set(err, E_LIMIT, "the path needs too much memory");
		if (dots)
			return err_set(err, E_BAD, "a dot segment in the path");
		add_reading(&r, s);
	}
	*ret = r;
	return 0;
}
