#include "net/tls.h"

#include <limits.h>
#include <mbedtls/net_sockets.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_priv.h"
#include "sys/loop.h"

/* --- operations --------------------------------------------------------------------------------- */

static void fail(struct tls *t, int ret)
{
	t->dead = true;
	/* A transport that breaks later says nothing about the session. */
	if (t->verify || !t->explained)
		tls_resume_failed(t);
	if (t->explained)
		return;
	if (t->verify && (ret == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ||
			  ret == MBEDTLS_ERR_SSL_BAD_CERTIFICATE)) {
		tls_verify_explain(t->verify, &t->ssl, t->err);
		return;
	}
	(void)tls_describe(t, ret, t->err);
}

static bool begin(struct tls *t, struct err *err)
{
	t->err = err;
	t->explained = false;
	if (t->dead)
		(void)err_set(err, E_IO, "the TLS connection has failed before");
	return !t->dead;
}

static bool is_again(int ret)
{
	return ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE;
}

static enum filter_ready tls_handshake(struct filter *f, struct err *err)
{
	struct tls *t = container_of(f, struct tls, f);
	int ret, rc;

	if (!begin(t, err))
		return FILTER_FAILED;
	tls_read_begin(t);
	tls_write_begin(t);
	/* Of a TLS 1.3 server this is the whole way, session tickets included. */
	ret = mbedtls_ssl_handshake(&t->ssl);
	rc = tls_write_end(t);
	tls_read_end(t);
	if (rc == 0)
		rc = tls_drain(t);
	if (rc < 0 || (ret != 0 && !is_again(ret))) {
		fail(t, ret);
		return FILTER_FAILED;
	}
	if (ret != 0 || rc > 0) {
		t->yielded = ret != 0 && !t->dry;
		return FILTER_NOT_YET;
	}
	if (t->verify)
		tls_resume_up(t);
	tls_verify_free(steal(&t->verify));
	return FILTER_READY;
}

/*
 * As many records as there are and fit; mbedTLS's code when there is none. The filter below is asked
 * until there is data, then no more: an end or error of the transport is never met behind data.
 *
 * mbedTLS says WANT_READ also when it put a message aside for the next call (a session ticket, of
 * which it then tells by an error code of its own) or dropped one that means nothing.
 */
static int read_records(struct tls *t, unsigned char *p, size_t n)
{
	size_t done = 0;
	int ret = 0;

	while (done < n && !t->dry && !t->yielded) {
		t->room = n - done;
		ret = mbedtls_ssl_read(&t->ssl, p + done, t->room);
		if (ret > 0) {
			done += (size_t)ret;
			t->satisfied = true;
		} else if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
			tls_resume_ticket(t);
		} else if (ret != MBEDTLS_ERR_SSL_WANT_READ) {
			break;
		}
	}
	if (done == 0)
		return ret;
	/* What follows the data is told next time. */
	t->late = ret < 0 && !is_again(ret) ? ret : 0;
	t->yielded = false;
	return (int)done;
}

static ssize_t tls_read(struct filter *f, void *p, size_t n, struct err *err)
{
	struct tls *t = container_of(f, struct tls, f);
	int ret = t->late;

	if (t->eof)
		return FILTER_EOF;
	if (!begin(t, err))
		return FILTER_ERROR;
	(void)tls_drain(t);
	if (ret == 0) {
		tls_read_begin(t);
		ret = read_records(t, p, n < INT_MAX ? n : INT_MAX);
		tls_read_end(t);
	}
	if (ret > 0)
		return ret;
	if (is_again(ret) || ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
		return FILTER_AGAIN;
	if (ret == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
		t->eof = true;
		return FILTER_EOF;
	}
	if (ret == 0) {
		t->dead = true;
		(void)err_set(err, E_IO, "closed without close_notify");
	} else {
		fail(t, ret);
	}
	return FILTER_ERROR;
}

/* Everything, up to TLS_WRITE_MAX, as records; mbedTLS's code, or the count. */
static int write_records(struct tls *t, const unsigned char *p, size_t n)
{
	size_t done = 0;
	int ret = 0;

	tls_write_begin(t);
	while (done < n) {
		ret = mbedtls_ssl_write(&t->ssl, p + done, n - done);
		if (ret >= 0)
			done += (size_t)ret;
		else if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
			tls_resume_ticket(t);
		else
			break;
	}
	if (tls_write_end(t))
		return MBEDTLS_ERR_NET_SEND_FAILED;
	return ret < 0 ? ret : (int)done;
}

static ssize_t mute_err(struct err *err)
{
	(void)err_set(err, E_IO, "an earlier write failed");
	return FILTER_ERROR;
}

/*
 * What was made into records cannot be taken back: until all of them are on their way the caller is
 * told to try again, and then that those bytes are done.
 */
static ssize_t tls_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	struct tls *t = container_of(f, struct tls, f);
	int ret;

	if (!begin(t, err))
		return FILTER_ERROR;
	if (t->mute)
		return mute_err(err);
	if (t->closing) {
		(void)err_set(err, E_BAD, "write after close_notify");
		return FILTER_ERROR;
	}
	ret = tls_drain(t);
	if (ret == 0 && t->write_len == 0) {
		ret = write_records(t, p, n < TLS_WRITE_MAX ? n : TLS_WRITE_MAX);
		t->write_len = ret > 0 ? (size_t)ret : 0;
	}
	if (t->mute)
		return FILTER_ERROR;
	if (ret < 0) {
		fail(t, ret);
		return FILTER_ERROR;
	}
	if (t->held.len > 0)
		return FILTER_AGAIN;
	n = t->write_len;
	t->write_len = 0;
	return (ssize_t)n;
}

