#include "net/digest.h"

#include <psa/crypto.h>

int digest_sha256_hex(struct str in, char ret[DIGEST_HEX_SIZE], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[32];
	size_t n;
	/* Initialising again is allowed and free. */
	psa_status_t status = psa_crypto_init();

	if (status == PSA_SUCCESS)
		status = psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)in.p, in.n, hash,
					  sizeof(hash), &n);
	if (status != PSA_SUCCESS)
		return err_set(err, E_SYS, "SHA-256 failed (%d)", (int)status);
	for (size_t i = 0; i < sizeof(hash); i++) {
		ret[2 * i] = digits[hash[i] >> 4];
		ret[2 * i + 1] = digits[hash[i] & 15];
	}
	ret[DIGEST_HEX_SIZE - 1] = '\0';
	return 0;
}
