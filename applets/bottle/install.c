/*
 * bottle install: this program and a symlink for each applet, in a directory.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "applet.h"
#include "base/limits.h"
#include "base/mem.h"
#include "bottle/show.h"
#include "sys/fd.h"

static int link_applet(const char *dir, const char *name, struct err *err)
{
	auto_free char *path = path_join(dir, name);
	struct stat st;

	/* A file that somebody put there is not ours to replace. */
	if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
		return err_set(err, E_EXISTS, "%s is there and no symlink", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return file_err(err, path);
	return symlink("bottle", path) < 0 ? file_err(err, path) : 0;
}

static int run(const struct opts_result *in, struct err *err)
{
	const char *dir = in->operands[0];
	auto_free char *path = path_join(dir, applets[0].name);
	auto_buf program = BUF_INIT(PROGRAM_MAX);

	if (file_read("/proc/self/exe", &program, err) < 0 || dir_make(dir, 0755, err) < 0 ||
	    file_write_atomic(path, buf_str(&program), 0755, err) < 0)
		return -1;
	for (const struct command_entry *e = applets + 1; e->name; e++)
		if (link_applet(dir, e->name, err) < 0)
			return -1;
	show_line(true, "%s and its applets installed", path);
	return 0;
}

const struct command command_bottle_install = {
	.spec = { .usage = "DIR",
		  .about = "Install this program and its applets into a directory.",
		  .operands_min = 1,
		  .operands_max = 1,
		  .example = "sudo bottle install /usr/local/bin" },
	.run = run,
};
