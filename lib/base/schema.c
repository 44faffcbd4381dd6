#include "base/schema.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/glob.h"
#include "base/mem.h"

int schema_error(const struct schema_ctx *ctx, const struct yaml *at, struct err *err,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_at(err, E_BAD, ctx->source, (size_t)at->line, (size_t)at->col, fmt, ap);
	va_end(ap);
	return -1;
}

/* --- messages ---------------------------------------------------------------------------------- */

/* What does not fit an error's text need not be collected. */
static int add_name(struct buf *list, const char *name)
{
	return buf_addf(list, NULL, "%s%s", list->len > 0 ? ", " : "", name);
}

static int wrong_kind(const struct schema_key *k, const struct schema_ctx *ctx,
		      const struct yaml *node, const char *wanted, struct err *err)
{
	return schema_error(ctx, node, err, "'%s' must be %s, not %s", k->name, wanted,
			    yaml_kind_name(node));
}

static int unknown_key(const struct schema *s, const struct schema_ctx *ctx, const struct yaml *key,
		       struct err *err)
{
	auto_buf accepted = BUF_INIT(ERR_TEXT_MAX);
	auto_free const char **names = NULL;
	const char *near;
	size_t n = 0;

	while (s->keys[n].name)
		n++;
	names = mem_array(n, sizeof(*names));
	for (size_t i = 0; i < n; i++) {
		names[i] = s->keys[i].name;
		if (add_name(&accepted, names[i]) < 0)
			break;
	}
	near = glob_nearest(key->text, names, n);
	if (near)
		return schema_error(ctx, key, err,
				    "unknown key '%.*s' in %s (did you mean '%s'?); accepted: %s",
				    STR_ARG(key->text), s->what, near, buf_z(&accepted));
	return schema_error(ctx, key, err, "unknown key '%.*s' in %s; accepted: %s",
			    STR_ARG(key->text), s->what, buf_z(&accepted));
}

static int unknown_name(const struct schema_key *k, const struct schema_ctx *ctx,
			const struct yaml *node, struct err *err)
{
	auto_buf names = BUF_INIT(ERR_TEXT_MAX);
	const char *near;
	size_t n = 0;

	for (; k->names[n]; n++) {
		if (add_name(&names, k->names[n]) < 0)
			break;
	}
	near = glob_nearest(node->text, k->names, n);
	if (near)
		return schema_error(ctx, node, err,
				    "'%s' must be one of: %s; not '%.*s' (did you mean '%s'?)",
				    k->name, buf_z(&names), STR_ARG(node->text), near);
	return schema_error(ctx, node, err, "'%s' must be one of: %s; not '%.*s'", k->name,
			    buf_z(&names), STR_ARG(node->text));
}

/* --- values ------------------------------------------------------------------------------------ */

static bool is_string(const struct yaml *node)
{
	return node->kind == YAML_SCALAR && !yaml_is_null(node);
}

static int check_count(const struct schema_key *k, const struct schema_ctx *ctx,
		       const struct yaml *node, size_t n, const char *unit, struct err *err)
{
	if (k->max <= 0 || ((int64_t)n >= k->min && (int64_t)n <= k->max))
		return 0;
	return schema_error(ctx, node, err, "'%s' must have %" PRId64 " to %" PRId64 " %s, not %zu",
			    k->name, k->min, k->max, unit, n);
}

static int read_str(const struct schema_key *k, const struct schema_ctx *ctx,
		    const struct yaml *node, char **out, struct err *err)
{
	if (!is_string(node))
		return wrong_kind(k, ctx, node, "a string", err);
	if (check_count(k, ctx, node, node->text.n, "bytes", err) < 0)
		return -1;
	*out = str_dupz(node->text);
	return 0;
}

static int read_bool(const struct schema_key *k, const struct schema_ctx *ctx,
		     const struct yaml *node, bool *out, struct err *err)
{
	if (node->kind == YAML_SCALAR && !node->quoted) {
		if (str_eqz(node->text, "true")) {
			*out = true;
			return 0;
		}
		if (str_eqz(node->text, "false")) {
			*out = false;
			return 0;
		}
	}
	return wrong_kind(k, ctx, node, "true or false", err);
}

