/*
 * cert: writes one X.509 v3 certificate as DER (RFC 5280).
 *
 * mbedTLS's own writer makes names from text; a leaf's issuer has to be the CA's subject byte for
 * byte (Go compares the bytes), also for a CA that somebody else made. Hence this one, on the
 * library's ASN.1 primitives. For lib/ca only.
 */
#ifndef BOTTLE_CA_CERT_H
#define BOTTLE_CA_CERT_H

#include <mbedtls/pk.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/url.h"

#define CERT_KEY_ID_SIZE 20 /* SHA-1 */

/* A subject alternative name. */
struct cert_name {
	char dns[URL_HOST_MAX + 1]; /* lower case, may begin with "*."; empty for an address */
	unsigned char ip[16];
	size_t ip_len; /* 4 or 16 for an address */
};

/* A public key as certificates hold it. */
struct cert_public_key {
	unsigned char spki[600]; /* SubjectPublicKeyInfo, DER; RSA-4096 takes 550 */
	size_t spki_len;
	unsigned char
		id[CERT_KEY_ID_SIZE]; /* SHA-1 of the BIT STRING's content (RFC 5280 4.2.1.2) */
};
int cert_public_key(const mbedtls_pk_context *key, struct cert_public_key *ret, struct err *err)
	__attribute__((warn_unused_result));

struct cert_spec {
	mbedtls_pk_context *issuer_key;
	struct str issuer;        /* Name, DER; p == NULL: self-signed */
	struct str issuer_key_id; /* what the issuer's SKI says; with issuer only */
	const char *common_name;  /* of the subject; NULL: none, O=bottle alone */
	const struct cert_public_key *key;
	int64_t not_before, not_after; /* seconds since the epoch */
	bool is_ca;
	const struct cert_name *names; /* leaves: at least one */
	size_t name_count;
};

/* Appends the certificate to out. The serial number is random. */
int cert_write(const struct cert_spec *spec, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* Appends the private key as PKCS #8 (RFC 5958, version 0): the one form that every client reads. */
int cert_write_key(const mbedtls_pk_context *key, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* "what: the library's reason"; returns -1. */
int cert_error(struct err *err, enum err_code code, int mbedtls_ret, const char *what);

/* The random generator, as mbedTLS functions take it (f_rng, p_rng). */
#define CERT_RNG mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE

#endif
