#include "manifest/bottle.h"

#include <stddef.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/bottle_read.h"
#include "manifest/frontmatter.h"
#include "sys/fd.h"

static const char *const provider_names[] = { "claude", "codex", "custom", NULL };

const char *provider_name(enum provider p)
{
	return provider_names[p];
}

/* --- extends ----------------------------------------------------------------------------------- */

static int check_extends(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			 struct err *err)
{
	struct bottle *b = out;
	const struct yaml *item = node->kind == YAML_LIST ? node->child : node;

	b->extends_at = where_of(ctx, node);
	for (size_t i = 0; i < b->extends.n; i++, item = item->next) {
		if (!manifest_name_ok(item->text))
			return schema_error(ctx, item, err,
					    "extends: '%.*s' is not the name of a "
					    "bottle",
					    STR_ARG(item->text));
		for (size_t j = 0; j < i; j++)
			if (str_eqz(item->text, b->extends.v[j]))
				return schema_error(ctx, item, err,
						    "extends: '%.*s' is there "
						    "twice",
						    STR_ARG(item->text));
	}
	return 0;
}

/* --- agent ------------------------------------------------------------------------------------- */

/* It goes into the engine's argument vector: never an option, never a path. */
static int check_image(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	struct str s = node->text;
	bool ok = ascii_alpha(s.p[0]) || ascii_digit(s.p[0]);

	(void)out;
	for (size_t i = 0; i < s.n; i++)
		ok = ok &&
		     (ascii_alpha(s.p[i]) || ascii_digit(s.p[i]) || memchr("._/:@-", s.p[i], 6));
	if (!ok)
		return schema_error(ctx, node, err, "image '%.*s': not an image reference",
				    STR_ARG(s));
	return 0;
}

static int check_dockerfile(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			    struct err *err)
{
	struct bottle_agent *a = out;

	return resolve_file(ctx, node, &a->dockerfile, "dockerfile", err);
}

static int check_rootfs(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			struct err *err)
{
	struct bottle_agent *a = out;

	return resolve_dir(ctx, node, &a->rootfs, "rootfs", err);
}

static int check_command(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			 struct err *err)
{
	const struct bottle_agent *a = out;

	if (a->command.n == 0 || a->command.v[0][0] == '\0')
		return schema_error(ctx, node, err, "command: empty");
	if (node->kind == YAML_SCALAR &&
	    (str_chr(node->text, ' ', 0) >= 0 || str_chr(node->text, '\t', 0) >= 0))
		return schema_error(ctx, node, err,
				    "command: no shell splits it; write a list of "
				    "arguments");
	for (const struct yaml *n = node->child; n; n = n->next)
		if (n->text.n > MANIFEST_TEXT_MAX)
			return schema_error(ctx, n, err,
					    "command: an argument of more than %zu "
					    "bytes",
					    MANIFEST_TEXT_MAX);
	return 0;
}

static bool is_number(struct str s)
{
	uint64_t n;

	return str_to_u64(s, INT32_MAX, &n) == 0;
}

static bool user_part_ok(struct str s)
{
	bool ok = s.n > 0 && s.n <= 32 && (ascii_alpha(s.p[0]) || s.p[0] == '_');

	if (is_number(s))
		return true;
	for (size_t i = 0; i < s.n; i++)
		ok = ok && (ascii_alpha(s.p[i]) || ascii_digit(s.p[i]) || memchr("_-", s.p[i], 2));
	return ok;
}

static int check_user(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	ssize_t colon = str_chr(node->text, ':', 0);
	struct str user = str_sub(node->text, 0, colon < 0 ? node->text.n : (size_t)colon);
	uint64_t id;

	(void)out;
	if (!user_part_ok(user) ||
	    (colon >= 0 && !user_part_ok(str_from(node->text, (size_t)colon + 1))))
		return schema_error(ctx, node, err, "user '%.*s': expected a name or UID[:GID]",
				    STR_ARG(node->text));
	if (str_eqz(user, "root") || (str_to_u64(user, INT32_MAX, &id) == 0 && id == 0))
		return schema_error(ctx, node, err, "user '%.*s': an agent never runs as root",
				    STR_ARG(node->text));
	return 0;
}

