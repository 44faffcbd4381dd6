#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/resolve.h"

/* --- a getaddrinfo of our own, which the program gets instead of the C library's ---------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;          /* lookups of held*.test wait */
static unsigned calls;     /* lookups begun */
static unsigned under_way; /* lookups waiting in here */
static unsigned under_way_max;
static bool signals_open; /* a lookup ran with a signal not blocked */
static char last_name[300];

static void check_signals(void)
{
	sigset_t set;

	(void)pthread_sigmask(SIG_BLOCK, NULL, &set);
	if (!sigismember(&set, SIGTERM) || !sigismember(&set, SIGINT) || !sigismember(&set, SIGHUP))
		signals_open = true;
}

static struct addrinfo *item(const char *ip, struct addrinfo *next)
{
	struct {
		struct addrinfo ai;
		struct addr a;
	} *it = mem_zalloc(sizeof(*it));

	if (addr_parse(str_of(ip), 0, &it->a, NULL))
		abort();
	it->ai.ai_family = it->a.sa.sa_family;
	it->ai.ai_addr = &it->a.sa;
	it->ai.ai_addrlen = it->a.len;
	it->ai.ai_next = next;
	return &it->ai;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	struct str s = str_of(name);
	char ip[32];

	(void)pthread_mutex_lock(&lock);
	calls++;
	(void)snprintf(last_name, sizeof(last_name), "%s", name);
	check_signals();
	if (service || hints->ai_family != AF_UNSPEC)
		abort();
	if (++under_way > under_way_max)
		under_way_max = under_way;
	(void)pthread_cond_broadcast(&changed);
	while (held && str_starts(s, STR("held")))
		(void)pthread_cond_wait(&changed, &lock);
	under_way--;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
	if (str_starts(s, STR("none")))
		return EAI_NONAME;
	if (str_starts(s, STR("again")))
		return EAI_AGAIN;
	if (str_starts(s, STR("fail")))
		return EAI_FAIL;
	if (str_starts(s, STR("system"))) {
		errno = EMFILE;
		return EAI_SYSTEM;
	}
	*ret = NULL;
	if (str_starts(s, STR("empty")))
		return 0;
	if (str_starts(s, STR("many"))) {
		for (unsigned i = 20; i > 0; i--) {
			(void)snprintf(ip, sizeof(ip), "192.0.2.%u", i);
			*ret = item(ip, *ret);
		}
		return 0;
	}
	*ret = item("2001:db8::7", item("192.0.2.7", NULL));
	return 0;
}

void freeaddrinfo(struct addrinfo *ai)
{
	while (ai) {
		struct addrinfo *next = ai->ai_next;

		free(ai);
		ai = next;
	}
}

static void hold(bool on)
{
	(void)pthread_mutex_lock(&lock);
	held = on;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
}

