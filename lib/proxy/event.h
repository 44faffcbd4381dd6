/*
 * event: the decision lines of egress-proxy, one per request or refused connection.
 */
#ifndef BOTTLE_PROXY_EVENT_H
#define BOTTLE_PROXY_EVENT_H

#include <stdint.h>

#include "base/str.h"
#include "policy/decide.h"
#include "proxy/proxy.h"

#define EVENT_ALLOW "allow" /* forwarded and answered */
#define EVENT_BLOCK "block" /* refused by a rule */
#define EVENT_ERROR "error" /* allowed, but it could not be done or was cut short */

struct event {
	const char *kind;    /* "request", "tunnel", "tls" */
	const char *verdict; /* one of the above */
	enum reason reason;  /* REASON_NONE: left out unless reason_text is given */
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
 * Writes the line. When it cannot be written the proxy stops forwarding (p->events_broken): what is
 * not on record must not happen.
 */
void event_write(struct proxy *p, const struct event *ev);

#endif
