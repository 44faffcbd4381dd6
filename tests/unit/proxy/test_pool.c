/*
 * The pool over real sockets on loopback: plain HTTP/1.1 upstreams that the test itself plays.
 * HTTP/2 and TLS are in tests/integration/test_pool.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "proxy/pool.h"

#define REQUESTS 8
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct request {
	struct pool_wait *wait;
	struct stream *stream;
	struct arena arena;
	int failed; /* on_failed of the pool, or on_fail of the stream */
	int status; /* of the answer */
	bool ended, done;
	enum reason reason;
	struct err err;
};

struct fixture {
	struct proxy p;
	struct proxy_config config;
	struct pool *pool;
	int listener;
	struct addr at;
	struct request requests[REQUESTS];
	int peers[REQUESTS]; /* accepted */
	size_t n_peers;
};

static void spin(struct fixture *fx)
{
	struct err err = ERR_INIT;

	/* Loopback delivers at once; the rounds are for what is deferred. */
	for (int i = 0; i < 16; i++)
		assert_int_equal(loop_once(fx->p.loop, 0, &err), 0);
}

static void advance(struct fixture *fx, int64_t ms)
{
	loop_test_advance(fx->p.loop, ms);
	spin(fx);
}

static int setup(void **state)
{
	struct fixture *fx = mem_new(struct fixture);
	struct err err = ERR_INIT;

	fx->p.loop = loop_new(&err);
	assert_non_null(fx->p.loop);
	fx->p.config = &fx->config;
	fx->p.upstream_timeouts = (struct h1_timeouts){ .idle = 60000, .keepalive = POOL_IDLE_MS };
	fx->p.resolver = resolver_new(fx->p.loop, &err);
	assert_non_null(fx->p.resolver);
	fx->pool = pool_new(&fx->p);
	assert_int_equal(addr_parse(STR("127.0.0.1"), 0, &fx->at, NULL), 0);
	fx->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fx->listener, &fx->at.sa, fx->at.len), 0);
	assert_int_equal(listen(fx->listener, 64), 0);
	assert_int_equal(getsockname(fx->listener, &fx->at.sa, &fx->at.len), 0);
	resolver_pin(fx->p.resolver, STR("up.test"), addr_port(&fx->at), &fx->at);
	resolver_pin(fx->p.resolver, STR("other.test"), addr_port(&fx->at), &fx->at);
	loop_test_advance(fx->p.loop, 0);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	for (size_t i = 0; i < REQUESTS; i++) {
		pool_cancel(fx->requests[i].wait);
		if (fx->requests[i].stream)
			stream_abort(fx->requests[i].stream);
		arena_fini(&fx->requests[i].arena);
	}
	pool_free(fx->pool);
	spin(fx);
	for (size_t i = 0; i < fx->n_peers; i++)
		(void)close(fx->peers[i]);
	if (fx->listener >= 0)
		(void)close(fx->listener);
	resolver_free(fx->p.resolver);
	loop_free(fx->p.loop);
	free(fx);
	return 0;
}

static void on_head(void *arg, struct msg *m)
{
	((struct request *)arg)->status = m->status;
}

static void on_end(void *arg, const struct fields *trailers)
{
	(void)trailers;
	((struct request *)arg)->ended = true;
}

static void on_fail(void *arg, const struct err *err)
{
	struct request *r = arg;

	r->failed++;
	r->err = *err;
	r->stream = NULL;
}

static void on_done(void *arg)
{
	struct request *r = arg;

	r->done = true;
	r->stream = NULL;
}

static void on_stream(void *arg, struct stream *s, enum upstream_speaks speaks)
{
	static const struct stream_handler handler = {
		.on_head = on_head,
		.on_end = on_end,
		.on_fail = on_fail,
		.on_done = on_done,
	};
	struct request *r = arg;
	struct err err = ERR_INIT;
	struct msg m;

	assert_int_equal(speaks, SPEAKS_H1);
	r->wait = NULL;
	r->stream = s;
	stream_handle(s, &handler, r);
	arena_init(&r->arena, KIB(4));
	msg_init(&m, &r->arena);
	m.version = HTTP_1_1;
	m.method = STR("GET");
	m.form = TARGET_ORIGIN;
	m.target = m.path = STR("/");
	m.framing = BODY_NONE;
	m.keep_alive = true;
	assert_int_equal(msg_add(&m, STR("Host"), STR("up.test"), &err), 0);
	assert_int_equal(stream_head(s, &m, &err), 0);
	assert_int_equal(stream_end(s, NULL, &err), 0);
}

