#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "duo.h"
#include "pki.h"
#include "sys/loop.h"

static const char *const h2_h1[] = { "h2", "http/1.1", NULL };
static const char *const h1[] = { "http/1.1", NULL };
static const char *const h2[] = { "h2", NULL };

/* --- handshakes --------------------------------------------------------------------------------- */

static struct duo good(bool tls12)
{
	struct duo d = { .trust = pki_trust("root"),
			 .identity = pki_identity("good", NULL),
			 .host = "good.test",
			 .tls12 = tls12 };

	return d;
}

static void test_handshake(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);

		duo_open(&d);
		duo_assert_up(&d);
		assert_string_equal(tls_version(d.client), tls12 ? "TLSv1.2" : "TLSv1.3");
		assert_string_equal(tls_version(d.server), tls12 ? "TLSv1.2" : "TLSv1.3");
		assert_string_equal(d.sni, "good.test");
		assert_true(str_eqz(tls_sni(d.server), "good.test"));
		assert_int_equal(d.asked, 1);
		assert_int_equal(tls_alpn(d.client).n, 0);
		assert_int_equal(tls_alpn(d.server).n, 0);
		duo_transfer(d.client, d.server, 100, 100, 100);
		duo_transfer(d.server, d.client, 100, 100, 7);
		duo_close(&d);
	}
}

static void test_kinds_of_certificates(void **state)
{
	static const struct {
		const char *identity, *chain, *root;
	} kinds[] = {
		{ "p384", NULL, "root" },
		{ "rsa", NULL, "rsaroot" }, /* whose own signature is SHA-1: no matter */
		{ "deep", "inter", "root" },
		{ "selfsigned", NULL, "selfsigned" }, /* trusted itself */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds) * 2; i++) {
		struct duo d = { .trust = pki_trust(kinds[i / 2].root),
				 .identity =
					 pki_identity(kinds[i / 2].identity, kinds[i / 2].chain),
				 .host = "good.test",
				 .tls12 = i % 2 };

		duo_open(&d);
		duo_assert_up(&d);
		duo_close(&d);
	}
}

static void test_alpn(void **state)
{
	static const struct {
		const char *const *client, *const *server;
		const char *chosen; /* NULL: no handshake */
	} cases[] = {
		{ h2_h1, h2_h1, "h2" }, { h1, h2_h1, "http/1.1" }, { h2_h1, h1, "http/1.1" },
		{ NULL, h2_h1, "" },    { h2_h1, NULL, "" },       { h2, h1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
		struct duo d = good(i % 2);

		d.client_alpn = cases[i / 2].client;
		d.server_alpn = cases[i / 2].server;
		duo_open(&d);
		if (cases[i / 2].chosen) {
			duo_assert_up(&d);
			assert_true(str_eqz(tls_alpn(d.client), cases[i / 2].chosen));
			assert_true(str_eqz(tls_alpn(d.server), cases[i / 2].chosen));
		} else {
			assert_int_equal(d.server_ready, FILTER_FAILED);
			assert_int_equal(d.server_err.code, E_TLS);
			assert_non_null(strstr(d.server_err.text, "ALPN"));
			assert_int_equal(d.client_ready, FILTER_FAILED);
			assert_string_equal(d.client_err.text,
					    "peer sent a TLS alert: no_application_protocol");
		}
		duo_close(&d);
	}
}

static void test_too_many_alpn(void **state)
{
	static const char *const many[] = { "a", "b", "c", "d", "e", NULL };
	struct tls_client_config *c = pki_trust("root");
	struct err err = ERR_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_null(tls_client(c, filter_tcp(fds[0], false), "good.test", NULL, many, &err));
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* taken over, closed */
	(void)close(fds[1]);
	tls_client_config_free(c);
}

static void test_name_refused(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = { .trust = pki_trust("root"), .host = "good.test", .tls12 = tls12 };

		duo_open(&d);
		assert_int_equal(d.server_ready, FILTER_FAILED);
		assert_int_equal(d.server_err.code, E_DENIED); /* what the callback said */
		assert_string_equal(d.server_err.text, "no certificate for 'good.test'");
		assert_int_equal(d.client_ready, FILTER_FAILED);
		assert_string_equal(d.client_err.text, "peer sent a TLS alert: unrecognized_name");
		duo_close(&d);
	}
}

