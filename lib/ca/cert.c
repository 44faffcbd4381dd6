#include "ca/cert.h"

#include <mbedtls/asn1.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <stdio.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define SET (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)
#define CONTEXT(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))
#define CONTEXT_OF(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | (n))

/* Named bits of KeyUsage, first bit highest (RFC 5280 4.2.1.3). */
#define USAGE_DIGITAL_SIGNATURE 0x80
#define USAGE_KEY_CERT_SIGN 0x04
#define USAGE_CRL_SIGN 0x02

/*
 * A writer of DER from the end to the front, so that every length is known when it is written:
 * content first, then der_wrap around what was written since a mark. Overflow is sticky.
 */
struct der {
	unsigned char mem[CA_DER_MAX];
	unsigned char *p;
	bool failed;
};

static void der_init(struct der *d)
{
	d->p = d->mem + sizeof(d->mem);
	d->failed = false;
}

static void der_fini(struct der *d)
{
	mem_wipe(d->p, (size_t)(d->mem + sizeof(d->mem) - d->p));
}
#define auto_der __attribute__((cleanup(der_fini))) struct der

static size_t der_mark(const struct der *d)
{
	return (size_t)(d->mem + sizeof(d->mem) - d->p);
}

static struct str der_str(const struct der *d)
{
	return str_mem(d->p, der_mark(d));
}

static void der_check(struct der *d, int ret)
{
	if (ret < 0)
		d->failed = true;
}

static void der_raw(struct der *d, const void *p, size_t n)
{
	der_check(d, mbedtls_asn1_write_raw_buffer(&d->p, d->mem, p, n));
}

static void der_wrap(struct der *d, size_t mark, unsigned char tag)
{
	der_check(d, mbedtls_asn1_write_len(&d->p, d->mem, der_mark(d) - mark));
	der_check(d, mbedtls_asn1_write_tag(&d->p, d->mem, tag));
}

static void der_tagged(struct der *d, unsigned char tag, const void *p, size_t n)
{
	size_t mark = der_mark(d);

	der_raw(d, p, n);
	der_wrap(d, mark, tag);
}

static void der_oid(struct der *d, const char *oid, size_t n)
{
	der_tagged(d, MBEDTLS_ASN1_OID, oid, n);
}
#define DER_OID(d, oid) der_oid(d, oid, MBEDTLS_OID_SIZE(oid))

/* BIT STRING around what was written since mark, no unused bits. */
static void der_wrap_bits(struct der *d, size_t mark)
{
	der_raw(d, "", 1);
	der_wrap(d, mark, MBEDTLS_ASN1_BIT_STRING);
}

static int der_done(const struct der *d, struct buf *out, struct err *err)
{
	if (d->failed)
		return err_set(err, E_LIMIT, "the certificate would be larger than %zu bytes",
			       sizeof(d->mem));
	return buf_add(out, der_str(d), err);
}

/* --- parts of a certificate ----------------------------------------------------------------- */

struct sign_alg {
	mbedtls_md_type_t md;
	const char *oid;
	size_t oid_len;
	bool rsa;
};

static struct sign_alg sign_alg(const mbedtls_pk_context *key)
{
#define ALG(md_, oid_, rsa_) \
	((struct sign_alg){  \
		.md = (md_), .oid = (oid_), .oid_len = MBEDTLS_OID_SIZE(oid_), .rsa = (rsa_) })
	if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA))
		return ALG(MBEDTLS_MD_SHA256, MBEDTLS_OID_PKCS1_SHA256, true);
	/* A digest as strong as the curve (RFC 5480 4). */
	if (mbedtls_pk_get_bitlen(key) > 256)
		return ALG(MBEDTLS_MD_SHA384, MBEDTLS_OID_ECDSA_SHA384, false);
	return ALG(MBEDTLS_MD_SHA256, MBEDTLS_OID_ECDSA_SHA256, false);
#undef ALG
}

/* RSA has NULL parameters (RFC 4055 5), ECDSA none (RFC 5758 3.2). */
static void der_sign_alg(struct der *d, const struct sign_alg *alg)
{
	size_t mark = der_mark(d);

	if (alg->rsa)
		der_tagged(d, MBEDTLS_ASN1_NULL, "", 0);
	der_oid(d, alg->oid, alg->oid_len);
	der_wrap(d, mark, SEQUENCE);
}

static void der_name_part(struct der *d, const char *oid, size_t oid_len, const char *value)
{
	size_t mark = der_mark(d);

	der_tagged(d, MBEDTLS_ASN1_UTF8_STRING, value, strlen(value));
	der_oid(d, oid, oid_len);
	der_wrap(d, mark, SEQUENCE);
	der_wrap(d, mark, SET);
}

static void der_subject(struct der *d, const char *common_name)
{
	size_t mark = der_mark(d);

	if (common_name)
		der_name_part(d, MBEDTLS_OID_AT_CN, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN),
			      common_name);
	der_name_part(d, MBEDTLS_OID_AT_ORGANIZATION, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_ORGANIZATION),
		      "bottle");
	der_wrap(d, mark, SEQUENCE);
}

