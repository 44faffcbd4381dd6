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
#include "base/schema.h"
#include "base/str.h"
#include "http/url.h"

enum auth_scheme {
	AUTH_NONE,
	AUTH_BEARER, /* Authorization: Bearer V */
	AUTH_TOKEN,  /* Authorization: token V */
	AUTH_BASIC,  /* Authorization: Basic base64(V), V is "user:password" */
	AUTH_HEADER, /* NAME: V */
};

struct route {
	char *host;               /* lower case; exact or "*.x" */
	uint16_t port;            /* 0: 443 and 80 */
	struct str_list paths;    /* path_allowlist as given */
	struct str_list prefixes; /* the same decoded, for comparing */
	bool has_paths;           /* false: all paths */
	struct str_list methods;  /* upper case */
	bool has_methods;         /* false: all methods */
	char *mount;              /* "/anthropic" or NULL */
	bool pass_authorization;
	enum auth_scheme auth;
	char *auth_header; /* AUTH_HEADER: the field name */
	char *token_env;   /* slot name, "EGRESS_PROXY_TOKEN_3"; NULL without auth */
	bool passthrough;  /* tls: passthrough */
};

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

/*
 * The single values of a route, for everybody who reads them (the manifest has the same ones).
 * E_BAD with a sentence that does not name the key.
 */
/* "host", "host:port", "*.host"; lower case in *ret_host (heap); port 0 when none is written. */
int route_read_host(struct str s, char **ret_host, uint16_t *ret_port, struct err *err)
	__attribute__((warn_unused_result));
/*
 * A path prefix, absolute, written as in a request: it must have one reading (url_path_readings),
 * but for
 * "%2F", which stands for itself ("/@scope%2Fname" of npm). No '*'. *ret_prefix is decoded, on
 * the heap.
 */
int route_read_path(struct str s, char **ret_prefix, struct err *err)
	__attribute__((warn_unused_result));
/* A mount: a path of plain characters without an end slash, and not "/". */
int route_check_mount(struct str s, struct err *err) __attribute__((warn_unused_result));
/* A method name in upper case. */
int route_check_method(struct str s, struct err *err) __attribute__((warn_unused_result));
/* "Bearer", "token", "Basic", "header:NAME" (*ret_header on the heap, else NULL). Not a field that
 * frames or routes a message. */
int route_read_scheme(struct str s, enum auth_scheme *ret, char **ret_header, struct err *err)
	__attribute__((warn_unused_result));

/* Is a path (one reading of it) under the route's path_allowlist? Whole segments: "/team" has
 * "/team" and
 * "/team/x", not "/teammate"; a prefix that ends in '/' (or "%2F") has everything that begins so.
 */
bool route_has_path(const struct route *r, struct str reading);
bool route_has_method(const struct route *r, struct str method);

#endif
