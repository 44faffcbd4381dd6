/*
 * digest: SHA-256 of bytes in memory, to name a policy or a file; not for secrets.
 */
#ifndef BOTTLE_NET_DIGEST_H
#define BOTTLE_NET_DIGEST_H

#include "base/err.h"
#include "base/str.h"

#define DIGEST_HEX_SIZE 65 /* 64 digits and NUL */

/* Lower-case hex of SHA-256 (FIPS 180-4). Fails only when the library does. */
int digest_sha256_hex(struct str in, char ret[DIGEST_HEX_SIZE], struct err *err)
	__attribute__((warn_unused_result));

#endif
