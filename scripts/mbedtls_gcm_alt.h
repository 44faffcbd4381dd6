/*
 * What MBEDTLS_GCM_ALT asks for: the context of the functions in <mbedtls/gcm.h>, which are in
 * lib/net/gcm_alt.c. scripts/deps.sh installs this file beside that header.
 *
 * `state` is room for either of the two that a key may be set in: ours (struct gcm, lib/net/gcm.h)
 * and mbedTLS's own (scripts/mbedtls_gcm_stock.c). Both check at compile time that they fit.
 */
#ifndef BOTTLE_MBEDTLS_GCM_ALT_H
#define BOTTLE_MBEDTLS_GCM_ALT_H

#include <stdint.h>

typedef struct mbedtls_gcm_context {
	uint64_t state[59];
	unsigned kind;
} mbedtls_gcm_context;

#endif
