/*
 * tokens: credential values by slot name, in memory only.
 */
#ifndef BOTTLE_PROXY_TOKENS_H
#define BOTTLE_PROXY_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#define TOKENS_MAX 256
#define TOKEN_VALUE_MAX KIB(16)

struct token {
	char *slot;
	char *value; /* wiped when replaced or freed */
	size_t len;
};

struct tokens {
	struct token *v;
	size_t n;
};

void tokens_fini(struct tokens *t);

/* "EGRESS_PROXY_TOKEN_" and a decimal number without leading zeros. */
bool tokens_is_slot(struct str name);

/*
 * Sets or replaces. A value is 1..TOKEN_VALUE_MAX bytes that may stand in a header field (no CTL):
 * E_BAD names the slot, never the value. The bytes are copied.
 */
int tokens_set(struct tokens *t, struct str slot, struct str value, struct err *err)
	__attribute__((warn_unused_result));

/* The value, or p == NULL. Borrowed until the slot is set again. */
struct str tokens_get(const struct tokens *t, struct str slot);

/* Takes every EGRESS_PROXY_TOKEN_N of the environment and removes it there. */
int tokens_from_env(struct tokens *t, struct err *err) __attribute__((warn_unused_result));

#endif
