#include <mbedtls/asn1.h>
#include <mbedtls/x509_crt.h>

#include "base/buf.h"
#include "base/enc.h"
#include "base/mem.h"
#include "net/tls_priv.h"

struct tls_client_config {
	mbedtls_x509_crt anchors;
	struct tls_settings *settings;
	struct tls_sessions sessions;
};

/* SHA-2 signatures by RSA from 2048 bits or on P-256 and P-384. A trust anchor's own signature is
 * no matter. */
static const mbedtls_x509_crt_profile profile = {
	.allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
		       MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
		       MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
	.allowed_pks =
		MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS) |
		MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
	.allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
			  MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
	.rsa_min_bitlen = 2048,
};

struct tls_client_config *tls_client_config_new(struct err *err)
{
	struct tls_client_config *c;

	if (tls_global_init(err))
		return NULL;
	c = mem_new(struct tls_client_config);
	mbedtls_x509_crt_init(&c->anchors);
	return c;
}

void tls_client_config_free(struct tls_client_config *c)
{
	if (!c)
		return;
	tls_sessions_clear(&c->sessions);
	tls_settings_free(c->settings);
	mbedtls_x509_crt_free(&c->anchors);
	free(c);
}

/*
 * What stands between the next BEGIN and END of *rest, which moves behind them. False: no more. Not
 * by mbedTLS's PEM reader: that decodes as if for a private key, in constant time, and takes 5 ms
 * for a system's bundle.
 */
static bool next_block(struct str *rest, struct str *ret_block)
{
	const struct str first = STR("-----BEGIN CERTIFICATE-----"),
			 last = STR("-----END CERTIFICATE-----");
	ssize_t from = str_find(*rest, first, 0), to;

	if (from < 0)
		return false;
	to = str_find(*rest, last, (size_t)from + first.n);
	if (to < 0)
		return false;
	*ret_block = str_sub(*rest, (size_t)from + first.n, (size_t)to - (size_t)from - first.n);
	*rest = str_from(*rest, (size_t)to + last.n);
	return true;
}

static int add_block(struct tls_client_config *c, struct str block, struct err *err)
{
	auto_buf text, der;
	int ret;

	buf_init(&text, TLS_CA_FILE_MAX);
	buf_init(&der, TLS_CA_FILE_MAX);
	for (struct str line; str_split(&block, '\n', &line);) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (buf_add(&text, str_trim(line), err))
			return -1;
	}
	if (enc_base64_decode(&der, buf_str(&text), err))
		return -1;
	ret = mbedtls_x509_crt_parse_der_with_ext_cb(&c->anchors,
						     (const unsigned char *)buf_str(&der).p,
						     der.len, 1, tls_on_extension, NULL);
	return ret == 0 ? 0 : tls_err(err, E_BAD, ret, "certificate");
}

/*
 * Bundles hold a few certificates that mbedTLS cannot read (curves it was not built with); they are
 * passed over, unless nothing is left.
 */
int tls_client_config_add_ca(struct tls_client_config *c, struct str pem, const char *source,
			     size_t *ret_count, struct err *err)
{
	struct err first = ERR_INIT, *why = &first;
	struct str block;
	size_t taken = 0;

	if (pem.n > TLS_CA_FILE_MAX)
		return err_set(err, E_LIMIT, "%s: larger than %zu bytes", source, TLS_CA_FILE_MAX);
	tls_sessions_clear(&c->sessions);
	while (next_block(&pem, &block)) {
		if (add_block(c, block, why) == 0)
			taken++;
		else
			why = NULL; /* the first is told */
	}
	if (taken == 0 && first.code != E_NONE)
		return err_set(err, E_BAD, "no usable certificate: %s: %s", source, first.text);
	if (taken == 0)
		return err_set(err, E_BAD, "%s: no certificate in it", source);
	if (ret_count)
		*ret_count = taken;
	return 0;
}

int tls_client_verify(struct tls_client_config *c, mbedtls_x509_crt *chain, const char *host,
		      tls_certificate_fn *fn, void *arg)
{
	uint32_t flags;

	return mbedtls_x509_crt_verify_with_profile(chain, &c->anchors, NULL, &profile, host,
						    &flags, fn, arg);
}

static void finish_settings(mbedtls_ssl_config *conf, void *arg)
{
	struct tls_client_config *c = arg;

	mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(conf, &c->anchors, NULL);
	mbedtls_ssl_conf_cert_profile(conf, &profile);
	/* Else mbedTLS drops a TLS 1.3 ticket on arrival. */
	mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
		conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
}

struct filter *tls_client(struct tls_client_config *c, struct filter *below, const char *host,
			  const char *scope, const char *const *alpn, struct err *err)
{
	mbedtls_ssl_config *conf = tls_settings(&c->settings, alpn, false, finish_settings, c, err);
	struct tls *t;
	int ret;

	if (!conf) {
		filter_free(below);
		return NULL;
	}
	t = tls_new(conf, below, err);
	if (!t)
		return NULL;
	t->host = mem_strdup(host);
	t->verify = tls_verify_new(&t->ssl, c, t->host);
	/* Without a name mbedTLS sends no SNI (RFC 6066 3: none for addresses) and leaves names to
	 * us. */
	ret = mbedtls_ssl_set_hostname(&t->ssl, tls_verify_is_ip(t->verify) ? NULL : host);
	if (ret != 0) {
		(void)err_set(err, E_BAD, "'%s' is too long for a host name", host);
		filter_free(&t->f);
		return NULL;
	}
	if (scope)
		tls_resume_begin(t, &c->sessions, scope);
	return &t->f;
}
