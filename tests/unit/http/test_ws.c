#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"
#include "http/ws.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define GET "GET /chat HTTP/1.1\r\nHost: a\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define K "Sec-WebSocket-Key: " KEY "\r\n"

static struct arena arena;
static struct msg m;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, MIB(1));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static void parse(const char *head)
{
	auto_buf text = BUF_INIT(KIB(4));
	struct err err = ERR_INIT;

	assert_int_equal(buf_addz(&text, head, NULL), 0);
	assert_int_equal(buf_addz(&text, "\r\n", NULL), 0);
	msg_init(&m, &arena);
	if (h1_parse_request(buf_str(&text), &m, &err) < 0)
		fail_msg("%s: %s", head, err.text);
}

static void accept(const char *head)
{
	struct err err = ERR_INIT;

	parse(head);
	assert_true(ws_is_asked(&m));
	if (ws_check_request(&m, &err) < 0)
		fail_msg("%s: %s", head, err.text);
}

static void refuse(const char *head, const char *about)
{
	struct err err = ERR_INIT;

	parse(head);
	assert_true(ws_is_asked(&m));
	assert_int_equal(ws_check_request(&m, &err), -1);
	assert_int_equal(err.code, E_BAD);
	if (!strstr(err.text, about))
		fail_msg("%s: %s", head, err.text);
}

static void test_asked(void **state)
{
	static const char *const not [] = {
		GET V13 K,
		GET "Upgrade: websocket\r\n" V13 K,
		GET "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" V13 K,
		GET "Upgrade: websocket/13\r\nConnection: Upgrade\r\n" V13 K,
		GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" V13 K,
		GET "Upgrade: websocketx\r\nConnection: Upgrade\r\n" V13 K,
		"GET / HTTP/1.0\r\nHost: a\r\n" UP V13 K,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(not ); i++) {
		parse(not [i]);
		if (ws_is_asked(&m))
			fail_msg("%s", not [i]);
	}
}

