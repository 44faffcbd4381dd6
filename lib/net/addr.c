#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* --- text → address ----------------------------------------------------------------------------- */

/*
 * inet_pton wants a terminated string. The bytes are checked against the family's alphabet first,
 * so what the C library might take besides (scopes, other spellings) never reaches it.
 */
static bool parse_with(int family, struct str s, const char *alphabet, void *ret)
{
	char z[INET6_ADDRSTRLEN];

	if (s.n == 0 || s.n >= sizeof(z))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0' || !strchr(alphabet, s.p[i]))
			return false;
	}
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return inet_pton(family, z, ret) == 1;
}

static struct addr from_in4(struct in_addr in, uint16_t port)
{
	struct addr a = { .len = sizeof(a.in4) };

	a.in4.sin_family = AF_INET;
	a.in4.sin_port = htons(port);
	a.in4.sin_addr = in;
	return a;
}

static struct addr from_in6(struct in6_addr in, uint16_t port)
{
	struct addr a = { .len = sizeof(a.in6) };

	a.in6.sin6_family = AF_INET6;
	a.in6.sin6_port = htons(port);
	a.in6.sin6_addr = in;
	return a;
}

int addr_parse(struct str ip, uint16_t port, struct addr *ret, struct err *err)
{
	struct str bare = ip;
	struct in6_addr in6;
	struct in_addr in4;

	if (parse_with(AF_INET, ip, "0123456789.", &in4)) {
		*ret = from_in4(in4, port);
		return 0;
	}
	if (ip.n >= 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']')
		bare = str_sub(ip, 1, ip.n - 2);
	if (parse_with(AF_INET6, bare, "0123456789abcdefABCDEF:.", &in6)) {
		*ret = from_in6(in6, port);
		return 0;
	}
	return err_set(err, E_BAD, "'%.*s' is not an IP address", STR_ARG(ip));
}

int addr_parse_listen(struct str s, struct addr *ret, struct err *err)
{
	struct str host = s, port_text = STR_NONE;
	struct addr a;
	uint64_t port;

	for (size_t i = s.n; i > 0; i--) {
		if (s.p[i - 1] == ':') {
			host = str_sub(s, 0, i - 1);
			port_text = str_from(s, i);
			break;
		}
	}
	/* Unbracketed IPv6 is ambiguous: is ::1:80 a port or a group? */
	if (!port_text.p || (str_chr(host, ':', 0) >= 0 && host.p[0] != '['))
		return err_set(err, E_BAD, "'%.*s' is not ADDRESS:PORT, [IPV6]:PORT or :PORT",
			       STR_ARG(s));
	if (str_to_u64(port_text, UINT16_MAX, &port))
		return err_set(err, E_BAD, "'%.*s': port must be 0 to 65535", STR_ARG(s));
	if (host.n == 0)
		a = from_in6(in6addr_any, 0);
	else if (addr_parse(host, 0, &a, err))
		return -1;
	addr_set_port(&a, (uint16_t)port);
	*ret = a;
	return 0;
}

/* --- address → text ----------------------------------------------------------------------------- */

void addr_text(const struct addr *a, bool with_port, char buf[ADDR_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "?", scope[12] = "";
	int family = a->sa.sa_family;

	if (family == AF_INET) {
		(void)inet_ntop(AF_INET, &a->in4.sin_addr, ip, sizeof(ip));
	} else if (family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip));
		if (a->in6.sin6_scope_id)
			(void)snprintf(scope, sizeof(scope), "%%%u", a->in6.sin6_scope_id);
	} else {
		(void)snprintf(buf, ADDR_TEXT_MAX, "%s", family == AF_UNIX ? "unix" : "unknown");
		return;
	}
	if (!with_port)
		(void)snprintf(buf, ADDR_TEXT_MAX, "%s%s", ip, scope);
	else if (family == AF_INET6)
		(void)snprintf(buf, ADDR_TEXT_MAX, "[%s%s]:%u", ip, scope, addr_port(a));
	else
		(void)snprintf(buf, ADDR_TEXT_MAX, "%s:%u", ip, addr_port(a));
}

