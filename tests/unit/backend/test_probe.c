#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "backend/probe.h"

static struct err err;

#define HEAD \
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT  \n"
#define LOCAL "eth0\t0090A8C0\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0      \n"
#define GATEWAY "eth0\t00000000\t0190A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0      \n"

static int route(const char *text, struct in_addr *gateway)
{
	err_clear(&err);
	return probe_default_route(str_of(text), gateway, &err);
}

static void default_routes(void **state)
{
	struct in_addr gateway;
	char text[INET_ADDRSTRLEN];

	(void)state;
	assert_int_equal(route(HEAD LOCAL, &gateway), 0);
	assert_int_equal(route(HEAD, &gateway), 0);
	assert_int_equal(route("", &gateway), 0);
	assert_int_equal(route(HEAD GATEWAY LOCAL, &gateway), 1);
	assert_string_equal(inet_ntop(AF_INET, &gateway, text, sizeof(text)), "192.168.144.1");
	/* Straight onto the wire, and two ways. */
	assert_int_equal(route(HEAD "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n",
			       &gateway),
			 -1);
	assert_int_equal(err.code, E_DENIED);
	assert_non_null(strstr(err.text, "ppp0"));
	assert_int_equal(route(HEAD GATEWAY GATEWAY, &gateway), -1);
	/* A half of everything is not the default route, though it begins with zeros. */
	assert_int_equal(route(HEAD "eth0\t00000000\t0190A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n",
			       &gateway),
			 0);
}

static void ipv6(void **state)
{
	(void)state;
	assert_int_equal(probe_ipv6(STR(""), &err), 0);
	assert_int_equal(probe_ipv6(STR("00000000000000000000000000000001 01 80 10 80       lo\n"),
				    &err),
			 0);
	assert_int_equal(probe_ipv6(STR("00000000000000000000000000000001 01 80 10 80       lo\n"
					"fe80000000000000004266fffe84d990 02 40 20 80     eth0\n"),
				    &err),
			 -1);
	assert_int_equal(err.code, E_DENIED);
	assert_non_null(strstr(err.text, "eth0"));
}

static void arp(void **state)
{
	static const char head[] = "IP address       HW type     Flags       HW address            "
				   "Mask     Device\n";
	struct in_addr a = { .s_addr = inet_addr("192.168.144.1") };
	char text[400];

	(void)state;
	(void)snprintf(
		text, sizeof(text), "%s%s", head,
		"192.168.144.1    0x1         0x0         00:00:00:00:00:00     *        eth0\n");
	assert_false(probe_arp(str_of(text), a));
	(void)snprintf(
		text, sizeof(text), "%s%s", head,
		"192.168.144.1    0x1         0x2         02:42:ff:fe:84:d9     *        eth0\n");
	assert_true(probe_arp(str_of(text), a));
	(void)snprintf(
		text, sizeof(text), "%s%s", head,
		"192.168.144.11   0x1         0x2         02:42:ff:fe:84:d9     *        eth0\n");
	assert_false(probe_arp(str_of(text), a));
	assert_false(probe_arp(STR(""), a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_routes),
		cmocka_unit_test(ipv6),
		cmocka_unit_test(arp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
