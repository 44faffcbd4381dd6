/*
 * mbedTLS's ECDSA and ECDH (<mbedtls/ecdsa.h>, <mbedtls/ecdh.h> document these functions): on P-256
 * ours, on other curves the library's own, which is there under other names
 * (scripts/mbedtls_ecdsa_stock.c).
 */
#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/psa_util.h>
#include <string.h>

#include "base/mem.h"
#include "net/p256.h"

typedef int random_fn(void *arg, unsigned char *p, size_t n);

/* How often a nonce is drawn: each fails with a probability of 2^-32, or was drawn from nothing. */
#define NONCES 10

int ecdsa_stock_sign_restartable(mbedtls_ecp_group *grp, mbedtls_mpi *r, mbedtls_mpi *s,
				 const mbedtls_mpi *d, const unsigned char *buf, size_t blen,
				 random_fn *f_rng, void *p_rng, random_fn *f_rng_blind,
				 void *p_rng_blind, mbedtls_ecdsa_restart_ctx *rs_ctx);
int ecdsa_stock_verify(mbedtls_ecp_group *grp, const unsigned char *buf, size_t blen,
		       const mbedtls_ecp_point *Q, const mbedtls_mpi *r, const mbedtls_mpi *s);
/* For scripts/mbedtls_psa_ecp.c. */
int p256_alt_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
		 const mbedtls_ecp_point *P, random_fn *f_rng, void *p_rng);

static bool accelerated;

bool p256_accelerate(bool on)
{
	accelerated = on;
	return accelerated;
}

bool p256_is_accelerated(void)
{
	return accelerated;
}

static bool is_ours(const mbedtls_ecp_group *grp)
{
	return accelerated && grp->id == MBEDTLS_ECP_DP_SECP256R1;
}

/* Of a point in affine form, as all are that come from outside. */
static bool take_point(struct p256_point *ret, const mbedtls_ecp_point *p)
{
	return mbedtls_mpi_cmp_int(&p->MBEDTLS_PRIVATE(Z), 1) == 0 &&
	       mbedtls_mpi_write_binary(&p->MBEDTLS_PRIVATE(X), ret->x, P256_BYTES) == 0 &&
	       mbedtls_mpi_write_binary(&p->MBEDTLS_PRIVATE(Y), ret->y, P256_BYTES) == 0;
}

int p256_alt_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
		 const mbedtls_ecp_point *P, random_fn *f_rng, void *p_rng)
{
	struct p256_point point, product;
	uint8_t k[P256_BYTES];
	bool is_base = P == &grp->G;
	int ret;

	if (!is_ours(grp))
		return mbedtls_ecp_mul(grp, R, m, P, f_rng, p_rng);
	if (!is_base && !take_point(&point, P))
		return MBEDTLS_ERR_ECP_INVALID_KEY;
	if (mbedtls_mpi_write_binary(m, k, sizeof(k)) != 0 ||
	    !p256_multiply(&product, k, is_base ? NULL : &point)) {
		mem_wipe(k, sizeof(k));
		return MBEDTLS_ERR_ECP_INVALID_KEY;
	}
	mem_wipe(k, sizeof(k));
	ret = mbedtls_mpi_read_binary(&R->MBEDTLS_PRIVATE(X), product.x, P256_BYTES);
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(&R->MBEDTLS_PRIVATE(Y), product.y, P256_BYTES);
	if (ret == 0)
		ret = mbedtls_mpi_lset(&R->MBEDTLS_PRIVATE(Z), 1);
	mem_wipe(&product, sizeof(product)); /* it may be a shared secret */
	return ret;
}

int mbedtls_ecdh_gen_public(mbedtls_ecp_group *grp, mbedtls_mpi *d, mbedtls_ecp_point *Q,
			    random_fn *f_rng, void *p_rng)
{
	int ret = mbedtls_ecp_gen_privkey(grp, d, f_rng, p_rng);

	return ret == 0 ? p256_alt_mul(grp, Q, d, &grp->G, f_rng, p_rng) : ret;
}

int mbedtls_ecdh_compute_shared(mbedtls_ecp_group *grp, mbedtls_mpi *z, const mbedtls_ecp_point *Q,
				const mbedtls_mpi *d, random_fn *f_rng, void *p_rng)
{
	mbedtls_ecp_point product;
	int ret;

	mbedtls_ecp_point_init(&product);
	ret = p256_alt_mul(grp, &product, d, Q, f_rng, p_rng);
	if (ret == 0 && mbedtls_ecp_is_zero(&product))
		ret = MBEDTLS_ERR_ECP_BAD_INPUT_DATA;
	if (ret == 0)
		ret = mbedtls_mpi_copy(z, &product.MBEDTLS_PRIVATE(X));
	mbedtls_ecp_point_free(&product);
	return ret;
}