uint16_t addr_port(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohs(a->in4.sin_port);
	if (a->sa.sa_family == AF_INET6)
		return ntohs(a->in6.sin6_port);
	return 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in4.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

/* The address as bytes, most significant first; 0 for a family that has none. */
static size_t raw(const struct addr *a, const uint8_t **ret)
{
	if (a->sa.sa_family == AF_INET) {
		*ret = (const uint8_t *)&a->in4.sin_addr;
		return 4;
	}
	if (a->sa.sa_family == AF_INET6) {
		*ret = a->in6.sin6_addr.s6_addr;
		return 16;
	}
	*ret = NULL;
	return 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	const uint8_t *pa, *pb;
	size_t n = raw(a, &pa);

	if (n == 0 || n != raw(b, &pb) || memcmp(pa, pb, n) != 0 || addr_port(a) != addr_port(b))
		return false;
	return n != 16 || a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

void addr_unmap(struct addr *a)
{
	struct in_addr in;

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	memcpy(&in, a->in6.sin6_addr.s6_addr + 12, sizeof(in));
	*a = from_in4(in, addr_port(a));
}

/* --- the other spellings of IPv4 ---------------------------------------------------------------- */

/*
 * One part: decimal, 0-octal, 0x-hexadecimal. "0x" alone is 0 (WHATWG). A leading 0 before 8 or 9
 * is no octal; parsers that ignore leading zeros read it as decimal, so do we: better one address
 * too many recognised than one too few.
 */
static bool ipv4_part(struct str s, uint64_t *ret)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	if (str_istarts(s, STR("0x"))) {
		base = 16;
		s = str_from(s, 2);
	} else if (s.n > 1 && s.p[0] == '0' && str_chr(s, '8', 0) < 0 && str_chr(s, '9', 0) < 0) {
		base = 8;
	}
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		unsigned digit;

		if (ascii_digit(c))
			digit = (unsigned)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			return false;
		v = v * base + digit;
		if (v > UINT32_MAX)
			return false;
	}
	*ret = v;
	return true;
}

bool addr_ipv4_any_spelling(struct str host, struct in_addr *ret)
{
	uint64_t v, value = 0;
	unsigned parts = 0;
	struct str piece;

	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n == 0)
		return false;
	while (str_split(&host, '.', &piece)) {
		bool last = host.p == NULL;
		/* The last part fills all bytes that are left: 127.1 is 127.0.0.1. */
		unsigned bits = last ? 8 * (4 - parts) : 8;

		if (parts == 4 || !ipv4_part(piece, &v) || v >> bits)
			return false;
		value = value << bits | v;
		parts++;
	}
	ret->s_addr = htonl((uint32_t)value);
	return true;
}

/* --- classes ------------------------------------------------------------------------------------ */

/* In the tables a narrower range stands before a wider one that contains it. */
struct range {
	uint8_t base[16];
	uint8_t bits;
	uint8_t class;
};

static bool in_range(const uint8_t *p, const uint8_t *base, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(p, base, whole) != 0)
		return false;
	return rest == 0 || (p[whole] ^ base[whole]) >> (8 - rest) == 0;
}

/* IANA IPv4 Special-Purpose Address Registry; 224/4 and 240/4 from the IPv4 Address Space. */
/* clang-format off */
static const struct range ranges4[] = {
	{{0},              8,  ADDR_UNSPECIFIED}, /* "this network", RFC 791 */
	{{10},             8,  ADDR_PRIVATE},     /* RFC 1918 */
	{{100, 64},        10, ADDR_CGNAT},       /* RFC 6598 */
	{{127},            8,  ADDR_LOOPBACK},    /* RFC 1122 */
	{{169, 254},       16, ADDR_LINK_LOCAL},  /* RFC 3927; cloud metadata is 169.254.169.254 */
	{{172, 16},        12, ADDR_PRIVATE},     /* RFC 1918 */
	{{192, 0, 0},      24, ADDR_SPECIAL},     /* IETF protocol assignments, RFC 6890 */
	{{192, 0, 2},      24, ADDR_SPECIAL},     /* TEST-NET-1, RFC 5737 */
	{{192, 31, 196},   24, ADDR_SPECIAL},     /* AS112-v4, RFC 7535: may be a local anycast node */
	{{192, 52, 193},   24, ADDR_SPECIAL},     /* AMT, RFC 7450 */
	{{192, 88, 99},    24, ADDR_SPECIAL},     /* 6to4 relay anycast, RFC 7526 */
	{{192, 168},       16, ADDR_PRIVATE},     /* RFC 1918 */
	{{192, 175, 48},   24, ADDR_SPECIAL},     /* AS112, RFC 7534 */
	{{198, 18},        15, ADDR_SPECIAL},     /* benchmarking, RFC 2544 */
	{{198, 51, 100},   24, ADDR_SPECIAL},     /* TEST-NET-2, RFC 5737 */
	{{203, 0, 113},    24, ADDR_SPECIAL},     /* TEST-NET-3, RFC 5737 */
	{{224},            4,  ADDR_MULTICAST},   /* RFC 1112 */
	{{240},            4,  ADDR_SPECIAL},     /* reserved, RFC 1112; limited broadcast, RFC 919 */
};

/*
 * IANA IPv6 Special-Purpose Address Registry. Global unicast is 2000::/3 only (IPv6 Address Space);
 * what lies outside it and is not named here is reserved, hence ADDR_SPECIAL.
 */
