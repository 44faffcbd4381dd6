#include "policy/route.h"

#include "base/arena.h"
#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/msg.h"
#include "http/url.h"

#define PATH_ARENA KIB(64) /* all readings of a path of ROUTE_TEXT_MAX */

static void free_list(struct str_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

void route_fini(struct route *r)
{
	free(r->host);
	free_list(&r->paths);
	free_list(&r->prefixes);
	free_list(&r->methods);
	free(r->mount);
	free(r->auth_header);
	free(r->token_env);
}

/* --- single values ---------------------------------------------------------------------------- */

int route_read_host(struct str s, char **ret_host, uint16_t *ret_port, struct err *err)
{
	bool wildcard = str_starts(s, STR("*."));
	struct authority a;

	if (str_find(s, STR("://"), 0) >= 0)
		return err_set(err, E_BAD, "a URL where a host name is wanted");
	if (url_parse_authority(wildcard ? str_from(s, 2) : s, 443, &a, err) < 0)
		return -1;
	if (wildcard && a.is_ip)
		return err_set(err, E_BAD, "a wildcard over an address");
	*ret_host = mem_printf("%s%s", wildcard ? "*." : "", a.host);
	*ret_port = a.has_port ? a.port : 0;
	return 0;
}

static int read_path(struct str s, char **ret_prefix, struct err *err)
{
	struct url_readings r;
	struct arena arena;
	int result = -1;

	arena_init(&arena, PATH_ARENA);
	if (s.n > ROUTE_TEXT_MAX)
		err_set(err, E_LIMIT, "a path of more than %zu bytes", ROUTE_TEXT_MAX);
	else if (str_chr(s, '*', 0) >= 0)
		err_set(err, E_BAD, "a prefix is wanted, not a pattern: no '*'");
	else if (url_path_readings(s, &arena, &r, err) < 0)
		goto out;
	else if (r.n > 2 || (r.n == 2 && str_find(r.v[0], STR("%2F"), 0) < 0))
		err_set(err, E_BAD, "servers read this path in different ways; no ';' and no '//'");
	else {
		*ret_prefix = str_dupz(r.v[0]);
		result = 0;
	}
out:
	arena_fini(&arena);
	return result;
}

static int check_mount(struct str s, struct err *err)
{
	auto_free char *prefix = NULL;

	if (read_path(s, &prefix, err) < 0)
		return -1;
	if (s.n < 2 || s.p[s.n - 1] == '/')
		return err_set(err, E_BAD,
			       "a path such as /api is wanted, without a slash at its end");
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !memchr("/-._~", s.p[i], 5))
			return err_set(err, E_BAD, "only letters, digits and -._~ between slashes");
	return 0;
}

static int check_method(struct str s, struct err *err)
{
	if (!http_is_token(s))
		return err_set(err, E_BAD, "not a method name");
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return err_set(err, E_BAD, "methods are in upper case");
	return 0;
}

/* Fields that frame or route a message: a credential in one would break it (RFC 9110 7.6.1). */
static int check_auth_header(struct str name, struct err *err)
{
	static const char *const unfit[] = {
		"connection",
		"content-length",
		"expect",
		"host",
		"keep-alive",
		"proxy-authorization",
		"te",
		"proxy-authenticate",
		"proxy-connection",
		"trailer",
		"upgrade",
		"transfer-encoding",
	};

	if (!http_is_token(name))
		return err_set(err, E_BAD, "after 'header:' comes the name of a header field");
	for (size_t i = 0; i < ARRAY_LEN(unfit); i++)
		if (str_ieqz(name, unfit[i]))
			return err_set(err, E_BAD, "the field %s cannot carry a credential",
				       unfit[i]);
	return 0;
}

static const char *const scheme_names[] = {
	[AUTH_NONE] = "",       [AUTH_BEARER] = "Bearer",  [AUTH_TOKEN] = "token",
	[AUTH_BASIC] = "Basic", [AUTH_HEADER] = "header:",
};

