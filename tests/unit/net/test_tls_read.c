/* How TLS reads: more than a record at once, little more than is wanted, and nothing lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "duo.h"
#include "net/tls_priv.h"
#include "pki.h"
#include "sys/loop.h"

static struct duo up(bool tls12)
{
	struct duo d = { .trust = pki_trust("root"),
			 .identity = pki_identity("good", NULL),
			 .host = "good.test",
			 .tls12 = tls12 };
	struct err err = ERR_INIT;
	char c;

	duo_open(&d);
	duo_assert_up(&d);
	/* tickets out of the way */
	assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_AGAIN);
	return d;
}

static void say(struct duo *d, size_t records, size_t size)
{
	static char data[16384];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < records; i++)
		assert_int_equal(filter_write(d->server, data, size, &err), size);
}

static ssize_t hear(struct duo *d, size_t n)
{
	static char data[KIB(64)];
	struct err err = ERR_INIT;

	return filter_read(d->client, data, n, &err);
}

static void test_many_records_in_one_read(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = up(tls12);

		say(&d, 10, 100);
		assert_int_equal(hear(&d, 16384), 1000);
		assert_false(filter_pending(d.client));
		assert_int_equal(hear(&d, 16384), FILTER_AGAIN);
		duo_close(&d);
	}
}

/* What the socket does not show any more is told of. */
static void test_records_put_aside(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = up(tls12);

		say(&d, 2, 15); /* with 1.3 both are read at once, to the end of the socket */
		assert_int_equal(hear(&d, 15), 15);
		assert_true(filter_pending(d.client));
		assert_int_equal(hear(&d, 15), 15);
		assert_int_equal(hear(&d, 15), FILTER_AGAIN);
		assert_false(filter_pending(d.client));
		duo_close(&d);
	}
}

/* A read that is short only because records take room themselves does not look like an empty one. */
static void test_short_reads(void **state)
{
	struct duo d = up(false);
	size_t got = 0;
	ssize_t n;

	(void)state;
	say(&d, 100, 10);
	do {
		n = hear(&d, 200);
		assert_true(n > 0);
		got += (size_t)n;
	} while (filter_pending(d.client));
	assert_int_equal(got, 1000);
	assert_int_equal(hear(&d, 100), FILTER_AGAIN);
	assert_false(filter_pending(d.client));
	duo_close(&d);
}

static void test_end_behind_data(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = up(tls12);
		struct err err = ERR_INIT;

		say(&d, 1, 10);
		assert_int_equal(filter_shutdown(d.server, &err), FILTER_READY);
		assert_int_equal(hear(&d, 100), 10);
		assert_true(filter_pending(d.client));
		assert_int_equal(hear(&d, 100), FILTER_EOF);
		assert_false(filter_pending(d.client));
		duo_close(&d);
	}
}

static void test_alert_behind_data(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = up(tls12);
		struct err err = ERR_INIT;
		char c;

		say(&d, 1, 10);
		assert_int_equal(
			mbedtls_ssl_send_alert_message(&container_of(d.server, struct tls, f)->ssl,
						       MBEDTLS_SSL_ALERT_LEVEL_FATAL,
						       MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR),
			0);
		assert_int_equal(hear(&d, 100), 10);
		assert_true(filter_pending(d.client));
		assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_ERROR);
		assert_string_equal(err.text, "peer sent a TLS alert: internal_error");
		assert_false(filter_pending(d.client));
		assert_int_equal(hear(&d, 100), FILTER_ERROR);
		duo_close(&d);
	}
}

/* The transport breaks behind data: the data first, then its own words. */
static void test_reset_behind_data(void **state)
{
	struct duo d = up(false);
	struct err err = ERR_INIT;
	char c;

	(void)state;
	say(&d, 1, 10);
	assert_int_equal(filter_write(d.client, "never read", 10, &err), 10);
	filter_free(steal(&d.server));
	assert_int_equal(hear(&d, 100), 10);
	assert_int_equal(filter_read(d.client, &c, 1, &err), FILTER_ERROR);
	assert_non_null(strstr(err.text, "reset"));
	duo_close(&d);
}

/* --- how often the filter below is asked -------------------------------------------------------- */

struct counter {
	struct filter f;
	unsigned reads;
	size_t once; /* at most so much in the next read; 0: no matter */
};

