/*
 * authority: what struct ca is made of, for the files of lib/ca only.
 */
#ifndef BOTTLE_CA_AUTHORITY_H
#define BOTTLE_CA_AUTHORITY_H

#include <mbedtls/x509_crt.h>

#include "ca/ca.h"
#include "ca/cert.h"

#define CA_BACKDATE 3600 /* seconds: clocks of clients that are behind ours */
#define CA_DAY 86400

/* The key that all minted leaves share, made with the first of them. */
struct ca_shared_key {
	bool made;
	struct cert_public_key public;
	struct buf der; /* PKCS #8 */
};

struct ca {
	mbedtls_x509_crt cert;
	mbedtls_pk_context key;
	int64_t not_before, not_after;
	struct cert_public_key public;
	struct str key_id; /* the certificate's SKI, else that of `public` */
	struct ca_shared_key shared;
};

/* A new private key into an initialised context. */
int ca_generate(mbedtls_pk_context *pk, enum ca_key type, struct err *err)
	__attribute__((warn_unused_result));
int64_t ca_time(const mbedtls_x509_time *t);
/* "2026-11-22T12:00:00Z" */
void ca_time_text(const mbedtls_x509_time *t, char text[24]);

#endif