/* An address is no server name; the certificate is asked for all the same. */
static void test_ip_literal(void **state)
{
	static const char *const hosts[] = { "127.0.0.1", "::1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(hosts) * 2; i++) {
		struct duo d = { .trust = pki_trust("root"),
				 .identity = pki_identity("ip", NULL),
				 .host = hosts[i / 2],
				 .tls12 = i % 2 };

		duo_open(&d);
		duo_assert_up(&d);
		assert_int_equal(d.asked, 1);
		assert_string_equal(d.sni, "");
		assert_int_equal(tls_sni(d.server).n, 0);
		duo_close(&d);
	}
}

/* What some clients send as server name reaches the callback as a host name. */
static void test_sni_is_normalised(void **state)
{
	static const struct {
		const char *sent, *seen;
	} names[] = {
		{ "GOOD.Test", "good.test" },           { "good.test:443", "good.test" },
		{ "good.test.", "good.test" },          { "good.test.:8443", "good.test" },
		{ "good.test:http", "good.test:http" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct duo d = { .trust = pki_trust("root"), .host = names[i].sent };

		duo_open(&d);
		assert_string_equal(d.sni, names[i].seen);
		duo_close(&d);
	}
}

static void test_sni_of_control_characters(void **state)
{
	static const char *const names[] = { "good\n.test", "\x7f", ".:443" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct duo d = good(false);

		d.host = names[i];
		duo_open(&d);
		assert_int_equal(d.server_ready, FILTER_FAILED);
		assert_non_null(strstr(d.server_err.text, "SNI"));
		assert_int_equal(d.asked, 0);
		duo_close(&d);
	}
}

/* --- refused certificates ----------------------------------------------------------------------- */

struct refusal {
	const char *identity, *chain, *root, *host;
	const char *text; /* the whole message */
	const char *server_text;
};

static const struct refusal refusals[] = {
	{ "expired", NULL, "root", "good.test",
	  "certificate of good.test has expired on 2021-02-03", NULL },
	{ "future", NULL, "root", "good.test",
	  "certificate of good.test is not yet valid, only from 2038-03-04", NULL },
	{ "other", NULL, "root", "good.test",
	  "certificate is for a.other, b.other, c.other and 2 more, not good.test", NULL },
	{ "good", NULL, "root", "a.b.wild.test",
	  "certificate is for good.test, *.wild.test, *.test, not a.b.wild.test", NULL },
	{ "good", NULL, "root", "wild.test",
	  "certificate is for good.test, *.wild.test, *.test, not wild.test", NULL },
	{ "cnonly", NULL, "root", "good.test",
	  "certificate of good.test names no host (it has no subjectAltName for one)", NULL },
	{ "dnsip", NULL, "root", "127.0.0.1", "certificate is for 127.0.0.1, not 127.0.0.1", NULL },
	{ "ip", NULL, "root", "127.0.0.2", "certificate is for 127.0.0.1, ::1, not 127.0.0.2",
	  NULL },
	{ "ip", NULL, "root", "good.test", "certificate is for 127.0.0.1, ::1, not good.test",
	  NULL },
	{ "good", NULL, "root2", "good.test",
	  "issuer of good.test's certificate is not trusted (CN=root)",
	  "peer sent a TLS alert: unknown_ca (it does not trust this side's CA)" },
	{ "selfsigned", NULL, "root", "good.test",
	  "certificate of good.test is self-signed and not trusted", NULL },
	{ "deep", NULL, "root", "good.test",
	  "issuer of good.test's certificate is not trusted (CN=inter)", NULL },
	{ "deep", "inter", "root2", "good.test",
	  "issuer of good.test's certificate is not trusted (CN=root)", NULL },
	{ "notca", "good", "root", "good.test",
	  "issuer of good.test's certificate is not trusted (CN=good)", NULL },
	{ "underold", "oldinter", "root", "good.test",
	  "CA certificate \"CN=oldinter\" has expired on 2021-02-03", NULL },
	{ "underclient", "clientca", "root", "good.test",
	  "CA \"CN=clientca\" is not for TLS servers (extended key usage)", NULL },
	{ "sha1", NULL, "rsaroot", "good.test",
	  "certificate of good.test is signed with a broken digest (SHA-1 or older)", NULL },
	{ "weak", NULL, "rsaroot", "good.test",
	  "certificate of good.test has or is signed by too weak a key (RSA below 2048 bits)",
	  NULL },
	{ "expired", NULL, "root2", "other.example",
	  "certificate of other.example has expired on 2021-02-03; "
	  "certificate is for good.test, not other.example; "
	  "issuer of other.example's certificate is not trusted (CN=root)",
	  NULL },

	{ "nc-bad", "nc", "root", "ok.test",
	  "CA \"CN=nc\" may not sign for ok.test (name constraints)", NULL },
	{ "nc-outside", "nc", "root", "ok.test",
	  "CA \"CN=nc\" may not sign for ok.test (name constraints)", NULL },
	{ "nc-lookalike", "nc", "root", "notok.test",
	  "CA \"CN=nc\" may not sign for notok.test (name constraints)", NULL },
	{ "nc-ip", "nc", "root", "11.1.2.3",
	  "CA \"CN=nc\" may not sign for 11.1.2.3 (name constraints)", NULL },
	{ "nc-badip", "nc", "root", "10.9.2.3",
	  "CA \"CN=nc\" may not sign for 10.9.2.3 (name constraints)", NULL },
	{ "nc-wild", "nc", "root", "bad.ok.test",
	  "CA \"CN=nc\" may not sign for bad.ok.test (name constraints)", NULL },
	{ "ncempty-leaf", "ncempty", "root", "good.test",
	  "CA \"CN=ncempty\" may not sign for good.test (name constraints)", NULL },
	{ "ncbroken-leaf", "ncbroken", "root", "good.test",
	  "CA \"CN=ncbroken\" may not sign for good.test (name constraints)", NULL },
	{ "ncmail-leaf", "ncmail", "root", "good.test",
	  "CA \"CN=ncmail\" may not sign for good.test (name constraints)", NULL },
	{ "nccritical-leaf", "nccritical", "root", "bad.ok.test",
	  "CA \"CN=nccritical\" may not sign for bad.ok.test (name constraints); "
	  "certificate is for ok.test, not bad.ok.test",
	  NULL },
	{ "ncroot-outside", NULL, "ncroot", "outside.test",
	  "CA \"CN=ncroot\" may not sign for outside.test (name constraints)", NULL },
};

static void test_refused_certificates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals) * 2; i++) {
		const struct refusal *r = &refusals[i / 2];
		struct duo d = { .trust = pki_trust(r->root),
				 .identity = pki_identity(r->identity, r->chain),
				 .host = r->host,
				 .tls12 = i % 2 };

		if (d.tls12)
			duo_client_tls12(d.trust, NULL);
		duo_open(&d);
		if (d.client_ready != FILTER_FAILED)
			fail_msg("%s accepted for %s", r->identity, r->host);
		assert_int_equal(d.client_err.code, E_TLS);
		assert_string_equal(d.client_err.text, r->text);
		if (r->server_text &&
		    d.tls12) /* in 1.3 the server has finished before it hears of it */
			assert_string_equal(d.server_err.text, r->server_text);
		duo_close(&d);
	}
}

