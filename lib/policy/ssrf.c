#include "policy/ssrf.h"

int ssrf_allow(struct ssrf_policy *p, struct str cidr, struct err *err)
{
	if (p->allow_count >= SSRF_ALLOW_MAX)
		return err_set(err, E_LIMIT, "more than %d allowed networks", SSRF_ALLOW_MAX);
	if (cidr_parse(cidr, &p->allow[p->allow_count], err) < 0)
		return -1;
	p->allow_count++;
	return 0;
}

static bool is_allowed(const struct ssrf_policy *p, const struct addr *a)
{
	for (size_t i = 0; i < p->allow_count; i++)
		if (cidr_has(&p->allow[i], a))
			return true;
	return false;
}

int ssrf_check(const struct ssrf_policy *p, struct str host, const struct resolve_result *res,
	       struct err *err)
{
	if (res->count == 0)
		return err_set(err, E_DENIED, "%.*s has no address", STR_ARG(host));
	for (size_t i = 0; i < res->count && !res->pinned; i++) {
		enum addr_class class = addr_classify(&res->addrs[i]);

		/* The address itself is not said: the agent need not learn the operator's network. */
		if (class != ADDR_PUBLIC && !is_allowed(p, &res->addrs[i]))
			return err_set(err, E_DENIED, "%.*s has an address that is %s, not public",
				       STR_ARG(host), addr_class_name(class));
	}
	return 0;
}
