/*
 * The single values of a route: reading them, and matching against them.
 */
#include "base/arena.h"
#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/msg.h"
#include "policy/routes.h"

#define PATH_ARENA KIB(64) /* all readings of a path of ROUTE_TEXT_MAX */

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

int route_read_path(struct str s, char **ret_prefix, struct err *err)
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

int route_check_mount(struct str s, struct err *err)
{
	auto_free char *prefix = NULL;

	if (route_read_path(s, &prefix, err) < 0)
		return -1;
	if (s.n < 2 || s.p[s.n - 1] == '/')
		return err_set(err, E_BAD,
			       "a path such as /api is wanted, without a slash at its end");
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !memchr("/-._~", s.p[i], 5))
			return err_set(err, E_BAD, "only letters, digits and -._~ between slashes");
	return 0;
}

int route_check_method(struct str s, struct err *err)
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

int route_read_scheme(struct str s, enum auth_scheme *ret, char **ret_header, struct err *err)
{
	struct str header = str_of(scheme_names[AUTH_HEADER]);
	const char *near;

	*ret_header = NULL;
	for (enum auth_scheme i = AUTH_BEARER; i < AUTH_HEADER; i++) {
		if (str_eqz(s, scheme_names[i])) {
			*ret = i;
			return 0;
		}
	}
	if (str_starts(s, header)) {
		s = str_from(s, header.n);
		if (check_auth_header(s, err) < 0)
			return -1;
		*ret = AUTH_HEADER;
		*ret_header = str_dupz(s);
		return 0;
	}
	near = glob_nearest(s, scheme_names + 1, ARRAY_LEN(scheme_names) - 1);
	return err_set(err, E_BAD,
		       "unknown scheme%s%s%s; accepted: Bearer, token, Basic, header:NAME",
		       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

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
