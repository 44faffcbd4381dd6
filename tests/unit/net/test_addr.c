#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/un.h>

#include "base/mem.h"
#include "net/addr.h"

static struct addr parsed(const char *text, uint16_t port)
{
	struct err err = ERR_INIT;
	struct addr a;

	if (addr_parse(str_of(text), port, &a, &err))
		fail_msg("%s: %s", text, err.text);
	return a;
}

static void assert_text(const char *in, const char *bare, const char *with_port)
{
	struct addr a = parsed(in, 443);
	char buf[ADDR_TEXT_MAX];

	addr_text(&a, false, buf);
	assert_string_equal(buf, bare);
	addr_text(&a, true, buf);
	assert_string_equal(buf, with_port);
}

static void test_parse_and_text(void **state)
{
	(void)state;
	assert_text("1.2.3.4", "1.2.3.4", "1.2.3.4:443");
	assert_text("255.255.255.255", "255.255.255.255", "255.255.255.255:443");
	assert_text("0.0.0.0", "0.0.0.0", "0.0.0.0:443");
	assert_text("::1", "::1", "[::1]:443");
	assert_text("[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]:443");
	assert_text("::ffff:1.2.3.4", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:443");
	assert_text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0",
		    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0]:443");
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		".",
		"1",
		"1.2.3",
		"1.2.3.4.",
		".1.2.3.4",
		"1..2.3",
		"1.2.3.4.5",
		"256.1.1.1",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.04",
		"0x1.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4/8",
		"1.2.3.-4",
		"1.2.3.+4",
		"127.1",
		"2130706433",
		"[1.2.3.4]",
		":",
		":::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::1::",
		"[::1",
		"::1]",
		"[]",
		"[[::1]]",
		"fe80::1%eth0",
		"fe80::1%1",
		"12345::",
		"::g",
		"::1.2.3",
		"::1.2.3.256",
		"::01.2.3.4",
		"localhost",
		"::1 ",
		"1.2.3.4\n",
		"0000000000000000000000000000000000000000000000000000000000000001::",
	};
	struct err err = ERR_INIT;
	struct addr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (addr_parse(str_of(bad[i]), 1, &a, &err) == 0)
			fail_msg("accepted: '%s'", bad[i]);
		assert_int_equal(err.code, E_BAD);
	}
	assert_int_equal(addr_parse(str_mem("1.2.3.4\0", 8), 1, &a, &err), -1);
	assert_int_equal(addr_parse(str_mem("1.2.3.4\0evil", 12), 1, &a, &err), -1);
	assert_int_equal(addr_parse(STR_NONE, 1, &a, NULL), -1);
}

static void assert_listen(const char *in, const char *expected)
{
	struct err err = ERR_INIT;
	char buf[ADDR_TEXT_MAX];
	struct addr a;

	if (addr_parse_listen(str_of(in), &a, &err))
		fail_msg("%s: %s", in, err.text);
	addr_text(&a, true, buf);
	assert_string_equal(buf, expected);
}

static void test_parse_listen(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"127.0.0.1: 80",
		"::1:80",
		"::1",
		"[::1]",
		"[::1]80",
		"localhost:80",
		"127.1:80",
		"[::1:80",
		":99999999999999999999",
		"[]:80",
		"127.0.0.1:80:80",
	};
	struct err err = ERR_INIT;
	struct addr a;

	(void)state;
	assert_listen("127.0.0.1:8888", "127.0.0.1:8888");
	assert_listen("0.0.0.0:0", "0.0.0.0:0");
	assert_listen("[::1]:65535", "[::1]:65535");
	assert_listen(":80", "[::]:80");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (addr_parse_listen(str_of(bad[i]), &a, &err) == 0)
			fail_msg("accepted: '%s'", bad[i]);
		assert_int_equal(err.code, E_BAD);
	}
}

static void test_eq(void **state)
{
	struct addr a = parsed("1.2.3.4", 80), b = parsed("1.2.3.4", 80), c;

	(void)state;
	assert_true(addr_eq(&a, &b));
	addr_set_port(&b, 81);
	assert_int_equal(addr_port(&b), 81);
	assert_false(addr_eq(&a, &b));
	b = parsed("1.2.3.5", 80);
	assert_false(addr_eq(&a, &b));
	c = parsed("::ffff:1.2.3.4", 80);
	assert_false(addr_eq(&a, &c));
	addr_unmap(&c);
	assert_true(addr_eq(&a, &c));
	c = parsed("fe80::1", 80);
	b = c;
	assert_true(addr_eq(&b, &c));
	b.in6.sin6_scope_id = 3;
	assert_false(addr_eq(&b, &c));
	char buf[ADDR_TEXT_MAX];
	addr_text(&b, true, buf);
	assert_string_equal(buf, "[fe80::1%3]:80");
}

