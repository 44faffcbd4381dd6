/*
 * event: the decision lines of egress-proxy, one for each request or tunnel that was none.
 */
#ifndef BOTTLE_PROXY_EVENT_H
#define BOTTLE_PROXY_EVENT_H

#include <stdint.h>

#include "base/str.h"
#include "policy/decide.h"

struct proxy;

enum event_kind {
	EVENT_REQUEST,
	EVENT_TUNNEL, /* a CONNECT in which no request was seen */
	EVENT_KINDS
};
enum event_verdict {
	EVENT_ALLOW, /* forwarded and answered */
	EVENT_BLOCK, /* refused by a rule */
	EVENT_ERROR, /* allowed, but it could not be done or was cut short */
	EVENT_VERDICTS
};

/* As events and metrics show them. */
const char *event_kind_name(enum event_kind kind);
const char *event_verdict_name(enum event_verdict verdict);

struct event {
	enum event_kind kind;
	enum event_verdict verdict;
	enum reason reason; /* REASON_NONE: left out unless reason_text is given */
	const char *reason_text;
	const char *client;
	struct str method, host, path; /* never the query: presigned links and keys live there */
	uint16_t port;
	int status; /* 0: left out */
	uint64_t bytes_in, bytes_out, request_id;
	int64_t ms;
	const char *rule;       /* the route's host pattern */
	const char *credential; /* slot name */
	const char *message;
	unsigned masked; /* credentials blotted out of the answer */
};

/*
 * Writes the line and counts it in p->metrics, so that the two agree. When it cannot be written the
 * proxy stops forwarding (p->events_broken): what is not on record must not happen.
 */
void event_write(struct proxy *p, const struct event *ev);
/* The same for a line of another kind (log_event_end) that could not be written. */
void event_lost(struct proxy *p);

#endif