static void on_failed(void *arg, const struct upstream_failure *failure)
{
	struct request *r = arg;

	r->wait = NULL;
	r->failed++;
	r->reason = failure->reason;
}

/* Asks the pool for a stream; what is known of it from then on is in requests[i]. */
static struct request *ask_as(struct fixture *fx, size_t i, const char *host, struct pool_want want)
{
	static const struct pool_handler handler = { on_stream, on_failed };
	struct request *r = &fx->requests[i];

	want.kind = UPSTREAM_PLAIN;
	want.to.port = addr_port(&fx->at);
	snprintf(want.to.host, sizeof(want.to.host), "%s", host);
	arena_fini(&r->arena);
	*r = (struct request){ .reason = REASON_NONE };
	r->wait = pool_get(fx->pool, &want, &handler, r);
	return r;
}

static struct request *ask(struct fixture *fx, size_t i)
{
	return ask_as(fx, i, "up.test", (struct pool_want){ .slot = NULL });
}

/* Takes the connections that were made; how many there are by now. */
static size_t peers(struct fixture *fx)
{
	struct pollfd p = { .fd = fx->listener, .events = POLLIN };

	spin(fx);
	while (poll(&p, 1, 0) == 1) {
		int fd = accept(fx->listener, NULL, NULL);

		assert_true(fd >= 0 && fx->n_peers < REQUESTS);
		fx->peers[fx->n_peers++] = fd;
	}
	spin(fx);
	return fx->n_peers;
}

static bool has_request(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char got[1024];
	ssize_t n;

	if (poll(&p, 1, 0) != 1)
		return false;
	n = read(fd, got, sizeof(got));
	return n > 4 && memcmp(got, "GET ", 4) == 0;
}

static void answer(struct fixture *fx, size_t peer, const char *text)
{
	assert_true(has_request(fx->peers[peer]));
	assert_int_equal(write(fx->peers[peer], text, strlen(text)), (ssize_t)strlen(text));
	spin(fx);
}

static struct pool_stats stats(struct fixture *fx)
{
	struct pool_stats s;

	pool_stats(fx->pool, &s);
	return s;
}

/* One whole exchange on a new connection, which is kept. */
static void warm(struct fixture *fx)
{
	struct request *r = ask(fx, 0);

	assert_int_equal(peers(fx), 1);
	answer(fx, 0, OK);
	assert_true(r->done);
	assert_int_equal(stats(fx).idle, 1);
}

static void kept_and_used_again(void **state)
{
	struct fixture *fx = *state;
	struct request *r;

	warm(fx);
	r = ask(fx, 1);
	assert_null(r->stream); /* never from inside */
	assert_int_equal(peers(fx), 1);
	assert_int_equal(stats(fx).idle, 0);
	answer(fx, 0, OK);
	assert_true(r->done);
	assert_int_equal(stats(fx).reused, 1);
	assert_int_equal(stats(fx).dialled, 1);
}

static void busy_one_is_not_shared(void **state)
{
	struct fixture *fx = *state;

	(void)ask(fx, 0);
	(void)ask(fx, 1);
	assert_int_equal(peers(fx), 2);
	assert_true(has_request(fx->peers[0]));
	assert_true(has_request(fx->peers[1]));
}

/* What comes free in the same round saves the dial. */
static void free_one_is_taken_at_once(void **state)
{
	struct fixture *fx = *state;
	struct request *r;

	warm(fx);
	(void)ask(fx, 1);
	spin(fx);
	r = ask(fx, 2);
	assert_int_equal(write(fx->peers[0], OK, strlen(OK)), strlen(OK));
	assert_int_equal(peers(fx), 1);
	assert_non_null(r->stream);
	assert_int_equal(stats(fx).reused, 2);
	assert_int_equal(stats(fx).dialled, 1);
}

