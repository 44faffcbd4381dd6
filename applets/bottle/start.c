/*
 * bottle start: plan → preflight → y/N → launch → session → teardown (spec 1.5).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "applet.h"
#include "backend/launch.h"
#include "backend/names.h"
#include "base/limits.h"
#include "base/mem.h"
#include "bottle/host.h"
#include "bottle/show.h"
#include "manifest/identity.h"
#include "manifest/manifest.h"
#include "manifest/plan.h"
#include "manifest/secrets.h"
#include "net/tls.h"
#include "sys/sandbox.h"
#include "sys/tty.h"

/* The bottle itself failed; everything else is the agent's own status (spec 1.5). */
#define EXIT_BOTTLE 125

static const char *cwd_mode, *format = "text", *backend_name, *prompt;
static bool yes, dry_run, headless;

static const struct opt options[] = {
	{ .name = "cwd",
	  .type = OPT_OPTIONAL,
	  .out = &cwd_mode,
	  .arg = "bind",
	  .help = "give the agent a copy of this directory; =bind: the directory itself" },
	{ .name = "yes", .letter = 'y', .type = OPT_FLAG, .out = &yes, .help = "do not ask" },
	{ .name = "dry-run",
	  .letter = 'n',
	  .type = OPT_FLAG,
	  .out = &dry_run,
	  .help = "show the plan and do nothing" },
	{ .name = "format",
	  .type = OPT_STR,
	  .out = &format,
	  .arg = "text|json",
	  .help = "form of the plan (default text)" },
	{ .name = "backend",
	  .type = OPT_STR,
	  .out = &backend_name,
	  .arg = "docker|native",
	  .help = "what the bottle is made of (default docker)" },
	{ .name = "headless",
	  .type = OPT_FLAG,
	  .out = &headless,
	  .help = "no terminal; with --prompt, work on that and end" },
	{ .name = "prompt",
	  .letter = 'p',
	  .type = OPT_STR,
	  .out = &prompt,
	  .arg = "TEXT",
	  .help = "what a headless agent is to do" },
	{ .name = NULL },
};

/* What one start works with; everything in it is freed by start_fini. */
struct start {
	struct host host;
	struct manifest manifest;
	struct plan *plan;
	struct secrets secrets;
	struct str_list hide; /* host variables that hold secrets */
	char *cwd;
	bool json;
	struct plan_input input; /* all but the identity */
};

static void start_fini(struct start *s)
{
	secrets_fini(&s->secrets);
	plan_free(s->plan);
	manifest_fini(&s->manifest);
	strs_free(&s->hide);
	free(s->cwd);
	host_fini(&s->host);
}

/* ---- the plan ---- */

static int read_options(struct start *s, const struct opts_result *in, struct err *err)
{
	s->json = strcmp(format, "json") == 0;
	if (!s->json && strcmp(format, "text") != 0)
		return err_set(err, E_USAGE, "--format '%s': text or json", format);
	if (cwd_mode && *cwd_mode && strcmp(cwd_mode, "bind") != 0)
		return err_set(err, E_USAGE, "--cwd=%s: write --cwd or --cwd=bind", cwd_mode);
	s->cwd = getcwd(NULL, 0);
	if (!s->cwd)
		return err_sys(err, "the working directory");
	s->input = (struct plan_input){
		.env = &host_env_process,
		.cwd = s->cwd,
		.cwd_mode = !cwd_mode   ? PLAN_CWD_NONE
			    : *cwd_mode ? PLAN_CWD_BIND
					: PLAN_CWD_COPY,
		.headless = headless,
		.prompt = prompt,
		.command = (const char *const *)in->rest,
	};
	return host_backend(backend_name, &s->input.backend, err);
}

static int read_manifest(struct start *s, const char *agent, struct err *err)
{
	auto_notes notes = NOTES_INIT;
	int rc = manifest_load(&s->host.home, agent, s->cwd, &s->manifest, &notes, err);

	show_notes(&notes);
	return rc;
}

static const struct plan *make_plan(void *arg, const char *identity, struct err *err)
{
	struct start *s = arg;
	struct plan_input in = s->input;

	plan_free(s->plan);
	in.identity = identity;
	s->plan = plan_make(&s->manifest, &in, err);
	return s->plan;
}

static int print_plan(const struct start *s, bool to_stdout, struct err *err)
{
	auto_buf out = BUF_INIT(PLAN_TEXT_MAX);
	int rc = s->json ? plan_write_json(s->plan, &out, err)
			 : plan_write_preflight(
				   s->plan, tty_colour(to_stdout ? STDOUT_FILENO : STDERR_FILENO),
				   &out, err);

	if (rc < 0)
		return -1;
	if (to_stdout)
		return applet_print(buf_str(&out), err);
	(void)fprintf(stderr, "\n%.*s\n", (int)out.len, buf_z(&out));
	return 0;
}

