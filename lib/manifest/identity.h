/*
 * identity: the unique name of one run, agent name + '-' + 5 random base36 characters.
 *
 * Names of objects are made from it. When one is taken, the launcher appends "-2" … "-99" to the
 * identity and plans again (spec 1.3).
 */
#ifndef BOTTLE_MANIFEST_IDENTITY_H
#define BOTTLE_MANIFEST_IDENTITY_H

#include <stdbool.h>

#include "base/limits.h"
#include "base/str.h"

#define IDENTITY_RANDOM 5 /* 36^5 = 60 million */
#define IDENTITY_MAX (MANIFEST_NAME_MAX + 1 + IDENTITY_RANDOM + 3)

/* `agent` satisfies manifest_name_ok. Every character has the same chance. */
void identity_make(const char *agent, char ret[IDENTITY_MAX + 1]);
/* Has this form, numbered or not. */
bool identity_ok(struct str s);

#endif