static ssize_t counter_read(struct filter *f, void *p, size_t n, struct err *err)
{
	struct counter *c = container_of(f, struct counter, f);

	c->reads++;
	if (c->once > 0 && n > c->once)
		n = c->once;
	c->once = 0;
	return filter_read(f->below, p, n, err);
}

static ssize_t counter_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	return filter_write(f->below, p, n, err);
}

static void counter_free(struct filter *f)
{
	free(container_of(f, struct counter, f));
}

static struct counter *count(struct filter *f)
{
	static const struct filter_ops ops = { .name = "counter",
					       .read = counter_read,
					       .write = counter_write,
					       .free = counter_free };
	struct counter *c = mem_new(struct counter);

	c->f.ops = &ops;
	c->f.below = f->below;
	f->below = &c->f;
	return c;
}

static void test_reads_of_the_socket(void **state)
{
	(void)state;
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct duo d = up(tls12);
		struct counter *c = count(d.client);

		/* header and body are not two reads */
		for (int i = 0; i < 100; i++) {
			say(&d, 1, 8000);
			assert_int_equal(hear(&d, 8000), 8000);
		}
		assert_true(c->reads <= 101);
		c->reads = 0;
		say(&d, 100, 100);
		assert_int_equal(hear(&d, 16384), 10000);
		assert_true(c->reads <= 2);
		duo_close(&d);
	}
}

/* Of what is behind the record that was asked for, little is put aside, wherever the read began. */
static void test_little_is_put_aside(void **state)
{
	struct duo d = up(false);
	struct counter *c = count(d.client);

	(void)state;
	for (size_t once = 0; once < 8000; once += 100) {
		c->once = once;
		say(&d, 2, 8000);
		assert_int_equal(hear(&d, 8000), 8000);
		if (container_of(d.client, struct tls, f)->aside)
			assert_true(container_of(d.client, struct tls, f)->aside_len <= 64);
		assert_int_equal(hear(&d, 8000), 8000);
		assert_int_equal(hear(&d, 8000), FILTER_AGAIN);
		assert_null(container_of(d.client, struct tls, f)->aside);
	}
	duo_close(&d);
}

/*
 * TLS in TLS: the upper one, which gives others their turn, leaves nothing in the lower one, for
 * the socket would not tell of it.
 */
static void test_stacked_flood(void **state)
{
	struct duo d = up(false);
	struct tls_client_config *trust = pki_trust("root");
	struct tls_server_config *sc;
	enum filter_ready c = FILTER_NOT_YET, s = FILTER_NOT_YET;
	struct err err = ERR_INIT;
	unsigned yields = 0;
	ssize_t n;
	char x;

	(void)state;
	duo_client_tls12(trust, NULL);
	d.client = tls_client(trust, d.client, "good.test", NULL, NULL, &err);
	sc = tls_server_config_new(&err);
	d.server = tls_server(sc, d.server, NULL, duo_choose, &d, &err);
	for (int i = 0; i < 1000 && (c != FILTER_READY || s != FILTER_READY); i++) {
		c = filter_handshake(d.client, &err);
		s = filter_handshake(d.server, &err);
	}
	assert_int_equal(c, FILTER_READY);
	tls_write_begin(container_of(d.server, struct tls, f));
	duo_send_alerts(&d, 1000);
	assert_int_equal(tls_write_end(container_of(d.server, struct tls, f)), 0);
	assert_int_equal(filter_write(d.server, "x", 1, &err), 1);
	while ((n = filter_read(d.client, &x, 1, &err)) == FILTER_AGAIN) {
		assert_false(filter_pending(d.client));
		assert_int_equal(recv(filter_fd(d.client), &x, 1, MSG_PEEK), 1);
		yields++;
	}
	assert_int_equal(n, 1);
	assert_true(yields > 0);
	duo_close(&d);
	tls_server_config_free(sc);
	tls_client_config_free(trust);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_records_in_one_read),
		cmocka_unit_test(test_records_put_aside),
		cmocka_unit_test(test_short_reads),
		cmocka_unit_test(test_end_behind_data),
		cmocka_unit_test(test_alert_behind_data),
		cmocka_unit_test(test_reset_behind_data),
		cmocka_unit_test(test_reads_of_the_socket),
		cmocka_unit_test(test_little_is_put_aside),
		cmocka_unit_test(test_stacked_flood),
	};

	return cmocka_run_group_tests(tests, pki_make, pki_remove);
}
