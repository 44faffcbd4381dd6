/*
 * metrics: what `ctl metrics` and /metrics show, in Prometheus' text form.
 *
 * Counters live here and are counted where the thing happens; what can be looked up (pool, leaf
 * cache, live table) is looked up when somebody asks. Times are the loop's, in milliseconds.
 */
#ifndef BOTTLE_PROXY_METRICS_H
#define BOTTLE_PROXY_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/prom.h"
#include "net/tls.h"
#include "policy/decide.h"
#include "proxy/event.h"

struct metrics_tls {
	uint64_t ok; /* the resumed ones among them */
	uint64_t resumed, failed;
};

struct metrics {
	uint64_t connections_total, connections_open; /* of clients */
	uint64_t events[EVENT_KINDS][EVENT_VERDICTS][REASON_COUNT];
	uint64_t events_lost;
	uint64_t bytes_in, bytes_out; /* bodies, seen from the agent: sent, received */
	uint64_t masked;  /* times an injected credential was blotted out of an answer */
	uint64_t retries; /* requests sent once more, after a kept connection was found closed */
	uint64_t reloads_ok, reloads_failed;
	struct metrics_tls client_tls, upstream_tls;
	struct prom_histogram
		request_duration;         /* from the request's head to the end of its answer */
	struct prom_histogram first_byte; /* from the request's head to that of its answer */
	struct prom_histogram connect;    /* to an upstream, from lookup to TLS */
};

/* One more handshake that has succeeded: f is the TLS filter. */
static inline void metrics_tls_up(struct metrics_tls *m, const struct filter *f)
{
	m->ok++;
	m->resumed += tls_resumed(f);
}

int metrics_write(const struct proxy *p, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