/* Decimal only: 010 and 0x10 mean different numbers to different readers of YAML. */
static int parse_int(struct str s, int64_t *ret)
{
	bool negative = str_starts(s, STR("-"));
	struct str digits = str_from(s, negative);
	uint64_t v;

	if (digits.n > 1 && digits.p[0] == '0')
		return -1;
	if (str_to_u64(digits, (uint64_t)INT64_MAX + negative, &v) < 0)
		return -1;
	*ret = (int64_t)(negative ? 0 - v : v);
	return 0;
}

static int read_int(const struct schema_key *k, const struct schema_ctx *ctx,
		    const struct yaml *node, int64_t *out, struct err *err)
{
	int64_t v;

	if (node->kind != YAML_SCALAR || node->quoted || parse_int(node->text, &v) < 0)
		return wrong_kind(k, ctx, node, "a whole number (decimal)", err);
	if (v < k->min || v > k->max)
		return schema_error(ctx, node, err, "'%s' must be %" PRId64 " to %" PRId64, k->name,
				    k->min, k->max);
	*out = v;
	return 0;
}

static int read_enum(const struct schema_key *k, const struct schema_ctx *ctx,
		     const struct yaml *node, int *out, struct err *err)
{
	if (!is_string(node))
		return wrong_kind(k, ctx, node, "a string", err);
	for (int i = 0; k->names[i]; i++) {
		if (str_eqz(node->text, k->names[i])) {
			*out = i;
			return 0;
		}
	}
	return unknown_name(k, ctx, node, err);
}

/* *ret_n values from *ret_first on: those of a list, or the node itself where that is accepted. */
static int list_values(const struct schema_key *k, const struct schema_ctx *ctx,
		       const struct yaml *node, enum yaml_kind one, const char *wanted,
		       const struct yaml **ret_first, size_t *ret_n, struct err *err)
{
	bool alone = (k->flags & SCHEMA_OR_ONE) && node->kind == one && !yaml_is_null(node);

	if (!alone && node->kind != YAML_LIST)
		return wrong_kind(k, ctx, node, wanted, err);
	*ret_first = alone ? node : node->child;
	*ret_n = alone ? 1 : node->count;
	return check_count(k, ctx, node, *ret_n, "entries", err);
}

static int read_str_list(const struct schema_key *k, const struct schema_ctx *ctx,
			 const struct yaml *node, struct str_list *out, struct err *err)
{
	bool or_one = k->flags & SCHEMA_OR_ONE;
	const struct yaml *item;
	size_t n;

	if (list_values(k, ctx, node, YAML_SCALAR,
			or_one ? "a string or a list of strings" : "a list of strings", &item, &n,
			err) < 0)
		return -1;
	out->v = mem_array(n, sizeof(*out->v));
	for (; out->n < n; item = item->next) {
		if (!is_string(item))
			return schema_error(ctx, item, err, "'%s' must hold strings, not %s",
					    k->name, yaml_kind_name(item));
		out->v[out->n++] = str_dupz(item->text);
	}
	return 0;
}

static int read_str_map(const struct schema_key *k, const struct schema_ctx *ctx,
			const struct yaml *node, struct str_map *out, struct err *err)
{
	if (node->kind != YAML_MAP)
		return wrong_kind(k, ctx, node, "a map of names to strings", err);
	if (check_count(k, ctx, node, node->count, "entries", err) < 0)
		return -1;
	out->v = mem_array(node->count, sizeof(*out->v));
	for (const struct yaml *v = node->child; v; v = v->next) {
		if (!is_string(v))
			return schema_error(ctx, v, err, "'%.*s' in '%s' must be a string, not %s",
					    STR_ARG(v->key->text), k->name, yaml_kind_name(v));
		out->v[out->n++] = (struct str_map_entry){
			.name = str_dupz(v->key->text),
			.value = str_dupz(v->text),
			.line = v->key->line,
			.col = v->key->col,
		};
	}
	return 0;
}

static int read_map_list(const struct schema_key *k, const struct schema_ctx *ctx,
			 const struct yaml *node, struct obj_list *out, struct err *err)
{
	bool or_one = k->flags & SCHEMA_OR_ONE;
	const struct yaml *item = NULL;
	size_t n = 0;

	if (list_values(k, ctx, node, YAML_MAP,
			or_one ? "a map or a list of maps" : "a list of maps", &item, &n, err) < 0)
		return -1;
	out->v = mem_array(n, k->sub->size);
	for (; out->n < n; item = item->next) {
		/* counted first: what a failure leaves behind is freed with the list */
		void *obj = (char *)out->v + out->n++ * k->sub->size;

		if (schema_read(k->sub, ctx, item, obj, err) < 0)
			return -1;
	}
	return 0;
}

