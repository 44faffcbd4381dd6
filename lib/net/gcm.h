/*
 * gcm: AES-GCM on the CPU's AES and carry-less multiplication instructions. Own code; it works in
 * mbedTLS's place (gcm_alt.c), and what keeps it there are the vectors of NIST (CAVP) and
 * Wycheproof and a fuzzer beside mbedTLS's own module.
 *
 * The mode is NIST SP 800-38D, the cipher FIPS 197. Eight counter blocks are under way at a time,
 * so that the latency of an AES round is hidden. GHASH takes eight blocks with H^8..H^1 and reduces
 * once for all of them: "aggregated reduction" of S. Gueron, M. Kounavis, "Intel Carry-Less
 * Multiplication Instruction and its Usage for Computing the GCM Mode".
 *
 * Time and addresses depend on lengths only, never on key, text, or tag: there is no table and no
 * branch on a secret.
 *
 * The caller keeps the limits: lengths (SP 800-38D 5.2.1.1) and the order start, ad, crypt, tag;
 * `out` may be `in` or lie before it, but not between `in` and its end. Pieces may have any length.
 */
#ifndef BOTTLE_NET_GCM_H
#define BOTTLE_NET_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_BLOCK 16
#define GCM_IV 12 /* the length that needs no hashing */
#define GCM_TAG_MIN 4
#define GCM_WIDE 8 /* blocks under way at a time */

/* SP 800-38D 5.2.1.1, in bytes */
#define GCM_IV_MAX (UINT64_MAX / 8)
#define GCM_AD_MAX (UINT64_MAX / 8)
#define GCM_TEXT_MAX ((UINT64_C(1) << 36) - 32)

/* One key, and the message under way with it. All bytes of it are secret: the owner wipes it. */
struct gcm {
	uint8_t round_keys[15][GCM_BLOCK];
	uint8_t powers[GCM_WIDE][GCM_BLOCK]; /* H^1..H^8, each times x^-1: see gcm.c */
	uint8_t counter[GCM_BLOCK]; /* the next block's; it and hash in reverse byte order */
	uint8_t hash[GCM_BLOCK];
	uint8_t tag_mask[GCM_BLOCK]; /* E(K, J0) */
	uint8_t mask[GCM_BLOCK];     /* key stream of the block begun */
	uint8_t pending[GCM_BLOCK];  /* the block begun, zero behind its end */
	uint64_t ad_len, text_len;   /* bytes so far */
	unsigned rounds;
	bool encrypt;
};

/* Has this CPU the instructions? Nothing below may be called where it has not. */
bool gcm_cpu_can(void);

void gcm_set_key(struct gcm *g, const uint8_t *key, unsigned bits); /* 128, 192 or 256 */
void gcm_start(struct gcm *g, bool encrypt, const uint8_t *iv, size_t n);
void gcm_ad(struct gcm *g, const uint8_t *ad, size_t n);
void gcm_crypt(struct gcm *g, const uint8_t *in, uint8_t *out, size_t n);
/* Ends the message. To compare it with a peer's is the caller's part, and in constant time. */
void gcm_tag(struct gcm *g, uint8_t tag[GCM_BLOCK]);

/*
 * gcm_alt.c: whether keys that mbedTLS sets from now on are used with this module or with its own;
 * at first it is its own. Without the instructions it stays so. Returns what it is now.
 */
bool gcm_accelerate(bool on);
bool gcm_is_accelerated(void);

#endif
