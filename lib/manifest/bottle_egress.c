#include <stddef.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/url.h"
#include "manifest/bottle_read.h"
#include "net/addr.h"

void egress_fini(struct bottle_egress *e)
{
	strs_free(&e->allowlist);
	for (size_t i = 0; i < e->dlp_allow.n; i++) {
		free(e->dlp_allow.v[i].host);
		free(e->dlp_allow.v[i].rule);
	}
	free(e->dlp_allow.v);
	e->dlp_allow = (struct dlp_allow_list){ NULL, 0 };
	strs_free(&e->upstream_ca);
	strs_free(&e->resolve);
	strs_free(&e->allow_private);
	schema_free(&egress_schema, e);
}

/* --- lists of strings, each in normal form and once ------------------------------------------- */

typedef int read_item(const struct schema_ctx *ctx, const struct yaml *item, char **ret,
		      struct err *err);

static int read_items(const struct schema_ctx *ctx, const struct yaml *node, const char *what,
		      read_item *read, struct str_list *out, struct err *err)
{
	if (want_list(ctx, node, what, err) < 0)
		return -1;
	for (const struct yaml *item = node->child; item; item = item->next) {
		auto_free char *value = NULL;

		if (want_text(ctx, item, what, MANIFEST_TEXT_MAX, err) < 0 ||
		    read(ctx, item, &value, err) < 0)
			return -1;
		if (strs_has(out, value))
			return schema_error(ctx, item, err, "%s: '%.*s' is there twice", what,
					    STR_ARG(item->text));
		strs_take(out, steal(&value));
	}
	return 0;
}

static int read_host(const struct schema_ctx *ctx, const struct yaml *item, char **ret,
		     struct err *err)
{
	struct err why = ERR_INIT;

	if (host_pattern(item->text, ret, &why) < 0)
		return schema_error(ctx, item, err, "allowlist: '%.*s': %s", STR_ARG(item->text),
				    why.text);
	return 0;
}

static int read_ca_file(const struct schema_ctx *ctx, const struct yaml *item, char **ret,
			struct err *err)
{
	*ret = str_dupz(item->text);
	return resolve_file(ctx, item, ret, "upstream_ca", err);
}

/* As curl's --resolve: an address may be IPv6, with brackets or without. */
static int read_resolve(const struct schema_ctx *ctx, const struct yaml *item, char **ret,
			struct err *err)
{
	struct str rest = item->text, host, port;
	char ip[ADDR_TEXT_MAX];
	struct err why = ERR_INIT;
	struct authority a;
	struct addr addr;
	uint64_t n;

	if (!str_split(&rest, ':', &host) || !str_split(&rest, ':', &port) || !rest.p)
		return schema_error(ctx, item, err, "resolve: '%.*s': expected HOST:PORT:ADDR",
				    STR_ARG(item->text));
	if (url_parse_authority(host, 0, &a, &why) < 0)
		return schema_error(ctx, item, err, "resolve: host '%.*s': %s", STR_ARG(host),
				    why.text);
	if (str_to_u64(port, 65535, &n) < 0 || n == 0)
		return schema_error(ctx, item, err, "resolve: port '%.*s' is not 1 to 65535",
				    STR_ARG(port));
	if (addr_parse(rest, 0, &addr, &why) < 0)
		return schema_error(ctx, item, err, "resolve: %s", why.text);
	addr_text(&addr, false, ip);
	*ret = mem_printf("%s:%u:%s", a.host, (unsigned)n, ip);
	return 0;
}

static int read_cidr(const struct schema_ctx *ctx, const struct yaml *item, char **ret,
		     struct err *err)
{
	char ip[ADDR_TEXT_MAX];
	struct err why = ERR_INIT;
	struct cidr c;

	if (cidr_parse(item->text, &c, &why) < 0)
		return schema_error(ctx, item, err, "allow_private: %s", why.text);
	addr_text(&c.base, false, ip);
	*ret = mem_printf("%s/%u", ip, c.bits);
	return 0;
}

static int read_allowlist(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	struct bottle_egress *e = out;

	return read_items(ctx, node, "allowlist", read_host, &e->allowlist, err);
}

static int read_upstream_ca(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			    struct err *err)
{
	struct bottle_egress *e = out;

	return read_items(ctx, node, "upstream_ca", read_ca_file, &e->upstream_ca, err);
}

static int read_resolves(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			 struct err *err)
{
	struct bottle_egress *e = out;

	return read_items(ctx, node, "resolve", read_resolve, &e->resolve, err);
}

static int read_allow_private(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			      struct err *err)
{
	struct bottle_egress *e = out;

	return read_items(ctx, node, "allow_private", read_cidr, &e->allow_private, err);
}

/* --- dlp_allow, upstream_proxy ----------------------------------------------------------------- */

static int check_dlp_host(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	struct dlp_allow *d = out;
	struct err why = ERR_INIT;
	char *host;

	if (host_pattern(node->text, &host, &why) < 0)
		return schema_error(ctx, node, err, "dlp_allow: host '%.*s': %s",
				    STR_ARG(node->text), why.text);
	free(d->host);
	d->host = host;
	return 0;
}

