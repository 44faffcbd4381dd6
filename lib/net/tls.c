#include "net/tls.h"

#include <limits.h>
#include <mbedtls/net_sockets.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_priv.h"
#include "sys/loop.h"

/* How often one read goes on after a message that carried no data, before others get their turn. */
#define READ_ROUNDS 16

/* --- between mbedTLS and the filter below ------------------------------------------------------- */

static int on_recv(void *arg, unsigned char *p, size_t n)
{
	struct tls *t = arg;
	ssize_t got;

	if (t->budget == 0) {
		t->yielded = true;
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	got = filter_read(t->f.below, p, n < INT_MAX ? n : INT_MAX, t->err);
	if (got == FILTER_AGAIN) {
		t->dry = true;
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	if (got == FILTER_ERROR) {
		t->explained = true;
		return MBEDTLS_ERR_NET_RECV_FAILED;
	}
	if (got > 0 && !t->seen_input) {
		t->seen_input = true;
		t->not_tls = p[0] != MBEDTLS_SSL_MSG_HANDSHAKE && p[0] != MBEDTLS_SSL_MSG_ALERT;
	}
	t->budget -= (size_t)got < t->budget ? (size_t)got : t->budget;
	return (int)got;
}

/*
 * A write that fails is not the end: an answer may have come before it (RFC 9112 9.5). mbedTLS may
 * not be used after an error, so it never hears of this one; from here on nothing is sent.
 */
static ssize_t write_below(struct tls *t, struct str s)
{
	ssize_t put = filter_write(t->f.below, s.p, s.n, t->err);

	if (put == FILTER_ERROR) {
		t->explained = t->mute = true;
		buf_clear(&t->held);
	}
	return put;
}

/* Sends what is held. 0: all of it; 1: the filter below takes no more; -1: it is mute. */
static int drain(struct tls *t)
{
	while (t->held.len > 0) {
		ssize_t put = write_below(t, buf_str(&t->held));

		if (put == FILTER_AGAIN)
			return 1;
		if (put == FILTER_ERROR)
			return -1;
		buf_consume(&t->held, (size_t)put);
	}
	buf_shrink(&t->held);
	return t->mute ? -1 : 0;
}

/* Down the stack, or behind what is held, or nowhere. */
static int push(struct tls *t, struct str s)
{
	while (!t->mute && t->held.len == 0 && s.n > 0) {
		ssize_t put = write_below(t, s);

		if (put == FILTER_AGAIN)
			break;
		if (put != FILTER_ERROR)
			s = str_from(s, (size_t)put);
	}
	if (t->mute)
		return 0;
	if (s.n > 0 && buf_add(&t->held, s, t->err)) {
		/* It makes us answer (alerts, in TLS 1.2) and does not read the answers. */
		t->explained = true;
		return err_set(t->err, E_LIMIT, "peer does not read what it asks for");
	}
	return 0;
}

/*
 * mbedTLS sends record by record. Those of one write, or of one flight of the handshake, are
 * gathered here and go down in one piece: fewer system calls and packets, and mbedTLS's own output
 * buffer, which every connection has, can be small. Only one operation is under way at a time, but
 * for TLS inside TLS: there the upper one, which begins first, gathers.
 */
static struct {
	struct tls *owner;
	size_t len;
	char mem[TLS_WRITE_MAX + KIB(2)];
} gather;

static void gather_begin(struct tls *t)
{
	if (!gather.owner)
		gather.owner = t;
}

static int gather_end(struct tls *t)
{
	int rc;

	if (gather.owner != t)
		return 0;
	/* Still ours while the filters below look at it. */
	rc = push(t, str_mem(gather.mem, gather.len));
	gather.owner = NULL;
	gather.len = 0;
	return rc;
}

static int on_send(void *arg, const unsigned char *p, size_t n)
{
	struct tls *t = arg;

	if (gather.owner == t && n <= sizeof(gather.mem) - gather.len) {
		memcpy(gather.mem + gather.len, p, n);
		gather.len += n;
		return (int)n;
	}
	if (gather.owner == t) {
		if (push(t, str_mem(gather.mem, gather.len)))
			return MBEDTLS_ERR_NET_SEND_FAILED;
		gather.len = 0;
	}
	return push(t, str_mem(p, n)) ? MBEDTLS_ERR_NET_SEND_FAILED : (int)n;
}

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
	t->dry = t->yielded = false;
	t->budget = TLS_READ_BUDGET;
	gather_begin(t);
	/* Of a TLS 1.3 server this is the whole way, session tickets included. */
	ret = mbedtls_ssl_handshake(&t->ssl);
	rc = gather_end(t);
	if (rc == 0)
		rc = drain(t);
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
 * mbedTLS says WANT_READ also when it put a message aside for the next call (a session ticket, of
 * which it then tells by an error code of its own) or dropped one that means nothing.
 */
static ssize_t tls_read(struct filter *f, void *p, size_t n, struct err *err)
{
	struct tls *t = container_of(f, struct tls, f);
	int ret = MBEDTLS_ERR_SSL_WANT_READ;

	if (t->eof)
		return FILTER_EOF;
	if (!begin(t, err))
		return FILTER_ERROR;
	(void)drain(t);
	t->dry = t->yielded = false;
	t->budget = TLS_READ_BUDGET;
	for (int i = 0; i < READ_ROUNDS && !t->dry && !t->yielded; i++) {
		ret = mbedtls_ssl_read(&t->ssl, p, n < INT_MAX ? n : INT_MAX);
		if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
			tls_resume_ticket(t);
		else if (ret != MBEDTLS_ERR_SSL_WANT_READ)
			break;
	}
	if (ret > 0)
		return ret;
	if (is_again(ret) || ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
		t->yielded = !t->dry;
		return FILTER_AGAIN;
	}
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

	gather_begin(t);
	while (done < n) {
		ret = mbedtls_ssl_write(&t->ssl, p + done, n - done);
		if (ret >= 0)
			done += (size_t)ret;
		else if (ret == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
			tls_resume_ticket(t);
		else
			break;
	}
	if (gather_end(t))
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
	ret = drain(t);
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
		ret = drain(t);
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

	return !t->dead && !t->eof && !t->dry && mbedtls_ssl_check_pending(&t->ssl);
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
	buf_init(&t->held, TLS_HELD_MAX);
	mbedtls_ssl_init(&t->ssl);
	mbedtls_ssl_set_user_data_p(&t->ssl, t);
	mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
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
