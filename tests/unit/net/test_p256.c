/*
 * Our P-256 beside mbedTLS's own, through the functions that TLS calls; what those must refuse; and
 * the corners of the curve, which no random number meets. The vectors of others are in
 * test_p256_vectors.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/psa_util.h>
#include <string.h>

#include "net/p256.h"
#include "net/tls.h"

#define RANDOM mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE
#define SIZE P256_BYTES

static mbedtls_ecp_group group;
static uint8_t order[SIZE], field[SIZE];

static const uint8_t one[SIZE] = { [SIZE - 1] = 1 }, zero[SIZE];

static void bytes(const mbedtls_mpi *n, uint8_t ret[SIZE])
{
	assert_int_equal(mbedtls_mpi_write_binary(n, ret, SIZE), 0);
}

static void number(mbedtls_mpi *n, const uint8_t p[SIZE])
{
	assert_int_equal(mbedtls_mpi_read_binary(n, p, SIZE), 0);
}

/* p + add, as numbers */
static void plus(uint8_t ret[SIZE], const uint8_t p[SIZE], int add)
{
	mbedtls_mpi n;

	mbedtls_mpi_init(&n);
	number(&n, p);
	assert_int_equal(mbedtls_mpi_add_int(&n, &n, add), 0);
	bytes(&n, ret);
	mbedtls_mpi_free(&n);
}

static void draw(uint8_t ret[SIZE])
{
	mbedtls_mpi n;

	mbedtls_mpi_init(&n);
	assert_int_equal(mbedtls_ecp_gen_privkey(&group, &n, RANDOM), 0);
	bytes(&n, ret);
	mbedtls_mpi_free(&n);
}

/* --- beside mbedTLS's own ----------------------------------------------------------------------- */

/* A pair of keys: both modules make the same of the private one. */
struct pair {
	mbedtls_mpi d;
	mbedtls_ecp_point q;
};

static void make_pair(struct pair *p)
{
	mbedtls_mpi_init(&p->d);
	mbedtls_ecp_point_init(&p->q);
	assert_true(p256_accelerate(true));
	assert_int_equal(mbedtls_ecdh_gen_public(&group, &p->d, &p->q, RANDOM), 0);
}

static void free_pair(struct pair *p)
{
	mbedtls_mpi_free(&p->d);
	mbedtls_ecp_point_free(&p->q);
}

/* Stock hides its numbers behind random ones, ours has no need to: so one sees which it was. */
static int count(void *arg, unsigned char *p, size_t n)
{
	++*(unsigned *)arg;
	return mbedtls_psa_get_random(MBEDTLS_PSA_RANDOM_STATE, p, n);
}

static void test_agreement_beside_stock(void **state)
{
	mbedtls_mpi ours, stock;
	unsigned drawn = 0;

	(void)state;
	mbedtls_mpi_init(&ours);
	mbedtls_mpi_init(&stock);
	for (int i = 0; i < 50; i++) {
		struct pair a, b;

		make_pair(&a);
		make_pair(&b);
		assert_int_equal(
			mbedtls_ecdh_compute_shared(&group, &ours, &a.q, &b.d, count, &drawn), 0);
		assert_int_equal(drawn, 0);
		(void)p256_accelerate(false);
		assert_int_equal(
			mbedtls_ecdh_compute_shared(&group, &stock, &b.q, &a.d, count, &drawn), 0);
		assert_true(drawn > 0);
		drawn = 0;
		assert_int_equal(mbedtls_mpi_cmp_mpi(&ours, &stock), 0);
		free_pair(&a);
		free_pair(&b);
	}
	mbedtls_mpi_free(&ours);
	mbedtls_mpi_free(&stock);
}

