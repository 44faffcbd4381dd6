/*
 * chars: which bytes may stand where, as one table for all parsers and writers of this folder.
 */
#ifndef BOTTLE_HTTP_CHARS_H
#define BOTTLE_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>

#define CHAR_TOKEN 0x1u /* tchar, RFC 9110 5.6.2 */
#define CHAR_FIELD \
	0x2u /* field values and reason phrases: VCHAR, SP, HTAB, obs-text (RFC 9110 5.5) */
#define CHAR_TARGET 0x4u /* request targets: visible ASCII without '#' */

extern const unsigned char http_chars[256];

static inline bool char_is(char c, unsigned kind)
{
	return (http_chars[(unsigned char)c] & kind) != 0;
}

/* How many of the bytes p[0..n) from the front are of that kind. */
static inline size_t chars_span(const char *p, size_t n, unsigned kind)
{
	size_t i = 0;

	while (i < n && char_is(p[i], kind))
		i++;
	return i;
}

/* chars_span for CHAR_FIELD, eight bytes at a time: values are most of a head. */
size_t chars_field_span(const char *p, size_t n);

#endif
