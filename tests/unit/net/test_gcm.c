/*
 * Our AES-GCM beside mbedTLS's own, through the functions that TLS calls; and what those functions
 * must refuse, wipe and leave alone. The vectors of others are in test_gcm_vectors.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <mbedtls/gcm.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/gcm.h"
#include "net/p256.h"
#include "net/tls.h"

#define TEXT_MAX 600
#define GUARD 0xa5

/* The same key in both. */
struct both {
	mbedtls_gcm_context ours, stock;
};

struct message {
	uint8_t iv[64], ad[TEXT_MAX], text[TEXT_MAX], sealed[TEXT_MAX], tag[16];
	size_t iv_len, ad_len, n;
};

/* Reproducible, and unlike in every byte. */
static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static void use_ours(void)
{
	if (gcm_accelerate(true))
		return;
	print_message("skipped: this CPU has no AES and carry-less multiplication\n");
	skip();
}

static void set_keys(struct both *b, unsigned bits)
{
	uint8_t key[32];

	fill(key, sizeof(key), bits);
	mbedtls_gcm_init(&b->ours);
	mbedtls_gcm_init(&b->stock);
	(void)gcm_accelerate(false);
	assert_int_equal(mbedtls_gcm_setkey(&b->stock, MBEDTLS_CIPHER_ID_AES, key, bits), 0);
	use_ours();
	assert_int_equal(mbedtls_gcm_setkey(&b->ours, MBEDTLS_CIPHER_ID_AES, key, bits), 0);
}

static void free_keys(struct both *b)
{
	mbedtls_gcm_free(&b->ours);
	mbedtls_gcm_free(&b->stock);
}

/* A message of n bytes, sealed by stock. */
static void make_message(struct both *b, struct message *m, size_t n, size_t ad_len, size_t iv_len)
{
	m->n = n;
	m->ad_len = ad_len;
	m->iv_len = iv_len;
	fill(m->iv, iv_len, (uint32_t)n + 1);
	fill(m->ad, ad_len, (uint32_t)n + 2);
	fill(m->text, n, (uint32_t)n + 3);
	assert_int_equal(mbedtls_gcm_crypt_and_tag(&b->stock, MBEDTLS_GCM_ENCRYPT, n, m->iv, iv_len,
						   m->ad, ad_len, m->text, m->sealed, 16, m->tag),
			 0);
}

static void seal(struct both *b, const struct message *m, const uint8_t *in, uint8_t *out)
{
	uint8_t tag[16];

	assert_int_equal(mbedtls_gcm_crypt_and_tag(&b->ours, MBEDTLS_GCM_ENCRYPT, m->n, m->iv,
						   m->iv_len, m->ad, m->ad_len, in, out, 16, tag),
			 0);
	assert_memory_equal(out, m->sealed, m->n);
	assert_memory_equal(tag, m->tag, 16);
}

static void unseal(struct both *b, const struct message *m, const uint8_t *in, uint8_t *out)
{
	assert_int_equal(mbedtls_gcm_auth_decrypt(&b->ours, m->n, m->iv, m->iv_len, m->ad,
						  m->ad_len, m->tag, 16, in, out),
			 0);
	assert_memory_equal(out, m->text, m->n);
}

/* Every length, from and to every alignment; nothing outside `out` is written. */
static void test_lengths(void **state)
{
	static const unsigned sizes[] = { 128, 192, 256 };
	struct message m;
	struct both b;

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		set_keys(&b, sizes[k]);
		for (size_t n = 0; n <= TEXT_MAX; n++) {
			size_t from = n % 16, to = n / 16 % 16;
			uint8_t *in = malloc(from + n + 1), *out = malloc(to + n + 1);

			assert_non_null(in);
			assert_non_null(out);
			make_message(&b, &m, n, (n * 7) % 61, n % 3 ? 12 : 1 + n % 64);
			out[to + n] = GUARD;
			if (to > 0)
				out[to - 1] = GUARD;
			memcpy(in + from, m.text, n);
			seal(&b, &m, in + from, out + to);
			memcpy(in + from, m.sealed, n);
			unseal(&b, &m, in + from, out + to);
			assert_int_equal(out[to + n], GUARD);
			if (to > 0)
				assert_int_equal(out[to - 1], GUARD);
			free(in);
			free(out);
		}
		free_keys(&b);
	}
}

