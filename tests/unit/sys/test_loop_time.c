#include "sys/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop_fixture.h"

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
	bool again;           /* rearmed by the callback */
	int64_t again_ms;
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
	a.again_ms = -1000; /* no excuse for passing what is due */
	arm(&b, &s, 'b', 0);
	once(*state);
	assert_string_equal(s.text, "abaab");
	a.again = false;
	once(*state);
	once(*state);
	assert_string_equal(s.text, "abaaba");
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
	struct loop_deferred between = { .queued = false };
	int between_calls = 0, replaced = 0;

	loop_defer(*state, &c.first, count, &replaced);
	loop_defer(*state, &between, count, &between_calls);
	loop_defer(*state, &c.first, defer_second, &c);
	assert_int_equal(loop_once(*state, -1, &err), 0); /* does not wait */
	assert_int_equal(between_calls, 1);
	assert_int_equal(replaced, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_timer_order),
		LOOP_TEST(test_timer_stops_other),
		LOOP_TEST(test_timer_rearmed_in_callback),
		LOOP_TEST(test_timer_far_future),
		LOOP_TEST(test_timer_heap_model),
		LOOP_TEST(test_real_clock),
		LOOP_TEST(test_defer),
		LOOP_TEST(test_defer_does_not_starve),
		LOOP_TEST(test_undefer),
		LOOP_TEST(test_reap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
