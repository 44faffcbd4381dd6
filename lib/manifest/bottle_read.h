/*
 * bottle_read: the readers of the parts of a bottle. Private to this folder.
 *
 * The schema tables read scalars and nested maps; lists of maps are read here into arrays of their
 * own type, item by item, with the same engine. A reader is the `check` of a SCHEMA_CUSTOM key: its
 * `out` is the struct of the table it stands in, its ctx->user a struct bottle_ctx.
 */
#ifndef BOTTLE_MANIFEST_BOTTLE_READ_H
#define BOTTLE_MANIFEST_BOTTLE_READ_H

#include "manifest/bottle.h"

/* What the validators need besides the node; call lifetime. */
struct bottle_ctx {
	const struct home *home;
	struct bottle *bottle;
	struct notes *notes;
};

static inline struct bottle_ctx *bottle_ctx(const struct schema_ctx *ctx)
{
	return (struct bottle_ctx *)ctx->user;
}

/* bottle_route.c: `egress_proxy` (out: struct bottle) */
int read_egress_proxy(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err);
void bottle_route_fini(struct bottle_route *r);
/* host and port */
bool bottle_route_same(const struct bottle_route *a, const struct bottle_route *b);
extern const struct schema bottle_route_schema;
extern const struct schema egress_proxy_schema;

/* bottle_git.c: `git` (out: struct bottle) */
int read_git(const struct schema_ctx *ctx, const struct yaml *node, void *out, struct err *err);
void git_fini(struct bottle_git *g);
extern const struct schema git_schema;

/* bottle_egress.c: `egress` (embedded struct bottle_egress) */
void egress_fini(struct bottle_egress *e);
extern const struct schema egress_schema;

/* migrate.c: E_BAD and a recipe when the bottle has a key of the predecessor. */
int migrate_check(const struct schema_ctx *ctx, const struct yaml *root, struct err *err);

/* --- small readers, bottle_read.c --- */

struct where where_of(const struct schema_ctx *ctx, const struct yaml *node);

/* E_BAD unless `node` is a list of at most MANIFEST_LIST_MAX values. */
int want_list(const struct schema_ctx *ctx, const struct yaml *node, const char *what,
	      struct err *err);
/* E_BAD unless `node` is a scalar that is not null, of at most `max` bytes, without control bytes. */
int want_text(const struct schema_ctx *ctx, const struct yaml *node, const char *what, size_t max,
	      struct err *err);

/* [A-Za-z_][A-Za-z0-9_]*: the name of an environment variable (POSIX XBD 8.1) */
bool env_name_ok(struct str s);

/* "host" or "*.host", without a port; *ret is lower case, heap. The error is one sentence. */
int host_pattern(struct str s, char **ret, struct err *err);

/*
 * Checks of one string key of a table, by key: path of an existing regular file or directory,
 * made absolute in place (*field).
 */
int resolve_file(const struct schema_ctx *ctx, const struct yaml *node, char **field,
		 const char *what, struct err *err);
int resolve_dir(const struct schema_ctx *ctx, const struct yaml *node, char **field,
		const char *what, struct err *err);

#endif
