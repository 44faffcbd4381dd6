/*
 * bottle init: a first bottle and a first agent, with comments.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "applet.h"
#include "base/embed.h"
#include "base/mem.h"
#include "bottle/show.h"
#include "manifest/home.h"
#include "sys/fd.h"

/* Never overwrites: what is there may be all that somebody has. */
static int write_new(const char *home, const char *folder, const char *embedded, bool *ret_written,
		     struct err *err)
{
	auto_free char *dir = path_join(home, folder);
	auto_free char *path = path_join(dir, "dev.md");
	const struct embed_file *f = embed_find(embedded);

	*ret_written = false;
	if (!f)
		return err_set(err, E_NOTFOUND, "%s is not part of this build", embedded);
	if (dir_make(dir, 0700, err) < 0)
		return -1;
	if (access(path, F_OK) == 0) {
		show_line(true, "%s is there and stays as it is", path);
		return 0;
	}
	if (file_write_atomic(path, str_mem(f->data, f->size), 0600, err) < 0)
		return -1;
	show_line(true, "%s written", path);
	*ret_written = true;
	return 0;
}

static int run(const struct opts_result *in, struct err *err)
{
	auto_home home = { NULL, NULL };
	auto_notes notes = NOTES_INIT;
	bool bottle, agent;
	int rc = home_find(&host_env_process, &home, &notes, err);

	(void)in;
	show_notes(&notes);
	if (rc < 0 || write_new(home.dir, "bottles", "docker/init/bottle.md", &bottle, err) < 0 ||
	    write_new(home.dir, "agents", "docker/init/agent.md", &agent, err) < 0)
		return -1;
	show_hint("edit the bottle, see the plan with 'bottle start dev --dry-run', then 'bottle "
		  "start dev'");
	return 0;
}

const struct command command_bottle_init = {
	.spec = { .about = "Write a first bottle and agent, with comments. Nothing is overwritten.",
		  .example = "bottle init" },
	.run = run,
};
