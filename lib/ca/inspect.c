/*
 * What a certificate says, for people.
 */
#include <mbedtls/md.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ca/authority.h"

/* "AB:CD:…", cut to whole pairs. */
static void hex_colons(const unsigned char *p, size_t n, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n && used + 4 <= size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%02X", i ? ":" : "", p[i]);
}

static void name_text(const mbedtls_x509_name *name, char *text, size_t size)
{
	if (mbedtls_x509_dn_gets(text, size, name) < 0)
		(void)snprintf(text, size, "(a name that cannot be shown)");
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static void describe(const mbedtls_x509_crt *cert, struct ca_info *ret)
{
	size_t bits = mbedtls_pk_get_bitlen(&cert->pk);
	unsigned char hash[32];

	name_text(&cert->subject, ret->subject, sizeof(ret->subject));
	name_text(&cert->issuer, ret->issuer, sizeof(ret->issuer));
	ca_time_text(&cert->valid_from, ret->not_before);
	ca_time_text(&cert->valid_to, ret->not_after);
	hex_colons(cert->subject_key_id.p, cert->subject_key_id.len, ret->ski, sizeof(ret->ski));
	if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), cert->raw.p, cert->raw.len,
		       hash) == 0)
		hex_colons(hash, sizeof(hash), ret->sha256, sizeof(ret->sha256));
	if (mbedtls_pk_can_do(&cert->pk, MBEDTLS_PK_RSA))
		(void)snprintf(ret->key, sizeof(ret->key), "RSA %zu", bits);
	else
		(void)snprintf(ret->key, sizeof(ret->key), "EC P-%zu", bits);
	ret->is_ca = mbedtls_x509_crt_get_ca_istrue(cert) == 1;
	for (const mbedtls_x509_crt *c = cert; c; c = c->next)
		ret->count++;
}

int ca_inspect(struct str text, const char *source, struct ca_info *ret, struct err *err)
{
	__attribute__((cleanup(mbedtls_x509_crt_free))) mbedtls_x509_crt cert;
	auto_buf copy = BUF_INIT_SECRET(CA_PEM_MAX); /* a key may be in it */
	int r;

	mbedtls_x509_crt_init(&cert);
	if (buf_add(&copy, text, err) < 0)
		return err_wrap(err, "%s", source);
	r = mbedtls_x509_crt_parse(&cert, (const unsigned char *)buf_z(&copy), copy.len + 1);
	if (r != 0) {
		if (r > 0)
			err_set(err, E_BAD, "a certificate in it cannot be read");
		else
			cert_error(err, E_BAD, r, "not a certificate");
		return err_wrap(err, "%s", source);
	}
	*ret = (struct ca_info){ .count = 0 };
	describe(&cert, ret);
	return 0;
}