/* In place, and to a place a few bytes before, as the interface allows. */
static void test_in_place(void **state)
{
	uint8_t mem[TEXT_MAX + 40];
	struct message m;
	struct both b;

	(void)state;
	set_keys(&b, 128);
	for (size_t n = 0; n <= TEXT_MAX; n++) {
		size_t back = n % 40;

		make_message(&b, &m, n, 13, 12);
		memcpy(mem, m.text, n);
		seal(&b, &m, mem, mem);
		unseal(&b, &m, mem, mem);
		memcpy(mem + back, m.text, n);
		seal(&b, &m, mem + back, mem);
		memcpy(mem + back, m.sealed, n);
		unseal(&b, &m, mem + back, mem);
	}
	free_keys(&b);
}

/* The message in pieces of `step`, additional data too. */
static void run_pieces(mbedtls_gcm_context *c, const struct message *m, int mode, size_t step,
		       const uint8_t *in, uint8_t *out, uint8_t tag[16])
{
	size_t done;

	assert_int_equal(mbedtls_gcm_starts(c, mode, m->iv, m->iv_len), 0);
	for (size_t at = 0; at < m->ad_len; at += step) {
		size_t n = m->ad_len - at < step ? m->ad_len - at : step;

		assert_int_equal(mbedtls_gcm_update_ad(c, m->ad + at, n), 0);
	}
	for (size_t at = 0; at < m->n; at += step) {
		size_t n = m->n - at < step ? m->n - at : step;

		assert_int_equal(mbedtls_gcm_update(c, in + at, n, out + at, n, &done), 0);
		assert_int_equal(done, n);
		assert_int_equal(mbedtls_gcm_update(c, NULL, 0, NULL, 0, &done), 0);
	}
	assert_int_equal(mbedtls_gcm_finish(c, NULL, 0, &done, tag, 16), 0);
	assert_int_equal(done, 0);
}

static void test_pieces(void **state)
{
	uint8_t out[TEXT_MAX], tag[16];
	struct message m;
	struct both b;

	(void)state;
	set_keys(&b, 256);
	for (size_t n = 0; n <= TEXT_MAX; n += n < 300 ? 1 : 17) {
		make_message(&b, &m, n, n % 70, 12);
		for (size_t step = 1; step <= n + 1; step += 1 + step / 3) {
			run_pieces(&b.ours, &m, MBEDTLS_GCM_ENCRYPT, step, m.text, out, tag);
			assert_memory_equal(out, m.sealed, n);
			assert_memory_equal(tag, m.tag, 16);
			run_pieces(&b.ours, &m, MBEDTLS_GCM_DECRYPT, step, m.sealed, out, tag);
			assert_memory_equal(out, m.text, n);
			assert_memory_equal(tag, m.tag, 16);
		}
	}
	free_keys(&b);
}

/*
 * The counter wraps within its 32 bits (SP 800-38D 6.2), at the first step of eight blocks and at a
 * later one. These nonces were computed for that from this key: J0 ends in fffffffa and ffffffe9.
 */