static void test_constraints_kept(void **state)
{
	static const struct {
		const char *identity, *chain, *root, *host;
	} kept[] = {
		{ "nc-ok", "nc", "root", "ok.test" },
		{ "nc-ok", "nc", "root", "a.ok.test" },
		{ "nc-ok", "nc", "root", "10.1.2.3" },
		{ "nc-wild", "nc", "root", "fine.ok.test" },
		{ "ncroot-ok", NULL, "ncroot", "ok.test" }, /* critical, in a trust anchor:
							       understood */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		struct duo d = { .trust = pki_trust(kept[i].root),
				 .identity = pki_identity(kept[i].identity, kept[i].chain),
				 .host = kept[i].host };

		duo_open(&d);
		duo_assert_up(&d);
		duo_close(&d);
	}
}

static void test_wildcards(void **state)
{
	struct duo d = good(false);

	(void)state;
	d.host = "a.wild.test";
	duo_open(&d);
	duo_assert_up(&d);
	duo_close(&d);
}

/* --- data --------------------------------------------------------------------------------------- */

/* Sockets that hold less than a record: writes stop half way through one, again and again. */
static void test_big_transfer_through_small_sockets(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);

		d.sndbuf = 4096;
		duo_open(&d);
		duo_assert_up(&d);
		duo_transfer(d.client, d.server, 1000000, 50000, 50000);
		duo_transfer(d.server, d.client, 1000000, 16384, 1000);
		duo_transfer(d.server, d.client, 300000, 100, 3);
		duo_close(&d);
	}
}

