#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ca/ca.h"
#include "http/url.h"
#include "net/tls.h"

#define DAY 86400

static int setup(void **state)
{
	(void)state;
	return tls_global_init(NULL);
}

static struct ca *make_ca(int days, int64_t now)
{
	struct ca_params p = { .days = days, .now = now };
	struct err err = ERR_INIT;
	struct ca *ca = ca_new(&p, &err);

	if (!ca)
		fail_msg("%s", err.text);
	return ca;
}

/* Parsed certificates; freed with mbedtls_x509_crt_free. */
static mbedtls_x509_crt read_ca(const struct ca *ca)
{
	auto_buf pem = BUF_INIT(CA_PEM_MAX);
	mbedtls_x509_crt crt;

	mbedtls_x509_crt_init(&crt);
	assert_int_equal(ca_cert_pem(ca, &pem, NULL), 0);
	assert_int_equal(
		mbedtls_x509_crt_parse(&crt, (const unsigned char *)buf_z(&pem), pem.len + 1), 0);
	return crt;
}

static mbedtls_x509_crt read_leaf(const struct ca_leaf *leaf)
{
	mbedtls_x509_crt crt;

	mbedtls_x509_crt_init(&crt);
	assert_int_equal(mbedtls_x509_crt_parse_der(&crt, (unsigned char *)leaf->cert_der,
						    leaf->cert_len),
			 0);
	return crt;
}

static void assert_verifies(const struct ca *ca, const struct ca_leaf *leaf, const char *name)
{
	mbedtls_x509_crt root = read_ca(ca), crt = read_leaf(leaf);
	uint32_t flags;

	assert_int_equal(mbedtls_x509_crt_verify(&crt, &root, NULL, name, &flags, NULL, NULL), 0);
	mbedtls_x509_crt_free(&crt);
	mbedtls_x509_crt_free(&root);
}

static void a_leaf_is_what_the_spec_says(void **state)
{
	auto_ca struct ca *ca = make_ca(365, 0);
	auto_leaf leaf = { .cert_der = NULL };
	struct str name = STR("API.example.test.");
	mbedtls_x509_crt root = read_ca(ca), crt;
	static const unsigned char san[] = "api.example.test";

	(void)state;
	assert_int_equal(ca_leaf_new(ca, &name, 1, CA_KEY_P256, 30, &leaf, NULL), 0);
	crt = read_leaf(&leaf);
	assert_int_equal(crt.version, 3);
	assert_int_equal(crt.serial.len, 16);
	assert_in_range(crt.serial.p[0], 0x40, 0x7f);
	assert_int_equal(crt.issuer_raw.len, root.subject_raw.len);
	assert_memory_equal(crt.issuer_raw.p, root.subject_raw.p, crt.issuer_raw.len);
	assert_int_equal(crt.authority_key_id.keyIdentifier.len, 20);
	assert_memory_equal(crt.authority_key_id.keyIdentifier.p, root.subject_key_id.p, 20);
	assert_int_equal(crt.subject_key_id.len, 20);
	assert_memory_not_equal(crt.subject_key_id.p, root.subject_key_id.p, 20);
	assert_int_equal(mbedtls_x509_crt_get_ca_istrue(&crt), 0);
	assert_int_equal(mbedtls_x509_crt_check_key_usage(&crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE),
			 0);
	assert_int_not_equal(mbedtls_x509_crt_check_key_usage(&crt, MBEDTLS_X509_KU_KEY_CERT_SIGN),
			     0);
	assert_int_equal(mbedtls_x509_crt_check_extended_key_usage(
				 &crt, MBEDTLS_OID_SERVER_AUTH,
				 MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)),
			 0);
	assert_int_not_equal(mbedtls_x509_crt_check_extended_key_usage(
				     &crt, MBEDTLS_OID_CLIENT_AUTH,
				     MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)),
			     0);
	assert_int_equal(crt.subject_alt_names.buf.len, sizeof(san) - 1);
	assert_memory_equal(crt.subject_alt_names.buf.p, san, sizeof(san) - 1);
	assert_null(crt.subject_alt_names.next);
	mbedtls_x509_crt_free(&crt);
	mbedtls_x509_crt_free(&root);
	assert_verifies(ca, &leaf, "api.example.test");
}

