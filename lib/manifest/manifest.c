#include "manifest/manifest.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "manifest/extends.h"
#include "sys/fd.h"

/* The same directory, by whatever path. */
static bool same_dir(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Bottles are the operator's: one that lies in a work tree was written by somebody else. */
static void warn_of_bottles(const struct home *h, const char *cwd, struct notes *notes)
{
	auto_free char *dot = path_join(cwd, ".bottle");
	auto_free char *bottles = path_join(dot, "bottles");
	struct stat st;

	if (lstat(bottles, &st) == 0 && !same_dir(dot, h->dir))
		notes_warn(notes, "%s is ignored: bottles come from %s/bottles only", bottles,
			   h->dir);
}

int manifest_load(const struct home *h, const char *spec, const char *cwd, struct manifest *ret,
		  struct notes *notes, struct err *err)
{
	auto_agent struct agent *agent = NULL;
	auto_bottle struct bottle *bottle = NULL;
	struct err why = ERR_INIT;

	warn_of_bottles(h, cwd, notes);
	agent = agent_load(h, spec, cwd, err);
	if (!agent)
		return -1;
	bottle = extends_resolve(h, agent->bottle, notes, &why);
	if (!bottle) {
		if (err)
			*err = why;
		if (why.code == E_NOTFOUND)
			return err_wrap(err, "%s:%d:%d", agent->file, agent->bottle_line,
					agent->bottle_col);
		return -1;
	}
	if (agent->repository && !bottle->repository_agents)
		return err_set(err, E_DENIED,
			       "%s:%d:%d: bottle '%s' is not open to a repository's "
			       "agents; it says so with repository_agents: true",
			       agent->file, agent->bottle_line, agent->bottle_col, bottle->name);
	ret->agent = steal(&agent);
	ret->bottle = steal(&bottle);
	return 0;
}

void manifest_fini(struct manifest *m)
{
	agent_free(m->agent);
	bottle_free(m->bottle);
	*m = (struct manifest){ NULL, NULL };
}
