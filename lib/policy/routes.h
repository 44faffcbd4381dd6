/*
 * routes: the table of hosts, methods, paths and credentials that egress-proxy enforces.
 *
 * Read from JSON or YAML text (spec 2.2), checked whole before it replaces anything. Never holds a
 * credential's value: a route names a slot (EGRESS_PROXY_TOKEN_N).
 */
#ifndef BOTTLE_POLICY_ROUTES_H
#define BOTTLE_POLICY_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "policy/route.h"

struct routes {
	struct route *v;
	size_t n;
	char sha256[65]; /* of the canonical JSON below, hex */
};

/*
 * {"routes":[…]}. Errors carry source:line:col. Checks: host syntax, duplicates (same host and
 * port), paths, methods, auth_scheme and token_env both or neither, token_env matches
 * EGRESS_PROXY_TOKEN_[0-9]+, auth excludes pass_authorization, passthrough excludes paths, methods,
 * auth, pass_authorization and mount; a mount is unique and needs one host.
 */
struct routes *routes_parse(struct str text, const char *source, struct err *err)
	__attribute__((warn_unused_result));
void routes_free(struct routes *r);
static inline void routes_free_p(struct routes **r)
{
	routes_free(*r);
}
#define auto_routes __attribute__((cleanup(routes_free_p)))
/* Canonical JSON, as `ctl routes get` and the magic host show it. */
int routes_write(const struct routes *r, struct buf *out, struct err *err);

/* Exact host first, then the longest wildcard; a route with a port beats one without. NULL: none.
 */
const struct route *routes_find(const struct routes *r, struct str host, uint16_t port);
/* Is there any route for this host on any port? (To tell a wrong port from a wrong host.) */
bool routes_knows_host(const struct routes *r, struct str host);
/* The route whose mount path begins with, on a segment border, the longest one; *ret_rest is the
 * remaining path ("/…"). */
const struct route *routes_find_mount(const struct routes *r, struct str path,
				      struct str *ret_rest);

#endif
