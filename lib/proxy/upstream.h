/*
 * upstream: a connection to where a request goes: resolved, checked, dialled, verified.
 *
 *	direct:   resolve -> SSRF guard on every answer -> TCP to one of them -> TLS
 *	by gate:  resolve the gate -> TCP -> CONNECT -> TLS   (the gate resolves and guards)
 *	          resolve the gate -> TCP                     (http://: absolute-form requests)
 */
#ifndef BOTTLE_PROXY_UPSTREAM_H
#define BOTTLE_PROXY_UPSTREAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/url.h"
#include "net/filter.h"
#include "policy/decide.h"
#include "proxy/proxy.h"

enum upstream_kind {
	UPSTREAM_TLS,    /* verified TLS to the host, HTTP/1.1 or HTTP/2 in it */
	UPSTREAM_TLS_H1, /* the same, HTTP/1.1 only: for what HTTP/2 has no words */
	UPSTREAM_PLAIN,  /* http:// */
	UPSTREAM_RAW,    /* bytes of a tunnel: TCP, or CONNECT through the gate */
};

/* What is spoken on a connection. */
enum upstream_speaks {
	SPEAKS_H1,
	SPEAKS_H1_ABSOLUTE, /* absolute-form requests: plain, through the gate */
	SPEAKS_H2,          /* chosen by the server (ALPN) */
};

struct upstream_failure {
	enum reason reason;
	struct err err;
	/* REASON_GATE_REFUSED: what the gate said, bounded; else empty. */
	int gate_status;
	char gate_reason[64];
	struct str gate_body;
};

/* Exactly one of the two is called, from the loop, unless the dial is cancelled. */
struct upstream_handler {
	/* The stack is ready and the callee's. */
	void (*on_ready)(void *arg, struct filter *f, enum upstream_speaks speaks);
	void (*on_failed)(void *arg,
			  const struct upstream_failure *failure); /* valid during the call */
};

struct upstream_dial;

/*
 * TLS sessions are resumed between dials of the same `scope`, which is borrowed until the dial is
 * over; NULL: never.
 */
struct upstream_dial *upstream_dial(struct proxy *p, const struct authority *to,
				    enum upstream_kind kind, const char *scope,
				    const struct upstream_handler *h, void *arg);
void upstream_cancel(struct upstream_dial *d); /* NULL is fine */

#endif
