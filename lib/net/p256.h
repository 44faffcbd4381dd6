/*
 * p256: the elliptic curve NIST P-256 and ECDSA on it. Own code; it works in mbedTLS's place
 * (p256_alt.c), and what keeps it there are the vectors of NIST (CAVP) and Wycheproof and a fuzzer
 * beside mbedTLS's own module.
 *
 * The curve is SP 800-186 3.2.1.3, the signature FIPS 186-5 6. Numbers are held in Montgomery form,
 * four words of 64 bits. Points are added by the formulas of J. Renes, C. Costello, L. Batina,
 * "Complete addition formulas for prime order elliptic curves", which have no exceptions: the same
 * steps are right for equal points, opposite ones and the one at infinity.
 *
 * Time and addresses depend on no number and no point: there is no branch and no index on one.
 * Whether a number is in range, a point on the curve, a signature good is told, and may be seen.
 *
 * Numbers are 32 bytes, most significant first; a point is its x and y.
 */
#ifndef BOTTLE_NET_P256_H
#define BOTTLE_NET_P256_H

#include <stdbool.h>
#include <stdint.h>

#define P256_BYTES 32

struct p256_point {
	uint8_t x[P256_BYTES], y[P256_BYTES];
};

/* On the curve, both coordinates in range; infinity cannot be said. */
bool p256_is_point(const struct p256_point *p);

/* k times p, or times the base point when p is NULL. False: k is not in 1..n-1, or p no point. */
bool p256_multiply(struct p256_point *ret, const uint8_t k[P256_BYTES], const struct p256_point *p);

/*
 * hash: its leftmost 32 bytes. k: the nonce, in 1..n-1, never used before or after. False: d or k
 * is out of range, or this k will not do (it never happens by chance).
 */
bool p256_sign(uint8_t ret_r[P256_BYTES], uint8_t ret_s[P256_BYTES], const uint8_t d[P256_BYTES],
	       const uint8_t hash[P256_BYTES], const uint8_t k[P256_BYTES]);
bool p256_verify(const struct p256_point *key, const uint8_t hash[P256_BYTES],
		 const uint8_t r[P256_BYTES], const uint8_t s[P256_BYTES]);

/*
 * p256_alt.c: whether mbedTLS's functions use this module from now on, or its own; at first it is
 * its own. Returns what it is now.
 */
bool p256_accelerate(bool on);
bool p256_is_accelerated(void);

#endif
