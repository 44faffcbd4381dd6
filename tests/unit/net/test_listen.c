#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/listen.h"

#define ACCEPTED_MAX 128

struct fixture {
	struct loop *loop;
	struct listener *ls;
	int fds[ACCEPTED_MAX];
	struct addr peers[ACCEPTED_MAX];
	size_t count;
	bool close_in_callback;
};

static void on_conn(void *arg, int fd, const struct addr *peer)
{
	struct fixture *fx = arg;

	assert_true(fx->count < ACCEPTED_MAX);
	fx->fds[fx->count] = fd;
	fx->peers[fx->count++] = *peer;
	if (fx->close_in_callback) {
		listen_close(fx->ls);
		fx->ls = NULL;
	}
}

static void fx_init(struct fixture *fx)
{
	struct err err = ERR_INIT;

	*fx = (struct fixture){ .loop = loop_new(&err) };
	assert_non_null(fx->loop);
}

static void fx_fini(struct fixture *fx)
{
	listen_close(fx->ls);
	for (size_t i = 0; i < fx->count; i++)
		(void)close(fx->fds[i]);
	loop_free(fx->loop);
}

static void listen_at(struct fixture *fx, const char *text)
{
	struct err err = ERR_INIT;
	struct addr at;

	assert_int_equal(addr_parse_listen(str_of(text), &at, &err), 0);
	fx->ls = listen_tcp(fx->loop, &at, on_conn, fx, &err);
	if (!fx->ls)
		fail_msg("%s", err.text);
}

static int dial(const struct addr *to)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &to->sa, to->len), 0);
	return fd;
}

static void once(struct fixture *fx)
{
	struct err err = ERR_INIT;

	assert_int_equal(loop_once(fx->loop, 5000, &err), 0);
}

