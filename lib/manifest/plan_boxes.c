#include "base/limits.h"
#include "base/mem.h"
#include "manifest/plan_parts.h"

#define NET (1u << ROLE_NETWORK_NET)
#define GATE (1u << ROLE_NETWORK_GATE)
#define EGRESS (1u << ROLE_NETWORK_EGRESS)

/* The sidecars of spec 1.3, and which of them this version has. */
static const struct sidecar {
	enum plan_role role;
	unsigned port;
	unsigned networks;
	bool available;
} sidecars[] = {
	{ ROLE_EGRESS_PROXY, PLAN_EGRESS_PROXY_PORT, NET | GATE, true },
	{ ROLE_PIPELOCK, PLAN_PIPELOCK_PORT, GATE | EGRESS, false },
	{ ROLE_GIT_GATE, PLAN_GIT_GATE_PORT, NET | EGRESS, false },
	{ ROLE_SUPERVISE, PLAN_SUPERVISE_PORT, NET, false },
};

static bool available(enum plan_role role)
{
	for (size_t i = 0; i < ARRAY_LEN(sidecars); i++)
		if (sidecars[i].role == role)
			return sidecars[i].available;
	return false;
}

static bool wanted(const struct bottle *b, enum plan_role role)
{
	if (role == ROLE_GIT_GATE)
		return b->git.n > 0;
	if (role == ROLE_SUPERVISE)
		return b->supervise;
	return true;
}

static void add_box(struct plan *p, enum plan_role role, unsigned port, unsigned networks)
{
	bool agent = role == ROLE_AGENT;

	p->boxes[p->box_count++] = (struct plan_box){
		.role = role,
		.name = agent ? mem_printf("bottle-%s", p->identity)
			      : mem_printf("bottle-%s-%s", plan_role_name(role), p->identity),
		.alias = agent ? NULL : plan_role_name(role),
		.port = port,
		.networks = networks,
		.pids = agent ? PLAN_AGENT_PIDS : PLAN_SIDECAR_PIDS,
		.memory_mib = agent ? PLAN_AGENT_MEMORY_MIB : PLAN_SIDECAR_MEMORY_MIB,
	};
}

static void add_boxes(struct plan *p)
{
	add_box(p, ROLE_AGENT, 0, NET);
	for (size_t i = 0; i < ARRAY_LEN(sidecars); i++) {
		const struct sidecar *s = &sidecars[i];
		unsigned networks = s->networks;

		if (!s->available || !wanted(p->bottle, s->role))
			continue;
		/* with no gate to go through, the proxy guards the way out itself (spec 2.2.5) */
		if (s->role == ROLE_EGRESS_PROXY && !available(ROLE_PIPELOCK))
			networks = NET | EGRESS;
		add_box(p, s->role, s->port, networks);
	}
}

static void add_networks(struct plan *p)
{
	unsigned used = 0;

	for (size_t i = 0; i < p->box_count; i++)
		used |= p->boxes[i].networks;
	for (enum plan_role r = ROLE_NETWORK_NET; r <= ROLE_NETWORK_EGRESS; r++)
		if (used & (1u << r))
			p->networks[p->network_count++] = (struct plan_network){
				.role = r,
				.name = mem_printf("bottle-%s-%s", plan_role_name(r), p->identity),
				.internal = r != ROLE_NETWORK_EGRESS,
			};
}

static void add_unsupported(struct plan *p)
{
	const struct bottle_egress *e = &p->bottle->egress;
	struct str_list *out = &p->unsupported;

	if (p->bottle->git.n > 0 && !available(ROLE_GIT_GATE))
		strs_add(out, "'git' needs the git-gate sidecar, which this version does not have");
	if (p->bottle->supervise && !available(ROLE_SUPERVISE))
		strs_add(out, "'supervise' needs the supervise sidecar, which this version does "
			      "not have");
	if (!available(ROLE_PIPELOCK) &&
	    (e->has_dlp_action || e->dlp_allow.n > 0 || e->upstream_proxy))
		strs_add(out, "'egress.dlp_action', 'dlp_allow' and 'upstream_proxy' need the "
			      "pipelock sidecar, which this version does not have");
	if (p->backend == BACKEND_NATIVE)
		strs_add(out, "backend 'native' is not part of this version");
}

void plan_boxes(struct plan *p)
{
	add_boxes(p);
	add_networks(p);
	add_unsupported(p);
}
