#include "backend/worktree.h"

#include "backend/backend.h"
#include "backend/gitconfig.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

/* Is the last directory of `path` ("…/NAME/FILE") called so? */
static bool in_dir(struct str path, struct str name)
{
	ssize_t from = -1;

	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '/')
			from = (ssize_t)i;
	path = str_sub(path, 0, from < 0 ? 0 : (size_t)from);
	return str_ends(path, name) && (path.n == name.n || path.p[path.n - name.n - 1] == '/');
}

static bool has_component(struct str path, struct str name)
{
	struct str part;

	while (str_split(&path, '/', &part))
		if (str_eq(part, name))
			return true;
	return false;
}

/*
 * .git/config, and config and config.worktree of the modules and worktrees below .git. A bare
 * repository within the tree is not one that git finds by itself: safe.bareRepository is the
 * agent's to mind.
 */
static bool is_git_config(struct str path)
{
	if (!has_component(path, STR(".git")))
		return false;
	return str_ends(path, STR("/config")) || str_ends(path, STR("/config.worktree"));
}

static enum tar_verdict filter_tree(void *arg, struct str path, int fd, struct buf *content,
				    struct err *err)
{
	auto_buf text = BUF_INIT_SECRET(GITCONFIG_MAX);

	(void)arg;
	/* Hooks of .git and of its modules; refs or objects of that name are deeper. */
	if (fd < 0)
		return has_component(path, STR(".git")) && str_ends(path, STR("/hooks")) &&
				       (in_dir(path, STR(".git")) ||
					has_component(path, STR("modules")))
			       ? TAR_SKIP
			       : TAR_KEEP;
	if (!is_git_config(path))
		return TAR_KEEP;
	if (fd_read_all(fd, &text, "git config", err) < 0 ||
	    gitconfig_scrub(buf_str(&text), content, err) < 0) {
		(void)err_wrap(err, "%.*s", STR_ARG(path));
		return TAR_FAIL;
	}
	return TAR_REPLACE;
}

static enum tar_verdict keep_all(void *arg, struct str path, int fd, struct buf *content,
				 struct err *err)
{
	(void)arg;
	(void)path;
	(void)fd;
	(void)content;
	(void)err;
	return TAR_KEEP;
}

static int add(struct worktree *w, const char *from, const char *to, tar_filter_fn *filter,
	       struct err *err)
{
	const struct tar_owner root = { 0, 0 };

	if (w->n == WORKTREES_MAX)
		return err_set(err, E_LIMIT, "more than %d skills", WORKTREES_MAX - 1);
	w->v[w->n] = tar_tree_open(from, to[0] == '/' ? to + 1 : to, root, filter, NULL, err);
	if (!w->v[w->n])
		return -1;
	w->n++;
	return 0;
}

int worktree_open(const struct plan *p, struct worktree *ret, struct err *err)
{
	if (p->cwd_mode == PLAN_CWD_COPY && add(ret, p->cwd, p->workdir, filter_tree, err) < 0)
		return -1;
	for (size_t i = 0; i < p->agent->skills.n; i++) {
		auto_free char *from = path_join(p->skills_dir, p->agent->skills.v[i]);
		auto_free char *to = path_join(BACKEND_AGENT_SKILLS, p->agent->skills.v[i]);

		if (add(ret, from, to, keep_all, err) < 0)
			return -1;
	}
	return 0;
}

void worktree_fini(struct worktree *w)
{
	while (w->n > 0)
		tar_tree_free(w->v[--w->n]);
}
