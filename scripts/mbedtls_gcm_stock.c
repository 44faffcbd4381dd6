/*
 * mbedTLS's own GCM under other names, for lib/net/gcm_alt.c to fall back on.
 *
 * scripts/deps.sh compiles this in the library's folder and adds it to libmbedcrypto.a.
 */
#include "common.h"

#include "mbedtls/gcm_alt.h"

enum { ROOM = sizeof(((mbedtls_gcm_context *)0)->state) };

/* In this file the module is not replaced: its header defines its own context. */
#undef MBEDTLS_GCM_ALT

#define mbedtls_gcm_context gcm_stock
#define mbedtls_gcm_init gcm_stock_init
#define mbedtls_gcm_setkey gcm_stock_setkey
#define mbedtls_gcm_starts gcm_stock_starts
#define mbedtls_gcm_update_ad gcm_stock_update_ad
#define mbedtls_gcm_update gcm_stock_update
#define mbedtls_gcm_finish gcm_stock_finish
#define mbedtls_gcm_crypt_and_tag gcm_stock_crypt_and_tag
#define mbedtls_gcm_auth_decrypt gcm_stock_auth_decrypt
#define mbedtls_gcm_free gcm_stock_free

#include "gcm.c"

_Static_assert(sizeof(gcm_stock) <= ROOM, "mbedtls_gcm_alt.h leaves room for it");
