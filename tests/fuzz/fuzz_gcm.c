/*
 * Our AES-GCM beside mbedTLS's own: the same key, nonce, additional data and text, ours in pieces
 * of the input's choice, mbedTLS's in one. Ciphertext, tag and plaintext are the same, and a tag
 * that is wrong in one bit is refused.
 */
#include <mbedtls/gcm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/gcm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECES 16

struct input {
	const uint8_t *p;
	size_t n;
};

static const uint8_t *take(struct input *in, size_t n)
{
	const uint8_t *p = in->p;

	in->p += n;
	in->n -= n;
	return p;
}

static void check(int ok)
{
	if (!ok)
		abort();
}

/* Of the exact size, so that reading or writing past it is seen; never NULL. */
static uint8_t *copy(const uint8_t *p, size_t n)
{
	uint8_t *mem = malloc(n ? n : 1);

	check(mem != NULL);
	memcpy(mem, p, n);
	return mem;
}

/* Pieces as the bytes say: 0..239 is that many, above that it grows fast. */
static size_t piece(const uint8_t pieces[PIECES], size_t i, size_t left)
{
	size_t n = pieces[i % PIECES];

	if (n >= 240)
		n = (n - 239) * 256;
	if (i > 1000)
		n = left;
	return n < left ? n : left;
}

static void run_ours(mbedtls_gcm_context *c, int mode, const uint8_t *iv, size_t iv_len,
		     const uint8_t *ad, size_t ad_len, const uint8_t *pieces, uint8_t *text,
		     size_t n, uint8_t tag[16])
{
	size_t at, i, some, done;

	check(mbedtls_gcm_starts(c, mode, iv, iv_len) == 0);
	for (at = i = 0; at < ad_len; at += some, i++) {
		some = piece(pieces, i, ad_len - at);
		check(mbedtls_gcm_update_ad(c, ad + at, some) == 0);
	}
	for (at = i = 0; at < n; at += some, i++) {
		some = piece(pieces, i, n - at);
		check(mbedtls_gcm_update(c, text + at, some, text + at, some, &done) == 0);
		check(done == some);
	}
	check(mbedtls_gcm_finish(c, NULL, 0, &done, tag, 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t *head, *key, *iv, *pieces;
	mbedtls_gcm_context ours, stock;
	uint8_t tag[16], stock_tag[16];
	size_t iv_len, ad_len, n;
	unsigned bits;

	if (size < 4 + 32 + PIECES)
		return 0;
	head = take(&in, 4);
	key = take(&in, 32);
	pieces = take(&in, PIECES);
	bits = 128 + 64u * (head[0] % 3);
	iv_len = head[1] < 128 ? 12 : 1 + head[1] - 128u;
	ad_len = head[2];
	if (in.n < iv_len + ad_len)
		return 0;
	iv = take(&in, iv_len);
	uint8_t *ad = copy(take(&in, ad_len), ad_len);
	n = in.n;
	uint8_t *text = copy(in.p, n), *sealed = copy(in.p, n);

	mbedtls_gcm_init(&ours);
	mbedtls_gcm_init(&stock);
	(void)gcm_accelerate(false);
	check(mbedtls_gcm_setkey(&stock, MBEDTLS_CIPHER_ID_AES, key, bits) == 0);
	check(gcm_accelerate(true)); /* without the instructions there is nothing to compare */
	check(mbedtls_gcm_setkey(&ours, MBEDTLS_CIPHER_ID_AES, key, bits) == 0);

	check(mbedtls_gcm_crypt_and_tag(&stock, MBEDTLS_GCM_ENCRYPT, n, iv, iv_len, ad, ad_len,
					in.p, sealed, 16, stock_tag) == 0);
	run_ours(&ours, MBEDTLS_GCM_ENCRYPT, iv, iv_len, ad, ad_len, pieces, text, n, tag);
	check(memcmp(text, sealed, n) == 0 && memcmp(tag, stock_tag, 16) == 0);
	run_ours(&ours, MBEDTLS_GCM_DECRYPT, iv, iv_len, ad, ad_len, pieces, text, n, tag);
	check(memcmp(text, in.p, n) == 0 && memcmp(tag, stock_tag, 16) == 0);
	check(mbedtls_gcm_auth_decrypt(&ours, n, iv, iv_len, ad, ad_len, tag, 16, sealed, text) ==
	      0);
	check(memcmp(text, in.p, n) == 0);
	tag[head[3] / 8 % 16] ^= (uint8_t)(1 << head[3] % 8);
	check(mbedtls_gcm_auth_decrypt(&ours, n, iv, iv_len, ad, ad_len, tag, 16, sealed, text) ==
	      MBEDTLS_ERR_GCM_AUTH_FAILED);

	mbedtls_gcm_free(&ours);
	mbedtls_gcm_free(&stock);
	free(ad);
	free(text);
	free(sealed);
	return 0;
}
