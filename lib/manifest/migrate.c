/*
 * Keys of the predecessor: an error, and in notes->recipe the text to put in their place.
 *
 *	cred_proxy: {routes: [{path, upstream, auth_scheme, token_ref, role}]}   -> routes with mount
 *	tokens:     [{Kind, TokenRef, Url}]                                      -> routes
 *	ssh:        [{Host, Hostname, User, Port, IdentityFile, KnownHostKey}]   -> git entries
 *	runtime:    the engine's runtime, found by itself now
 */
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/url.h"
#include "manifest/bottle_read.h"

#define RECIPE_MAX KIB(64)

/* The token kinds that implied a host. */
static const struct {
	const char *kind, *host, *scheme;
} kinds[] = {
	{ "anthropic", "api.anthropic.com", "Bearer" }, { "claude", "api.anthropic.com", "Bearer" },
	{ "github", "api.github.com", "Bearer" },       { "gitlab", "gitlab.com", "Bearer" },
	{ "npm", "registry.npmjs.org", "Bearer" },      { "openai", "api.openai.com", "Bearer" },
};

/* The scalar of the first of these keys that there is, in any case; empty when there is none. */
static struct str field(const struct yaml *entry, const char *const *names)
{
	if (entry->kind != YAML_MAP)
		return STR_NONE;
	for (const char *const *n = names; *n; n++)
		for (const struct yaml *v = entry->child; v; v = v->next)
			if (v->kind == YAML_SCALAR && !yaml_is_null(v) &&
			    str_ieqz(v->key->text, *n))
				return v->text;
	return STR_NONE;
}
#define FIELD(entry, ...) field(entry, (const char *const[]){ __VA_ARGS__, NULL })

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !memchr("/._-~:@", s.p[i], 7))
			return false;
	return s.n > 0 && s.p[s.n - 1] != ':' && s.p[0] != '~' && s.p[0] != '@' && s.p[0] != '-';
}

/* "KEY: VALUE\n"; JSON quoting is valid YAML. Nothing for an empty value. */
static int line(struct buf *out, const char *key, struct str value)
{
	if (value.n == 0)
		return 0;
	if (is_plain(value))
		return buf_addf(out, NULL, "%s: %.*s\n", key, STR_ARG(value));
	if (buf_addf(out, NULL, "%s: ", key) < 0 || json_quote(out, value, NULL) < 0)
		return -1;
	return buf_addc(out, '\n', NULL);
}

/* --- cred_proxy, tokens ------------------------------------------------------------------------ */

struct old_route {
	struct str mount, scheme, token_ref;
	char host[URL_HOST_MAX + 16]; /* with the port; "" when it cannot be told */
	struct str path;              /* below which requests were mapped */
};

static void read_old_host(const struct yaml *entry, struct old_route *r)
{
	struct str url = FIELD(entry, "upstream", "url", "host");
	struct str kind = FIELD(entry, "kind", "name");
	ssize_t slash;
	struct authority a;
	uint16_t port = 443;

	for (size_t i = 0; url.n == 0 && i < ARRAY_LEN(kinds); i++)
		if (str_ieqz(kind, kinds[i].kind)) {
			url = str_of(kinds[i].host);
			if (r->scheme.n == 0)
				r->scheme = str_of(kinds[i].scheme);
		}
	if (str_istarts(url, STR("https://"))) {
		url = str_from(url, strlen("https://"));
	} else if (str_istarts(url, STR("http://"))) {
		url = str_from(url, strlen("http://"));
		port = 80;
	}
	slash = str_chr(url, '/', 0);
	if (slash >= 0) {
		r->path = str_from(url, (size_t)slash);
		url = str_sub(url, 0, (size_t)slash);
	}
	if (url_parse_authority(url, port, &a, NULL) == 0)
		authority_text(&a, port, r->host);
}

/* Without the slash at the end, and none when that is all there is. */
static struct str trim_slash(struct str path)
{
	while (str_ends(path, STR("/")))
		path.n--;
	return path;
}

static struct old_route read_old_route(const struct yaml *entry)
{
	struct old_route r = {
		.mount = trim_slash(FIELD(entry, "path", "mount")),
		.scheme = FIELD(entry, "auth_scheme", "scheme", "authscheme"),
		.token_ref = FIELD(entry, "token_ref", "tokenref", "token_env"),
	};

	read_old_host(entry, &r);
	r.path = trim_slash(r.path);
	/* not a variable's name: perhaps a credential, which is not repeated */
	if (!env_name_ok(r.token_ref))
		r.token_ref = STR("YOUR_VARIABLE");
	if (r.scheme.n == 0)
		r.scheme = STR("Bearer");
	return r;
}

