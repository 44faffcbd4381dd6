#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "duo.h"
#include "net/tls_priv.h"
#include "pki.h"

#define SCOPE "good.test:443 a"

static struct duo good(bool tls12)
{
	struct duo d = { .trust = pki_trust("root"),
			 .identity = pki_identity("good", NULL),
			 .host = "good.test",
			 .scope = SCOPE,
			 .tls12 = tls12 };

	return d;
}

static struct tls *client_of(const struct duo *d)
{
	return container_of(d->client, struct tls, f);
}

static struct tls_sessions *sessions_of(const struct duo *d)
{
	return client_of(d)->resume.all;
}

/* One connection up to its end; tickets arrive with the data. Was it resumed? */
static bool visit(struct duo *d)
{
	bool resumed;

	duo_open(d);
	duo_assert_up(d);
	duo_transfer(d->server, d->client, 1000, 1000, 1000);
	duo_transfer(d->client, d->server, 1000, 1000, 1000);
	resumed = tls_resumed(d->client);
	duo_hang_up(d);
	return resumed;
}

static void test_resumed(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);

		assert_false(visit(&d));
		for (int i = 0; i < 5; i++)
			assert_true(visit(&d));
		duo_close(&d);
	}
}

/* Tickets count when they come, also without data behind them. */
static void test_ticket_without_data(void **state)
{
	struct duo d = good(false);
	struct err err = ERR_INIT;
	char c;

	(void)state;
	duo_open(&d);
	duo_assert_up(&d);
	assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_AGAIN);
	assert_int_equal(sessions_of(&d)->count, 1);
	duo_hang_up(&d);
	assert_true(visit(&d));
	duo_close(&d);
}

static void test_address(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = { .trust = pki_trust("root"),
				 .identity = pki_identity("ip", NULL),
				 .host = "127.0.0.1",
				 .scope = SCOPE,
				 .tls12 = tls12 };

		assert_false(visit(&d));
		assert_true(visit(&d));
		duo_close(&d);
	}
}

static void test_scopes_are_apart(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);

		assert_false(visit(&d));
		d.scope = "good.test:443 b";
		assert_false(visit(&d));
		d.scope = NULL;
		assert_false(visit(&d));
		assert_false(visit(&d)); /* and keeps nothing */
		d.scope = SCOPE;
		d.host = "a.wild.test"; /* which the same server may answer for */
		assert_false(visit(&d));
		d.host = "good.test";
		assert_true(visit(&d));
		duo_close(&d);
	}
}

/* RFC 8446 C.4: a ticket is shown once; the connection that used it brings the next. */
static void test_ticket_is_used_once(void **state)
{
	struct duo d = good(false);
	struct filter *first, *first_server;

	(void)state;
	d.tickets = 1;
	assert_false(visit(&d));
	duo_open(&d);
	duo_assert_up(&d);
	assert_true(tls_resumed(d.client));
	first = steal(&d.client);
	first_server = steal(&d.server);
	duo_open(&d); /* the first has read no ticket yet */
	duo_assert_up(&d);
	assert_false(tls_resumed(d.client));
	duo_hang_up(&d);
	duo_transfer(first_server, first, 10, 10, 10);
	assert_true(visit(&d));
	filter_free(first);
	filter_free(first_server);
	duo_close(&d);
}

/* A server that was started again has other keys: it declines, and shows its certificate. */
static void test_declined(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);

		assert_false(visit(&d));
		duo_new_server(&d);
		assert_false(visit(&d));
		/* With 1.2 the hello had room for nothing newer, so that session is not kept. */
		if (tls12) {
			assert_false(visit(&d));
			d.tls12 = false;
			duo_new_server(&d);
			assert_false(visit(&d));
			assert_false(visit(&d));
		}
		assert_true(visit(&d));
		duo_open(&d);
		assert_string_equal(tls_version(d.client), "TLSv1.3");
		duo_close(&d);
	}
}

static void test_declined_by_a_bad_certificate(void **state)
{
	static const char *const bad[] = { "expired", "other", "selfsigned" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad) * 2; i++) {
		struct duo d = good(i % 2);

		assert_false(visit(&d));
		duo_new_server(&d);
		tls_identity_unref(d.identity);
		d.identity = pki_identity(bad[i / 2], NULL);
		duo_open(&d);
		assert_int_equal(d.client_ready, FILTER_FAILED);
		assert_int_equal(d.client_err.code, E_TLS);
		assert_false(tls_session_refused(d.client)); /* the certificate was */
		assert_int_equal(sessions_of(&d)->count, 0);
		duo_close(&d);
	}
}