static int check_workdir(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			 struct err *err)
{
	struct str rest = node->text, segment;
	bool ok = str_starts(node->text, STR("/")) && node->text.n > 1 && !str_has_ctl(node->text);

	(void)out;
	while (str_split(&rest, '/', &segment))
		ok = ok && !str_eqz(segment, "..") && !str_eqz(segment, ".");
	/* ',' and ':' separate fields in the engine's mount options */
	if (!ok || str_chr(node->text, ',', 0) >= 0 || str_chr(node->text, ':', 0) >= 0)
		return schema_error(ctx, node, err,
				    "workdir '%.*s': expected an absolute path "
				    "below /",
				    STR_ARG(node->text));
	return 0;
}

static int check_agent(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		       struct err *err)
{
	const struct bottle_agent *a = out;

	if (a->image && a->dockerfile)
		return schema_error(ctx, yaml_get(node, "dockerfile"), err,
				    "image and dockerfile: "
				    "only one of them");
	return 0;
}

// clang-format off
static const struct schema_key agent_keys[] = {
	{ .name = "provider", .type = SCHEMA_ENUM, .names = provider_names,
	  .offset = offsetof(struct bottle_agent, provider),
	  .set_offset = offsetof(struct bottle_agent, has_provider),
	  .doc = "`claude` (default), `codex` or `custom`" },
	{ .name = "image", .type = SCHEMA_STR, .offset = offsetof(struct bottle_agent, image),
	  .min = 1, .max = 255, .check = check_image, .doc = "image to run in" },
	{ .name = "dockerfile", .type = SCHEMA_STR,
	  .offset = offsetof(struct bottle_agent, dockerfile), .min = 1, .max = MANIFEST_TEXT_MAX,
	  .check = check_dockerfile, .doc = "or the Dockerfile to build it from" },
	{ .name = "rootfs", .type = SCHEMA_STR, .offset = offsetof(struct bottle_agent, rootfs),
	  .min = 1, .max = MANIFEST_TEXT_MAX, .check = check_rootfs,
	  .doc = "native backend: directory that is the root" },
	{ .name = "command", .type = SCHEMA_STR_LIST, .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct bottle_agent, command), .max = MANIFEST_LIST_MAX,
	  .check = check_command, .doc = "argument vector in place of the provider's own" },
	{ .name = "user", .type = SCHEMA_STR, .offset = offsetof(struct bottle_agent, user),
	  .min = 1, .max = 65, .check = check_user, .doc = "name or UID[:GID], never root" },
	{ .name = "workdir", .type = SCHEMA_STR, .offset = offsetof(struct bottle_agent, workdir),
	  .min = 1, .max = 1024, .check = check_workdir, .doc = "where the session starts" },
	{ .name = NULL },
};
// clang-format on
static const struct schema bottle_agent_schema = { .what = "agent",
						   .size = sizeof(struct bottle_agent),
						   .keys = agent_keys,
						   .check = check_agent };

/* --- env --------------------------------------------------------------------------------------- */

/* The name inside exactly `${NAME}`, or STR_NONE. */
static struct str host_variable(struct str s)
{
	struct str name = str_sub(s, 2, s.n > 3 ? s.n - 3 : 0);

	if (str_starts(s, STR("${")) && str_ends(s, STR("}")) && env_name_ok(name))
		return name;
	return STR_NONE;
}

static int read_env_value(const struct schema_ctx *ctx, const struct yaml *node,
			  struct bottle_env *e, struct err *err)
{
	struct str s = node->text, variable = host_variable(s);

