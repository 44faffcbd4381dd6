/*
 * bottle: the frontmatter of one $BOTTLE_HOME/bottles/NAME.md, checked key by key (spec 1.4).
 *
 * bottle_load reads one file as it stands; extends_resolve (extends.h) folds its parents in and
 * runs the checks that need the whole. Values given in the file are told from defaults (`has_…`),
 * because a child's default must not override what a parent says.
 *
 * Paths (IdentityFile, dockerfile, rootfs, upstream_ca) are `~/…`, absolute, or relative to the
 * bottle's file; the structs hold them absolute, and the files are seen to exist.
 */
#ifndef BOTTLE_MANIFEST_BOTTLE_H
#define BOTTLE_MANIFEST_BOTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/schema.h"
#include "base/yaml.h"
#include "manifest/home.h"
#include "manifest/notes.h"
#include "policy/route.h"

enum provider { PROVIDER_CLAUDE, PROVIDER_CODEX, PROVIDER_CUSTOM };

/* `agent:` what runs in the bottle */
struct bottle_agent {
	int provider; /* enum provider; default claude */
	bool has_provider;
	char *image;             /* image reference; at most one of image and dockerfile */
	char *dockerfile;        /* path */
	char *rootfs;            /* path of a directory, native backend */
	struct str_list command; /* argument vector; n == 0: the provider's own */
	char *user;              /* name or UID[:GID], never root; NULL: default */
	char *workdir;           /* absolute path in the bottle; NULL: default */
};

enum env_kind {
	ENV_LITERAL, /* value: the text itself */
	ENV_PROMPT,  /* `?prompt`: value is the prompt to show; the answer is a secret */
	ENV_HOST,    /* `${VAR}`: value is the host variable's name; its content is a secret */
};

struct bottle_env {
	char *name; /* [A-Za-z_][A-Za-z0-9_]* */
	enum env_kind kind;
	char *value;
	struct where at;
};
struct bottle_env_list {
	struct bottle_env *v;
	size_t n;
};

struct extra_host {
	char *name; /* lower case */
	char *ip;   /* normal form */
	struct where at;
};
struct extra_host_list {
	struct extra_host *v;
	size_t n;
};

/* A permission that has a third state: what spec 3 does when nothing is said. */
enum git_allow {
	GIT_ALLOW_DEFAULT, /* force, delete: not the upstream's default branch; tags: yes */
	GIT_ALLOW_NO,
	GIT_ALLOW_YES,
};

/* `push:` of a git entry (spec 3) */
struct git_push {
	struct str_list branches; /* globs over branch names; n == 0: any */
	enum git_allow allow_force, allow_delete, allow_tags;
	int64_t hold_s; /* seconds a push waits for approval; default 600 */
};

/* One entry of `git:` */
struct bottle_git {
	char *name;           /* Name: [A-Za-z0-9][A-Za-z0-9._-]*, no ".git" at the end */
	char *upstream;       /* Upstream as written: ssh://user@host[:port]/path */
	char *user;           /* …its parts */
	char *host;           /* lower case */
	uint16_t port;        /* 22 when not written */
	char *path;           /* "/org/repo.git", as written */
	char *identity_file;  /* IdentityFile, absolute */
	char *known_host_key; /* KnownHostKey: "ssh-ed25519 AAAA…"; NULL: the gate refuses to
				 forward */
	struct extra_host_list extra_hosts;
	struct git_push push;
	struct where at;
};
struct bottle_git_list {
	struct bottle_git *v;
	size_t n;
};

/* One entry of `egress_proxy.routes` */
struct bottle_route {
	struct route rule;      /* without token_env; stands first (policy/route.h) */
	char *token_ref;        /* host variable that holds the credential; NULL without auth */
	bool claude_code_oauth; /* role */
	struct where at;
};
struct bottle_route_list {
	struct bottle_route *v;
	size_t n;
};

/* One entry of `egress.dlp_allow`: a rule switched off for one host */
struct dlp_allow {
	char *host, *rule;
	struct where at;
};
struct dlp_allow_list {
	struct dlp_allow *v;
	size_t n;
};

enum dlp_action { DLP_BLOCK, DLP_WARN };

struct bottle_egress {
	struct str_list allowlist; /* hosts, lower case; "*.x" allowed, no port */
	int dlp_action;            /* enum dlp_action; default block */
	bool has_dlp_action;
	struct dlp_allow_list dlp_allow;
	char *upstream_proxy; /* "http://host:port", no user information; NULL: direct */
	/* For networks of the operator's own; each entry is shown in red in the preflight. */
	struct str_list upstream_ca; /* PEM files the proxies trust for upstreams, absolute paths */
	struct str_list resolve;     /* "host:port:addr" as curl --resolve, normal form */
	struct str_list allow_private; /* CIDR blocks that the SSRF guard lets through */
};

struct git_user {
	char *name, *email; /* both, or both NULL */
};

struct bottle {
	char *name;
	struct str_list files; /* every file it came from, parents first; what `where` points to */
	struct str_list extends; /* names as written, left to right */
	struct where extends_at;
	struct bottle_agent agent;
	struct bottle_env_list env;
	struct bottle_git_list git;
	struct git_user git_user;
	struct bottle_egress egress;
	bool repository_agents;
	bool has_repository_agents;
	struct bottle_route_list routes; /* egress_proxy.routes, order kept */
	bool supervise;
	bool has_supervise;
};

/*
 * Reads $BOTTLE_HOME/bottles/NAME.md alone, without its parents. E_NOTFOUND when there is no such
 * file. A key of the predecessor (cred_proxy, tokens, ssh, runtime) is an error and puts the
 * equivalent routes into notes->recipe. Freed with bottle_free.
 */
struct bottle *bottle_load(const struct home *h, const char *name, struct notes *notes,
			   struct err *err) __attribute__((warn_unused_result));

/* The same from text (of `file`, for messages and relative paths): for `bottle edit` and tests. */
struct bottle *bottle_parse(const struct home *h, const char *name, struct str text,
			    const char *file, struct notes *notes, struct err *err)
	__attribute__((warn_unused_result));

void bottle_free(struct bottle *b);
static inline void bottle_free_p(struct bottle **b)
{
	bottle_free(*b);
}
#define auto_bottle __attribute__((cleanup(bottle_free_p)))

const char *provider_name(enum provider p); /* "claude", "codex", "custom" */

/* The table behind the reference of the README. */
extern const struct schema bottle_schema;

#endif
