/*
 * P-256 against the vectors of NIST and Wycheproof, through mbedTLS's functions: our module, and
 * mbedTLS's own behind the same door.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/psa_util.h>
#include <string.h>

#include "net/p256.h"
#include "net/tls.h"
#include "vectors.h"

#define RANDOM mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE

struct counts {
	size_t accepted, refused, lax;
};

static mbedtls_ecp_group group;

static void number(mbedtls_mpi *n, const struct vector_bytes *b)
{
	assert_int_equal(mbedtls_mpi_read_binary(n, b->p, b->n), 0);
}

static bool same(const mbedtls_mpi *n, const struct vector_bytes *b)
{
	mbedtls_mpi want;
	int rc;

	mbedtls_mpi_init(&want);
	number(&want, b);
	rc = mbedtls_mpi_cmp_mpi(n, &want);
	mbedtls_mpi_free(&want);
	return rc == 0;
}

static void point(mbedtls_ecp_point *p, const struct vector *v)
{
	mbedtls_ecp_point_init(p);
	number(&p->MBEDTLS_PRIVATE(X), &v->x);
	number(&p->MBEDTLS_PRIVATE(Y), &v->y);
	assert_int_equal(mbedtls_mpi_lset(&p->MBEDTLS_PRIVATE(Z), 1), 0);
}

static size_t digest(const struct vector *v, uint8_t out[64])
{
	static const struct {
		int bits;
		mbedtls_md_type_t type;
	} types[] = {
		{ 1, MBEDTLS_MD_SHA1 },     { 224, MBEDTLS_MD_SHA224 }, { 256, MBEDTLS_MD_SHA256 },
		{ 384, MBEDTLS_MD_SHA384 }, { 512, MBEDTLS_MD_SHA512 },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		const mbedtls_md_info_t *info = mbedtls_md_info_from_type(types[i].type);

		if (types[i].bits != v->digest)
			continue;
		assert_int_equal(mbedtls_md(info, v->msg.p, v->msg.n, out), 0);
		return mbedtls_md_get_size(info);
	}
	fail_msg("%s: no digest", v->name);
	return 0;
}

static void count(struct counts *c, const struct vector *v, int ret)
{
	if ((v->valid && ret != 0) || (v->invalid && ret == 0))
		fail_msg("%s: %s (%d)", v->name, ret == 0 ? "not refused" : "refused", ret);
	if (ret == 0)
		c->accepted++;
	else
		c->refused++;
}

/* A generator whose numbers are known. */
static int draw(void *from, unsigned char *p, size_t n)
{
	const struct vector_bytes *b = from;

	assert_int_equal(n, b->n);
	memcpy(p, b->p, n);
	return 0;
}

/* The public key of a private one, by the function that makes new keys. */
static void check_pair(const struct vector *v, void *arg)
{
	struct counts *counts = arg;
	struct vector_bytes drawn = v->d;
	mbedtls_ecp_point q;
	mbedtls_mpi d;

	mbedtls_ecp_point_init(&q);
	mbedtls_mpi_init(&d);
	assert_int_equal(mbedtls_ecdh_gen_public(&group, &d, &q, draw, &drawn), 0);
	if (!same(&q.MBEDTLS_PRIVATE(X), &v->x) || !same(&q.MBEDTLS_PRIVATE(Y), &v->y))
		fail_msg("%s: another key", v->name);
	counts->accepted++;
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&d);
}

/* A public key is looked at before anything is done with it. */
static void check_point(const struct vector *v, void *arg)
{
	static const struct vector_bytes two = { .p = { 2 }, .n = 1 };
	mbedtls_ecp_point q;
	mbedtls_mpi d, z;

	point(&q, v);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&z);
	number(&d, &two);
	count(arg, v, mbedtls_ecdh_compute_shared(&group, &z, &q, &d, RANDOM));
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&z);
}

static void check_agreement(const struct vector *v, void *arg)
{
	mbedtls_ecp_point q;
	mbedtls_mpi d, z;
	int ret;

	point(&q, v);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&z);
	number(&d, &v->d);
	ret = mbedtls_ecdh_compute_shared(&group, &z, &q, &d, RANDOM);
	count(arg, v, ret);
	if (v->valid && !same(&z, &v->shared))
		fail_msg("%s: another secret", v->name);
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&z);
}

static void check_signing(const struct vector *v, void *arg)
{
	struct counts *counts = arg;
	struct vector_bytes drawn = v->k;
	mbedtls_mpi d, r, s;
	uint8_t hash[64];
	size_t n = digest(v, hash);

	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	number(&d, &v->d);
	assert_int_equal(mbedtls_ecdsa_sign(&group, &r, &s, &d, hash, n, draw, &drawn), 0);
	if (!same(&r, &v->r) || !same(&s, &v->s))
		fail_msg("%s: another signature", v->name);
	counts->accepted++;
	mbedtls_mpi_free(&d);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
}

