/*
 * notes: what reading manifests has to say besides its result.
 *
 * The library never prints. Warnings and the multi-line recipe that belongs to a migration error
 * are returned here, and the applet shows them: warnings always, the recipe after the error.
 */
#ifndef BOTTLE_MANIFEST_NOTES_H
#define BOTTLE_MANIFEST_NOTES_H

#include "base/schema.h"

/* A place in a manifest file; `file` is borrowed from what the place belongs to. */
struct where {
	const char *file;
	int line, col; /* 1-based; 0 when the whole file is meant */
};

struct notes {
	struct str_list warnings; /* one line each, no full stop */
	char *recipe;             /* text of several lines to put in place of old keys, or NULL */
};

#define NOTES_INIT                                      \
	{                                               \
		.warnings = { NULL, 0 }, .recipe = NULL \
	}

void notes_fini(struct notes *n);
#define auto_notes __attribute__((cleanup(notes_fini))) struct notes

/* `n` may be NULL: the warning is dropped. Control characters become '?'. */
void notes_warn(struct notes *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends a copy of `z` / takes over `z`. The list's owner frees them with strs_free. */
void strs_add(struct str_list *l, const char *z);
void strs_take(struct str_list *l, char *z);
bool strs_has(const struct str_list *l, const char *z);
void strs_free(struct str_list *l);

#endif
