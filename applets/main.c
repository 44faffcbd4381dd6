/*
 * One binary, many names: the applet is chosen by the name the program was called by (a symlink).
 * Called `bottle`, or anything unknown such as bottle.debug, the first argument names an applet or
 * a command of the launcher.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applet.h"
#include "base/mem.h"

#define APPLET(name, symbol) extern const struct command symbol;
#include "list.h"
#undef APPLET

const struct command_entry applets[] = {
#define APPLET(name, symbol) { #name, &symbol },
#include "list.h"
#undef APPLET
	{ NULL, NULL },
};

/* A file opened later must not become descriptor 0-2: messages would be written into it. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		abort();
	(void)close(fd);
}

static const struct command_entry *find_applet(const char *name)
{
	const struct command_entry *e = applets;

	while (e->name && strcmp(e->name, name) != 0)
		e++;
	return e->name ? e : NULL;
}

int main(int argc, char **argv)
{
	const struct command_entry *applet;
	const char *slash;

	open_standard_descriptors();
	if (argc < 1)
		return EXIT_USAGE;
	slash = strrchr(argv[0], '/');
	applet = find_applet(slash ? slash + 1 : argv[0]);
	if (applet && applet->command != &applet_bottle)
		return command_run(applet->command, applet->name, argc, argv);
	applet = argc > 1 ? find_applet(argv[1]) : NULL;
	if (applet && applet->command != &applet_bottle)
		return command_run(applet->command, applet->name, argc - 1, argv + 1);
	return command_run(&applet_bottle, "bottle", argc, argv);
}