/* After AGAIN the caller comes back with more behind the same bytes: each byte arrives once. */
static void test_write_again_with_more(void **state)
{
	static char data[70000], in[70000];
	struct duo d = good(false);
	struct err err = ERR_INIT;
	size_t sent = 0, got = 0, offered = 1000;
	ssize_t r;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 >> 3);
	d.sndbuf = 4096;
	duo_open(&d);
	duo_assert_up(&d);
	while (sent < sizeof(data)) {
		if (offered > sizeof(data) - sent)
			offered = sizeof(data) - sent;
		r = filter_write(d.client, data + sent, offered, &err);
		if (r > 0) {
			assert_true((size_t)r <= offered);
			sent += (size_t)r;
			offered = 1000;
			continue;
		}
		assert_int_equal(r, FILTER_AGAIN);
		offered += 700;
		r = filter_read(d.server, in + got, 100, &err);
		got += r > 0 ? (size_t)r : 0;
	}
	while (got < sizeof(data)) {
		(void)filter_shutdown(d.client, &err); /* flushes the rest */
		r = filter_read(d.server, in + got, sizeof(in) - got, &err);
		assert_true(r > 0 || r == FILTER_AGAIN);
		got += r > 0 ? (size_t)r : 0;
	}
	assert_memory_equal(in, data, sizeof(data));
	duo_close(&d);
}

/* A server may answer, stop listening and go: what it said is not lost over what we could not say. */
static void test_answer_before_a_failed_write(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);
		struct err err = ERR_INIT;
		char in[16];

		duo_open(&d);
		duo_assert_up(&d);
		assert_int_equal(filter_write(d.server, "answer", 6, &err), 6);
		assert_int_equal(shutdown(filter_fd(d.server), SHUT_RD), 0);
		assert_int_equal(filter_write(d.client, "x", 1, &err), FILTER_ERROR);
		assert_int_equal(err.code, E_IO);
		assert_int_equal(filter_read(d.client, in, sizeof(in), &err), 6);
		assert_memory_equal(in, "answer", 6);
		assert_int_equal(filter_write(d.client, "x", 1, &err), FILTER_ERROR);
		assert_int_equal(filter_shutdown(d.client, &err), FILTER_FAILED);
		duo_close(&d);
	}
}

static void test_close_notify_and_half_close(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);
		struct err err = ERR_INIT;
		char c;

		duo_open(&d);
		duo_assert_up(&d);
		assert_int_equal(filter_write(d.client, "q", 1, &err), 1);
		assert_int_equal(filter_shutdown(d.client, &err), FILTER_READY);
		assert_int_equal(filter_shutdown(d.client, &err), FILTER_READY);
		assert_int_equal(filter_write(d.client, "x", 1, &err), FILTER_ERROR);
		assert_int_equal(filter_read(d.server, &c, 1, &err), 1);
		assert_int_equal(filter_read(d.server, &c, 1, &err), FILTER_EOF);
		assert_int_equal(filter_read(d.server, &c, 1, &err), FILTER_EOF);
		assert_false(filter_pending(d.server));
		/* the other direction goes on */
		duo_transfer(d.server, d.client, 100000, 16384, 16384);
		assert_int_equal(filter_shutdown(d.server, &err), FILTER_READY);
		assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_EOF);
		duo_close(&d);
	}
}

/* The transport ends without close_notify: that is an error, never an end of data. */
static void test_truncation(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);
		struct err err = ERR_INIT;
		char buf[8];

		duo_open(&d);
		duo_assert_up(&d);
		assert_int_equal(filter_write(d.server, "data", 4, &err), 4);
		assert_int_equal(shutdown(filter_fd(d.server), SHUT_WR), 0);
		assert_int_equal(filter_read(d.client, buf, sizeof(buf), &err), 4);
		assert_int_equal(filter_read(d.client, buf, sizeof(buf), &err), FILTER_ERROR);
		assert_int_equal(err.code, E_IO);
		assert_string_equal(err.text, "closed without close_notify");
		assert_int_equal(filter_read(d.client, buf, sizeof(buf), &err), FILTER_ERROR);
		duo_close(&d);
	}
}

