#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

const struct h1_timeouts wire_timeouts = { .head = 60000, .idle = 600000, .keepalive = 300000 };

void wire_init(struct wire *w)
{
	struct err err = ERR_INIT;

	*w = (struct wire){ .peer = -1 };
	w->loop = loop_new(&err);
	assert_non_null(w->loop);
	loop_test_advance(w->loop, 0); /* from here on time stands still */
	buf_init(&w->got, MIB(8));
	buf_init(&w->log, MIB(1));
	arena_init(&w->arena, MIB(1));
}

void wire_fini(struct wire *w)
{
	wire_close(w);
	wire_spin(w);
	loop_free(w->loop);
	buf_fini(&w->got);
	buf_fini(&w->log);
	arena_fini(&w->arena);
}

struct filter *wire_unix(struct wire *w)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	w->peer = fds[1];
	w->eof = w->reset = false;
	return filter_tcp(fds[0], false);
}

struct filter *wire_tcp(struct wire *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	socklen_t len = sizeof(sin);

	assert_int_equal(bind(lfd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(lfd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(listen(lfd, 1), 0);
	w->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(w->peer, (struct sockaddr *)&sin, len), 0);
	fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(fd >= 0);
	(void)close(lfd);
	w->eof = w->reset = false;
	return filter_tcp(fd, false);
}

void wire_close(struct wire *w)
{
	if (w->peer >= 0)
		(void)close(w->peer);
	w->peer = -1;
}

void wire_spin(struct wire *w)
{
	for (int i = 0; i < 12; i++)
		assert_int_equal(loop_once(w->loop, 0, NULL), 0);
}

void wire_send_str(struct wire *w, struct str s)
{
	assert_int_equal(send(w->peer, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT), s.n);
	wire_spin(w);
}

void wire_send(struct wire *w, const char *text)
{
	wire_send_str(w, str_of(text));
}

static char filler[65536];

size_t wire_flood(struct wire *w)
{
	size_t total = 0;

	for (int idle = 0; idle < 3;) {
		ssize_t n = send(w->peer, filler, sizeof(filler), MSG_NOSIGNAL | MSG_DONTWAIT);

		idle = n > 0 ? 0 : idle + 1;
		total += n > 0 ? (size_t)n : 0;
		assert_true(total < MIB(64));
		wire_spin(w);
	}
	return total;
}

void wire_push(struct wire *w, size_t n)
{
	while (n > 0) {
		ssize_t put = send(w->peer, filler, n < sizeof(filler) ? n : sizeof(filler),
				   MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(put > 0);
		n -= (size_t)put;
		wire_spin(w);
	}
}

static void receive(struct wire *w)
{
	for (;;) {
		char *to = buf_reserve(&w->got, 65536, NULL);
		ssize_t n;

		assert_non_null(to);
		n = recv(w->peer, to, 65536, MSG_DONTWAIT);
		if (n <= 0) {
			w->eof |= n == 0;
			w->reset |= n < 0 && errno == ECONNRESET;
			return;
		}
		buf_commit(&w->got, (size_t)n);
	}
}

const char *wire_recv(struct wire *w)
{
	buf_clear(&w->got);
	wire_spin(w);
	receive(w);
	return buf_z(&w->got);
}

size_t wire_drain(struct wire *w)
{
	size_t before;

	buf_clear(&w->got);
	do {
		before = w->got.len;
		wire_spin(w);
		receive(w);
	} while (w->got.len > before);
	return w->got.len;
}

void wire_note(struct wire *w, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert_int_equal(buf_addf(&w->log, NULL, "%s%s", w->log.len ? " " : "", text), 0);
}

void wire_expect_at(struct wire *w, const char *want, const char *file, int line)
{
	_assert_string_equal(buf_z(&w->log), want, file, line);
	buf_clear(&w->log);
}

const char *wire_code(const struct err *err)
{
	if (!err)
		return "-";
	switch (err->code) {
	case E_BAD:
		return "bad";
	case E_IO:
		return "io";
	case E_STALE:
		return "stale";
	case E_LIMIT:
		return "limit";
	case E_TIMEOUT:
		return "timeout";
	case E_CANCELLED:
		return "cancelled";
	case E_EXHAUSTED:
		return "exhausted";
	default:
		return "other";
	}
}

static void note_head(void *arg, struct msg *m)
{
	wire_note(arg, "head(%d)", m->status);
}

static void note_body(void *arg, struct str piece)
{
	if (piece.n > 100)
		wire_note(arg, "body(#%zu)", piece.n);
	else
		wire_note(arg, "body(%.*s)", STR_ARG(piece));
}

static void note_end(void *arg, const struct fields *trailers)
{
	struct wire *w = arg;

	wire_note(w, "end");
	for (size_t i = 0; trailers && i < trailers->n; i++)
		wire_note(w, "%.*s=%.*s", STR_ARG(trailers->v[i].name),
			  STR_ARG(trailers->v[i].value));
}

static void note_drain(void *arg)
{
	wire_note(arg, "drain");
}

static void note_fail(void *arg, const struct err *err)
{
	wire_note(arg, "fail(%s)", wire_code(err));
}

static void note_done(void *arg)
{
	wire_note(arg, "done");
}

const struct stream_handler wire_notes = {
	.on_head = note_head,
	.on_body = note_body,
	.on_end = note_end,
	.on_drain = note_drain,
	.on_fail = note_fail,
	.on_done = note_done,
};

struct msg wire_request(struct wire *w, const char *method, const char *path)
{
	struct msg m;

	msg_init(&m, &w->arena);
	m.version = HTTP_1_1;
	m.method = str_of(method);
	m.path = str_of(path);
	m.form = TARGET_ORIGIN;
	wire_field(&m, "Host", "a");
	return m;
}

struct msg wire_response(struct wire *w, int status)
{
	struct msg m;

	msg_init(&m, &w->arena);
	m.version = HTTP_1_1;
	m.is_response = true;
	m.status = status;
	m.reason = STR("R");
	return m;
}

void wire_field(struct msg *m, const char *name, const char *value)
{
	assert_int_equal(msg_add(m, str_of(name), str_of(value), NULL), 0);
}