/* UTCTime through 2049, GeneralizedTime from then on (RFC 5280 4.1.2.5). */
static void der_time(struct der *d, int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;
	char text[32];
	int n;

	if (!gmtime_r(&t, &tm) || tm.tm_year < 50 || tm.tm_year > 8099) {
		d->failed = true;
		return;
	}
	if (tm.tm_year < 150) {
		n = snprintf(text, sizeof(text), "%02d%02d%02d%02d%02d%02dZ", tm.tm_year % 100,
			     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		der_tagged(d, MBEDTLS_ASN1_UTC_TIME, text, (size_t)n);
	} else {
		n = snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02dZ", tm.tm_year + 1900,
			     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		der_tagged(d, MBEDTLS_ASN1_GENERALIZED_TIME, text, (size_t)n);
	}
}

/* 16 random octets, read as a positive number in its shortest form (RFC 5280 4.1.2.2). */
static void der_serial(struct der *d)
{
	unsigned char serial[16];

	sys_random(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40;
	der_tagged(d, MBEDTLS_ASN1_INTEGER, serial, sizeof(serial));
}

/* Around the extension's value, written since mark. */
static void der_extension(struct der *d, size_t mark, const char *oid, size_t oid_len,
			  bool critical)
{
	der_wrap(d, mark, MBEDTLS_ASN1_OCTET_STRING);
	if (critical)
		der_tagged(d, MBEDTLS_ASN1_BOOLEAN, "\xff", 1);
	der_oid(d, oid, oid_len);
	der_wrap(d, mark, SEQUENCE);
}
#define DER_EXTENSION(d, mark, oid, critical) \
	der_extension(d, mark, oid, MBEDTLS_OID_SIZE(oid), critical)

static void der_alt_names(struct der *d, const struct cert_name *names, size_t count)
{
	size_t mark = der_mark(d);

	for (size_t i = count; i-- > 0;) {
		const struct cert_name *n = &names[i];

		if (n->ip_len)
			der_tagged(d, CONTEXT(7), n->ip, n->ip_len);
		else
			der_tagged(d, CONTEXT(2), n->dns, strlen(n->dns));
	}
	der_wrap(d, mark, SEQUENCE);
	DER_EXTENSION(d, mark, MBEDTLS_OID_SUBJECT_ALT_NAME, false);
}

static void der_leaf_extensions(struct der *d, const struct cert_spec *spec)
{
	size_t mark;

	der_alt_names(d, spec->names, spec->name_count);
	mark = der_mark(d);
	DER_OID(d, MBEDTLS_OID_SERVER_AUTH);
	der_wrap(d, mark, SEQUENCE);
	DER_EXTENSION(d, mark, MBEDTLS_OID_EXTENDED_KEY_USAGE, false);
}

static void der_key_usage(struct der *d, bool is_ca)
{
	size_t mark = der_mark(d);
	unsigned char bits = is_ca ? USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN : USAGE_DIGITAL_SIGNATURE;

	/* Of a named bit list DER drops the trailing zeroes: 7 bits are used, or 1. */
	der_check(d, mbedtls_asn1_write_bitstring(&d->p, d->mem, &bits, is_ca ? 7 : 1));
	DER_EXTENSION(d, mark, MBEDTLS_OID_KEY_USAGE, true);
}

static void der_extensions(struct der *d, const struct cert_spec *spec)
{
	size_t all = der_mark(d), mark;

	if (!spec->is_ca)
		der_leaf_extensions(d, spec);
	der_key_usage(d, spec->is_ca);

	/* cA is FALSE by default and DER leaves defaults out. */
	mark = der_mark(d);
	if (spec->is_ca)
		der_tagged(d, MBEDTLS_ASN1_BOOLEAN, "\xff", 1);
	der_wrap(d, mark, SEQUENCE);
	DER_EXTENSION(d, mark, MBEDTLS_OID_BASIC_CONSTRAINTS, true);

	if (spec->issuer.p) {
		mark = der_mark(d);
		der_tagged(d, CONTEXT(0), spec->issuer_key_id.p, spec->issuer_key_id.n);
		der_wrap(d, mark, SEQUENCE);
		DER_EXTENSION(d, mark, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER, false);
	}
	mark = der_mark(d);
	der_tagged(d, MBEDTLS_ASN1_OCTET_STRING, spec->key->id, sizeof(spec->key->id));
	DER_EXTENSION(d, mark, MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER, false);

	der_wrap(d, all, SEQUENCE);
	der_wrap(d, all, CONTEXT_OF(3));
}

/* TBSCertificate (RFC 5280 4.1.2), last part first. */
static void der_tbs(struct der *d, const struct cert_spec *spec, const struct sign_alg *alg)
{
	size_t all = der_mark(d), mark;

	der_extensions(d, spec);
	der_raw(d, spec->key->spki, spec->key->spki_len);
	der_subject(d, spec->common_name);
	mark = der_mark(d);
	der_time(d, spec->not_after);
	der_time(d, spec->not_before);
	der_wrap(d, mark, SEQUENCE);
	if (spec->issuer.p)
		der_raw(d, spec->issuer.p, spec->issuer.n);
	else
		der_subject(d, spec->common_name);
	der_sign_alg(d, alg);
	der_serial(d);
	mark = der_mark(d);
	der_tagged(d, MBEDTLS_ASN1_INTEGER, "\x02", 1); /* v3 */
	der_wrap(d, mark, CONTEXT_OF(0));
	der_wrap(d, all, SEQUENCE);
}

static int sign(mbedtls_pk_context *key, const struct sign_alg *alg, struct str tbs,
		unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE], size_t *ret_len, struct err *err)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(alg->md);
	unsigned char hash[MBEDTLS_MD_MAX_SIZE];
	int r = mbedtls_md(md, (const unsigned char *)tbs.p, tbs.n, hash);

	if (r == 0)
		r = mbedtls_pk_sign(key, alg->md, hash, mbedtls_md_get_size(md), sig,
				    MBEDTLS_PK_SIGNATURE_MAX_SIZE, ret_len, CERT_RNG);
	return r == 0 ? 0 : cert_error(err, E_SYS, r, "signing the certificate");
}