/* A full socket holds close_notify back, and it comes after the data. */
static void test_shutdown_waits_for_the_socket(void **state)
{
	static char block[1000], in[16384];
	struct duo d = good(false);
	struct err err = ERR_INIT;
	size_t sent = 0, got = 0;
	ssize_t r;

	(void)state;
	d.sndbuf = 4096;
	duo_open(&d);
	duo_assert_up(&d);
	while ((r = filter_write(d.client, block, sizeof(block), &err)) > 0)
		sent += (size_t)r;
	assert_int_equal(r, FILTER_AGAIN);
	assert_int_equal(filter_shutdown(d.client, &err), FILTER_NOT_YET);
	assert_true(filter_wants(d.client) & LOOP_WRITE);
	for (int i = 0; i < 1000; i++) {
		enum filter_ready down = filter_shutdown(d.client, &err);

		assert_int_not_equal(down, FILTER_FAILED);
		r = filter_read(d.server, in, sizeof(in), &err);
		if (r == FILTER_EOF)
			break;
		assert_true(r > 0 || r == FILTER_AGAIN);
		got += r > 0 ? (size_t)r : 0;
	}
	assert_int_equal(r, FILTER_EOF);
	assert_int_equal(got, sent + sizeof(block)); /* the record that had been begun is whole */
	duo_close(&d);
}

/* A record that holds more than the caller takes waits inside, and poll cannot tell. */
static void test_pending(void **state)
{
	struct duo d = good(false);
	struct err err = ERR_INIT;
	char buf[8];

	(void)state;
	duo_open(&d);
	duo_assert_up(&d);
	assert_false(filter_pending(d.server));
	assert_int_equal(filter_write(d.client, "12345678", 8, &err), 8);
	assert_int_equal(filter_read(d.server, buf, 3, &err), 3);
	assert_true(filter_pending(d.server));
	assert_int_equal(filter_read(d.server, buf, 8, &err), 5);
	assert_false(filter_pending(d.server));
	assert_int_equal(filter_read(d.server, buf, 8, &err), FILTER_AGAIN);
	assert_int_equal(filter_wants(d.server), LOOP_READ);
	duo_close(&d);
}

/* As a proxy does it: look at the first bytes, then give them back. */
static void test_after_peeking(void **state)
{
	struct duo d = good(false);
	struct tls_server_config *sc = tls_server_config_new(NULL);
	enum filter_ready c = FILTER_NOT_YET, s = FILTER_NOT_YET;
	struct filter *client, *server;
	struct err err = ERR_INIT;
	char first[3];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client = tls_client(d.trust, filter_tcp(fds[0], false), "good.test", NULL, NULL, &err);
	assert_int_equal(filter_handshake(client, &err), FILTER_NOT_YET);
	server = filter_tcp(fds[1], false);
	assert_int_equal(filter_read(server, first, 3, &err), 3);
	assert_int_equal(tls_guess(str_mem(first, 3)), TLS_GUESS_YES);
	server = tls_server(sc, filter_unread(server, first, 3), NULL, duo_choose, &d, &err);
	assert_non_null(server);
	while (c == FILTER_NOT_YET || s == FILTER_NOT_YET) {
		if (s == FILTER_NOT_YET)
			s = filter_handshake(server, &err);
		if (c == FILTER_NOT_YET)
			c = filter_handshake(client, &err);
	}
	assert_int_equal(c, FILTER_READY);
	assert_int_equal(s, FILTER_READY);
	duo_transfer(client, server, 1000, 1000, 1000);
	filter_free(client);
	filter_free(server);
	tls_server_config_free(sc);
	duo_close(&d);
}