static void wait_under_way(unsigned n)
{
	(void)pthread_mutex_lock(&lock);
	while (under_way != n)
		(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static unsigned calls_so_far(void)
{
	unsigned n;

	(void)pthread_mutex_lock(&lock);
	n = calls;
	(void)pthread_mutex_unlock(&lock);
	return n;
}

/* --- fixture ------------------------------------------------------------------------------------ */

static struct loop *loop;
static struct resolver *resolver;

struct answer {
	unsigned told;
	enum err_code code;
	char text[ERR_TEXT_MAX];
	struct resolve_result res;
	struct resolve_query *cancel; /* in the callback */
	struct answer *start;         /* in the callback, for again.test */
};

static void on_answer(void *arg, const struct resolve_result *res, const struct err *err)
{
	struct answer *a = arg;

	a->told++;
	assert_true((res == NULL) != (err == NULL));
	if (err) {
		a->code = err->code;
		memcpy(a->text, err->text, sizeof(a->text));
	} else {
		a->code = E_NONE;
		a->res = *res;
	}
	if (a->cancel)
		resolve_cancel(steal(&a->cancel));
	if (a->start)
		(void)resolve_start(resolver, STR("192.0.2.99"), 1, on_answer, steal(&a->start));
}

static int set_up(void **state)
{
	(void)state;
	held = false;
	calls = 0;
	under_way_max = 0;
	loop = loop_new(NULL);
	resolver = loop ? resolver_new(loop, NULL) : NULL;
	return resolver ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	hold(false);
	resolver_free(resolver);
	loop_free(loop);
	/* Threads leave by themselves; the next test counts from zero. */
	wait_under_way(0);
	return 0;
}

static struct resolve_query *ask(struct answer *a, const char *host)
{
	return resolve_start(resolver, str_of(host), 443, on_answer, a);
}

static void until_told(const struct answer *a)
{
	struct err err = ERR_INIT;

	while (a->told == 0)
		assert_int_equal(loop_once(loop, 10000, &err), 0);
	assert_int_equal(a->told, 1);
}

static void one(struct answer *a, const char *host)
{
	*a = (struct answer){ .told = 0 };
	(void)ask(a, host);
	assert_int_equal(a->told, 0); /* never inside resolve_start */
	until_told(a);
}

static void assert_addr(const struct addr *a, const char *expected)
{
	char text[ADDR_TEXT_MAX];

	addr_text(a, true, text);
	assert_string_equal(text, expected);
}

/* --- tests -------------------------------------------------------------------------------------- */

static void test_lookup(void **state)
{
	struct answer a;

	(void)state;
	one(&a, "Host.Test.");
	assert_int_equal(a.code, E_NONE);
	assert_string_equal(last_name, "host.test");
	assert_int_equal(a.res.count, 2);
	assert_false(a.res.pinned);
	assert_addr(&a.res.addrs[0], "[2001:db8::7]:443");
	assert_addr(&a.res.addrs[1], "192.0.2.7:443");
	assert_false(signals_open);
	one(&a, "many.test");
	assert_int_equal(a.res.count, RESOLVE_ADDRS_MAX);
	assert_addr(&a.res.addrs[15], "192.0.2.16:443");
}

static void test_failures(void **state)
{
	struct answer a;

	(void)state;
	one(&a, "none.test");
	assert_int_equal(a.code, E_NOTFOUND);
	assert_string_equal(a.text, "none.test: no such host");
	one(&a, "empty.test");
	assert_int_equal(a.code, E_NOTFOUND);
	one(&a, "again.test");
	assert_int_equal(a.code, E_TIMEOUT);
	one(&a, "fail.test");
	assert_int_equal(a.code, E_IO);
	one(&a, "system.test");
	assert_int_equal(a.code, E_EXHAUSTED);
	assert_non_null(strstr(a.text, strerror(EMFILE)));
}

static void test_literals(void **state)
{
	struct answer a;

	(void)state;
	one(&a, "192.0.2.5");
	assert_int_equal(a.res.count, 1);
	assert_addr(&a.res.addrs[0], "192.0.2.5:443");
	one(&a, "::1");
	assert_addr(&a.res.addrs[0], "[::1]:443");
	one(&a, "[2001:db8::1]");
	assert_addr(&a.res.addrs[0], "[2001:db8::1]:443");
	assert_int_equal(calls_so_far(), 0);
}

static void test_refused_without_lookup(void **state)
{
	static const char *const spellings[] = { "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1",
						 "127.0.0.1." };
	static const char *const names[] = {
		"",
		".",
		"..",
		"a..b",
		".a",
		"a b",
		"a/b",
		"a:80",
		"fe80::1%eth0",
		"1.2.3.256",
		"host.123",
		"4294967296",
		"a\xc3\xa4.test",
		"a\nb",
		"a@b",
		"*.test",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
	};
	struct answer a;
	char longer[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		one(&a, spellings[i]);
		assert_int_equal(a.code, E_BAD);
		assert_non_null(strstr(a.text, "spelling"));
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		one(&a, names[i]);
		assert_int_equal(a.code, E_BAD);
		assert_non_null(strstr(a.text, "not a host name"));
	}
	for (size_t i = 0; i < sizeof(longer); i++)
		longer[i] = i % 2 ? '.' : 'a';
	longer[255] = '\0';
	one(&a, longer);
	assert_int_equal(a.code, E_BAD);
	longer[253] = '\0';
	one(&a, longer);
	assert_int_equal(a.code, E_NONE);
	assert_int_equal(calls_so_far(), 1);

	/* A NUL inside hides nothing. */
	a = (struct answer){ .told = 0 };
	(void)resolve_start(resolver, str_mem("host.test\0.evil", 15), 443, on_answer, &a);
	until_told(&a);
	assert_int_equal(a.code, E_BAD);
	a.told = 0;
	(void)resolve_start(resolver, str_mem("host.test\0", 10), 443, on_answer, &a);
	until_told(&a);
	assert_int_equal(a.code, E_BAD);
	assert_int_equal(calls_so_far(), 1);
}

static void test_cache(void **state)
{
	struct answer a;

	(void)state;
	one(&a, "host.test");
	one(&a, "HOST.test");
	assert_int_equal(calls_so_far(), 1);
	loop_test_advance(loop, RESOLVE_TTL_MS - 1000);
	one(&a, "host.test");
	assert_int_equal(calls_so_far(), 1);
	loop_test_advance(loop, 1000);
	one(&a, "host.test");
	assert_int_equal(calls_so_far(), 2);

	one(&a, "none.test");
	one(&a, "none.test");
	assert_int_equal(a.code, E_NOTFOUND);
	assert_int_equal(calls_so_far(), 3);
	loop_test_advance(loop, RESOLVE_NEG_TTL_MS);
	one(&a, "none.test");
	assert_int_equal(calls_so_far(), 4);
}

static void test_questions_share_a_lookup(void **state)
{
	struct answer a[5] = { { .told = 0 } };

	(void)state;
	hold(true);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		(void)ask(&a[i], "held.test");
	wait_under_way(1);
	hold(false);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		until_told(&a[i]);
	assert_int_equal(calls_so_far(), 1);
}

static void test_threads_are_bounded(void **state)
{
	struct answer a[RESOLVE_THREADS + 3] = { { .told = 0 } };
	char name[32];

	(void)state;
	hold(true);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		(void)snprintf(name, sizeof(name), "held%zu.test", i);
		(void)ask(&a[i], name);
	}
	wait_under_way(RESOLVE_THREADS);
	hold(false);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		until_told(&a[i]);
	assert_int_equal(calls_so_far(), RESOLVE_THREADS + 3);
	assert_int_equal(under_way_max, RESOLVE_THREADS);
}

static void test_cancel_while_it_runs(void **state)
{
	struct answer a = { .told = 0 }, b = { .told = 0 }, c = { .told = 0 };
	struct resolve_query *qa;

	(void)state;
	hold(true);
	qa = ask(&a, "held.test");
	(void)ask(&b, "held.test");
	wait_under_way(1);
	resolve_cancel(qa);
	hold(false);
	until_told(&b);
	assert_int_equal(a.told, 0);
	one(&c, "held.test"); /* the result was kept */
	assert_int_equal(calls_so_far(), 1);
}

static void test_cancel_everything_while_it_runs(void **state)
{
	struct answer a = { .told = 0 }, b = { .told = 0 };
	struct resolve_query *q;

	(void)state;
	hold(true);
	q = ask(&a, "held.test");
	wait_under_way(1);
	resolve_cancel(q);
	(void)ask(&b, "held.test"); /* joins the lookup that goes on */
	hold(false);
	until_told(&b);
	assert_int_equal(a.told, 0);
	assert_int_equal(calls_so_far(), 1);
}

static void test_cancel_before_told(void **state)
{
	struct answer a = { .told = 0 }, b = { .told = 0 }, c = { .told = 0 };
	struct resolve_query *q = ask(&a, "192.0.2.1");

	(void)state;
	(void)ask(&b, "192.0.2.2");
	resolve_cancel(q);
	until_told(&b);
	assert_int_equal(a.told, 0);

	/* the last in line, then another behind it */
	b.told = 0;
	(void)ask(&a, "192.0.2.1");
	q = ask(&b, "192.0.2.2");
	resolve_cancel(q);
	(void)ask(&c, "192.0.2.3");
	until_told(&c);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 0);
}

