/*
 * Text that is taken for an address must survive being written and read again, and what is a strict
 * literal must be recognised as an IPv4 spelling of the same address.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	struct addr again;

	addr_text(a, true, text);
	if (addr_parse_listen(str_of(text), &again, NULL) || !addr_eq(a, &again))
		abort();
	addr_text(a, false, text);
	if (addr_parse(str_of(text), addr_port(a), &again, NULL) || !addr_eq(a, &again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_mem(data, size);
	struct in_addr in;
	struct addr a;
	struct cidr c;

	if (addr_parse(s, 443, &a, NULL) == 0) {
		round_trip(&a);
		(void)addr_class_name(addr_classify(&a));
		if (a.sa.sa_family == AF_INET &&
		    (!addr_ipv4_any_spelling(s, &in) || in.s_addr != a.in4.sin_addr.s_addr))
			abort();
	}
	if (addr_parse_listen(s, &a, NULL) == 0)
		round_trip(&a);
	if (cidr_parse(s, &c, NULL) == 0 && !cidr_has(&c, &c.base))
		abort();
	(void)addr_ipv4_any_spelling(s, &in);
	return 0;
}