static void test_tcp(void **state)
{
	struct fixture fx;
	char text[ADDR_TEXT_MAX];
	int value = 0;
	socklen_t len = sizeof(value);

	(void)state;
	fx_init(&fx);
	listen_at(&fx, "127.0.0.1:0");
	assert_int_not_equal(addr_port(listen_addr(fx.ls)), 0);
	int fd = dial(listen_addr(fx.ls));
	once(&fx);
	assert_int_equal(fx.count, 1);
	addr_text(&fx.peers[0], false, text);
	assert_string_equal(text, "127.0.0.1");
	assert_true(fcntl(fx.fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fx.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(fx.fds[0], IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(fx.fds[0], SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
	assert_int_equal(value, 1);
	assert_int_equal(getsockopt(fx.fds[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
	assert_int_equal(value, TCP_PROBE_AFTER_S);
	assert_int_equal(getsockopt(fx.fds[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, &len), 0);
	assert_int_equal(value, TCP_UNSENT_MAX);
	assert_int_equal(listen_starved(fx.ls), 0);
	(void)close(fd);
	fx_fini(&fx);
}

/* All addresses: IPv4 clients arrive too, and are told as IPv4. */
static void test_all_addresses(void **state)
{
	struct fixture fx;
	struct addr to;
	char text[ADDR_TEXT_MAX];

	(void)state;
	fx_init(&fx);
	listen_at(&fx, ":0");
	assert_int_equal(addr_parse(STR("127.0.0.1"), addr_port(listen_addr(fx.ls)), &to, NULL), 0);
	int fd = dial(&to);
	once(&fx);
	assert_int_equal(fx.count, 1);
	addr_text(&fx.peers[0], false, text);
	assert_string_equal(text, "127.0.0.1");
	(void)close(fd);
	fx_fini(&fx);
}

static void test_port_taken(void **state)
{
	struct err err = ERR_INIT;
	struct fixture fx;

	(void)state;
	fx_init(&fx);
	listen_at(&fx, "127.0.0.1:0");
	assert_null(listen_tcp(fx.loop, listen_addr(fx.ls), on_conn, &fx, &err));
	assert_int_equal(err.code, E_SYS);
	assert_non_null(strstr(err.text, "listen on 127.0.0.1:"));
	fx_fini(&fx);
}

static void test_close_in_callback(void **state)
{
	struct fixture fx;

	(void)state;
	fx_init(&fx);
	listen_at(&fx, "127.0.0.1:0");
	fx.close_in_callback = true;
	int a = dial(listen_addr(fx.ls));
	int b = dial(listen_addr(fx.ls));
	once(&fx);
	assert_int_equal(fx.count, 1);
	assert_null(fx.ls);
	(void)close(a);
	(void)close(b);
	fx_fini(&fx);
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	(void)close(fd);
	return fd;
}

/*
 * Descriptors run out: the clients that wait see an end, the loop does not spin, and when
 * descriptors are there again so is the service.
 */
static void test_out_of_descriptors(void **state)
{
	struct fixture fx;
	struct rlimit before, low;
	int clients[3], late;
	char c;

	(void)state;
	fx_init(&fx);
	listen_at(&fx, "127.0.0.1:0");
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		clients[i] = dial(listen_addr(fx.ls));
	late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)lowest_free_fd();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);

	once(&fx);
	assert_int_equal(fx.count, 0);
	assert_int_equal(listen_starved(fx.ls), 3);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		assert_true(recv(clients[i], &c, 1, 0) <= 0);

	/* One more waits: during the pause nothing is ready, so a round with no wait does nothing. */
	assert_int_equal(connect(late, &listen_addr(fx.ls)->sa, listen_addr(fx.ls)->len), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(loop_once(fx.loop, 0, NULL), 0);
	assert_true(fx.count == 0 && listen_starved(fx.ls) == 3);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	loop_test_advance(fx.loop, LISTEN_PAUSE_MS);
	once(&fx);
	once(&fx);
	assert_int_equal(fx.count, 1);
	assert_int_equal(listen_starved(fx.ls), 3);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++)
		(void)close(clients[i]);
	(void)close(late);
	fx_fini(&fx);
}

/* --- Unix sockets ------------------------------------------------------------------------------- */

static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_listen.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static int dial_path(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void test_unix(void **state)
{
	struct err err = ERR_INIT;
	struct fixture fx;
	struct stat st;
	mode_t mask = umask(0);

	(void)state;
	fx_init(&fx);
	fx.ls = listen_unix(fx.loop, path, on_conn, &fx, &err);
	(void)umask(mask);
	assert_non_null(fx.ls);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	int fd = dial_path();
	once(&fx);
	assert_int_equal(fx.count, 1);
	assert_int_equal(fx.peers[0].sa.sa_family, AF_UNIX);
	(void)close(fd);

	/* Somebody listens: the path is not taken from under them. */
	assert_null(listen_unix(fx.loop, path, on_conn, &fx, &err));
	assert_int_equal(err.code, E_EXISTS);
	listen_close(fx.ls);
	fx.ls = NULL;
	assert_int_equal(lstat(path, &st), -1);
	assert_int_equal(errno, ENOENT);
	fx_fini(&fx);
}

static void test_unix_stale(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct err err = ERR_INIT;
	struct fixture fx;

	(void)state;
	memcpy(sun.sun_path, path, strlen(path));
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(dead, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(dead);
	fx_init(&fx);
	fx.ls = listen_unix(fx.loop, path, on_conn, &fx, &err);
	assert_non_null(fx.ls);
	int fd = dial_path();
	once(&fx);
	assert_int_equal(fx.count, 1);
	(void)close(fd);
	fx_fini(&fx);
}

static void test_unix_other_file(void **state)
{
	struct err err = ERR_INIT;
	struct fixture fx;
	struct stat st;

	(void)state;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	fx_init(&fx);
	assert_null(listen_unix(fx.loop, path, on_conn, &fx, &err));
	assert_int_equal(err.code, E_EXISTS);
	assert_non_null(strstr(err.text, "no socket"));
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));

	/* A symlink is not followed, wherever it points. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nonexistent", path), 0);
	assert_null(listen_unix(fx.loop, path, on_conn, &fx, &err));
	assert_int_equal(err.code, E_EXISTS);
	fx_fini(&fx);
}

static void test_unix_long_path(void **state)
{
	struct err err = ERR_INIT;
	struct fixture fx;
	char longer[200];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	fx_init(&fx);
	assert_null(listen_unix(fx.loop, longer, on_conn, &fx, &err));
	assert_int_equal(err.code, E_BAD);
	assert_null(listen_unix(fx.loop, "", on_conn, &fx, &err));
	fx_fini(&fx);
}

/* A listener that closes late does not remove its successor's socket. */
static void test_unix_successor(void **state)
{
	struct err err = ERR_INIT;
	struct listener *second;
	struct fixture fx;
	struct stat st;

	(void)state;
	fx_init(&fx);
	fx.ls = listen_unix(fx.loop, path, on_conn, &fx, &err);
	assert_non_null(fx.ls);
	assert_int_equal(unlink(path), 0);
	second = listen_unix(fx.loop, path, on_conn, &fx, &err);
	assert_non_null(second);
	listen_close(fx.ls);
	fx.ls = NULL;
	assert_int_equal(lstat(path, &st), 0);
	listen_close(second);
	assert_int_equal(lstat(path, &st), -1);
	fx_fini(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_all_addresses),
		cmocka_unit_test(test_port_taken),
		cmocka_unit_test(test_close_in_callback),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test_setup_teardown(test_unix, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_unix_stale, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_unix_other_file, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_unix_long_path, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_unix_successor, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
