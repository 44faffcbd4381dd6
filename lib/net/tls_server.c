#include <mbedtls/asn1.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl_ticket.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_priv.h"

/* --- identities --------------------------------------------------------------------------------- */

struct tls_identity {
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	unsigned refs;
};

/* One DER value off the front of *rest; empty when there is none. */
static struct str take_der(struct str *rest)
{
	unsigned char *start = (unsigned char *)(uintptr_t)rest->p, *p = start;
	struct str one;
	size_t n;

	if (mbedtls_asn1_get_tag(&p, start + rest->n, &n,
				 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
		return STR_NONE;
	one = str_sub(*rest, 0, (size_t)(p - start) + n);
	*rest = str_from(*rest, one.n);
	return one;
}

static int add_certificate(struct tls_identity *id, struct str der, struct err *err)
{
	int ret = mbedtls_x509_crt_parse_der(&id->chain, (const unsigned char *)der.p, der.n);

	return ret == 0 ? 0 : tls_err(err, E_BAD, ret, "certificate");
}

struct tls_identity *tls_identity_new(struct str cert_der, struct str chain_der, struct str key_der,
				      struct err *err)
{
	struct tls_identity *id = mem_new(struct tls_identity);
	int ret;

	id->refs = 1;
	mbedtls_x509_crt_init(&id->chain);
	mbedtls_pk_init(&id->key);
	if (add_certificate(id, cert_der, err))
		goto fail;
	while (chain_der.n > 0) {
		struct str der = take_der(&chain_der);

		if (der.n == 0) {
			(void)err_set(err, E_BAD, "certificate chain: not DER");
			goto fail;
		}
		if (add_certificate(id, der, err))
			goto fail;
	}
	ret = mbedtls_pk_parse_key(&id->key, (const unsigned char *)key_der.p, key_der.n, NULL, 0,
				   TLS_RNG);
	if (ret != 0) {
		(void)tls_err(err, E_BAD, ret, "private key");
		goto fail;
	}
	return id;
fail:
	tls_identity_unref(id);
	return NULL;
}

struct tls_identity *tls_identity_ref(struct tls_identity *id)
{
	id->refs++;
	return id;
}

void tls_identity_unref(struct tls_identity *id)
{
	if (!id || --id->refs > 0)
		return;
	mbedtls_x509_crt_free(&id->chain);
	mbedtls_pk_free(&id->key);
	free(id);
}

/* --- settings ----------------------------------------------------------------------------------- */

struct tls_server_config {
	mbedtls_ssl_ticket_context tickets;
	bool ticket_taken; /* by the handshake step under way */
	struct tls_settings *settings;
};

struct tls_server_config *tls_server_config_new(struct err *err)
{
	struct tls_server_config *c;
	int ret;

	if (tls_global_init(err))
		return NULL;
	c = mem_new(struct tls_server_config);
	mbedtls_ssl_ticket_init(&c->tickets);
	ret = mbedtls_ssl_ticket_setup(&c->tickets, TLS_RNG, MBEDTLS_CIPHER_AES_256_GCM,
				       TLS_TICKET_SECONDS);
	if (ret != 0) {
		(void)tls_err(err, E_SYS, ret, "TLS tickets");
		tls_server_config_free(c);
		return NULL;
	}
	return c;
}

void tls_server_config_free(struct tls_server_config *c)
{
	if (!c)
		return;
	tls_settings_free(c->settings);
	mbedtls_ssl_ticket_free(&c->tickets);
	free(c);
}

/* --- choosing the certificate ------------------------------------------------------------------- */

/* Lower case, without ":port" and a final dot. NULL: no name at all. */
static char *normal_sni(const unsigned char *p, size_t n)
{
	struct str s = str_mem(p, n);
	ssize_t colon = str_chr(s, ':', 0);
	uint64_t port;
	char *z;

	if (colon >= 0 && str_to_u64(str_from(s, (size_t)colon + 1), UINT16_MAX, &port) == 0)
		s = str_sub(s, 0, (size_t)colon);
	if (s.n > 1 && s.p[s.n - 1] == '.')
		s = str_sub(s, 0, s.n - 1);
	if (s.n == 0 || s.n > MBEDTLS_SSL_MAX_HOST_NAME_LEN || str_has_ctl(s))
		return NULL;
	z = str_dupz(s);
	for (size_t i = 0; i < s.n; i++)
		z[i] = ascii_lower(z[i]);
	return z;
}

static int refuse_name(struct tls *t, mbedtls_ssl_context *ssl)
{
	(void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
					     MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME);
	t->explained = true;
	return MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME;
}

static int write_ticket(void *arg, const mbedtls_ssl_session *session, unsigned char *start,
			const unsigned char *end, size_t *ret_len, uint32_t *ret_lifetime)
{
	struct tls_server_config *c = arg;

	return mbedtls_ssl_ticket_write(&c->tickets, session, start, end, ret_len, ret_lifetime);
}

static int parse_ticket(void *arg, mbedtls_ssl_session *session, unsigned char *ticket, size_t n)
{
	struct tls_server_config *c = arg;
	int ret = mbedtls_ssl_ticket_parse(&c->tickets, session, ticket, n);

	c->ticket_taken = ret == 0;
	return ret;
}

/*
 * mbedTLS calls this once the ClientHello's extensions are read, with or without a server name,
 * in 1.2 and 1.3 — and a second time when it has asked for another key share (HelloRetryRequest).
 * It was the turn of parse_ticket before, if there is a ticket.
 */
static int on_hello(mbedtls_ssl_context *ssl)
{
	struct tls *t = mbedtls_ssl_get_user_data_p(ssl);
	size_t n = 0;
	const unsigned char *name = mbedtls_ssl_get_hs_sni(ssl, &n);
	auto_free char *sni = name ? normal_sni(name, n) : NULL;

	t->resume.resumed = t->server->ticket_taken;
	t->server->ticket_taken = false;
	if (name && !sni) {
		(void)err_set(t->err, E_TLS, "peer sent a server name (SNI) that is none");
		return refuse_name(t, ssl);
	}
	if (t->identity) {
		if (str_eq(str_of(sni), str_of(t->sni)))
			return 0;
		(void)err_set(t->err, E_TLS, "peer changed the server name (SNI) while asking");
		return refuse_name(t, ssl);
	}
	t->identity = t->choose(t->choose_arg, sni ? str_of(sni) : STR(""), t->err);
	if (!t->identity)
		return refuse_name(t, ssl);
	t->sni = steal(&sni);
	return mbedtls_ssl_set_hs_own_cert(ssl, &t->identity->chain, &t->identity->key);
}

static void finish_settings(mbedtls_ssl_config *conf, void *arg)
{
	struct tls_server_config *c = arg;

	mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_cert_cb(conf, on_hello);
	mbedtls_ssl_conf_session_tickets_cb(conf, write_ticket, parse_ticket, c);
}

struct filter *tls_server(struct tls_server_config *c, struct filter *below,
			  const char *const *alpn, tls_identity_fn *choose, void *arg,
			  struct err *err)
{
	mbedtls_ssl_config *conf = tls_settings(&c->settings, alpn, true, finish_settings, c, err);
	struct tls *t;

	if (!conf) {
		filter_free(below);
		return NULL;
	}
	t = tls_new(conf, below, err);
	if (!t)
		return NULL;
	t->server = c;
	t->choose = choose;
	t->choose_arg = arg;
	return &t->f;
}
