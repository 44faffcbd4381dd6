#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "duo.h"
#include "net/tls_priv.h"
#include "sys/loop.h"

#define ROUNDS 100000 /* far more than any handshake or transfer here takes */

struct tls_identity *duo_choose(void *arg, struct str sni, struct err *err)
{
	struct duo *d = arg;

	d->asked++;
	(void)snprintf(d->sni, sizeof(d->sni), "%.*s", STR_ARG(sni));
	if (d->identity)
		return tls_identity_ref(d->identity);
	(void)err_set(err, E_DENIED, "no certificate for '%.*s'", STR_ARG(sni));
	return NULL;
}

static void pair(struct filter *ends[2], int sndbuf)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	for (int i = 0; i < 2; i++) {
		if (sndbuf)
			assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &sndbuf,
						    sizeof(sndbuf)),
					 0);
		ends[i] = filter_tcp(fds[i], false);
	}
}

/* mbedTLS's settings hang on a connection; the configuration itself is not shown to anybody. */
static mbedtls_ssl_config *settings_of(struct filter *f)
{
	return (mbedtls_ssl_config *)(uintptr_t)container_of(f, struct tls, f)
		->ssl.MBEDTLS_PRIVATE(conf);
}

void duo_client_tls12(struct tls_client_config *c, const char *const *alpn)
{
	struct filter *ends[2], *f;

	pair(ends, 0);
	f = tls_client(c, ends[0], "x", NULL, alpn, NULL);
	mbedtls_ssl_conf_max_tls_version(settings_of(f), MBEDTLS_SSL_VERSION_TLS1_2);
	filter_free(f);
	filter_free(ends[1]);
}

static void limit_server(struct duo *d)
{
	struct filter *ends[2], *f;

	pair(ends, 0);
	f = tls_server(d->server_config, ends[0], d->server_alpn, duo_choose, NULL, NULL);
	if (d->tls12)
		mbedtls_ssl_conf_max_tls_version(settings_of(f), MBEDTLS_SSL_VERSION_TLS1_2);
	if (d->tickets)
		mbedtls_ssl_conf_new_session_tickets(settings_of(f), d->tickets);
	filter_free(f);
	filter_free(ends[1]);
}

void duo_send_alerts(struct duo *d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
			mbedtls_ssl_send_alert_message(&container_of(d->server, struct tls, f)->ssl,
						       MBEDTLS_SSL_ALERT_LEVEL_WARNING,
						       MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION),
			0);
}

void duo_open(struct duo *d)
{
	struct filter *ends[2];

	if (!d->server_config) {
		d->server_config = tls_server_config_new(&d->server_err);
		assert_non_null(d->server_config);
		limit_server(d);
	}
	pair(ends, d->sndbuf);
	d->client =
		tls_client(d->trust, ends[0], d->host, d->scope, d->client_alpn, &d->client_err);
	d->server = tls_server(d->server_config, ends[1], d->server_alpn, duo_choose, d,
			       &d->server_err);
	assert_true(d->client && d->server);
	d->client_ready = d->server_ready = FILTER_NOT_YET;
	for (int i = 0; i < ROUNDS; i++) {
		if (d->client_ready == FILTER_NOT_YET)
			d->client_ready = filter_handshake(d->client, &d->client_err);
		if (d->server_ready == FILTER_NOT_YET)
			d->server_ready = filter_handshake(d->server, &d->server_err);
		if (d->client_ready != FILTER_NOT_YET && d->server_ready != FILTER_NOT_YET)
			return;
		if (d->client_ready == FILTER_FAILED || d->server_ready == FILTER_FAILED) {
			/* the other side reads what this one said about it, and its end */
			struct filter *gone =
				d->client_ready == FILTER_FAILED ? d->client : d->server;

			(void)shutdown(filter_fd(gone), SHUT_RDWR);
		}
	}
	fail_msg("the handshake does not end");
}

void duo_assert_up(const struct duo *d)
{
	if (d->client_ready != FILTER_READY)
		fail_msg("client: %s", d->client_err.text);
	if (d->server_ready != FILTER_READY)
		fail_msg("server: %s", d->server_err.text);
}

void duo_hang_up(struct duo *d)
{
	filter_free(d->client);
	filter_free(d->server);
	d->client = d->server = NULL;
}

void duo_new_server(struct duo *d)
{
	tls_server_config_free(d->server_config);
	d->server_config = NULL;
}

void duo_close(struct duo *d)
{
	duo_hang_up(d);
	duo_new_server(d);
	tls_identity_unref(d->identity);
	tls_client_config_free(d->trust);
}

static char pattern(size_t i)
{
	return (char)((i * 2654435761u) >> 13);
}

void duo_transfer(struct filter *from, struct filter *to, size_t n, size_t write_size,
		  size_t read_size)
{
	char *out = mem_alloc(write_size), *in = mem_alloc(read_size);
	struct err err = ERR_INIT;
	size_t sent = 0, got = 0;

	for (size_t idle = 0; got < n && idle < 1000; idle++) {
		size_t len = n - sent < write_size ? n - sent : write_size;
		ssize_t r = FILTER_AGAIN;

		for (size_t i = 0; i < len; i++)
			out[i] = pattern(sent + i);
		if (len > 0)
			r = filter_write(from, out, len, &err);
		if (r == FILTER_AGAIN && len > 0)
			assert_true(filter_wants(from) & LOOP_WRITE);
		else if (len > 0 && r <= 0)
			fail_msg("write: %s", err.text);
		if (r > 0) {
			sent += (size_t)r;
			idle = 0;
		}
		while ((r = filter_read(to, in, read_size, &err)) > 0) {
			for (size_t i = 0; i < (size_t)r; i++) {
				if (in[i] != pattern(got + i))
					fail_msg("byte %zu is not what was sent", got + i);
			}
			got += (size_t)r;
			idle = 0;
		}
		if (r != FILTER_AGAIN)
			fail_msg("read: %s", err.text);
		assert_true(filter_wants(to) & LOOP_READ);
		assert_false(filter_pending(to));
	}
	assert_int_equal(sent, n);
	assert_int_equal(got, n);
	free(out);
	free(in);
}
