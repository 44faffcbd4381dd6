/*
 * The entropy source of mbedTLS (MBEDTLS_ENTROPY_HARDWARE_ALT): getrandom(2), which needs no file
 * and so works in an empty root and under seccomp. scripts/deps.sh adds it to libmbedcrypto.a.
 */
#include <sys/random.h>

#include <mbedtls/build_info.h>
#include <mbedtls/entropy.h>

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *olen);

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *olen)
{
	size_t done = 0;

	(void)data;
	while (done < len) {
		ssize_t n = getrandom(output + done, len - done, 0);

		/* EINTR cannot happen for <= 256 bytes once the pool is up; do not spin on others. */
		if (n <= 0)
			return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
		done += (size_t)n;
	}
	*olen = done;
	return 0;
}
