/*
 * proxy: the egress-proxy service: one process, one loop, one live policy.
 *
 *	listener -> session (one client connection) -> exchange (one request) -> upstream
 *
 * The struct is shared by the files of this folder; applets use the functions only.
 */
#ifndef BOTTLE_PROXY_PROXY_H
#define BOTTLE_PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ca/leaf_cache.h"
#include "http/h1_conn.h"
#include "http/server.h"
#include "net/listen.h"
#include "net/resolve.h"
#include "net/tls.h"
#include "policy/routes.h"
#include "proxy/config.h"
#include "proxy/metrics.h"
#include "sys/loop.h"

/* The table in force. Exchanges hold a reference: those in flight finish under the rules they began
 * with. */
struct policy {
	unsigned refs;
	uint64_t generation;
	struct routes *routes;
};

struct session;
struct exchange;
struct control;
struct pool;

struct proxy {
	struct loop *loop;
	struct proxy_config *config; /* borrowed: the applet's */
	struct policy *policy;
	struct resolver *resolver;
	struct leaf_cache *leaves;
	struct tls_client_config *tls_client;
	struct tls_server_config *tls_server;
	struct h1_timeouts client_timeouts, upstream_timeouts;
	struct pool *pool;
	struct listener *listener;
	struct http_server *health;
	struct control *control;
	struct metrics metrics;
	struct session *sessions;   /* doubly linked */
	unsigned refusals;          /* sessions among them that are one too many */
	struct exchange *exchanges; /* likewise, those that have not ended */
	uint64_t next_request_id;
	int descriptors; /* as many may be open */
	bool draining;
	/* An event could not be written: what is not on record must not happen, so nothing is
	 * forwarded any more. */
	bool events_broken;
	struct loop_timer drain_timer;
};

/* Starts to serve; `config` (checked) must outlive the proxy. */
struct proxy *proxy_new(struct loop *l, struct proxy_config *config, struct err *err)
	__attribute__((warn_unused_result));
void proxy_free(struct proxy *p);

const struct addr *proxy_addr(const struct proxy *p);

/* Parses and checks all of it, then swaps; on failure nothing has changed. */
int proxy_set_routes(struct proxy *p, struct str text, const char *source, struct err *err)
	__attribute__((warn_unused_result));

/* Accepts nothing new, lets exchanges finish for PROXY_DRAIN_MS, then stops the loop. */
void proxy_drain(struct proxy *p);

/* For the files of this folder. */
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
/* Ends the loop when draining and no session is left. */
void proxy_session_gone(struct proxy *p);

#endif
