#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/filter.h"
#include "sys/loop.h"

static int pair(int *ret_peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	*ret_peer = fds[1];
	return fds[0];
}

static struct addr loopback(uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse(STR("127.0.0.1"), port, &a, NULL), 0);
	return a;
}

/* A socket bound to a free port of loopback; listens or not. */
static int bound(struct addr *ret, bool listening)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret = loopback(0);
	assert_int_equal(bind(fd, &ret->sa, ret->len), 0);
	assert_int_equal(getsockname(fd, &ret->sa, &ret->len), 0);
	if (listening)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static enum filter_ready handshake(struct filter *f, struct err *err)
{
	enum filter_ready r;

	while ((r = filter_handshake(f, err)) == FILTER_NOT_YET) {
		struct pollfd p = { .fd = filter_fd(f), .events = POLLOUT };

		assert_int_equal(filter_wants(f), LOOP_WRITE);
		assert_int_equal(poll(&p, 1, 5000), 1);
	}
	return r;
}

static void test_connect(void **state)
{
	struct err err = ERR_INIT;
	struct addr to;
	int lfd = bound(&to, true), fd = -1, value = 0;
	socklen_t len = sizeof(value);
	struct filter *f;

	(void)state;
	assert_int_equal(filter_connect_socket(&to.sa, to.len, &fd, &err), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
	assert_int_equal(value, TCP_PROBE_AFTER_S);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, &len), 0);
	assert_int_equal(value, TCP_PROBE_EVERY_S);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &value, &len), 0);
	assert_int_equal(value, TCP_PROBES);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &len), 0);
	assert_int_equal(value, TCP_UNSENT_MAX);
	f = filter_tcp(fd, true);
	assert_int_equal(filter_fd(f), fd);
	assert_int_equal(handshake(f, &err), FILTER_READY);
	assert_int_equal(filter_wants(f), 0);
	filter_free(f);
	(void)close(lfd);
}

static void test_connect_refused(void **state)
{
	struct err err = ERR_INIT;
	struct addr to;
	int bfd = bound(&to, false), fd = -1;

	(void)state;
	if (filter_connect_socket(&to.sa, to.len, &fd, &err) == 0) {
		struct filter *f = filter_tcp(fd, true);

		assert_int_equal(handshake(f, &err), FILTER_FAILED);
		assert_int_equal(filter_wants(f), 0);
		filter_free(f);
	}
	assert_int_equal(err.code, E_IO);
	assert_non_null(strstr(err.text, "connect: "));
	assert_non_null(strstr(err.text, "refused"));
	(void)close(bfd);
}

/* No descriptor is left: not the peer's doing. */
static void test_connect_without_descriptors(void **state)
{
	struct err err = ERR_INIT;
	struct rlimit before, none;
	struct addr to;
	int fd = -1, lfd = bound(&to, true);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(filter_connect_socket(&to.sa, to.len, &fd, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(err.code, E_EXHAUSTED);
	(void)close(lfd);
}

/* A connect that nobody has answered yet is not taken for an established connection. */
static void test_connect_pending(void **state)
{
	struct err err = ERR_INIT;
	struct addr to;
	int lfd = bound(&to, false), fds[64], last = -1;
	struct filter *f = NULL;
	size_t n = 0;

	(void)state;
	/* A full backlog leaves further SYNs without an answer. */
	assert_int_equal(listen(lfd, 0), 0);
	while (n < ARRAY_LEN(fds)) {
		assert_int_equal(filter_connect_socket(&to.sa, to.len, &fds[n], &err), 0);
		last = fds[n++];
		struct pollfd p = { .fd = last, .events = POLLOUT };
		if (poll(&p, 1, 100) == 0)
			break;
	}
	f = filter_tcp(last, true);
	assert_int_equal(filter_handshake(f, &err), FILTER_NOT_YET);
	assert_int_equal(filter_wants(f), LOOP_WRITE);
	filter_free(f);
	for (size_t i = 0; i + 1 < n; i++)
		(void)close(fds[i]);
	(void)close(lfd);
}

static void test_read_write(void **state)
{
	struct err err = ERR_INIT;
	int peer;
	struct filter *f = filter_tcp(pair(&peer), false);
	char buf[16];

	(void)state;
	assert_int_equal(filter_handshake(f, &err), FILTER_READY);
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), FILTER_AGAIN);
	assert_int_equal(filter_wants(f), LOOP_READ);
	assert_int_equal(write(peer, "ping", 4), 4);
	assert_int_equal(filter_read(f, buf, 3, &err), 3);
	assert_memory_equal(buf, "pin", 3);
	assert_int_equal(filter_wants(f), 0);
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), 1);
	assert_int_equal(filter_write(f, "pong", 4, &err), 4);
	assert_int_equal(read(peer, buf, sizeof(buf)), 4);

	/* Half-close: their end does not end ours. */
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), FILTER_EOF);
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), FILTER_EOF);
	assert_int_equal(filter_write(f, "more", 4, &err), 4);
	assert_int_equal(read(peer, buf, sizeof(buf)), 4);
	assert_int_equal(filter_shutdown(f, &err), FILTER_READY);
	assert_int_equal(filter_shutdown(f, &err), FILTER_READY);
	assert_int_equal(read(peer, buf, sizeof(buf)), 0);
	filter_free(f);
	(void)close(peer);
}

