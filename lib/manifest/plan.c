#include "manifest/plan.h"

#include "base/mem.h"
#include "manifest/plan_parts.h"

static const char *const role_names[ROLE_COUNT] = {
	[ROLE_NETWORK_NET] = "net",           [ROLE_NETWORK_GATE] = "gate",
	[ROLE_NETWORK_EGRESS] = "egress",     [ROLE_AGENT] = "agent",
	[ROLE_EGRESS_PROXY] = "egress-proxy", [ROLE_PIPELOCK] = "pipelock",
	[ROLE_GIT_GATE] = "git-gate",         [ROLE_SUPERVISE] = "supervise",
};

const char *plan_role_name(enum plan_role r)
{
	return role_names[r];
}

static void env_free(struct plan *p)
{
	for (size_t i = 0; i < p->env_count; i++) {
		free(p->env[i].name);
		free(p->env[i].value);
		free(p->env[i].ref);
	}
	free(p->env);
}

static void git_free(struct plan *p)
{
	for (size_t i = 0; i < p->git_count; i++) {
		free(p->git[i].gate_url);
		strs_free(&p->git[i].spellings);
	}
	free(p->git);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	free(p->identity);
	free(p->cwd);
	free(p->image);
	free(p->image_source);
	free(p->sidecar_image);
	strs_free(&p->command);
	free(p->user);
	free(p->workdir);
	free(p->skills_dir);
	env_free(p);
	free(p->routes);
	free(p->routes_json);
	for (size_t i = 0; i < p->credential_count; i++)
		free(p->credentials[i].slot);
	free(p->credentials);
	git_free(p);
	for (size_t i = 0; i < p->network_count; i++)
		free(p->networks[i].name);
	for (size_t i = 0; i < p->box_count; i++)
		free(p->boxes[i].name);
	strs_free(&p->red);
	strs_free(&p->unsupported);
	free(p);
}

struct plan *plan_make(const struct manifest *m, const struct plan_input *in, struct err *err)
{
	auto_plan struct plan *p = mem_new(struct plan);

	p->identity = mem_strdup(in->identity);
	p->agent = m->agent;
	p->bottle = m->bottle;
	p->backend = in->backend;
	p->cwd = mem_strdup(in->cwd);
	p->cwd_mode = in->cwd_mode;
	p->headless = in->headless;
	if (plan_session(p, in, err) < 0 || plan_routes(p, in, err) < 0)
		return NULL;
	plan_boxes(p);
	if (plan_environment(p, in, err) < 0)
		return NULL;
	plan_git(p);
	plan_red(p);
	return steal(&p);
}

const struct str_list *plan_unsupported(const struct plan *p)
{
	return &p->unsupported;
}

const struct plan_box *plan_box(const struct plan *p, enum plan_role role)
{
	for (size_t i = 0; i < p->box_count; i++)
		if (p->boxes[i].role == role)
			return &p->boxes[i];
	return NULL;
}

const struct plan_network *plan_network(const struct plan *p, enum plan_role role)
{
	for (size_t i = 0; i < p->network_count; i++)
		if (p->networks[i].role == role)
			return &p->networks[i];
	return NULL;
}