/* RFC 6979: the nonce follows from key and hash, so both give the same signature. */
static void test_signatures_beside_stock(void **state)
{
	static const size_t sizes[] = { 32, 20, 28, 48, 64, 1, 0 };
	mbedtls_mpi r[2], s[2];
	uint8_t hash[64];

	(void)state;
	for (int i = 0; i < 2; i++) {
		mbedtls_mpi_init(&r[i]);
		mbedtls_mpi_init(&s[i]);
	}
	for (size_t i = 0; i < 70; i++) {
		size_t n = sizes[i % 7];
		struct pair p;

		make_pair(&p);
		assert_int_equal(mbedtls_psa_get_random(MBEDTLS_PSA_RANDOM_STATE, hash, 64), 0);
		if (i > 60) /* not below the order: it is reduced */
			memset(hash, 0xff, sizeof(hash));
		for (int stock = 0; stock < 2; stock++) {
			(void)p256_accelerate(!stock);
			assert_int_equal(mbedtls_ecdsa_sign_det_ext(&group, &r[stock], &s[stock],
								    &p.d, hash, n,
								    MBEDTLS_MD_SHA256, RANDOM),
					 0);
		}
		assert_int_equal(mbedtls_mpi_cmp_mpi(&r[0], &r[1]), 0);
		assert_int_equal(mbedtls_mpi_cmp_mpi(&s[0], &s[1]), 0);
		for (int stock = 0; stock < 2; stock++) {
			(void)p256_accelerate(!stock);
			assert_int_equal(mbedtls_ecdsa_verify(&group, hash, n, &p.q, &r[0], &s[0]),
					 0);
			if (n == 0)
				continue;
			hash[0] ^= 1;
			assert_int_equal(mbedtls_ecdsa_verify(&group, hash, n, &p.q, &r[0], &s[0]),
					 MBEDTLS_ERR_ECP_VERIFY_FAILED);
			hash[0] ^= 1;
		}
		free_pair(&p);
	}
	for (int i = 0; i < 2; i++) {
		mbedtls_mpi_free(&r[i]);
		mbedtls_mpi_free(&s[i]);
	}
}

/* Other curves are none of ours. */
static void test_p384(void **state)
{
	mbedtls_ecp_group p384;
	mbedtls_ecp_point q;
	mbedtls_mpi d, r, s, z;
	static const uint8_t hash[48] = "not a hash, but as long";

	(void)state;
	assert_true(p256_accelerate(true));
	mbedtls_ecp_group_init(&p384);
	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_mpi_init(&z);
	assert_int_equal(mbedtls_ecp_group_load(&p384, MBEDTLS_ECP_DP_SECP384R1), 0);
	assert_int_equal(mbedtls_ecdh_gen_public(&p384, &d, &q, RANDOM), 0);
	assert_int_equal(mbedtls_ecdh_compute_shared(&p384, &z, &q, &d, RANDOM), 0);
	assert_int_equal(mbedtls_mpi_size(&z) > SIZE, 1);
	assert_int_equal(mbedtls_ecdsa_sign_det_ext(&p384, &r, &s, &d, hash, sizeof(hash),
						    MBEDTLS_MD_SHA384, RANDOM),
			 0);
	assert_int_equal(mbedtls_ecdsa_verify(&p384, hash, sizeof(hash), &q, &r, &s), 0);
	assert_int_equal(mbedtls_mpi_add_int(&s, &s, 1), 0);
	assert_int_equal(mbedtls_ecdsa_verify(&p384, hash, sizeof(hash), &q, &r, &s),
			 MBEDTLS_ERR_ECP_VERIFY_FAILED);
	mbedtls_ecp_group_free(&p384);
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&z);
}

/* --- what is refused ---------------------------------------------------------------------------- */

static void test_numbers_out_of_range(void **state)
{
	struct p256_point p, q;
	uint8_t d[SIZE], k[SIZE], r[SIZE], s[SIZE], big[SIZE], all[SIZE];

	(void)state;
	draw(d);
	draw(k);
	plus(big, order, 1);
	memset(all, 0xff, SIZE);
	assert_true(p256_multiply(&p, d, NULL));
	assert_false(p256_multiply(&q, zero, NULL));
	assert_false(p256_multiply(&q, order, NULL));
	assert_false(p256_multiply(&q, big, NULL));
	assert_false(p256_multiply(&q, all, &p));
	assert_false(p256_sign(r, s, zero, d, k));
	assert_false(p256_sign(r, s, order, d, k));
	assert_false(p256_sign(r, s, d, d, zero));
	assert_false(p256_sign(r, s, d, d, order));

	assert_true(p256_sign(r, s, d, one, k));
	assert_true(p256_verify(&p, one, r, s));
	assert_false(p256_verify(&p, one, zero, s));
	assert_false(p256_verify(&p, one, r, zero));
	assert_false(p256_verify(&p, one, order, s));
	assert_false(p256_verify(&p, one, r, order));
	assert_false(p256_verify(&p, one, s, r));
	assert_false(p256_verify(&p, zero, r, s));
}