/* TLS through TLS, as through a proxy that is itself reached by TLS. */
static void test_stacked(void **state)
{
	struct duo outer = good(false);
	struct err err = ERR_INIT;

	(void)state;
	outer.sndbuf = 4096;
	duo_open(&outer);
	duo_assert_up(&outer);
	struct tls_client_config *trust = pki_trust("root");
	outer.client = tls_client(trust, outer.client, "good.test", NULL, NULL, &err);
	assert_non_null(outer.client);
	/* the same choice of certificate for the inner server, by the outer's callback */
	struct tls_server_config *sc = tls_server_config_new(&err);
	outer.server = tls_server(sc, outer.server, NULL, duo_choose, &outer, &err);
	assert_non_null(outer.server);
	enum filter_ready c = FILTER_NOT_YET, s = FILTER_NOT_YET;
	for (int i = 0; i < 1000 && (c == FILTER_NOT_YET || s == FILTER_NOT_YET); i++) {
		if (c == FILTER_NOT_YET)
			c = filter_handshake(outer.client, &err);
		if (s == FILTER_NOT_YET)
			s = filter_handshake(outer.server, &err);
	}
	assert_int_equal(c, FILTER_READY);
	assert_int_equal(s, FILTER_READY);
	duo_transfer(outer.client, outer.server, 200000, 16384, 5000);
	duo_transfer(outer.server, outer.client, 200000, 16384, 5000);
	duo_close(&outer);
	tls_server_config_free(sc);
	tls_client_config_free(trust);
}

/* TLS 1.3 passes over change_cipher_spec in clear text (RFC 8446 5), so anybody on the way can add
 * it. */
static void send_ccs(int fd)
{
	static const char ccs[] = { 0x14, 3, 3, 0, 1, 1 };
	static char many[sizeof(ccs) * 20000];

	for (size_t i = 0; i < sizeof(many); i += sizeof(ccs))
		memcpy(many + i, ccs, sizeof(ccs));
	assert_int_equal(send(fd, many, sizeof(many), 0), sizeof(many));
}

/* A peer that floods with messages that carry no data cannot keep one read busy. */
static void test_floods_yield(void **state)
{
	struct err err = ERR_INIT;
	ssize_t n;
	char c;

	(void)state;
	for (int which = 0; which < 4; which++) {
		struct duo d = good(which == 1);
		unsigned rounds = 0;
		bool written = false;

		if (which == 2)
			d.tickets = 100;
		duo_open(&d);
		duo_assert_up(&d);
		if (which < 2)
			duo_send_alerts(&d, 3000);
		if (which == 3)
			send_ccs(filter_fd(d.server));
		while ((n = filter_read(d.client, &c, 1, &err)) == FILTER_AGAIN) {
			if (recv(filter_fd(d.client), &c, 1, MSG_PEEK) == 1) {
				/* what is left in the socket calls again */
				assert_true(filter_wants(d.client) & LOOP_READ);
				rounds++;
			}
			if (!written) {
				n = filter_write(d.server, "x", 1, &err);
				assert_true(n == 1 || n == FILTER_AGAIN);
				written = n == 1;
			}
		}
		assert_int_equal(n, 1);
		assert_int_equal(c, 'x');
		assert_true(rounds > 0);
		duo_close(&d);
	}
}

/* --- peers that are no TLS ---------------------------------------------------------------------- */

static void to_client(const char *bytes, size_t n, bool end, enum err_code code, const char *text)
{
	struct tls_client_config *c = pki_trust("root");
	struct err err = ERR_INIT;
	struct filter *f;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f = tls_client(c, filter_tcp(fds[0], false), "good.test", NULL, NULL, &err);
	assert_int_equal(filter_handshake(f, &err), FILTER_NOT_YET);
	assert_int_equal(filter_wants(f), LOOP_READ);
	if (n > 0)
		assert_int_equal(write(fds[1], bytes, n), n);
	if (end)
		assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	assert_int_equal(filter_handshake(f, &err), FILTER_FAILED);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, text));
	assert_int_equal(filter_handshake(f, &err), FILTER_FAILED);
	filter_free(f);
	(void)close(fds[1]);
	tls_client_config_free(c);
}

static void to_server(const char *bytes, size_t n, bool end, enum err_code code, const char *text)
{
	struct duo d = good(false);
	struct tls_server_config *sc = tls_server_config_new(NULL);
	struct err err = ERR_INIT;
	struct filter *f;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f = tls_server(sc, filter_tcp(fds[0], false), NULL, duo_choose, &d, &err);
	assert_int_equal(filter_handshake(f, &err), FILTER_NOT_YET);
	if (n > 0)
		assert_int_equal(write(fds[1], bytes, n), n);
	if (end)
		assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	assert_int_equal(filter_handshake(f, &err), FILTER_FAILED);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, text));
	filter_free(f);
	(void)close(fds[1]);
	tls_server_config_free(sc);
	duo_close(&d);
}

