/*
 * route: one entry of the table that egress-proxy enforces (routes.h): its keys, its rules, how it
 * is written, and matching against it.
 *
 * A manifest's routes have the same keys and a few more: both read them with the functions here, so
 * that nothing passes there that the proxy would refuse.
 */
#ifndef BOTTLE_POLICY_ROUTE_H
#define BOTTLE_POLICY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/schema.h"
#include "base/str.h"

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

/* Frees everything in it. */
void route_fini(struct route *r);

/* --- reading ---------------------------------------------------------------------------------- */

/* "host", "host:port", "*.host"; lower case in *ret_host (heap); port 0 when none is written. */
int route_read_host(struct str s, char **ret_host, uint16_t *ret_port, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The checks of a schema table's keys. `out` is a struct route, or a struct that begins with one.
 *
 * route_key_host    SCHEMA_CUSTOM: as route_read_host, to host and port
 * route_key_paths   SCHEMA_STR_LIST: path prefixes, absolute, written as in a request. Each must
 *                   have one reading (url_path_readings), but for "%2F", which stands for itself
 *                   ("/@scope%2Fname" of npm). No '*'. Decoded to prefixes.
 * route_key_methods SCHEMA_STR_LIST: names of methods in upper case
 * route_key_mount   SCHEMA_STR: a path of plain characters without an end slash, and not "/"
 * route_key_scheme  SCHEMA_CUSTOM: "Bearer", "token", "Basic", "header:NAME", to auth and
 *                   auth_header. Not a field that frames or routes a message. Errors do not quote
 *                   the value: somebody may have put the credential itself there.
 * route_key_tls     SCHEMA_CUSTOM: "passthrough"
 */
int route_key_host(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		   struct err *err);
int route_key_paths(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		    struct err *err);
int route_key_methods(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err);
int route_key_mount(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		    struct err *err);
int route_key_scheme(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err);
int route_key_tls(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		  struct err *err);

/*
 * The rules between the keys: passthrough excludes paths, methods, auth, pass_authorization and
 * mount; auth excludes pass_authorization; a mount needs one host. `auth_key` is what the table
 * calls the credential.
 */
int route_check(const struct schema_ctx *ctx, const struct yaml *node, const struct route *r,
		const char *auth_key, struct err *err) __attribute__((warn_unused_result));

/* --- writing ---------------------------------------------------------------------------------- */

/* "host" or "host:port" with the brackets of IPv6, as route_read_host takes it; heap. */
char *route_host_text(const char *host, uint16_t port);
/* "Bearer", "header:x-api-key", …; heap; NULL without auth. */
char *route_auth_text(const struct route *r);
/* Its canonical entry in the routes file. */
struct json *route_json(const struct route *r);

/* --- matching --------------------------------------------------------------------------------- */

/* Is a path (one reading of it) under the route's path_allowlist? Whole segments: "/team" has
 * "/team" and "/team/x", not "/teammate"; a prefix that ends in '/' (or "%2F") has everything that
 * begins so. */
bool route_has_path(const struct route *r, struct str reading);
bool route_has_method(const struct route *r, struct str method);

#endif
