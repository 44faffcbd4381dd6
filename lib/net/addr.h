/*
 * addr: socket addresses, their text, and which part of the Internet they belong to.
 */
#ifndef BOTTLE_NET_ADDR_H
#define BOTTLE_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

#define ADDR_TEXT_MAX 72 /* "[v6%scope]:port" and NUL */

/* Strict literal: dotted quad of four decimal parts without leading zeros, or RFC 4291 IPv6
 * (brackets optional). No lookups. */
int addr_parse(struct str ip, uint16_t port, struct addr *ret, struct err *err)
	__attribute__((warn_unused_result));
/* "ADDR:PORT", "[v6]:PORT", ":PORT" (all addresses of both families). For listen options. Port 0
 * allowed. */
int addr_parse_listen(struct str s, struct addr *ret, struct err *err)
	__attribute__((warn_unused_result));
void addr_text(const struct addr *a, bool with_port, char buf[ADDR_TEXT_MAX]);
bool addr_eq(const struct addr *a, const struct addr *b); /* address and port */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
/* A v4-mapped address becomes the IPv4 address it is: how a dual-stack socket names its IPv4 peers.
 */
void addr_unmap(struct addr *a);

/*
 * Any spelling of an IPv4 address that some resolver or URL parser takes for one: 1-4 parts, each
 * decimal, octal (0…) or hexadecimal (0x…), optional trailing dot (WHATWG URL, "IPv4 parser";
 * inet_aton; leading zeros before 8 or 9 as decimal). True and *ret when it is one. A gate refuses
 * those that are not plain dotted quads.
 */
bool addr_ipv4_any_spelling(struct str host, struct in_addr *ret);

enum addr_class {
	ADDR_PUBLIC,
	ADDR_UNSPECIFIED, /* 0.0.0.0/8, :: */
	ADDR_LOOPBACK,    /* 127/8, ::1 */
	ADDR_PRIVATE,     /* RFC 1918, fc00::/7 */
	ADDR_CGNAT,       /* 100.64/10 */
	ADDR_LINK_LOCAL,  /* 169.254/16 (cloud metadata), fe80::/10, fec0::/10 */
	ADDR_MULTICAST,
	ADDR_SPECIAL,  /* documentation, benchmark 198.18/15, 192.0.0/24, 240/4, broadcast,
			  192.88.99/24, discard 100::/64 … (IANA special-purpose registries, RFC
			  6890), and all of IPv6 that is not global unicast */
	ADDR_EMBEDDED, /* v4-mapped, v4-compatible, NAT64 64:ff9b::/96 and 64:ff9b:1::/48, 6to4
			  2002::/16, Teredo 2001::/32: never judged by the inner address, always
			  refused */
};
enum addr_class addr_classify(const struct addr *a);
const char *addr_class_name(enum addr_class c); /* "loopback", "private", … */

struct cidr {
	struct addr base;
	unsigned bits;
};
/* "ADDR/BITS", or a bare address. Bits set after the prefix are an error. */
int cidr_parse(struct str s, struct cidr *ret, struct err *err) __attribute__((warn_unused_result));
bool cidr_has(const struct cidr *c, const struct addr *a); /* families must agree */

#endif
