#include <stddef.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manifest/bottle_read.h"

void bottle_route_fini(struct bottle_route *r)
{
	route_fini(&r->rule);
	free(r->token_ref);
}

bool bottle_route_same(const struct bottle_route *a, const struct bottle_route *b)
{
	return a->rule.port == b->rule.port && str_eqz(str_of(a->rule.host), b->rule.host);
}

static int check_role(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct bottle_route *r = out;
	const struct yaml *first = node->kind == YAML_LIST ? node->child : node;

	if (node->kind == YAML_MAP)
		return schema_error(ctx, node, err, "role: expected a string or a list, not %s",
				    yaml_kind_name(node));
	for (const struct yaml *n = first; n; n = node->kind == YAML_LIST ? n->next : NULL) {
		if (want_text(ctx, n, "role", MANIFEST_TEXT_MAX, err) < 0)
			return -1;
		if (!str_eqz(n->text, "claude_code_oauth"))
			return schema_error(ctx, n, err,
					    "unknown role '%.*s'; there is only "
					    "claude_code_oauth",
					    STR_ARG(n->text));
		r->claude_code_oauth = true;
	}
	return 0;
}

/* --- auth: reads into struct bottle_route itself ------------------------------------------------ */

/* Not quoted: somebody may have put the credential itself there. */
static int check_token_ref(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			   struct err *err)
{
	(void)out;
	if (!env_name_ok(node->text))
		return schema_error(ctx, node, err,
				    "token_ref: the name of a host environment "
				    "variable is wanted, never the credential itself");
	return 0;
}

static int check_auth(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	const struct bottle_route *r = out;

	if (!r->rule.auth || !r->token_ref)
		return schema_error(ctx, node, err,
				    "auth: '%s' is missing; scheme and token_ref "
				    "go together",
				    r->rule.auth ? "token_ref" : "scheme");
	return 0;
}

// clang-format off
static const struct schema_key auth_keys[] = {
	{ .name = "scheme", .type = SCHEMA_CUSTOM, .check = route_key_scheme,
	  .doc = "`Bearer`, `token`, `Basic` (the value is user:password) or `header:NAME`" },
	{ .name = "token_ref", .type = SCHEMA_STR, .offset = offsetof(struct bottle_route, token_ref),
	  .min = 1, .max = ROUTE_TEXT_MAX, .check = check_token_ref,
	  .doc = "host environment variable that holds the credential" },
	{ .name = NULL },
};
// clang-format on
static const struct schema auth_schema = { .what = "auth",
					   .size = sizeof(struct bottle_route),
					   .keys = auth_keys,
					   .check = check_auth };

static int read_auth(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	return schema_read(&auth_schema, ctx, node, out, err);
}

/* --- the whole route ---------------------------------------------------------------------------- */

static int check_route(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct bottle_route *r = out;

	r->at = where_of(ctx, node);
	if (route_check(ctx, node, &r->rule, "auth", err) < 0)
		return -1;
	if (r->claude_code_oauth && !r->rule.auth)
		return schema_error(ctx, yaml_get(node, "role"), err,
				    "role claude_code_oauth "
				    "without auth: the agent gets a placeholder only");
	return 0;
}

// clang-format off
static const struct schema_key route_keys[] = {
	{ .name = "host", .type = SCHEMA_CUSTOM, .flags = SCHEMA_REQUIRED, .check = route_key_host,
	  .doc = "host[:port], ports 443 and 80 by default; `*.x` is one or more labels below x" },
	{ .name = "path_allowlist", .type = SCHEMA_STR_LIST,
	  .offset = offsetof(struct bottle_route, rule.paths),
	  .set_offset = offsetof(struct bottle_route, rule.has_paths),
	  .max = ROUTE_LIST_MAX, .check = route_key_paths,
	  .doc = "absolute path prefixes; absent: all paths" },
	{ .name = "methods", .type = SCHEMA_STR_LIST,
	  .offset = offsetof(struct bottle_route, rule.methods),
	  .set_offset = offsetof(struct bottle_route, rule.has_methods),
	  .max = ROUTE_LIST_MAX, .check = route_key_methods,
	  .doc = "request methods; absent: all" },
	{ .name = "auth", .type = SCHEMA_CUSTOM, .sub = &auth_schema, .check = read_auth,
	  .doc = "the credential that the proxy adds" },
	{ .name = "role", .type = SCHEMA_CUSTOM, .check = check_role,
	  .doc = "`claude_code_oauth`: the agent gets a placeholder token; one route at most" },
	{ .name = "mount", .type = SCHEMA_STR, .offset = offsetof(struct bottle_route, rule.mount),
	  .min = 1, .max = ROUTE_TEXT_MAX, .check = route_key_mount,
	  .doc = "also reachable as http://egress-proxy:9099/MOUNT/…" },
	{ .name = "pass_authorization", .type = SCHEMA_BOOL,
	  .offset = offsetof(struct bottle_route, rule.pass_authorization),
	  .doc = "keep the client's own Authorization" },
	{ .name = "tls", .type = SCHEMA_CUSTOM, .check = route_key_tls,
	  .doc = "`passthrough`: spliced after the SNI check, never looked into" },
	{ .name = NULL },
};
// clang-format on
const struct schema bottle_route_schema = { .what = "route",
					    .size = sizeof(struct bottle_route),
					    .keys = route_keys,
					    .check = check_route };

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

		if (schema_read(&bottle_route_schema, ctx, item, r, err) < 0)
			return -1;
		for (struct bottle_route *other = l->v; other < r; other++)
			if (bottle_route_same(other, r))
				return schema_error(ctx, yaml_get(item, "host"), err,
						    "host '%.*s' is already in line %d",
						    STR_ARG(yaml_get(item, "host")->text),
						    other->at.line);
	}
	return 0;
}

// clang-format off
static const struct schema_key egress_proxy_keys[] = {
	{ .name = "routes", .type = SCHEMA_CUSTOM, .sub = &bottle_route_schema, .check = read_routes,
	  .doc = "hosts the agent may reach, order kept" },
	{ .name = NULL },
};
// clang-format on
/* Reads into struct bottle itself. */
const struct schema egress_proxy_schema = { .what = "egress_proxy",
					    .size = sizeof(struct bottle),
					    .keys = egress_proxy_keys };

int read_egress_proxy(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	return schema_read(&egress_proxy_schema, ctx, node, out, err);
}