static int write_route(struct buf *out, const struct yaml *entry)
{
	struct old_route r = read_old_route(entry);
	bool anthropic = str_eqz(str_of(r.host), "api.anthropic.com");

	if (r.host[0] == '\0')
		return buf_addf(out, NULL, "    # line %d: no host could be told from this entry\n",
				entry->line);
	if (line(out, "    - host", str_of(r.host)) < 0 || line(out, "      mount", r.mount) < 0)
		return -1;
	if (r.path.n > 0 &&
	    (buf_addz(out, "      path_allowlist: # was mapped below it\n", NULL) < 0 ||
	     buf_addf(out, NULL, "        - %.*s\n", STR_ARG(r.path)) < 0))
		return -1;
	if (buf_addz(out, "      auth:\n", NULL) < 0 || line(out, "        scheme", r.scheme) < 0 ||
	    line(out, "        token_ref", r.token_ref) < 0)
		return -1;
	return anthropic ? line(out, "      role", STR("claude_code_oauth")) : 0;
}

/* The entries are the list itself, or the list under `routes`. */
static const struct yaml *entries(const struct yaml *node)
{
	const struct yaml *routes = yaml_get(node, "routes");

	if (node->kind == YAML_LIST)
		return node->child;
	return routes && routes->kind == YAML_LIST ? routes->child : NULL;
}

static int write_routes(struct buf *out, const struct yaml *node)
{
	if (!entries(node))
		return buf_addz(out, "# nothing: it had no entries\n", NULL);
	if (buf_addz(out, "egress_proxy:\n  routes:\n", NULL) < 0)
		return -1;
	for (const struct yaml *e = entries(node); e; e = e->next)
		if (write_route(out, e) < 0)
			return -1;
	return 0;
}

/* --- ssh, runtime ------------------------------------------------------------------------------ */

static int write_git(struct buf *out, const struct yaml *node)
{
	if (!entries(node))
		return buf_addz(out, "# nothing: it had no entries\n", NULL);
	if (buf_addz(out, "git:\n", NULL) < 0)
		return -1;
	for (const struct yaml *e = entries(node); e; e = e->next) {
		struct str host = FIELD(e, "hostname", "host");
		struct str user = FIELD(e, "user");
		struct str port = FIELD(e, "port");
		auto_free char *upstream = NULL;

		upstream = mem_printf("ssh://%.*s@%.*s%s%.*s/PATH-OF-THE-REPOSITORY.git",
				      STR_ARG(user.n ? user : STR("git")), STR_ARG(host),
				      port.n ? ":" : "", STR_ARG(port));
		if (line(out, "  - Name", STR("NAME-OF-THE-REPOSITORY")) < 0 ||
		    line(out, "    Upstream", str_of(upstream)) < 0 ||
		    line(out, "    IdentityFile", FIELD(e, "identityfile", "identity_file")) < 0 ||
		    line(out, "    KnownHostKey", FIELD(e, "knownhostkey", "known_host_key")) < 0)
			return -1;
	}
	return 0;
}

static int write_nothing(struct buf *out, const struct yaml *node)
{
	(void)node;
	return buf_addz(out, "# nothing: gVisor is used when the engine has it registered\n", NULL);
}

static const struct {
	const char *key, *now;
	int (*write)(struct buf *out, const struct yaml *node);
} old_keys[] = {
	{ "cred_proxy", "'egress_proxy.routes'", write_routes },
	{ "tokens", "'auth' in 'egress_proxy.routes'", write_routes },
	{ "ssh", "'git'", write_git },
	{ "runtime", "found by itself", write_nothing },
};

int migrate_check(const struct schema_ctx *ctx, const struct yaml *root, struct err *err)
{
	struct notes *notes = bottle_ctx(ctx)->notes;
	auto_buf recipe = BUF_INIT(RECIPE_MAX);
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(old_keys); i++) {
		const struct yaml *node = yaml_get(root, old_keys[i].key);

		if (!node)
			continue;
		if (rc == 0)
			rc = schema_error(ctx, node->key, err,
					  "'%s' is now %s; the text to put in "
					  "its place follows",
					  old_keys[i].key, old_keys[i].now);
		/* a recipe that does not fit ends where it does not */
		if (buf_addf(&recipe, NULL, "%s# in place of '%s', line %d\n",
			     recipe.len ? "\n" : "", old_keys[i].key, node->key->line) < 0 ||
		    old_keys[i].write(&recipe, node) < 0)
			break;
	}
	if (rc < 0 && notes) {
		free(notes->recipe);
		notes->recipe = buf_take(&recipe, NULL);
	}
	return rc;
}
