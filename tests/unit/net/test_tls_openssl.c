/*
 * Against OpenSSL's s_server and s_client: what two ends of our own might agree on in error, and
 * peers that ours cannot play.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "duo.h"
#include "net/addr.h"
#include "pki.h"
#include "sys/loop.h"

#define ARGS_MAX 40
#define WAIT_MS 20000 /* nothing here takes long: a hang becomes a failure */

/* Until the stack can go on, or the other side of it has something to say. */
static void wait_for(struct filter *f)
{
	unsigned wants = filter_wants(f);
	struct pollfd p = { .fd = filter_fd(f),
			    .events = (short)((wants & LOOP_READ ? POLLIN : 0) |
					      (wants & LOOP_WRITE ? POLLOUT : 0)) };

	assert_int_not_equal(p.events, 0);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static enum filter_ready handshake(struct filter *f, struct err *err)
{
	enum filter_ready r;

	while ((r = filter_handshake(f, err)) == FILTER_NOT_YET)
		wait_for(f);
	return r;
}

static ssize_t read_some(struct filter *f, void *p, size_t n, struct err *err)
{
	ssize_t r;

	while ((r = filter_read(f, p, n, err)) == FILTER_AGAIN)
		wait_for(f);
	return r;
}

/* base and more, each "a b c", NULL-terminated */
static void split_args(char *words, const char **argv)
{
	size_t n = 0;
	char *save = NULL;

	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		assert_true(n + 1 < ARGS_MAX);
		argv[n++] = w;
	}
	argv[n] = NULL;
}

static pid_t start(const char *words, int *ret_out)
{
	const char *argv[ARGS_MAX];
	char copy[1000];

	(void)snprintf(copy, sizeof(copy), "openssl %s", words);
	split_args(copy, argv);
	return pki_spawn(argv, ret_out);
}

/* Reads on until `text` is in the output or, when it is NULL, to its end. */
static void read_until(int fd, const char *text, char *output, size_t size)
{
	size_t n = strlen(output);

	while (!text || !strstr(output, text)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = read(fd, output + n, size - 1 - n);
		assert_true(r >= 0);
		if (r == 0)
			break;
		n += (size_t)r;
		output[n] = '\0';
	}
	if (text && !strstr(output, text))
		fail_msg("no '%s' in: %s", text, output);
}

/* --- our client against s_server ---------------------------------------------------------------- */

struct session {
	pid_t pid;
	int out;
	struct addr to;
	struct tls_client_config *trust;
	struct filter *f;
	struct err err;
	enum filter_ready ready;
};

static void connect_to(struct session *s, const char *host, const char *const *alpn)
{
	int fd;

	assert_int_equal(filter_connect_socket(&s->to.sa, s->to.len, &fd, &s->err), 0);
	s->f = tls_client(s->trust, filter_tcp(fd, true), host, "scope", alpn, &s->err);
	assert_non_null(s->f);
	s->ready = handshake(s->f, &s->err);
}

static void open_session(struct session *s, const char *server_args, const char *host,
			 const char *const *alpn)
{
	char words[800], output[8192] = "", *at;

	*s = (struct session){ .trust = pki_trust("root") };
	(void)snprintf(words, sizeof(words), "s_server -accept 127.0.0.1:0 -rev %s", server_args);
	s->pid = start(words, &s->out);
	read_until(s->out, "ACCEPT 127.0.0.1:", output, sizeof(output));
	while (!strchr(strstr(output, "ACCEPT "), '\n'))
		read_until(s->out, "\n", output, sizeof(output));
	at = strstr(output, "ACCEPT ") + 7;
	*strchr(at, '\n') = '\0';
	assert_int_equal(addr_parse_listen(str_of(at), &s->to, &s->err), 0);
	connect_to(s, host, alpn);
}

static void close_session(struct session *s)
{
	filter_free(s->f);
	(void)kill(s->pid, SIGTERM);
	(void)waitpid(s->pid, NULL, 0);
	(void)close(s->out);
	tls_client_config_free(s->trust);
}