/* The server has gone back to 1.2: a 1.3 session cannot be declined with that. */
static void test_version_is_gone(void **state)
{
	struct duo d = good(false);

	(void)state;
	assert_false(visit(&d));
	assert_true(visit(&d));
	duo_new_server(&d);
	d.tls12 = true;
	duo_open(&d);
	assert_int_equal(d.client_ready, FILTER_FAILED);
	assert_true(tls_session_refused(d.client));
	assert_int_equal(sessions_of(&d)->count, 0);
	duo_hang_up(&d);
	duo_open(&d);
	duo_assert_up(&d);
	assert_string_equal(tls_version(d.client), "TLSv1.2");
	assert_false(tls_session_refused(d.client));
	duo_close(&d);
}

/* A plain failure is not the session's. */
static void test_refused_needs_an_offer(void **state)
{
	struct duo d = good(false);

	(void)state;
	tls_identity_unref(steal(&d.identity));
	duo_open(&d);
	assert_int_equal(d.client_ready, FILTER_FAILED);
	assert_false(tls_session_refused(d.client));
	duo_close(&d);
}

/* RFC 5246 7.2.2: after a fatal alert the session is not resumed. A cut connection is no alert. */
static void test_after_a_fatal_alert(void **state)
{
	struct duo d = good(true);
	struct err err = ERR_INIT;
	char c;

	(void)state;
	assert_false(visit(&d));
	duo_open(&d);
	assert_true(tls_resumed(d.client));
	assert_int_equal(filter_write(d.client, "never read", 10, &err), 10);
	filter_free(steal(&d.server));
	assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_ERROR);
	assert_non_null(strstr(err.text, "reset"));
	duo_hang_up(&d);
	duo_open(&d);
	assert_true(tls_resumed(d.client));
	assert_int_equal(mbedtls_ssl_send_alert_message(&container_of(d.server, struct tls, f)->ssl,
							MBEDTLS_SSL_ALERT_LEVEL_FATAL,
							MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR),
			 0);
	assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_ERROR);
	duo_hang_up(&d);
	assert_false(visit(&d));
	duo_close(&d);
}

/* Application protocols are agreed anew each time. */
static void test_alpn_is_agreed_anew(void **state)
{
	static const char *const both[] = { "h2", "http/1.1", NULL }, *const h1[] = { "http/1.1",
										      NULL };

	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);

		d.client_alpn = both;
		d.server_alpn = both;
		duo_open(&d);
		assert_true(str_eqz(tls_alpn(d.client), "h2"));
		duo_transfer(d.server, d.client, 10, 10, 10);
		duo_hang_up(&d);
		d.server_alpn = h1;
		duo_open(&d);
		duo_assert_up(&d);
		assert_true(tls_resumed(d.client));
		assert_true(str_eqz(tls_alpn(d.client), "http/1.1"));
		duo_close(&d);
	}
}

static void test_other_anchors_end_sessions(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = good(tls12);
		struct err err = ERR_INIT;
		struct str pem;

		pem.p = pki_read("root2.crt.pem", &pem.n);
		assert_false(visit(&d));
		assert_int_equal(tls_client_config_add_ca(d.trust, pem, "root2", NULL, &err), 0);
		assert_false(visit(&d));
		duo_open(&d);
		duo_assert_up(&d);
		assert_true(tls_resumed(d.client));
		assert_int_equal(tls_client_config_add_ca(d.trust, pem, "root2", NULL, &err), 0);
		/* what this one still brings was verified with the old ones */
		duo_transfer(d.server, d.client, 10, 10, 10);
		assert_int_equal(sessions_of(&d)->count, 0);
		duo_close(&d);
		mem_free_p(&pem.p);
	}
}

/* --- until when --------------------------------------------------------------------------------- */

