/* Our client and our server at the two ends of one socket: what streams promise, over HTTP/2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h2_conn.h"
#include "wire.h"

/* Everything is noted in one log: the client's side as in wire_notes, the server's in upper case. */
static struct wire w;
static struct h2_conn *client, *server;
static struct stream *asked[8]; /* by the client */
static struct stream *got[8];   /* at the server */
static size_t asked_n, got_n;
static struct msg *request; /* the server's latest */
static void (*on_request_do)(struct stream *s, struct msg *m);
static void (*on_body_do)(struct stream *s);

/* --- the server's notes --------------------------------------------------------------------- */

static void srv_body(void *arg, struct str piece)
{
	if (piece.n > 100)
		wire_note(&w, "BODY(#)");
	else
		wire_note(&w, "BODY(%.*s)", STR_ARG(piece));
	if (on_body_do)
		on_body_do(arg);
}

static void srv_end(void *arg, const struct fields *trailers)
{
	(void)arg;
	wire_note(&w, "END");
	for (size_t i = 0; trailers && i < trailers->n; i++)
		wire_note(&w, "%.*s=%.*s", STR_ARG(trailers->v[i].name),
			  STR_ARG(trailers->v[i].value));
}

static void srv_bad(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "BAD(%s)", wire_code(err));
}

static void srv_drain(void *arg)
{
	(void)arg;
	wire_note(&w, "DRAIN");
}

static void srv_fail(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "FAIL(%s)", wire_code(err));
}

static void srv_done(void *arg)
{
	(void)arg;
	wire_note(&w, "DONE");
}

static const struct stream_handler srv_notes = {
	.on_body = srv_body,
	.on_end = srv_end,
	.on_bad = srv_bad,
	.on_drain = srv_drain,
	.on_fail = srv_fail,
	.on_done = srv_done,
};

static void on_request(void *arg, struct stream *s, struct msg *m)
{
	(void)arg;
	wire_note(&w, "%.*s(%.*s)", STR_ARG(m->method), STR_ARG(m->path));
	stream_handle(s, &srv_notes, s);
	got[got_n++ % ARRAY_LEN(got)] = s;
	request = m;
	if (on_request_do)
		on_request_do(s, m);
}

static void on_bad_request(void *arg, struct stream *s, const struct err *err)
{
	(void)arg;
	(void)s;
	wire_note(&w, "BADREQUEST(%s)", wire_code(err));
}

static void srv_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "CLOSED(%s)", wire_code(err));
	server = NULL;
}

static void cl_closed(void *arg, const struct err *err)
{
	(void)arg;
	wire_note(&w, "closed(%s)", wire_code(err));
	client = NULL;
}

static void cl_idle(void *arg)
{
	(void)arg;
	wire_note(&w, "idle");
}

static const struct h2_server_handler server_handler = { on_request, on_bad_request, srv_closed };
static const struct h2_client_handler client_handler = { cl_closed, cl_idle };

