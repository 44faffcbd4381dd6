#include "proxy/event.h"

#include "base/limits.h"
#include "base/log.h"
#include "proxy/proxy.h"

const char *event_kind_name(enum event_kind kind)
{
	static const char *const names[EVENT_KINDS] = { "request", "tunnel" };

	return names[kind];
}

const char *event_verdict_name(enum event_verdict verdict)
{
	static const char *const names[EVENT_VERDICTS] = { "allow", "block", "error" };

	return names[verdict];
}

/* What the agent can make long is cut, so that the rest of the line always fits. */
static void add_cut(struct log_event *line, const char *key, struct str s, size_t max)
{
	if (s.n == 0)
		return;
	log_event_str(line, key, str_sub(s, 0, max));
	line->cut |= s.n > max;
}

static void count(struct metrics *m, const struct event *ev)
{
	m->events[ev->kind][ev->verdict][ev->reason]++;
	m->bytes_in += ev->bytes_in;
	m->bytes_out += ev->bytes_out;
	m->masked += ev->masked;
	if (ev->kind == EVENT_REQUEST)
		prom_observe(&m->request_duration, ev->ms);
}

void event_lost(struct proxy *p)
{
	p->metrics.events_lost++;
	if (!p->events_broken)
		log_error("events cannot be written: refusing every request from now on");
	p->events_broken = true;
}

void event_write(struct proxy *p, const struct event *ev)
{
	struct log_event line;

	count(&p->metrics, ev);
	log_event_begin(&line, event_kind_name(ev->kind));
	log_event_strz(&line, "verdict", event_verdict_name(ev->verdict));
	if (ev->reason_text)
		log_event_strz(&line, "reason", ev->reason_text);
	else if (ev->reason != REASON_NONE)
		log_event_strz(&line, "reason", reason_name(ev->reason));
	add_cut(&line, "method", ev->method, EVENT_METHOD_MAX);
	if (ev->host.n > 0)
		log_event_str(&line, "host", ev->host);
	if (ev->port)
		log_event_u64(&line, "port", ev->port);
	add_cut(&line, "path", ev->path, EVENT_PATH_MAX);
	if (ev->status)
		log_event_u64(&line, "status", (uint64_t)ev->status);
	log_event_u64(&line, "bytes_in", ev->bytes_in);
	log_event_u64(&line, "bytes_out", ev->bytes_out);
	log_event_u64(&line, "ms", (uint64_t)(ev->ms > 0 ? ev->ms : 0));
	log_event_strz(&line, "rule", ev->rule);
	log_event_strz(&line, "credential", ev->credential);
	if (ev->masked)
		log_event_u64(&line, "masked", ev->masked);
	log_event_strz(&line, "client", ev->client);
	log_event_strz(&line, "message", ev->message);
	log_event_u64(&line, "request_id", ev->request_id);
	if (log_event_end(&line) < 0)
		event_lost(p);
}
