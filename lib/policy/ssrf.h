/*
 * ssrf: which addresses may be dialled.
 */
#ifndef BOTTLE_POLICY_SSRF_H
#define BOTTLE_POLICY_SSRF_H

#include "base/err.h"
#include "net/addr.h"
#include "net/resolve.h"

#define SSRF_ALLOW_MAX 64

struct ssrf_policy {
	struct cidr allow[SSRF_ALLOW_MAX]; /* --allow-private, ssrf.ip_allowlist */
	size_t allow_count;
};

int ssrf_allow(struct ssrf_policy *p, struct str cidr, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Every answer is judged; one internal answer refuses the name (E_DENIED; the message says the
 * class, neither the address nor the rules). Pinned results pass, and what ssrf_allow named.
 */
int ssrf_check(const struct ssrf_policy *p, struct str host, const struct resolve_result *res,
	       struct err *err) __attribute__((warn_unused_result));

#endif