static void test_counter_wraps(void **state)
{
	static const uint8_t ivs[2][16] = {
		{ 0xda, 0x16, 0x14, 0xcc, 0x1e, 0xe5, 0x4a, 0x24, 0x75, 0x20, 0xb3, 0x3d, 0x93,
		  0x3e, 0xc7, 0x31 },
		{ 0xef, 0x3b, 0x69, 0x03, 0x7c, 0xef, 0x0a, 0x52, 0xc7, 0x4c, 0x9a, 0xe3, 0xc4,
		  0x62, 0x33, 0x5e },
	};
	static const uint32_t first[2] = { 0xfffffffb, 0xffffffea };
	uint8_t out[TEXT_MAX];
	struct message m;
	struct both b;

	(void)state;
	set_keys(&b, 128);
	for (size_t i = 0; i < 2; i++) {
		make_message(&b, &m, TEXT_MAX, 5, 16);
		memcpy(m.iv, ivs[i], 16);
		assert_int_equal(mbedtls_gcm_crypt_and_tag(&b.stock, MBEDTLS_GCM_ENCRYPT, m.n, m.iv,
							   16, m.ad, m.ad_len, m.text, m.sealed, 16,
							   m.tag),
				 0);
		seal(&b, &m, m.text, out);
		unseal(&b, &m, m.sealed, out);
		assert_int_equal(mbedtls_gcm_starts(&b.ours, MBEDTLS_GCM_ENCRYPT, m.iv, 16), 0);
		assert_memory_equal(((struct gcm *)b.ours.state)->counter, &first[i], 4);
	}
	free_keys(&b);
}

/* Every bit of tag, additional data and text counts, and what is refused is not to be seen. */
static void test_refusal(void **state)
{
	uint8_t out[TEXT_MAX], zero[TEXT_MAX] = { 0 };
	struct message m;
	struct both b;

	(void)state;
	set_keys(&b, 128);
	make_message(&b, &m, 150, 20, 12);
	for (size_t bit = 0; bit < 8 * (16 + m.ad_len + m.n); bit++) {
		size_t at = bit / 8;
		uint8_t *p = at < 16              ? &m.tag[at]
			     : at < 16 + m.ad_len ? &m.ad[at - 16]
						  : &m.sealed[at - 16 - m.ad_len];

		*p ^= (uint8_t)(1 << bit % 8);
		memset(out, GUARD, sizeof(out));
		assert_int_equal(mbedtls_gcm_auth_decrypt(&b.ours, m.n, m.iv, 12, m.ad, m.ad_len,
							  m.tag, 16, m.sealed, out),
				 MBEDTLS_ERR_GCM_AUTH_FAILED);
		assert_memory_equal(out, zero, m.n);
		*p ^= (uint8_t)(1 << bit % 8);
	}
	unseal(&b, &m, m.sealed, out);
	free_keys(&b);
}

