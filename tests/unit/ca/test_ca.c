#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include <mbedtls/pem.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ca/ca.h"
#include "net/tls.h"

#define YEAR (365 * 86400L)

static int setup(void **state)
{
	(void)state;
	return tls_global_init(NULL);
}

static struct ca *make(enum ca_key key, int days, int64_t now)
{
	struct ca_params p = { .key = key, .days = days, .now = now };
	struct err err = ERR_INIT;
	struct ca *ca = ca_new(&p, &err);

	if (!ca)
		fail_msg("%s", err.text);
	return ca;
}

/* Certificate and key in one text; .mem is the caller's to free with buf_fini. */
static struct buf pem_of(const struct ca *cert, const struct ca *key)
{
	struct buf b = BUF_INIT_SECRET(CA_PEM_MAX);

	if (cert)
		assert_int_equal(ca_cert_pem(cert, &b, NULL), 0);
	if (key)
		assert_int_equal(ca_key_pem(key, &b, NULL), 0);
	return b;
}

static void assert_not_loaded(const struct buf *pem, const char *message)
{
	struct err err = ERR_INIT;
	auto_ca struct ca *ca = ca_load(buf_str(pem), "ca.pem", &err);

	if (ca)
		fail_msg("loaded, wanted: %s", message);
	if (!strstr(err.text, message) || strncmp(err.text, "ca.pem: ", 8) != 0)
		fail_msg("'ca.pem: ...%s' is not '%s'", message, err.text);
	assert_null(strstr(err.text, "-----"));
}

static mbedtls_x509_crt *parse(const struct ca *ca)
{
	auto_buf pem = pem_of(ca, NULL);
	mbedtls_x509_crt *crt = mem_new(mbedtls_x509_crt);

	mbedtls_x509_crt_init(crt);
	assert_int_equal(
		mbedtls_x509_crt_parse(crt, (const unsigned char *)buf_z(&pem), pem.len + 1), 0);
	return crt;
}

static void drop(mbedtls_x509_crt *crt)
{
	mbedtls_x509_crt_free(crt);
	free(crt);
}

static void a_new_ca_is_what_the_spec_says(void **state)
{
	static const enum ca_key keys[] = { CA_KEY_P256, CA_KEY_P384, CA_KEY_RSA2048 };
	static const char *const names[] = { "EC P-256", "EC P-384", "RSA 2048" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		auto_ca struct ca *ca = make(keys[i], 365, 0);
		auto_buf pem = pem_of(ca, NULL);
		mbedtls_x509_crt *crt = parse(ca);
		struct ca_info info;

		assert_int_equal(ca_inspect(buf_str(&pem), "x", &info, NULL), 0);
		assert_string_equal(info.key, names[i]);
		assert_string_equal(info.subject, "O=bottle, CN=bottle CA");
		assert_string_equal(info.issuer, info.subject);
		assert_true(info.is_ca);
		assert_int_equal(crt->version, 3);
		assert_int_equal(mbedtls_x509_crt_check_key_usage(crt,
								  MBEDTLS_X509_KU_KEY_CERT_SIGN |
									  MBEDTLS_X509_KU_CRL_SIGN),
				 0);
		assert_int_equal(crt->subject_key_id.len, 20);
		assert_int_equal(crt->serial.len, 16);
		assert_true(crt->serial.p[0] < 0x80);
		drop(crt);
	}
}

/* A random SKI would break OpenSSL's issuer lookup; this one anybody can compute again. */
static void ski_is_sha1_of_the_public_key(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 1, 0);
	mbedtls_x509_crt *crt = parse(ca);
	unsigned char point[200], *p = point + sizeof(point), hash[20];
	int n = mbedtls_pk_write_pubkey(&p, point, &crt->pk);

	(void)state;
	assert_int_equal(n, 65);
	assert_int_equal(mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA1), p, (size_t)n, hash),
			 0);
	assert_memory_equal(hash, crt->subject_key_id.p, 20);
	drop(crt);
}

static void dates_are_backdated_and_bounded(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 10, 1767225600);     /* 2026-01-01 */
	auto_ca struct ca *late = make(CA_KEY_P256, 3650, 2208988800); /* 2040-01-01 */
	auto_buf pem = pem_of(ca, NULL), late_pem = pem_of(late, NULL);
	struct ca_info info;

	(void)state;
	assert_int_equal(ca_inspect(buf_str(&pem), "x", &info, NULL), 0);
	assert_string_equal(info.not_before, "2025-12-31T23:00:00Z");
	assert_string_equal(info.not_after, "2026-01-11T00:00:00Z");
	assert_int_equal(ca_inspect(buf_str(&late_pem), "x", &info, NULL), 0);
	assert_string_equal(info.not_after, "2049-12-29T00:00:00Z");
}

