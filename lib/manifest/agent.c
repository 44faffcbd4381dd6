#include "manifest/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "manifest/frontmatter.h"
#include "sys/fd.h"

/* --- frontmatter ------------------------------------------------------------------------------- */

static int check_bottle(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			struct err *err)
{
	struct agent *a = out;

	/* A name, never a path: what a repository's agent names here opens a file at home. */
	if (!manifest_name_ok(node->text))
		return schema_error(ctx, node, err, "bottle: '%.*s' is not the name of a bottle",
				    STR_ARG(node->text));
	a->bottle_line = node->line;
	a->bottle_col = node->col;
	return 0;
}

/* A name, never a path: it becomes a directory under ~/.claude/skills. */
static bool skill_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 'a' || s.p[i] > 'z') && !ascii_digit(s.p[i]) &&
		    !memchr("_-", s.p[i], 2))
			return false;
	return s.n > 0 && s.n <= 255;
}

static int check_skills(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			struct err *err)
{
	const struct agent *a = out;
	const struct yaml *item = node->child;

	for (size_t i = 0; i < a->skills.n; i++, item = item->next) {
		if (!skill_ok(item->text))
			return schema_error(ctx, item, err,
					    "skills: '%.*s' is not a name of a-z, "
					    "0-9, '_' and '-'",
					    STR_ARG(item->text));
		for (size_t j = 0; j < i; j++)
			if (str_eqz(item->text, a->skills.v[j]))
				return schema_error(ctx, item, err, "skills: '%.*s' is there twice",
						    STR_ARG(item->text));
	}
	return 0;
}

static int read_description(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			    struct err *err)
{
	struct agent *a = out;

	(void)ctx;
	(void)err;
	if (node->kind == YAML_SCALAR && !yaml_is_null(node) && !str_has_ctl(node->text))
		a->description = str_dupz(node->text);
	return 0;
}

// clang-format off
static const struct schema_key agent_keys[] = {
	{ .name = "bottle", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct agent, bottle), .min = 1, .max = MANIFEST_TEXT_MAX,
	  .check = check_bottle, .doc = "bottle it runs in" },
	{ .name = "skills", .type = SCHEMA_STR_LIST, .offset = offsetof(struct agent, skills),
	  .max = MANIFEST_LIST_MAX, .check = check_skills,
	  .doc = "directories under ~/.claude/skills that are copied in" },
	{ .name = "name", .type = SCHEMA_IGNORED, .doc = "Claude Code's" },
	{ .name = "description", .type = SCHEMA_CUSTOM, .check = read_description,
	  .doc = "Claude Code's; shown in lists" },
	{ .name = "model", .type = SCHEMA_IGNORED, .doc = "Claude Code's" },
	{ .name = "color", .type = SCHEMA_IGNORED, .doc = "Claude Code's" },
	{ .name = "memory", .type = SCHEMA_IGNORED, .doc = "Claude Code's" },
	{ .name = "tools", .type = SCHEMA_IGNORED, .doc = "Claude Code's" },
	{ .name = NULL },
};
// clang-format on
const struct schema agent_schema = { .what = "agent",
				     .size = sizeof(struct agent),
				     .keys = agent_keys };

void agent_free(struct agent *a)
{
	if (!a)
		return;
	free(a->name);
	free(a->file);
	free(a->description);
	free(a->prompt);
	schema_free(&agent_schema, a);
	free(a);
}

struct agent *agent_parse(const char *name, struct str text, const char *file, bool repository,
			  struct err *err)
{
	auto_agent struct agent *a = mem_new(struct agent);
	auto_yaml struct yaml *root = NULL;
	struct schema_ctx ctx = { .source = file };
	struct frontmatter fm;

	a->name = mem_strdup(name);
	a->file = mem_strdup(file);
	a->repository = repository;
	if (frontmatter_split(text, file, &fm, err) < 0)
		return NULL;
	root = yaml_parse(fm.head, file, FRONTMATTER_LINE0, err);
	if (!root || schema_read(&agent_schema, &ctx, root, a, err) < 0)
		return NULL;
	a->prompt = str_dupz(fm.body);
	return steal(&a);
}