static void test_wrong_use(void **state)
{
	uint8_t mem[64] = { 0 }, key[32] = { 0 };
	mbedtls_gcm_context c;
	size_t n;

	(void)state;
	mbedtls_gcm_init(&c);
	use_ours();
	assert_int_equal(mbedtls_gcm_starts(&c, MBEDTLS_GCM_ENCRYPT, mem, 12),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_update_ad(&c, mem, 1), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_update(&c, mem, 1, mem, 1, &n), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_finish(&c, NULL, 0, &n, mem, 16), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_setkey(&c, MBEDTLS_CIPHER_ID_AES, key, 160),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_not_equal(mbedtls_gcm_setkey(&c, MBEDTLS_CIPHER_ID_DES, key, 128), 0);

	assert_int_equal(mbedtls_gcm_setkey(&c, MBEDTLS_CIPHER_ID_AES, key, 128), 0);
	assert_int_equal(mbedtls_gcm_starts(&c, MBEDTLS_GCM_ENCRYPT, mem, 0),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_starts(&c, MBEDTLS_GCM_ENCRYPT, mem, 12), 0);
	assert_int_equal(mbedtls_gcm_update(&c, mem, 16, mem + 16, 15, &n),
			 MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL);
	assert_int_equal(mbedtls_gcm_update(&c, mem, 16, mem + 1, 16, &n),
			 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_update(&c, mem, 16, mem + 16, 16, &n), 0);
	assert_int_equal(mbedtls_gcm_update_ad(&c, mem, 1), MBEDTLS_ERR_GCM_BAD_INPUT);
	for (size_t i = 0; i <= 17; i += i == 3 ? 14 : 1) /* 0 to 3, and 17 */
		assert_int_equal(mbedtls_gcm_finish(&c, NULL, 0, &n, mem, i),
				 MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_finish(&c, NULL, 0, &n, mem, 4), 0);
	mbedtls_gcm_free(&c);
}

/* One key stream and H for at most 2^36 - 32 bytes (SP 800-38D 5.2.1.1). */
static void test_limits(void **state)
{
	uint8_t key[16] = { 0 }, mem[32] = { 0 };
	mbedtls_gcm_context c;
	struct gcm *g = (struct gcm *)c.state;
	size_t n;

	(void)state;
	mbedtls_gcm_init(&c);
	use_ours();
	assert_int_equal(mbedtls_gcm_setkey(&c, MBEDTLS_CIPHER_ID_AES, key, 128), 0);
	assert_int_equal(mbedtls_gcm_starts(&c, MBEDTLS_GCM_ENCRYPT, mem, 12), 0);
	g->ad_len = GCM_AD_MAX - 15;
	assert_int_equal(mbedtls_gcm_update_ad(&c, mem, 16), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_update_ad(&c, mem, 15), 0);
	g->text_len = GCM_TEXT_MAX - 16;
	assert_int_equal(mbedtls_gcm_update(&c, mem, 17, mem, 17, &n), MBEDTLS_ERR_GCM_BAD_INPUT);
	assert_int_equal(mbedtls_gcm_update(&c, mem, 16, mem, 16, &n), 0);
	assert_int_equal(mbedtls_gcm_update(&c, mem, 1, mem, 1, &n), MBEDTLS_ERR_GCM_BAD_INPUT);
	mbedtls_gcm_free(&c);
}

/* No byte of a key, of H or of a message stays behind, be it ours or stock. */
static void test_wiped(void **state)
{
	static const mbedtls_gcm_context zero;
	uint8_t out[TEXT_MAX];
	struct message m;
	struct both b;

	(void)state;
	set_keys(&b, 256);
	make_message(&b, &m, 77, 20, 12);
	seal(&b, &m, m.text, out);
	assert_memory_not_equal(&b.ours, &zero, sizeof(zero));
	free_keys(&b);
	assert_memory_equal(&b.ours, &zero, sizeof(zero));
	assert_memory_equal(&b.stock, &zero, sizeof(zero));
}

/* A context may get another key, from the other module too, and keeps the module it has. */
static void test_change_of_key(void **state)
{
	uint8_t out[TEXT_MAX];
	struct message m;
	struct both b, again;

	(void)state;
	set_keys(&b, 128);
	set_keys(&again, 256);
	make_message(&again, &m, 200, 5, 12);
	for (int i = 0; i < 4; i++) {
		uint8_t key[32];

		fill(key, sizeof(key), 256);
		(void)gcm_accelerate(i % 2);
		assert_int_equal(mbedtls_gcm_setkey(&b.ours, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
		(void)gcm_accelerate(!(i % 2));
		seal(&b, &m, m.text, out);
	}
	free_keys(&b);
	free_keys(&again);
}

static void test_switch(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(setenv("BOTTLE_CRYPTO", "stock", 1), 0);
	assert_int_equal(tls_global_init(&err), 0);
	assert_false(gcm_is_accelerated());
	assert_false(p256_is_accelerated());
	assert_int_equal(unsetenv("BOTTLE_CRYPTO"), 0);
	assert_int_equal(tls_global_init(&err), 0);
	assert_int_equal(gcm_is_accelerated(), gcm_cpu_can());
	assert_true(p256_is_accelerated());
	/* A slip must not leave on what somebody wants off. */
	assert_int_equal(setenv("BOTTLE_CRYPTO", "Stock", 1), 0);
	assert_int_equal(tls_global_init(&err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(unsetenv("BOTTLE_CRYPTO"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),       cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_pieces),        cmocka_unit_test(test_counter_wraps),
		cmocka_unit_test(test_refusal),       cmocka_unit_test(test_wrong_use),
		cmocka_unit_test(test_limits),        cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_change_of_key), cmocka_unit_test(test_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