static void test_points_off_the_curve(void **state)
{
	static const uint8_t five[SIZE] = { [SIZE - 1] = 5 };
	static const uint8_t y_of_five[SIZE] =
		"\x45\x92\x43\xb9\xaa\x58\x18\x06\xfe\x91\x3b\xce\x99\x81\x7a\xde"
		"\x11\xca\x50\x3c\x64\xd9\xa3\xc5\x33\x41\x5c\x08\x32\x48\xfb\xcc";
	static const uint8_t x_of_five[SIZE] =
		"\xd7\x32\x5d\x76\x46\xcd\x60\xd8\x0a\x92\x73\x8c\xeb\x34\x5f\x84"
		"\x4c\xff\xaf\x35\x84\x10\x22\xca\xb1\x76\xf6\x92\xde\x8d\xe1\xd7";
	struct p256_point p, bad;
	uint8_t d[SIZE];

	(void)state;
	draw(d);
	assert_true(p256_multiply(&p, d, NULL));
	assert_true(p256_is_point(&p));
	for (size_t i = 0; i < SIZE; i++) {
		bad = p;
		bad.x[i] ^= 1;
		assert_false(p256_is_point(&bad));
		assert_false(p256_multiply(&bad, d, &bad));
		bad = p;
		bad.y[i] ^= 0x80;
		assert_false(p256_is_point(&bad));
		assert_false(p256_verify(&bad, one, one, one));
	}
	memset(&bad, 0, sizeof(bad));
	assert_false(p256_is_point(&bad));
	memset(&bad, 0xff, sizeof(bad));
	assert_false(p256_is_point(&bad));
	/* points of which x, y is 5, and the same with a coordinate that is not reduced */
	memcpy(bad.x, five, SIZE);
	memcpy(bad.y, y_of_five, SIZE);
	assert_true(p256_is_point(&bad));
	plus(bad.x, field, 5);
	assert_false(p256_is_point(&bad));
	memcpy(bad.x, x_of_five, SIZE);
	memcpy(bad.y, five, SIZE);
	assert_true(p256_is_point(&bad));
	plus(bad.y, field, 5);
	assert_false(p256_is_point(&bad));
}

