/*
 * exchange: one request from the agent, judged, forwarded and answered.
 */
#ifndef BOTTLE_PROXY_EXCHANGE_H
#define BOTTLE_PROXY_EXCHANGE_H

#include <stdbool.h>

#include "http/msg.h"
#include "http/stream.h"
#include "http/url.h"
#include "policy/decide.h"
#include "proxy/proxy.h"

/* The exchanges of one client connection. */
struct exchange_tally {
	unsigned open;
	uint64_t total;
	const struct exchange *latest; /* NULL when it has ended */
};

/* Where a request came in and what it may name; fixed by the session before any header is believed.
 */
struct exchange_origin {
	bool tls;       /* inside intercepted TLS */
	bool in_tunnel; /* inside a CONNECT; `tunnel` is its authority */
	struct authority tunnel;
	/* The SNI named another host than the CONNECT did: every request here is refused. */
	bool name_mismatch;
	char sni[URL_HOST_MAX + 1];
	bool refused;       /* the connection is one too many: so is every request here */
	const char *client; /* peer address for events; lives as long as the session, as does */
	struct exchange_tally *tally;
};

/* Takes the request over: the stream is answered in any case. */
void exchange_start(struct proxy *p, const struct exchange_origin *from, struct stream *client,
		    struct msg *request);

/* Where it goes, "host:port", as far as that is known; else empty. */
#define EXCHANGE_TO_MAX (URL_HOST_MAX + 16)
void exchange_to_text(const struct exchange *x, char text[EXCHANGE_TO_MAX]);

/* Cuts every exchange that has not ended, each with its event: the proxy is going away. */
void exchange_cut_all(struct proxy *p);

/* Refuses outside of an exchange (bad head, time-out): one response, one event. */
void exchange_refuse_bad(struct proxy *p, const struct exchange_origin *from, struct stream *client,
			 const struct err *why);

#endif