static void test_request(void **state)
{
	(void)state;
	accept(GET UP V13 K);
	accept(GET "UPGRADE: WebSocket\r\nConnection: keep-alive, UPGRADE\r\n" V13 K);
	accept(GET UP V13 K "Content-Length: 0\r\n");
	accept(GET UP V13 K "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: x\r\n");
	refuse("POST / HTTP/1.1\r\nHost: a\r\n" UP V13 K, "GET");
	refuse("get / HTTP/1.1\r\nHost: a\r\n" UP V13 K, "GET");
	refuse(GET UP V13 K "Content-Length: 1\r\n", "body");
	refuse(GET UP V13 K "Transfer-Encoding: chunked\r\n", "body");
	refuse(GET UP UP V13 K, "Upgrade");
	refuse(GET UP "Upgrade: h2c\r\n" V13 K, "Upgrade");
	refuse(GET UP K, "Version");
	refuse(GET UP V13 V13 K, "Version");
	refuse(GET UP "Sec-WebSocket-Version: 8\r\n" K, "Version");
	refuse(GET UP "Sec-WebSocket-Version: 13, 8\r\n" K, "Version");
	refuse(GET UP V13, "Key");
	refuse(GET UP V13 K K, "Key");
	refuse(GET UP V13 "Sec-WebSocket-Key: \r\n", "Key");
	refuse(GET UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", "Key");
	refuse(GET UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", "Key");
	refuse(GET UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=\r\n", "Key");
	refuse(GET UP V13 "Sec-WebSocket-Key: " KEY ", " KEY "\r\n", "Key");
}

/* RFC 8441 5: the method is CONNECT, the key is gone; the rest is as ever. */
static void test_extended_connect(void **state)
{
	(void)state;
	parse(GET V13);
	m.version = HTTP_2;
	m.extended_connect = true;
	m.upgrade = STR("websocket");
	m.framing = BODY_CHUNKED;
	assert_int_equal(ws_check_request(&m, NULL), 0);
	m.framing = BODY_NONE;
	assert_int_equal(ws_check_request(&m, NULL), -1);
	m.framing = BODY_LENGTH;
	assert_int_equal(ws_check_request(&m, NULL), -1);
	m.framing = BODY_CHUNKED;
	m.fields.n = 0;
	assert_int_equal(ws_check_request(&m, NULL), -1);
}

static void test_key(void **state)
{
	struct str first;

	(void)state;
	accept(GET UP V13 K);
	assert_int_equal(ws_set_key(&m, NULL), 0);
	first = msg_value(&m, "sec-websocket-key");
	assert_false(str_eqz(first, KEY));
	assert_int_equal(ws_check_request(&m, NULL), 0);
	assert_int_equal(ws_set_key(&m, NULL), 0);
	assert_false(str_eq(msg_value(&m, "sec-websocket-key"), first));
	assert_int_equal(ws_check_request(&m, NULL), 0);
}

static int answer(const char *fields, bool offered)
{
	auto_buf text = BUF_INIT(KIB(4));
	struct err err = ERR_INIT;

	assert_int_equal(buf_addf(&text, NULL, "HTTP/1.1 101 Yes\r\n%s\r\n", fields), 0);
	msg_init(&m, &arena);
	assert_int_equal(h1_parse_response(buf_str(&text), STR("GET"), &m, NULL), 0);
	return ws_check_answer(&m, STR(KEY), offered, &err);
}

static void test_answer(void **state)
{
#define A "Sec-WebSocket-Accept: " ACCEPT "\r\n"
#define X "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	(void)state;
	assert_int_equal(answer(UP A, false), 0);
	assert_int_equal(answer("connection: upgrade\r\nupgrade: WebSocket\r\n" A, false), 0);
	assert_int_equal(answer(UP A X, true), 0);
	assert_int_equal(answer(UP A X, false), -1);
	assert_int_equal(answer("", false), -1);
	assert_int_equal(answer(A, false), -1);
	assert_int_equal(answer(UP, false), -1);
	assert_int_equal(answer(UP A A, false), -1);
	assert_int_equal(answer(UP "Upgrade: h2c\r\n" A, false), -1);
	assert_int_equal(answer("Upgrade: websocket\r\n" A, false), -1);
	assert_int_equal(answer("Upgrade: h2c\r\nConnection: upgrade\r\n" A, false), -1);
	assert_int_equal(answer(UP "Sec-WebSocket-Accept: " KEY "\r\n", false), -1);
	assert_int_equal(answer(UP "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", false),
			 -1);
}

/* --- frames --------------------------------------------------------------------------------- */

/* What each byte is: h head, p payload, e the last of a payload. */
static void label(struct str in, size_t step, char *ret)
{
	struct ws_cursor w = { .have = 0 };
	size_t at = 0;

	while (at < in.n) {
		struct str rest = str_sub(in, at, step);

		while (rest.n > 0) {
			enum ws_part part;
			struct str got = ws_next(&w, rest, &part);

			assert_true(got.n > 0 && got.p == rest.p);
			memset(ret + at, part == WS_HEAD ? 'h' : 'p', got.n);
			if (part == WS_PAYLOAD_END)
				ret[at + got.n - 1] = 'e';
			at += got.n;
			rest = str_from(rest, got.n);
		}
	}
	ret[at] = '\0';
}

static void expect_labels(struct str in, const char *want)
{
	char got[512];

	for (size_t step = 1; step <= in.n; step++) {
		label(in, step, got);
		assert_string_equal(got, want);
	}
}

static void test_frames(void **state)
{
	static const char zeros[256] = "";
	auto_buf long_frame = BUF_INIT(KIB(1));

	(void)state;
	expect_labels(STR("\x81\x05Hello\x81\x01!"), "hhppppehhe");
	/* Nothing in it */
	expect_labels(STR("\x89\x00\x8a\x00\x81\x01x"), "hhhhhhe");
	/* Masked */
	expect_labels(STR("\x81\x82kkkkab\x88\x80kkkk\x81\x01x"), "hhhhhhpehhhhhhhhe");
	/* Two bytes of length, of which 3 is not the shortest form; and eight */
	expect_labels(STR("\x82\x7e\x00\x03"
			  "abc\x81\x01x"),
		      "hhhhppehhe");
	expect_labels(STR("\x82\x7f\0\0\0\0\0\0\0\x02"
			  "ab\x81\x01x"),
		      "hhhhhhhhhhpehhe");
	expect_labels(STR("\x82\xff\0\0\0\0\0\0\0\x02kkkk"
			  "ab\x81\x01x"),
		      "hhhhhhhhhhhhhhpehhe");
	assert_int_equal(buf_add(&long_frame, STR("\x82\x7e\x01\x00"), NULL), 0);
	assert_int_equal(buf_add(&long_frame, str_mem(zeros, sizeof(zeros)), NULL), 0);
	assert_int_equal(buf_add(&long_frame, STR("\x81\x00"), NULL), 0);
	{
		char want[300] = "hhhh";

		memset(want + 4, 'p', 255);
		memcpy(want + 4 + 255, "ehh", 4);
		expect_labels(buf_str(&long_frame), want);
	}
}

/* As long as a number can say. */
static void test_endless_frame(void **state)
{
	char got[64];

	(void)state;
	label(STR("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01x"), 1, got);
	assert_string_equal(got, "hhhhhhhhhhppp");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_asked),  TEST(test_request), TEST(test_extended_connect), TEST(test_key),
		TEST(test_answer), TEST(test_frames),  TEST(test_endless_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