static void the_last_used_first(void **state)
{
	struct fixture *fx = *state;

	(void)ask(fx, 0);
	(void)ask(fx, 1);
	assert_int_equal(peers(fx), 2);
	answer(fx, 1, OK);
	answer(fx, 0, OK);
	(void)ask(fx, 2);
	spin(fx);
	assert_true(has_request(fx->peers[0]));
	assert_false(has_request(fx->peers[1]));
}

static void scopes_are_apart(void **state)
{
	struct fixture *fx = *state;

	warm(fx);
	(void)ask_as(fx, 1, "up.test", (struct pool_want){ .slot = "A" });
	assert_int_equal(peers(fx), 2);
	answer(fx, 1, OK);
	(void)ask_as(fx, 2, "up.test", (struct pool_want){ .slot = "B" });
	assert_int_equal(peers(fx), 3);
	(void)ask_as(fx, 3, "other.test", (struct pool_want){ .slot = NULL });
	assert_int_equal(peers(fx), 4);
	(void)ask_as(fx, 4, "up.test", (struct pool_want){ .slot = "A" });
	assert_int_equal(peers(fx), 4);
	assert_true(has_request(fx->peers[1]));
}

static void aborted_is_not_kept(void **state)
{
	struct fixture *fx = *state;
	struct request *r = ask(fx, 0);

	assert_int_equal(peers(fx), 1);
	stream_abort(r->stream);
	r->stream = NULL;
	spin(fx);
	assert_int_equal(stats(fx).open, 0);
	(void)ask(fx, 1);
	assert_int_equal(peers(fx), 2);
}

