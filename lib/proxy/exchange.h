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

/* Where a request came in and what it may name; fixed by the session before any header is believed.
 */
struct exchange_origin {
	bool tls;       /* inside intercepted TLS */
	bool in_tunnel; /* inside a CONNECT; `tunnel` is its authority */
	struct authority tunnel;
	/* The SNI named another host than the CONNECT did: every request here is refused. */
	bool name_mismatch;
	char sni[URL_HOST_MAX + 1];
	const char *client; /* peer address for events; lives as long as the session */
};

/* Takes the request over: the stream is answered in any case. */
void exchange_start(struct proxy *p, const struct exchange_origin *from, struct stream *client,
		    struct msg *request);

/* Cuts every exchange that has not ended, each with its event: the proxy is going away. */
void exchange_cut_all(struct proxy *p);

/* Refuses outside of an exchange (bad head, time-out): one response, one event. */
void exchange_refuse_bad(struct proxy *p, const struct exchange_origin *from, struct stream *client,
			 const struct err *why);

#endif