static enum filter_ready tls_shutdown(struct filter *f, struct err *err)
{
	struct tls *t = container_of(f, struct tls, f);
	int ret = 0;

	if (!begin(t, err))
		return FILTER_FAILED;
	if (t->mute) {
		(void)mute_err(err);
		return FILTER_FAILED;
	}
	if (!t->closing) {
		t->closing = true;
		ret = mbedtls_ssl_close_notify(&t->ssl);
	}
	if (ret == 0)
		ret = tls_drain(t);
	if (t->mute)
		return FILTER_FAILED;
	if (ret < 0) {
		fail(t, ret);
		return FILTER_FAILED;
	}
	return ret == 0 ? FILTER_READY : FILTER_NOT_YET;
}

static bool tls_pending(const struct filter *f)
{
	const struct tls *t = container_of_const(f, struct tls, f);

	if (t->dead || t->eof || t->dry)
		return false;
	return t->late != 0 || t->more || t->aside || mbedtls_ssl_check_pending(&t->ssl);
}

/* What is held waits for a filter below that said AGAIN, and it knows what it wants. */
static unsigned tls_wants(const struct filter *f)
{
	const struct tls *t = container_of_const(f, struct tls, f);

	return filter_wants(f->below) | (t->yielded ? LOOP_READ : 0);
}

static void tls_free(struct filter *f)
{
	struct tls *t = container_of(f, struct tls, f);

	mbedtls_ssl_free(&t->ssl);
	tls_verify_free(t->verify);
	tls_identity_unref(t->identity);
	buf_fini(&t->held);
	free(t->aside);
	free(t->resume.scope);
	free(t->host);
	free(t->sni);
	free(t);
}

static const struct filter_ops tls_ops = {
	.name = "tls",
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.shutdown = tls_shutdown,
	.pending = tls_pending,
	.wants = tls_wants,
	.free = tls_free,
};

struct tls *tls_new(mbedtls_ssl_config *conf, struct filter *below, struct err *err)
{
	struct tls *t = mem_new(struct tls);
	int ret;

	t->f.ops = &tls_ops;
	t->f.below = below;
	mbedtls_ssl_init(&t->ssl);
	mbedtls_ssl_set_user_data_p(&t->ssl, t);
	tls_io_attach(t);
	ret = mbedtls_ssl_setup(&t->ssl, conf);
	if (ret != 0) {
		(void)tls_err(err, E_SYS, ret, "TLS");
		filter_free(&t->f);
		return NULL;
	}
	return t;
}

/* --- questions ---------------------------------------------------------------------------------- */

struct str tls_alpn(const struct filter *f)
{
	const struct tls *t = container_of_const(f, struct tls, f);

	return str_of(mbedtls_ssl_get_alpn_protocol(&t->ssl));
}

struct str tls_sni(const struct filter *f)
{
	return str_of(container_of_const(f, struct tls, f)->sni);
}

const char *tls_version(const struct filter *f)
{
	return mbedtls_ssl_get_version(&container_of_const(f, struct tls, f)->ssl);
}

bool tls_resumed(const struct filter *f)
{
	return container_of_const(f, struct tls, f)->resume.resumed;
}

bool tls_session_refused(const struct filter *f)
{
	return container_of_const(f, struct tls, f)->resume.refused;
}

enum tls_guess tls_guess(struct str first_bytes)
{
	static const unsigned char record[] = { MBEDTLS_SSL_MSG_HANDSHAKE, 3 };

	for (size_t i = 0; i < sizeof(record) && i < first_bytes.n; i++) {
		if ((unsigned char)first_bytes.p[i] != record[i])
			return TLS_GUESS_NO;
	}
	if (first_bytes.n < 3)
		return TLS_GUESS_MORE;
	return (unsigned char)first_bytes.p[2] <= 4 ? TLS_GUESS_YES : TLS_GUESS_NO;
}
