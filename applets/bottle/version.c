/*
 * bottle version: the release, the commit, and what is linked in.
 */
#include "applet.h"
#include "base/limits.h"
#include "base/version.h"

static int run(const struct opts_result *in, struct err *err)
{
	auto_buf out = BUF_INIT(HELP_TEXT_MAX);
	size_t n;
	const struct version_dependency *d = bottle_dependencies(&n);

	(void)in;
	if (buf_addf(&out, err, "bottle %s (%s)\n", bottle_version(), bottle_revision()) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (buf_addf(&out, err, "%s %s\n", d[i].name, d[i].version) < 0)
			return -1;
	return applet_print(buf_str(&out), err);
}

const struct command command_bottle_version = {
	.spec = {
		.about = "Show the version, the commit, and the libraries inside.",
		.example = "bottle version",
	},
	.run = run,
};
