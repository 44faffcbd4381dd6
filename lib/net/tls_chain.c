/* What a peer sends to prove itself: reading it, and finding a way through it to a trust anchor. */
#include <string.h>

#include "base/mem.h"
#include "net/tls_priv.h"

/* --- reading ------------------------------------------------------------------------------------ */

int tls_on_extension(void *arg, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
		     int critical, const unsigned char *p, const unsigned char *end)
{
	(void)arg;
	(void)crt;
	(void)p;
	(void)end;
	if (!critical || str_eq(str_mem(oid->p, oid->len), STR(TLS_OID_NAME_CONSTRAINTS)))
		return 0;
	return MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG;
}

/*
 * mbedTLS reads the certificates of a handshake by mbedtls_x509_crt_parse_der, which has no way to
 * be told of extensions that somebody else understands. The linker puts this in its place (--wrap).
 */
int __wrap_mbedtls_x509_crt_parse_der(mbedtls_x509_crt *chain, const unsigned char *der, size_t n);

int __wrap_mbedtls_x509_crt_parse_der(mbedtls_x509_crt *chain, const unsigned char *der, size_t n)
{
	return mbedtls_x509_crt_parse_der_with_ext_cb(chain, der, n, 1, tls_on_extension, NULL);
}

/* --- finding a way ------------------------------------------------------------------------------ */

struct search {
	mbedtls_x509_crt *sent[TLS_CHAIN_SENT_MAX]; /* as they came, the leaf first */
	mbedtls_x509_crt *rest;                     /* behind those */
	size_t count;
	size_t way[TLS_CHAIN_SENT_MAX]; /* the way so far, as places in `sent` */
	bool used[TLS_CHAIN_SENT_MAX];
	size_t tries;
	tls_chain_fn *fn;
	void *arg;
};

static bool same_name(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
	return str_eq(str_mem(a->p, a->len), str_mem(b->p, b->len));
}

/* Puts the first `len` of the way in front of all others. False: they came so. */
static bool relink(struct search *s, size_t len)
{
	size_t order[TLS_CHAIN_SENT_MAX];
	bool moved = false;
	size_t n = 0;

	for (; n < len; n++)
		order[n] = s->way[n];
	for (size_t i = 0; i < s->count; i++)
		if (!s->used[i])
			order[n++] = i;
	for (size_t i = 0; i < n; i++) {
		s->sent[order[i]]->next = i + 1 < n ? s->sent[order[i + 1]] : s->rest;
		moved = moved || order[i] != i;
	}
	return moved;
}

/* Every way on from the `len` certificates there are, each to its end. */
static bool go_on(struct search *s, size_t len)
{
	const mbedtls_x509_crt *last = s->sent[s->way[len - 1]];
	bool more = false;

	for (size_t i = 1; i < s->count && !same_name(&last->issuer_raw, &last->subject_raw); i++) {
		if (s->used[i] || !same_name(&last->issuer_raw, &s->sent[i]->subject_raw))
			continue;
		more = true;
		s->used[i] = true;
		s->way[len] = i;
		if (go_on(s, len + 1))
			return true;
		s->used[i] = false;
		if (s->tries == 0)
			return false;
	}
	if (more || !relink(s, len))
		return false;
	s->tries--;
	return s->fn(s->arg, s->sent[0]);
}

bool tls_chain_search(mbedtls_x509_crt *leaf, tls_chain_fn *fn, void *arg)
{
	struct search s = { .sent = { leaf },
			    .count = 1,
			    .rest = leaf->next,
			    .tries = TLS_CHAIN_TRIES,
			    .fn = fn,
			    .arg = arg };

	for (; s.rest && s.count < TLS_CHAIN_SENT_MAX; s.rest = s.rest->next)
		s.sent[s.count++] = s.rest;
	s.used[0] = true;
	if (go_on(&s, 1))
		return true;
	for (size_t i = 0; i < s.count; i++)
		s.sent[i]->next = i + 1 < s.count ? s.sent[i + 1] : s.rest;
	return false;
}