static int read_scheme(struct str s, struct route *r, struct err *err)
{
	struct str header = str_of(scheme_names[AUTH_HEADER]);
	const char *near;

	for (enum auth_scheme i = AUTH_BEARER; i < AUTH_HEADER; i++) {
		if (str_eqz(s, scheme_names[i])) {
			r->auth = i;
			return 0;
		}
	}
	if (str_starts(s, header)) {
		s = str_from(s, header.n);
		if (check_auth_header(s, err) < 0)
			return -1;
		r->auth = AUTH_HEADER;
		r->auth_header = str_dupz(s);
		return 0;
	}
	near = glob_nearest(s, scheme_names + 1, ARRAY_LEN(scheme_names) - 1);
	return err_set(err, E_BAD,
		       "unknown scheme%s%s%s; accepted: Bearer, token, Basic, header:NAME",
		       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* --- keys ------------------------------------------------------------------------------------- */

/* What the table does not check before a key that is read here. */
static int want_string(const struct schema_ctx *ctx, const struct yaml *node, struct err *err)
{
	if (node->kind != YAML_SCALAR || yaml_is_null(node))
		return schema_error(ctx, node, err, "'%.*s' must be a string, not %s",
				    STR_ARG(node->key->text), yaml_kind_name(node));
	if (node->text.n > ROUTE_TEXT_MAX)
		return schema_error(ctx, node, err, "%.*s: longer than %zu bytes",
				    STR_ARG(node->key->text), ROUTE_TEXT_MAX);
	return 0;
}

static int bad_value(const struct schema_ctx *ctx, const struct yaml *node, const char *what,
		     const struct err *why, struct err *err)
{
	return schema_error(ctx, node, err, "%s '%.*s': %s", what, STR_ARG(node->text), why->text);
}

int route_key_host(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		   struct err *err)
{
	struct route *r = out;
	struct err why = ERR_INIT;

	if (want_string(ctx, node, err) < 0)
		return -1;
	if (route_read_host(node->text, &r->host, &r->port, &why) < 0)
		return bad_value(ctx, node, "host", &why, err);
	return 0;
}

/* Nothing allowed is rarely what is meant, and not saying it is the way to allow all. */
static int want_entries(const struct schema_ctx *ctx, const struct yaml *node, const char *all,
			struct err *err)
{
	if (node->count > 0)
		return 0;
	return schema_error(ctx, node, err,
			    "%.*s: an empty list allows nothing; leave the key out to allow all %s",
			    STR_ARG(node->key->text), all);
}

int route_key_paths(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		    struct err *err)
{
	struct route *r = out;
	struct err why = ERR_INIT;

	if (want_entries(ctx, node, "paths", err) < 0)
		return -1;
	r->prefixes.v = mem_array(node->count, sizeof(*r->prefixes.v));
	for (const struct yaml *p = node->child; p; p = p->next, r->prefixes.n++)
		if (read_path(p->text, &r->prefixes.v[r->prefixes.n], &why) < 0)
			return bad_value(ctx, p, "path", &why, err);
	return 0;
}

int route_key_methods(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct err why = ERR_INIT;

	(void)out;
	if (want_entries(ctx, node, "methods", err) < 0)
		return -1;
	for (const struct yaml *m = node->child; m; m = m->next)
		if (check_method(m->text, &why) < 0)
			return bad_value(ctx, m, "method", &why, err);
	return 0;
}

int route_key_mount(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		    struct err *err)
{
	struct err why = ERR_INIT;

	(void)out;
	if (check_mount(node->text, &why) < 0)
		return bad_value(ctx, node, "mount", &why, err);
	return 0;
}

int route_key_scheme(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	struct err why = ERR_INIT;

	if (want_string(ctx, node, err) < 0)
		return -1;
	if (read_scheme(node->text, out, &why) < 0)
		return schema_error(ctx, node, err, "%.*s: %s", STR_ARG(node->key->text), why.text);
	return 0;
}

int route_key_tls(const struct schema_ctx *ctx, const struct yaml *node, void *out, struct err *err)
{
	struct route *r = out;

	if (node->kind != YAML_SCALAR || !str_eqz(node->text, "passthrough"))
		return schema_error(ctx, node, err,
				    "tls: the only value is 'passthrough'; leave the key out to "
				    "intercept");
	r->passthrough = true;
	return 0;
}

int route_check(const struct schema_ctx *ctx, const struct yaml *node, const struct route *r,
		const char *auth_key, struct err *err)
{
	const char *const not_seen[] = { "path_allowlist", "methods", auth_key, "mount",
					 "pass_authorization" };

	for (size_t i = 0; r->passthrough && i < ARRAY_LEN(not_seen); i++)
		if (yaml_get(node, not_seen[i]))
			return schema_error(ctx, yaml_get(node, not_seen[i]), err,
					    "'%s' with tls: passthrough: such a route is not "
					    "looked into",
					    not_seen[i]);
	if (r->auth && r->pass_authorization)
		return schema_error(ctx, yaml_get(node, "pass_authorization"), err,
				    "pass_authorization with %s: the credential is set by the "
				    "proxy, the client's is removed",
				    auth_key);
	if (r->mount && str_starts(str_of(r->host), STR("*.")))
		return schema_error(ctx, yaml_get(node, "mount"), err,
				    "mount on a wildcard: it needs one host to go to");
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

char *route_host_text(const char *host, uint16_t port)
{
	bool v6 = strchr(host, ':') != NULL;

	if (port == 0)
		return mem_printf(v6 ? "[%s]" : "%s", host);
	return mem_printf(v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
}

char *route_auth_text(const struct route *r)
{
	if (r->auth == AUTH_NONE)
		return NULL;
	return mem_printf("%s%s", scheme_names[r->auth], r->auth_header ? r->auth_header : "");
}

static struct json *list_json(const struct str_list *l)
{
	struct json *j = json_new_array();

	for (size_t i = 0; i < l->n; i++)
		json_append(j, json_new_str(str_of(l->v[i])));
	return j;
}

struct json *route_json(const struct route *r)
{
	struct json *j = json_new_object();
	auto_free char *host = route_host_text(r->host, r->port);
	auto_free char *scheme = route_auth_text(r);

	json_set_strz(j, "host", host);
	if (r->has_paths)
		json_set(j, "path_allowlist", list_json(&r->paths));
	if (r->has_methods)
		json_set(j, "methods", list_json(&r->methods));
	json_set_strz(j, "mount", r->mount);
	if (r->pass_authorization)
		json_set(j, "pass_authorization", json_new_bool(true));
	json_set_strz(j, "auth_scheme", scheme);
	json_set_strz(j, "token_env", r->token_env);
	if (r->passthrough)
		json_set_strz(j, "tls", "passthrough");
	return j;
}

/* --- matching --------------------------------------------------------------------------------- */

static bool under(struct str path, struct str prefix)
{
	if (!str_starts(path, prefix))
		return false;
	if (path.n == prefix.n || str_ends(prefix, STR("/")) || str_ends(prefix, STR("%2F")))
		return true;
	return path.p[prefix.n] == '/';
}

bool route_has_path(const struct route *r, struct str reading)
{
	if (!r->has_paths)
		return true;
	for (size_t i = 0; i < r->prefixes.n; i++)
		if (under(reading, str_of(r->prefixes.v[i])))
			return true;
	return false;
}

bool route_has_method(const struct route *r, struct str method)
{
	if (!r->has_methods)
		return true;
	for (size_t i = 0; i < r->methods.n; i++)
		if (str_eqz(method, r->methods.v[i]))
			return true;
	return false;
}
