/*
 * Heads of requests and responses. Besides memory safety:
 * - where a head ends, and whether there is one, does not depend on how the bytes arrive;
 * - what was accepted can be written, is accepted again with the same meaning, and is then written
 * as the same bytes.
 *
 * The first byte of the input chooses what is parsed and where it is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* The end as found with the input growing by `step` bytes. */
static ssize_t end_in_steps(struct str data, size_t step)
{
	size_t scanned = 0;
	ssize_t n = 0;

	for (size_t have = 0; n == 0 && have < data.n;) {
		have = data.n - have < step ? data.n : have + step;
		n = h1_head_end(str_sub(data, 0, have), &scanned, NULL);
	}
	return n;
}

static int parse(struct msg *m, struct str head, const char *method)
{
	return method ? h1_parse_response(head, str_of(method), m, NULL)
		      : h1_parse_request(head, m, NULL);
}

static int write_out(struct buf *out, const struct msg *m)
{
	const char *connection = m->upgrade.n > 0 ? "upgrade" : m->keep_alive ? NULL : "close";

	return m->is_response ? h1_write_response(out, m, connection, NULL)
			      : h1_write_request(out, m, connection, NULL);
}

static void check_accepted(const struct msg *m)
{
	CHECK(m->fields.n <= HTTP_FIELDS_MAX);
	for (size_t i = 0; i < m->fields.n; i++)
		CHECK(http_is_token(m->fields.v[i].name) && m->fields.v[i].value.p &&
		      http_is_field_value(m->fields.v[i].value));
	CHECK(msg_count(m, "content-length") + msg_count(m, "transfer-encoding") <= 1);
	if (m->is_response)
		return;
	CHECK(msg_count(m, "host") == (m->host.p ? 1 : 0));
	CHECK(m->host.p || m->version == HTTP_1_0);
	CHECK(http_is_token(m->method) && http_is_target(m->target));
	CHECK(m->framing != BODY_UNTIL_CLOSE);
}

static void check_same(const struct msg *a, const struct msg *b)
{
	CHECK(str_eq(a->method, b->method) && a->form == b->form);
	CHECK(str_eq(a->scheme, b->scheme) && str_eq(a->authority, b->authority));
	CHECK(str_eq(a->path, b->path) && str_eq(a->query, b->query));
	CHECK((a->query.p == NULL) == (b->query.p == NULL));
	CHECK(a->status == b->status && str_eq(str_trim(a->reason), str_trim(b->reason)));
	CHECK(a->framing == b->framing && a->length == b->length);
	CHECK(a->keep_alive == b->keep_alive && str_eq(a->upgrade, b->upgrade));
}

/* Our own Connection field replaces the received one. */
static void prepare(struct msg *m)
{
	(void)msg_remove(m, "connection");
	if (m->upgrade.n > 0) {
		/* One of both can be said in our one option; "upgrade" wins. */
		m->keep_alive = m->framing != BODY_UNTIL_CLOSE;
		(void)msg_remove(m, "upgrade");
	}
	if (!m->is_response && !m->host.p && msg_add(m, STR("Host"), STR("a"), NULL) < 0)
		m->host = STR_NONE;
}

static void round_trip(struct msg *m, const char *method, struct arena *a)
{
	auto_buf once = BUF_INIT(2 * HTTP_HEAD_MAX), twice = BUF_INIT(2 * HTTP_HEAD_MAX);
	struct msg again;
	size_t scanned = 0;

	prepare(m);
	if (!m->is_response && !m->host.p)
		return; /* no room for one more field */
	CHECK(write_out(&once, m) == 0);
	if (once.len > HTTP_HEAD_MAX - KIB(1) || m->fields.n > HTTP_FIELDS_MAX - 4)
		return; /* ours may be a little longer than theirs */
	CHECK(h1_head_end(buf_str(&once), &scanned, NULL) == (ssize_t)once.len);
	msg_init(&again, a);
	if (parse(&again, buf_str(&once), method) < 0) {
		CHECK(m->target.n + KIB(1) > HTTP_LINE_MAX || m->reason.n + KIB(1) > HTTP_LINE_MAX);
		return;
	}
	check_same(m, &again);
	prepare(&again);
	CHECK(write_out(&twice, &again) == 0);
	CHECK(str_eq(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { NULL, NULL, "GET", "HEAD", "CONNECT" };
	struct arena arena;
	const char *method;
	size_t scanned = 0;
	struct str in;
	struct msg m;
	ssize_t n;

	if (size < 1)
		return 0;
	method = methods[data[0] % ARRAY_LEN(methods)];
	in = str_mem(data + 1, size - 1);
	n = h1_head_end(in, &scanned, NULL);
	CHECK(n <= (ssize_t)in.n);
	CHECK(end_in_steps(in, 1) == n);
	CHECK(end_in_steps(in, 2 + data[0]) == n);
	if (n <= 0)
		return 0;
	arena_init(&arena, MIB(1));
	msg_init(&m, &arena);
	if (parse(&m, str_sub(in, 0, (size_t)n), method) == 0) {
		check_accepted(&m);
		round_trip(&m, method, &arena);
	}
	arena_fini(&arena);
	return 0;
}
