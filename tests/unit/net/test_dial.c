/* Real sockets on loopback; the clock is the test's. A backlog that is full makes a listener that
 * never answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/dial.h"

#define EACH_MS 10000

struct fixture {
	struct loop *loop;
	struct dial *dial;
	struct filter *f;
	struct err err;
	int calls;
};

static int setup(void **state)
{
	static struct fixture fx;
	struct err err = ERR_INIT;

	fx = (struct fixture){ .loop = loop_new(&err) };
	assert_non_null(fx.loop);
	*state = &fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	filter_free(fx->f);
	loop_free(fx->loop);
	return 0;
}

static void on_dialled(void *arg, struct filter *f, const struct err *err)
{
	struct fixture *fx = arg;

	fx->calls++;
	fx->f = f;
	fx->dial = NULL;
	assert_true((f == NULL) == (err != NULL));
	if (err)
		fx->err = *err;
}

static struct addr address(const char *ip, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse(str_of(ip), port, &a, NULL), 0);
	return a;
}

/* A listener whose queue takes one connection and then is silent. */
static int listener(const char *ip, struct addr *ret)
{
	struct addr a = address(ip, 0);
	int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &a.sa, a.len), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, &a.sa, &a.len), 0);
	*ret = a;
	return fd;
}

/* Fills the queue, so that the next connect gets no answer at all. */
static void fill(const struct addr *to, int fds[2])
{
	for (int i = 0; i < 2; i++) {
		fds[i] = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fds[i], &to->sa, to->len);
	}
}

static void rounds(struct fixture *fx, int n)
{
	struct err err = ERR_INIT;

	for (int i = 0; i < n && fx->calls == 0; i++)
		assert_int_equal(loop_once(fx->loop, 20, &err), 0);
}

static bool peer_is(struct fixture *fx, const struct addr *want)
{
	struct addr got = { .len = sizeof(got.in6) };

	assert_non_null(fx->f);
	assert_int_equal(getpeername(filter_fd(fx->f), &got.sa, &got.len), 0);
	return addr_eq(&got, want);
}

static void first_that_answers(void **state)
{
	struct fixture *fx = *state;
	struct addr a;
	int fd = listener("127.0.0.1", &a);

	fx->dial = dial_start(fx->loop, &a, 1, EACH_MS, on_dialled, fx);
	assert_int_equal(fx->calls, 0); /* never from inside */
	rounds(fx, 50);
	assert_int_equal(fx->calls, 1);
	assert_true(peer_is(fx, &a));
	(void)close(fd);
}

static void refused_goes_on_at_once(void **state)
{
	struct fixture *fx = *state;
	struct addr a[2];
	int gone = listener("127.0.0.1", &a[0]), fd = listener("127.0.0.1", &a[1]);

	(void)close(gone);
	loop_test_advance(fx->loop, 0); /* the clock stands still: no stagger is needed */
	fx->dial = dial_start(fx->loop, a, 2, EACH_MS, on_dialled, fx);
	rounds(fx, 50);
	assert_true(peer_is(fx, &a[1]));
	(void)close(fd);
}

static void silent_one_is_overtaken(void **state)
{
	struct fixture *fx = *state;
	struct addr a[2];
	int silent = listener("127.0.0.1", &a[0]), fd = listener("127.0.0.1", &a[1]), held[2];

	fill(&a[0], held);
	loop_test_advance(fx->loop, 0);
	fx->dial = dial_start(fx->loop, a, 2, EACH_MS, on_dialled, fx);
	rounds(fx, 3);
	loop_test_advance(fx->loop, DIAL_STAGGER_MS - 1);
	rounds(fx, 3);
	assert_int_equal(fx->calls, 0); /* not before its time */
	loop_test_advance(fx->loop, 1);
	rounds(fx, 50);
	assert_int_equal(fx->calls, 1);
	assert_true(peer_is(fx, &a[1]));
	(void)close(silent);
	(void)close(fd);
	(void)close(held[0]);
	(void)close(held[1]);
}

static void families_take_turns(void **state)
{
	struct fixture *fx = *state;
	struct addr a[3], silent6;
	int fd6 = listener("::1", &a[0]), fd4 = listener("127.0.0.1", &a[2]), held[2];

	/* Two of IPv6 that are silent, then IPv4: it is second in line, not third. */
	fill(&a[0], held);
	silent6 = a[0];
	a[1] = silent6;
	loop_test_advance(fx->loop, 0);
	fx->dial = dial_start(fx->loop, a, 3, EACH_MS, on_dialled, fx);
	rounds(fx, 3);
	loop_test_advance(fx->loop, DIAL_STAGGER_MS);
	rounds(fx, 50);
	assert_int_equal(fx->calls, 1);
	assert_true(peer_is(fx, &a[2]));
	(void)close(fd6);
	(void)close(fd4);
	(void)close(held[0]);
	(void)close(held[1]);
}

static void all_fail(void **state)
{
	struct fixture *fx = *state;
	struct addr a[2];
	int x = listener("127.0.0.1", &a[0]), y = listener("127.0.0.1", &a[1]);

	(void)close(x);
	(void)close(y);
	fx->dial = dial_start(fx->loop, a, 2, EACH_MS, on_dialled, fx);
	rounds(fx, 50);
	assert_int_equal(fx->calls, 1);
	assert_null(fx->f);
	assert_int_equal(fx->err.code, E_IO);
}

static void silence_times_out(void **state)
{
	struct fixture *fx = *state;
	struct addr a;
	int fd = listener("127.0.0.1", &a), held[2];

	fill(&a, held);
	loop_test_advance(fx->loop, 0);
	fx->dial = dial_start(fx->loop, &a, 1, EACH_MS, on_dialled, fx);
	rounds(fx, 3);
	loop_test_advance(fx->loop, EACH_MS - 1);
	rounds(fx, 3);
	assert_int_equal(fx->calls, 0);
	loop_test_advance(fx->loop, 1);
	rounds(fx, 50);
	assert_int_equal(fx->calls, 1);
	assert_int_equal(fx->err.code, E_TIMEOUT);
	(void)close(fd);
	(void)close(held[0]);
	(void)close(held[1]);
}

static void cancelled_is_silent(void **state)
{
	struct fixture *fx = *state;
	struct addr a;
	int fd = listener("127.0.0.1", &a);

	dial_cancel(dial_start(fx->loop, &a, 1, EACH_MS, on_dialled, fx));
	rounds(fx, 5);
	assert_int_equal(fx->calls, 0);
	dial_cancel(NULL);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_that_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_goes_on_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_one_is_overtaken, setup, teardown),
		cmocka_unit_test_setup_teardown(families_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(all_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_times_out, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_is_silent, setup, teardown),
	};

	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
