#include <stddef.h>

#include "base/arena.h"
#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/url.h"
#include "manifest/bottle_read.h"

#define PATH_ARENA KIB(64) /* readings of one path of MANIFEST_TEXT_MAX */

/* Fields that frame or route a message; a credential in one would break it (RFC 9110 7.6.1). */
static const char *const unfit_headers[] = {
	"connection",	"content-length", "expect",  "host", "keep-alive", "proxy-authorization",
	"te",		"trailer",	  "upgrade", "transfer-encoding",
};

static const char *const schemes[] = { "Bearer", "token", "Basic", "header:NAME" };

void route_fini(struct bottle_route *r)
{
	free(r->auth_header);
	free(r->token_ref);
	free(r->host);
	schema_free(&route_schema, r);
}

bool route_same(const struct bottle_route *a, const struct bottle_route *b)
{
	return a->port == b->port && str_eqz(str_of(a->host), b->host);
}

static int check_host(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct bottle_route *r = out;
	struct err why = ERR_INIT;

	if (want_text(ctx, node, "host", MANIFEST_TEXT_MAX, err) < 0)
		return -1;
	if (host_pattern(node->text, &r->host, &r->port, &why) < 0)
		return schema_error(ctx, node, err, "host '%.*s': %s", STR_ARG(node->text),
				    why.text);
	return 0;
}

/* Absolute, and read the same way by every server: what policy compares is what was written. */
static int check_path(const struct schema_ctx *ctx, const struct yaml *node, const char *what,
		      struct err *err)
{
	struct url_readings readings;
	struct err why = ERR_INIT;
	struct arena arena;
	int rc = -1;

	arena_init(&arena, PATH_ARENA);
	if (str_chr(node->text, '*', 0) >= 0)
		(void)schema_error(ctx, node, err, "%s '%.*s': a prefix, not a pattern: no '*'",
				   what, STR_ARG(node->text));
	else if (url_path_readings(node->text, &arena, &readings, &why) < 0)
		(void)schema_error(ctx, node, err, "%s '%.*s': %s", what, STR_ARG(node->text),
				   why.text);
	else if (readings.n != 1 || !str_eq(readings.v[0], node->text))
		(void)schema_error(ctx, node, err,
				   "%s '%.*s': not in normal form: write '%.*s'", what,
				   STR_ARG(node->text), STR_ARG(readings.v[0]));
	else
		rc = 0;
	arena_fini(&arena);
	return rc;
}

static int check_paths(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	(void)out;
	if (node->count == 0)
		return schema_error(ctx, node, err, "path_allowlist: an empty list allows nothing; "
				    "leave the key out to allow all paths");
	for (const struct yaml *p = node->child; p; p = p->next)
		if (check_path(ctx, p, "path", err) < 0)
			return -1;
	return 0;
}

static int check_methods(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			 struct err *err)
{
	(void)out;
	if (node->count == 0)
		return schema_error(ctx, node, err, "methods: an empty list allows nothing; leave "
				    "the key out to allow all methods");
	for (const struct yaml *m = node->child; m; m = m->next) {
		if (!token_ok(m->text))
			return schema_error(ctx, m, err, "method '%.*s': not a method name",
					    STR_ARG(m->text));
		for (size_t i = 0; i < m->text.n; i++)
			if (m->text.p[i] >= 'a' && m->text.p[i] <= 'z')
				return schema_error(ctx, m, err, "method '%.*s': methods are in "
						    "upper case", STR_ARG(m->text));
	}
	return 0;
}

static int check_role(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct bottle_route *r = out;
	const struct yaml *first = node->kind == YAML_LIST ? node->child : node;

	if (node->kind == YAML_MAP)
		return schema_error(ctx, node, err, "role: expected a string or a list, found %s",
				    yaml_kind_name(node));
	for (const struct yaml *n = first; n; n = node->kind == YAML_LIST ? n->next : NULL) {
		if (want_text(ctx, n, "role", MANIFEST_TEXT_MAX, err) < 0)
			return -1;
		if (!str_eqz(n->text, "claude_code_oauth"))
			return schema_error(ctx, n, err, "unknown role '%.*s'; there is only "
					    "claude_code_oauth", STR_ARG(n->text));
		r->claude_code_oauth = true;
	}
	return 0;
}

