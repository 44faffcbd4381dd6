#include "sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static struct err err;

static int setup(void **state)
{
	err_clear(&err);
	*state = loop_new(&err);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static void once(struct loop *l)
{
	assert_int_equal(loop_once(l, 0, &err), 0);
}

/* A pipe with one byte in it: readable until somebody reads. */
static void ready_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
}

static void close_pipe(int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

struct seen {
	int calls;
	unsigned events;
};

static void note(void *arg, unsigned events)
{
	struct seen *s = arg;

	s->calls++;
	s->events = events;
}

static void count(void *arg)
{
	++*(int *)arg;
}

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

/* ---- timers ---- */

struct script {
	struct loop *loop;
	char text[64]; /* the names of the timers that fired */
	size_t len;
};
struct named {
	struct loop_timer t;
	struct script *script;
	char name;
	struct named *victim; /* stopped by the callback */
	int64_t again_ms;     /* >= 0: rearmed by the callback */
	bool again;
};

static void on_named(void *arg)
{
	struct named *n = arg;
	struct script *s = n->script;

	if (s->len < sizeof(s->text) - 1)
		s->text[s->len++] = n->name;
	if (n->victim)
		loop_timer_stop(&n->victim->t);
	if (n->again)
		loop_timer(s->loop, &n->t, n->again_ms, on_named, n);
}

static void arm(struct named *n, struct script *s, char name, int64_t in_ms)
{
	n->script = s;
	n->name = name;
	loop_timer(s->loop, &n->t, in_ms, on_named, n);
}

static void test_timer_order(void **state)
{
	struct script s = { .loop = *state };
	struct named a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 }, e = { 0 };

	loop_test_advance(*state, 0);
	arm(&a, &s, 'a', 30);
	arm(&b, &s, 'b', 10);
	arm(&c, &s, 'c', 20);
	arm(&d, &s, 'd', 10);
	arm(&e, &s, 'e', -5);
	once(*state);
	assert_string_equal(s.text, "e");
	loop_test_advance(*state, 9);
	once(*state);
	assert_string_equal(s.text, "e");
	loop_test_advance(*state, 1);
	once(*state);
	assert_string_equal(s.text, "ebd");
	assert_null(b.t.loop);
	arm(&a, &s, 'a', 5); /* 15, before c: rearming moves */
	loop_test_advance(*state, 1000);
	once(*state);
	assert_string_equal(s.text, "ebdac");
}

static void test_timer_stops_other(void **state)
{
	struct script s = { .loop = *state };
	struct named a = { 0 }, b = { 0 };

	loop_test_advance(*state, 0);
	arm(&a, &s, 'a', 10);
	arm(&b, &s, 'b', 10);
	a.victim = &b;
	loop_test_advance(*state, 10);
	once(*state);
	assert_string_equal(s.text, "a");
	loop_timer_stop(&b.t);
	assert_int_equal(loop_run(*state, &err), 0);
}

/* Rearmed for at once, a timer waits for the next round, behind what was due already. */
static void test_timer_rearmed_in_callback(void **state)
{
	struct script s = { .loop = *state };
	struct named a = { 0 }, b = { 0 };

	loop_test_advance(*state, 0);
	a.again = true;
	arm(&a, &s, 'a', 0);
	arm(&b, &s, 'b', 0);
	once(*state);
	assert_string_equal(s.text, "ab");
	once(*state);
	assert_string_equal(s.text, "aba");
	a.again = false;
	once(*state);
	once(*state);
	assert_string_equal(s.text, "abaa");
}

static void test_timer_far_future(void **state)
{
	struct script s = { .loop = *state };
	struct named a = { 0 }, b = { 0 };

	arm(&a, &s, 'a', INT64_MAX);
	arm(&b, &s, 'b', 0);
	assert_int_equal(loop_once(*state, -1, &err), 0);
	once(*state);
	assert_string_equal(s.text, "b");
	loop_timer_stop(&a.t);
}