/* Through mbedTLS's functions, with its own words for it. */
static void test_refusals_of_the_library(void **state)
{
	static const uint8_t hash[SIZE] = { 1, 2, 3 };
	mbedtls_mpi r, s, z;
	struct pair p;

	(void)state;
	make_pair(&p);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_mpi_init(&z);
	assert_int_equal(mbedtls_ecdsa_sign_det_ext(&group, &r, &s, &p.d, hash, SIZE,
						    MBEDTLS_MD_SHA256, RANDOM),
			 0);
	assert_int_equal(mbedtls_ecdsa_sign_det_ext(&group, &z, &z, &group.N, hash, SIZE,
						    MBEDTLS_MD_SHA256, RANDOM),
			 MBEDTLS_ERR_ECP_INVALID_KEY);
	assert_int_equal(mbedtls_ecdh_compute_shared(&group, &z, &p.q, &group.N, RANDOM),
			 MBEDTLS_ERR_ECP_INVALID_KEY);
	assert_int_equal(mbedtls_mpi_lset(&z, 0), 0);
	assert_int_equal(mbedtls_ecdsa_verify(&group, hash, SIZE, &p.q, &z, &s),
			 MBEDTLS_ERR_ECP_VERIFY_FAILED);
	/* the numbers negative, and too long */
	assert_int_equal(mbedtls_mpi_sub_mpi(&z, &z, &r), 0);
	assert_int_equal(mbedtls_ecdsa_verify(&group, hash, SIZE, &p.q, &z, &s),
			 MBEDTLS_ERR_ECP_VERIFY_FAILED);
	assert_int_equal(mbedtls_mpi_copy(&z, &s), 0);
	assert_int_equal(mbedtls_mpi_shift_l(&z, 256), 0);
	assert_int_equal(mbedtls_mpi_add_mpi(&z, &z, &s), 0);
	assert_int_equal(mbedtls_ecdsa_verify(&group, hash, SIZE, &p.q, &r, &z),
			 MBEDTLS_ERR_ECP_VERIFY_FAILED);
	/* the key at infinity, and off the curve */
	assert_int_equal(mbedtls_mpi_lset(&p.q.MBEDTLS_PRIVATE(Z), 0), 0);
	assert_int_equal(mbedtls_ecdsa_verify(&group, hash, SIZE, &p.q, &r, &s),
			 MBEDTLS_ERR_ECP_INVALID_KEY);
	assert_int_equal(mbedtls_ecdh_compute_shared(&group, &z, &p.q, &p.d, RANDOM),
			 MBEDTLS_ERR_ECP_INVALID_KEY);
	assert_int_equal(mbedtls_mpi_lset(&p.q.MBEDTLS_PRIVATE(Z), 1), 0);
	assert_int_equal(mbedtls_mpi_add_int(&p.q.MBEDTLS_PRIVATE(Y), &p.q.MBEDTLS_PRIVATE(Y), 1),
			 0);
	assert_int_equal(mbedtls_ecdsa_verify(&group, hash, SIZE, &p.q, &r, &s),
			 MBEDTLS_ERR_ECP_INVALID_KEY);
	assert_int_equal(mbedtls_ecdh_compute_shared(&group, &z, &p.q, &p.d, RANDOM),
			 MBEDTLS_ERR_ECP_INVALID_KEY);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&z);
	free_pair(&p);
}

static int broken(void *arg, unsigned char *p, size_t n)
{
	(void)arg;
	memset(p, 0, n);
	return -1;
}

static int stuck(void *arg, unsigned char *p, size_t n)
{
	(void)arg;
	memset(p, 0, n);
	return 0;
}

static void test_bad_randomness(void **state)
{
	static const uint8_t hash[SIZE] = { 1 };
	mbedtls_mpi r, s;
	struct pair p;

	(void)state;
	make_pair(&p);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	assert_int_not_equal(mbedtls_ecdsa_sign(&group, &r, &s, &p.d, hash, SIZE, broken, NULL), 0);
	assert_int_not_equal(mbedtls_ecdsa_sign(&group, &r, &s, &p.d, hash, SIZE, stuck, NULL), 0);
	assert_int_equal(mbedtls_mpi_cmp_int(&r, 0), 0);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	free_pair(&p);
}

/* --- corners ------------------------------------------------------------------------------------ */

/* n - 1 times a point is its opposite; 1 times it is itself; also by way of the table of the base. */
static void test_ends_of_the_range(void **state)
{
	struct p256_point base, p, q;
	uint8_t d[SIZE], last[SIZE];

	(void)state;
	plus(last, order, -1);
	draw(d);
	assert_true(p256_multiply(&base, one, NULL));
	for (int i = 0; i < 2; i++) {
		mbedtls_mpi y, sum;

		assert_true(p256_multiply(&p, i ? d : one, NULL));
		assert_true(p256_multiply(&q, one, &p));
		assert_memory_equal(&p, &q, sizeof(p));
		assert_true(p256_multiply(&q, last, &p));
		assert_memory_equal(p.x, q.x, SIZE);
		mbedtls_mpi_init(&y);
		mbedtls_mpi_init(&sum);
		number(&y, p.y);
		number(&sum, q.y);
		assert_int_equal(mbedtls_mpi_add_mpi(&sum, &sum, &y), 0);
		assert_int_equal(mbedtls_mpi_cmp_mpi(&sum, &group.P), 0);
		mbedtls_mpi_free(&y);
		mbedtls_mpi_free(&sum);
	}
	assert_true(p256_multiply(&p, last, NULL));
	assert_true(p256_multiply(&q, last, &base));
	assert_memory_equal(&p, &q, sizeof(p));
}

