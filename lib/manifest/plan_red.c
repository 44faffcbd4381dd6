#include "base/mem.h"
#include "manifest/plan_parts.h"

__attribute__((format(printf, 2, 3))) static void say(struct plan *p, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	strs_add(&p->red, text);
}

static void say_secrets(struct plan *p)
{
	for (size_t i = 0; i < p->env_count; i++)
		if (p->env[i].kind == PLAN_ENV_PROMPT || p->env[i].kind == PLAN_ENV_HOST)
			say(p, "the agent can read the secret %s (%s%s)", p->env[i].name,
			    p->env[i].kind == PLAN_ENV_HOST ? "host variable " : "asked for: ",
			    p->env[i].ref);
}

static void say_routes(struct plan *p)
{
	for (size_t i = 0; i < p->bottle->routes.n; i++) {
		const struct route *r = &p->bottle->routes.v[i].rule;

		if (r->passthrough)
			say(p, "%s is passed through unread: no path, method or secret is checked",
			    r->host);
		if (r->pass_authorization)
			say(p, "%s gets the agent's own Authorization", r->host);
	}
}

static void say_egress(struct plan *p)
{
	const struct bottle_egress *e = &p->bottle->egress;

	if (e->has_dlp_action && e->dlp_action == DLP_WARN)
		say(p, "a secret that leaves is reported, not stopped (dlp_action: warn)");
	for (size_t i = 0; i < e->dlp_allow.n; i++)
		say(p, "rule %s is off for %s (dlp_allow)", e->dlp_allow.v[i].rule,
		    e->dlp_allow.v[i].host);
	for (size_t i = 0; i < e->allow_private.n; i++)
		say(p, "private addresses %s may be reached (allow_private)",
		    e->allow_private.v[i]);
	for (size_t i = 0; i < e->resolve.n; i++)
		say(p, "%s: a fixed address that no guard checks (resolve)", e->resolve.v[i]);
	for (size_t i = 0; i < e->upstream_ca.n; i++)
		say(p, "upstreams are trusted by %s too (upstream_ca)", e->upstream_ca.v[i]);
}

void plan_red(struct plan *p)
{
	if (p->agent->repository)
		say(p, "the agent comes from this repository: %s", p->agent->file);
	if (p->cwd_mode == PLAN_CWD_BIND)
		say(p, "the agent changes %s itself, not a copy", p->cwd);
	say_secrets(p);
	say_routes(p);
	say_egress(p);
	for (size_t i = 0; i < p->bottle->git.n; i++)
		if (!p->bottle->git.v[i].known_host_key)
			say(p, "git %s has no KnownHostKey: the gate will refuse to reach it",
			    p->bottle->git.v[i].name);
}