/* The heap against the plain way of doing it: an array and a search. */
#define MODEL 500
struct model {
	struct loop_timer t;
	int64_t due;
	bool armed;
	struct model_run *run;
};
struct model_run {
	struct loop *loop;
	struct model m[MODEL];
	int64_t last_due;
	int fired;
};

static void on_model(void *arg)
{
	struct model *m = arg;

	assert_true(m->armed);
	assert_true(m->due <= loop_now(m->run->loop));
	assert_true(m->due >= m->run->last_due);
	m->run->last_due = m->due;
	m->armed = false;
	m->run->fired++;
}

static void test_timer_heap_model(void **state)
{
	struct model_run *r = mem_new(struct model_run);
	uint32_t rnd = 12345;
	int due;

	r->loop = *state;
	loop_test_advance(*state, 0);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 100; i++) {
			struct model *m;

			rnd = rnd * 1664525u + 1013904223u;
			m = &r->m[(rnd >> 8) % MODEL];
			m->run = r;
			if ((rnd >> 4 & 3) == 0) {
				loop_timer_stop(&m->t);
				m->armed = false;
				continue;
			}
			m->due = loop_now(*state) + (rnd >> 16) % 1000;
			m->armed = true;
			loop_timer(*state, &m->t, (rnd >> 16) % 1000, on_model, m);
		}
		loop_test_advance(*state, 37);
		due = 0;
		for (int i = 0; i < MODEL; i++)
			due += r->m[i].armed && r->m[i].due <= loop_now(*state);
		r->fired = 0;
		r->last_due = 0;
		once(*state);
		assert_int_equal(r->fired, due);
	}
	for (int i = 0; i < MODEL; i++) {
		assert_int_equal(r->m[i].armed, r->m[i].t.loop != NULL);
		loop_timer_stop(&r->m[i].t);
	}
	free(r);
}

static void test_real_clock(void **state)
{
	struct loop_timer t = { .loop = NULL };
	int64_t start = loop_now(*state);
	int fired = 0;

	loop_timer(*state, &t, 3, count, &fired);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(fired, 1);
	assert_true(loop_now(*state) >= start + 3);
}

/* ---- deferred ---- */

struct defer_case {
	struct loop *loop;
	struct loop_deferred first, second;
	int first_calls, second_calls;
	bool forever;
};

static void defer_second(void *arg)
{
	struct defer_case *c = arg;

	c->first_calls++;
	loop_defer(c->loop, &c->second, count, &c->second_calls);
	if (c->forever)
		loop_defer(c->loop, &c->first, defer_second, c);
}

static void test_defer(void **state)
{
	struct defer_case c = { .loop = *state };

	loop_defer(*state, &c.first, defer_second, &c);
	loop_defer(*state, &c.first, defer_second, &c);
	assert_int_equal(loop_once(*state, -1, &err), 0); /* does not wait */
	assert_int_equal(c.first_calls, 1);
	assert_int_equal(c.second_calls, 0);
	assert_int_equal(loop_once(*state, -1, &err), 0);
	assert_int_equal(c.first_calls, 1);
	assert_int_equal(c.second_calls, 1);
	assert_false(c.second.queued);
}

/* Work that defers itself for ever does not keep descriptors and timers from their turn. */
static void test_defer_does_not_starve(void **state)
{
	struct defer_case c = { .loop = *state, .forever = true };
	struct loop_watch w = { .loop = NULL };
	struct loop_timer t = { .loop = NULL };
	struct seen seen = { 0 };
	int fds[2], fired = 0;

	ready_pipe(fds);
	loop_defer(*state, &c.first, defer_second, &c);
	assert_int_equal(loop_watch(*state, &w, fds[0], LOOP_READ, note, &seen, &err), 0);
	loop_timer(*state, &t, 0, count, &fired);
	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_once(*state, -1, &err), 0);
	assert_int_equal(c.first_calls, 3);
	assert_int_equal(seen.calls, 3);
	assert_int_equal(fired, 1);
	loop_undefer(&c.first);
	loop_undefer(&c.second);
	loop_unwatch(&w);
	close_pipe(fds);
}