	if (node->kind != YAML_SCALAR || yaml_is_null(node))
		return schema_error(ctx, node, err, "env: '%s' must be a string, not %s", e->name,
				    yaml_kind_name(node));
	if (s.n > MANIFEST_ENV_VALUE_MAX)
		return schema_error(ctx, node, err, "env: '%s': longer than %zu bytes", e->name,
				    MANIFEST_ENV_VALUE_MAX);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\r')
			return schema_error(ctx, node, err,
					    "env: '%s' holds a line break; pass it "
					    "as ${VARIABLE} of the host",
					    e->name);
		if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t')
			return schema_error(ctx, node, err, "env: '%s' holds a control character",
					    e->name);
	}
	if (variable.p) {
		e->kind = ENV_HOST;
		e->value = str_dupz(variable);
	} else if (str_starts(s, STR("?"))) {
		e->kind = ENV_PROMPT;
		e->value = s.n > 1 ? str_dupz(str_from(s, 1)) : mem_strdup(e->name);
	} else {
		e->kind = ENV_LITERAL;
		e->value = str_dupz(s);
		if (str_find(s, STR("${"), 0) >= 0)
			notes_warn(bottle_ctx(ctx)->notes,
				   "%s:%d:%d: env: '%s' is taken as it "
				   "stands; only exactly ${NAME} copies a host variable",
				   ctx->source, node->line, node->col, e->name);
	}
	return 0;
}

static int read_env(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		    struct err *err)
{
	struct bottle *b = out;

	if (node->kind != YAML_MAP)
		return schema_error(ctx, node, err,
				    "'env' must be a map of names to strings, not "
				    "%s",
				    yaml_kind_name(node));
	if (node->count > MANIFEST_LIST_MAX)
		return schema_error(ctx, node, err, "env: more than %d entries", MANIFEST_LIST_MAX);
	b->env.v = mem_array(node->count, sizeof(*b->env.v));
	for (const struct yaml *v = node->child; v; v = v->next) {
		struct bottle_env *e = &b->env.v[b->env.n++];

		if (!env_name_ok(v->key->text))
			return schema_error(ctx, v->key, err,
					    "env: '%.*s': a name is letters, "
					    "digits and '_', not starting with a digit",
					    STR_ARG(v->key->text));
		e->name = str_dupz(v->key->text);
		e->at = where_of(ctx, v);
		if (read_env_value(ctx, v, e, err) < 0)
			return -1;
	}
	return 0;
}

/* --- git_user ---------------------------------------------------------------------------------- */

static int check_git_user_text(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			       struct err *err)
{
	(void)out;
	/* git drops these from an identity, or ends it there */
	if (str_has_ctl(node->text) || str_chr(node->text, '<', 0) >= 0 ||
	    str_chr(node->text, '>', 0) >= 0)
		return schema_error(ctx, node, err,
				    "git_user: '<', '>' and control characters "
				    "cannot be part of it");
	return 0;
}

// clang-format off
static const struct schema_key git_user_keys[] = {
	{ .name = "name", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct git_user, name), .min = 1, .max = 255,
	  .check = check_git_user_text, .doc = "user.name of the agent's commits" },
	{ .name = "email", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct git_user, email), .min = 1, .max = 255,
	  .check = check_git_user_text, .doc = "user.email" },
	{ .name = NULL },
};
// clang-format on
static const struct schema git_user_schema = { .what = "git_user",
					       .size = sizeof(struct git_user),
					       .keys = git_user_keys };

/* --- the whole --------------------------------------------------------------------------------- */

