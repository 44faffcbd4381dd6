#include "sys/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop_fixture.h"

/* ---- watches ---- */

static void test_read_write_hangup(void **state)
{
	struct loop_watch w = { .loop = NULL };
	struct seen seen = { 0 };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(loop_watch(*state, &w, sv[0], LOOP_READ, note, &seen, &err), 0);
	once(*state);
	assert_int_equal(seen.calls, 0);

	assert_int_equal(write(sv[1], "x", 1), 1);
	once(*state);
	once(*state); /* level-triggered: nobody has read it */
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.events, LOOP_READ);

	loop_watch_events(&w, LOOP_WRITE);
	once(*state);
	assert_int_equal(seen.events, LOOP_WRITE);
	loop_watch_events(&w, LOOP_READ | LOOP_WRITE);
	once(*state);
	assert_int_equal(seen.events, LOOP_READ | LOOP_WRITE);

	/* A peer that only stops sending is end of file, not a hang-up. */
	loop_watch_events(&w, 0);
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	seen.calls = 0;
	once(*state);
	assert_int_equal(seen.calls, 0);

	(void)close(sv[1]);
	once(*state);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.events, LOOP_HANGUP);

	loop_unwatch(&w);
	loop_unwatch(&w);
	once(*state);
	assert_int_equal(seen.calls, 1);
	(void)close(sv[0]);
}

/* Two watches that are ready in one batch; whoever comes first acts on the other. */
struct pair;
struct member {
	struct pair *pair;
	struct loop_watch w;
	int pipe[2];
};
struct pair {
	struct loop *loop;
	struct member m[2];
	int calls;
	unsigned events;
	/* for the test of reused numbers */
	struct loop_watch fresh;
	struct seen fresh_seen;
};

static void pair_start(struct pair *p, struct loop *l, loop_fd_fn *fn)
{
	*p = (struct pair){ .loop = l };
	for (int i = 0; i < 2; i++) {
		p->m[i].pair = p;
		ready_pipe(p->m[i].pipe);
		assert_int_equal(loop_watch(l, &p->m[i].w, p->m[i].pipe[0], LOOP_READ, fn, &p->m[i],
					    &err),
				 0);
	}
}

static void pair_end(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		loop_unwatch(&p->m[i].w);
		close_pipe(p->m[i].pipe);
	}
}

static struct member *other(struct member *m)
{
	return &m->pair->m[m == &m->pair->m[0]];
}

static void remove_other(void *arg, unsigned events)
{
	struct member *m = arg;

	(void)events;
	m->pair->calls++;
	loop_unwatch(&other(m)->w);
}

static void test_remove_other_in_batch(void **state)
{
	struct pair p;

	pair_start(&p, *state, remove_other);
	once(*state);
	assert_int_equal(p.calls, 1);
	once(*state);
	assert_int_equal(p.calls, 2); /* the one that is left */
	pair_end(&p);
}

static void remove_both(void *arg, unsigned events)
{
	struct member *m = arg;

	(void)events;
	m->pair->calls++;
	loop_unwatch(&m->w);
	loop_unwatch(&other(m)->w);
}

static void test_remove_self_and_other(void **state)
{
	struct pair p;

	pair_start(&p, *state, remove_both);
	once(*state);
	once(*state);
	assert_int_equal(p.calls, 1);
	pair_end(&p);
}

/*
 * Takes the other out, closes it, and puts a new, silent pipe under the same descriptor number: the
 * new watch gets the old one's slot too, and must not get its event.
 */
static void replace_other(void *arg, unsigned events)
{
	struct member *m = arg, *o = other(m);
	struct pair *p = m->pair;
	uint32_t slot = o->w.slot;
	int silent[2], fd = o->pipe[0];

	(void)events;
	if (p->calls++)
		return;
	loop_unwatch(&o->w);
	assert_int_equal(pipe2(silent, O_CLOEXEC), 0);
	assert_int_equal(dup2(silent[0], fd), fd);
	(void)close(silent[0]);
	(void)close(o->pipe[1]);
	o->pipe[1] = silent[1];
	assert_int_equal(loop_watch(p->loop, &p->fresh, fd, LOOP_READ, note, &p->fresh_seen, &err),
			 0);
	assert_int_equal(p->fresh.slot, slot);
}

static void test_reused_number_in_batch(void **state)
{
	struct pair p;

	pair_start(&p, *state, replace_other);
	once(*state);
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.fresh_seen.calls, 0);
	for (int i = 0; i < 2; i++)
		if (!p.m[i].w.loop)
			assert_int_equal(write(p.m[i].pipe[1], "y", 1), 1);
	once(*state);
	assert_int_equal(p.fresh_seen.calls, 1);
	assert_int_equal(p.fresh_seen.events, LOOP_READ);
	loop_unwatch(&p.fresh);
	pair_end(&p);
}

static void silence_other(void *arg, unsigned events)
{
	struct member *m = arg;

	(void)events;
	m->pair->calls++;
	loop_watch_events(&other(m)->w, LOOP_WRITE);
}