static const struct range ranges6[] = {
	{{[15] = 1},                              128, ADDR_LOOPBACK},    /* ::1, RFC 4291 */
	{{0},                                     128, ADDR_UNSPECIFIED}, /* ::, RFC 4291 */
	{{[10] = 0xff, 0xff},                     96,  ADDR_EMBEDDED},    /* v4-mapped, RFC 4291 */
	{{[8] = 0xff, 0xff},                      96,  ADDR_EMBEDDED},    /* v4-translated, RFC 2765 */
	{{0},                                     96,  ADDR_EMBEDDED},    /* v4-compatible, RFC 4291 */
	{{0x00, 0x64, 0xff, 0x9b},                96,  ADDR_EMBEDDED},    /* NAT64, RFC 6052 */
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01},    48,  ADDR_EMBEDDED},    /* local NAT64, RFC 8215 */
	{{0x20, 0x01},                            32,  ADDR_EMBEDDED},    /* Teredo, RFC 4380 */
	{{0x20, 0x01},                            23,  ADDR_SPECIAL},     /* IETF assignments, RFC 2928 */
	{{0x20, 0x01, 0x0d, 0xb8},                32,  ADDR_SPECIAL},     /* documentation, RFC 3849 */
	{{0x20, 0x02},                            16,  ADDR_EMBEDDED},    /* 6to4, RFC 3056 */
	{{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00},    48,  ADDR_SPECIAL},     /* AS112, RFC 7534 */
	{{0x3f, 0xff},                            20,  ADDR_SPECIAL},     /* documentation, RFC 9637 */
	{{0x20},                                  3,   ADDR_PUBLIC},      /* global unicast */
	{{0xfc},                                  7,   ADDR_PRIVATE},     /* unique local, RFC 4193 */
	{{0xfe, 0x80},                            10,  ADDR_LINK_LOCAL},  /* RFC 4291 */
	{{0xfe, 0xc0},                            10,  ADDR_LINK_LOCAL},  /* site-local, RFC 3879 */
	{{0xff},                                  8,   ADDR_MULTICAST},   /* RFC 4291 */
};
/* clang-format on */

enum addr_class addr_classify(const struct addr *a)
{
	const uint8_t *p;
	size_t n = raw(a, &p);

	if (n == 4) {
		for (size_t i = 0; i < ARRAY_LEN(ranges4); i++) {
			if (in_range(p, ranges4[i].base, ranges4[i].bits))
				return ranges4[i].class;
		}
		return ADDR_PUBLIC;
	}
	for (size_t i = 0; n == 16 && i < ARRAY_LEN(ranges6); i++) {
		if (in_range(p, ranges6[i].base, ranges6[i].bits))
			return ranges6[i].class;
	}
	return ADDR_SPECIAL;
}

const char *addr_class_name(enum addr_class c)
{
	switch (c) {
	case ADDR_PUBLIC:
		return "public";
	case ADDR_UNSPECIFIED:
		return "unspecified";
	case ADDR_LOOPBACK:
		return "loopback";
	case ADDR_PRIVATE:
		return "private";
	case ADDR_CGNAT:
		return "carrier-grade NAT";
	case ADDR_LINK_LOCAL:
		return "link-local";
	case ADDR_MULTICAST:
		return "multicast";
	case ADDR_SPECIAL:
		return "special-purpose";
	case ADDR_EMBEDDED:
		return "IPv4 embedded in IPv6";
	}
	return "special-purpose";
}

/* --- prefixes ----------------------------------------------------------------------------------- */

int cidr_parse(struct str s, struct cidr *ret, struct err *err)
{
	ssize_t slash = str_chr(s, '/', 0);
	struct str ip = slash < 0 ? s : str_sub(s, 0, (size_t)slash);
	const uint8_t *p;
	uint64_t bits;
	struct cidr c;
	size_t n;

	if (addr_parse(ip, 0, &c.base, err))
		return err_wrap(err, "'%.*s'", STR_ARG(s));
	n = raw(&c.base, &p);
	bits = n * 8;
	if (slash >= 0 && str_to_u64(str_from(s, (size_t)slash + 1), n * 8, &bits))
		return err_set(err, E_BAD, "'%.*s': the prefix length must be 0 to %zu", STR_ARG(s),
			       n * 8);
	c.bits = (unsigned)bits;
	/* 10.0.0.1/8 is a slip: an address was meant, or another length. */
	for (unsigned i = c.bits; i < n * 8; i++) {
		if (p[i / 8] & (0x80u >> i % 8))
			return err_set(err, E_BAD, "'%.*s': bits are set after the first %u",
				       STR_ARG(s), c.bits);
	}
	*ret = c;
	return 0;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
	const uint8_t *base, *p;
	size_t n = raw(&c->base, &base);

	return n != 0 && n == raw(a, &p) && in_range(p, base, c->bits);
}