#define GOOD "-cert good.crt.pem -key good.key.pem "

static void echo(struct session *s)
{
	char buf[64];
	size_t got = 0;
	ssize_t r;

	if (s->ready != FILTER_READY)
		fail_msg("%s", s->err.text);
	assert_int_equal(filter_write(s->f, "stressed\n", 9, &s->err), 9);
	while (got < 9) {
		r = read_some(s->f, buf + got, sizeof(buf) - got, &s->err);
		if (r <= 0)
			fail_msg("read: %s", s->err.text);
		got += (size_t)r;
	}
	assert_memory_equal(buf, "desserts\n", 9);
}

static void test_client_versions(void **state)
{
	static const char *const versions[][2] = {
		{ "-tls1_2", "TLSv1.2" },
		{ "-tls1_3", "TLSv1.3" },
		{ "-tls1_3 -num_tickets 4", "TLSv1.3" },
		{ "-tls1_3 -num_tickets 0 -groups P-384",
		  "TLSv1.3" }, /* asks for another key share */
		{ "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3" },
		{ "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2" },
		{ "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384 -no_ticket", "TLSv1.2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		char args[300];
		struct session s;

		(void)snprintf(args, sizeof(args), GOOD "%s", versions[i][0]);
		open_session(&s, args, "good.test", NULL);
		echo(&s);
		assert_string_equal(tls_version(s.f), versions[i][1]);
		close_session(&s);
	}
}

static void test_client_alpn(void **state)
{
	static const char *const ours[] = { "h2", "http/1.1", NULL };
	struct session s;

	(void)state;
	open_session(&s, GOOD "-alpn http/1.1,h2", "good.test", ours);
	echo(&s);
	assert_true(str_eqz(tls_alpn(s.f), "http/1.1")); /* the server's choice */
	close_session(&s);
	open_session(&s, GOOD, "good.test", ours);
	echo(&s);
	assert_int_equal(tls_alpn(s.f).n, 0);
	close_session(&s);
}

static void test_client_resumes(void **state)
{
	static const char *const versions[] = {
		"-tls1_2",
		"-tls1_2 -no_ticket", /* by session id */
		"-tls1_3",
		"-tls1_3 -num_tickets 1",
		"-tls1_3 -no_ticket",    /* kept by the server */
		"-tls1_3 -groups P-384", /* asks for another key share, with the ticket again */
		"-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		char args[300];
		struct session s;

		(void)snprintf(args, sizeof(args), GOOD "%s", versions[i]);
		open_session(&s, args, "good.test", NULL);
		for (int again = 0; again < 4; again++) {
			echo(&s);
			assert_int_equal(tls_resumed(s.f), again > 0);
			(void)filter_shutdown(s.f, &s.err);
			filter_free(s.f);
			connect_to(&s, "good.test", NULL);
		}
		close_session(&s);
	}
}

static void refused(const char *server_args, const char *text)
{
	struct session s;

	open_session(&s, server_args, "good.test", NULL);
	assert_int_equal(s.ready, FILTER_FAILED);
	assert_int_equal(s.err.code, E_TLS);
	assert_string_equal(s.err.text, text);
	close_session(&s);
}

static void test_client_refuses(void **state)
{
	(void)state;
	refused(GOOD "-tls1_1 -cipher DEFAULT@SECLEVEL=0",
		"peer sent a TLS alert: protocol_version (it has no TLS version in common with 1.2 and 1.3)");
	refused(GOOD "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256",
		"peer sent a TLS alert: handshake_failure (no cipher, group or certificate in common)");
	refused("-tls1_2 -cert client.crt.pem -key client.key.pem",
		"certificate of good.test is not for TLS servers (key usage)");
	refused("-tls1_3 -cert client.crt.pem -key client.key.pem",
		"certificate of good.test is not for TLS servers (key usage)");
	/* critical, which mbedTLS alone would not read */
	refused("-cert nccritical-leaf.crt.pem -key nccritical-leaf.key.pem -cert_chain nccritical.crt.pem",
		"CA \"CN=nccritical\" may not sign for good.test (name constraints); "
		"certificate is for ok.test, not good.test");
}

static void test_client_certificate_wanted(void **state)
{
	struct session s;
	char c;

	(void)state;
	open_session(&s, GOOD "-tls1_3 -Verify 1 -verify_return_error", "good.test", NULL);
	assert_int_equal(s.ready, FILTER_READY); /* the server's answer comes after our last word */
	assert_int_equal(read_some(s.f, &c, 1, &s.err), FILTER_ERROR);
	assert_string_equal(
		s.err.text,
		"peer sent a TLS alert: certificate_required (it wants a client certificate)");
	close_session(&s);
}

/* --- s_client against our server ---------------------------------------------------------------- */

struct service {
	struct duo d; /* identity, host name asked for */
	struct tls_server_config *config;
	int lfd;
	struct addr at;
	struct err err;
	enum filter_ready ready;
	char alpn[32], sni[64], version[16];
	char output[32768]; /* the client's */
};

static void open_service(struct service *s)
{
	*s = (struct service){ .d = { .identity = pki_identity("good", NULL) } };
	s->config = tls_server_config_new(&s->err);
	assert_non_null(s->config);
	assert_int_equal(addr_parse(STR("127.0.0.1"), 0, &s->at, &s->err), 0);
	s->lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->lfd, &s->at.sa, s->at.len), 0);
	assert_int_equal(listen(s->lfd, 8), 0);
	assert_int_equal(getsockname(s->lfd, &s->at.sa, &s->at.len), 0);
}

