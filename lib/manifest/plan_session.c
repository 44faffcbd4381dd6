#include "base/mem.h"
#include "base/version.h"
#include "manifest/plan_parts.h"
#include "sys/fd.h"

static int own_command(struct plan *p, const struct plan_input *in, struct err *err)
{
	const struct provider_info *provider = plan_provider(p);
	const char *const *argv = in->headless ? provider->headless : provider->command;

	if (!argv)
		return err_set(err, E_BAD,
			       "bottle '%s': provider %s needs a command, in "
			       "agent.command or after --",
			       p->bottle->name, provider->name);
	if (in->headless && !in->prompt)
		return err_set(err, E_USAGE,
			       "--headless needs --prompt TEXT or a command after --");
	for (; *argv; argv++)
		strs_add(&p->command, *argv);
	if (p->system_file && provider->system_file_option) {
		strs_add(&p->command, provider->system_file_option);
		strs_add(&p->command, p->system_file);
	}
	if (in->prompt) {
		strs_add(&p->command, provider->prompt_option);
		strs_add(&p->command, in->prompt);
	}
	return 0;
}

static int plan_command(struct plan *p, const struct plan_input *in, struct err *err)
{
	const struct str_list *given = &p->bottle->agent.command;
	bool own = !in->command && given->n == 0;

	if (in->prompt && !in->headless)
		return err_set(err, E_USAGE, "--prompt goes with --headless");
	if (in->prompt && (!own || !plan_provider(p)->headless))
		return err_set(err, E_USAGE,
			       "--prompt: only the session of provider claude or "
			       "codex takes one; put it into the command");
	if (own)
		return own_command(p, in, err);
	for (size_t i = 0; in->command && in->command[i]; i++)
		strs_add(&p->command, in->command[i]);
	for (size_t i = 0; !in->command && i < given->n; i++)
		strs_add(&p->command, given->v[i]);
	if (p->command.n == 0)
		return err_set(err, E_USAGE, "no command after --");
	return 0;
}

static int docker_image(struct plan *p, struct err *err)
{
	const struct bottle_agent *a = &p->bottle->agent;
	const struct provider_info *provider = plan_provider(p);

	p->sidecar_image = mem_printf("bottle-sidecar:%s", bottle_version());
	if (a->image) {
		p->image_kind = PLAN_IMAGE_NAMED;
		p->image = mem_strdup(a->image);
	} else if (a->dockerfile) {
		p->image_kind = PLAN_IMAGE_DOCKERFILE;
		p->image = mem_printf("bottle-image-%s:latest", p->bottle->name);
		p->image_source = mem_strdup(a->dockerfile);
	} else if (provider->dockerfile) {
		p->image_kind = PLAN_IMAGE_EMBEDDED;
		p->image = mem_printf("bottle-agent-%s:%s", provider->name, bottle_version());
		p->image_source = mem_strdup(provider->dockerfile);
	} else {
		return err_set(err, E_BAD,
			       "bottle '%s': provider %s needs agent.image or "
			       "agent.dockerfile with Docker",
			       p->bottle->name, provider->name);
	}
	return 0;
}

static void native_image(struct plan *p)
{
	const char *rootfs = p->bottle->agent.rootfs;

	p->image_kind = rootfs ? PLAN_IMAGE_ROOTFS : PLAN_IMAGE_HOST;
	p->image_source = rootfs ? mem_strdup(rootfs) : NULL;
}

int plan_session(struct plan *p, const struct plan_input *in, struct err *err)
{
	const struct bottle_agent *a = &p->bottle->agent;
	const char *host_home = host_env_get(in->env, "HOME");

	if (p->agent->prompt[0])
		p->system_file = plan_provider(p)->system_file;
	if (p->agent->skills.n > 0) {
		if (!host_home || *host_home != '/')
			return err_set(err, E_BAD,
				       "%s: skills are under ~/.claude/skills, and "
				       "HOME is not set",
				       p->agent->file);
		p->skills_dir = path_join(host_home, ".claude/skills");
	}
	p->user = mem_strdup(a->user ? a->user : PLAN_AGENT_USER);
	p->home = a->user ? NULL : PLAN_AGENT_HOME;
	p->workdir = mem_strdup(a->workdir ? a->workdir : PLAN_AGENT_WORKDIR);
	if (plan_command(p, in, err) < 0)
		return -1;
	if (p->backend == BACKEND_DOCKER)
		return docker_image(p, err);
	native_image(p);
	return 0;
}
