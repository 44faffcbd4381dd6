/*
 * plan: the fully resolved description of one launch.
 *
 * A pure function of the manifest and struct plan_input: nothing is created, changed or contacted,
 * and the same input gives the same plan. It never holds a secret value: credentials and secret
 * environment entries are there by name only (secrets.h fetches the values at launch). Whoever
 * launches follows the plan and decides nothing by himself, so what the preflight showed is what
 * runs.
 */
#ifndef BOTTLE_MANIFEST_PLAN_H
#define BOTTLE_MANIFEST_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "manifest/manifest.h"

#define PLAN_SCHEMA 1 /* of the JSON form; a change that breaks a reader counts it up */

/* Labels of every object; listing and cleanup go by them, never by names. */
#define PLAN_LABEL_IDENTITY "bottle.identity"
#define PLAN_LABEL_ROLE "bottle.role"
#define PLAN_LABEL_VERSION "bottle.version"

/* Inside the agent's box. /run/bottle is a tmpfs that the session wrapper fills. */
#define PLAN_AGENT_HOME "/home/agent"
#define PLAN_AGENT_WORKDIR "/work"
#define PLAN_AGENT_USER "1000:1000"                /* a number works in any image */
#define PLAN_CA_CERT "/run/bottle/ca.pem"          /* the bottle's CA */
#define PLAN_CA_BUNDLE "/run/bottle/ca-bundle.pem" /* image's bundle + ca.pem */
#define PLAN_PROMPT "/run/bottle/prompt.md"

/* Fixed ports and names of the sidecars, seen from inside (spec 1.3). */
#define PLAN_EGRESS_PROXY_HOST "egress-proxy"
#define PLAN_EGRESS_PROXY_PORT 9099
#define PLAN_EGRESS_PROXY_HEALTH 9098 /* loopback only */
#define PLAN_EGRESS_PROXY_CONTROL "/run/bottle/egress-proxy.sock"
#define PLAN_PIPELOCK_PORT 8888
#define PLAN_GIT_GATE_PORT 9418
#define PLAN_SUPERVISE_PORT 9100

enum backend_kind { BACKEND_DOCKER, BACKEND_NATIVE };

enum plan_cwd {
	PLAN_CWD_NONE, /* an empty work directory */
	PLAN_CWD_COPY, /* --cwd: a copy of the working directory */
	PLAN_CWD_BIND, /* --cwd=bind: the working directory itself, writable */
};

struct plan_input {
	const char *identity;       /* identity_make, or the one being resumed */
	const struct host_env *env; /* only asked whether variables are set */
	const char *cwd;            /* absolute */
	enum plan_cwd cwd_mode;
	enum backend_kind backend;
	bool headless;
	const char *prompt;         /* --prompt TEXT; NULL: none */
	const char *const *command; /* after `--`, NULL-terminated; NULL: the provider's own */
};

enum plan_env_kind {
	PLAN_ENV_FIXED,       /* set by us; `value` */
	PLAN_ENV_PLACEHOLDER, /* looks like a credential to the program and is none; `value` */
	PLAN_ENV_LITERAL,     /* from the bottle; `value` */
	PLAN_ENV_PROMPT,      /* secret; `ref` is the prompt to show */
	PLAN_ENV_HOST,        /* secret; `ref` is the host variable */
};

struct plan_env {
	char *name;
	enum plan_env_kind kind;
	char *value; /* NULL for secrets */
	char *ref;   /* NULL but for secrets */
};

enum plan_route_source { PLAN_ROUTE_ROUTE, PLAN_ROUTE_ALLOWLIST, PLAN_ROUTE_PROVIDER };

/*
 * The table is routes, then allowlist, then the provider's hosts. A host that a route covers
 * already adds nothing: the stricter rule stays.
 */
struct plan_route {
	const char *host; /* without port; borrowed from route, the bottle or a table */
	enum plan_route_source source;
	const struct bottle_route *route; /* all it says; NULL for a bare route */
	const char *slot; /* EGRESS_PROXY_TOKEN_N, borrowed from credentials; NULL without auth */
};

struct plan_credential {
	char *slot;            /* EGRESS_PROXY_TOKEN_N */
	const char *token_ref; /* host variable; borrowed from the bottle */
	bool basic;            /* some route uses it as Basic: the value is user:password */
};

/* Each git upstream and the spellings that ~/.gitconfig must turn to the gate. */
struct plan_git {
	const struct bottle_git *git;
	char *gate_url; /* git://git-gate/NAME.git */
	/*
	 * Whole URLs of this repository: ssh://, scp-like, https://, with and without ".git". git's
	 * insteadOf matches prefixes: the longest spelling wins, and a writer of gitconfig knows it.
	 */
	struct str_list spellings;
};

