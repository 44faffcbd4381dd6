#include <stdlib.h>

#include "base/mem.h"
#include "manifest/plan_parts.h"

#define PROXY_URL "http://" PLAN_EGRESS_PROXY_HOST ":9099"

static const struct {
	const char *name, *value;
} fixed[] = {
	/* both cases: curl ignores HTTP_PROXY in upper case for http:// */
	{ "HTTP_PROXY", PROXY_URL },
	{ "http_proxy", PROXY_URL },
	{ "HTTPS_PROXY", PROXY_URL },
	{ "https_proxy", PROXY_URL },
	{ "NODE_USE_ENV_PROXY", "1" },
	/* Node adds to its own list, the others replace theirs */
	{ "NODE_EXTRA_CA_CERTS", PLAN_CA_CERT },
	{ "SSL_CERT_FILE", PLAN_CA_BUNDLE },
	{ "CODEX_CA_CERTIFICATE", PLAN_CA_BUNDLE },
	{ "REQUESTS_CA_BUNDLE", PLAN_CA_BUNDLE },
	{ "CURL_CA_BUNDLE", PLAN_CA_BUNDLE },
	{ "GIT_SSL_CAINFO", PLAN_CA_BUNDLE },
	{ "PIP_CERT", PLAN_CA_BUNDLE },
	{ "CARGO_HTTP_CAINFO", PLAN_CA_BUNDLE },
	{ "DENO_CERT", PLAN_CA_BUNDLE },
	{ "AWS_CA_BUNDLE", PLAN_CA_BUNDLE },
	{ "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", PLAN_CA_BUNDLE },
};

/* The entry of that name, emptied, or a new one: a later source overrides an earlier one. */
static struct plan_env *entry(struct plan *p, const char *name)
{
	struct plan_env *e;

	for (size_t i = 0; i < p->env_count; i++) {
		e = &p->env[i];
		if (!str_eqz(str_of(e->name), name))
			continue;
		free(e->value);
		free(e->ref);
		e->value = e->ref = NULL;
		return e;
	}
	p->env = mem_resize(p->env, p->env_count + 1, sizeof(*p->env));
	e = &p->env[p->env_count++];
	*e = (struct plan_env){ .name = mem_strdup(name) };
	return e;
}

/* Takes over `value`. */
static void set(struct plan *p, const char *name, enum plan_env_kind kind, char *value)
{
	struct plan_env *e = entry(p, name);

	e->kind = kind;
	e->value = value;
}

/* Sidecars are spoken to directly: a held approval must not meet a proxy's idle limit. */
static void set_no_proxy(struct plan *p)
{
	const char *supervise = plan_box(p, ROLE_SUPERVISE) ? "supervise" : NULL;
	const char *git_gate = plan_box(p, ROLE_GIT_GATE) ? "git-gate" : NULL;
	auto_free char *list = mem_printf("localhost,127.0.0.1,%s%s%s%s%s", PLAN_EGRESS_PROXY_HOST,
					  supervise ? "," : "", supervise ? supervise : "",
					  git_gate ? "," : "", git_gate ? git_gate : "");
	auto_free char *java = mem_strdup(list);

	for (char *c = java; *c; c++)
		if (*c == ',')
			*c = '|';
	set(p, "NO_PROXY", PLAN_ENV_FIXED, mem_strdup(list));
	set(p, "no_proxy", PLAN_ENV_FIXED, mem_strdup(list));
	set(p, "JAVA_TOOL_OPTIONS", PLAN_ENV_FIXED,
	    mem_printf("-Dhttp.proxyHost=%s -Dhttp.proxyPort=%d -Dhttps.proxyHost=%s "
		       "-Dhttps.proxyPort=%d -Dhttp.nonProxyHosts=%s",
		       PLAN_EGRESS_PROXY_HOST, PLAN_EGRESS_PROXY_PORT, PLAN_EGRESS_PROXY_HOST,
		       PLAN_EGRESS_PROXY_PORT, java));
}

static bool has_oauth_role(const struct bottle *b)
{
	for (size_t i = 0; i < b->routes.n; i++)
		if (b->routes.v[i].claude_code_oauth)
			return true;
	return false;
}

static int set_from_bottle(struct plan *p, const struct bottle_env *b, const struct host_env *env,
			   struct err *err)
{
	struct plan_env *e;

	if (b->kind == ENV_LITERAL) {
		set(p, b->name, PLAN_ENV_LITERAL, mem_strdup(b->value));
		return 0;
	}
	if (b->kind == ENV_HOST && !host_env_get(env, b->value))
		return err_set(err, E_BAD,
			       "%s:%d:%d: env: '%s' copies host variable %s, which is "
			       "not set",
			       b->at.file, b->at.line, b->at.col, b->name, b->value);
	e = entry(p, b->name);
	e->kind = b->kind == ENV_HOST ? PLAN_ENV_HOST : PLAN_ENV_PROMPT;
	e->ref = mem_strdup(b->value);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct plan_env *x = a, *y = b;

	return str_cmp(str_of(x->name), str_of(y->name));
}

int plan_environment(struct plan *p, const struct plan_input *in, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		set(p, fixed[i].name, PLAN_ENV_FIXED, mem_strdup(fixed[i].value));
	if (p->home)
		set(p, "HOME", PLAN_ENV_FIXED, mem_strdup(p->home));
	set_no_proxy(p);
	for (const struct provider_env *e = provider_oauth_env;
	     has_oauth_role(p->bottle) && e->name; e++)
		set(p, e->name,
		    str_eqz(str_of(e->name), PROVIDER_OAUTH_VARIABLE) ? PLAN_ENV_PLACEHOLDER
								      : PLAN_ENV_FIXED,
		    mem_strdup(e->value));
	for (size_t i = 0; i < p->bottle->env.n; i++)
		if (set_from_bottle(p, &p->bottle->env.v[i], in->env, err) < 0)
			return -1;
	qsort(p->env, p->env_count, sizeof(*p->env), by_name);
	return 0;
}
