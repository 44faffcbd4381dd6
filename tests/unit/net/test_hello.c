#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/hello.h"

/* A ClientHello built piece by piece, so that every length can be made wrong. */
struct hello {
	unsigned char b[HELLO_MAX + 64];
	size_t n;
};

static void put(struct hello *h, const void *p, size_t n)
{
	memcpy(h->b + h->n, p, n);
	h->n += n;
}

static void put_uint(struct hello *h, uint32_t v, size_t bytes)
{
	for (size_t i = bytes; i > 0; i--)
		h->b[h->n++] = (unsigned char)(v >> (8 * (i - 1)));
}

static void put_name(struct hello *h, unsigned type, const char *name)
{
	put_uint(h, type, 1);
	put_uint(h, (uint32_t)strlen(name), 2);
	put(h, name, strlen(name));
}

/* server_name extension with `count` times the name */
static struct hello extension(const char *name, int count)
{
	struct hello list = { .n = 0 }, ext = { .n = 0 };

	for (int i = 0; i < count; i++)
		put_name(&list, 0, name);
	put_uint(&ext, 0, 2);
	put_uint(&ext, (uint32_t)list.n + 2, 2);
	put_uint(&ext, (uint32_t)list.n, 2);
	put(&ext, list.b, list.n);
	return ext;
}

/* The handshake message around these extensions. */
static struct hello message(const struct hello *exts)
{
	static const unsigned char random[32] = { 7 };
	struct hello body = { .n = 0 }, msg = { .n = 0 };

	put_uint(&body, 0x0303, 2);
	put(&body, random, sizeof(random));
	put_uint(&body, 0, 1);
	put_uint(&body, 2, 2);
	put_uint(&body, 0x1301, 2);
	put_uint(&body, 1, 1);
	put_uint(&body, 0, 1);
	if (exts) {
		put_uint(&body, (uint32_t)exts->n, 2);
		put(&body, exts->b, exts->n);
	}
	put_uint(&msg, 1, 1);
	put_uint(&msg, (uint32_t)body.n, 3);
	put(&msg, body.b, body.n);
	return msg;
}

/* Cut into records of `size` bytes. */
static struct hello records(const struct hello *msg, size_t size)
{
	struct hello out = { .n = 0 };

	for (size_t at = 0; at < msg->n; at += size) {
		size_t n = msg->n - at < size ? msg->n - at : size;

		put_uint(&out, 22, 1);
		put_uint(&out, 0x0301, 2);
		put_uint(&out, (uint32_t)n, 2);
		put(&out, msg->b + at, n);
	}
	return out;
}

static enum hello_result parse(const struct hello *h, size_t n, struct str *sni)
{
	static char scratch[HELLO_MAX];

	*sni = STR_NONE;
	return hello_sni(str_mem(h->b, n), scratch, sni, NULL);
}

static void test_name_in_any_framing(void **state)
{
	struct hello ext = extension("example.com", 1);
	struct hello msg = message(&ext);
	struct str sni;

	(void)state;
	for (size_t size = 1; size <= msg.n; size++) {
		struct hello rec = records(&msg, size);

		for (size_t n = 0; n < rec.n; n++)
			assert_int_equal(parse(&rec, n, &sni), HELLO_MORE);
		assert_int_equal(parse(&rec, rec.n, &sni), HELLO_DONE);
		assert_true(str_eqz(sni, "example.com"));
	}
}

static void test_no_name(void **state)
{
	struct hello none = { .n = 0 };
	struct hello with = message(&none), without = message(NULL);
	struct hello a = records(&with, 16384), b = records(&without, 16384);
	struct str sni;

	(void)state;
	assert_int_equal(parse(&a, a.n, &sni), HELLO_DONE);
	assert_int_equal(sni.n, 0);
	assert_int_equal(parse(&b, b.n, &sni), HELLO_DONE);
	assert_int_equal(sni.n, 0);
}

/* Two answers to "which host?" are no answer: another parser might take the other one. */
static void test_two_names(void **state)
{
	struct hello two = extension("a.example", 2);
	struct hello twice = extension("a.example", 1), other = extension("b.example", 1);
	struct hello msg = message(&two);
	struct hello rec = records(&msg, 16384);
	struct str sni;

	(void)state;
	assert_int_equal(parse(&rec, rec.n, &sni), HELLO_BAD);
	put(&twice, other.b, other.n);
	msg = message(&twice);
	rec = records(&msg, 16384);
	assert_int_equal(parse(&rec, rec.n, &sni), HELLO_BAD);
}

static void test_not_a_hello(void **state)
{
	struct hello msg = message(NULL), rec;
	struct hello http = { .n = 0 };
	struct str sni;

	(void)state;
	put(&http, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(parse(&http, http.n, &sni), HELLO_BAD);
	msg.b[0] = 2; /* ServerHello */
	rec = records(&msg, 16384);
	assert_int_equal(parse(&rec, rec.n, &sni), HELLO_BAD);
	msg.b[0] = 1;
	put_uint(&msg, 0, 1); /* a byte after the message */
	rec = records(&msg, 16384);
	assert_int_equal(parse(&rec, rec.n, &sni), HELLO_BAD);
	rec.n = 0;
	put_uint(&rec, 22, 1);
	put_uint(&rec, 0x0301, 2);
	put_uint(&rec, 0, 2); /* an empty record */
	assert_int_equal(parse(&rec, rec.n, &sni), HELLO_BAD);
}

/* Every single wrong byte either still parses or is refused; nothing reads outside (ASan watches). */
static void test_flipped_bytes(void **state)
{
	struct hello ext = extension("example.com", 1);
	struct hello msg = message(&ext);
	struct hello rec = records(&msg, 16384);
	struct str sni;

	(void)state;
	for (size_t i = 0; i < rec.n; i++)
		for (unsigned v = 0; v < 256; v++) {
			struct hello bad = rec;

			bad.b[i] = (unsigned char)v;
			(void)parse(&bad, bad.n, &sni);
		}
	assert_int_equal(parse(&rec, rec.n, &sni), HELLO_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_in_any_framing), cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_two_names),           cmocka_unit_test(test_not_a_hello),
		cmocka_unit_test(test_flipped_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
