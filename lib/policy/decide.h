/*
 * decide: the verdict on one request; a pure function of message, address and table (spec 2.2).
 */
#ifndef BOTTLE_POLICY_DECIDE_H
#define BOTTLE_POLICY_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "http/msg.h"
#include "http/url.h"
#include "policy/routes.h"

enum reason {
	REASON_NONE,
	REASON_BAD_REQUEST,          /* 400 bad-request */
	REASON_HEAD_TOO_LARGE,       /* 400 head-too-large */
	REASON_REQUEST_TIMEOUT,      /* 408 request-timeout */
	REASON_NAME_MISMATCH,        /* 421 name-mismatch */
	REASON_HOST_NOT_ALLOWED,     /* 403 */
	REASON_METHOD_NOT_ALLOWED,   /* 403 */
	REASON_PATH_NOT_ALLOWED,     /* 403 */
	REASON_PATH_NOT_CANONICAL,   /* 400 */
	REASON_GIT_PUSH_BLOCKED,     /* 403 */
	REASON_CREDENTIAL_MISSING,   /* 403 */
	REASON_CREDENTIAL_NEEDS_TLS, /* 403 */
	REASON_CREDENTIAL_ECHOED,    /* 502 */
	REASON_UPGRADE_NOT_ALLOWED,  /* 403 */
	REASON_ADDRESS_NOT_ALLOWED,  /* 403 */
	REASON_CLIENT_TLS,           /* 400; events only: the handshake with the client failed */
	REASON_UPSTREAM_UNRESOLVED,  /* 502 */
	REASON_UPSTREAM_UNREACHABLE, /* 502 */
	REASON_UPSTREAM_TLS,         /* 502 */
	REASON_UPSTREAM_PROTOCOL,    /* 502 */
	REASON_UPSTREAM_TIMEOUT,     /* 504 */
	REASON_GATE_UNREACHABLE,     /* 502 */
	REASON_GATE_REFUSED,         /* 403, with the gate's own reason when it gave one */
	REASON_TOO_MANY_CONNECTIONS, /* 503 */
	REASON_OVERLOADED,           /* 503 */
	REASON_SHUTTING_DOWN,        /* 503 */
	REASON_COUNT
};
const char *reason_name(enum reason r); /* "host-not-allowed" */
int reason_status(enum reason r);       /* HTTP status */
/* What the agent may do next; one sentence. */
const char *reason_hint(enum reason r);

/* A value for each credential slot; looked up by name, so that decide() needs no secret. */
typedef bool credential_known_fn(void *arg, const char *slot);

struct decide_in {
	const struct msg *msg;        /* hop-by-hop fields still in place */
	struct authority destination; /* CONNECT authority, or that of the absolute URL, or the
					 mount's host */
	bool tls; /* the agent's side of this request is inside intercepted TLS (or a mount: TLS
		     goes upstream) */
	const struct routes *routes;
	credential_known_fn *known;
	void *known_arg;
};

struct verdict {
	bool allow;
	enum reason reason;
	const struct route *route; /* also for refusals after step 3 */
	char message[256];         /* one sentence for people; never a secret, no path, no query */
};

/*
 * Steps 2-5 of spec 2.2, in order. `scratch` is used for path readings. A path that cannot be read
 * in one way is refused before all else: nothing could be said of it. That the names of a request
 * agree (spec 2.1) is the caller's to check, as they come from three layers.
 */
void decide_request(const struct decide_in *in, struct arena *scratch, struct verdict *ret);

/* Before interception: may this CONNECT's host be contacted at all? (Steps 3 and the port only.) */
void decide_connect(const struct routes *r, const struct authority *to, struct verdict *ret);

/*
 * Step 1: removes what the agent must not present. Proxy-Authorization always; Authorization but on
 * a route with pass_authorization; on a route with auth every other known credential too: fields
 * (x-api-key, private-token, cookie …), query keys (key, access_token, X-Amz-Signature …), and
 * subprotocols of a WebSocket that hold one. Names are compared decoded, in any case, with any
 * punctuation. Edits m->fields and m->query (not m->target); *ret_removed counts. A NULL route has
 * neither auth nor pass_authorization.
 */
int decide_strip_credentials(struct msg *m, const struct route *route, unsigned *ret_removed,
			     struct err *err) __attribute__((warn_unused_result));

/* The same for the trailers of a request; a copy in the arena. */
int decide_strip_trailers(const struct fields *trailers, const struct route *route, struct arena *a,
			  struct fields *ret, struct err *err) __attribute__((warn_unused_result));

/*
 * Is this a git push, by any spelling? Path and query raw. Also true when it cannot be told (the
 * path has no safe reading, or scratch is too small).
 */
bool gitpush_is_push(struct str path, struct str query, struct arena *scratch);

#endif