static void check_signature(const struct vector *v, void *arg)
{
	mbedtls_ecp_point q;
	mbedtls_mpi r, s;
	uint8_t hash[64];
	size_t n = digest(v, hash);

	point(&q, v);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	number(&r, &v->r);
	number(&s, &v->s);
	count(arg, v, mbedtls_ecdsa_verify(&group, hash, n, &q, &r, &s));
	mbedtls_ecp_point_free(&q);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
}

/* Is this how DER writes the two numbers? */
static bool is_der(const struct vector_bytes *sig)
{
	uint8_t in[VECTOR_BYTES_MAX], out[VECTOR_BYTES_MAX], *p = in, *at = out + sizeof(out);
	mbedtls_mpi r, s;
	size_t n;

	memcpy(in, sig->p, sig->n);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	assert_int_equal(mbedtls_asn1_get_tag(&p, in + sig->n, &n,
					      MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE),
			 0);
	assert_int_equal(mbedtls_asn1_get_mpi(&p, in + sig->n, &r), 0);
	assert_int_equal(mbedtls_asn1_get_mpi(&p, in + sig->n, &s), 0);
	n = (size_t)mbedtls_asn1_write_mpi(&at, out, &s);
	n += (size_t)mbedtls_asn1_write_mpi(&at, out, &r);
	n += (size_t)mbedtls_asn1_write_len(&at, out, n);
	n += (size_t)mbedtls_asn1_write_tag(&at, out,
					    MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	return n == sig->n && memcmp(at, sig->p, n) == 0;
}

/*
 * As it comes in TLS: the two numbers in DER, which has ways of its own to be wrong. mbedTLS takes
 * good numbers also when they are not written as DER wants it.
 */
static void check_encoded_signature(const struct vector *v, void *arg)
{
	struct counts *counts = arg;
	mbedtls_ecdsa_context key;
	uint8_t hash[32];
	int ret;

	assert_int_equal(mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), v->msg.p,
				    v->msg.n, hash),
			 0);
	mbedtls_ecdsa_init(&key);
	assert_int_equal(
		mbedtls_ecp_group_load(&key.MBEDTLS_PRIVATE(grp), MBEDTLS_ECP_DP_SECP256R1), 0);
	assert_int_equal(mbedtls_ecp_point_read_binary(&group, &key.MBEDTLS_PRIVATE(Q),
						       v->public_key.p, v->public_key.n),
			 0);
	ret = mbedtls_ecdsa_read_signature(&key, hash, sizeof(hash), v->sig.p, v->sig.n);
	if (ret == 0 && v->invalid && !is_der(&v->sig))
		counts->lax++;
	else
		count(counts, v, ret);
	mbedtls_ecdsa_free(&key);
}

static void test_nist(void **state)
{
	struct counts pairs = { 0 }, points = { 0 }, signing = { 0 }, signatures = { 0 },
		      agreements = { 0 };

	(void)state;
	assert_int_equal(vectors_p256("ECDSA/FIPS_186-3/KeyPair.rsp", check_pair, &pairs), 10);
	assert_int_equal(vectors_p256("ECDSA/FIPS_186-3/PKV.rsp", check_point, &points), 12);
	assert_true(points.accepted >= 3 && points.refused >= 6);
	assert_int_equal(vectors_p256("ECDSA/FIPS_186-3/SigGen.txt", check_signing, &signing), 75);
	assert_int_equal(vectors_p256("ECDSA/FIPS_186-3/SigVer.rsp", check_signature, &signatures),
			 75);
	assert_true(signatures.accepted >= 10 && signatures.refused >= 40);
	assert_int_equal(vectors_p256("ECDH/KASValidityTest_ECCStaticUnified_NOKC_ZZOnly_init.fax",
				      check_agreement, &agreements),
			 30);
	assert_true(agreements.accepted >= 10 && agreements.refused >= 2);
}

static void test_wycheproof(void **state)
{
	struct counts counts = { 0 };

	(void)state;
	if (vectors_wycheproof("ecdsa_secp256r1_sha256_test.json", check_encoded_signature,
			       &counts) == 0)
		skip();
	assert_true(counts.accepted > 150);
	assert_true(counts.refused > 300);
	assert_true(counts.lax < 10);
}

/* Each test runs with ours and with stock. */
static int use_ours(void **state)
{
	(void)state;
	assert_true(p256_accelerate(true));
	return 0;
}

static int use_stock(void **state)
{
	(void)state;
	assert_false(p256_accelerate(false));
	return 0;
}

static int setup(void **state)
{
	(void)state;
	mbedtls_ecp_group_init(&group);
	return tls_global_init(NULL) || mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1);
}

static int teardown(void **state)
{
	(void)state;
	mbedtls_ecp_group_free(&group);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "test_nist_ours", test_nist, use_ours, NULL, NULL },
		{ "test_wycheproof_ours", test_wycheproof, use_ours, NULL, NULL },
		cmocka_unit_test_setup(test_nist, use_stock),
		cmocka_unit_test_setup(test_wycheproof, use_stock),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