static void test_write_until_full(void **state)
{
	struct err err = ERR_INIT;
	int peer;
	struct filter *f = filter_tcp(pair(&peer), false);
	static char block[65536];
	ssize_t n;

	(void)state;
	while ((n = filter_write(f, block, sizeof(block), &err)) > 0)
		;
	assert_int_equal(n, FILTER_AGAIN);
	assert_int_equal(filter_wants(f), LOOP_WRITE);
	/* Both directions can want at once; each clears its own. */
	assert_int_equal(filter_read(f, block, 1, &err), FILTER_AGAIN);
	assert_int_equal(filter_wants(f), LOOP_READ | LOOP_WRITE);
	while (read(peer, block, sizeof(block)) > 0)
		;
	assert_true(filter_write(f, block, 1, &err) == 1);
	assert_int_equal(filter_wants(f), LOOP_READ);
	filter_free(f);
	(void)close(peer);
}

/* The peer is gone: an error value, and no SIGPIPE. */
static void test_peer_gone(void **state)
{
	struct err err = ERR_INIT;
	int peer;
	struct filter *f = filter_tcp(pair(&peer), false);

	(void)state;
	(void)close(peer);
	assert_int_equal(filter_write(f, "x", 1, &err), FILTER_ERROR);
	assert_int_equal(err.code, E_IO);
	assert_non_null(strstr(err.text, "write: "));
	filter_free(f);
}

static void test_reset(void **state)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct err err = ERR_INIT;
	struct addr to;
	int lfd = bound(&to, true), fd = -1;
	struct filter *f;
	char c;

	(void)state;
	assert_int_equal(filter_connect_socket(&to.sa, to.len, &fd, &err), 0);
	f = filter_tcp(fd, true);
	assert_int_equal(handshake(f, &err), FILTER_READY);
	int peer = accept(lfd, NULL, NULL);
	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	(void)close(peer);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(filter_read(f, &c, 1, &err), FILTER_ERROR);
	assert_int_equal(err.code, E_IO);
	assert_int_equal(filter_shutdown(f, &err), FILTER_READY);
	filter_free(f);
	(void)close(lfd);
}

static void test_unread(void **state)
{
	struct err err = ERR_INIT;
	int peer;
	char given[] = "hello", buf[16];
	struct filter *f = filter_unread(filter_tcp(pair(&peer), false), given, 5);

	(void)state;
	given[0] = 'X'; /* a copy was taken */
	assert_int_equal(filter_handshake(f, &err), FILTER_READY);
	assert_true(filter_pending(f));
	assert_int_equal(write(peer, " world", 6), 6);
	assert_int_equal(filter_read(f, buf, 2, &err), 2);
	assert_memory_equal(buf, "he", 2);
	assert_true(filter_pending(f));
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), 3);
	assert_memory_equal(buf, "llo", 3);
	assert_false(filter_pending(f));
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), 6);
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), FILTER_AGAIN);
	assert_int_equal(filter_wants(f), LOOP_READ);
	assert_int_equal(filter_write(f, "back", 4, &err), 4);
	assert_int_equal(read(peer, buf, sizeof(buf)), 4);
	assert_int_equal(filter_shutdown(f, &err), FILTER_READY);
	assert_int_equal(read(peer, buf, sizeof(buf)), 0);
	filter_free(f);
	(void)close(peer);

	/* Nothing given back, and bytes nobody reads. */
	f = filter_unread(filter_tcp(pair(&peer), false), "", 0);
	assert_false(filter_pending(f));
	assert_int_equal(filter_read(f, buf, sizeof(buf), &err), FILTER_AGAIN);
	f = filter_unread(f, "abc", 3);
	assert_true(filter_pending(f));
	filter_free(f);
	filter_free(NULL);
	(void)close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_connect_without_descriptors),
		cmocka_unit_test(test_connect_pending),
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_write_until_full),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_unread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
