/* What TLS connections have in common: the start of the library, and its settings. */
#include <psa/crypto.h>
#include <string.h>

#include "base/mem.h"
#include "net/gcm.h"
#include "net/p256.h"
#include "net/tls_priv.h"

int tls_global_init(struct err *err)
{
	const char *which = getenv(TLS_CRYPTO_VARIABLE);
	psa_status_t status;

	if (which && strcmp(which, "stock") != 0)
		return err_set(err, E_BAD, TLS_CRYPTO_VARIABLE ": only \"stock\" has a meaning");
	(void)gcm_accelerate(!which);
	(void)p256_accelerate(!which);
	status = psa_crypto_init();
	if (status != PSA_SUCCESS)
		return err_set(err, E_SYS, "cryptography does not start (%d)", (int)status);
	return 0;
}

/* Fastest first where the CPU has AES instructions; the library's own order begins with ChaCha20. */
static const int cipher_suites[] = {
	MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
	MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
	MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	0,
};

static const uint16_t groups[] = {
	MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
	MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
	MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

/* No SHA-1 anywhere. */
static const uint16_t signatures[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
	MBEDTLS_TLS1_3_SIG_NONE,
};

static bool same_alpn(const char *const *have, const char *const *want)
{
	size_t i = 0;

	for (; want && want[i]; i++) {
		if (!have[i] || strcmp(have[i], want[i]) != 0)
			return false;
	}
	return !have[i];
}

static struct tls_settings *settings_new(const char *const *alpn, bool server, struct err *err)
{
	struct tls_settings *s = mem_new(struct tls_settings);
	int ret;

	mbedtls_ssl_config_init(&s->conf);
	for (size_t i = 0; alpn && alpn[i]; i++) {
		if (i == TLS_ALPN_MAX) {
			(void)err_set(err, E_BAD, "more than %d ALPN protocols", TLS_ALPN_MAX);
			goto fail;
		}
		s->alpn_text[i] = mem_strdup(alpn[i]);
		s->alpn[i] = s->alpn_text[i];
	}
	ret = mbedtls_ssl_config_defaults(&s->conf,
					  server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
					  MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
	if (ret == 0 && s->alpn[0])
		ret = mbedtls_ssl_conf_alpn_protocols(&s->conf, s->alpn);
	if (ret != 0) {
		(void)tls_err(err, E_SYS, ret, "TLS settings");
		goto fail;
	}
	mbedtls_ssl_conf_min_tls_version(&s->conf, MBEDTLS_SSL_VERSION_TLS1_2);
	mbedtls_ssl_conf_max_tls_version(&s->conf, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_ciphersuites(&s->conf, cipher_suites);
	mbedtls_ssl_conf_groups(&s->conf, groups);
	mbedtls_ssl_conf_sig_algs(&s->conf, signatures);
	mbedtls_ssl_conf_rng(&s->conf, TLS_RNG);
	return s;
fail:
	tls_settings_free(s);
	return NULL;
}

mbedtls_ssl_config *tls_settings(struct tls_settings **list, const char *const *alpn, bool server,
				 void (*finish)(mbedtls_ssl_config *conf, void *arg), void *arg,
				 struct err *err)
{
	struct tls_settings *s;

	for (s = *list; s; s = s->next) {
		if (same_alpn(s->alpn, alpn))
			return &s->conf;
	}
	s = settings_new(alpn, server, err);
	if (!s)
		return NULL;
	finish(&s->conf, arg);
	s->next = *list;
	*list = s;
	return &s->conf;
}

void tls_settings_free(struct tls_settings *list)
{
	while (list) {
		struct tls_settings *next = list->next;

		mbedtls_ssl_config_free(&list->conf);
		for (size_t i = 0; i < TLS_ALPN_MAX; i++)
			free(list->alpn_text[i]);
		free(list);
		list = next;
	}
}
