/*
 * h1_fields: what heads and trailer sections have in common; for the h1_*.c files only.
 */
#ifndef BOTTLE_HTTP_H1_FIELDS_H
#define BOTTLE_HTTP_H1_FIELDS_H

#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

/*
 * Looks for the empty line that ends a head (after its start line) or a trailer section (which may
 * consist of it alone). The length including it, 0: more needed, -1: cannot become one. *scanned as
 * in h1_head_end.
 */
ssize_t h1_section_end(struct str data, bool is_head, size_t max, size_t *scanned, struct err *err);

/*
 * One field line off the front of *rest, checked. False at the empty line (which is then all of
 * *rest) and on failure; told apart by err->code.
 */
bool h1_next_field(struct str *rest, struct field *ret, struct err *err);

#endif
