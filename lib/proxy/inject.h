/*
 * inject: the credential of a route, set where the agent cannot see it.
 */
#ifndef BOTTLE_PROXY_INJECT_H
#define BOTTLE_PROXY_INJECT_H

#include "base/err.h"
#include "http/msg.h"
#include "policy/routes.h"
#include "proxy/mask.h"

/*
 * Sets the route's credential field in `m` and makes *ret_mask, which blots the value (and its
 * Basic form) out of the answer; NULL when the value is too short to be told from ordinary text.
 * Asks the upstream for an uncoded body: a credential inside a compressed one could not be seen.
 */
int inject_credential(struct msg *m, const struct route *route, struct str value,
		      struct mask **ret_mask, struct err *err) __attribute__((warn_unused_result));

#endif
