#include "net/digest.h"

#include <psa/crypto.h>

static int compute(psa_algorithm_t alg, const char *name, struct str in, unsigned char *ret,
		   size_t size, struct err *err)
{
	size_t n;
	/* Initialising again is allowed and free. */
	psa_status_t status = psa_crypto_init();

	if (status == PSA_SUCCESS)
		status = psa_hash_compute(alg, (const uint8_t *)in.p, in.n, ret, size, &n);
	if (status != PSA_SUCCESS)
		return err_set(err, E_SYS, "%s failed (%d)", name, (int)status);
	return 0;
}

int digest_sha256_hex(struct str in, char ret[DIGEST_HEX_SIZE], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[32];

	if (compute(PSA_ALG_SHA_256, "SHA-256", in, hash, sizeof(hash), err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(hash); i++) {
		ret[2 * i] = digits[hash[i] >> 4];
		ret[2 * i + 1] = digits[hash[i] & 15];
	}
	ret[DIGEST_HEX_SIZE - 1] = '\0';
	return 0;
}

int digest_sha1(struct str in, unsigned char ret[DIGEST_SHA1_SIZE], struct err *err)
{
	return compute(PSA_ALG_SHA_1, "SHA-1", in, ret, DIGEST_SHA1_SIZE, err);
}