/* FIPS 186-5 6.4.1: the leftmost bits, as many as the order has. */
static void take_hash(uint8_t ret[P256_BYTES], const unsigned char *hash, size_t n)
{
	if (n > P256_BYTES)
		n = P256_BYTES;
	memset(ret, 0, P256_BYTES - n);
	if (n > 0)
		memcpy(ret + P256_BYTES - n, hash, n);
}

/* The nonce comes as the library draws it, so that with its generator of RFC 6979 it is that one. */
static int sign(mbedtls_ecp_group *grp, uint8_t r[P256_BYTES], uint8_t s[P256_BYTES],
		const uint8_t d[P256_BYTES], const uint8_t hash[P256_BYTES], random_fn *f_rng,
		void *p_rng)
{
	uint8_t k[P256_BYTES];
	mbedtls_mpi nonce;
	bool done = false;
	int ret = 0;

	mbedtls_mpi_init(&nonce);
	for (int i = 0; i < NONCES && ret == 0 && !done; i++) {
		ret = mbedtls_ecp_gen_privkey(grp, &nonce, f_rng, p_rng);
		if (ret == 0)
			ret = mbedtls_mpi_write_binary(&nonce, k, sizeof(k));
		done = ret == 0 && p256_sign(r, s, d, hash, k);
	}
	mbedtls_mpi_free(&nonce);
	mem_wipe(k, sizeof(k));
	return ret != 0 || done ? ret : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

int mbedtls_ecdsa_sign(mbedtls_ecp_group *grp, mbedtls_mpi *r, mbedtls_mpi *s, const mbedtls_mpi *d,
		       const unsigned char *buf, size_t blen, random_fn *f_rng, void *p_rng)
{
	uint8_t own_r[P256_BYTES], own_s[P256_BYTES], key[P256_BYTES], hash[P256_BYTES];
	int ret;

	/* What hides the key from side channels is never the generator of the nonce. */
	if (!is_ours(grp))
		return ecdsa_stock_sign_restartable(grp, r, s, d, buf, blen, f_rng, p_rng,
						    mbedtls_psa_get_random,
						    MBEDTLS_PSA_RANDOM_STATE, NULL);
	if (mbedtls_mpi_cmp_int(d, 1) < 0 || mbedtls_mpi_cmp_mpi(d, &grp->N) >= 0)
		return MBEDTLS_ERR_ECP_INVALID_KEY;
	take_hash(hash, buf, blen);
	ret = mbedtls_mpi_write_binary(d, key, sizeof(key));
	if (ret == 0)
		ret = sign(grp, own_r, own_s, key, hash, f_rng, p_rng);
	mem_wipe(key, sizeof(key));
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(r, own_r, sizeof(own_r));
	if (ret == 0)
		ret = mbedtls_mpi_read_binary(s, own_s, sizeof(own_s));
	return ret;
}

int mbedtls_ecdsa_verify(mbedtls_ecp_group *grp, const unsigned char *buf, size_t blen,
			 const mbedtls_ecp_point *Q, const mbedtls_mpi *r, const mbedtls_mpi *s)
{
	uint8_t own_r[P256_BYTES], own_s[P256_BYTES], hash[P256_BYTES];
	struct p256_point key;

	if (!is_ours(grp))
		return ecdsa_stock_verify(grp, buf, blen, Q, r, s);
	if (!take_point(&key, Q))
		return MBEDTLS_ERR_ECP_INVALID_KEY;
	/* Larger numbers do not fit, and negative ones, which have no bytes, are none here. */
	if (mbedtls_mpi_cmp_int(r, 1) < 0 || mbedtls_mpi_cmp_int(s, 1) < 0 ||
	    mbedtls_mpi_write_binary(r, own_r, sizeof(own_r)) != 0 ||
	    mbedtls_mpi_write_binary(s, own_s, sizeof(own_s)) != 0)
		return MBEDTLS_ERR_ECP_VERIFY_FAILED;
	if (!p256_is_point(&key))
		return MBEDTLS_ERR_ECP_INVALID_KEY;
	take_hash(hash, buf, blen);
	return p256_verify(&key, hash, own_r, own_s) ? 0 : MBEDTLS_ERR_ECP_VERIFY_FAILED;
}