int cert_write(const struct cert_spec *spec, struct buf *out, struct err *err)
{
	struct sign_alg alg = sign_alg(spec->issuer_key);
	unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
	size_t sig_len;
	auto_der tbs, whole;

	der_init(&tbs);
	der_init(&whole);
	der_tbs(&tbs, spec, &alg);
	if (tbs.failed)
		return der_done(&tbs, out, err);
	if (sign(spec->issuer_key, &alg, der_str(&tbs), sig, &sig_len, err) < 0)
		return -1;
	der_raw(&whole, sig, sig_len);
	der_wrap_bits(&whole, 0);
	der_sign_alg(&whole, &alg);
	der_raw(&whole, tbs.p, der_mark(&tbs));
	der_wrap(&whole, 0, SEQUENCE);
	return der_done(&whole, out, err);
}

/* --- keys ----------------------------------------------------------------------------------- */

/* AlgorithmIdentifier of the key itself (RFC 3279 2.3.1, RFC 5480 2.1.1). */
static void der_key_alg(struct der *d, const mbedtls_pk_context *key)
{
	size_t mark = der_mark(d);

	if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA)) {
		der_tagged(d, MBEDTLS_ASN1_NULL, "", 0);
		DER_OID(d, MBEDTLS_OID_PKCS1_RSA);
	} else {
		if (mbedtls_pk_get_bitlen(key) == 256)
			DER_OID(d, MBEDTLS_OID_EC_GRP_SECP256R1);
		else
			DER_OID(d, MBEDTLS_OID_EC_GRP_SECP384R1);
		DER_OID(d, MBEDTLS_OID_EC_ALG_UNRESTRICTED);
	}
	der_wrap(d, mark, SEQUENCE);
}

int cert_public_key(const mbedtls_pk_context *key, struct cert_public_key *ret, struct err *err)
{
	struct cert_public_key k;
	struct str all;
	auto_der d;
	int r;

	der_init(&d);
	r = mbedtls_pk_write_pubkey(&d.p, d.mem, key);
	if (r >= 0)
		r = mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), d.p, der_mark(&d), k.id);
	if (r < 0)
		return cert_error(err, E_SYS, r, "writing the public key");
	der_wrap_bits(&d, 0);
	der_key_alg(&d, key);
	der_wrap(&d, 0, SEQUENCE);
	all = der_str(&d);
	if (d.failed || all.n > sizeof(k.spki))
		return err_set(err, E_LIMIT, "the public key is larger than RSA-4096");
	memcpy(k.spki, all.p, all.n);
	k.spki_len = all.n;
	*ret = k;
	return 0;
}

int cert_write_key(const mbedtls_pk_context *key, struct buf *out, struct err *err)
{
	auto_der d;
	int r;

	der_init(&d);
	/* Writes at the end of the memory it is given, which is where this writer begins. */
	r = mbedtls_pk_write_key_der(key, d.mem, sizeof(d.mem));
	if (r < 0)
		return cert_error(err, E_SYS, r, "writing the private key");
	d.p -= r;
	der_wrap(&d, 0, MBEDTLS_ASN1_OCTET_STRING);
	der_key_alg(&d, key);
	der_tagged(&d, MBEDTLS_ASN1_INTEGER, "", 1); /* version 0 */
	der_wrap(&d, 0, SEQUENCE);
	return der_done(&d, out, err);
}

int cert_error(struct err *err, enum err_code code, int mbedtls_ret, const char *what)
{
	char text[128];

	mbedtls_strerror(mbedtls_ret, text, sizeof(text));
	return err_set(err, code, "%s: %s", what, text);
}