static int setup(void **state)
{
	int fds[2];

	(void)state;
	wire_init(&w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	server = h2_server_new(w.loop, filter_tcp(fds[0], false), &wire_timeouts, &server_handler,
			       NULL);
	client = h2_client_new(w.loop, filter_tcp(fds[1], false), &wire_timeouts, &client_handler,
			       NULL);
	on_request_do = NULL;
	on_body_do = NULL;
	asked_n = got_n = 0;
	wire_spin(&w);
	wire_expect(&w, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (client)
		h2_conn_close(client);
	if (server)
		h2_conn_close(server);
	client = server = NULL;
	wire_fini(&w);
	return 0;
}

/* --- short words for the tests -------------------------------------------------------------- */

static struct stream *ask_msg(const struct msg *m)
{
	struct stream *s = h2_client_start(client, &wire_notes, &w);
	struct err err = ERR_INIT;

	asked[asked_n++ % ARRAY_LEN(asked)] = s;
	if (stream_head(s, m, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static struct stream *ask(const char *method, const char *path)
{
	struct msg m = wire_request(&w, method, path);

	return ask_msg(&m);
}

static struct stream *get(const char *path)
{
	struct stream *s = ask("GET", path);

	assert_int_equal(stream_end(s, NULL, NULL), 0);
	return s;
}

static struct stream *upload(enum body_framing framing, uint64_t length)
{
	struct msg m = wire_request(&w, "PUT", "/up");

	m.framing = framing;
	m.length = length;
	return ask_msg(&m);
}

static void answer_head(struct stream *s, int status, enum body_framing framing, uint64_t length)
{
	struct msg m = wire_response(&w, status);
	struct err err = ERR_INIT;

	m.framing = framing;
	m.length = length;
	if (stream_head(s, &m, &err) < 0)
		fail_msg("%s", err.text);
}

static void say(struct stream *s, const char *text)
{
	assert_int_equal(stream_body(s, str_of(text), NULL), 0);
}

static void end(struct stream *s)
{
	assert_int_equal(stream_end(s, NULL, NULL), 0);
}

static void answer(struct stream *s, const char *body)
{
	answer_head(s, 200, BODY_LENGTH, strlen(body));
	say(s, body);
	end(s);
}

static char filler[KIB(64)];

static void say_much(struct stream *s, size_t n)
{
	while (n > 0) {
		size_t piece = n < sizeof(filler) ? n : sizeof(filler);

		assert_int_equal(stream_body(s, str_mem(filler, piece), NULL), 0);
		n -= piece;
	}
}

#define expect(want)                   \
	do {                           \
		wire_spin(&w);         \
		wire_expect(&w, want); \
	} while (0)

/* --- the ordinary --------------------------------------------------------------------------- */

static void test_get(void **state)
{
	struct msg m = wire_request(&w, "GET", "/x");

	(void)state;
	m.query = STR("q=1");
	end(ask_msg(&m));
	expect("GET(/x) END");
	assert_true(str_eqz(request->query, "q=1"));
	assert_true(str_eqz(request->host, "a"));
	assert_true(str_eqz(request->authority, "a"));
	assert_true(str_eqz(request->scheme, "https"));
	assert_int_equal(request->version, HTTP_2);
	assert_int_equal(request->framing, BODY_NONE);
	answer(got[0], "hello");
	expect("DONE head(200) body(hello) end done idle");
}

static void answer_now(struct stream *s, struct msg *m)
{
	(void)m;
	answer(s, "now");
}

/* Answered inside on_request: the request's end is not told any more. */
static void test_answer_at_once(void **state)
{
	(void)state;
	on_request_do = answer_now;
	for (int i = 0; i < 3; i++) {
		get("/x");
		expect("GET(/x) DONE head(200) body(now) end done idle");
	}
}

static void test_many_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		get("/x");
	expect("GET(/x) END GET(/x) END GET(/x) END GET(/x) END");
	/* In any order, and one that is reset does not touch the others. */
	answer(got[2], "c");
	expect("DONE head(200) body(c) end done");
	stream_abort(got[1]);
	expect("fail(io)");
	stream_abort(asked[3]);
	expect("FAIL(io)");
	answer(got[0], "a");
	expect("DONE head(200) body(a) end done idle");
}

static void test_upload(void **state)
{
	struct stream *s = upload(BODY_LENGTH, 5);

	(void)state;
	say(s, "hel");
	expect("PUT(/up) BODY(hel)");
	assert_int_equal(request->framing, BODY_LENGTH);
	assert_int_equal(request->length, 5);
	say(s, "lo");
	end(s);
	expect("BODY(lo) END");
	answer(got[0], "ok");
	expect("DONE head(200) body(ok) end done idle");
}

static void test_lengths_are_kept(void **state)
{
	struct stream *s = upload(BODY_LENGTH, 5);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(stream_body(s, STR("123456"), &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(stream_end(s, NULL, &err), -1);
	assert_int_equal(err.code, E_BAD);
	expect("PUT(/up)");
	stream_abort(s);
	expect("idle FAIL(io)");
}

static void test_trailers(void **state)
{
	struct field field = { STR("X-Sum"), STR("42") };
	struct fields trailers = { &field, 1, 1 };
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	say(s, "x");
	assert_int_equal(stream_end(s, &trailers, NULL), 0);
	expect("PUT(/up) BODY(x) END x-sum=42");
	answer_head(got[0], 200, BODY_CHUNKED, 0);
	say(got[0], "y");
	field.value = STR("43");
	assert_int_equal(stream_end(got[0], &trailers, NULL), 0);
	expect("DONE head(200) body(y) end x-sum=43 done idle");
}

/* gRPC answers a failed call with trailers behind an empty body. */
static void test_trailers_without_body(void **state)
{
	struct field field = { STR("grpc-status"), STR("5") };
	struct fields trailers = { &field, 1, 1 };

	(void)state;
	get("/x");
	expect("GET(/x) END");
	answer_head(got[0], 200, BODY_CHUNKED, 0);
	assert_int_equal(stream_end(got[0], &trailers, NULL), 0);
	expect("DONE head(200) end grpc-status=5 done idle");
}

static void test_forbidden_trailer(void **state)
{
	struct field field = { STR("Content-Length"), STR("5") };
	struct fields trailers = { &field, 1, 1 };
	struct err err = ERR_INIT;

	(void)state;
	get("/x");
	expect("GET(/x) END");
	answer_head(got[0], 200, BODY_CHUNKED, 0);
	assert_int_equal(stream_end(got[0], &trailers, &err), -1);
	assert_int_equal(err.code, E_BAD);
	stream_abort(got[0]);
	expect("fail(io) idle");
}

static void test_interim(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	answer_head(got[0], 103, BODY_NONE, 0);
	expect("head(103)");
	answer(got[0], "k");
	expect("DONE head(200) body(k) end done idle");
}

static void test_bodyless(void **state)
{
	struct stream *s = ask("HEAD", "/x");

	(void)state;
	end(s);
	expect("HEAD(/x) END");
	answer_head(got[0], 200, BODY_LENGTH, 1000);
	end(got[0]);
	expect("DONE head(200) end done idle");
	get("/x");
	expect("GET(/x) END");
	answer_head(got[1], 304, BODY_NONE, 0);
	end(got[1]);
	expect("DONE head(304) end done idle");
	get("/x");
	expect("GET(/x) END");
	answer_head(got[2], 204, BODY_NONE, 0);
	say(got[2], "dropped");
	end(got[2]);
	expect("DONE head(204) end done idle");
}

/* A response whose length nobody knows; in h1 it would last until the close. */
static void test_unknown_length(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	answer_head(got[0], 200, BODY_UNTIL_CLOSE, 0);
	say(got[0], "abc");
	end(got[0]);
	expect("DONE head(200) body(abc) end done idle");
}

/* --- early answers -------------------------------------------------------------------------- */

/* RFC 9113 8.1: the server answers and stops the upload; the answer is delivered whole. */
static void test_early_answer(void **state)
{
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	say(s, "part");
	expect("PUT(/up) BODY(part)");
	answer(got[0], "no");
	expect("DONE head(200) body(no) end");
	/* Dropped, as nobody reads it. */
	say(s, "more");
	end(s);
	expect("done idle");
}

static void test_early_answer_then_abort(void **state)
{
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	expect("PUT(/up)");
	answer(got[0], "no");
	expect("DONE head(200) body(no) end");
	stream_abort(s);
	expect("idle");
	/* And the connection goes on. */
	get("/x");
	expect("GET(/x) END");
	answer(got[1], "k");
	expect("DONE head(200) body(k) end done idle");
}

/* --- flow ----------------------------------------------------------------------------------- */

/* A paused upload holds back its client at the stream's window, and its neighbour not at all. */
static void test_back_pressure(void **state)
{
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	expect("PUT(/up)");
	stream_pause(got[0], true);
	say_much(s, PROXY_OUT_MAX);
	assert_int_equal(stream_body(s, STR("x"), NULL), -1);
	expect("");
	assert_true(stream_queued(s) >= PROXY_OUT_MAX - H2_SERVER_WINDOW);
	assert_true(stream_queued(s) > 0);
	get("/x");
	expect("GET(/x) END");
	answer(got[1], "k");
	expect("DONE head(200) body(k) end done");
	stream_pause(got[0], false);
	end(s);
	wire_spin(&w);
	wire_spin(&w);
	wire_spin(&w);
	assert_int_equal(stream_queued(s), 0);
	assert_non_null(strstr(buf_z(&w.log), "drain"));
	assert_non_null(strstr(buf_z(&w.log), "END"));
	buf_clear(&w.log);
	answer(got[0], "k");
	expect("DONE head(200) body(k) end done idle");
}

/* What a stream held when it was aborted is given back to the connection's window. */
static void test_window_after_aborts(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3 * H2_SERVER_CONN_WINDOW / H2_SERVER_WINDOW; i++) {
		struct stream *s = upload(BODY_CHUNKED, 0);

		expect("PUT(/up)");
		stream_pause(got[i % ARRAY_LEN(got)], true);
		say_much(s, H2_SERVER_WINDOW);
		wire_spin(&w);
		assert_int_equal(stream_queued(s), 0);
		stream_abort(got[i % ARRAY_LEN(got)]);
		expect("fail(io) idle");
	}
}

static void pause_this(struct stream *s)
{
	stream_pause(s, true);
}

/* Paused from inside on_body: what came with it waits. */
static void test_pause_in_callback(void **state)
{
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	on_body_do = pause_this;
	say(s, "a");
	expect("PUT(/up) BODY(a)");
	say(s, "b");
	end(s);
	expect("");
	stream_pause(got[0], false);
	expect("BODY(b) END");
	answer(got[0], "k");
	expect("DONE head(200) body(k) end done idle");
}

static void test_end_while_paused(void **state)
{
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	expect("PUT(/up)");
	stream_pause(got[0], true);
	end(s);
	expect("END");
	stream_abort(s);
	expect("idle FAIL(io)");
}

/* The whole response came while paused, and the server left: it is delivered all the same. */
static void test_paused_response_survives_close(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	stream_pause(asked[0], true);
	answer(got[0], "kept");
	expect("DONE head(200)");
	h2_conn_close(server);
	server = NULL;
	expect("");
	stream_pause(asked[0], false);
	expect("body(kept) end done closed(-)");
}

static void test_fair(void **state)
{
	(void)state;
	get("/a");
	get("/b");
	expect("GET(/a) END GET(/b) END");
	answer_head(got[0], 200, BODY_CHUNKED, 0);
	answer_head(got[1], 200, BODY_CHUNKED, 0);
	say_much(got[0], KIB(512));
	say_much(got[1], KIB(512));
	while (stream_queued(got[0]) + stream_queued(got[1]) > KIB(512))
		assert_int_equal(loop_once(w.loop, 0, NULL), 0);
	assert_true(stream_queued(got[0]) > KIB(128));
	assert_true(stream_queued(got[1]) > KIB(128));
	stream_abort(got[0]);
	stream_abort(got[1]);
	wire_spin(&w);
	buf_clear(&w.log);
}

/* --- the connection ------------------------------------------------------------------------- */

static void test_drain(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	h2_conn_drain(server);
	expect("");
	assert_int_equal(h2_client_room(client), 0);
	answer(got[0], "last");
	expect("DONE head(200) body(last) end done closed(-) CLOSED(-)");
}

static void test_drain_idle(void **state)
{
	(void)state;
	h2_conn_drain(server);
	expect("closed(-) CLOSED(-)");
}

static void test_client_drain(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	h2_conn_drain(client);
	assert_int_equal(h2_client_room(client), 0);
	answer(got[0], "k");
	expect("DONE head(200) body(k) end done closed(-) CLOSED(-)");
}

static void test_close_fails_the_other(void **state)
{
	(void)state;
	get("/x");
	get("/y");
	expect("GET(/x) END GET(/y) END");
	h2_conn_close(server);
	server = NULL;
	wire_spin(&w);
	/* The order of the two is nobody's business. */
	expect("fail(io) fail(io) closed(-)");
}

/* After an exchange that went well: what was not answered at all may be tried elsewhere. */
static void test_stale_connection(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	answer(got[0], "k");
	expect("DONE head(200) body(k) end done idle");
	get("/y");
	get("/z");
	expect("GET(/y) END GET(/z) END");
	answer_head(got[2], 200, BODY_LENGTH, 1);
	expect("head(200)");
	h2_conn_close(server);
	server = NULL;
	wire_spin(&w);
	assert_non_null(strstr(buf_z(&w.log), "fail(stale)")); /* /y */
	assert_non_null(strstr(buf_z(&w.log), "fail(io)"));    /* /z */
	buf_clear(&w.log);
}

static void test_client_gone(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	h2_conn_close(client);
	client = NULL;
	expect("FAIL(io) CLOSED(-)");
}

static void test_room(void **state)
{
	(void)state;
	for (unsigned i = 0; i < H2_CLIENT_STREAMS_MAX; i++) {
		assert_int_equal(h2_client_room(client), H2_CLIENT_STREAMS_MAX - i);
		get("/x");
		wire_spin(&w);
	}
	assert_int_equal(h2_client_room(client), 0);
	stream_abort(asked[0]);
	assert_int_equal(h2_client_room(client), 1);
	buf_clear(&w.log);
}

static void close_server(struct stream *s, struct msg *m)
{
	(void)s;
	(void)m;
	h2_conn_close(server);
	server = NULL;
}

static void abort_this(struct stream *s, struct msg *m)
{
	(void)m;
	stream_abort(s);
}

static void test_close_in_callback(void **state)
{
	(void)state;
	on_request_do = close_server;
	get("/x");
	get("/y");
	/* The second was never looked at: it may be tried again. */
	expect("GET(/x) fail(cancelled) fail(io) closed(-)");
}

static void close_client(void *arg, const struct fields *trailers)
{
	(void)trailers;
	wire_note(arg, "end");
	h2_conn_close(client);
	client = NULL;
}

/* Nothing is called after it, though the stream is over in the same step. */
static void close_in_end(bool paused)
{
	struct stream_handler closes = wire_notes;
	struct msg m = wire_request(&w, "GET", "/x");
	struct stream *s = h2_client_start(client, &closes, &w);

	closes.on_end = close_client;
	assert_int_equal(stream_head(s, &m, NULL), 0);
	end(s);
	get("/other");
	expect("GET(/x) END GET(/other) END");
	stream_pause(s, paused);
	answer(got[0], "ok");
	wire_spin(&w);
	if (paused)
		stream_pause(s, false);
	expect("DONE head(200) body(ok) end FAIL(io) CLOSED(-)");
}

static void test_close_in_end(void **state)
{
	(void)state;
	close_in_end(false);
}

static void test_close_in_late_end(void **state)
{
	(void)state;
	close_in_end(true);
}

static void test_abort_in_callback(void **state)
{
	(void)state;
	on_request_do = abort_this;
	get("/x");
	expect("GET(/x) fail(io) idle");
}

static void abort_body(struct stream *s)
{
	stream_abort(s);
}

static void test_abort_in_body(void **state)
{
	struct stream *s = upload(BODY_CHUNKED, 0);

	(void)state;
	on_body_do = abort_body;
	say(s, "abc");
	expect("PUT(/up) BODY(abc) fail(io) idle");
}

/* Nothing may be called, and nothing may break, on a stream that is over. */
static void test_calls_after_the_end(void **state)
{
	struct stream *s = get("/x");
	struct err err = ERR_INIT;

	(void)state;
	expect("GET(/x) END");
	stream_abort(s);
	stream_abort(s);
	stream_pause(s, true);
	assert_int_equal(stream_body(s, STR("x"), &err), -1);
	assert_int_equal(err.code, E_IO);
	expect("idle FAIL(io)");
}

/* --- time ----------------------------------------------------------------------------------- */

static void test_idle_stream(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	loop_test_advance(w.loop, wire_timeouts.idle - 1);
	get("/y");
	expect("GET(/y) END");
	loop_test_advance(w.loop, 1);
	/* The first only. */
	wire_spin(&w);
	assert_non_null(strstr(buf_z(&w.log), "(timeout)"));
	buf_clear(&w.log);
	answer(got[1], "k");
	expect("DONE head(200) body(k) end done idle");
}

static void test_keepalive(void **state)
{
	(void)state;
	get("/x");
	expect("GET(/x) END");
	answer(got[0], "k");
	expect("DONE head(200) body(k) end done idle");
	loop_test_advance(w.loop, wire_timeouts.keepalive - 1);
	expect("");
	loop_test_advance(w.loop, 1);
	wire_spin(&w);
	assert_null(client);
	assert_null(server);
	buf_clear(&w.log);
}

static void test_no_first_request(void **state)
{
	(void)state;
	loop_test_advance(w.loop, wire_timeouts.head);
	expect("closed(-) CLOSED(-)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_get),
		T(test_answer_at_once),
		T(test_many_at_once),
		T(test_upload),
		T(test_lengths_are_kept),
		T(test_trailers),
		T(test_trailers_without_body),
		T(test_forbidden_trailer),
		T(test_interim),
		T(test_bodyless),
		T(test_unknown_length),
		T(test_early_answer),
		T(test_early_answer_then_abort),
		T(test_back_pressure),
		T(test_window_after_aborts),
		T(test_pause_in_callback),
		T(test_end_while_paused),
		T(test_paused_response_survives_close),
		T(test_fair),
		T(test_drain),
		T(test_drain_idle),
		T(test_client_drain),
		T(test_close_fails_the_other),
		T(test_stale_connection),
		T(test_client_gone),
		T(test_room),
		T(test_close_in_callback),
		T(test_close_in_end),
		T(test_close_in_late_end),
		T(test_abort_in_callback),
		T(test_abort_in_body),
		T(test_calls_after_the_end),
		T(test_idle_stream),
		T(test_keepalive),
		T(test_no_first_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