static void test_unix(void **state)
{
	struct addr a = { .sa.sa_family = AF_UNIX, .len = sizeof(sa_family_t) };
	char buf[ADDR_TEXT_MAX];

	(void)state;
	addr_text(&a, true, buf);
	assert_string_equal(buf, "unix");
	assert_int_equal(addr_port(&a), 0);
	assert_int_equal(addr_classify(&a), ADDR_SPECIAL);
	assert_false(addr_eq(&a, &a));
}

static void test_ipv4_spellings(void **state)
{
	static const struct {
		const char *text;
		uint32_t value;
	} good[] = {
		{ "127.0.0.1", 0x7f000001 },
		{ "127.0.0.1.", 0x7f000001 },
		{ "127.1", 0x7f000001 },
		{ "127.1.", 0x7f000001 },
		{ "127.0.1", 0x7f000001 },
		{ "2130706433", 0x7f000001 },
		{ "2130706433.", 0x7f000001 },
		{ "0x7f000001", 0x7f000001 },
		{ "0X7F000001", 0x7f000001 },
		{ "0x7f.1", 0x7f000001 },
		{ "0x7f.0x0.0x0.0x1", 0x7f000001 },
		{ "0177.0.0.1", 0x7f000001 },
		{ "0177.0.0.01", 0x7f000001 },
		{ "017700000001", 0x7f000001 },
		{ "0000000000177.0.0.1", 0x7f000001 },
		{ "0x0000000000007f.0.0.1", 0x7f000001 },
		{ "10.0xffffff", 0x0affffff },
		{ "10.16777215", 0x0affffff },
		{ "10.1.65535", 0x0a01ffff },
		{ "169.254.0xa9fe", 0xa9fea9fe },
		{ "4294967295", 0xffffffff },
		{ "0xffffffff", 0xffffffff },
		{ "037777777777", 0xffffffff },
		{ "0", 0 },
		{ "0.", 0 },
		{ "00", 0 },
		{ "0x", 0 }, /* WHATWG reads an empty hexadecimal part as 0 */
		{ "0x.0x.0x.0x", 0 },
		{ "08.8.8.8", 0x08080808 }, /* not octal: read as decimal by some */
		{ "010.8.8.8", 0x08080808 },
		{ "1.2.3.0377", 0x010203ff },
	};
	static const char *const bad[] = {
		"",
		".",
		"..",
		"1..",
		"1.2.3.4..",
		".1",
		"1..2",
		"1.2.3.4.5",
		"1.2.3.4.5.",
		"4294967296",
		"0x100000000",
		"040000000000",
		"256.1",
		"1.256.1",
		"1.2.3.256",
		"1.2.65536",
		"1.16777216",
		"99999999999999999999999999999999",
		"0xfffffffffffffffffffffffffffff",
		"1.2.3.x",
		"0xg",
		"a",
		"1e3",
		"-1",
		"+1",
		"1 ",
		" 1",
		"1.2.3.4:80",
		"1,2",
		"0b1",
		"0o17",
		"example.com",
		"1.2.3.4.example.com",
		"::1",
		"1.-2",
		"1.2.3.0400",
		"1_000",
		"deadbeef",
		"\xef\xbc\x91.1",
	};
	struct in_addr in;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (!addr_ipv4_any_spelling(str_of(good[i].text), &in))
			fail_msg("not recognised: '%s'", good[i].text);
		if (ntohl(in.s_addr) != good[i].value)
			fail_msg("'%s' is %08x", good[i].text, ntohl(in.s_addr));
	}
	in.s_addr = 42;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (addr_ipv4_any_spelling(str_of(bad[i]), &in))
			fail_msg("accepted: '%s'", bad[i]);
		assert_int_equal(in.s_addr, 42);
	}
	assert_false(addr_ipv4_any_spelling(str_mem("1.2.3.4\0", 8), &in));
	assert_false(addr_ipv4_any_spelling(STR_NONE, &in));
}

/* first and last address of each range, and the class of the neighbours below and above */
struct span {
	const char *first, *last;
	enum addr_class class, below, above;
};

