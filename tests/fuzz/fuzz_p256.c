/*
 * Our P-256 beside mbedTLS's own: products, signatures with a given nonce, and what both say to a
 * signature and a point of the input's choice.
 */
#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/p256.h"
#include "net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE P256_BYTES

static mbedtls_ecp_group group;

static void check(int ok)
{
	if (!ok)
		abort();
}

static void number(mbedtls_mpi *n, const uint8_t *p)
{
	mbedtls_mpi_init(n);
	check(mbedtls_mpi_read_binary(n, p, SIZE) == 0);
}

/* The nonce; and randomness for what the library hides its numbers behind. */
static int draw(void *from, unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = ((const uint8_t *)from)[i % SIZE];
	return 0;
}

static void multiply(const uint8_t *k, const mbedtls_ecp_point *p)
{
	static const uint8_t some[SIZE] = { 1, 2, 3 };
	mbedtls_mpi m, z[2];
	int ret[2];

	number(&m, k);
	for (int i = 0; i < 2; i++) {
		mbedtls_mpi_init(&z[i]);
		(void)p256_accelerate(i == 0);
		ret[i] = mbedtls_ecdh_compute_shared(&group, &z[i], p, &m, draw,
						     (void *)(uintptr_t)some);
	}
	check((ret[0] == 0) == (ret[1] == 0));
	check(ret[0] != 0 || mbedtls_mpi_cmp_mpi(&z[0], &z[1]) == 0);
	for (int i = 0; i < 2; i++)
		mbedtls_mpi_free(&z[i]);
	mbedtls_mpi_free(&m);
}

static void verify(const uint8_t *hash, const mbedtls_ecp_point *q, const mbedtls_mpi *r,
		   const mbedtls_mpi *s, int expect)
{
	int ret[2];

	for (int i = 0; i < 2; i++) {
		(void)p256_accelerate(i == 0);
		ret[i] = mbedtls_ecdsa_verify(&group, hash, SIZE, q, r, s);
	}
	check((ret[0] == 0) == (ret[1] == 0));
	check(!expect || ret[0] == 0);
}

/* Signs in both ways, and verifies that and what the input makes of it. */
static void sign(const uint8_t *d, const uint8_t *k, const uint8_t *hash, const uint8_t *change)
{
	mbedtls_ecp_point q;
	mbedtls_mpi key, r[2], s[2], other;
	int ret[2];

	number(&key, d);
	number(&other, change);
	mbedtls_ecp_point_init(&q);
	for (int i = 0; i < 2; i++) {
		mbedtls_mpi_init(&r[i]);
		mbedtls_mpi_init(&s[i]);
		(void)p256_accelerate(i == 0);
		ret[i] = mbedtls_ecdsa_sign(&group, &r[i], &s[i], &key, hash, SIZE, draw,
					    (void *)(uintptr_t)k);
	}
	check((ret[0] == 0) == (ret[1] == 0));
	(void)p256_accelerate(true);
	if (ret[0] == 0) {
		check(mbedtls_mpi_cmp_mpi(&r[0], &r[1]) == 0);
		check(mbedtls_mpi_cmp_mpi(&s[0], &s[1]) == 0);
		check(mbedtls_ecdh_gen_public(&group, &key, &q, draw, (void *)(uintptr_t)d) == 0);
		verify(hash, &q, &r[0], &s[0], 1);
		verify(change, &q, &r[0], &s[0], 0);
		verify(hash, &q, &other, &s[0], 0);
		verify(hash, &q, &r[0], &other, 0);
		multiply(change, &q);
	}
	for (int i = 0; i < 2; i++) {
		mbedtls_mpi_free(&r[i]);
		mbedtls_mpi_free(&s[i]);
	}
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&key);
	mbedtls_mpi_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mbedtls_ecp_point p;

	if (size < 4 * SIZE)
		return 0;
	if (group.id == MBEDTLS_ECP_DP_NONE) {
		check(tls_global_init(NULL) == 0);
		mbedtls_ecp_group_init(&group);
		check(mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0);
	}
	sign(data, data + SIZE, data + 2 * SIZE, data + 3 * SIZE);
	/* any two numbers as a point, which is hardly ever one */
	mbedtls_ecp_point_init(&p);
	mbedtls_mpi_free(&p.MBEDTLS_PRIVATE(X));
	mbedtls_mpi_free(&p.MBEDTLS_PRIVATE(Y));
	number(&p.MBEDTLS_PRIVATE(X), data);
	number(&p.MBEDTLS_PRIVATE(Y), data + SIZE);
	check(mbedtls_mpi_lset(&p.MBEDTLS_PRIVATE(Z), 1) == 0);
	multiply(data + 2 * SIZE, &p);
	mbedtls_ecp_point_free(&p);
	return 0;
}
