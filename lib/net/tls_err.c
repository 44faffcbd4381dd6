/* mbedTLS's codes and the peer's alerts, in words for an operator. */
#include <mbedtls/error.h>

#include "net/tls_priv.h"

int tls_err(struct err *err, enum err_code code, int ret, const char *what)
{
	char text[160];

	mbedtls_strerror(ret, text, sizeof(text));
	return err_set(err, code, "%s: %s (-0x%04x)", what, text, (unsigned)-ret);
}

static const char *alert_name(unsigned char alert)
{
	switch (alert) {
	case MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY:
		return "close_notify";
	case MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE:
		return "unexpected_message";
	case MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC:
		return "bad_record_mac";
	case MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW:
		return "record_overflow";
	case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
		return "handshake_failure (no cipher, group or certificate in common)";
	case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
		return "bad_certificate (it does not trust this side's certificate)";
	case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
		return "unsupported_certificate";
	case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
		return "certificate_revoked";
	case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
		return "certificate_expired";
	case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
		return "certificate_unknown (it does not trust this side's certificate)";
	case MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER:
		return "illegal_parameter";
	case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
		return "unknown_ca (it does not trust this side's CA)";
	case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
		return "access_denied";
	case MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR:
		return "decode_error";
	case MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR:
		return "decrypt_error";
	case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
		return "protocol_version (it has no TLS version in common with 1.2 and 1.3)";
	case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
		return "insufficient_security";
	case MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR:
		return "internal_error";
	case MBEDTLS_SSL_ALERT_MSG_USER_CANCELED:
		return "user_canceled";
	case MBEDTLS_SSL_ALERT_MSG_MISSING_EXTENSION:
		return "missing_extension";
	case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_EXT:
		return "unsupported_extension";
	case MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME:
		return "unrecognized_name";
	case 116: /* RFC 8446 6 */
		return "certificate_required (it wants a client certificate)";
	case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
		return "no_application_protocol";
	default:
		return NULL;
	}
}

static int alert_err(const struct tls *t, struct err *err)
{
	/* mbedTLS has no call for it: level and number lie where the message was received. */
	unsigned char alert = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
	const char *name = alert_name(alert);

	if (name)
		return err_set(err, E_TLS, "peer sent a TLS alert: %s", name);
	return err_set(err, E_TLS, "peer sent a TLS alert: %u", alert);
}

int tls_describe(const struct tls *t, int ret, struct err *err)
{
	if (t->not_tls)
		return err_set(err, E_TLS, "peer does not speak TLS");
	switch (ret) {
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		return alert_err(t, err);
	case MBEDTLS_ERR_SSL_CONN_EOF:
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
		return err_set(err, E_TLS, "peer closed the connection during the TLS handshake");
	case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
		return err_set(err, E_TLS, "peer's TLS is too old: 1.2 or 1.3 is needed");
	case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
		return err_set(err, E_TLS, "peer has no application protocol (ALPN) in common");
	case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
		return err_set(err, E_TLS, "peer has no TLS cipher, group or signature in common");
	case MBEDTLS_ERR_SSL_INVALID_MAC:
		return err_set(err, E_TLS, "a TLS record was changed on the way");
	case MBEDTLS_ERR_X509_INVALID_EXTENSIONS + MBEDTLS_ERR_ASN1_UNEXPECTED_TAG:
		/* mbedTLS gives up while parsing, before anybody could check them. */
		return err_set(err, E_TLS,
			       "a certificate in the chain has a critical extension that is not "
			       "understood, such as name constraints");
	default:
		return tls_err(err, E_TLS, ret, "TLS");
	}
}