static void test_garbage(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n",
			  alert[] = "\x15\x03\x01\x00\x02\x02\x46";
	static const char fail_alert[] = "\x15\x03\x03\x00\x02\x02\x28",
			  old_hello[] = "\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02"
					"RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR\x00\xc0\x14\x00";

	(void)state;
	to_client(http, sizeof(http) - 1, false, E_TLS, "peer does not speak TLS");
	to_client("SSH-2.0-x\r\n", 11, false, E_TLS, "peer does not speak TLS");
	to_client("", 0, true, E_TLS, "closed the connection during the TLS handshake");
	to_client(alert, sizeof(alert) - 1, false, E_TLS, "protocol_version");
	to_client(fail_alert, sizeof(fail_alert) - 1, false, E_TLS, "handshake_failure");
	to_client(old_hello, sizeof(old_hello) - 1, false, E_TLS, "too old");
	to_server("GET / HTTP/1.1\r\n\r\n", 18, false, E_TLS, "peer does not speak TLS");
	to_server("", 0, true, E_TLS, "closed the connection during the TLS handshake");
	to_server("\x16\x03\x01\xff\xff", 5, false, E_TLS, "TLS: ");
	to_server("\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, false, E_TLS, "TLS: ");
}

static void test_reset_in_handshake(void **state)
{
	struct tls_client_config *c = pki_trust("root");
	struct err err = ERR_INIT;
	struct filter *f;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f = tls_client(c, filter_tcp(fds[0], false), "good.test", NULL, NULL, &err);
	(void)close(fds[1]);
	assert_int_equal(filter_handshake(f, &err), FILTER_FAILED);
	assert_int_equal(err.code, E_IO); /* the transport's own words */
	assert_non_null(strstr(err.text, "write: "));
	filter_free(f);
	tls_client_config_free(c);
}

/* A record changed on the way is noticed. */
static void test_tampering(void **state)
{
	struct duo d = good(false);
	struct err err = ERR_INIT;
	char record[256], buf[64];
	ssize_t n;

	(void)state;
	duo_open(&d);
	duo_assert_up(&d);
	/* tickets first, so that the next bytes are the data */
	assert_int_equal(filter_read(d.client, buf, sizeof(buf), &err), FILTER_AGAIN);
	assert_int_equal(filter_write(d.server, "pay 10", 6, &err), 6);
	n = recv(filter_fd(d.client), record, sizeof(record), 0);
	assert_true(n > 10);
	record[n - 3] ^= 1;
	assert_int_equal(send(filter_fd(d.server), record, (size_t)n, 0), n);
	assert_int_equal(filter_read(d.client, buf, sizeof(buf), &err), FILTER_ERROR);
	assert_int_equal(err.code, E_TLS);
	assert_non_null(strstr(err.text, "changed on the way"));
	duo_close(&d);
}

/* --- trust anchors and identities --------------------------------------------------------------- */

static int add(struct tls_client_config *c, struct str pem, size_t *ret_count, struct err *err)
{
	return tls_client_config_add_ca(c, pem, "bundle.pem", ret_count, err);
}

static void test_bundles(void **state)
{
	struct tls_client_config *c = tls_client_config_new(NULL);
	struct err err = ERR_INIT;
	struct buf b;
	size_t n, count = 99;
	char *root = pki_read("root.crt.pem", &n), *key, *root2;

	(void)state;
	buf_init(&b, KIB(64));
	assert_int_equal(add(c, str_of(root), &count, &err), 0);
	assert_int_equal(count, 1);

	root2 = pki_read("root2.crt.pem", &n);
	key = pki_read("root.key.pem", &n);
	assert_int_equal(buf_addf(&b, &err,
				  "# a comment\n%s\n%s\ntext\n-----BEGIN CERTIFICATE-----\nAAAA\n"
				  "-----END CERTIFICATE-----\n%s",
				  root, key, root2),
			 0);
	assert_int_equal(add(c, buf_str(&b), &count, &err), 0);
	assert_int_equal(count, 2);

	assert_int_equal(add(c, STR_NONE, &count, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(add(c, STR("nothing here"), &count, &err), -1);
	assert_string_equal(err.text, "bundle.pem: no certificate in it");
	assert_int_equal(add(c, str_of(key), &count, &err), -1);
	assert_int_equal(add(c,
			     STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
			     &count, &err),
			 -1);
	assert_int_equal(err.code, E_BAD);
	assert_non_null(strstr(err.text, "bundle.pem"));
	assert_int_equal(add(c, STR("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
			     &count, &err),
			 -1);
	assert_int_equal(add(c, STR("-----BEGIN CERTIFICATE-----\nAAAA"), &count, &err), -1);
	assert_int_equal(add(c, str_mem("a\0b", 3), &count, &err), -1);
	assert_int_equal(count, 2); /* untouched on failure */
	buf_fini(&b);
	free(root);
	free(root2);
	free(key);
	tls_client_config_free(c);
	tls_client_config_free(NULL);
}

static void test_broken_identities(void **state)
{
	struct err err = ERR_INIT;
	struct str cert, key;
	struct tls_identity *id;

	(void)state;
	cert.p = pki_read("good.crt.der", &cert.n);
	key.p = pki_read("good.key.der", &key.n);
	assert_null(tls_identity_new(STR_NONE, STR_NONE, key, &err));
	assert_null(tls_identity_new(cert, STR_NONE, STR_NONE, &err));
	assert_int_equal(err.code, E_BAD);
	assert_null(tls_identity_new(str_sub(cert, 0, cert.n - 1), STR_NONE, key, &err));
	assert_null(tls_identity_new(cert, STR("junk"), key, &err));
	assert_null(tls_identity_new(cert, str_sub(cert, 0, cert.n - 1), key, &err));
	assert_null(tls_identity_new(cert, STR_NONE, str_sub(key, 0, 20), &err));
	assert_non_null(strstr(err.text, "private key"));
	id = tls_identity_new(cert, cert, key, &err);
	assert_non_null(id);
	assert_ptr_equal(tls_identity_ref(id), id);
	tls_identity_unref(id);
	tls_identity_unref(id);
	tls_identity_unref(NULL);
	mem_free_p(&cert.p);
	mem_free_p(&key.p);
}

static void test_guess(void **state)
{
	(void)state;
	assert_int_equal(tls_guess(STR_NONE), TLS_GUESS_MORE);
	assert_int_equal(tls_guess(STR("\x16")), TLS_GUESS_MORE);
	assert_int_equal(tls_guess(STR("\x16\x03")), TLS_GUESS_MORE);
	assert_int_equal(tls_guess(STR("\x16\x03\x01")), TLS_GUESS_YES);
	assert_int_equal(tls_guess(STR("\x16\x03\x03zzz")), TLS_GUESS_YES);
	assert_int_equal(tls_guess(STR("\x16\x03\x05")), TLS_GUESS_NO);
	assert_int_equal(tls_guess(STR("\x16\x02\x01")), TLS_GUESS_NO);
	assert_int_equal(tls_guess(STR("G")), TLS_GUESS_NO);
	assert_int_equal(tls_guess(STR("GET / HTTP/1.1")), TLS_GUESS_NO);
	assert_int_equal(tls_guess(STR("\x80\x2e\x01")), TLS_GUESS_NO); /* SSL 2 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_kinds_of_certificates),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_too_many_alpn),
		cmocka_unit_test(test_name_refused),
		cmocka_unit_test(test_ip_literal),
		cmocka_unit_test(test_sni_is_normalised),
		cmocka_unit_test(test_sni_of_control_characters),
		cmocka_unit_test(test_refused_certificates),
		cmocka_unit_test(test_constraints_kept),
		cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_big_transfer_through_small_sockets),
		cmocka_unit_test(test_write_again_with_more),
		cmocka_unit_test(test_answer_before_a_failed_write),
		cmocka_unit_test(test_close_notify_and_half_close),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_shutdown_waits_for_the_socket),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_after_peeking),
		cmocka_unit_test(test_stacked),
		cmocka_unit_test(test_floods_yield),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_reset_in_handshake),
		cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_bundles),
		cmocka_unit_test(test_broken_identities),
		cmocka_unit_test(test_guess),
	};

	return cmocka_run_group_tests(tests, pki_make, pki_remove);
}