static const struct span spans[] = {
	{ "0.0.0.0", "0.255.255.255", ADDR_UNSPECIFIED, ADDR_UNSPECIFIED, ADDR_PUBLIC },
	{ "10.0.0.0", "10.255.255.255", ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "100.64.0.0", "100.127.255.255", ADDR_CGNAT, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "127.0.0.0", "127.255.255.255", ADDR_LOOPBACK, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "169.254.0.0", "169.254.255.255", ADDR_LINK_LOCAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "172.16.0.0", "172.31.255.255", ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.0.0.0", "192.0.0.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.0.2.0", "192.0.2.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.31.196.0", "192.31.196.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.52.193.0", "192.52.193.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.88.99.0", "192.88.99.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.168.0.0", "192.168.255.255", ADDR_PRIVATE, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "192.175.48.0", "192.175.48.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "198.18.0.0", "198.19.255.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "198.51.100.0", "198.51.100.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "203.0.113.0", "203.0.113.255", ADDR_SPECIAL, ADDR_PUBLIC, ADDR_PUBLIC },
	{ "224.0.0.0", "239.255.255.255", ADDR_MULTICAST, ADDR_PUBLIC, ADDR_SPECIAL },
	{ "240.0.0.0", "255.255.255.255", ADDR_SPECIAL, ADDR_MULTICAST, ADDR_SPECIAL },

	{ "::", "::", ADDR_UNSPECIFIED, ADDR_UNSPECIFIED, ADDR_LOOPBACK },
	{ "::1", "::1", ADDR_LOOPBACK, ADDR_UNSPECIFIED, ADDR_EMBEDDED },
	{ "::2", "::ffff:ffff", ADDR_EMBEDDED, ADDR_LOOPBACK, ADDR_SPECIAL },
	{ "::ffff:0:0", "::ffff:ffff:ffff", ADDR_EMBEDDED, ADDR_SPECIAL, ADDR_SPECIAL },
	{ "::ffff:0:0:0", "::ffff:0:ffff:ffff", ADDR_EMBEDDED, ADDR_SPECIAL, ADDR_SPECIAL },
	{ "64:ff9b::", "64:ff9b::ffff:ffff", ADDR_EMBEDDED, ADDR_SPECIAL, ADDR_SPECIAL },
	{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", ADDR_EMBEDDED, ADDR_SPECIAL,
	  ADDR_SPECIAL },
	{ "100::", "100::ffff:ffff:ffff:ffff", ADDR_SPECIAL, ADDR_SPECIAL, ADDR_SPECIAL },
	{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_EMBEDDED, ADDR_PUBLIC,
	  ADDR_SPECIAL },
	{ "2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_SPECIAL, ADDR_EMBEDDED,
	  ADDR_PUBLIC },
	{ "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_SPECIAL, ADDR_PUBLIC,
	  ADDR_PUBLIC },
	{ "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_EMBEDDED, ADDR_PUBLIC,
	  ADDR_PUBLIC },
	{ "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", ADDR_SPECIAL, ADDR_PUBLIC,
	  ADDR_PUBLIC },
	{ "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_SPECIAL, ADDR_PUBLIC,
	  ADDR_PUBLIC },
	{ "2000::", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_PUBLIC, ADDR_SPECIAL,
	  ADDR_EMBEDDED },
	{ "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_PUBLIC, ADDR_SPECIAL,
	  ADDR_SPECIAL },
	{ "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_SPECIAL, ADDR_SPECIAL,
	  ADDR_SPECIAL },
	{ "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_PRIVATE, ADDR_SPECIAL,
	  ADDR_SPECIAL },
	{ "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_LINK_LOCAL, ADDR_SPECIAL,
	  ADDR_LINK_LOCAL },
	{ "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_LINK_LOCAL, ADDR_LINK_LOCAL,
	  ADDR_MULTICAST },
	{ "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ADDR_MULTICAST, ADDR_LINK_LOCAL,
	  ADDR_MULTICAST },
};

/* The next (+1) or previous (-1) address; false past either end of the space. */
static bool step(struct addr *a, int by)
{
	bool v4 = a->sa.sa_family == AF_INET;
	uint8_t *p = v4 ? (uint8_t *)&a->in4.sin_addr : a->in6.sin6_addr.s6_addr;

	for (size_t i = v4 ? 4 : 16; i > 0; i--) {
		p[i - 1] = (uint8_t)(p[i - 1] + by);
		if (p[i - 1] != (by > 0 ? 0x00 : 0xff))
			return true;
	}
	return false;
}

