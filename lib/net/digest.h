/*
 * digest: hashes of bytes in memory; not for secrets. Both fail only when the library does.
 */
#ifndef BOTTLE_NET_DIGEST_H
#define BOTTLE_NET_DIGEST_H

#include "base/err.h"
#include "base/str.h"

#define DIGEST_HEX_SIZE 65 /* 64 digits and NUL */
#define DIGEST_SHA1_SIZE 20

/* Lower-case hex of SHA-256 (FIPS 180-4), to name a policy or a file. */
int digest_sha256_hex(struct str in, char ret[DIGEST_HEX_SIZE], struct err *err)
	__attribute__((warn_unused_result));

/* SHA-1 (FIPS 180-4), for protocols that are built on it. */
int digest_sha1(struct str in, unsigned char ret[DIGEST_SHA1_SIZE], struct err *err)
	__attribute__((warn_unused_result));

#endif
