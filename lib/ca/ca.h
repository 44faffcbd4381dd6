/*
 * ca: certificate authorities and leaves (spec 2.6); the only folder that sees X.509 writing.
 */
#ifndef BOTTLE_CA_CA_H
#define BOTTLE_CA_CA_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct ca;

enum ca_key { CA_KEY_P256, CA_KEY_P384, CA_KEY_RSA2048, CA_KEY_RSA4096 };
/* "ec:p256" … ; -1 with the accepted list in err. */
int ca_key_parse(const char *s, enum ca_key *ret, struct err *err) __attribute__((warn_unused_result));

struct ca_params {
	const char *common_name; /* NULL: "bottle CA" */
	enum ca_key key;
	int days;		 /* 1..3650 */
	int64_t now;		 /* seconds since the epoch; 0: the clock (tests give one) */
};

/* A new self-signed CA in memory: v3, critical CA:TRUE, critical keyCertSign+cRLSign, SKI = SHA-1 of the public key, O=bottle, backdated one hour. */
struct ca *ca_new(const struct ca_params *p, struct err *err) __attribute__((warn_unused_result));
/* Certificate and key (any order) in one PEM text. Refuses: no or encrypted key, key and certificate that do not belong together, not a CA, expired, not yet valid. */
struct ca *ca_load(struct str pem, const char *source, struct err *err) __attribute__((warn_unused_result));
void ca_free(struct ca *ca); /* wipes the key */

/* PEM. The key's buffer should be a secret one. */
int ca_cert_pem(const struct ca *ca, struct buf *out, struct err *err) __attribute__((warn_unused_result));
int ca_key_pem(const struct ca *ca, struct buf *out, struct err *err) __attribute__((warn_unused_result));

/*
 * A server certificate for DNS names and/or IP addresses: SAN only (CN = first name when it fits), AKI = the CA's SKI, SKI, critical keyUsage
 * digitalSignature, EKU serverAuth, basicConstraints CA:FALSE, 128-bit random serial (positive), backdated 1 h, never beyond the CA's own end nor 397 days.
 * Names are checked (one leftmost "*" label allowed). Key: key type P-256 unless params say otherwise.
 */
struct ca_leaf {
	char *cert_der;
	size_t cert_len;
	char *key_der; /* wiped by ca_leaf_fini */
	size_t key_len;
};
int ca_leaf_new(const struct ca *ca, const struct str *names, size_t count, enum ca_key key, int days,
		struct ca_leaf *ret, struct err *err) __attribute__((warn_unused_result));
/* The same with the shared P-256 key of this process: one signature, no key generation. */
int ca_leaf_mint(struct ca *ca, struct str name, struct ca_leaf *ret, struct err *err) __attribute__((warn_unused_result));
void ca_leaf_fini(struct ca_leaf *leaf);

/* For `bottle-ca show` and doctor. */
struct ca_info {
	char subject[256], issuer[256];
	char not_before[24], not_after[24]; /* "2026-11-22T12:00:00Z" */
	char ski[128], sha256[96];	    /* hex with colons */
	char key[32];			    /* "EC P-256" */
	bool is_ca;
};
int ca_inspect(struct str pem, const char *source, struct ca_info *ret, struct err *err)
	__attribute__((warn_unused_result));

/* DER → PEM "CERTIFICATE" / "PRIVATE KEY". */
int ca_pem(const char *label, struct str der, struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