static void bytes_behind_the_answer_end_it(void **state)
{
	struct fixture *fx = *state;
	struct request *r = ask(fx, 0);

	assert_int_equal(peers(fx), 1);
	answer(fx, 0, OK "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	assert_true(r->done);
	assert_int_equal(stats(fx).open, 0);
}

static void bytes_while_idle_end_it(void **state)
{
	struct fixture *fx = *state;

	warm(fx);
	assert_int_equal(write(fx->peers[0], OK, strlen(OK)), strlen(OK));
	spin(fx);
	assert_int_equal(stats(fx).open, 0);
}

static void closed_while_idle_is_forgotten(void **state)
{
	struct fixture *fx = *state;

	warm(fx);
	(void)shutdown(fx->peers[0], SHUT_RDWR);
	spin(fx);
	assert_int_equal(stats(fx).open, 0);
	assert_int_equal(stats(fx).idle, 0);
	(void)ask(fx, 1);
	assert_int_equal(peers(fx), 2);
}

static void idle_ones_go_in_time(void **state)
{
	struct fixture *fx = *state;

	warm(fx);
	advance(fx, POOL_IDLE_MS - 1);
	assert_int_equal(stats(fx).open, 1);
	advance(fx, 1);
	assert_int_equal(stats(fx).open, 0);
}

static void what_may_not_be_sent_twice_takes_a_fresh_one(void **state)
{
	struct fixture *fx = *state;
	struct request *r;

	warm(fx);
	advance(fx, POOL_FRESH_MS);
	r = ask_as(fx, 1, "up.test", (struct pool_want){ .once = true });
	assert_int_equal(peers(fx), 1); /* fresh enough */
	answer(fx, 0, OK);
	assert_true(r->done);
	advance(fx, POOL_FRESH_MS + 1);
	(void)ask_as(fx, 2, "up.test", (struct pool_want){ .once = true });
	assert_int_equal(peers(fx), 2);
	(void)ask(fx, 3);
	assert_int_equal(peers(fx), 2);
	assert_true(has_request(fx->peers[0])); /* the old one does for the rest */
}

static void fresh_takes_no_kept_one(void **state)
{
	struct fixture *fx = *state;

	warm(fx);
	(void)ask_as(fx, 1, "up.test", (struct pool_want){ .fresh = true });
	assert_int_equal(peers(fx), 2);
	assert_true(has_request(fx->peers[1]));
	assert_false(has_request(fx->peers[0]));
}

static void stale_is_told(void **state)
{
	struct fixture *fx = *state;
	struct request *r;

	warm(fx);
	r = ask(fx, 1);
	assert_int_equal(peers(fx), 1);
	assert_true(has_request(fx->peers[0]));
	(void)shutdown(fx->peers[0], SHUT_RDWR);
	spin(fx);
	assert_int_equal(r->failed, 1);
	assert_int_equal(r->err.code, E_STALE);
}

static void failed_dials_are_told(void **state)
{
	struct fixture *fx = *state;
	struct request *a, *b;

	(void)close(fx->listener);
	fx->listener = -1;
	a = ask(fx, 0);
	b = ask(fx, 1);
	spin(fx);
	assert_int_equal(a->failed, 1);
	assert_int_equal(b->failed, 1);
	assert_int_equal(a->reason, REASON_UPSTREAM_UNREACHABLE);
	assert_int_equal(stats(fx).dials_failed, 2);
}

static void cancelled_is_silent(void **state)
{
	struct fixture *fx = *state;
	struct request *r = ask(fx, 0);

	pool_cancel(r->wait);
	r->wait = NULL;
	assert_int_equal(peers(fx), 0);
	r = ask(fx, 0);
	spin(fx);
	pool_cancel(NULL);
	assert_non_null(r->stream);
}

/* Whom nobody waits for is not called on: an agent that gave up has no business there any more. */
static void cancelled_stops_its_dial(void **state)
{
	struct fixture *fx = *state;
	struct request *a = ask(fx, 0), *b = ask(fx, 1);
	struct err err = ERR_INIT;

	assert_int_equal(loop_once(fx->p.loop, 0, &err), 0); /* both are being dialled */
	pool_cancel(a->wait);
	a->wait = NULL;
	assert_int_equal(peers(fx), 1);
	assert_non_null(b->stream);
	assert_int_equal(stats(fx).open, 1);
}

/* More idle connections than are kept: the longest idle one goes. */
static void idle_ones_are_bounded(void **state)
{
	enum { MORE = POOL_IDLE_MAX + 5 };
	struct fixture *fx = *state;
	static struct request many[MORE];
	static int fds[MORE];
	static const struct pool_handler handler = { on_stream, on_failed };

	for (size_t i = 0; i < MORE; i++) {
		struct pool_want want = { .kind = UPSTREAM_PLAIN };

		want.to.port = addr_port(&fx->at);
		snprintf(want.to.host, sizeof(want.to.host), "up.test");
		many[i] = (struct request){ .reason = REASON_NONE };
		many[i].wait = pool_get(fx->pool, &want, &handler, &many[i]);
		for (int k = 0; k < 50 && !many[i].stream; k++)
			spin(fx);
		fds[i] = accept(fx->listener, NULL, NULL);
		assert_true(fds[i] >= 0);
	}
	for (size_t i = 0; i < MORE; i++) {
		assert_int_equal(write(fds[i], OK, strlen(OK)), strlen(OK));
		for (int k = 0; k < 50 && !many[i].done; k++)
			spin(fx);
		assert_true(many[i].done);
		arena_fini(&many[i].arena);
	}
	assert_int_equal(stats(fx).idle, POOL_IDLE_MAX);
	assert_int_equal(stats(fx).open, POOL_IDLE_MAX);
	for (size_t i = 0; i < MORE; i++) {
		char byte[512];
		struct pollfd p = { .fd = fds[i], .events = POLLIN };
		ssize_t n = read(fds[i], byte, sizeof(byte)); /* the request */

		assert_true(n > 0);
		assert_int_equal(poll(&p, 1, 0), i < MORE - POOL_IDLE_MAX ? 1 : 0);
		(void)close(fds[i]);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kept_and_used_again),
		TEST(busy_one_is_not_shared),
		TEST(free_one_is_taken_at_once),
		TEST(the_last_used_first),
		TEST(scopes_are_apart),
		TEST(aborted_is_not_kept),
		TEST(bytes_behind_the_answer_end_it),
		TEST(bytes_while_idle_end_it),
		TEST(closed_while_idle_is_forgotten),
		TEST(idle_ones_go_in_time),
		TEST(what_may_not_be_sent_twice_takes_a_fresh_one),
		TEST(fresh_takes_no_kept_one),
		TEST(stale_is_told),
		TEST(failed_dials_are_told),
		TEST(cancelled_is_silent),
		TEST(cancelled_stops_its_dial),
		TEST(idle_ones_are_bounded),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
