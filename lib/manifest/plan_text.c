/*
 * The preflight: what the operator reads before he says yes. Wording may change; scripts read the
 * JSON form.
 */
#include "base/json.h"
#include "base/mem.h"
#include "manifest/plan_parts.h"

#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define RESET "\033[0m"

struct page {
	const struct plan *p;
	struct buf *out;
	struct err *err;
	bool colour;
};

/* As it is when every character is plain, else quoted: nothing here may drive the terminal. */
static int add_shown(struct page *g, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x21 || c > 0x7e || c == '"' || c == '\'' || c == '\\')
			return json_quote(g->out, s, g->err);
	}
	return s.n > 0 ? buf_add(g->out, s, g->err) : buf_addz(g->out, "\"\"", g->err);
}

static int add_heading(struct page *g, const char *name)
{
	return buf_addf(g->out, g->err, "  %-12s", name);
}

/* "  NAME        VALUE" */
static int add_line(struct page *g, const char *name, const char *value)
{
	if (add_heading(g, name) < 0 || add_shown(g, str_of(value)) < 0)
		return -1;
	return buf_addc(g->out, '\n', g->err);
}

static int add_words(struct page *g, const char *before, const struct str_list *l,
		     const char *between)
{
	if (buf_addz(g->out, before, g->err) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		if ((i > 0 && buf_addz(g->out, between, g->err) < 0) ||
		    add_shown(g, str_of(l->v[i])) < 0)
			return -1;
	return 0;
}

static int add_who(struct page *g)
{
	const struct plan *p = g->p;

	if (buf_addf(g->out, g->err, "%sbottle %s%s\n", g->colour ? BOLD : "", p->identity,
		     g->colour ? RESET : "") < 0)
		return -1;
	if (add_heading(g, "agent") < 0 || buf_addf(g->out, g->err, "%s  ", p->agent->name) < 0 ||
	    add_shown(g, str_of(p->agent->file)) < 0)
		return -1;
	if (buf_addc(g->out, '\n', g->err) < 0 || add_heading(g, "bottle") < 0)
		return -1;
	if (buf_addz(g->out, p->bottle->name, g->err) < 0 ||
	    add_words(g, "  ", &p->bottle->files, " + ") < 0)
		return -1;
	return buf_addc(g->out, '\n', g->err);
}

static int add_image(struct page *g)
{
	const struct plan *p = g->p;
	const char *how = p->image_kind == PLAN_IMAGE_DOCKERFILE ? "  built from "
			  : p->image_kind == PLAN_IMAGE_EMBEDDED ? "  built from our "
								 : "";

	if (p->image_kind == PLAN_IMAGE_HOST)
		return add_line(g, "root", "/");
	if (p->image_kind == PLAN_IMAGE_ROOTFS)
		return add_line(g, "root", p->image_source);
	if (add_heading(g, "image") < 0 || add_shown(g, str_of(p->image)) < 0 ||
	    buf_addz(g->out, how, g->err) < 0)
		return -1;
	if (*how && add_shown(g, str_of(p->image_source)) < 0)
		return -1;
	return buf_addc(g->out, '\n', g->err);
}

static int add_session(struct page *g)
{
	static const char *const cwd[] = {
		[PLAN_CWD_NONE] = "empty",
		[PLAN_CWD_COPY] = "a copy of ",
		[PLAN_CWD_BIND] = "itself ",
	};
	const struct plan *p = g->p;

	if (add_line(g, "backend", p->backend == BACKEND_DOCKER ? "docker" : "native") < 0 ||
	    add_line(g, "provider", plan_provider(p)->name) < 0 || add_image(g) < 0)
		return -1;
	if (add_heading(g, "command") < 0 || add_words(g, "", &p->command, " ") < 0)
		return -1;
	if (buf_addf(g->out, g->err, "  (as %s)\n", p->user) < 0 ||
	    add_heading(g, "directory") < 0 || add_shown(g, str_of(p->workdir)) < 0 ||
	    buf_addf(g->out, g->err, ": %s", cwd[p->cwd_mode]) < 0)
		return -1;
	if (p->cwd_mode != PLAN_CWD_NONE && add_shown(g, str_of(p->cwd)) < 0)
		return -1;
	if (buf_addc(g->out, '\n', g->err) < 0)
		return -1;
	if (p->agent->skills.n == 0)
		return 0;
	if (add_heading(g, "skills") < 0 || add_words(g, "", &p->agent->skills, " ") < 0)
		return -1;
	return buf_addc(g->out, '\n', g->err);
}

static int add_objects(struct page *g)
{
	const struct plan *p = g->p;

	for (size_t i = 0; i < p->network_count; i++)
		if (add_heading(g, i ? "" : "networks") < 0 ||
		    buf_addf(g->out, g->err, "%s%s\n", p->networks[i].name,
			     p->networks[i].internal ? "  internal" : "") < 0)
			return -1;
	for (size_t i = 0; i < p->box_count; i++)
		if (add_heading(g, i ? "" : "boxes") < 0 ||
		    buf_addf(g->out, g->err, "%s  at most %u processes, %u MiB\n", p->boxes[i].name,
			     p->boxes[i].pids, p->boxes[i].memory_mib) < 0)
			return -1;
	return 0;
}

/* What a route says beyond its host. */
static int add_rules(struct page *g, const struct route *r, const char *token_ref)
{
	auto_free char *auth = route_auth_text(r);

	if (!r->has_methods && !r->has_paths && buf_addz(g->out, "  all", g->err) < 0)
		return -1;
	if (r->has_methods && add_words(g, "  ", &r->methods, ",") < 0)
		return -1;
	if (r->has_paths && add_words(g, "  ", &r->paths, " ") < 0)
		return -1;
	if (r->mount && buf_addf(g->out, g->err, "  mount %s", r->mount) < 0)
		return -1;
	return auth ? buf_addf(g->out, g->err, "  credential %s (%s)", token_ref, auth) : 0;
}

static int add_route(struct page *g, const struct plan_route *r)
{
	static const char *const from[] = {
		[PLAN_ROUTE_ROUTE] = "",
		[PLAN_ROUTE_ALLOWLIST] = "  (allowlist)",
		[PLAN_ROUTE_PROVIDER] = "  (needed by the provider)",
	};
	auto_free char *host = plan_route_host(r);

	if (buf_addf(g->out, g->err, "    %-32s%s", host, from[r->source]) < 0)
		return -1;
	if (r->route && add_rules(g, &r->route->rule, r->route->token_ref) < 0)
		return -1;
	return buf_addc(g->out, '\n', g->err);
}

static int add_routes(struct page *g)
{
	if (buf_addz(g->out, g->p->route_count ? "  may reach\n" : "  may reach   nothing\n",
		     g->err) < 0)
		return -1;
	for (size_t i = 0; i < g->p->route_count; i++)
		if (add_route(g, &g->p->routes[i]) < 0)
			return -1;
	return 0;
}

/* Names only; those that every bottle gets are no news. */
static int add_env(struct page *g)
{
	bool any = false;

	for (size_t i = 0; i < g->p->env_count; i++) {
		if (g->p->env[i].kind == PLAN_ENV_FIXED)
			continue;
		if (!any && add_heading(g, "environment") < 0)
			return -1;
		if (buf_addf(g->out, g->err, "%s%s%s", any ? " " : "", g->p->env[i].name,
			     g->p->env[i].kind == PLAN_ENV_PLACEHOLDER ? " (placeholder)" : "") < 0)
			return -1;
		any = true;
	}
	return any ? buf_addc(g->out, '\n', g->err) : 0;
}

static int add_git(struct page *g)
{
	for (size_t i = 0; i < g->p->git_count; i++) {
		const struct bottle_git *b = g->p->git[i].git;

		if (add_heading(g, i ? "" : "git") < 0 ||
		    buf_addf(g->out, g->err, "%s  %s  key ", b->name, b->upstream) < 0 ||
		    add_shown(g, str_of(b->identity_file)) < 0 ||
		    buf_addc(g->out, '\n', g->err) < 0)
			return -1;
	}
	return 0;
}

/* A red line may quote paths and prompts: control characters do not get through. */
static int add_red(struct page *g, const char *prefix, const struct str_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct str s = str_of(l->v[i]);

		if (buf_addf(g->out, g->err, "  %s%s", g->colour ? RED : "", prefix) < 0)
			return -1;
		if (str_has_ctl(s) || !str_is_utf8(s) ? json_quote(g->out, s, g->err) < 0
						      : buf_add(g->out, s, g->err) < 0)
			return -1;
		if (buf_addf(g->out, g->err, "%s\n", g->colour ? RESET : "") < 0)
			return -1;
	}
	return 0;
}

int plan_write_preflight(const struct plan *p, bool colour, struct buf *out, struct err *err)
{
	struct page g = { .p = p, .out = out, .err = err, .colour = colour };

	if (add_who(&g) < 0 || add_session(&g) < 0 || add_objects(&g) < 0 || add_routes(&g) < 0)
		return -1;
	if (add_env(&g) < 0 || add_git(&g) < 0)
		return -1;
	if (add_red(&g, "! ", &p->red) < 0)
		return -1;
	return add_red(&g, "not possible: ", &p->unsupported);
}