static void undefer_second(void *arg)
{
	struct defer_case *c = arg;

	c->first_calls++;
	loop_undefer(&c->second);
}

static void test_undefer(void **state)
{
	struct defer_case c = { .loop = *state };
	struct loop_deferred last = { .queued = false };
	int last_calls = 0;

	/* before the round, and from a callback of the same pass */
	loop_defer(*state, &c.second, count, &c.second_calls);
	loop_undefer(&c.second);
	loop_undefer(&c.second);
	loop_defer(*state, &c.first, undefer_second, &c);
	loop_defer(*state, &c.second, count, &c.second_calls);
	loop_defer(*state, &last, count, &last_calls);
	once(*state);
	assert_int_equal(c.first_calls, 1);
	assert_int_equal(c.second_calls, 0);
	assert_int_equal(last_calls, 1);
}

/* The pattern it is for: a connection that frees itself after the round of its last callback. */
struct conn {
	struct loop_watch w;
	struct loop_deferred reap;
	struct loop *loop;
	int fd, *freed;
};

static void conn_reap(void *arg)
{
	struct conn *c = arg;

	++*c->freed;
	(void)close(c->fd);
	free(c);
}

static void conn_event(void *arg, unsigned events)
{
	struct conn *c = arg;

	(void)events;
	loop_unwatch(&c->w);
	loop_defer(c->loop, &c->reap, conn_reap, c);
}

static void test_reap(void **state)
{
	int freed = 0;

	for (int i = 0; i < 10; i++) {
		struct conn *c = mem_new(struct conn);

		c->loop = *state;
		c->freed = &freed;
		c->fd = eventfd(1, EFD_CLOEXEC);
		assert_int_equal(loop_watch(*state, &c->w, c->fd, LOOP_READ, conn_event, c, &err),
				 0);
	}
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(freed, 10);
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

/* ---- signals and children ---- */

struct signals {
	int calls[_NSIG];
};

static void on_sig(void *arg, int signo)
{
	((struct signals *)arg)->calls[signo]++;
}

static void test_signals(void **state)
{
	const int first[] = { SIGUSR1, SIGTERM }, second[] = { SIGUSR2 }, bad[] = { 0 };
	struct signals a = { { 0 } }, b = { { 0 } };
	struct timespec none = { 0 };
	sigset_t mask;

	assert_int_equal(loop_signals(*state, first, 2, on_sig, &a, &err), 0);
	assert_int_equal(loop_signals(*state, second, 1, on_sig, &b, &err), 0);
	assert_int_equal(loop_signals(*state, bad, 1, on_sig, &a, &err), -1);
	assert_int_equal(err.code, E_BAD);
	(void)raise(SIGUSR1);
	(void)raise(SIGUSR2);
	(void)raise(SIGTERM);
	once(*state);
	once(*state);
	assert_int_equal(a.calls[SIGUSR1], 1);
	assert_int_equal(a.calls[SIGTERM], 1);
	assert_int_equal(a.calls[SIGUSR2], 0);
	assert_int_equal(b.calls[SIGUSR2], 1);

	/* given to another function */
	assert_int_equal(loop_signals(*state, first, 1, on_sig, &b, &err), 0);
	(void)raise(SIGUSR1);
	once(*state);
	assert_int_equal(a.calls[SIGUSR1], 1);
	assert_int_equal(b.calls[SIGUSR1], 1);

	/* signals do not keep a loop running */
	assert_int_equal(loop_run(*state, &err), 0);

	/* still blocked when the loop has gone: nothing kills a teardown */
	loop_free(*state);
	*state = NULL;
	(void)raise(SIGTERM);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGTERM);
	assert_int_equal(sigtimedwait(&mask, NULL, &none), SIGTERM);
	(void)sigaddset(&mask, SIGUSR1);
	(void)sigaddset(&mask, SIGUSR2);
	(void)sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

struct ended {
	int calls, status;
	pid_t pid;
};

static void on_ended(void *arg, pid_t pid, int status)
{
	struct ended *e = arg;

	e->calls++;
	e->pid = pid;
	e->status = status;
}

/* A child that lives until it is released, then exits with `code`. */
static pid_t fork_child(int code, int *ret_fd)
{
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[1]);
		(void)!read(fds[0], &c, 1);
		_exit(code);
	}
	(void)close(fds[0]);
	*ret_fd = fds[1];
	return pid;
}

