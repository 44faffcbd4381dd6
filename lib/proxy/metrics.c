#include "proxy/metrics.h"

#include <inttypes.h>

static int counter(struct buf *out, const char *prefix, const char *name, const char *type,
		   const char *help, uint64_t value, struct err *err)
{
	return buf_addf(out, err, "# HELP %s_%s %s\n# TYPE %s_%s %s\n%s_%s %" PRIu64 "\n", prefix,
			name, help, prefix, name, type, prefix, name, value);
}

int metrics_write(const struct metrics *m, const char *prefix, struct buf *out, struct err *err)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{ "connections_total", "counter", "Client connections accepted.",
		  m->connections_total },
		{ "connections_open", "gauge", "Client connections open now.",
		  m->connections_open },
		{ "requests_allowed_total", "counter", "Requests forwarded.", m->requests_allowed },
		{ "requests_failed_total", "counter", "Forwarded requests cut short.",
		  m->requests_failed },
		{ "request_bytes_total", "counter", "Body bytes sent by clients.", m->bytes_in },
		{ "response_bytes_total", "counter", "Body bytes sent to clients.", m->bytes_out },
		{ "tls_handshakes_total", "counter", "TLS handshakes with clients completed.",
		  m->handshakes_ok },
		{ "tls_handshakes_failed_total", "counter", "TLS handshakes with clients failed.",
		  m->handshakes_failed },
		{ "credentials_masked_total", "counter", "Credentials blotted out of responses.",
		  m->masked },
		{ "reloads_total", "counter", "Route tables put in force.", m->reloads_ok },
		{ "reloads_failed_total", "counter", "Route tables refused.", m->reloads_failed },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (counter(out, prefix, rows[i].name, rows[i].type, rows[i].help, rows[i].value,
			    err) < 0)
			return -1;
	if (buf_addf(out, err,
		     "# HELP %s_requests_refused_total Requests refused, by reason.\n"
		     "# TYPE %s_requests_refused_total counter\n",
		     prefix, prefix) < 0)
		return -1;
	for (int r = REASON_NONE + 1; r < REASON_COUNT; r++)
		if (m->refused[r] &&
		    buf_addf(out, err, "%s_requests_refused_total{reason=\"%s\"} %" PRIu64 "\n",
			     prefix, reason_name((enum reason)r), m->refused[r]) < 0)
			return -1;
	return 0;
}
