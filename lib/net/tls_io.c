/* Between mbedTLS, which works record by record, and the filter below. */
#include <limits.h>
#include <mbedtls/net_sockets.h>
#include <string.h>

#include "base/mem.h"
#include "net/tls_priv.h"

/*
 * mbedTLS asks for the five bytes of a record's header, then for the rest of it. What the kernel
 * has is taken in larger pieces instead: as much as fills the caller's buffer, and a little for
 * what records take themselves. So hardly more than the next header is left, which is put aside. As
 * with writing, of TLS inside TLS the upper one does so.
 */
#define READ_EXTRA 64

static struct {
	struct tls *owner;
	size_t off, len;
	char mem[TLS_READ_MAX];
} ahead;

void tls_read_begin(struct tls *t)
{
	t->dry = t->yielded = t->more = t->satisfied = false;
	t->budget = TLS_READ_BUDGET;
	t->room = 0;
	if (!ahead.owner)
		ahead.owner = t;
}

void tls_read_end(struct tls *t)
{
	if (ahead.owner != t)
		return;
	/* There is nothing new before what was put aside is used up. */
	if (ahead.off < ahead.len) {
		t->aside_len = ahead.len - ahead.off;
		t->aside_off = 0;
		t->aside = mem_dup(ahead.mem + ahead.off, t->aside_len);
	}
	ahead.owner = NULL;
	ahead.off = ahead.len = 0;
}

/* From what was read before; 0: there is none. */
static size_t take_ahead(struct tls *t, unsigned char *p, size_t n)
{
	if (t->aside) {
		if (n > t->aside_len - t->aside_off)
			n = t->aside_len - t->aside_off;
		memcpy(p, t->aside + t->aside_off, n);
		t->aside_off += n;
		if (t->aside_off == t->aside_len)
			free(steal(&t->aside));
		return n;
	}
	if (ahead.owner != t)
		return 0;
	if (n > ahead.len - ahead.off)
		n = ahead.len - ahead.off;
	memcpy(p, ahead.mem + ahead.off, n);
	ahead.off += n;
	return n;
}

static ssize_t read_below(struct tls *t, void *p, size_t n)
{
	ssize_t got;

	/* What is inside the filter below wakes nobody, so it is not left there. */
	if (t->satisfied || (t->budget == 0 && !filter_pending(t->f.below))) {
		t->yielded = true;
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	got = filter_read(t->f.below, p, n, t->err);
	t->more = got == (ssize_t)n;
	if (got == FILTER_AGAIN) {
		t->dry = true;
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	if (got == FILTER_ERROR) {
		t->explained = true;
		return MBEDTLS_ERR_NET_RECV_FAILED;
	}
	t->budget -= (size_t)got < t->budget ? (size_t)got : t->budget;
	return got;
}

/* The caller's room in bytes of records, less what mbedTLS has of the one that it is at. */
static size_t worth_asking(const struct tls *t, size_t n)
{
	size_t has = t->ssl.MBEDTLS_PRIVATE(in_left);
	size_t want = t->room > has && t->room - has > n ? t->room - has : n;

	return want + READ_EXTRA < sizeof(ahead.mem) ? want + READ_EXTRA : sizeof(ahead.mem);
}

static int on_recv(void *arg, unsigned char *p, size_t n)
{
	struct tls *t = arg;
	ssize_t got;

	if (n > INT_MAX)
		n = INT_MAX;
	got = (ssize_t)take_ahead(t, p, n);
	if (got > 0)
		return (int)got;
	if (ahead.owner == t && n < sizeof(ahead.mem)) {
		got = read_below(t, ahead.mem, worth_asking(t, n));
		ahead.off = 0;
		ahead.len = got > 0 ? (size_t)got : 0;
		if (got > 0)
			got = (ssize_t)take_ahead(t, p, n);
	} else {
		got = read_below(t, p, n);
	}
	if (got > 0 && !t->seen_input) {
		t->seen_input = true;
		t->not_tls = p[0] != MBEDTLS_SSL_MSG_HANDSHAKE && p[0] != MBEDTLS_SSL_MSG_ALERT;
	}
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

int tls_drain(struct tls *t)
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

void tls_write_begin(struct tls *t)
{
	if (!gather.owner)
		gather.owner = t;
}

int tls_write_end(struct tls *t)
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

void tls_io_attach(struct tls *t)
{
	buf_init(&t->held, TLS_HELD_MAX);
	mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
}
