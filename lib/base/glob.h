/*
 * glob: host patterns and near-miss names.
 */
#ifndef BOTTLE_BASE_GLOB_H
#define BOTTLE_BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/*
 * `*.example.com` matches one or more labels below example.com, never the apex; anything else
 * matches exactly. Both are compared without case. `host` is already in normal form (url.h).
 */
bool glob_host(struct str pattern, struct str host);

/* shell-style * and ? over a whole name, `/` is an ordinary character (git refs) */
bool glob_match(struct str pattern, struct str name);

/*
 * The candidate nearest to `word` by edit distance (transpositions count once, case does not), or
 * NULL when none is within a third of the word's length (at least 1, at most 3). The first of
 * equals. For "did you mean".
 */
const char *glob_nearest(struct str word, const char *const *candidates, size_t count);

#endif