static void test_callback_cancels_and_starts(void **state)
{
	struct answer a = { .told = 0 }, b = { .told = 0 }, c = { .told = 0 }, d = { .told = 0 };

	(void)state;
	(void)ask(&a, "192.0.2.1");
	a.cancel = ask(&b, "192.0.2.2");
	a.start = &d;
	(void)ask(&c, "192.0.2.3");
	until_told(&d);
	assert_int_equal(a.told, 1);
	assert_int_equal(b.told, 0);
	assert_int_equal(c.told, 1);
	assert_addr(&d.res.addrs[0], "192.0.2.99:1");
}

static void test_free_while_it_runs(void **state)
{
	struct answer a = { .told = 0 }, b = { .told = 0 }, c = { .told = 0 };

	(void)state;
	hold(true);
	(void)ask(&a, "held.test");
	(void)ask(&b, "held.test");
	(void)ask(&c, "192.0.2.1");
	wait_under_way(1);
	resolver_free(resolver);
	resolver = resolver_new(loop, NULL);
	hold(false);
	one(&c, "other.test");
	assert_int_equal(a.told, 0);
	assert_int_equal(b.told, 0);
}

static void test_pins(void **state)
{
	struct addr one_addr, two_addr;
	struct answer a = { .told = 0 };

	(void)state;
	assert_int_equal(addr_parse(STR("10.0.0.1"), 1, &one_addr, NULL), 0);
	assert_int_equal(addr_parse(STR("::1"), 1, &two_addr, NULL), 0);
	resolver_pin(resolver, STR("Pinned.Test"), 443, &one_addr);
	resolver_pin(resolver, STR("pinned.test"), 443, &two_addr);
	one(&a, "pinned.TEST");
	assert_true(a.res.pinned);
	assert_int_equal(a.res.count, 2);
	assert_addr(&a.res.addrs[0], "10.0.0.1:443");
	assert_addr(&a.res.addrs[1], "[::1]:443");
	assert_int_equal(calls_so_far(), 0);

	/* Of another port, or a name that only begins so, it is no pin. */
	a = (struct answer){ .told = 0 };
	(void)resolve_start(resolver, STR("pinned.test"), 80, on_answer, &a);
	until_told(&a);
	assert_false(a.res.pinned);
	assert_addr(&a.res.addrs[1], "192.0.2.7:80");
	one(&a, "pinned.test.evil.test");
	assert_false(a.res.pinned);
	a = (struct answer){ .told = 0 };
	(void)resolve_start(resolver, str_mem("pinned.test\0x", 13), 443, on_answer, &a);
	until_told(&a);
	assert_int_equal(a.code, E_BAD);
}