/* Every digit in every place, through the comb and through the windows. */
static void test_digits(void **state)
{
	struct p256_point base, p, q;
	uint8_t k[SIZE];

	(void)state;
	assert_true(p256_multiply(&base, one, NULL));
	for (int byte = 0; byte < SIZE; byte++) {
		for (int digit = 1; digit < 16; digit++) {
			memset(k, 0, SIZE);
			k[byte] = (uint8_t)(digit << (byte % 2 ? 4 : 0));
			assert_true(p256_multiply(&p, k, NULL));
			assert_true(p256_multiply(&q, k, &base));
			assert_memory_equal(&p, &q, sizeof(p));
		}
	}
}

/* u1 G and u2 Q are the same point: their sum is a doubling. */
static void test_sum_of_equal_points(void **state)
{
	struct p256_point base, p;
	uint8_t k[SIZE], r[SIZE], s[SIZE];

	(void)state;
	assert_true(p256_multiply(&base, one, NULL));
	draw(k);
	assert_true(p256_multiply(&p, k, NULL)); /* its x is r: k is no secret here */
	assert_true(p256_sign(r, s, one, p.x, k));
	assert_true(p256_verify(&base, r, r, s));
}

/* -hash / r: the private key for which hash + r d is 0 */
static void cancelling(uint8_t ret_d[SIZE], const uint8_t hash[SIZE], const uint8_t r[SIZE])
{
	mbedtls_mpi e, n, inverse;

	mbedtls_mpi_init(&e);
	mbedtls_mpi_init(&n);
	mbedtls_mpi_init(&inverse);
	number(&n, r);
	number(&e, hash);
	assert_int_equal(mbedtls_mpi_inv_mod(&inverse, &n, &group.N), 0);
	assert_int_equal(mbedtls_mpi_mul_mpi(&e, &e, &inverse), 0);
	assert_int_equal(mbedtls_mpi_mod_mpi(&e, &e, &group.N), 0);
	assert_int_equal(mbedtls_mpi_sub_mpi(&e, &group.N, &e), 0);
	bytes(&e, ret_d);
	mbedtls_mpi_free(&e);
	mbedtls_mpi_free(&n);
	mbedtls_mpi_free(&inverse);
}

/* u1 G and u2 Q are opposite: their sum is infinity, which has no x. Nor is s ever 0. */
static void test_sum_of_opposite_points(void **state)
{
	struct p256_point p, q;
	uint8_t d[SIZE], k[SIZE], hash[SIZE], r[SIZE], s[SIZE];

	(void)state;
	for (int i = 0; i < 10; i++) {
		draw(k);
		draw(hash);
		assert_true(p256_multiply(&p, k, NULL)); /* its x is r */
		cancelling(d, hash, p.x);
		assert_true(p256_multiply(&q, d, NULL));
		assert_false(p256_verify(&q, hash, p.x, one));
		assert_false(p256_verify(&q, hash, p.x, k));
		assert_false(p256_sign(r, s, d, hash, k));
	}
}

static int setup(void **state)
{
	(void)state;
	mbedtls_ecp_group_init(&group);
	if (tls_global_init(NULL) || mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1))
		return -1;
	bytes(&group.N, order);
	bytes(&group.P, field);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mbedtls_ecp_group_free(&group);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agreement_beside_stock),
		cmocka_unit_test(test_signatures_beside_stock),
		cmocka_unit_test(test_p384),
		cmocka_unit_test(test_numbers_out_of_range),
		cmocka_unit_test(test_points_off_the_curve),
		cmocka_unit_test(test_refusals_of_the_library),
		cmocka_unit_test(test_bad_randomness),
		cmocka_unit_test(test_ends_of_the_range),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_sum_of_equal_points),
		cmocka_unit_test(test_sum_of_opposite_points),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
