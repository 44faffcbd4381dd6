#include "manifest/extends.h"

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/bottle_read.h"

/* --- folding ----------------------------------------------------------------------------------- */

/* Moves a string if `from` has one. */
static void fold_str(char **into, char **from)
{
	if (!*from)
		return;
	free(*into);
	*into = steal(from);
}

/* Appends those not yet there. */
static void fold_strs(struct str_list *into, const struct str_list *from)
{
	for (size_t i = 0; i < from->n; i++)
		if (!strs_has(into, from->v[i]))
			strs_add(into, from->v[i]);
}

/* The strings themselves move: places point into them. */
static void fold_files(struct str_list *into, struct str_list *from)
{
	for (size_t i = 0; i < from->n; i++)
		strs_take(into, from->v[i]);
	from->n = 0;
}

static void fold_agent(struct bottle_agent *into, struct bottle_agent *from)
{
	if (from->has_provider) {
		into->provider = from->provider;
		into->has_provider = true;
	}
	/* one choice of two spellings: a child's image replaces a parent's dockerfile */
	if (from->image || from->dockerfile) {
		free(into->image);
		free(into->dockerfile);
		into->image = steal(&from->image);
		into->dockerfile = steal(&from->dockerfile);
	}
	fold_str(&into->rootfs, &from->rootfs);
	fold_str(&into->user, &from->user);
	fold_str(&into->workdir, &from->workdir);
	if (from->command.n > 0) {
		strs_free(&into->command);
		into->command = from->command;
		from->command = (struct str_list){ NULL, 0 };
	}
}

/*
 * The place in `list` (n elements, room for one more is made) where `item` goes: over the one that
 * is the same, which is given back first, else at the end.
 */
#define FOLD_SLOT(list, item, same, fini)                                                   \
	({                                                                                  \
		size_t at_ = 0;                                                             \
		while (at_ < (list)->n && !same(&(list)->v[at_], item))                     \
			at_++;                                                              \
		if (at_ < (list)->n)                                                        \
			fini(&(list)->v[at_]);                                              \
		else                                                                        \
			(list)->v = mem_resize((list)->v, ++(list)->n, sizeof(*(list)->v)); \
		&(list)->v[at_];                                                            \
	})

static bool env_same(const struct bottle_env *a, const struct bottle_env *b)
{
	return str_eqz(str_of(a->name), b->name);
}

static void env_fini(struct bottle_env *e)
{
	free(e->name);
	free(e->value);
}

static bool git_same(const struct bottle_git *a, const struct bottle_git *b)
{
	return str_ieqz(str_of(a->name), b->name);
}

static bool dlp_same(const struct dlp_allow *a, const struct dlp_allow *b)
{
	return str_eqz(str_of(a->host), b->host) && str_eqz(str_of(a->rule), b->rule);
}

static void dlp_fini(struct dlp_allow *d)
{
	free(d->host);
	free(d->rule);
}

static void fold_egress(struct bottle_egress *into, struct bottle_egress *from)
{
	fold_strs(&into->allowlist, &from->allowlist);
	if (from->has_dlp_action) {
		into->dlp_action = from->dlp_action;
		into->has_dlp_action = true;
	}
	for (size_t i = 0; i < from->dlp_allow.n; i++)
		*FOLD_SLOT(&into->dlp_allow, &from->dlp_allow.v[i], dlp_same, dlp_fini) =
			from->dlp_allow.v[i];
	from->dlp_allow.n = 0;
	fold_str(&into->upstream_proxy, &from->upstream_proxy);
	fold_strs(&into->upstream_ca, &from->upstream_ca);
	fold_strs(&into->resolve, &from->resolve);
	fold_strs(&into->allow_private, &from->allow_private);
}

void extends_fold(struct bottle *into, struct bottle *from)
{
	fold_files(&into->files, &from->files);
	fold_agent(&into->agent, &from->agent);
	for (size_t i = 0; i < from->env.n; i++)
		*FOLD_SLOT(&into->env, &from->env.v[i], env_same, env_fini) = from->env.v[i];
	from->env.n = 0;
	for (size_t i = 0; i < from->git.n; i++)
		*FOLD_SLOT(&into->git, &from->git.v[i], git_same, git_fini) = from->git.v[i];
	from->git.n = 0;
	fold_str(&into->git_user.name, &from->git_user.name);
	fold_str(&into->git_user.email, &from->git_user.email);
	fold_egress(&into->egress, &from->egress);
	if (from->has_repository_agents) {
		into->repository_agents = from->repository_agents;
		into->has_repository_agents = true;
	}
	for (size_t i = 0; i < from->routes.n; i++)
		*FOLD_SLOT(&into->routes, &from->routes.v[i], bottle_route_same,
			   bottle_route_fini) = from->routes.v[i];
	from->routes.n = 0;
	if (from->has_supervise) {
		into->supervise = from->supervise;
		into->has_supervise = true;
	}
}

/* --- checks of the whole ----------------------------------------------------------------------- */

static int error_at(const struct where *at, struct err *err, const char *text)
{
	return err_set(err, E_BAD, "%s:%d:%d: %s", at->file, at->line, at->col, text);
}