static int check_mount(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	(void)out;
	if (check_path(ctx, node, "mount", err) < 0)
		return -1;
	if (str_ends(node->text, STR("/")))
		return schema_error(ctx, node, err, "mount '%.*s': no '/' at the end",
				    STR_ARG(node->text));
	return 0;
}

/* --- auth --- */

struct auth {
	char *scheme, *token_ref;
	enum auth_scheme kind;
	char *header;
};

static int check_auth_header(const struct schema_ctx *ctx, const struct yaml *node,
			     struct auth *a, struct err *err)
{
	struct str name = str_from(node->text, strlen("header:"));

	if (!token_ok(name))
		return schema_error(ctx, node, err, "scheme '%.*s': after 'header:' comes the "
				    "name of a header field", STR_ARG(node->text));
	for (size_t i = 0; i < ARRAY_LEN(unfit_headers); i++)
		if (str_ieqz(name, unfit_headers[i]))
			return schema_error(ctx, node, err, "scheme '%.*s': that field cannot "
					    "carry a credential", STR_ARG(node->text));
	a->kind = AUTH_HEADER;
	a->header = str_dupz(name);
	return 0;
}

static int check_scheme(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			struct err *err)
{
	struct auth *a = out;
	const char *nearest;

	if (str_eqz(node->text, "Bearer"))
		a->kind = AUTH_BEARER;
	else if (str_eqz(node->text, "token"))
		a->kind = AUTH_TOKEN;
	else if (str_eqz(node->text, "Basic"))
		a->kind = AUTH_BASIC;
	else if (str_starts(node->text, STR("header:")))
		return check_auth_header(ctx, node, a, err);
	else {
		nearest = glob_nearest(node->text, schemes, ARRAY_LEN(schemes));
		return schema_error(ctx, node, err,
				    "unknown scheme '%.*s'%s%s%s; accepted: Bearer, token, Basic, "
				    "header:NAME", STR_ARG(node->text),
				    nearest ? ", did you mean '" : "", nearest ? nearest : "",
				    nearest ? "'?" : "");
	}
	return 0;
}

static int check_token_ref(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			   struct err *err)
{
	(void)out;
	/* Not quoted back: somebody who mistakes it for the credential itself has pasted that. */
	if (!env_name_ok(node->text))
		return schema_error(ctx, node, err, "token_ref: the name of a host environment "
				    "variable is wanted, never the credential itself");
	return 0;
}

static int check_auth(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	const struct auth *a = out;

	if (!a->scheme || !a->token_ref)
		return schema_error(ctx, node, err, "auth: '%s' is missing; scheme and token_ref "
				    "go together", a->scheme ? "token_ref" : "scheme");
	return 0;
}

// clang-format off
static const struct schema_key auth_keys[] = {
	{ .name = "scheme", .type = SCHEMA_STR, .offset = offsetof(struct auth, scheme),
	  .min = 1, .max = MANIFEST_TEXT_MAX, .check = check_scheme,
	  .doc = "`Bearer`, `token`, `Basic` (the value is user:password) or `header:NAME`" },
	{ .name = "token_ref", .type = SCHEMA_STR, .offset = offsetof(struct auth, token_ref),
	  .min = 1, .max = MANIFEST_TEXT_MAX, .check = check_token_ref,
	  .doc = "host environment variable that holds the credential" },
	{ .name = NULL },
};
// clang-format on
static const struct schema auth_schema = {
	.what = "auth", .size = sizeof(struct auth), .keys = auth_keys, .check = check_auth
};

static int read_auth(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	struct bottle_route *r = out;
	struct auth a = { NULL, NULL, AUTH_NONE, NULL };
	int rc = schema_read(&auth_schema, ctx, node, &a, err);

	r->auth = a.kind;
	r->auth_header = a.header;
	r->token_ref = steal(&a.token_ref);
	schema_free(&auth_schema, &a);
	return rc;
}

/* --- tls and the rules that need the whole route --- */

static int check_tls(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	struct bottle_route *r = out;

	if (node->kind != YAML_SCALAR || !str_eqz(node->text, "passthrough"))
		return schema_error(ctx, node, err, "tls: the only value is 'passthrough'; leave "
				    "the key out to intercept");
	r->passthrough = true;
	return 0;
}

