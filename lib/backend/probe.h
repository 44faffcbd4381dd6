/*
 * probe: is this box closed? Asked from inside, before the agent runs (spec 1.3).
 *
 * What the engine was told and what holds are two things (old engines ignore options); a box that
 * has a way out of its own is not used.
 *
 * Engines before 23 give an internal network a default route. Its gateway is the bridge, which
 * has no address, so nobody answers there; that is what has to be seen. Waiting for silence takes
 * time: it is started first and judged last.
 */
#ifndef BOTTLE_BACKEND_PROBE_H
#define BOTTLE_BACKEND_PROBE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct probe {
	int fd; /* being connected to the gateway; -1: there is none */
	struct in_addr gateway;
	int64_t started_ms; /* monotonic */
};

/* IPv6 is off, at most one default route; knocks at its gateway. probe_finish always. */
int probe_start(struct probe *p, struct err *err) __attribute__((warn_unused_result));
/* E_DENIED when the gateway has answered within PROBE_GATEWAY_MS of the start. */
int probe_finish(struct probe *p, struct err *err) __attribute__((warn_unused_result));
/* Can it be connected to? */
int probe_reach(const char *name, struct str address, unsigned port, struct err *err)
	__attribute__((warn_unused_result));

/* --- the judgements, of text -------------------------------------------------------------------- */

/*
 * /proc/net/route: 0 without a default route, 1 with one over *ret. E_DENIED: several, or one that
 * needs no gateway.
 */
int probe_default_route(struct str route, struct in_addr *ret, struct err *err)
	__attribute__((warn_unused_result));
/* /proc/net/if_inet6: E_DENIED when there is an IPv6 address besides ::1 (a link-local one reaches
 * the bridge). */
int probe_ipv6(struct str if_inet6, struct err *err) __attribute__((warn_unused_result));
/* /proc/net/arp: does anybody answer for this address? */
bool probe_arp(struct str arp, struct in_addr address);

#endif
