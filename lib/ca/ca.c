#include "ca/ca.h"

#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <stdio.h>
#include <time.h>

#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ca/authority.h"

#define RSA_BITS_MIN 2048

int ca_key_parse(const char *s, enum ca_key *ret, struct err *err)
{
	static const char *const names[] = {
		[CA_KEY_P256] = "ec:p256",
		[CA_KEY_P384] = "ec:p384",
		[CA_KEY_RSA2048] = "rsa:2048",
		[CA_KEY_RSA4096] = "rsa:4096",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(s, names[i]) == 0) {
			*ret = (enum ca_key)i;
			return 0;
		}
	}
	return err_set(err, E_USAGE,
		       "unknown key type '%.40s', use ec:p256, ec:p384, rsa:2048 or rsa:4096", s);
}

int ca_generate(mbedtls_pk_context *pk, enum ca_key type, struct err *err)
{
	bool rsa = type == CA_KEY_RSA2048 || type == CA_KEY_RSA4096;
	int r = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(rsa ? MBEDTLS_PK_RSA
								   : MBEDTLS_PK_ECKEY));

	if (r == 0 && rsa)
		r = mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), CERT_RNG,
					type == CA_KEY_RSA2048 ? 2048 : 4096, 65537);
	else if (r == 0)
		r = mbedtls_ecp_gen_key(type == CA_KEY_P256 ? MBEDTLS_ECP_DP_SECP256R1
							    : MBEDTLS_ECP_DP_SECP384R1,
					mbedtls_pk_ec(*pk), CERT_RNG);
	return r == 0 ? 0 : cert_error(err, E_SYS, r, "making a key");
}

int64_t ca_time(const mbedtls_x509_time *t)
{
	struct tm tm = {
		.tm_year = t->year - 1900,
		.tm_mon = t->mon - 1,
		.tm_mday = t->day,
		.tm_hour = t->hour,
		.tm_min = t->min,
		.tm_sec = t->sec,
	};

	return (int64_t)timegm(&tm);
}

void ca_time_text(const mbedtls_x509_time *t, char text[24])
{
	(void)snprintf(text, 24, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)t->year % 10000,
		       (unsigned)t->mon % 100, (unsigned)t->day % 100, (unsigned)t->hour % 100,
		       (unsigned)t->min % 100, (unsigned)t->sec % 100);
}

static struct ca *ca_alloc(void)
{
	struct ca *ca = mem_new(struct ca);

	mbedtls_x509_crt_init(&ca->cert);
	mbedtls_pk_init(&ca->key);
	buf_init(&ca->shared.der, CA_DER_MAX);
	ca->shared.der.secret = true;
	return ca;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	mbedtls_x509_crt_free(&ca->cert);
	mbedtls_pk_free(&ca->key);
	buf_fini(&ca->shared.der);
	free(ca);
}

/* What is derived from certificate and key, once both are there. */
static int finish(struct ca *ca, struct err *err)
{
	ca->not_before = ca_time(&ca->cert.valid_from);
	ca->not_after = ca_time(&ca->cert.valid_to);
	if (cert_public_key(&ca->key, &ca->public, err) < 0)
		return -1;
	/* OpenSSL finds the issuer by comparing the leaf's AKI with what the CA's certificate says.
	 */
	ca->key_id = str_mem(ca->cert.subject_key_id.p, ca->cert.subject_key_id.len);
	if (ca->key_id.n == 0)
		ca->key_id = str_mem(ca->public.id, sizeof(ca->public.id));
	return 0;
}

static int check_params(const struct ca_params *p, const char *common_name, struct err *err)
{
	struct str cn = str_of(common_name);

	if (cn.n == 0 || cn.n > CA_COMMON_NAME_MAX || str_has_ctl(cn) || !str_is_utf8(cn))
		return err_set(err, E_USAGE, "the name must be 1 to %d bytes of UTF-8 on one line",
			       CA_COMMON_NAME_MAX);
	if (p->days < 1 || p->days > CA_DAYS_MAX)
		return err_set(err, E_USAGE, "days must be 1 to %d, not %d", CA_DAYS_MAX, p->days);
	return 0;
}

struct ca *ca_new(const struct ca_params *p, struct err *err)
{
	const char *common_name = p->common_name ? p->common_name : "bottle CA";
	int64_t now = p->now ? p->now : (int64_t)time(NULL);
	auto_ca struct ca *ca = ca_alloc();
	auto_buf der = BUF_INIT(CA_DER_MAX);
	struct cert_spec spec;
	int r;

	if (check_params(p, common_name, err) < 0 || ca_generate(&ca->key, p->key, err) < 0 ||
	    cert_public_key(&ca->key, &ca->public, err) < 0)
		return NULL;
	spec = (struct cert_spec){
		.issuer_key = &ca->key,
		.common_name = common_name,
		.key = &ca->public,
		.not_before = now - CA_BACKDATE,
		.not_after = now + (int64_t)p->days * CA_DAY,
		.is_ca = true,
	};
	if (cert_write(&spec, &der, err) < 0)
		return NULL;
	r = mbedtls_x509_crt_parse_der(&ca->cert, (const unsigned char *)buf_str(&der).p, der.len);
	if (r != 0) {
		cert_error(err, E_SYS, r, "reading back the new certificate");
		return NULL;
	}
	return finish(ca, err) < 0 ? NULL : steal(&ca);
}

/* --- loading -------------------------------------------------------------------------------- */