static void the_generalized_form_takes_over_in_2050(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 3650, 2208988800 + YEAR); /* 2041-01-01 */
	auto_buf pem = pem_of(ca, NULL);
	struct ca_info info;

	(void)state;
	assert_int_equal(ca_inspect(buf_str(&pem), "x", &info, NULL), 0);
	assert_string_equal(info.not_after, "2050-12-29T00:00:00Z");
}

static void wrong_parameters_are_refused(void **state)
{
	static const struct ca_params bad[] = {
		{ .days = 0 },
		{ .days = 3651 },
		{ .days = 1, .common_name = "" },
		{ .days = 1, .common_name = "a\nb" },
		{ .days = 1, .common_name = "\xff" },
		{ .days = 1,
		  .common_name = "0123456789012345678901234567890123456789012345678901234567890"
				 "1234" },
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err_clear(&err);
		assert_null(ca_new(&bad[i], &err));
		assert_int_equal(err.code, E_USAGE);
	}
}

/* What would be syntax in a name's text form is only a character here. */
static void any_name_is_kept_as_it_is(void **state)
{
	struct ca_params p = { .common_name = "Gr\xc3\xbc\xc3\x9f"
					      "e, CN=evil+O=\"x\"",
			       .days = 1 };
	auto_ca struct ca *ca = ca_new(&p, NULL);
	mbedtls_x509_crt *crt = parse(ca);
	const mbedtls_x509_name *cn = crt->subject.next;

	(void)state;
	assert_non_null(cn);
	assert_null(cn->next);
	assert_int_equal(cn->val.len, strlen(p.common_name));
	assert_memory_equal(cn->val.p, p.common_name, cn->val.len);
	drop(crt);
}

static void key_types_are_named(void **state)
{
	enum ca_key key;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ca_key_parse("ec:p384", &key, NULL), 0);
	assert_int_equal(key, CA_KEY_P384);
	assert_int_equal(ca_key_parse("rsa:4096", &key, NULL), 0);
	assert_int_equal(key, CA_KEY_RSA4096);
	assert_int_equal(ca_key_parse("rsa:1024", &key, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_non_null(strstr(err.text, "ec:p256, ec:p384, rsa:2048 or rsa:4096"));
}

static void what_was_written_can_be_loaded(void **state)
{
	static const enum ca_key keys[] = { CA_KEY_P256, CA_KEY_P384, CA_KEY_RSA2048 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		auto_ca struct ca *ca = make(keys[i], 1, 0);
		auto_buf pem = pem_of(ca, ca), swapped = pem_of(NULL, ca), again;
		auto_ca struct ca *loaded = ca_load(buf_str(&pem), "x", NULL), *other;

		assert_non_null(loaded);
		again = pem_of(loaded, loaded);
		assert_true(str_eq(buf_str(&pem), buf_str(&again)));
		assert_int_equal(ca_cert_pem(ca, &swapped, NULL), 0);
		other = ca_load(buf_str(&swapped), "x", NULL);
		assert_non_null(other);
	}
}

static void a_file_without_both_is_refused(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 1, 0);
	auto_buf cert = pem_of(ca, NULL), key = pem_of(NULL, ca), empty = BUF_INIT(1);

	(void)state;
	assert_not_loaded(&cert, "no private key");
	assert_not_loaded(&key, "no certificate");
	assert_not_loaded(&empty, "no certificate");
}

static void a_key_of_another_certificate_is_refused(void **state)
{
	auto_ca struct ca *a = make(CA_KEY_P256, 1, 0), *b = make(CA_KEY_P256, 1, 0);
	auto_buf mixed = pem_of(a, b);

	(void)state;
	assert_not_loaded(&mixed, "the key is not that of the certificate");
}

static void dates_are_checked(void **state)
{
	int64_t now = (int64_t)time(NULL);
	auto_ca struct ca *old = make(CA_KEY_P256, 10, now - 11 * 86400);
	auto_ca struct ca *young = make(CA_KEY_P256, 10, now + 2 * 3600);
	auto_buf old_pem = pem_of(old, old), young_pem = pem_of(young, young);

	(void)state;
	assert_not_loaded(&old_pem, "the CA expired on 20");
	assert_not_loaded(&young_pem, "the CA is not valid before 20");
}

static void a_leaf_is_no_ca(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 1, 0);
	struct str name = STR("a.test");
	auto_leaf leaf = { .cert_der = NULL };
	auto_buf pem = BUF_INIT(CA_PEM_MAX);

	(void)state;
	assert_int_equal(ca_leaf_new(ca, &name, 1, CA_KEY_P256, 1, &leaf, NULL), 0);
	assert_int_equal(ca_pem("CERTIFICATE", str_mem(leaf.cert_der, leaf.cert_len), &pem, NULL),
			 0);
	assert_int_equal(ca_pem("PRIVATE KEY", str_mem(leaf.key_der, leaf.key_len), &pem, NULL), 0);
	assert_not_loaded(&pem, "the certificate is not one of a CA");
}