static void every_key_type_verifies(void **state)
{
	static const enum ca_key keys[] = { CA_KEY_P256, CA_KEY_P384, CA_KEY_RSA2048 };
	struct str name = STR("a.test");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct ca_params p = { .days = 1, .key = keys[i] };
		auto_ca struct ca *ca = ca_new(&p, NULL);

		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			auto_leaf leaf = { .cert_der = NULL };

			assert_int_equal(ca_leaf_new(ca, &name, 1, keys[k], 1, &leaf, NULL), 0);
			assert_verifies(ca, &leaf, "a.test");
		}
	}
}

static void addresses_are_addresses(void **state)
{
	static const unsigned char v4[] = { 10, 0, 0, 7 };
	auto_ca struct ca *ca = make_ca(1, 0);
	struct str names[] = { STR("10.0.0.7"), STR("2001:db8::1"), STR("[::1]"), STR("b.test") };
	auto_leaf leaf = { .cert_der = NULL };
	const mbedtls_x509_sequence *san;
	mbedtls_x509_crt crt;

	(void)state;
	assert_int_equal(ca_leaf_new(ca, names, ARRAY_LEN(names), CA_KEY_P256, 1, &leaf, NULL), 0);
	crt = read_leaf(&leaf);
	san = &crt.subject_alt_names;
	assert_int_equal(san->buf.tag & 0x1f, 7);
	assert_int_equal(san->buf.len, 4);
	assert_memory_equal(san->buf.p, v4, 4);
	assert_int_equal(san->next->buf.len, 16);
	assert_int_equal(san->next->next->buf.p[15], 1);
	assert_int_equal(san->next->next->next->buf.tag & 0x1f, 2);
	mbedtls_x509_crt_free(&crt);
	assert_verifies(ca, &leaf, "10.0.0.7");
	assert_verifies(ca, &leaf, "b.test");
}

