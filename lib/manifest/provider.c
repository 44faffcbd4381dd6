#include "manifest/provider.h"

#include <stddef.h>

#include "manifest/plan.h"

/*
 * Hosts are what the program was seen to need with telemetry off, not all it likes to reach: each
 * is a way out for data. The rest is the operator's to add.
 */
static const char *const claude_hosts[] = { "api.anthropic.com", NULL };
static const char *const claude_command[] = { "claude", "--dangerously-skip-permissions", NULL };

/* chatgpt.com: models and requests of a ChatGPT account; auth.openai.com: renewing its token */
static const char *const codex_hosts[] = { "api.openai.com", "auth.openai.com", "chatgpt.com",
					   NULL };
static const char *const codex_command[] = { "codex", "--dangerously-bypass-approvals-and-sandbox",
					     NULL };
static const char *const codex_headless[] = { "codex", "exec", "--skip-git-repo-check",
					      "--dangerously-bypass-approvals-and-sandbox", NULL };

static const char *const no_hosts[] = { NULL };

static const struct provider_info providers[] = {
	[PROVIDER_CLAUDE] = {
		.name = "claude",
		.dockerfile = "docker/agents/claude.Dockerfile",
		.hosts = claude_hosts,
		.command = claude_command,
		.headless = claude_command,
		.prompt_option = "-p",
		.system_file = PLAN_PROMPT,
		.system_file_option = "--append-system-prompt-file",
	},
	[PROVIDER_CODEX] = {
		.name = "codex",
		.dockerfile = "docker/agents/codex.Dockerfile",
		.hosts = codex_hosts,
		.command = codex_command,
		.headless = codex_headless,
		.prompt_option = "--",
		.system_file = PLAN_AGENT_HOME "/.codex/AGENTS.md",
	},
	[PROVIDER_CUSTOM] = {
		.name = "custom",
		.hosts = no_hosts,
		.system_file = PLAN_PROMPT,
	},
};

const struct provider_info *provider_get(enum provider p)
{
	return &providers[p];
}

const struct provider_env provider_oauth_env[] = {
	{ PROVIDER_OAUTH_VARIABLE, "placeholder-the-egress-proxy-adds-the-credential" },
	{ "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1" },
	{ "DISABLE_ERROR_REPORTING", "1" },
	{ "DISABLE_TELEMETRY", "1" },
	{ NULL, NULL },
};