enum plan_role {
	ROLE_NETWORK_NET,    /* agent and what it may talk to; internal */
	ROLE_NETWORK_GATE,   /* egress-proxy to pipelock; internal */
	ROLE_NETWORK_EGRESS, /* the way out */
	ROLE_AGENT,
	ROLE_EGRESS_PROXY,
	ROLE_PIPELOCK,
	ROLE_GIT_GATE,
	ROLE_SUPERVISE,
	ROLE_COUNT
};
/* Value of the label bottle.role: "net", "gate", "egress", "agent", "egress-proxy", … */
const char *plan_role_name(enum plan_role r);

struct plan_network {
	enum plan_role role;
	char *name;    /* bottle-net-ID, bottle-gate-ID, bottle-egress-ID */
	bool internal; /* no way out; bridge without an address (spec 1.2.6) */
};

/* A container (or a native box): the agent or a sidecar. */
struct plan_box {
	enum plan_role role;
	char *name;        /* bottle-ID, bottle-egress-proxy-ID, … */
	const char *alias; /* its name on the internal network; NULL for the agent */
	unsigned port;     /* what it listens on; 0 for the agent */
	unsigned networks; /* bit set of 1u << ROLE_NETWORK_… */
	unsigned pids;     /* limit of processes */
	unsigned memory_mib;
};

enum plan_image {
	PLAN_IMAGE_NAMED,      /* `image` is pulled when it is not there */
	PLAN_IMAGE_DOCKERFILE, /* built from the file `source`, tagged `image` */
	PLAN_IMAGE_EMBEDDED,   /* built from the embedded file `source`, tagged `image` */
	PLAN_IMAGE_ROOTFS,     /* native: the directory `source` is the root */
	PLAN_IMAGE_HOST,       /* native: the host's own /usr, read-only */
};

struct plan {
	char *identity;
	const struct agent *agent;   /* borrowed: the manifest outlives the plan */
	const struct bottle *bottle; /* borrowed */
	enum backend_kind backend;
	char *cwd;
	enum plan_cwd cwd_mode;
	bool headless;

	enum plan_image image_kind;
	char *image;         /* reference or tag; NULL for ROOTFS and HOST */
	char *image_source;  /* path; NULL for NAMED and HOST */
	char *sidecar_image; /* tag of the image that holds this binary; NULL with native */
	struct str_list command;
	char *user;
	const char *home; /* $HOME in the box; NULL: what the image says of `user` */
	char *workdir;
	const char *system_file; /* where the agent's prompt goes in the box; NULL: it has none */
	char *skills_dir;        /* host directory that holds agent->skills; NULL: it has none */

	struct plan_env *env; /* sorted by name */
	size_t env_count;
	struct plan_route *routes; /* the one table of spec 1.3, in order */
	size_t route_count;
	char *routes_json; /* the same as egress-proxy's routes file (spec 2.2), checked by its
			      parser */
	struct plan_credential *credentials; /* in order of slot */
	size_t credential_count;
	struct plan_git *git;
	size_t git_count;
	struct plan_network networks[3];
	size_t network_count;
	struct plan_box boxes[5]; /* the agent first, then the sidecars */
	size_t box_count;

	struct str_list red;         /* what the operator must see: one line each */
	struct str_list unsupported; /* what this version cannot do yet: plan_unsupported */
};

/*
 * Makes the plan. E_USAGE: options that do not go together (a prompt without a provider that takes
 * one, …). E_BAD: the manifest cannot run so (custom without command or image), or a host variable
 * that a token_ref or ${VAR} names is not set: the message names variable and place.
 */
struct plan *plan_make(const struct manifest *m, const struct plan_input *in, struct err *err)
	__attribute__((warn_unused_result));
void plan_free(struct plan *p);
static inline void plan_free_p(struct plan **p)
{
	plan_free(*p);
}
#define auto_plan __attribute__((cleanup(plan_free_p)))

/*
 * What the bottle needs and this version does not have: one sentence each. `start` refuses a plan
 * whose list is not empty (fail closed: a declared protection is never left out silently).
 */
const struct str_list *plan_unsupported(const struct plan *p);

/* The box / network of this role, or NULL when the plan has none. */
const struct plan_box *plan_box(const struct plan *p, enum plan_role role);
const struct plan_network *plan_network(const struct plan *p, enum plan_role role);

/* One JSON object, indented, a final newline. Stable: members are only ever added. */
int plan_write_json(const struct plan *p, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* For a person: at most a screen for a usual bottle. `colour`: ANSI bold and red. */
int plan_write_preflight(const struct plan *p, bool colour, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