static void close_service(struct service *s)
{
	(void)close(s->lfd);
	tls_server_config_free(s->config);
	tls_identity_unref(s->d.identity);
}

/* One client, from its connection to the end of its output. */
static void serve(struct service *s, const char *client_args)
{
	static const char *const alpn[] = { "h2", "http/1.1", NULL };
	char words[800];
	struct filter *f;
	int out, fd;
	pid_t pid;

	s->output[0] = '\0';
	(void)snprintf(words, sizeof(words),
		       "s_client -connect 127.0.0.1:%u -CAfile root.crt.pem -verify_return_error "
		       "-ign_eof %s",
		       addr_port(&s->at), client_args);
	pid = start(words, &out);
	struct pollfd p = { .fd = s->lfd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	fd = accept4(s->lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	f = tls_server(s->config, filter_tcp(fd, false), alpn, duo_choose, &s->d, &s->err);
	assert_non_null(f);
	s->ready = handshake(f, &s->err);
	if (s->ready == FILTER_READY) {
		(void)snprintf(s->alpn, sizeof(s->alpn), "%.*s", STR_ARG(tls_alpn(f)));
		(void)snprintf(s->sni, sizeof(s->sni), "%.*s", STR_ARG(tls_sni(f)));
		(void)snprintf(s->version, sizeof(s->version), "%s", tls_version(f));
		assert_int_equal(filter_write(f, "hello\n", 6, &s->err), 6);
		assert_int_equal(filter_shutdown(f, &s->err), FILTER_READY);
	}
	filter_free(f);
	read_until(out, NULL, s->output, sizeof(s->output));
	(void)close(out);
	(void)waitpid(pid, NULL, 0);
}

static void served(struct service *s, const char *client_args, const char *version)
{
	serve(s, client_args);
	if (s->ready != FILTER_READY)
		fail_msg("%s: %s\n%s", client_args, s->err.text, s->output);
	assert_string_equal(s->version, version);
	assert_non_null(strstr(s->output, "hello\n"));
	assert_non_null(strstr(s->output, "Verify return code: 0 (ok)"));
}

static void test_server_versions(void **state)
{
	struct service s;

	(void)state;
	open_service(&s);
	served(&s, "-servername good.test -verify_hostname good.test -tls1_2 -alpn h2", "TLSv1.2");
	assert_string_equal(s.alpn, "h2");
	assert_string_equal(s.sni, "good.test");
	served(&s, "-servername good.test -verify_hostname good.test -tls1_3 -alpn http/1.1",
	       "TLSv1.3");
	assert_string_equal(s.alpn, "http/1.1");
	served(&s, "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2");
	served(&s, "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3");
	close_service(&s);
}

static void test_server_names(void **state)
{
	struct service s;

	(void)state;
	open_service(&s);
	served(&s, "-noservername -tls1_3", "TLSv1.3");
	assert_string_equal(s.d.sni, "");
	served(&s, "-noservername -tls1_2", "TLSv1.2");
	assert_string_equal(s.d.sni, "");
	assert_int_equal(s.d.asked, 2);
	served(&s, "-servername Good.Test.:8443 -tls1_3", "TLSv1.3");
	assert_string_equal(s.sni, "good.test");
	close_service(&s);
}

/* The client's first key share is for a group we do not have: HelloRetryRequest, and a second
 * hello. */
static void test_server_asks_again(void **state)
{
	struct service s;

	(void)state;
	open_service(&s);
	served(&s, "-servername good.test -tls1_3 -groups P-521:P-256", "TLSv1.3");
	assert_string_equal(s.sni, "good.test");
	assert_int_equal(s.d.asked, 1);
	close_service(&s);
}

static void test_server_resumption(void **state)
{
	static const char *const versions[][2] = { { "-tls1_2", "TLSv1.2" },
						   { "-tls1_3", "TLSv1.3" } };
	struct service s;
	char args[200];

	(void)state;
	open_service(&s);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		(void)snprintf(args, sizeof(args), "-servername good.test -sess_out sess.pem %s",
			       versions[i][0]);
		served(&s, args, versions[i][1]);
		assert_non_null(strstr(s.output, "New, TLSv1"));
		(void)snprintf(args, sizeof(args), "-servername good.test -sess_in sess.pem %s",
			       versions[i][0]);
		served(&s, args, versions[i][1]);
		assert_non_null(strstr(s.output, "Reused, TLSv1"));
		assert_string_equal(s.sni,
				    "good.test"); /* asked for and known as in a full handshake */
		assert_int_equal(s.d.asked, 2 * (i + 1));
	}
	close_service(&s);
}

static void test_server_refuses(void **state)
{
	struct service s;

	(void)state;
	open_service(&s);
	serve(&s, "-tls1_1 -cipher DEFAULT@SECLEVEL=0");
	assert_int_equal(s.ready, FILTER_FAILED);
	assert_string_equal(s.err.text, "peer's TLS is too old: 1.2 or 1.3 is needed");
	serve(&s, "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA");
	assert_int_equal(s.ready, FILTER_FAILED);
	assert_int_equal(s.err.code, E_TLS);
	serve(&s, "-tls1_3 -alpn h3");
	assert_string_equal(s.err.text, "peer has no application protocol (ALPN) in common");
	/* the client does not trust our CA, and says so: in 1.2 before the handshake ends */
	serve(&s, "-tls1_2 -CAfile root2.crt.pem");
	assert_int_equal(s.ready, FILTER_FAILED);
	assert_string_equal(s.err.text,
			    "peer sent a TLS alert: unknown_ca (it does not trust this side's CA)");
	close_service(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_versions),
		cmocka_unit_test(test_client_alpn),
		cmocka_unit_test(test_client_resumes),
		cmocka_unit_test(test_client_refuses),
		cmocka_unit_test(test_client_certificate_wanted),
		cmocka_unit_test(test_server_versions),
		cmocka_unit_test(test_server_names),
		cmocka_unit_test(test_server_asks_again),
		cmocka_unit_test(test_server_resumption),
		cmocka_unit_test(test_server_refuses),
	};

	return cmocka_run_group_tests(tests, pki_make, pki_remove);
}