// clang-format off
static const struct schema_key bottle_keys[] = {
	{ .name = "extends", .type = SCHEMA_STR_LIST, .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct bottle, extends), .max = MANIFEST_EXTENDS_MAX,
	  .check = check_extends, .doc = "bottle or bottles that this one builds on" },
	{ .name = "agent", .type = SCHEMA_MAP, .offset = offsetof(struct bottle, agent),
	  .sub = &bottle_agent_schema, .doc = "what runs in it" },
	{ .name = "env", .type = SCHEMA_CUSTOM, .check = read_env,
	  .doc = "NAME: text, `?prompt` (asked without echo) or `${VAR}` (of the host)" },
	{ .name = "git", .type = SCHEMA_CUSTOM, .sub = &git_schema, .check = read_git,
	  .doc = "upstreams the agent reaches through the gate" },
	{ .name = "git_user", .type = SCHEMA_MAP, .offset = offsetof(struct bottle, git_user),
	  .sub = &git_user_schema, .doc = "identity of the agent's commits" },
	{ .name = "egress", .type = SCHEMA_MAP, .offset = offsetof(struct bottle, egress),
	  .sub = &egress_schema, .doc = "the way out" },
	{ .name = "repository_agents", .type = SCHEMA_BOOL,
	  .offset = offsetof(struct bottle, repository_agents),
	  .set_offset = offsetof(struct bottle, has_repository_agents),
	  .doc = "may an agent that a repository ships run here" },
	{ .name = "egress_proxy", .type = SCHEMA_CUSTOM, .sub = &egress_proxy_schema,
	  .check = read_egress_proxy, .doc = "hosts, paths and credentials" },
	{ .name = "supervise", .type = SCHEMA_BOOL, .offset = offsetof(struct bottle, supervise),
	  .set_offset = offsetof(struct bottle, has_supervise),
	  .doc = "the agent may propose changes and wait for a decision" },
	{ .name = NULL },
};
// clang-format on
const struct schema bottle_schema = { .what = "bottle",
				      .size = sizeof(struct bottle),
				      .keys = bottle_keys };

void bottle_free(struct bottle *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->env.n; i++) {
		free(b->env.v[i].name);
		free(b->env.v[i].value);
	}
	free(b->env.v);
	for (size_t i = 0; i < b->git.n; i++)
		git_fini(&b->git.v[i]);
	free(b->git.v);
	for (size_t i = 0; i < b->routes.n; i++)
		bottle_route_fini(&b->routes.v[i]);
	free(b->routes.v);
	egress_fini(&b->egress);
	strs_free(&b->files);
	free(b->name);
	schema_free(&bottle_schema, b);
	free(b);
}

struct bottle *bottle_parse(const struct home *h, const char *name, struct str text,
			    const char *file, struct notes *notes, struct err *err)
{
	auto_bottle struct bottle *b = mem_new(struct bottle);
	auto_yaml struct yaml *root = NULL;
	struct bottle_ctx user = { .home = h, .bottle = b, .notes = notes };
	struct schema_ctx ctx = { .user = &user };
	struct frontmatter fm;

	b->name = mem_strdup(name);
	strs_add(&b->files, file);
	ctx.source = b->files.v[0]; /* lives as long as every `where` that points to it */
	if (frontmatter_split(text, ctx.source, &fm, err) < 0)
		return NULL;
	root = yaml_parse(fm.head, ctx.source, FRONTMATTER_LINE0, err);
	if (!root || migrate_check(&ctx, root, err) < 0 ||
	    schema_read(&bottle_schema, &ctx, root, b, err) < 0)
		return NULL;
	return steal(&b);
}

/* What a missing bottle is told: where it was looked for, and the nearest there is. */
static void not_found(const char *dir, const char *name, struct err *err)
{
	struct str_list names = { NULL, 0 };
	const char *near = NULL;

	if (home_list(dir, &names, NULL, NULL) == 0)
		near = glob_nearest(str_of(name), (const char *const *)names.v, names.n);
	if (near)
		(void)err_set(err, E_NOTFOUND, "no bottle '%s' in %s (did you mean '%s'?)", name,
			      dir, near);
	else
		(void)err_set(err, E_NOTFOUND, "no bottle '%s' in %s", name, dir);
	strs_free(&names);
}

struct bottle *bottle_load(const struct home *h, const char *name, struct notes *notes,
			   struct err *err)
{
	auto_buf text = BUF_INIT(MANIFEST_FILE_MAX);
	auto_free char *dir = path_join(h->dir, "bottles");
	auto_free char *base = mem_printf("%s.md", name);
	auto_free char *file = path_join(dir, base);

	if (!manifest_name_ok(str_of(name)) || access(file, F_OK) < 0) {
		not_found(dir, name, err);
		return NULL;
	}
	if (file_read(file, &text, err) < 0)
		return NULL;
	return bottle_parse(h, name, buf_str(&text), file, notes, err);
}
