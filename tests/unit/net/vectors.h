/*
 * vectors: test vectors of others, read from where they are installed.
 *
 * NIST's (CAVP) come with Debian's python3-cryptography-vectors (scripts/bootstrap). Wycheproof's
 * are not packaged: they are read from $BOTTLE_TEST_DATA/wycheproof, by default
 * ../shared/data/wycheproof, and where they are not a test is skipped.
 */
#ifndef TEST_NET_VECTORS_H
#define TEST_NET_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define VECTOR_BYTES_MAX 8192

struct vector_bytes {
	uint8_t p[VECTOR_BYTES_MAX];
	size_t n;
};

/* One record. Both sources name the parts differently; these are Wycheproof's names. */
struct vector {
	char name[64]; /* for messages: file and number */
	bool valid;    /* must be accepted */
	bool invalid;  /* must be refused; neither: may be either */
	struct vector_bytes key, iv, aad, msg, ct, tag;      /* AEAD */
	struct vector_bytes public_key, private_key, shared; /* key agreement */
	struct vector_bytes sig;              /* with public_key and msg: signature */
	struct vector_bytes x, y, d, k, r, s; /* NIST's curves */
	int digest;                           /* bits of SHA-2, 1 for SHA-1; 0: none is named */
};

typedef void vector_fn(const struct vector *v, void *arg);

/* Every record of a GCM file, "gcmDecrypt128.rsp"; returns how many. */
size_t vectors_cavp(const char *file, vector_fn *each, void *arg);
/* Those on P-256 of a file below asymmetric/, "ECDSA/FIPS_186-3/SigVer.rsp". */
size_t vectors_p256(const char *file, vector_fn *each, void *arg);
/* Every record of a Wycheproof file; returns how many, 0 when it is not there (and says so). */
size_t vectors_wycheproof(const char *file, vector_fn *each, void *arg);

#endif