static void assert_class(const struct addr *a, enum addr_class expected)
{
	enum addr_class got = addr_classify(a);
	char buf[ADDR_TEXT_MAX];

	if (got != expected) {
		addr_text(a, false, buf);
		fail_msg("%s is %s, not %s", buf, addr_class_name(got), addr_class_name(expected));
	}
}

static void test_classes_at_their_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		struct addr first = parsed(spans[i].first, 0), last = parsed(spans[i].last, 0);

		assert_class(&first, spans[i].class);
		assert_class(&last, spans[i].class);
		if (step(&first, -1))
			assert_class(&first, spans[i].below);
		if (step(&last, 1))
			assert_class(&last, spans[i].above);
	}
}

static void test_classes_of_known_hosts(void **state)
{
	static const struct {
		const char *text;
		enum addr_class class;
	} known[] = {
		{ "8.8.8.8", ADDR_PUBLIC },
		{ "1.1.1.1", ADDR_PUBLIC },
		{ "2606:4700:4700::1111", ADDR_PUBLIC },
		{ "2a00:1450:4001:82a::200e", ADDR_PUBLIC },
		{ "169.254.169.254", ADDR_LINK_LOCAL },
		{ "fd00:ec2::254", ADDR_PRIVATE },
		{ "::ffff:8.8.8.8", ADDR_EMBEDDED }, /* a public address inside does not help */
		{ "::8.8.8.8", ADDR_EMBEDDED },
		{ "64:ff9b::8.8.8.8", ADDR_EMBEDDED },
		{ "2002:808:808::1", ADDR_EMBEDDED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct addr a = parsed(known[i].text, 0);

		assert_class(&a, known[i].class);
	}
}

static void test_class_names(void **state)
{
	(void)state;
	for (int a = ADDR_PUBLIC; a <= ADDR_EMBEDDED; a++) {
		for (int b = ADDR_PUBLIC; b < a; b++)
			assert_string_not_equal(addr_class_name((enum addr_class)a),
						addr_class_name((enum addr_class)b));
	}
}

static bool in_cidr(const char *cidr, const char *ip)
{
	struct err err = ERR_INIT;
	struct addr a = parsed(ip, 9);
	struct cidr c;

	if (cidr_parse(str_of(cidr), &c, &err))
		fail_msg("%s", err.text);
	return cidr_has(&c, &a);
}

static void test_cidr(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"10.0.0.1/8",
		"/8",
		"10.0.0.0/08x",
		"::/129",
		"::1/127",
		"2001:db8::/28",
		"example.com/8",
		"10/8",
		"128.0.0.0/0",
	};
	struct err err = ERR_INIT;
	struct cidr c;

	(void)state;
	assert_true(in_cidr("10.0.0.0/8", "10.255.255.255"));
	assert_false(in_cidr("10.0.0.0/8", "11.0.0.0"));
	assert_true(in_cidr("0.0.0.0/0", "255.1.2.3"));
	assert_false(in_cidr("0.0.0.0/0", "::1"));
	assert_false(in_cidr("::/0", "1.2.3.4"));
	assert_true(in_cidr("::/0", "ffff::"));
	assert_true(in_cidr("192.168.1.128/25", "192.168.1.128"));
	assert_false(in_cidr("192.168.1.128/25", "192.168.1.127"));
	assert_true(in_cidr("172.16.0.0/12", "172.31.255.255"));
	assert_false(in_cidr("172.16.0.0/12", "172.32.0.0"));
	assert_true(in_cidr("1.2.3.4", "1.2.3.4"));
	assert_false(in_cidr("1.2.3.4", "1.2.3.5"));
	assert_true(in_cidr("fd00::/8", "fdff::1"));
	assert_false(in_cidr("fd00::/8", "fe00::1"));
	assert_true(in_cidr("::1/128", "::1"));
	assert_false(in_cidr("::1", "::2"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (cidr_parse(str_of(bad[i]), &c, &err) == 0)
			fail_msg("accepted: '%s'", bad[i]);
		assert_int_equal(err.code, E_BAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_text),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_listen),
		cmocka_unit_test(test_eq),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_ipv4_spellings),
		cmocka_unit_test(test_classes_at_their_bounds),
		cmocka_unit_test(test_classes_of_known_hosts),
		cmocka_unit_test(test_class_names),
		cmocka_unit_test(test_cidr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
