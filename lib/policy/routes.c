#include "policy/routes.h"

#include <stddef.h>

#include "base/glob.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "net/digest.h"

#define SLOT_PREFIX "EGRESS_PROXY_TOKEN_"

/* --- keys ----------------------------------------------------------------------------------- */

/* Its value is not quoted: somebody may have put the credential itself there. */
static int check_slot(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct str digits = str_from(node->text, sizeof(SLOT_PREFIX) - 1);
	uint64_t number;

	(void)out;
	if (!str_starts(node->text, STR(SLOT_PREFIX)) || str_to_u64(digits, 99999, &number) < 0)
		return schema_error(ctx, node, err,
				    "token_env: the name of a slot is wanted, " SLOT_PREFIX
				    "N with a number, never a credential");
	return 0;
}

static int check_route(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	const struct route *r = out;

	if (!yaml_get(node, "auth_scheme") != !yaml_get(node, "token_env"))
		return schema_error(ctx, node, err,
				    "auth_scheme and token_env go together; '%s' is missing",
				    r->auth ? "token_env" : "auth_scheme");
	return route_check(ctx, node, r, "auth_scheme", err);
}

/* clang-format off */
static const struct schema_key route_keys[] = {
	{ .name = "host", .type = SCHEMA_CUSTOM, .flags = SCHEMA_REQUIRED, .check = route_key_host,
	  .doc = "host[:port], ports 443 and 80 by default; `*.x` is one or more labels below x" },
	{ .name = "path_allowlist", .type = SCHEMA_STR_LIST, .offset = offsetof(struct route, paths),
	  .set_offset = offsetof(struct route, has_paths), .max = ROUTE_LIST_MAX,
	  .check = route_key_paths, .doc = "absolute path prefixes; absent: all paths" },
	{ .name = "methods", .type = SCHEMA_STR_LIST, .offset = offsetof(struct route, methods),
	  .set_offset = offsetof(struct route, has_methods), .max = ROUTE_LIST_MAX,
	  .check = route_key_methods, .doc = "request methods; absent: all" },
	{ .name = "mount", .type = SCHEMA_STR, .offset = offsetof(struct route, mount), .min = 1,
	  .max = ROUTE_TEXT_MAX, .check = route_key_mount,
	  .doc = "path under which the proxy itself answers for this host" },
	{ .name = "pass_authorization", .type = SCHEMA_BOOL,
	  .offset = offsetof(struct route, pass_authorization),
	  .doc = "keep the client's own Authorization" },
	{ .name = "auth_scheme", .type = SCHEMA_CUSTOM, .check = route_key_scheme,
	  .doc = "`Bearer`, `token`, `Basic` (the value is user:password) or `header:NAME`" },
	{ .name = "token_env", .type = SCHEMA_STR, .offset = offsetof(struct route, token_env),
	  .min = 1, .max = ROUTE_TEXT_MAX, .check = check_slot,
	  .doc = "slot of the credential, EGRESS_PROXY_TOKEN_N" },
	{ .name = "tls", .type = SCHEMA_CUSTOM, .check = route_key_tls,
	  .doc = "`passthrough`: spliced after the name check, not intercepted" },
	{ .name = NULL },
};
/* clang-format on */
static const struct schema route_schema = {
	.what = "route",
	.size = sizeof(struct route),
	.keys = route_keys,
	.check = check_route,
};

static const struct schema_key table_keys[] = {
	{ .name = "routes",
	  .type = SCHEMA_MAP_LIST,
	  .flags = SCHEMA_REQUIRED,
	  .offset = 0,
	  .max = ROUTES_MAX,
	  .sub = &route_schema,
	  .doc = "what may be reached; the order does not matter" },
	{ .name = NULL },
};
static const struct schema table_schema = {
	.what = "the routes file",
	.size = sizeof(struct obj_list),
	.keys = table_keys,
};

/* --- the table ------------------------------------------------------------------------------ */