static void two_certificates_are_refused(void **state)
{
	auto_ca struct ca *a = make(CA_KEY_P256, 1, 0);
	auto_buf pem = pem_of(a, a);

	(void)state;
	assert_int_equal(ca_cert_pem(a, &pem, NULL), 0);
	assert_not_loaded(&pem, "more than one certificate");
}

static void an_encrypted_key_is_refused(void **state)
{
	auto_ca struct ca *a = make(CA_KEY_P256, 1, 0);
	auto_buf new_form = pem_of(a, NULL), old_form = pem_of(a, NULL);

	(void)state;
	assert_int_equal(buf_addz(&new_form,
				  "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
				  "-----END ENCRYPTED PRIVATE KEY-----\n",
				  NULL),
			 0);
	assert_int_equal(buf_addz(&old_form,
				  "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
				  "AAAA\n-----END EC PRIVATE KEY-----\n",
				  NULL),
			 0);
	assert_not_loaded(&new_form, "the key is encrypted");
	assert_not_loaded(&old_form, "the key is encrypted");
}

static void a_weak_key_is_refused(void **state)
{
	auto_ca struct ca *a = make(CA_KEY_P256, 1, 0);
	auto_buf pem = pem_of(a, NULL);
	mbedtls_pk_context pk;
	unsigned char text[2000];

	(void)state;
	mbedtls_pk_init(&pk);
	assert_int_equal(mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), 0);
	assert_int_equal(mbedtls_rsa_gen_key(mbedtls_pk_rsa(pk), mbedtls_psa_get_random,
					     MBEDTLS_PSA_RANDOM_STATE, 1024, 65537),
			 0);
	assert_int_equal(mbedtls_pk_write_key_pem(&pk, text, sizeof(text)), 0);
	mbedtls_pk_free(&pk);
	assert_int_equal(buf_addz(&pem, (const char *)text, NULL), 0);
	assert_not_loaded(&pem, "too weak");
}

static void garbage_is_refused(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 1, 0);
	auto_buf huge = BUF_INIT(2 * CA_PEM_MAX), cut = pem_of(ca, ca), nul = pem_of(ca, NULL);
	auto_buf broken = BUF_INIT(CA_PEM_MAX);
	char *room = buf_reserve(&huge, CA_PEM_MAX + 1, NULL);

	(void)state;
	memset(room, 'x', CA_PEM_MAX + 1);
	buf_commit(&huge, CA_PEM_MAX + 1);
	assert_not_loaded(&huge, "");
	cut.len -= 60;
	assert_not_loaded(&cut, "the private key cannot be read");
	assert_int_equal(buf_addc(&nul, '\0', NULL), 0);
	assert_not_loaded(&nul, "not a PEM text");
	assert_int_equal(buf_addz(&broken,
				  "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
				  NULL),
			 0);
	assert_not_loaded(&broken, "certificate");
}

static void inspect_reads_pem_and_der_and_refuses_the_rest(void **state)
{
	auto_ca struct ca *ca = make(CA_KEY_P256, 1, 0);
	auto_buf pem = pem_of(ca, ca);
	mbedtls_x509_crt *crt = parse(ca);
	struct ca_info a, b;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ca_inspect(buf_str(&pem), "x", &a, NULL), 0);
	assert_int_equal(ca_inspect(str_mem(crt->raw.p, crt->raw.len), "x", &b, NULL), 0);
	assert_string_equal(a.sha256, b.sha256);
	assert_int_equal(strlen(a.sha256), 95);
	assert_int_equal(strlen(a.ski), 59);
	assert_int_equal(a.count, 1);
	assert_int_equal(ca_cert_pem(ca, &pem, NULL), 0);
	assert_int_equal(ca_inspect(buf_str(&pem), "x", &a, NULL), 0);
	assert_int_equal(a.count, 2);
	assert_int_equal(ca_inspect(STR("hello"), "x.pem", &a, &err), -1);
	assert_non_null(strstr(err.text, "x.pem: not a certificate"));
	assert_int_equal(ca_inspect(STR_NONE, "x.pem", &a, &err), -1);
	drop(crt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_ca_is_what_the_spec_says),
		cmocka_unit_test(ski_is_sha1_of_the_public_key),
		cmocka_unit_test(dates_are_backdated_and_bounded),
		cmocka_unit_test(the_generalized_form_takes_over_in_2050),
		cmocka_unit_test(wrong_parameters_are_refused),
		cmocka_unit_test(any_name_is_kept_as_it_is),
		cmocka_unit_test(key_types_are_named),
		cmocka_unit_test(what_was_written_can_be_loaded),
		cmocka_unit_test(a_file_without_both_is_refused),
		cmocka_unit_test(a_key_of_another_certificate_is_refused),
		cmocka_unit_test(dates_are_checked),
		cmocka_unit_test(a_leaf_is_no_ca),
		cmocka_unit_test(two_certificates_are_refused),
		cmocka_unit_test(an_encrypted_key_is_refused),
		cmocka_unit_test(a_weak_key_is_refused),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(inspect_reads_pem_and_der_and_refuses_the_rest),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