static void test_ends_with_the_first_certificate(void **state)
{
	static const char *const chains[][2] = { { "soon", NULL }, { "undersoon", "sooninter" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(chains) * 2; i++) {
		struct duo d = { .trust = pki_trust("root"),
				 .identity = pki_identity(chains[i / 2][0], chains[i / 2][1]),
				 .host = "good.test",
				 .scope = SCOPE,
				 .tls12 = i % 2 };
		struct tls_offer offer;
		time_t end;

		duo_open(&d);
		duo_assert_up(&d);
		duo_transfer(d.server, d.client, 10, 10, 10);
		end = client_of(&d)->resume.trusted_until;
		assert_true(end > time(NULL) && end <= time(NULL) + 3600);
		/* a further client of the same sessions, to ask them */
		assert_false(tls_sessions_offer(sessions_of(&d), SCOPE, d.host, end,
						&client_of(&d)->ssl, &offer));
		duo_close(&d);
	}
}

/* What a resumed connection brings stands on the same verification, and ends with it. */
static void test_renewal_does_not_extend(void **state)
{
	struct duo d = good(false);
	struct tls_sessions *all;
	time_t end;

	(void)state;
	duo_open(&d);
	duo_assert_up(&d);
	all = sessions_of(&d);
	end = client_of(&d)->resume.trusted_until;
	assert_true(end > time(NULL) + TLS_RESUME_SECONDS - 3600);
	assert_true(end <= time(NULL) + TLS_RESUME_SECONDS);
	/* as if a day had almost passed since */
	client_of(&d)->resume.trusted_until = end = time(NULL) + 1000;
	duo_transfer(d.server, d.client, 10, 10, 10);
	duo_hang_up(&d);
	for (int i = 0; i < 3; i++) {
		duo_open(&d);
		duo_assert_up(&d);
		assert_true(tls_resumed(d.client));
		assert_int_equal(client_of(&d)->resume.trusted_until, end);
		duo_transfer(d.server, d.client, 10, 10, 10);
		duo_hang_up(&d);
	}
	assert_true(all->count > 0);
	duo_close(&d);
}

/* The session of a connection, and a fresh client to offer it to. */
struct bench {
	struct duo d;
	mbedtls_ssl_session *session;
	struct tls_sessions all;
	struct filter *clients[600];
	size_t count;
};

static void bench_open(struct bench *b, bool tls12)
{
	*b = (struct bench){ .d = good(tls12) };
	duo_open(&b->d);
	duo_assert_up(&b->d);
	duo_transfer(b->d.server, b->d.client, 10, 10, 10);
	b->session = client_of(&b->d)->ssl.MBEDTLS_PRIVATE(session);
}

static void bench_close(struct bench *b)
{
	tls_sessions_clear(&b->all);
	while (b->count > 0)
		filter_free(b->clients[--b->count]);
	duo_close(&b->d);
}

static bool offer(struct bench *b, const char *scope, time_t now)
{
	struct tls_offer ret;
	struct err err = ERR_INIT;
	int fds[2];

	assert_true(b->count < ARRAY_LEN(b->clients));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	(void)close(fds[1]);
	b->clients[b->count] =
		tls_client(b->d.trust, filter_tcp(fds[0], false), b->d.host, NULL, NULL, &err);
	assert_non_null(b->clients[b->count]);
	return tls_sessions_offer(&b->all, scope, b->d.host, now,
				  &container_of(b->clients[b->count++], struct tls, f)->ssl, &ret);
}

static void put(struct bench *b, const char *scope, time_t until, time_t now)
{
	tls_sessions_put(&b->all, scope, b->d.host, b->session, until, now);
}

static void test_lifetime(void **state)
{
	const time_t now = 1000000, far = now + 10000000;

	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct bench b;
		uint32_t *lifetime;

		bench_open(&b, tls12);
		lifetime = &b.session->MBEDTLS_PRIVATE(ticket_lifetime);
		*lifetime = 100;
		put(&b, "s", far, now);
		assert_true(offer(&b, "s", now + 99));
		put(&b, "s", far, now);
		assert_false(offer(&b, "s", now + 100));
		assert_int_equal(b.all.count, 0);

		put(&b, "s", now + 50, now); /* a certificate ends earlier */
		assert_false(offer(&b, "s", now + 50));
		put(&b, "s", far, now);
		put(&b, "s", now, now);
		assert_int_equal(b.all.count, 1);
		assert_true(offer(&b, "s", now));

		put(&b, "s", far, now); /* the clock was set back */
		assert_false(offer(&b, "s", now - 1));
		assert_int_equal(b.all.count, 0);

		*lifetime = 7 * 24 * 3600;
		put(&b, "s", far, now);
		assert_false(offer(&b, "s", now + TLS_RESUME_SECONDS));
		*lifetime = 0; /* up to us (RFC 5077 3.3) */
		put(&b, "s", far, now);
		assert_true(b.all.count == 1);
		assert_false(offer(&b, "s", now + TLS_RESUME_SECONDS));
		bench_close(&b);
	}
}