static void release(int hold)
{
	assert_int_equal(write(hold, "x", 1), 1);
	(void)close(hold);
}

static void test_children(void **state)
{
	struct ended a = { 0 }, b = { 0 };
	int hold_a, hold_b;
	pid_t pa = fork_child(3, &hold_a), pb = fork_child(0, &hold_b);

	assert_int_equal(loop_child(*state, pa, on_ended, &a, &err), 0);
	assert_int_equal(loop_child(*state, pb, on_ended, &b, &err), 0);
	once(*state);
	assert_int_equal(a.calls + b.calls, 0);
	release(hold_a);
	assert_int_equal(loop_once(*state, -1, &err), 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.pid, pa);
	assert_true(WIFEXITED(a.status) && WEXITSTATUS(a.status) == 3);
	assert_int_equal(waitpid(pa, NULL, WNOHANG), -1); /* reaped */

	assert_int_equal(kill(pb, SIGKILL), 0);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(b.calls, 1);
	assert_true(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGKILL);
	(void)close(hold_b);

	assert_int_equal(loop_child(*state, pa, on_ended, &a, &err), -1);
	assert_int_equal(err.code, E_SYS);
}

static void test_child_dead_already(void **state)
{
	struct ended e = { 0 };
	siginfo_t info;
	int hold;
	pid_t pid = fork_child(7, &hold);

	release(hold);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(loop_child(*state, pid, on_ended, &e, &err), 0);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_true(e.calls == 1 && WEXITSTATUS(e.status) == 7);
}

static void test_child_reaped_elsewhere(void **state)
{
	struct ended e = { 0 };
	int hold;
	pid_t pid = fork_child(0, &hold);

	assert_int_equal(loop_child(*state, pid, on_ended, &e, &err), 0);
	release(hold);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(loop_run(*state, &err), 0);
	assert_int_equal(e.calls, 1);
	assert_true(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 255);
}

static void test_child_left_at_free(void **state)
{
	struct ended e = { 0 };
	int hold, status;
	pid_t pid = fork_child(0, &hold);

	assert_int_equal(loop_child(*state, pid, on_ended, &e, &err), 0);
	loop_free(*state);
	*state = NULL;
	release(hold);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(e.calls, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read_write_hangup),
		TEST(test_remove_other_in_batch),
		TEST(test_remove_self_and_other),
		TEST(test_reused_number_in_batch),
		TEST(test_interest_taken_back_in_batch),
		TEST(test_watch_errors),
		TEST(test_many_watches),
		TEST(test_timer_order),
		TEST(test_timer_stops_other),
		TEST(test_timer_rearmed_in_callback),
		TEST(test_timer_far_future),
		TEST(test_timer_heap_model),
		TEST(test_real_clock),
		TEST(test_defer),
		TEST(test_defer_does_not_starve),
		TEST(test_undefer),
		TEST(test_reap),
		TEST(test_run_and_stop),
		TEST(test_nested_round_refused),
		TEST(test_free_makes_inactive),
		TEST(test_signals),
		TEST(test_children),
		TEST(test_child_dead_already),
		TEST(test_child_reaped_elsewhere),
		TEST(test_child_left_at_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