void routes_free(struct routes *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		route_fini(&r->v[i]);
	free(r->v);
	free(r);
}

/* Errors name the second of two that are alike, and the line of the first. */
static int check_unique(const struct schema_ctx *ctx, const struct yaml *list,
			const struct routes *r, struct err *err)
{
	const struct yaml *item = list->child;

	for (size_t i = 0; i < r->n; i++, item = item->next) {
		const struct yaml *other = list->child;

		for (size_t k = 0; k < i; k++, other = other->next) {
			const struct route *a = &r->v[i], *b = &r->v[k];

			if (a->port == b->port && strcmp(a->host, b->host) == 0)
				return schema_error(ctx, yaml_get(item, "host"), err,
						    "host '%s' is already in line %d", a->host,
						    yaml_get(other, "host")->line);
			if (a->mount && b->mount && strcmp(a->mount, b->mount) == 0)
				return schema_error(ctx, yaml_get(item, "mount"), err,
						    "mount '%s' is already in line %d", a->mount,
						    yaml_get(other, "mount")->line);
		}
	}
	return 0;
}

static int digest(struct routes *r, struct err *err)
{
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);

	if (routes_write(r, &text, err) < 0)
		return -1;
	return digest_sha256_hex(buf_str(&text), r->sha256, err);
}

struct routes *routes_parse(struct str text, const char *source, struct err *err)
{
	struct schema_ctx ctx = { .source = source };
	auto_yaml struct yaml *doc = yaml_parse(text, source, 0, err);
	auto_routes struct routes *r = mem_new(struct routes);
	struct obj_list list = { .n = 0 };
	int read;

	if (!doc)
		return NULL;
	read = schema_read(&table_schema, &ctx, doc, &list, err);
	/* Also what a failed reading left behind is ours to free. */
	r->v = list.v;
	r->n = list.n;
	if (read < 0 || check_unique(&ctx, yaml_get(doc, "routes"), r, err) < 0 ||
	    digest(r, err) < 0)
		return NULL;
	return steal(&r);
}

int routes_write(const struct routes *r, struct buf *out, struct err *err)
{
	auto_json struct json *doc = json_new_object();
	struct json *list = json_new_array();

	json_set(doc, "routes", list);
	for (size_t i = 0; i < r->n; i++)
		json_append(list, route_json(&r->v[i]));
	return json_write(doc, false, out, err);
}

/* --- looking up ----------------------------------------------------------------------------- */

static bool has_port(const struct route *r, uint16_t port)
{
	return r->port ? r->port == port : port == 443 || port == 80;
}

/* Of two routes for the same request: an exact name, then the longer pattern, then the one with a
 * port. */
static bool is_nearer(const struct route *a, const struct route *b)
{
	bool wild_a = a->host[0] == '*', wild_b = b->host[0] == '*';
	size_t len_a = strlen(a->host), len_b = strlen(b->host);

	if (wild_a != wild_b)
		return wild_b;
	if (len_a != len_b)
		return len_a > len_b;
	return a->port != 0;
}

const struct route *routes_find(const struct routes *r, struct str host, uint16_t port)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < r->n; i++) {
		const struct route *it = &r->v[i];

		if (has_port(it, port) && glob_host(str_of(it->host), host) &&
		    (!best || is_nearer(it, best)))
			best = it;
	}
	return best;
}

bool routes_knows_host(const struct routes *r, struct str host)
{
	for (size_t i = 0; i < r->n; i++)
		if (glob_host(str_of(r->v[i].host), host))
			return true;
	return false;
}

const struct route *routes_find_mount(const struct routes *r, struct str path, struct str *ret_rest)
{
	const struct route *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct str mount = str_of(r->v[i].mount);

		if (mount.n <= longest || !str_starts(path, mount) ||
		    (path.n > mount.n && path.p[mount.n] != '/'))
			continue;
		best = &r->v[i];
		longest = mount.n;
	}
	if (best)
		*ret_rest = path.n > longest ? str_from(path, longest) : STR("/");
	return best;
}
