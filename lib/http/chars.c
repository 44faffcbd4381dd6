#include "http/chars.h"

#include <stdint.h>
#include <string.h>

#define F CHAR_FIELD
#define FT (CHAR_FIELD | CHAR_TARGET)
#define FK (CHAR_FIELD | CHAR_TOKEN)
#define ALL (CHAR_FIELD | CHAR_TARGET | CHAR_TOKEN)

const unsigned char http_chars[256] = {
	['\t'] = F,          [' '] = F,           ['!'] = ALL,
	['"'] = FT,          ['#'] = FK,          ['$' ... '\''] = ALL,
	['(' ... ')'] = FT,  ['*' ... '+'] = ALL, [','] = FT,
	['-' ... '.'] = ALL, ['/'] = FT,          ['0' ... '9'] = ALL,
	[':' ... '@'] = FT,  ['A' ... 'Z'] = ALL, ['[' ... ']'] = FT,
	['^' ... '`'] = ALL, ['a' ... 'z'] = ALL, ['{'] = FT,
	['|'] = ALL,         ['}'] = FT,          ['~'] = ALL,
	[0x80 ... 0xff] = F,
};

/* Is there a byte below 0x20, or 0x7f? May say yes for a byte after such a one, never no wrongly. */
static bool any_ctl(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	const uint64_t del = word ^ ones * 0x7f;

	return (((word - ones * 0x20) & ~word & high) | ((del - ones) & ~del & high)) != 0;
}

size_t chars_field_span(const char *p, size_t n)
{
	size_t i = 0;

	for (;;) {
		uint64_t word;

		for (; n - i >= sizeof(word); i += sizeof(word)) {
			memcpy(&word, p + i, sizeof(word));
			if (any_ctl(word))
				break;
		}
		/* A tab, the end of the value or of the input: byte by byte, then on in words. */
		for (size_t stop = i + sizeof(word); i < n && i < stop; i++)
			if (!char_is(p[i], CHAR_FIELD))
				return i;
		if (i >= n)
			return n;
	}
}
