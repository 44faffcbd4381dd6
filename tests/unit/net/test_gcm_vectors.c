/*
 * AES-GCM against the vectors of NIST and Wycheproof: our module, and mbedTLS's own through the
 * same door, for it is what runs elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <mbedtls/gcm.h>
#include <string.h>

#include "net/gcm.h"
#include "vectors.h"

struct counts {
	size_t accepted, refused;
};

static bool same(const uint8_t *p, const struct vector_bytes *b)
{
	return memcmp(p, b->p, b->n) == 0;
}

static void check(const struct vector *v, void *arg)
{
	struct counts *counts = arg;
	mbedtls_gcm_context gcm;
	uint8_t out[VECTOR_BYTES_MAX], tag[16];
	int ret;

	mbedtls_gcm_init(&gcm);
	if (mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, v->key.p, (unsigned)v->key.n * 8) != 0)
		fail_msg("%s: key", v->name);
	ret = mbedtls_gcm_auth_decrypt(&gcm, v->ct.n, v->iv.p, v->iv.n, v->aad.p, v->aad.n,
				       v->tag.p, v->tag.n, v->ct.p, out);
	if (v->valid != (ret == 0) || (ret == 0 && !same(out, &v->msg)))
		fail_msg("%s: decrypts to something else (%d)", v->name, ret);
	if (v->invalid) {
		if (ret != MBEDTLS_ERR_GCM_AUTH_FAILED && v->iv.n > 0)
			fail_msg("%s: refused for another reason (%d)", v->name, ret);
		counts->refused++;
	} else {
		ret = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, v->msg.n, v->iv.p,
						v->iv.n, v->aad.p, v->aad.n, v->msg.p, out,
						v->tag.n, tag);
		if (ret != 0 || !same(out, &v->ct) || !same(tag, &v->tag))
			fail_msg("%s: encrypts to something else (%d)", v->name, ret);
		counts->accepted++;
	}
	mbedtls_gcm_free(&gcm);
}

/* Each test runs with ours and with stock. */
static int use_ours(void **state)
{
	(void)state;
	(void)gcm_accelerate(true);
	return 0;
}

static int use_stock(void **state)
{
	(void)state;
	(void)gcm_accelerate(false);
	return 0;
}

static void skip_without_instructions(void)
{
	if (gcm_cpu_can())
		return;
	print_message("skipped: this CPU has no AES and carry-less multiplication\n");
	skip();
}

static void test_nist(void **state)
{
	static const char *const sizes[] = { "128", "192", "256" };
	struct counts counts = { 0 };
	char file[40];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		(void)snprintf(file, sizeof(file), "gcmDecrypt%s.rsp", sizes[i]);
		assert_int_equal(vectors_cavp(file, check, &counts), 7875);
		(void)snprintf(file, sizeof(file), "gcmEncryptExtIV%s.rsp", sizes[i]);
		assert_int_equal(vectors_cavp(file, check, &counts), 7875);
	}
	assert_int_equal(counts.accepted + counts.refused, 6 * 7875);
	assert_true(counts.refused > 11000);
}

static void test_wycheproof(void **state)
{
	struct counts counts = { 0 };

	(void)state;
	if (vectors_wycheproof("aes_gcm_test.json", check, &counts) == 0)
		skip();
	assert_true(counts.accepted > 100);
	assert_true(counts.refused > 50);
}

static void test_nist_ours(void **state)
{
	skip_without_instructions();
	assert_true(gcm_is_accelerated());
	test_nist(state);
}

static void test_wycheproof_ours(void **state)
{
	skip_without_instructions();
	assert_true(gcm_is_accelerated());
	test_wycheproof(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nist_ours, use_ours),
		cmocka_unit_test_setup(test_wycheproof_ours, use_ours),
		cmocka_unit_test_setup(test_nist, use_stock),
		cmocka_unit_test_setup(test_wycheproof, use_stock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
