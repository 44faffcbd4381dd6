/*
 * plan_parts: the steps of plan_make. Private to this folder. Each fills its members of the plan
 * and leaves what it got to plan_free.
 */
#ifndef BOTTLE_MANIFEST_PLAN_PARTS_H
#define BOTTLE_MANIFEST_PLAN_PARTS_H

#include "base/json.h"
#include "manifest/plan.h"
#include "manifest/provider.h"

static inline const struct provider_info *plan_provider(const struct plan *p)
{
	return provider_get((enum provider)p->bottle->agent.provider);
}

/* plan_session.c: command, image, user, work directory, prompt, skills */
int plan_session(struct plan *p, const struct plan_input *in, struct err *err);
/* plan_routes.c: routes, credentials, routes_json */
int plan_routes(struct plan *p, const struct plan_input *in, struct err *err);
/* plan_env.c: env */
int plan_environment(struct plan *p, const struct plan_input *in, struct err *err);
/* plan_boxes.c: networks, boxes, what is not supported */
void plan_boxes(struct plan *p);
/* plan_git.c: git */
void plan_git(struct plan *p);
/* plan_red.c: what the operator must see */
void plan_red(struct plan *p);

/* "host:port" as a manifest and the routes file write it; heap. */
char *plan_route_host(const struct plan_route *r);
/* Its entry in the routes file, but for the credential's slot. */
struct json *plan_route_json(const struct plan_route *r);

#endif
