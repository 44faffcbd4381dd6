/*
 * enc: base64, hexadecimal, percent encoding.
 *
 * Each appends its result to `out` whole, or nothing: E_LIMIT when it does not fit, E_BAD for input
 * that cannot be decoded. Messages do not quote the input, which may be a secret.
 */
#ifndef BOTTLE_BASE_ENC_H
#define BOTTLE_BASE_ENC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* RFC 4648 4, padded, no line breaks. */
int enc_base64(struct buf *out, struct str in, struct err *err);
/* Strict: only the standard alphabet, correct padding, no white space. */
int enc_base64_decode(struct buf *out, struct str in, struct err *err);
/* Lower case. */
int enc_hex(struct buf *out, struct str in, struct err *err);
/* Decodes %XX; a broken escape is E_BAD. '+' stays '+'. */
int enc_percent_decode(struct buf *out, struct str in, struct err *err);
/* Escapes everything but RFC 3986 unreserved characters and those in `keep`. */
int enc_percent(struct buf *out, struct str in, const char *keep, struct err *err);
static inline int enc_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif
