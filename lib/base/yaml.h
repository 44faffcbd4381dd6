/*
 * yaml: the only file that sees libyaml; events into a checked tree with positions.
 *
 * libyaml refuses nothing by itself, so this does: duplicate keys, anchors, aliases, tags,
 * directives (any line that starts with '%'), a second document, non-scalar keys, more than
 * YAML_DEPTH_MAX / YAML_NODES_MAX / YAML_TEXT_MAX. Every error is "source:line:col: what".
 *
 * JSON text is read too (it is YAML), but for escaped surrogate pairs. Scalars keep their text and
 * whether they were quoted; meaning (bool, int) is the schema's business, so that `no` is a string
 * wherever a string is wanted.
 */
#ifndef BOTTLE_BASE_YAML_H
#define BOTTLE_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
	enum yaml_kind kind;
	int line, col;      /* 1-based, in the source file */
	struct str text;    /* scalar: its value, terminated */
	bool quoted;        /* scalar in quotes or block style: never null/bool/int */
	struct yaml *key;   /* in a map: this value's key (a scalar) */
	struct yaml *next;  /* next value in the same list or map */
	struct yaml *child; /* first value of a list or map */
	size_t count;       /* values of a list or map */
};

/*
 * One document. `line0` is added to every line (frontmatter starts at line 2 of its file). Empty
 * text is an empty map. Freed with yaml_tree_free.
 */
struct yaml *yaml_parse(struct str text, const char *source, int line0, struct err *err)
	__attribute__((warn_unused_result));
/* NULL is fine. (libyaml owns the name yaml_free.) */
void yaml_tree_free(struct yaml *root);
static inline void yaml_tree_free_p(struct yaml **y)
{
	yaml_tree_free(*y);
}
#define auto_yaml __attribute__((cleanup(yaml_tree_free_p)))

/* The value of `key`, or NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);
/* Plain, empty, `~` or `null`. */
bool yaml_is_null(const struct yaml *y);
/* "a map", "a list", "a string" … for messages */
const char *yaml_kind_name(const struct yaml *y);

#endif
