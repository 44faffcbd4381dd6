/*
 * YAML text read by tables of every type: what is read keeps its limits, and is freed whole.
 */
#include <stdlib.h>
#include <string.h>

#include "base/schema.h"

static void need(bool ok)
{
	if (!ok)
		abort();
}

struct part {
	char *host;
	struct str_list paths;
};
struct whole {
	char *name;
	bool flag, flag_set;
	int64_t number;
	int choice;
	struct str_list list;
	struct str_map map;
	struct part part;
	struct obj_list parts;
};

static const char *const choices[] = { "a", "bc", NULL };

static const struct schema_key part_keys[] = {
	{ .name = "host",
	  .type = SCHEMA_STR,
	  .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct part, host),
	  .min = 1,
	  .max = 5 },
	{ .name = "paths",
	  .type = SCHEMA_STR_LIST,
	  .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct part, paths) },
	{ .name = NULL },
};
static const struct schema part_schema = { .what = "part",
					   .size = sizeof(struct part),
					   .keys = part_keys };

static const struct schema_key whole_keys[] = {
	{ .name = "s", .type = SCHEMA_STR, .offset = offsetof(struct whole, name) },
	{ .name = "b",
	  .type = SCHEMA_BOOL,
	  .offset = offsetof(struct whole, flag),
	  .set_offset = offsetof(struct whole, flag_set) },
	{ .name = "i",
	  .type = SCHEMA_INT,
	  .offset = offsetof(struct whole, number),
	  .min = -7,
	  .max = 7 },
	{ .name = "e",
	  .type = SCHEMA_ENUM,
	  .offset = offsetof(struct whole, choice),
	  .names = choices },
	{ .name = "l", .type = SCHEMA_STR_LIST, .offset = offsetof(struct whole, list), .max = 2 },
	{ .name = "m", .type = SCHEMA_STR_MAP, .offset = offsetof(struct whole, map), .max = 2 },
	{ .name = "p",
	  .type = SCHEMA_MAP,
	  .offset = offsetof(struct whole, part),
	  .sub = &part_schema },
	{ .name = "ps",
	  .type = SCHEMA_MAP_LIST,
	  .flags = SCHEMA_OR_ONE,
	  .offset = offsetof(struct whole, parts),
	  .sub = &part_schema,
	  .max = 2 },
	{ .name = "x", .type = SCHEMA_IGNORED },
	{ .name = NULL },
};
static const struct schema whole_schema = { .what = "whole",
					    .size = sizeof(struct whole),
					    .keys = whole_keys };

static void check_part(const struct part *p)
{
	need(p->host && strlen(p->host) >= 1 && strlen(p->host) <= 5);
	for (size_t i = 0; i < p->paths.n; i++)
		need(p->paths.v[i] != NULL);
}

static void check_whole(const struct whole *w)
{
	const struct part *parts = w->parts.v;

	need(w->number >= -7 && w->number <= 7);
	need(w->choice == 0 || w->choice == 1);
	need(w->flag_set || !w->flag);
	need(w->list.n <= 2 && w->map.n <= 2 && w->parts.n <= 2);
	for (size_t i = 0; i < w->map.n; i++)
		need(w->map.v[i].name && w->map.v[i].value && w->map.v[i].line > 0);
	for (size_t i = 0; i < w->parts.n; i++)
		check_part(&parts[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct schema_ctx ctx = { .source = "fuzz" };
	struct err err = ERR_INIT;
	auto_yaml struct yaml *root = yaml_parse(str_mem(data, size), "fuzz", 0, &err);
	struct whole w;

	if (!root)
		return 0;
	memset(&w, 0, sizeof(w));
	if (schema_read(&whole_schema, &ctx, root, &w, &err) == 0) {
		check_whole(&w);
	} else {
		need(err.code == E_BAD && strncmp(err.text, "fuzz:", 5) == 0);
		need(!str_has_ctl(str_of(err.text)));
	}
	schema_free(&whole_schema, &w);
	return 0;
}
