#include "base/enc.h"

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int enc_base64(struct buf *out, struct str in, struct err *err)
{
	size_t n = (in.n + 2) / 3 * 4;
	char *p = buf_reserve(out, n, err);

	if (!p)
		return -1;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
		if (left > 2)
			v |= (uint32_t)(unsigned char)in.p[i + 2];
		*p++ = base64_digits[v >> 18];
		*p++ = base64_digits[v >> 12 & 63];
		*p++ = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		*p++ = left > 2 ? base64_digits[v & 63] : '=';
	}
	buf_commit(out, n);
	return 0;
}

/* A table: a bundle of CAs is 200 KiB of base64, and comparisons take twice as long. */
static int base64_value(char c)
{
	static const signed char values['z' - '+' + 1] = {
		62, -1, -1, -1, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1,
		-1, -1, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17,
		18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1, -1, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	};

	return c >= '+' && c <= 'z' ? values[c - '+'] : -1;
}

/* Messages do not quote the input: it may be a secret. */
int enc_base64_decode(struct buf *out, struct str in, struct err *err)
{
	size_t pad = 0, n;
	uint32_t v = 0;
	char *p;

	while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
		pad++;
	if (in.n % 4 != 0)
		return err_set(err, E_BAD, "base64 text of wrong length");
	n = in.n / 4 * 3 - pad;
	p = buf_reserve(out, n, err);
	if (!p)
		return -1;
	for (size_t i = 0, done = 0; i < in.n; i++) {
		int d = i < in.n - pad ? base64_value(in.p[i]) : 0;

		if (d < 0)
			return err_set(err, E_BAD, "not base64 at byte %zu", i + 1);
		v = v << 6 | (uint32_t)d;
		if (i % 4 != 3)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8) {
			if (done < n)
				p[done++] = (char)(v >> shift & 0xff);
			else if ((v >> shift & 0xff) != 0) /* RFC 4648 3.5: pad bits are zero */
				return err_set(err, E_BAD,
					       "base64 text with stray bits at its end");
		}
		v = 0;
	}
	buf_commit(out, n);
	return 0;
}

int enc_hex(struct buf *out, struct str in, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	char *p = buf_reserve(out, in.n * 2, err);

	if (!p)
		return -1;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];

		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	buf_commit(out, in.n * 2);
	return 0;
}

int enc_percent_decode(struct buf *out, struct str in, struct err *err)
{
	size_t n = in.n;
	char *p;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '%')
			continue;
		if (in.n - i < 3 || enc_hex_digit(in.p[i + 1]) < 0 ||
		    enc_hex_digit(in.p[i + 2]) < 0)
			return err_set(err, E_BAD, "broken percent escape at byte %zu", i + 1);
		n -= 2;
		i += 2;
	}
	p = buf_reserve(out, n, err);
	if (!p)
		return -1;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			c = (char)(enc_hex_digit(in.p[i + 1]) << 4 | enc_hex_digit(in.p[i + 2]));
			i += 2;
		}
		*p++ = c;
	}
	buf_commit(out, n);
	return 0;
}

/* RFC 3986 2.3 */
static bool unreserved(char c, struct str keep)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
	       str_chr(keep, c, 0) >= 0;
}

int enc_percent(struct buf *out, struct str in, const char *keep, struct err *err)
{
	/* upper case: RFC 3986 2.1 */
	static const char digits[] = "0123456789ABCDEF";
	struct str kept = str_of(keep);
	size_t n = in.n;
	char *p;

	for (size_t i = 0; i < in.n; i++)
		n += unreserved(in.p[i], kept) ? 0 : 2;
	p = buf_reserve(out, n, err);
	if (!p)
		return -1;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];

		if (unreserved((char)c, kept)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	buf_commit(out, n);
	return 0;
}
