/*
 * X25519 the way TLS 1.3 uses it, through PSA: both the public half of a key and the agreement must
 * be right, whichever code computes them (scripts/mbedtls_psa_ecp.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <mbedtls/ecp.h>
#include <mbedtls/psa_util.h>
#include <psa/crypto.h>
#include <string.h>

#include "net/tls.h"
#include "vectors.h"

#define SIZE 32
#define RANDOM MBEDTLS_PSA_RANDOM_STATE

static psa_key_id_t import_key(const uint8_t private_key[SIZE])
{
	psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id;

	psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY));
	psa_set_key_bits(&a, 255);
	psa_set_key_algorithm(&a, PSA_ALG_ECDH);
	psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE | PSA_KEY_USAGE_EXPORT);
	assert_int_equal(psa_import_key(&a, private_key, SIZE, &id), PSA_SUCCESS);
	return id;
}

static void public_of(const uint8_t private_key[SIZE], uint8_t ret[SIZE])
{
	psa_key_id_t id = import_key(private_key);
	size_t n;

	assert_int_equal(psa_export_public_key(id, ret, SIZE, &n), PSA_SUCCESS);
	assert_int_equal(n, SIZE);
	assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
}

static psa_status_t agree(const uint8_t private_key[SIZE], const uint8_t *peer, size_t peer_len,
			  uint8_t ret[SIZE])
{
	psa_key_id_t id = import_key(private_key);
	size_t n = 0;
	psa_status_t status =
		psa_raw_key_agreement(PSA_ALG_ECDH, id, peer, peer_len, ret, SIZE, &n);

	assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
	assert_true(status != PSA_SUCCESS || n == SIZE);
	return status;
}

/* RFC 7748 6.1 */
static void test_rfc7748(void **state)
{
	static const uint8_t a[SIZE] = "\x77\x07\x6d\x0a\x73\x18\xa5\x7d\x3c\x16\xc1\x72\x51\xb2"
				       "\x66\x45\xdf\x4c\x2f\x87\xeb\xc0\x99\x2a\xb1\x77\xfb\xa5"
				       "\x1d\xb9\x2c\x2a";
	static const uint8_t a_public[SIZE] =
		"\x85\x20\xf0\x09\x89\x30\xa7\x54\x74\x8b\x7d\xdc\xb4\x3e\xf7\x5a"
		"\x0d\xbf\x3a\x0d\x26\x38\x1a\xf4\xeb\xa4\xa9\x8e\xaa\x9b\x4e\x6a";
	static const uint8_t b[SIZE] = "\x5d\xab\x08\x7e\x62\x4a\x8a\x4b\x79\xe1\x7f\x8b\x83\x80"
				       "\x0e\xe6\x6f\x3b\xb1\x29\x26\x18\xb6\xfd\x1c\x2f\x8b\x27"
				       "\xff\x88\xe0\xeb";
	static const uint8_t b_public[SIZE] =
		"\xde\x9e\xdb\x7d\x7b\x7d\xc1\xb4\xd3\x5b\x61\xc2\xec\xe4\x35\x37"
		"\x3f\x83\x43\xc8\x5b\x78\x67\x4d\xad\xfc\x7e\x14\x6f\x88\x2b\x4f";
	static const uint8_t secret[SIZE] =
		"\x4a\x5d\x9d\x5b\xa4\xce\x2d\xe1\x72\x8e\x3b\xf4\x80\x35\x0f\x25"
		"\xe0\x7e\x21\xc9\x47\xd1\x9e\x33\x76\xf0\x9b\x3c\x1e\x16\x17\x42";
	uint8_t out[SIZE];

	(void)state;
	public_of(a, out);
	assert_memory_equal(out, a_public, SIZE);
	public_of(b, out);
	assert_memory_equal(out, b_public, SIZE);
	assert_int_equal(agree(a, b_public, SIZE, out), PSA_SUCCESS);
	assert_memory_equal(out, secret, SIZE);
	assert_int_equal(agree(b, a_public, SIZE, out), PSA_SUCCESS);
	assert_memory_equal(out, secret, SIZE);
}

