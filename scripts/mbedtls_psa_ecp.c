/*
 * Public keys for TLS 1.3: of X25519 by the library's formally verified Everest code, of P-256 by
 * ours (lib/net/p256_alt.c).
 *
 * MBEDTLS_ECDH_VARIANT_EVEREST_ENABLED and the two MBEDTLS_ECDH_…_ALT reach the agreement on a
 * secret only. The public half of each handshake's new key, as much work again, is computed by
 * psa_crypto_ecp.c through the generic mbedtls_ecp_mul, which takes six times as long.
 * scripts/deps.sh compiles this file in the library's folder in place of that one, which it
 * contains, with that call redirected.
 */
#include "common.h"

#include "mbedtls/ecp.h"

#include "everest/x25519.h"

static int multiply_everest(mbedtls_ecp_point *R, const mbedtls_mpi *m)
{
	mbedtls_x25519_context x;
	unsigned char out[MBEDTLS_X25519_KEY_SIZE_BYTES];
	size_t n;
	int ret;

	mbedtls_x25519_init(&x);
	x.peer_point[0] = 9; /* the base point, RFC 7748 4.1 */
	ret = mbedtls_mpi_write_binary_le(m, x.our_secret, sizeof(x.our_secret));
	if (ret == 0)
		ret = mbedtls_x25519_calc_secret(&x, &n, out, sizeof(out), NULL, NULL);
	if (ret == 0)
		ret = mbedtls_mpi_read_binary_le(&R->MBEDTLS_PRIVATE(X), out, sizeof(out));
	if (ret == 0)
		ret = mbedtls_mpi_lset(&R->MBEDTLS_PRIVATE(Z), 1);
	mbedtls_x25519_free(&x);
	return ret;
}

int p256_alt_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
		 const mbedtls_ecp_point *P, int (*f_rng)(void *, unsigned char *, size_t),
		 void *p_rng);

/* For mbedtls_ecp_mul. */
static int multiply(mbedtls_ecp_group *grp, mbedtls_ecp_point *R, const mbedtls_mpi *m,
		    const mbedtls_ecp_point *P, int (*f_rng)(void *, unsigned char *, size_t),
		    void *p_rng)
{
	if (grp->id == MBEDTLS_ECP_DP_CURVE25519 && P == &grp->G)
		return multiply_everest(R, m);
	return p256_alt_mul(grp, R, m, P, f_rng, p_rng);
}

#define mbedtls_ecp_mul multiply
#include "psa_crypto_ecp.c"
