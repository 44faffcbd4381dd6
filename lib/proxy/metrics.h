/*
 * metrics: what `ctl metrics` and /metrics show, in Prometheus text form.
 */
#ifndef BOTTLE_PROXY_METRICS_H
#define BOTTLE_PROXY_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "policy/decide.h"

struct metrics {
	uint64_t connections_total, connections_open;
	uint64_t requests_allowed, requests_failed;
	uint64_t refused[REASON_COUNT];
	uint64_t bytes_in, bytes_out; /* bodies, seen from the agent: sent, received */
	uint64_t handshakes_ok, handshakes_failed;
	uint64_t masked; /* times an injected credential was blotted out of an answer */
	uint64_t reloads_ok, reloads_failed;
};

/* `prefix` is the component with '_' ("egress_proxy"). */
int metrics_write(const struct metrics *m, const char *prefix, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