/* The table is bounded: old names go, names in use stay, and when all are in use a new one is
 * refused. */
static void test_cache_is_bounded(void **state)
{
	struct answer a, *waiting;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < RESOLVE_CACHE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.test", i);
		one(&a, name);
	}
	assert_int_equal(calls_so_far(), RESOLVE_CACHE_MAX);
	one(&a, "n0.test"); /* used again: no longer the oldest */
	one(&a, "more.test");
	assert_int_equal(calls_so_far(), RESOLVE_CACHE_MAX + 1);
	one(&a, "n0.test");
	assert_int_equal(calls_so_far(), RESOLVE_CACHE_MAX + 1);
	one(&a, "n1.test"); /* this one went */
	assert_int_equal(calls_so_far(), RESOLVE_CACHE_MAX + 2);

	/* Names whose answers are about to be told are in use. */
	waiting = mem_array(RESOLVE_CACHE_MAX, sizeof(*waiting));
	(void)ask(&waiting[0], "n0.test");
	for (unsigned i = 3; i < RESOLVE_CACHE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.test", i);
		(void)ask(&waiting[i], name);
	}
	(void)ask(&waiting[1], "n1.test");
	(void)ask(&waiting[2], "more.test");
	a = (struct answer){ .told = 0 };
	(void)ask(&a, "onemore.test");
	for (unsigned i = 0; i < RESOLVE_CACHE_MAX; i++)
		until_told(&waiting[i]);
	until_told(&a);
	assert_int_equal(a.code, E_LIMIT);
	assert_int_equal(calls_so_far(), RESOLVE_CACHE_MAX + 2);
	free(waiting);

	hold(true);
	waiting = mem_array(RESOLVE_CACHE_MAX, sizeof(*waiting));
	for (unsigned i = 0; i < RESOLVE_CACHE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "held%u.test", i);
		(void)ask(&waiting[i], name);
	}
	one(&a, "onemore.test");
	assert_int_equal(a.code, E_LIMIT);
	hold(false);
	for (unsigned i = 0; i < RESOLVE_CACHE_MAX; i++)
		until_told(&waiting[i]);
	one(&a, "onemore.test");
	assert_int_equal(a.code, E_NONE);
	free(waiting);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_lookup),
		TEST(test_failures),
		TEST(test_literals),
		TEST(test_refused_without_lookup),
		TEST(test_cache),
		TEST(test_questions_share_a_lookup),
		TEST(test_threads_are_bounded),
		TEST(test_cancel_while_it_runs),
		TEST(test_cancel_everything_while_it_runs),
		TEST(test_cancel_before_told),
		TEST(test_callback_cancels_and_starts),
		TEST(test_free_while_it_runs),
		TEST(test_pins),
		TEST(test_cache_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
