/*
 * bottle info: what an agent's plan would be, also where host variables are not set.
 */
#include <stdlib.h>
#include <unistd.h>

#include "applet.h"
#include "base/limits.h"
#include "base/mem.h"
#include "bottle/show.h"
#include "manifest/identity.h"
#include "manifest/manifest.h"
#include "manifest/plan.h"
#include "sys/tty.h"

/* Values are not looked at by a plan, only whether there is one. */
static const char *get_or_empty(void *user, const char *name)
{
	const char *value = getenv(name);

	(void)user;
	return value ? value : "unset";
}

static int show(const char *agent, struct notes *notes, struct err *err)
{
	static const struct host_env any = { .get = get_or_empty };
	static const char *const command[] = { "CMD", NULL };
	auto_home home = { NULL, NULL };
	auto_manifest m = { NULL, NULL };
	auto_free char *cwd = getcwd(NULL, 0);
	auto_plan struct plan *p = NULL;
	auto_buf out = BUF_INIT(PLAN_TEXT_MAX);
	char identity[IDENTITY_MAX + 1];
	struct plan_input in = { .identity = identity, .env = &any, .cwd = cwd };

	if (!cwd)
		return err_sys(err, "the working directory");
	if (home_find(&host_env_process, &home, notes, err) < 0 ||
	    manifest_load(&home, agent, cwd, &m, notes, err) < 0)
		return -1;
	identity_make(m.agent->name, identity);
	p = plan_make(&m, &in, err);
	if (!p && m.bottle->agent.provider == PROVIDER_CUSTOM && m.bottle->agent.command.n == 0) {
		/* It gets its command with `start`. */
		in.command = command;
		p = plan_make(&m, &in, err);
	}
	if (!p || plan_write_preflight(p, tty_colour(STDOUT_FILENO), &out, err) < 0)
		return -1;
	for (size_t i = 0; i < p->credential_count; i++)
		if (!getenv(p->credentials[i].token_ref))
			notes_warn(notes, "host variable %s is not set",
				   p->credentials[i].token_ref);
	return applet_print(buf_str(&out), err);
}

static int run(const struct opts_result *in, struct err *err)
{
	auto_notes notes = NOTES_INIT;
	int rc = show(in->operands[0], &notes, err);

	show_notes(&notes);
	return rc;
}

const struct command command_bottle_info = {
	.spec = { .usage = "AGENT",
		  .about = "Show an agent with its bottle as 'start' would use them.",
		  .operands_min = 1,
		  .operands_max = 1,
		  .example = "bottle info dev" },
	.run = run,
};
