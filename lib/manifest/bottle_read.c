#include "manifest/bottle_read.h"

#include <sys/stat.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/route.h"

struct where where_of(const struct schema_ctx *ctx, const struct yaml *node)
{
	return (struct where){ .file = ctx->source, .line = node->line, .col = node->col };
}

int want_list(const struct schema_ctx *ctx, const struct yaml *node, const char *what,
	      struct err *err)
{
	if (node->kind != YAML_LIST)
		return schema_error(ctx, node, err, "'%s' must be a list, not %s", what,
				    yaml_kind_name(node));
	if (node->count > MANIFEST_LIST_MAX)
		return schema_error(ctx, node, err, "%s: more than %d entries", what,
				    MANIFEST_LIST_MAX);
	return 0;
}

int want_text(const struct schema_ctx *ctx, const struct yaml *node, const char *what, size_t max,
	      struct err *err)
{
	if (node->kind != YAML_SCALAR || yaml_is_null(node))
		return schema_error(ctx, node, err, "'%s' must be a string, not %s", what,
				    yaml_kind_name(node));
	if (node->text.n > max)
		return schema_error(ctx, node, err, "%s: longer than %zu bytes", what, max);
	if (str_has_ctl(node->text))
		return schema_error(ctx, node, err, "%s: a line break or another control character",
				    what);
	return 0;
}

bool env_name_ok(struct str s)
{
	if (s.n == 0 || ascii_digit(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

int host_pattern(struct str s, char **ret, struct err *err)
{
	uint16_t port;

	if (route_read_host(s, ret, &port, err) < 0)
		return -1;
	if (port == 0)
		return 0;
	free(*ret);
	*ret = NULL;
	return err_set(err, E_BAD, "a host without a port is wanted");
}

/* Replaces the path in *field by its absolute form and says what is there. */
static int resolve(const struct schema_ctx *ctx, const struct yaml *node, char **field,
		   const char *what, struct stat *st, struct err *err)
{
	char *path;

	if (want_text(ctx, node, what, MANIFEST_TEXT_MAX, err) < 0)
		return -1;
	if (node->text.n == 0)
		return schema_error(ctx, node, err, "%s: empty", what);
	path = home_resolve(bottle_ctx(ctx)->home, ctx->source, *field, err);
	if (!path)
		return err_wrap(err, "%s:%d:%d: %s", ctx->source, node->line, node->col, what);
	free(*field);
	*field = path;
	if (stat(path, st) < 0)
		return schema_error(ctx, node, err, "%s: %s: %m", what, path);
	return 0;
}

int resolve_file(const struct schema_ctx *ctx, const struct yaml *node, char **field,
		 const char *what, struct err *err)
{
	struct stat st;

	if (resolve(ctx, node, field, what, &st, err) < 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return schema_error(ctx, node, err, "%s: %s: not a regular file", what, *field);
	return 0;
}

int resolve_dir(const struct schema_ctx *ctx, const struct yaml *node, char **field,
		const char *what, struct err *err)
{
	struct stat st;

	if (resolve(ctx, node, field, what, &st, err) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return schema_error(ctx, node, err, "%s: %s: not a directory", what, *field);
	return 0;
}