static bool has(struct str text, const char *what)
{
	return str_find(text, str_of(what), 0) >= 0;
}

/* `pem` is terminated and pem.n counts the NUL, as mbedTLS wants it. */
static int load_cert(struct ca *ca, struct str pem, const char *source, struct err *err)
{
	int r;

	if (!has(pem, "-----BEGIN CERTIFICATE-----"))
		return err_set(err, E_BAD, "%s: no certificate in it", source);
	r = mbedtls_x509_crt_parse(&ca->cert, (const unsigned char *)pem.p, pem.n);
	if (r > 0)
		return err_set(err, E_BAD, "%s: a certificate in it cannot be read", source);
	if (r < 0) {
		cert_error(err, E_BAD, r, "the certificate cannot be read");
		return err_wrap(err, "%s", source);
	}
	if (ca->cert.next)
		return err_set(err, E_BAD,
			       "%s: more than one certificate in it; give the CA's alone", source);
	return 0;
}

static int load_key(struct ca *ca, struct str pem, const char *source, struct err *err)
{
	int r;

	if (has(pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(pem, "Proc-Type: 4,ENCRYPTED"))
		return err_set(err, E_BAD, "%s: the key is encrypted; give it without a passphrase",
			       source);
	if (!has(pem, "PRIVATE KEY-----"))
		return err_set(err, E_BAD, "%s: no private key in it", source);
	r = mbedtls_pk_parse_key(&ca->key, (const unsigned char *)pem.p, pem.n, NULL, 0, CERT_RNG);
	if (r != 0) {
		cert_error(err, E_BAD, r, "the private key cannot be read");
		return err_wrap(err, "%s", source);
	}
	if (mbedtls_pk_can_do(&ca->key, MBEDTLS_PK_RSA) &&
	    mbedtls_pk_get_bitlen(&ca->key) < RSA_BITS_MIN)
		return err_set(err, E_BAD, "%s: an RSA key of %zu bits is too weak, %d are needed",
			       source, mbedtls_pk_get_bitlen(&ca->key), RSA_BITS_MIN);
	if (!mbedtls_pk_can_do(&ca->key, MBEDTLS_PK_RSA) &&
	    !mbedtls_pk_can_do(&ca->key, MBEDTLS_PK_ECDSA))
		return err_set(err, E_BAD, "%s: the key cannot sign", source);
	if (mbedtls_pk_check_pair(&ca->cert.pk, &ca->key, CERT_RNG) != 0)
		return err_set(err, E_BAD, "%s: the key is not that of the certificate", source);
	return 0;
}

static int check_authority(const struct ca *ca, const char *source, struct err *err)
{
	int64_t now = (int64_t)time(NULL);
	char when[24];

	if (mbedtls_x509_crt_get_ca_istrue(&ca->cert) != 1 ||
	    mbedtls_x509_crt_check_key_usage(&ca->cert, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)
		return err_set(err, E_BAD, "%s: the certificate is not one of a CA", source);
	if (now > ca->not_after) {
		ca_time_text(&ca->cert.valid_to, when);
		return err_set(err, E_BAD,
			       "%s: the CA expired on %s; make a new one with 'bottle-ca init'",
			       source, when);
	}
	if (now < ca->not_before) {
		ca_time_text(&ca->cert.valid_from, when);
		return err_set(err, E_BAD,
			       "%s: the CA is not valid before %s (is the clock right?)", source,
			       when);
	}
	return 0;
}

struct ca *ca_load(struct str pem, const char *source, struct err *err)
{
	auto_ca struct ca *ca = ca_alloc();
	auto_buf text = BUF_INIT_SECRET(CA_PEM_MAX);
	struct str z;

	/* A NUL would end the text for the library before its end. */
	if (str_chr(pem, '\0', 0) >= 0) {
		err_set(err, E_BAD, "%s: not a PEM text", source);
		return NULL;
	}
	if (buf_add(&text, pem, err) < 0) {
		err_wrap(err, "%s", source);
		return NULL;
	}
	z = str_mem(buf_z(&text), text.len + 1);
	if (load_cert(ca, z, source, err) < 0 || load_key(ca, z, source, err) < 0 ||
	    finish(ca, err) < 0 || check_authority(ca, source, err) < 0)
		return NULL;
	return steal(&ca);
}

/* --- PEM ------------------------------------------------------------------------------------ */

int ca_pem(const char *label, struct str der, struct buf *out, struct err *err)
{
	auto_buf b64 = BUF_INIT_SECRET(2 * CA_DER_MAX);
	struct str rest;

	if (enc_base64(&b64, der, err) < 0 || buf_addf(out, err, "-----BEGIN %s-----\n", label) < 0)
		return -1;
	for (rest = buf_str(&b64); rest.n; rest = str_from(rest, 64))
		if (buf_add(out, str_sub(rest, 0, 64), err) < 0 || buf_addc(out, '\n', err) < 0)
			return -1;
	return buf_addf(out, err, "-----END %s-----\n", label);
}

int ca_cert_pem(const struct ca *ca, struct buf *out, struct err *err)
{
	return ca_pem("CERTIFICATE", str_mem(ca->cert.raw.p, ca->cert.raw.len), out, err);
}

int ca_key_pem(const struct ca *ca, struct buf *out, struct err *err)
{
	auto_buf der = BUF_INIT_SECRET(CA_DER_MAX);

	if (cert_write_key(&ca->key, &der, err) < 0)
		return -1;
	return ca_pem("PRIVATE KEY", buf_str(&der), out, err);
}
