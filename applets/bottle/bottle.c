/*
 * bottle: the launcher; its commands are listed in commands.h.
 */
#include "applet.h"
#include "base/limits.h"

#define COMMAND(name, symbol) extern const struct command symbol;
#include "bottle/commands.h"
#undef COMMAND

static const struct command_entry commands[] = {
#define COMMAND(name, symbol) { #name, &symbol },
#include "bottle/commands.h"
#undef COMMAND
	{ NULL, NULL },
};

static bool want_version;

static const struct opt options[] = {
	{ .name = "version",
	  .type = OPT_FLAG,
	  .out = &want_version,
	  .help = "as the command version" },
	{ .name = NULL },
};

static int run(const struct opts_result *in, struct err *err);

const struct command applet_bottle = {
	.spec = {
		.about = "Run coding agents in a box whose only way out is a chain of proxies. They allow "
			 "declared hosts and paths, add credentials that the agent never sees, and scan what "
			 "leaves for secrets.",
		.opts = options,
	},
	.run = run,
	.subs = commands,
};

/* `bottle` alone lists the commands. */
static int run(const struct opts_result *in, struct err *err)
{
	auto_buf out = BUF_INIT(HELP_TEXT_MAX);

	if (want_version)
		return command_bottle_version.run(in, err);
	if (command_help(&applet_bottle, "bottle", &out, err) < 0)
		return -1;
	return applet_print(buf_str(&out), err);
}
