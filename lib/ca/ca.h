/*
 * ca: certificate authorities and leaves (spec 2.6); the only folder that sees X.509 writing.
 *
 * tls_global_init (net/tls.h) comes first. Keys are wiped when they are freed.
 */
#ifndef BOTTLE_CA_CA_H
#define BOTTLE_CA_CA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct ca;

enum ca_key { CA_KEY_P256, CA_KEY_P384, CA_KEY_RSA2048, CA_KEY_RSA4096 };
/* "ec:p256", "ec:p384", "rsa:2048", "rsa:4096"; E_USAGE with that list. */
int ca_key_parse(const char *s, enum ca_key *ret, struct err *err)
	__attribute__((warn_unused_result));

struct ca_params {
	const char *common_name; /* UTF-8, 1..64 bytes; NULL: "bottle CA" */
	enum ca_key key;
	int days;    /* 1..CA_DAYS_MAX */
	int64_t now; /* seconds since the epoch; 0: the clock */
};

/*
 * A new self-signed CA in memory: v3, critical basicConstraints CA:TRUE, critical keyUsage
 * keyCertSign+cRLSign, SKI = SHA-1 of the public key, O=bottle, backdated one hour.
 */
struct ca *ca_new(const struct ca_params *p, struct err *err) __attribute__((warn_unused_result));
/*
 * One certificate and its key, in any order, in one PEM text. Refuses: no or more than one
 * certificate, no or an encrypted key, an RSA key below 2048 bits, a key that is not the
 * certificate's, not a CA, expired, not yet valid. `source` names the text in errors.
 */
struct ca *ca_load(struct str pem, const char *source, struct err *err)
	__attribute__((warn_unused_result));
void ca_free(struct ca *ca);
static inline void ca_free_p(struct ca **ca)
{
	ca_free(*ca);
}
#define auto_ca __attribute__((cleanup(ca_free_p)))

/* PEM, appended. The key is PKCS #8; its buffer should be a secret one. */
int ca_cert_pem(const struct ca *ca, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
int ca_key_pem(const struct ca *ca, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* A server certificate and its key. */
struct ca_leaf {
	char *cert_der;
	size_t cert_len;
	char *key_der; /* PKCS #8 */
	size_t key_len;
	int64_t not_after; /* seconds since the epoch */
};

/*
 * A leaf for DNS names (the leftmost label may be "*") and IP addresses: SAN, CN = first name when
 * it fits, O=bottle, SKI, AKI = the CA's SKI, critical keyUsage digitalSignature, EKU serverAuth,
 * critical basicConstraints CA:FALSE, positive serial of 16 random octets. Valid from an hour ago
 * for `days` (1..CA_LEAF_DAYS_MAX), but neither before the CA nor beyond it. E_DENIED when the CA
 * has expired.
 */
int ca_leaf_new(const struct ca *ca, const struct str *names, size_t count, enum ca_key key,
		int days, struct ca_leaf *ret, struct err *err) __attribute__((warn_unused_result));
/* The same for one name and CA_MINT_DAYS, with one P-256 key for all leaves of this CA: one
 * signature, no key generation. */
int ca_leaf_mint(struct ca *ca, struct str name, struct ca_leaf *ret, struct err *err)
	__attribute__((warn_unused_result));
/* Wipes the key; the struct is zeroed. */
void ca_leaf_fini(struct ca_leaf *leaf);
#define auto_leaf __attribute__((cleanup(ca_leaf_fini))) struct ca_leaf

/* What a certificate says, for people. */
struct ca_info {
	char subject[256], issuer[256];     /* "O=bottle, CN=bottle CA" */
	char not_before[24], not_after[24]; /* "2026-11-22T12:00:00Z" */
	char ski[128], sha256[96];          /* hex with colons; ski is empty when there is none */
	char key[32];                       /* "EC P-256", "RSA 2048" */
	bool is_ca;
	size_t count; /* certificates in the text; the first is described */
};
/* PEM or DER; text around PEM blocks, private keys included, is passed over. */
int ca_inspect(struct str text, const char *source, struct ca_info *ret, struct err *err)
	__attribute__((warn_unused_result));

/* DER as a PEM block (RFC 7468), appended. `label`: "CERTIFICATE", "PRIVATE KEY". */
int ca_pem(const char *label, struct str der, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