/* New keys, as in a handshake, beside the library's generic code. */
static void test_public_key_beside_generic(void **state)
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point point;
	mbedtls_mpi d;
	uint8_t private_key[SIZE], out[SIZE], generic[SIZE];
	size_t n;

	(void)state;
	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&point);
	mbedtls_mpi_init(&d);
	assert_int_equal(mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_CURVE25519), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(psa_generate_random(private_key, SIZE), PSA_SUCCESS);
		public_of(private_key, out);
		private_key[0] &= 0xf8; /* RFC 7748 5 */
		private_key[SIZE - 1] = (private_key[SIZE - 1] & 0x7f) | 0x40;
		assert_int_equal(mbedtls_mpi_read_binary_le(&d, private_key, SIZE), 0);
		assert_int_equal(mbedtls_ecp_mul(&group, &point, &d, &group.G,
						 mbedtls_psa_get_random, RANDOM),
				 0);
		assert_int_equal(mbedtls_ecp_point_write_binary(&group, &point,
								MBEDTLS_ECP_PF_COMPRESSED, &n,
								generic, SIZE),
				 0);
		assert_memory_equal(out, generic, SIZE);
	}
	mbedtls_mpi_free(&d);
	mbedtls_ecp_point_free(&point);
	mbedtls_ecp_group_free(&group);
}

/* The other curves take the generic way on; the key of a handshake is one of them at times. */
static void test_p256(void **state)
{
	/* NIST P-256, private key 1: the public key is the base point (SP 800-186 3.2.1.3). */
	static const uint8_t one[SIZE] = { [SIZE - 1] = 1 };
	static const uint8_t base[2 * SIZE + 1] =
		"\x04\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d"
		"\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96\x4f\xe3\x42\xe2\xfe\x1a\x7f"
		"\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40"
		"\x68\x37\xbf\x51\xf5";
	psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t out[sizeof(base)];
	psa_key_id_t id;
	size_t n;

	(void)state;
	psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
	psa_set_key_algorithm(&a, PSA_ALG_ECDH);
	psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
	assert_int_equal(psa_import_key(&a, one, SIZE, &id), PSA_SUCCESS);
	assert_int_equal(psa_export_public_key(id, out, sizeof(out), &n), PSA_SUCCESS);
	assert_int_equal(n, sizeof(base));
	assert_memory_equal(out, base, sizeof(base));
	assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
}

struct counts {
	size_t agreed, refused;
};

static void check(const struct vector *v, void *arg)
{
	struct counts *counts = arg;
	uint8_t out[SIZE], any = 0;
	psa_status_t status = agree(v->private_key.p, v->public_key.p, v->public_key.n, out);

	for (size_t i = 0; i < v->shared.n; i++)
		any |= v->shared.p[i];
	if (v->valid && status != PSA_SUCCESS)
		fail_msg("%s: refused (%d)", v->name, (int)status);
	/* RFC 8446 7.4.2: a secret of zeros ends the handshake. */
	if ((v->invalid || any == 0) && status == PSA_SUCCESS)
		fail_msg("%s: not refused", v->name);
	if (status == PSA_SUCCESS) {
		if (memcmp(out, v->shared.p, SIZE) != 0)
			fail_msg("%s: another secret", v->name);
		counts->agreed++;
	} else {
		counts->refused++;
	}
}

static void test_wycheproof(void **state)
{
	struct counts counts = { 0 };

	(void)state;
	if (vectors_wycheproof("x25519_test.json", check, &counts) == 0)
		skip();
	assert_true(counts.agreed > 400);
	assert_true(counts.refused > 20);
}

static int setup(void **state)
{
	(void)state;
	return tls_global_init(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc7748),
		cmocka_unit_test(test_public_key_beside_generic),
		cmocka_unit_test(test_p256),
		cmocka_unit_test(test_wycheproof),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