static void test_interest_taken_back_in_batch(void **state)
{
	struct pair p;

	pair_start(&p, *state, silence_other);
	once(*state);
	assert_int_equal(p.calls, 1);
	pair_end(&p);
}

static void test_watch_errors(void **state)
{
	struct loop_watch w = { .loop = NULL }, second = { .loop = NULL };
	struct seen seen = { 0 };
	int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	ready_pipe(fds);
	assert_true(file >= 0);
	assert_int_equal(loop_watch(*state, &w, file, LOOP_READ, note, &seen, &err), -1);
	assert_int_equal(err.code, E_SYS);
	assert_null(w.loop);
	(void)close(file);

	assert_int_equal(loop_watch(*state, &w, fds[0], LOOP_READ, note, &seen, &err), 0);
	assert_int_equal(loop_watch(*state, &w, fds[1], LOOP_WRITE, note, &seen, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(loop_watch(*state, &second, fds[0], LOOP_READ, note, &seen, &err), -1);
	assert_int_equal(err.code, E_SYS);
	once(*state);
	assert_int_equal(seen.calls, 1);
	loop_unwatch(&w);

	/* The failed attempts have left nothing behind: there is nothing to wait for. */
	assert_int_equal(loop_run(*state, &err), 0);
	close_pipe(fds);
}

/* More watches than one batch holds, more than the first tables hold. */
static void test_many_watches(void **state)
{
	struct rlimit lim;
	size_t n = 20000;
	struct loop_watch *w;
	struct seen *seen;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = lim.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	if (n > lim.rlim_cur - 64)
		n = lim.rlim_cur - 64;
	w = mem_array(n, sizeof(*w));
	seen = mem_array(n, sizeof(*seen));
	for (size_t i = 0; i < n; i++) {
		int fd = eventfd(i % 2, EFD_CLOEXEC | EFD_NONBLOCK);

		assert_true(fd >= 0);
		assert_int_equal(loop_watch(*state, &w[i], fd, LOOP_READ, note, &seen[i], &err), 0);
	}
	/* Ready ones take turns, so that each has been called after as many batches as it takes. */
	for (size_t i = 0; i < n; i += 100)
		once(*state);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(seen[i].calls > 0, i % 2);
		loop_unwatch(&w[i]);
		(void)close(w[i].fd);
	}
	free(w);
	free(seen);
}

/* ---- running ---- */

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

static void test_run_and_stop(void **state)
{
	struct loop_watch w = { .loop = NULL };
	struct loop_timer t = { .loop = NULL };
	struct seen seen = { 0 };
	int fds[2], fired = 0;

	assert_int_equal(loop_run(*state, &err), 0); /* nothing to wait for */

	ready_pipe(fds);
	assert_int_equal(loop_watch(*state, &w, fds[0], LOOP_READ, note, &seen, &err), 0);
	loop_stop(*state);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(seen.calls, 0);

	loop_timer(*state, &t, 0, stop_loop, *state);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_true(seen.calls > 0);
	loop_unwatch(&w);
	loop_timer(*state, &t, 0, count, &fired);
	assert_int_equal(loop_run(*state, &err), 0); /* the stop has been used up */
	assert_int_equal(fired, 1);
	close_pipe(fds);
}

struct nested {
	struct loop *loop;
	struct err err;
	int rc;
};

static void run_nested(void *arg)
{
	struct nested *n = arg;

	n->rc = loop_once(n->loop, 0, &n->err);
}

static void test_nested_round_refused(void **state)
{
	struct nested n = { .loop = *state };
	struct loop_timer t = { .loop = NULL };

	loop_timer(*state, &t, 0, run_nested, &n);
	once(*state);
	assert_int_equal(n.rc, -1);
	assert_int_equal(n.err.code, E_BAD);
}

static void test_free_makes_inactive(void **state)
{
	struct loop *l = loop_new(&err);
	struct loop_watch w = { .loop = NULL };
	struct loop_timer t = { .loop = NULL };
	struct loop_deferred d = { .queued = false };
	struct seen seen = { 0 };
	int fds[2], calls = 0;

	(void)state;
	ready_pipe(fds);
	assert_int_equal(loop_watch(l, &w, fds[0], LOOP_READ, note, &seen, &err), 0);
	loop_timer(l, &t, 0, count, &calls);
	loop_defer(l, &d, count, &calls);
	loop_free(l);
	assert_null(w.loop);
	assert_null(t.loop);
	assert_false(d.queued);
	loop_unwatch(&w);
	loop_timer_stop(&t);
	loop_undefer(&d);
	assert_int_equal(seen.calls + calls, 0);
	close_pipe(fds);
	loop_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_read_write_hangup),
		LOOP_TEST(test_remove_other_in_batch),
		LOOP_TEST(test_remove_self_and_other),
		LOOP_TEST(test_reused_number_in_batch),
		LOOP_TEST(test_interest_taken_back_in_batch),
		LOOP_TEST(test_watch_errors),
		LOOP_TEST(test_many_watches),
		LOOP_TEST(test_run_and_stop),
		LOOP_TEST(test_nested_round_refused),
		LOOP_TEST(test_free_makes_inactive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