static int check_route(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct bottle_route *r = out;
	const char *conflict = r->has_paths ? "path_allowlist" :
			       r->has_methods ? "methods" :
			       r->auth ? "auth" :
			       r->mount ? "mount" :
			       r->pass_authorization ? "pass_authorization" : NULL;

	r->at = where_of(ctx, node);
	if (r->passthrough && conflict)
		return schema_error(ctx, yaml_get(node, conflict), err, "'%s' with tls: "
				    "passthrough: such a route is not looked into", conflict);
	if (r->auth && r->pass_authorization)
		return schema_error(ctx, yaml_get(node, "pass_authorization"), err,
				    "pass_authorization with auth: the credential is set by the "
				    "proxy, the client's is removed");
	if (r->claude_code_oauth && !r->auth)
		return schema_error(ctx, yaml_get(node, "role"), err, "role claude_code_oauth "
				    "without auth: the agent gets a placeholder only");
	if (r->mount && str_starts(str_of(r->host), STR("*.")))
		return schema_error(ctx, yaml_get(node, "mount"), err, "mount on a wildcard: it "
				    "needs one host to go to");
	return 0;
}

// clang-format off
static const struct schema_key route_keys[] = {
	{ .name = "host", .type = SCHEMA_CUSTOM, .flags = SCHEMA_REQUIRED, .check = check_host,
	  .doc = "host[:port], ports 443 and 80 by default; `*.x` is one or more labels below x" },
	{ .name = "path_allowlist", .type = SCHEMA_STR_LIST,
	  .offset = offsetof(struct bottle_route, paths),
	  .set_offset = offsetof(struct bottle_route, has_paths),
	  .max = MANIFEST_LIST_MAX, .check = check_paths,
	  .doc = "absolute path prefixes; absent: all paths" },
	{ .name = "methods", .type = SCHEMA_STR_LIST,
	  .offset = offsetof(struct bottle_route, methods),
	  .set_offset = offsetof(struct bottle_route, has_methods),
	  .max = MANIFEST_LIST_MAX, .check = check_methods,
	  .doc = "request methods; absent: all" },
	{ .name = "auth", .type = SCHEMA_CUSTOM, .sub = &auth_schema, .check = read_auth,
	  .doc = "the credential that the proxy adds" },
	{ .name = "role", .type = SCHEMA_CUSTOM, .check = check_role,
	  .doc = "`claude_code_oauth`: the agent gets a placeholder token; one route at most" },
	{ .name = "mount", .type = SCHEMA_STR, .offset = offsetof(struct bottle_route, mount),
	  .min = 1, .max = MANIFEST_TEXT_MAX, .check = check_mount,
	  .doc = "also reachable as http://egress-proxy:9099/MOUNT/…" },
	{ .name = "pass_authorization", .type = SCHEMA_BOOL,
	  .offset = offsetof(struct bottle_route, pass_authorization),
	  .doc = "keep the client's own Authorization" },
	{ .name = "tls", .type = SCHEMA_CUSTOM, .check = check_tls,
	  .doc = "`passthrough`: spliced after the SNI check, never looked into" },
	{ .name = NULL },
};
// clang-format on
const struct schema route_schema = {
	.what = "route", .size = sizeof(struct bottle_route), .keys = route_keys, .check = check_route
};

static int read_routes(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct bottle *b = out;
	struct bottle_route_list *l = &b->routes;

	if (want_list(ctx, node, "routes", err) < 0)
		return -1;
	l->v = mem_array(node->count, sizeof(*l->v));
	for (const struct yaml *item = node->child; item; item = item->next) {
		/* counted first: what a failure leaves behind is freed with the list */
		struct bottle_route *r = &l->v[l->n++];

		if (schema_read(&route_schema, ctx, item, r, err) < 0)
			return -1;
		for (struct bottle_route *other = l->v; other < r; other++)
			if (route_same(other, r))
				return schema_error(ctx, yaml_get(item, "host"), err,
						    "host '%.*s' is already in line %d",
						    STR_ARG(yaml_get(item, "host")->text),
						    other->at.line);
	}
	return 0;
}

// clang-format off
static const struct schema_key egress_proxy_keys[] = {
	{ .name = "routes", .type = SCHEMA_CUSTOM, .sub = &route_schema, .check = read_routes,
	  .doc = "hosts the agent may reach, order kept" },
	{ .name = NULL },
};
// clang-format on
/* Reads into struct bottle itself. */
const struct schema egress_proxy_schema = {
	.what = "egress_proxy", .size = sizeof(struct bottle), .keys = egress_proxy_keys
};

int read_egress_proxy(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	return schema_read(&egress_proxy_schema, ctx, node, out, err);
}