/* --- objects ----------------------------------------------------------------------------------- */

static void free_value(const struct schema_key *k, void *out)
{
	void *field = (char *)out + k->offset;
	struct str_list *strings = field;
	struct str_map *map = field;
	struct obj_list *objects = field;

	switch (k->type) {
	case SCHEMA_STR:
		free(*(char **)field);
		*(char **)field = NULL;
		break;
	case SCHEMA_STR_LIST:
		for (size_t i = 0; i < strings->n; i++)
			free(strings->v[i]);
		free(strings->v);
		*strings = (struct str_list){ .n = 0 };
		break;
	case SCHEMA_STR_MAP:
		for (size_t i = 0; i < map->n; i++) {
			free(map->v[i].name);
			free(map->v[i].value);
		}
		free(map->v);
		*map = (struct str_map){ .n = 0 };
		break;
	case SCHEMA_MAP:
		schema_free(k->sub, field);
		break;
	case SCHEMA_MAP_LIST:
		for (size_t i = 0; i < objects->n; i++)
			schema_free(k->sub, (char *)objects->v + i * k->sub->size);
		free(objects->v);
		*objects = (struct obj_list){ .n = 0 };
		break;
	case SCHEMA_BOOL:
	case SCHEMA_INT:
	case SCHEMA_ENUM:
	case SCHEMA_CUSTOM:
	case SCHEMA_IGNORED:
		break;
	}
}

static int read_value(const struct schema_key *k, const struct schema_ctx *ctx,
		      const struct yaml *node, void *out, struct err *err)
{
	void *field = (char *)out + k->offset;

	/* A default of these types is replaced; one in a nested struct is kept, key by key. */
	if (k->type != SCHEMA_MAP)
		free_value(k, out);
	switch (k->type) {
	case SCHEMA_STR:
		return read_str(k, ctx, node, field, err);
	case SCHEMA_BOOL:
		return read_bool(k, ctx, node, field, err);
	case SCHEMA_INT:
		return read_int(k, ctx, node, field, err);
	case SCHEMA_ENUM:
		return read_enum(k, ctx, node, field, err);
	case SCHEMA_STR_LIST:
		return read_str_list(k, ctx, node, field, err);
	case SCHEMA_STR_MAP:
		return read_str_map(k, ctx, node, field, err);
	case SCHEMA_MAP:
		return schema_read(k->sub, ctx, node, field, err);
	case SCHEMA_MAP_LIST:
		return read_map_list(k, ctx, node, field, err);
	case SCHEMA_CUSTOM:
	case SCHEMA_IGNORED:
		break;
	}
	return 0;
}

static int read_key(const struct schema *s, const struct schema_ctx *ctx, const struct yaml *node,
		    void *out, struct err *err)
{
	const struct schema_key *k = s->keys;

	while (k->name && !str_eqz(node->key->text, k->name))
		k++;
	if (!k->name)
		return unknown_key(s, ctx, node->key, err);
	if (read_value(k, ctx, node, out, err) < 0)
		return -1;
	if (k->check && k->check(ctx, node, out, err) < 0)
		return -1;
	if (k->set_offset)
		*(bool *)((char *)out + k->set_offset) = true;
	return 0;
}

int schema_read(const struct schema *s, const struct schema_ctx *ctx, const struct yaml *node,
		void *out, struct err *err)
{
	if (node->kind != YAML_MAP)
		return schema_error(ctx, node, err, "%s must be a map, not %s", s->what,
				    yaml_kind_name(node));
	for (const struct yaml *v = node->child; v; v = v->next) {
		if (read_key(s, ctx, v, out, err) < 0)
			return -1;
	}
	for (const struct schema_key *k = s->keys; k->name; k++) {
		if ((k->flags & SCHEMA_REQUIRED) && !yaml_get(node, k->name))
			return schema_error(ctx, node, err, "%s needs the key '%s'", s->what,
					    k->name);
	}
	return s->check ? s->check(ctx, node, out, err) : 0;
}

void schema_free(const struct schema *s, void *out)
{
	for (const struct schema_key *k = s->keys; k->name; k++)
		free_value(k, out);
	memset(out, 0, s->size);
}