/* --- lookup ------------------------------------------------------------------------------------ */

/* "/cwd/.bottle/agents", for messages; opened step by step below */
static char *repository_dir(const char *cwd)
{
	return mem_printf("%s/.bottle/agents", str_eqz(str_of(cwd), "/") ? "" : cwd);
}

/*
 * Text of .bottle/agents/FILE under cwd. A repository must not make the launcher read, and hand to
 * the agent, a file elsewhere on the host: no symlink on the way.
 */
static int read_repository(const char *cwd, const char *file, struct buf *out, struct err *err)
{
	static const char *const steps[] = { ".bottle", "agents" };
	auto_close int dir = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(err, "%s", cwd);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int next = openat(dir, steps[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0 && errno == ENOENT)
			return err_set(err, E_NOTFOUND, "no directory %s/.bottle/agents", cwd);
		if (next < 0)
			return err_sys(err,
				       "%s/.bottle/agents: '%s' must be a directory, not a "
				       "symlink",
				       cwd, steps[i]);
		(void)close(dir);
		dir = next;
	}
	if (faccessat(dir, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, E_NOTFOUND, "no file %s/.bottle/agents/%s", cwd, file);
	if (file_read_at(dir, file, out, err) < 0)
		return err_wrap(err, "%s/.bottle/agents", cwd);
	return 0;
}

static void not_found(const char *spec, const char *dir, const char *name, const char *hint,
		      struct err *err)
{
	struct str_list names = { NULL, 0 };
	const char *near = NULL;

	if (home_list(dir, &names, NULL, NULL) == 0)
		near = glob_nearest(str_of(name), (const char *const *)names.v, names.n);
	(void)err_set(err, E_NOTFOUND, "no agent '%s' in %s%s%s%s%s", spec, dir,
		      near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", hint);
	strs_free(&names);
}

static struct agent *load_repository(const char *spec, const char *name, const char *cwd,
				     struct err *err)
{
	auto_buf text = BUF_INIT(MANIFEST_FILE_MAX);
	auto_free char *dir = repository_dir(cwd);
	auto_free char *base = mem_printf("%s.md", name);
	auto_free char *file = path_join(dir, base);
	struct err why = ERR_INIT;

	if (read_repository(cwd, base, &text, &why) == 0)
		return agent_parse(name, buf_str(&text), file, true, err);
	if (why.code == E_NOTFOUND)
		not_found(spec, dir, name, "", err);
	else if (err)
		*err = why;
	return NULL;
}

static struct agent *load_own(const struct home *h, const char *name, const char *cwd,
			      struct err *err)
{
	auto_buf text = BUF_INIT(MANIFEST_FILE_MAX);
	auto_free char *dir = path_join(h->dir, "agents");
	auto_free char *base = mem_printf("%s.md", name);
	auto_free char *file = path_join(dir, base);
	auto_free char *theirs_dir = repository_dir(cwd);
	auto_free char *theirs = path_join(theirs_dir, base);
	auto_free char *hint = mem_strdup("");

	if (access(file, F_OK) == 0) {
		if (file_read(file, &text, err) < 0)
			return NULL;
		return agent_parse(name, buf_str(&text), file, false, err);
	}
	if (access(theirs, F_OK) == 0) {
		free(hint);
		hint = mem_printf("; this repository ships one: './%s'", name);
	}
	not_found(name, dir, name, hint, err);
	return NULL;
}

struct agent *agent_load(const struct home *h, const char *spec, const char *cwd, struct err *err)
{
	bool repository = str_starts(str_of(spec), STR("./"));
	const char *name = repository ? spec + 2 : spec;

	if (!manifest_name_ok(str_of(name))) {
		(void)err_set(err, E_USAGE,
			      "'%s' is not the name of an agent: a-z, 0-9 and '-', "
			      "starting with a letter, or ./NAME for this repository's",
			      spec);
		return NULL;
	}
	return repository ? load_repository(spec, name, cwd, err) : load_own(h, name, cwd, err);
}
