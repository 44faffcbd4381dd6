/* Is the peer's certificate good for this host, and if not, why not. */
#include <mbedtls/oid.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/tls_priv.h"

/* One way from the leaf to a trust anchor, as far as it has been looked at: from its far end. */
struct way {
	const mbedtls_x509_crt *issuers[TLS_CHAIN_MAX];
	size_t count;
	uint32_t flags;         /* of all certificates */
	char why[ERR_TEXT_MAX]; /* reasons so far, with "; " between */
	time_t until;           /* the first to expire */
};

struct tls_verify {
	struct tls_client_config *config;
	struct tls_name name;
	struct way way;
	bool seen;      /* the leaf, which comes last */
	bool searching; /* for another way */
};

static void __attribute__((format(printf, 2, 3)))
add_reason(struct tls_verify *v, const char *fmt, ...)
{
	char *why = v->way.why;
	size_t used = strlen(why);
	va_list ap;

	if (used > 0 && used + 2 < sizeof(v->way.why)) {
		memcpy(why + used, "; ", 3);
		used += 2;
	}
	va_start(ap, fmt);
	(void)vsnprintf(why + used, sizeof(v->way.why) - used, fmt, ap);
	va_end(ap);
}

static const char *dn_text(const mbedtls_x509_name *dn, char *text, size_t size)
{
	return mbedtls_x509_dn_gets(text, size, dn) > 0 ? text : "a name too long to show";
}

static void date_text(const mbedtls_x509_time *t, char text[16])
{
	(void)snprintf(text, 16, "%04d-%02d-%02d", t->year, t->mon, t->day);
}

static void explain_trust(struct tls_verify *v, const mbedtls_x509_crt *crt)
{
	char issuer[160];

	if (str_eq(str_mem(crt->issuer_raw.p, crt->issuer_raw.len),
		   str_mem(crt->subject_raw.p, crt->subject_raw.len)))
		add_reason(v,
			   v->way.count == 0 ? "certificate of %s is self-signed and not trusted"
					     : "root of %s's certificate is not trusted",
			   v->name.host);
	else
		add_reason(v, "issuer of %s's certificate is not trusted (%s)", v->name.host,
			   dn_text(&crt->issuer, issuer, sizeof(issuer)));
}

/* The reasons in one certificate's flags; mbedTLS's and ours. */
static void explain(struct tls_verify *v, const mbedtls_x509_crt *crt, int depth, uint32_t flags)
{
	const char *host = v->name.host;
	char who[256], dn[160], date[16];

	if (depth == 0)
		(void)snprintf(who, sizeof(who), "certificate of %.200s", host);
	else
		(void)snprintf(who, sizeof(who), "CA certificate \"%s\"",
			       dn_text(&crt->subject, dn, sizeof(dn)));
	if (flags & MBEDTLS_X509_BADCERT_EXPIRED) {
		date_text(&crt->valid_to, date);
		add_reason(v, "%s has expired on %s", who, date);
	}
	if (flags & MBEDTLS_X509_BADCERT_FUTURE) {
		date_text(&crt->valid_from, date);
		add_reason(v, "%s is not yet valid, only from %s", who, date);
	}
	if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
		tls_names_text(crt, dn, sizeof(dn));
		if (dn[0])
			add_reason(v, "certificate is for %s, not %s", dn, host);
		else
			add_reason(v, "%s names no host (it has no subjectAltName for one)", who);
	}
	if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
		explain_trust(v, crt);
	if (flags & MBEDTLS_X509_BADCERT_BAD_MD)
		add_reason(v, "%s is signed with a broken digest (SHA-1 or older)", who);
	if (flags & MBEDTLS_X509_BADCERT_BAD_PK)
		add_reason(v, "%s has a kind of key that is not accepted", who);
	if (flags & MBEDTLS_X509_BADCERT_BAD_KEY)
		add_reason(v, "%s has or is signed by too weak a key (RSA below 2048 bits)", who);
}

static time_t time_of(const mbedtls_x509_time *t)
{
	struct tm tm = { .tm_year = t->year - 1900,
			 .tm_mon = t->mon - 1,
			 .tm_mday = t->day,
			 .tm_hour = t->hour,
			 .tm_min = t->min,
			 .tm_sec = t->sec };

	return timegm(&tm);
}

/* Every CA of the way over the certificates below it. */
static void check_constraints(struct tls_verify *v, const mbedtls_x509_crt *leaf)
{
	const struct way *w = &v->way;
	char dn[160];

	for (size_t i = 0; i < w->count; i++) {
		bool allowed = tls_constraints_allow(w->issuers[i], leaf, &v->name);

		for (size_t below = i + 1; below < w->count && allowed; below++)
			allowed = tls_constraints_allow(w->issuers[i], w->issuers[below], NULL);
		if (allowed)
			continue;
		v->way.flags |= MBEDTLS_X509_BADCERT_OTHER;
		add_reason(v, "CA \"%s\" may not sign for %s (name constraints)",
			   dn_text(&w->issuers[i]->subject, dn, sizeof(dn)), v->name.host);
	}
}

