/*
 * fold: spelling that a lenient server might overlook, taken away; for comparisons that must not be
 * evaded, never for forwarding. For lib/policy only.
 */
#ifndef BOTTLE_POLICY_FOLD_H
#define BOTTLE_POLICY_FOLD_H

#include "base/str.h"

/*
 * Percent escapes decoded until none is left, broken ones kept as they are: what servers that
 * decode once, twice or more could see. `out` has room for s.n bytes; the result lies in it.
 */
struct str fold_escapes(struct str s, char *out);

#define FOLD_NAME_MAX 64

/*
 * A field name, query key or value with all but its letters and digits dropped, in lower case:
 * frameworks map
 * '-', '_', '.' and '+' onto one another ("X_Api-Key", "api.key"). Returns the length; what does
 * not fit FOLD_NAME_MAX is cut.
 */
size_t fold_name(struct str s, char ret[FOLD_NAME_MAX]);

#endif