static int check_supported(const struct plan *p, struct err *err)
{
	const struct str_list *l = plan_unsupported(p);

	return l->n == 0 ? 0 : err_set(err, E_BAD, "bottle '%s': %s", p->bottle->name, l->v[0]);
}

/* ---- secrets ---- */

static int ask_secret(void *user, const char *name, const char *text, struct buf *ret,
		      struct err *err)
{
	auto_free char *line = mem_printf("  %s (%s): ", text, name);

	(void)user;
	return tty_secret(line, ret, err);
}

static void hide_secrets(struct start *s)
{
	for (size_t i = 0; i < s->plan->credential_count; i++)
		strs_add(&s->hide, s->plan->credentials[i].token_ref);
	for (size_t i = 0; i < s->plan->env_count; i++)
		if (s->plan->env[i].kind == PLAN_ENV_HOST)
			strs_add(&s->hide, s->plan->env[i].ref);
}

static bool have_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !headless;
}

/* ---- launch ---- */

static int status_of(struct start *s, const struct launch_result *r, int rc, const struct err *err)
{
	const char *id = s->plan->identity;

	if (rc < 0 && s->host.stop)
		return -1;
	if (rc < 0) {
		(void)applet_fail("bottle start", err);
		if (r->kept)
			show_hint("what happened: bottle logs %s", id);
		return EXIT_BOTTLE;
	}
	if (r->exit_code != 0)
		show_line(false, "the agent ended with exit status %d", r->exit_code);
	show_hint("what it did: bottle logs %s", id);
	return r->exit_code;
}

static int launch(struct start *s, struct err *err)
{
	struct launch_result result;
	const struct launch_spec spec = {
		.loop = s->host.loop,
		.backend = s->host.backend,
		.plan = s->plan,
		.secrets = &s->secrets,
		.env = &host_env_process,
		.home = s->host.home.dir,
		.tty = have_terminal(),
		.cancel = &s->host.stop,
		.in_session = &s->host.in_session,
		.progress = &show_progress,
	};
	int rc = launch_run(&spec, &result, err);

	return status_of(s, &result, rc, err);
}

/* *ret_status is set when it is decided: a dry run, a no. */
static int prepare(struct start *s, const char *agent, int *ret_status, struct err *err)
{
	char identity[IDENTITY_MAX + 1];
	bool go = yes;

	if (host_init(&s->host, err) < 0 || read_manifest(s, agent, err) < 0)
		return -1;
	identity_make(s->manifest.agent->name, identity);
	if (!make_plan(s, identity, err))
		return -1;
	if (dry_run) {
		*ret_status = 0;
		return print_plan(s, true, err);
	}
	if (check_supported(s->plan, err) < 0)
		return -1;
	hide_secrets(s);
	host_use_docker(&s->host, &s->hide);
	if (s->host.backend->ops->open(s->host.backend, s->plan, err) < 0 ||
	    names_take(s->host.backend, s->host.home.dir, identity, make_plan, s, err) < 0 ||
	    print_plan(s, false, err) < 0)
		return -1;
	if (!go && tty_confirm("Start it?", &go, err) < 0)
		return -1;
	if (!go)
		*ret_status = EXIT_FAILED;
	return 0;
}

static int start(struct start *s, const struct opts_result *in, struct err *err)
{
	int status = -1;

	if (sandbox_launcher(err) < 0 || read_options(s, in, err) < 0 ||
	    prepare(s, in->operands[0], &status, err) < 0)
		return -1;
	if (status >= 0)
		return status;
	if (tls_global_init(err) < 0 ||
	    secrets_gather(s->plan, &host_env_process, ask_secret, NULL, &s->secrets, err) < 0)
		return -1;
	return launch(s, err);
}

static int run(const struct opts_result *in, struct err *err)
{
	struct start s = { .plan = NULL };
	int status = start(&s, in, err);

	/* As a shell tells it; a launch has been taken down by now. */
	if (status < 0 && s.host.stop) {
		show_line(false, "%s; nothing is left", err->text);
		status = 128 + s.host.signo;
	}
	start_fini(&s);
	return status;
}

const struct command command_bottle_start = {
	.spec = {
		.usage = "AGENT [options] [-- CMD…]",
		.about = "Run an agent in its bottle. The plan is shown first; the exit status is the "
			 "agent's own, or 125 when the bottle itself failed.",
		.opts = options,
		.operands_min = 1,
		.operands_max = 1,
		.takes_rest = true,
		.example = "bottle start dev --cwd\n"
			   "bottle start dev --yes -- sh -c 'curl -sS https://example.com/'\n"
			   "bottle start ./reviewer --dry-run",
	},
	.run = run,
};