static void check_issuer(struct tls_verify *v, const mbedtls_x509_crt *crt)
{
	struct way *w = &v->way;
	char dn[160];

	if (w->count == TLS_CHAIN_MAX) {
		w->flags |= MBEDTLS_X509_BADCERT_OTHER;
		add_reason(v, "the chain of %s's certificate is too long", v->name.host);
		return;
	}
	w->issuers[w->count++] = crt;
	/* What an intermediate's extended key usage leaves out, its leaves do not get either. */
	if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
						      MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH))) {
		w->flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
		add_reason(v, "CA \"%s\" is not for TLS servers (extended key usage)",
			   dn_text(&crt->subject, dn, sizeof(dn)));
	}
}

/* `flags`: what mbedTLS has found. */
static void check(struct tls_verify *v, const mbedtls_x509_crt *crt, int depth, uint32_t flags)
{
	time_t until = time_of(&crt->valid_to);
	struct way *w = &v->way;

	if (until < w->until)
		w->until = until;
	if (depth > 0) {
		check_issuer(v, crt);
	} else {
		if (!tls_names_match(crt, &v->name))
			flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
		check_constraints(v, crt);
	}
	if (!tls_extensions_unique(crt)) {
		w->flags |= MBEDTLS_X509_BADCERT_OTHER;
		add_reason(v, "a certificate in the chain of %s has an extension twice",
			   v->name.host);
	}
	w->flags |= flags;
	explain(v, crt, depth, flags);
}

static void begin_way(struct tls_verify *v)
{
	memset(&v->way, 0, sizeof(v->way));
	v->way.until = time(NULL) + TLS_RESUME_SECONDS;
}

static int on_certificate(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

static bool try_way(void *arg, mbedtls_x509_crt *leaf)
{
	struct tls_verify *v = arg;

	begin_way(v);
	return tls_client_verify(v->config, leaf, tls_verify_is_ip(v) ? NULL : v->name.host,
				 on_certificate, v) == 0;
}

/* mbedTLS calls this for each certificate of the way it found, from the root down to the leaf;
 * with the last one it is told of all faults. */
static int on_certificate(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls_verify *v = arg;
	struct way first;

	check(v, crt, depth, *flags);
	*flags = 0;
	if (depth > 0)
		return 0;
	v->seen = true;
	if (v->way.flags && !v->searching) {
		first = v->way;
		v->searching = true;
		if (!tls_chain_search(crt, try_way, v))
			v->way = first;
		v->searching = false;
	}
	*flags = v->way.flags;
	return 0;
}

struct tls_verify *tls_verify_new(mbedtls_ssl_context *ssl, struct tls_client_config *c,
				  const char *host)
{
	struct tls_verify *v = mem_new(struct tls_verify);
	struct addr a;

	v->config = c;
	v->name.host = host;
	begin_way(v);
	if (addr_parse(str_of(host), 0, &a, NULL) == 0) {
		v->name.ip_len = a.sa.sa_family == AF_INET ? 4 : 16;
		memcpy(v->name.ip,
		       a.sa.sa_family == AF_INET ? (const void *)&a.in4.sin_addr
						 : (const void *)&a.in6.sin6_addr,
		       v->name.ip_len);
	}
	mbedtls_ssl_set_verify(ssl, on_certificate, v);
	return v;
}

void tls_verify_free(struct tls_verify *v)
{
	free(v);
}

bool tls_verify_is_ip(const struct tls_verify *v)
{
	return v->name.ip_len > 0;
}

time_t tls_verify_until(const struct tls_verify *v)
{
	return v->seen ? v->way.until : 0;
}

void tls_verify_explain(const struct tls_verify *v, const mbedtls_ssl_context *ssl, struct err *err)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(ssl);

	if (v->way.why[0])
		(void)err_set(err, E_TLS, "%s", v->way.why);
	else if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
			  MBEDTLS_X509_BADCERT_NS_CERT_TYPE))
		(void)err_set(err, E_TLS, "certificate of %s is not for TLS servers (key usage)",
			      v->name.host);
	else if (flags & MBEDTLS_X509_BADCERT_BAD_KEY)
		(void)err_set(err, E_TLS,
			      "certificate of %s has a key on a curve that is not accepted",
			      v->name.host);
	else
		(void)err_set(err, E_TLS, "certificate of %s cannot be verified (0x%x)",
			      v->name.host, (unsigned)flags);
}