static void test_limits(void **state)
{
	const time_t now = 1000000, far = now + 10000000;
	struct bench b;
	char scope[16];

	(void)state;
	bench_open(&b, false);
	for (int i = 0; i < TLS_SESSIONS_PER_SCOPE + 3; i++)
		put(&b, "s", far, now);
	assert_int_equal(b.all.count, TLS_SESSIONS_PER_SCOPE);
	for (int i = 0; i < TLS_SESSIONS_PER_SCOPE; i++)
		assert_true(offer(&b, "s", now));
	assert_false(offer(&b, "s", now));

	for (int i = 0; i < TLS_SESSIONS_MAX + 1; i++) {
		(void)snprintf(scope, sizeof(scope), "%d", i);
		put(&b, scope, far, now);
	}
	assert_int_equal(b.all.count, TLS_SESSIONS_MAX);
	assert_false(offer(&b, "0", now));
	assert_true(offer(&b, "1", now));
	/* the dead go first */
	put(&b, "x", far, now + TLS_RESUME_SECONDS);
	assert_int_equal(b.all.count, 1);
	bench_close(&b);
}

/* Sessions of TLS 1.2 stay, one for each scope, and those in use longest. */
static void test_limits_of_tls12(void **state)
{
	const time_t now = 1000000, far = now + 10000000;
	struct bench b;
	char scope[16];

	(void)state;
	bench_open(&b, true);
	put(&b, "s", far, now);
	put(&b, "s", far, now);
	assert_int_equal(b.all.count, 1);
	for (int i = 0; i < TLS_SESSIONS_MAX + 10; i++) {
		(void)snprintf(scope, sizeof(scope), "%d", i);
		put(&b, scope, far, now);
		assert_true(offer(&b, "s", now));
	}
	assert_int_equal(b.all.count, TLS_SESSIONS_MAX);
	assert_false(offer(&b, "0", now));
	bench_close(&b);
}

static void test_what_is_no_session(void **state)
{
	const time_t now = 1000000, far = now + 10000000;
	struct bench b;
	size_t *len;

	(void)state;
	bench_open(&b, false);
	len = &b.session->MBEDTLS_PRIVATE(ticket_len);
	size_t saved_len = *len, saved_id = b.session->MBEDTLS_PRIVATE(id_len);
	*len = TLS_TICKET_MAX + 1; /* would not fit our hello */
	put(&b, "s", far, now);
	*len = 0;
	b.session->MBEDTLS_PRIVATE(id_len) = 0;
	put(&b, "s", far, now);
	assert_int_equal(b.all.count, 0);
	*len = saved_len;
	b.session->MBEDTLS_PRIVATE(id_len) = saved_id;
	/* one that mbedTLS does not take back is passed over, and the next one is offered */
	put(&b, "s", far, now);
	b.session->MBEDTLS_PRIVATE(ciphersuite) = MBEDTLS_TLS1_3_AES_128_CCM_SHA256;
	put(&b, "s", far, now);
	assert_int_equal(b.all.count, 2);
	assert_true(offer(&b, "s", now));
	assert_int_equal(b.all.count, 0);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resumed),
		cmocka_unit_test(test_ticket_without_data),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_scopes_are_apart),
		cmocka_unit_test(test_ticket_is_used_once),
		cmocka_unit_test(test_declined),
		cmocka_unit_test(test_declined_by_a_bad_certificate),
		cmocka_unit_test(test_version_is_gone),
		cmocka_unit_test(test_refused_needs_an_offer),
		cmocka_unit_test(test_after_a_fatal_alert),
		cmocka_unit_test(test_alpn_is_agreed_anew),
		cmocka_unit_test(test_other_anchors_end_sessions),
		cmocka_unit_test(test_ends_with_the_first_certificate),
		cmocka_unit_test(test_renewal_does_not_extend),
		cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limits_of_tls12),
		cmocka_unit_test(test_what_is_no_session),
	};

	return cmocka_run_group_tests(tests, pki_make, pki_remove);
}
