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

/* Of mbedTLS's parser, in words; NULL: the code is not one of its. The low seven bits tell where. */
static const char *certificate_fault(int ret)
{
	switch (-(-ret & ~0x7f)) {
	case MBEDTLS_ERR_X509_INVALID_VERSION:
	case MBEDTLS_ERR_X509_UNKNOWN_VERSION:
		return "its version is not known";
	case MBEDTLS_ERR_X509_INVALID_DATE:
		return "its dates are malformed";
	case MBEDTLS_ERR_X509_INVALID_EXTENSIONS:
		return "its extensions are malformed, or one is there twice";
	case MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG:
		return "its signature algorithm is not accepted (MD5, or not known)";
	case MBEDTLS_ERR_X509_SIG_MISMATCH:
		return "it names two signature algorithms";
	case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
	case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
		return "it has a kind of key that is not accepted";
	case MBEDTLS_ERR_PK_INVALID_PUBKEY:
		return "its key is malformed";
	case MBEDTLS_ERR_X509_INVALID_FORMAT:
	case MBEDTLS_ERR_X509_INVALID_SERIAL:
	case MBEDTLS_ERR_X509_INVALID_ALG:
	case MBEDTLS_ERR_X509_INVALID_NAME:
	case MBEDTLS_ERR_X509_INVALID_SIGNATURE:
	case MBEDTLS_ERR_X509_BAD_INPUT_DATA:
	case MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE:
		return "it is malformed";
	default:
		return NULL;
	}
}

int tls_describe(const struct tls *t, int ret, struct err *err)
{
	const char *fault;

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
		return err_set(err, E_TLS,
			       "a certificate in the chain has a critical extension that is not "
			       "understood");
	case MBEDTLS_ERR_X509_FATAL_ERROR:
		return err_set(err, E_TLS, "the chain of certificates is too long");
	default:
		fault = certificate_fault(ret);
		if (fault)
			return err_set(err, E_TLS, "a certificate in the chain cannot be read: %s",
				       fault);
		return tls_err(err, E_TLS, ret, "TLS");
	}
}
