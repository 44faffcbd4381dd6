/*
 * mbedTLS's own ECDSA under other names, for lib/net/p256_alt.c to fall back on.
 *
 * scripts/deps.sh compiles this in the library's folder and adds it to libmbedcrypto.a.
 */
#include "common.h"

/* In this file the two are not replaced; and of what they do not need, less is there twice. */
#undef MBEDTLS_ECDSA_SIGN_ALT
#undef MBEDTLS_ECDSA_VERIFY_ALT
#undef MBEDTLS_ECDSA_DETERMINISTIC

#define mbedtls_ecdsa_can_do ecdsa_stock_can_do
#define mbedtls_ecdsa_sign ecdsa_stock_sign
#define mbedtls_ecdsa_sign_restartable ecdsa_stock_sign_restartable
#define mbedtls_ecdsa_verify ecdsa_stock_verify
#define mbedtls_ecdsa_verify_restartable ecdsa_stock_verify_restartable
#define mbedtls_ecdsa_write_signature ecdsa_stock_write_signature
#define mbedtls_ecdsa_write_signature_restartable ecdsa_stock_write_signature_restartable
#define mbedtls_ecdsa_read_signature ecdsa_stock_read_signature
#define mbedtls_ecdsa_read_signature_restartable ecdsa_stock_read_signature_restartable
#define mbedtls_ecdsa_genkey ecdsa_stock_genkey
#define mbedtls_ecdsa_from_keypair ecdsa_stock_from_keypair
#define mbedtls_ecdsa_init ecdsa_stock_init
#define mbedtls_ecdsa_free ecdsa_stock_free

#include "ecdsa.c"