static int check_routes(const struct bottle *b, struct err *err)
{
	const struct bottle_route *oauth = NULL;

	for (size_t i = 0; i < b->routes.n; i++) {
		const struct bottle_route *r = &b->routes.v[i];
		const char *mount = r->rule.mount;
		auto_free char *text = NULL;

		if (r->claude_code_oauth && oauth) {
			text = mem_printf("role claude_code_oauth is already on '%s' (%s:%d); one "
					  "route at most",
					  oauth->rule.host, oauth->at.file, oauth->at.line);
			return error_at(&r->at, err, text);
		}
		if (r->claude_code_oauth)
			oauth = r;
		for (size_t j = 0; mount && j < i; j++) {
			const struct bottle_route *o = &b->routes.v[j];

			if (!o->rule.mount || !str_eqz(str_of(mount), o->rule.mount))
				continue;
			text = mem_printf("mount '%s' is already that of '%s' (%s:%d)", mount,
					  o->rule.host, o->at.file, o->at.line);
			return error_at(&r->at, err, text);
		}
	}
	return 0;
}

/* All entries share the gate's one hosts file. */
static int check_extra_host(const struct bottle *b, size_t entry, const struct extra_host *h,
			    struct err *err)
{
	for (size_t i = 0; i < entry; i++)
		for (size_t j = 0; j < b->git.v[i].extra_hosts.n; j++) {
			const struct extra_host *o = &b->git.v[i].extra_hosts.v[j];

			if (!str_eqz(str_of(o->name), h->name) || str_eqz(str_of(o->ip), h->ip))
				continue;
			return err_set(err, E_BAD,
				       "%s:%d:%d: ExtraHosts: '%s' is %s in git entry "
				       "'%s' and %s in '%s' (%s:%d)",
				       h->at.file, h->at.line, h->at.col, h->name, h->ip,
				       b->git.v[entry].name, o->ip, b->git.v[i].name, o->at.file,
				       o->at.line);
		}
	return 0;
}

int extends_check(const struct bottle *b, struct err *err)
{
	for (size_t i = 0; i < b->git.n; i++)
		for (size_t j = 0; j < b->git.v[i].extra_hosts.n; j++)
			if (check_extra_host(b, i, &b->git.v[i].extra_hosts.v[j], err) < 0)
				return -1;
	return check_routes(b, err);
}

/* --- parents ----------------------------------------------------------------------------------- */

struct resolver {
	const struct home *home;
	struct notes *notes;
	const char
		*chain[MANIFEST_EXTENDS_DEPTH + 1]; /* from the bottle asked for down to this one */
	size_t depth;
	size_t loaded;
};

static int cycle_error(const struct resolver *r, size_t from, const struct where *asked,
		       const char *name, struct err *err)
{
	auto_buf text = BUF_INIT(ERR_TEXT_MAX);

	for (size_t i = from; i < r->depth; i++)
		if (buf_addf(&text, NULL, "%s -> ", r->chain[i]) < 0)
			break;
	return err_set(err, E_BAD, "%s:%d:%d: extends goes in a circle: %s%s", asked->file,
		       asked->line, asked->col, buf_z(&text), name);
}

/* `asked` is the place that names it; without a file for the bottle that was asked for itself. */
static int fold_chain(struct resolver *r, const char *name, const struct where *asked,
		      struct bottle *into, struct err *err)
{
	auto_bottle struct bottle *b = NULL;

	for (size_t i = 0; i < r->depth; i++)
		if (str_eqz(str_of(name), r->chain[i]))
			return cycle_error(r, i, asked, name, err);
	if (r->depth > MANIFEST_EXTENDS_DEPTH)
		return err_set(err, E_LIMIT, "%s:%d:%d: extends goes more than %d levels deep",
			       asked->file, asked->line, asked->col, MANIFEST_EXTENDS_DEPTH);
	if (r->loaded++ >= MANIFEST_EXTENDS_MAX)
		return err_set(err, E_LIMIT, "%s:%d:%d: extends brings in more than %d bottles",
			       asked->file, asked->line, asked->col, MANIFEST_EXTENDS_MAX);
	b = bottle_load(r->home, name, r->notes, err);
	if (!b && asked->file && err && err->code == E_NOTFOUND)
		return err_wrap(err, "%s:%d:%d: extends", asked->file, asked->line, asked->col);
	if (!b)
		return -1;
	r->chain[r->depth++] = name;
	for (size_t i = 0; i < b->extends.n; i++)
		if (fold_chain(r, b->extends.v[i], &b->extends_at, into, err) < 0)
			return -1;
	r->depth--;
	extends_fold(into, b);
	if (r->depth == 0) {
		into->extends = b->extends;
		b->extends = (struct str_list){ NULL, 0 };
		into->extends_at = b->extends_at;
	}
	return 0;
}

struct bottle *extends_resolve(const struct home *h, const char *name, struct notes *notes,
			       struct err *err)
{
	auto_bottle struct bottle *whole = mem_new(struct bottle);
	struct resolver r = { .home = h, .notes = notes };
	const struct where nowhere = { .file = NULL };

	whole->name = mem_strdup(name);
	if (fold_chain(&r, name, &nowhere, whole, err) < 0 || extends_check(whole, err) < 0)
		return NULL;
	return steal(&whole);
}
