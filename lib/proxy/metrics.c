#include "proxy/metrics.h"

#include "base/budget.h"
#include "base/version.h"
#include "proxy/pool.h"
#include "proxy/proxy.h"

/* What never happened is left out, but for "allow", so that no family is ever empty. */
static void write_verdicts(struct prom *w, const uint64_t counts[EVENT_VERDICTS][REASON_COUNT])
{
	for (int v = 0; v < EVENT_VERDICTS; v++) {
		for (int r = 0; r < REASON_COUNT; r++) {
			bool always = v == EVENT_ALLOW && r == REASON_NONE;

			if (counts[v][r] || always)
				prom_sample(w, counts[v][r],
					    PROM_LABELS({ "verdict", event_verdict_name(v) },
							{ "reason", r == REASON_NONE
									    ? ""
									    : reason_name(r) }));
		}
	}
}

static void write_events(struct prom *w, const struct metrics *m)
{
	prom_family(w, "requests_total", PROM_COUNTER, "Requests, by verdict and reason.");
	write_verdicts(w, m->events[EVENT_REQUEST]);
	prom_family(w, "tunnels_total", PROM_COUNTER,
		    "Tunnels in which no request was seen (passthrough, or refused before it could "
		    "be), by verdict and reason.");
	write_verdicts(w, m->events[EVENT_TUNNEL]);
	prom_single(
		w, "events_lost_total", PROM_COUNTER,
		"Event lines that could not be written; from the first on everything is refused.",
		m->events_lost);
}

static void write_tls(struct prom *w, const struct metrics *m)
{
	const struct {
		const char *side;
		const struct metrics_tls *t;
	} sides[] = { { "client", &m->client_tls }, { "upstream", &m->upstream_tls } };

	prom_family(w, "tls_handshakes_total", PROM_COUNTER,
		    "TLS handshakes, with clients and with upstreams, by result.");
	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
		const struct metrics_tls *t = sides[i].t;

		prom_sample(w, t->ok - t->resumed,
			    PROM_LABELS({ "side", sides[i].side }, { "result", "full" }));
		prom_sample(w, t->resumed,
			    PROM_LABELS({ "side", sides[i].side }, { "result", "resumed" }));
		prom_sample(w, t->failed,
			    PROM_LABELS({ "side", sides[i].side }, { "result", "failed" }));
	}
}

static void write_histogram(struct prom *w, const char *name, const char *help,
			    const struct prom_histogram *h)
{
	prom_family(w, name, PROM_HISTOGRAM, help);
	prom_histogram(w, h);
}

static void write_leaves(struct prom *w, const struct leaf_cache *c)
{
	const struct leaf_cache_stats s = leaf_cache_stats(c);

	prom_single(w, "leaf_cache_entries", PROM_GAUGE, "Certificates kept for interception.",
		    s.entries);
	prom_single(w, "leaf_cache_hits_total", PROM_COUNTER,
		    "Handshakes served by a kept certificate.", s.hits);
	prom_single(w, "leaf_cache_mints_total", PROM_COUNTER, "Certificates made.", s.mints);
}

static void write_pool(struct prom *w, const struct proxy *p)
{
	struct pool_stats s;

	pool_stats(p->pool, &s);
	prom_single(w, "upstream_connections_open", PROM_GAUGE, "Connections to upstreams.",
		    s.open);
	prom_single(w, "upstream_connections_idle", PROM_GAUGE,
		    "Those of them that carry no request now.", s.idle);
	prom_family(w, "upstream_dials_total", PROM_COUNTER,
		    "Connections to upstreams, by how dialling ended.");
	prom_sample(w, s.dialled, PROM_LABELS({ "result", "ok" }));
	prom_sample(w, s.dials_failed, PROM_LABELS({ "result", "failed" }));
	prom_family(w, "upstream_requests_total", PROM_COUNTER,
		    "Requests sent, by whether their connection was new or kept.");
	prom_sample(w, s.fresh, PROM_LABELS({ "connection", "new" }));
	prom_sample(w, s.reused, PROM_LABELS({ "connection", "kept" }));
	prom_single(w, "upstream_retries_total", PROM_COUNTER,
		    "Requests sent once more because a kept connection was closed.",
		    p->metrics.retries);
}

int metrics_write(const struct proxy *p, struct buf *out, struct err *err)
{
	const struct metrics *m = &p->metrics;
	struct prom w = PROM_INIT(out, "egress_proxy");

	prom_family(&w, "build_info", PROM_GAUGE, "The version that runs.");
	prom_sample(&w, 1, PROM_LABELS({ "version", bottle_version() }));
	prom_single(&w, "connections_total", PROM_COUNTER, "Client connections accepted.",
		    m->connections_total);
	prom_single(&w, "connections_open", PROM_GAUGE, "Client connections open now.",
		    m->connections_open);
	prom_single(&w, "memory_bytes", PROM_GAUGE,
		    "Charged for connections and what they have under way.", budget_used());
	prom_single(&w, "memory_max_bytes", PROM_GAUGE,
		    "Above three quarters of this new requests are refused.", budget_max());
	write_events(&w, m);
	prom_single(&w, "request_bytes_total", PROM_COUNTER, "Body bytes sent by clients.",
		    m->bytes_in);
	prom_single(&w, "response_bytes_total", PROM_COUNTER, "Body bytes sent to clients.",
		    m->bytes_out);
	write_histogram(&w, "request_duration_seconds",
			"From a request's head to the end of its answer.", &m->request_duration);
	write_histogram(&w, "response_start_seconds",
			"From a request's head to the head of the upstream's answer.",
			&m->first_byte);
	write_histogram(&w, "upstream_connect_seconds",
			"Connecting to an upstream: lookup, TCP, TLS.", &m->connect);
	write_tls(&w, m);
	write_pool(&w, p);
	write_leaves(&w, p->leaves);
	prom_single(&w, "credentials_masked_total", PROM_COUNTER,
		    "Credentials blotted out of responses.", m->masked);
	prom_single(&w, "policy_generation", PROM_GAUGE, "Generation of the table in force.",
		    p->policy->generation);
	prom_single(&w, "reloads_total", PROM_COUNTER, "Route tables put in force.", m->reloads_ok);
	prom_single(&w, "reloads_failed_total", PROM_COUNTER, "Route tables refused.",
		    m->reloads_failed);
	return prom_end(&w, err);
}
