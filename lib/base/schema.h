/*
 * schema: a table of keys turns a checked YAML tree into a struct.
 *
 * Each key has a type, limits, where it goes, a default and an optional validator. Unknown keys are
 * errors with a did-you-mean and the accepted list; wrong types, missing and out-of-range values
 * say what was wanted; all with source:line:col. The reference in the README is generated from the
 * same tables (`doc`).
 */
#ifndef BOTTLE_BASE_SCHEMA_H
#define BOTTLE_BASE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/yaml.h"

enum schema_type {
	SCHEMA_STR,      /* char *, heap */
	SCHEMA_BOOL,     /* bool: true/false only */
	SCHEMA_INT,      /* int64_t within min..max */
	SCHEMA_ENUM,     /* int: index into `names` */
	SCHEMA_STR_LIST, /* struct str_list; a lone scalar is accepted when SCHEMA_OR_ONE is set */
	SCHEMA_STR_MAP,  /* struct str_map: name -> string, order kept, positions kept */
	SCHEMA_MAP,      /* a nested struct, described by `sub` */
	SCHEMA_MAP_LIST, /* struct obj_list of nested structs, described by `sub` */
	SCHEMA_CUSTOM,   /* `check` reads the node itself */
	SCHEMA_IGNORED,  /* accepted and passed over (keys that belong to other programs) */
};

#define SCHEMA_REQUIRED 0x1u
#define SCHEMA_OR_ONE 0x2u

struct str_list {
	char **v;
	size_t n;
};
struct str_map_entry {
	char *name, *value;
	int line, col;
};
struct str_map {
	struct str_map_entry *v;
	size_t n;
};
struct obj_list {
	void *v; /* n objects of the sub-schema's size, contiguous */
	size_t n;
};

struct schema;
struct schema_ctx {
	const char *source; /* file name for messages */
	void *user;         /* for validators */
};

struct schema_key {
	const char *name;
	enum schema_type type;
	unsigned flags;
	size_t offset;     /* offsetof in the struct */
	size_t set_offset; /* offsetof of a bool that records "was given"; 0 = none */
	int64_t min, max;  /* SCHEMA_INT; for strings and lists the length limits when max > 0 */
	const char *const *names; /* SCHEMA_ENUM: NULL-terminated */
	const struct schema *sub; /* SCHEMA_MAP, SCHEMA_MAP_LIST */
	/* Runs after the generic reading; for SCHEMA_CUSTOM instead of it. `out` is the struct. */
	int (*check)(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err);
	const char *doc; /* one line for the generated reference */
};

struct schema {
	const char *what;              /* "route", "bottle", … for messages */
	size_t size;                   /* sizeof the struct */
	const struct schema_key *keys; /* ends with name == NULL */
	/* Whole-object check after all keys (both-or-neither rules); may be NULL. */
	int (*check)(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err);
};

/*
 * `out` must be zeroed or hold the defaults (strings and lists of them on the heap: they are freed
 * when the key is given). On failure what was read so far is left for schema_free. "Nothing" (an
 * empty value, ~, null) is no string, list or map.
 */
int schema_read(const struct schema *s, const struct schema_ctx *ctx, const struct yaml *node,
		void *out, struct err *err) __attribute__((warn_unused_result));
/*
 * Frees every string, list, map and nested object the schema describes; `out` is zeroed. What a
 * SCHEMA_CUSTOM key allocated is the owner's to free before.
 */
void schema_free(const struct schema *s, void *out);

/* "source:line:col: text" as E_BAD; returns -1. For validators. Texts do not quote values that may
 * be secret: a name and what was wanted are enough. */
int schema_error(const struct schema_ctx *ctx, const struct yaml *at, struct err *err,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