static int check_dlp_rule(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	(void)out;
	for (size_t i = 0; i < node->text.n; i++) {
		char c = node->text.p[i];

		if ((c < 'a' || c > 'z') && !ascii_digit(c) && c != '-' && c != '_')
			return schema_error(ctx, node, err,
					    "dlp_allow: rule '%.*s': the name of "
					    "one rule: a-z, 0-9, '-' and '_'",
					    STR_ARG(node->text));
	}
	return 0;
}

static int check_dlp_allow(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			   struct err *err)
{
	struct dlp_allow *d = out;

	(void)err;
	d->at = where_of(ctx, node);
	return 0;
}

// clang-format off
static const struct schema_key dlp_allow_keys[] = {
	{ .name = "host", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct dlp_allow, host), .min = 1, .max = MANIFEST_TEXT_MAX,
	  .check = check_dlp_host, .doc = "where the rule does not apply" },
	{ .name = "rule", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct dlp_allow, rule), .min = 1, .max = 64,
	  .check = check_dlp_rule, .doc = "name of the rule" },
	{ .name = NULL },
};
// clang-format on
static const struct schema dlp_allow_schema = { .what = "dlp_allow entry",
						.size = sizeof(struct dlp_allow),
						.keys = dlp_allow_keys,
						.check = check_dlp_allow };

static int read_dlp_allow(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	struct bottle_egress *e = out;
	struct dlp_allow_list *l = &e->dlp_allow;

	if (want_list(ctx, node, "dlp_allow", err) < 0)
		return -1;
	l->v = mem_array(node->count, sizeof(*l->v));
	for (const struct yaml *item = node->child; item; item = item->next)
		if (schema_read(&dlp_allow_schema, ctx, item, &l->v[l->n++], err) < 0)
			return -1;
	return 0;
}

static int check_upstream_proxy(const struct schema_ctx *ctx, const struct yaml *node, void *out,
				struct err *err)
{
	struct bottle_egress *e = out;
	char text[URL_HOST_MAX + 16];
	struct err why = ERR_INIT;
	struct url u;

	/* Not quoted back: it may hold a password. */
	if (str_chr(node->text, '@', 0) >= 0)
		return schema_error(ctx, node, err,
				    "upstream_proxy: no user or password here; a "
				    "manifest holds no credentials");
	if (url_parse_absolute(node->text, &u, &why) < 0)
		return schema_error(ctx, node, err, "upstream_proxy '%.*s': %s",
				    STR_ARG(node->text), why.text);
	if (!str_ieqz(u.scheme, "http") || (u.path.n > 0 && !str_eqz(u.path, "/")) || u.query.p)
		return schema_error(ctx, node, err,
				    "upstream_proxy '%.*s': expected "
				    "http://host:port",
				    STR_ARG(node->text));
	authority_text(&u.authority, 0, text);
	free(e->upstream_proxy);
	e->upstream_proxy = mem_printf("http://%s", text);
	return 0;
}

static const char *const dlp_actions[] = { "block", "warn", NULL };

// clang-format off
static const struct schema_key egress_keys[] = {
	{ .name = "allowlist", .type = SCHEMA_CUSTOM, .check = read_allowlist,
	  .doc = "hosts the agent may reach whole, without a credential" },
	{ .name = "dlp_action", .type = SCHEMA_ENUM, .names = dlp_actions,
	  .offset = offsetof(struct bottle_egress, dlp_action),
	  .set_offset = offsetof(struct bottle_egress, has_dlp_action),
	  .doc = "what happens to a request that carries a secret: `block` (default) or `warn`" },
	{ .name = "dlp_allow", .type = SCHEMA_CUSTOM, .sub = &dlp_allow_schema,
	  .check = read_dlp_allow, .doc = "rules switched off for one host" },
	{ .name = "upstream_proxy", .type = SCHEMA_STR,
	  .offset = offsetof(struct bottle_egress, upstream_proxy),
	  .min = 1, .max = MANIFEST_TEXT_MAX, .check = check_upstream_proxy,
	  .doc = "a corporate proxy, http://host:port" },
	{ .name = "upstream_ca", .type = SCHEMA_CUSTOM, .check = read_upstream_ca,
	  .doc = "PEM files the proxies trust for upstreams besides the system's" },
	{ .name = "resolve", .type = SCHEMA_CUSTOM, .check = read_resolves,
	  .doc = "HOST:PORT:ADDR, as curl --resolve; such an address passes the SSRF guard" },
	{ .name = "allow_private", .type = SCHEMA_CUSTOM, .check = read_allow_private,
	  .doc = "CIDR blocks that the SSRF guard lets through" },
	{ .name = NULL },
};
// clang-format on
const struct schema egress_schema = { .what = "egress",
				      .size = sizeof(struct bottle_egress),
				      .keys = egress_keys };
