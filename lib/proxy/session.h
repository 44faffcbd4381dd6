/*
 * session: one client connection, from accept to close.
 *
 *	                    ┌ plain bytes ──────────────▶ INNER (http:// in a tunnel)
 *	OUTER ─ CONNECT ─▶ PEEK ─ ClientHello ─▶ HANDSHAKE ─▶ INNER (https://)
 *	  │                 └ passthrough route, SNI agrees ─▶ DIAL ─▶ SPLICE
 *	  └ absolute-form and reverse-mount requests: exchanges on OUTER itself
 */
#ifndef BOTTLE_PROXY_SESSION_H
#define BOTTLE_PROXY_SESSION_H

#include <stdbool.h>

#include "net/addr.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"

struct session;

/* Owns fd. `refused`: it is one too many; it gets HTTP_LINGER_MS for a request to be refused. */
void session_start(struct proxy *p, int fd, const struct addr *peer, bool refused);
/* No further requests; what runs may finish. */
void session_drain(struct session *s);
/* Ends it now; a tunnel that was passing through has its event. */
void session_cut(struct session *s);
struct session *session_next(struct session *s);

/* For an operator. */
struct session_info {
	const char *peer;
	const char *state;
	const char *protocol;         /* "http/1.1", "h2"; NULL: none yet, or not looked at */
	char to[EXCHANGE_TO_MAX];     /* tunnel, or latest open request; empty: nowhere */
	int64_t age_ms, idle_ms;      /* idle: no byte has moved */
	uint64_t bytes_in, bytes_out; /* on the wire; in: from the client */
	uint64_t exchanges;
	unsigned open; /* of the exchanges */
};
void session_describe(const struct session *s, struct session_info *ret);

#endif