static void a_wildcard_is_one_label(void **state)
{
	auto_ca struct ca *ca = make_ca(1, 0);
	struct str name = STR("*.b.test");
	auto_leaf leaf = { .cert_der = NULL };

	(void)state;
	assert_int_equal(ca_leaf_new(ca, &name, 1, CA_KEY_P256, 1, &leaf, NULL), 0);
	assert_verifies(ca, &leaf, "a.b.test");
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = { "",         "a..test",  "a b.test",   "*",
					   "*.",       "a.*.test", "*.10.0.0.1", "a.test:443",
					   "a@b.test", "-a.test",  "0x7f.1" };
	auto_ca struct ca *ca = make_ca(1, 0);
	struct str many[CA_NAMES_MAX + 1];
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct str name = str_of(bad[i]);
		struct ca_leaf leaf;

		if (ca_leaf_new(ca, &name, 1, CA_KEY_P256, 1, &leaf, NULL) == 0)
			fail_msg("accepted: '%s'", bad[i]);
		if (ca_leaf_mint(ca, name, &leaf, NULL) == 0)
			fail_msg("minted: '%s'", bad[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = STR("a.test");
	assert_int_equal(ca_leaf_new(ca, many, ARRAY_LEN(many), CA_KEY_P256, 1, NULL, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_int_equal(ca_leaf_new(ca, many, 0, CA_KEY_P256, 1, NULL, NULL), -1);
}

/* All names at their longest fit one certificate. */
static void the_largest_leaf_fits(void **state)
{
	auto_ca struct ca *ca = make_ca(1, 0);
	char text[URL_HOST_MAX];
	struct str names[CA_NAMES_MAX];
	auto_leaf leaf = { .cert_der = NULL };
	mbedtls_x509_crt crt;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 63; i < sizeof(text); i += 64)
		text[i] = '.';
	for (size_t i = 0; i < CA_NAMES_MAX; i++)
		names[i] = str_mem(text, sizeof(text));
	assert_int_equal(ca_leaf_new(ca, names, CA_NAMES_MAX, CA_KEY_P256, 1, &leaf, NULL), 0);
	crt = read_leaf(&leaf);
	/* The name is too long for a CN: O=bottle alone. */
	assert_null(crt.subject.next);
	mbedtls_x509_crt_free(&crt);
}

static int64_t when(const mbedtls_x509_time *t)
{
	struct tm tm = { .tm_year = t->year - 1900,
			 .tm_mon = t->mon - 1,
			 .tm_mday = t->day,
			 .tm_hour = t->hour,
			 .tm_min = t->min,
			 .tm_sec = t->sec };

	return timegm(&tm);
}

/* Bounds of a leaf of a CA made `age` seconds ago. */
static void get_dates(int ca_days, int64_t age, int leaf_days, int64_t *from, int64_t *to)
{
	auto_ca struct ca *ca = make_ca(ca_days, time(NULL) - age);
	struct str name = STR("a.test");
	auto_leaf leaf = { .cert_der = NULL };
	mbedtls_x509_crt crt;

	assert_int_equal(ca_leaf_new(ca, &name, 1, CA_KEY_P256, leaf_days, &leaf, NULL), 0);
	crt = read_leaf(&leaf);
	*from = when(&crt.valid_from);
	*to = when(&crt.valid_to);
	assert_int_equal(leaf.not_after, *to);
	mbedtls_x509_crt_free(&crt);
}

static void dates_stay_in_bounds(void **state)
{
	int64_t now = time(NULL), from, to;

	(void)state;
	get_dates(3650, DAY, 30, &from, &to);
	assert_in_range(from, now - 3600, now - 3600 + 60);
	assert_in_range(to, now + 30 * DAY, now + 30 * DAY + 60);
	/* 397 days with the hour before, and the last second counts. */
	get_dates(3650, DAY, 397, &from, &to);
	assert_int_equal(to - from, 397 * DAY - 1);
	/* Not beyond its CA. */
	get_dates(10, 9 * DAY, 30, &from, &to);
	assert_in_range(to, now + DAY - 60, now + DAY);
	/* Not before its CA. */
	get_dates(10, -600, 5, &from, &to);
	assert_in_range(from, now - 3000, now - 3000 + 60);
}

static void wrong_days_are_refused(void **state)
{
	auto_ca struct ca *ca = make_ca(3650, 0);
	struct str name = STR("a.test");
	struct ca_leaf leaf;

	(void)state;
	assert_int_equal(ca_leaf_new(ca, &name, 1, CA_KEY_P256, 0, &leaf, NULL), -1);
	assert_int_equal(ca_leaf_new(ca, &name, 1, CA_KEY_P256, 398, &leaf, NULL), -1);
}

static void an_expired_ca_signs_nothing(void **state)
{
	auto_ca struct ca *ca = make_ca(1, time(NULL) - 2 * DAY);
	struct ca_leaf leaf;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(ca_leaf_mint(ca, STR("a.test"), &leaf, &err), -1);
	assert_int_equal(err.code, E_DENIED);
}

static void minted_leaves_share_a_key_and_nothing_else(void **state)
{
	auto_ca struct ca *ca = make_ca(365, 0);
	auto_leaf a = { .cert_der = NULL }, b = { .cert_der = NULL };
	mbedtls_x509_crt x, y;

	(void)state;
	assert_int_equal(ca_leaf_mint(ca, STR("a.test"), &a, NULL), 0);
	assert_int_equal(ca_leaf_mint(ca, STR("b.test"), &b, NULL), 0);
	assert_int_equal(a.key_len, b.key_len);
	assert_memory_equal(a.key_der, b.key_der, a.key_len);
	x = read_leaf(&a);
	y = read_leaf(&b);
	assert_memory_not_equal(x.serial.p, y.serial.p, 16);
	mbedtls_x509_crt_free(&x);
	mbedtls_x509_crt_free(&y);
	assert_verifies(ca, &a, "a.test");
	assert_verifies(ca, &b, "b.test");
}

static void the_key_belongs_to_the_certificate(void **state)
{
	auto_ca struct ca *ca = make_ca(365, 0);
	auto_leaf minted = { .cert_der = NULL };
	struct tls_identity *id;

	(void)state;
	assert_int_equal(ca_leaf_mint(ca, STR("a.test"), &minted, NULL), 0);
	id = tls_identity_new(str_mem(minted.cert_der, minted.cert_len), STR_NONE,
			      str_mem(minted.key_der, minted.key_len), NULL);
	assert_non_null(id);
	tls_identity_unref(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_is_what_the_spec_says),
		cmocka_unit_test(every_key_type_verifies),
		cmocka_unit_test(addresses_are_addresses),
		cmocka_unit_test(a_wildcard_is_one_label),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(the_largest_leaf_fits),
		cmocka_unit_test(dates_stay_in_bounds),
		cmocka_unit_test(wrong_days_are_refused),
		cmocka_unit_test(an_expired_ca_signs_nothing),
		cmocka_unit_test(minted_leaves_share_a_key_and_nothing_else),
		cmocka_unit_test(the_key_belongs_to_the_certificate),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
