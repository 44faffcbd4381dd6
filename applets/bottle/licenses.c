/*
 * bottle licenses: a static binary carries the notices of what it links.
 */
#include "applet.h"
#include "base/embed.h"

static int run(const struct opts_result *in, struct err *err)
{
	static const struct str prefix = { "licenses/", sizeof("licenses/") - 1 };
	size_t n;
	const struct embed_file *f = embed_all(&n);

	(void)in;
	for (size_t i = 0; i < n; i++) {
		struct str path = str_of(f[i].path);
		auto_buf head = BUF_INIT(256);

		if (!str_starts(path, prefix))
			continue;
		path = str_from(path, prefix.n);
		if (buf_addf(&head, err, "==== %.*s ====\n\n", STR_ARG(path)) < 0 ||
		    applet_print(buf_str(&head), err) < 0 ||
		    applet_print(str_mem(f[i].data, f[i].size), err) < 0 ||
		    applet_print(STR("\n"), err) < 0)
			return -1;
	}
	return 0;
}

const struct command command_bottle_licenses = {
	.spec = {
		.about = "Show the licences of bottle and of the libraries inside.",
		.example = "bottle licenses | less",
	},
	.run = run,
};
