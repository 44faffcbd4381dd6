#include <stddef.h>

#include "base/buf.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/url.h"
#include "manifest/bottle_read.h"
#include "net/addr.h"

#define SSH_PORT 22
#define HOLD_DEFAULT_S 600
#define HOLD_MAX_S (24 * 3600)

void git_fini(struct bottle_git *g)
{
	for (size_t i = 0; i < g->extra_hosts.n; i++) {
		free(g->extra_hosts.v[i].name);
		free(g->extra_hosts.v[i].ip);
	}
	free(g->extra_hosts.v);
	free(g->user);
	free(g->host);
	free(g->path);
	strs_free(&g->push.branches);
	schema_free(&git_schema, g);
}

/* It becomes a directory in the gate and part of a URL. */
static int check_name(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		      struct err *err)
{
	struct str s = node->text;
	bool ok = s.n > 0 && (ascii_alpha(s.p[0]) || ascii_digit(s.p[0]));

	(void)out;
	for (size_t i = 0; i < s.n; i++)
		ok = ok && (ascii_alpha(s.p[i]) || ascii_digit(s.p[i]) || memchr("._-", s.p[i], 3));
	if (!ok || str_find(s, STR(".."), 0) >= 0)
		return schema_error(ctx, node, err,
				    "Name '%.*s': letters, digits, '.', '_' and "
				    "'-', starting with a letter or digit",
				    STR_ARG(s));
	if (str_iends(s, STR(".git")))
		return schema_error(ctx, node, err, "Name '%.*s': without '.git'; it is added",
				    STR_ARG(s));
	return 0;
}

static bool user_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) && !memchr("._-", s.p[i], 3))
			return false;
	return s.n > 0 && s.p[0] != '-';
}

/* ssh hands the path to a shell on the far side: only what needs no quoting there. */
static bool path_ok(struct str s)
{
	struct str rest = s, segment;

	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alpha(s.p[i]) && !ascii_digit(s.p[i]) &&
		    !memchr("/._-~+@:,=%", s.p[i], 11))
			return false;
	while (str_split(&rest, '/', &segment))
		if (str_eqz(segment, "..") || str_eqz(segment, ".") ||
		    str_starts(segment, STR("-")))
			return false;
	return s.n > 1;
}

static int check_upstream(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	struct bottle_git *g = out;
	struct str rest = node->text, user, host;
	struct err why = ERR_INIT;
	struct authority a;
	ssize_t at, slash;

	if (!str_starts(rest, STR("ssh://")))
		return schema_error(ctx, node, err,
				    "Upstream '%.*s': expected "
				    "ssh://user@host[:port]/path",
				    STR_ARG(node->text));
	rest = str_from(rest, strlen("ssh://"));
	slash = str_chr(rest, '/', 0);
	at = str_chr(rest, '@', 0);
	if (slash < 0 || at < 0 || at > slash)
		return schema_error(ctx, node, err,
				    "Upstream '%.*s': expected "
				    "ssh://user@host[:port]/path",
				    STR_ARG(node->text));
	user = str_sub(rest, 0, (size_t)at);
	host = str_sub(rest, (size_t)at + 1, (size_t)(slash - at - 1));
	rest = str_from(rest, (size_t)slash);
	if (!user_ok(user))
		return schema_error(ctx, node, err,
				    "Upstream: user '%.*s': letters, digits, '.', "
				    "'_' and '-'",
				    STR_ARG(user));
	if (url_parse_authority(host, SSH_PORT, &a, &why) < 0)
		return schema_error(ctx, node, err, "Upstream: host '%.*s': %s", STR_ARG(host),
				    why.text);
	if (!path_ok(rest))
		return schema_error(ctx, node, err, "Upstream: path '%.*s': not a plain path",
				    STR_ARG(rest));
	g->user = str_dupz(user);
	g->host = mem_strdup(a.host);
	g->port = a.port;
	g->path = str_dupz(rest);
	return 0;
}

static int check_identity(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	struct bottle_git *g = out;

	return resolve_file(ctx, node, &g->identity_file, "IdentityFile", err);
}

/*
 * One public key as in known_hosts, without the host: type, base64. The blob begins with its type
 * as an RFC 4251 5 string, which must be the one written before it.
 */
static int check_known_host_key(const struct schema_ctx *ctx, const struct yaml *node, void *out,
				struct err *err)
{
	struct str rest = node->text, type, key;
	auto_buf blob = BUF_INIT(MANIFEST_TEXT_MAX);
	auto_buf head = BUF_INIT(MANIFEST_TEXT_MAX);
	struct str b;
	bool ok;

	(void)out;
	if (!str_split(&rest, ' ', &type) || !str_split(&rest, ' ', &key) || type.n > 255 ||
	    (!str_starts(type, STR("ssh-")) && !str_starts(type, STR("ecdsa-sha2-")) &&
	     !str_starts(type, STR("sk-"))))
		return schema_error(ctx, node, err,
				    "KnownHostKey: expected a type and a key, such "
				    "as 'ssh-ed25519 AAAA…', without the host");
	if (enc_base64_decode(&blob, key, NULL) < 0)
		return schema_error(ctx, node, err, "KnownHostKey: the key is not base64");
	ok = buf_add(&head, str_mem((const char[]){ 0, 0, 0, (char)type.n }, 4), NULL) == 0 &&
	     buf_add(&head, type, NULL) == 0;
	b = buf_str(&blob);
	if (!ok || !str_starts(b, buf_str(&head)) || b.n <= head.len)
		return schema_error(ctx, node, err, "KnownHostKey: the key is not of type '%.*s'",
				    STR_ARG(type));
	return 0;
}

static int read_extra_hosts(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			    struct err *err)
{
	struct bottle_git *g = out;
	struct extra_host_list *l = &g->extra_hosts;

	if (node->kind != YAML_MAP)
		return schema_error(ctx, node, err,
				    "'ExtraHosts' must be a map of host names to "
				    "addresses, not %s",
				    yaml_kind_name(node));
	if (node->count > MANIFEST_LIST_MAX)
		return schema_error(ctx, node, err, "'ExtraHosts': more than %d entries",
				    MANIFEST_LIST_MAX);
	l->v = mem_array(node->count, sizeof(*l->v));
	for (const struct yaml *v = node->child; v; v = v->next) {
		struct extra_host *h = &l->v[l->n++];
		char ip[ADDR_TEXT_MAX];
		struct err why = ERR_INIT;
		struct authority a;
		struct addr addr;

		h->at = where_of(ctx, v->key);
		if (url_parse_authority(v->key->text, 0, &a, &why) < 0 || a.has_port || a.is_ip)
			return schema_error(ctx, v->key, err,
					    "ExtraHosts: '%.*s' is not a host "
					    "name",
					    STR_ARG(v->key->text));
		h->name = mem_strdup(a.host);
		if (want_text(ctx, v, "ExtraHosts", MANIFEST_TEXT_MAX, err) < 0)
			return -1;
		if (addr_parse(v->text, 0, &addr, &why) < 0)
			return schema_error(ctx, v, err, "ExtraHosts: %s", why.text);
		addr_text(&addr, false, ip);
		h->ip = mem_strdup(ip);
		for (struct extra_host *o = l->v; o < h; o++)
			if (str_eqz(str_of(o->name), h->name))
				return schema_error(ctx, v->key, err,
						    "ExtraHosts: '%s' is already "
						    "in line %d",
						    h->name, o->at.line);
	}
	return 0;
}

/* --- push --- */

struct push {
	struct str_list branches;
	bool allow_force, allow_delete, allow_tags;
	bool has_force, has_delete, has_tags;
	int64_t hold_s;
};

static int check_branches(const struct schema_ctx *ctx, const struct yaml *node, void *out,
			  struct err *err)
{
	(void)out;
	if (node->count == 0)
		return schema_error(ctx, node, err,
				    "branches: an empty list allows no push; leave "
				    "the key out to allow any branch");
	for (const struct yaml *b = node->child; b; b = b->next)
		if (b->text.n == 0 || str_has_ctl(b->text) || str_chr(b->text, ' ', 0) >= 0 ||
		    str_starts(b->text, STR("refs/")))
			return schema_error(ctx, b, err,
					    "branches: '%.*s': the pattern of a branch "
					    "name without 'refs/heads/'",
					    STR_ARG(b->text));
	return 0;
}

/* "90", "90s", "10m", "2h" */
static int read_hold(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	struct push *p = out;
	struct str s = node->text;
	uint64_t n, unit = 1;

	if (node->kind == YAML_SCALAR && s.n > 0) {
		char last = s.p[s.n - 1];

		unit = last == 'h' ? 3600 : last == 'm' ? 60 : 1;
		if (last == 'h' || last == 'm' || last == 's')
			s.n--;
	}
	if (node->kind != YAML_SCALAR || str_to_u64(s, HOLD_MAX_S / unit, &n) < 0 || n == 0)
		return schema_error(ctx, node, err,
				    "hold: expected a time such as 90s, 10m or 2h, "
				    "at most 24h");
	p->hold_s = (int64_t)(n * unit);
	return 0;
}

// clang-format off
static const struct schema_key push_keys[] = {
	{ .name = "branches", .type = SCHEMA_STR_LIST, .offset = offsetof(struct push, branches),
	  .max = MANIFEST_LIST_MAX, .check = check_branches,
	  .doc = "globs of branch names that may be pushed; absent: any" },
	{ .name = "allow_force", .type = SCHEMA_BOOL, .offset = offsetof(struct push, allow_force),
	  .set_offset = offsetof(struct push, has_force),
	  .doc = "forced updates; absent: all but the upstream's default branch" },
	{ .name = "allow_delete", .type = SCHEMA_BOOL, .offset = offsetof(struct push, allow_delete),
	  .set_offset = offsetof(struct push, has_delete),
	  .doc = "deletions; absent: all but the upstream's default branch" },
	{ .name = "allow_tags", .type = SCHEMA_BOOL, .offset = offsetof(struct push, allow_tags),
	  .set_offset = offsetof(struct push, has_tags),
	  .doc = "tags; absent: yes" },
	{ .name = "hold", .type = SCHEMA_CUSTOM, .check = read_hold,
	  .doc = "how long a push waits for approval: 90s, 10m, 2h; absent: 10m" },
	{ .name = NULL },
};
// clang-format on
static const struct schema push_schema = { .what = "push",
					   .size = sizeof(struct push),
					   .keys = push_keys };

static enum git_allow allow_of(bool given, bool yes)
{
	return !given ? GIT_ALLOW_DEFAULT : yes ? GIT_ALLOW_YES : GIT_ALLOW_NO;
}

static int read_push(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	struct bottle_git *g = out;
	struct push p = { .hold_s = HOLD_DEFAULT_S };
	int rc = schema_read(&push_schema, ctx, node, &p, err);

	g->push = (struct git_push){
		.branches = p.branches,
		.allow_force = allow_of(p.has_force, p.allow_force),
		.allow_delete = allow_of(p.has_delete, p.allow_delete),
		.allow_tags = allow_of(p.has_tags, p.allow_tags),
		.hold_s = p.hold_s,
	};
	return rc;
}

static int check_git(const struct schema_ctx *ctx, const struct yaml *node, void *out,
		     struct err *err)
{
	struct bottle_git *g = out;

	(void)err;
	g->at = where_of(ctx, node);
	if (!yaml_get(node, "push"))
		g->push.hold_s = HOLD_DEFAULT_S;
	return 0;
}

// clang-format off
static const struct schema_key git_keys[] = {
	{ .name = "Name", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct bottle_git, name), .min = 1, .max = 64, .check = check_name,
	  .doc = "name of the repository in the gate; unique" },
	{ .name = "Upstream", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct bottle_git, upstream), .min = 1, .max = MANIFEST_TEXT_MAX,
	  .check = check_upstream, .doc = "ssh://user@host[:port]/path" },
	{ .name = "IdentityFile", .type = SCHEMA_STR, .flags = SCHEMA_REQUIRED,
	  .offset = offsetof(struct bottle_git, identity_file), .min = 1, .max = MANIFEST_TEXT_MAX,
	  .check = check_identity, .doc = "private key for the upstream; stays in the gate" },
	{ .name = "KnownHostKey", .type = SCHEMA_STR,
	  .offset = offsetof(struct bottle_git, known_host_key), .min = 1, .max = MANIFEST_TEXT_MAX,
	  .check = check_known_host_key,
	  .doc = "the upstream's host key, `ssh-ed25519 AAAA…`; without it nothing is forwarded" },
	{ .name = "ExtraHosts", .type = SCHEMA_CUSTOM, .check = read_extra_hosts,
	  .doc = "host name: address, for upstreams that DNS does not know" },
	{ .name = "push", .type = SCHEMA_CUSTOM, .sub = &push_schema, .check = read_push,
	  .doc = "what may be pushed" },
	{ .name = NULL },
};
// clang-format on
const struct schema git_schema = { .what = "git entry",
				   .size = sizeof(struct bottle_git),
				   .keys = git_keys,
				   .check = check_git };

int read_git(const struct schema_ctx *ctx, const struct yaml *node, void *out, struct err *err)
{
	struct bottle *b = out;
	struct bottle_git_list *l = &b->git;

	if (want_list(ctx, node, "git", err) < 0)
		return -1;
	l->v = mem_array(node->count, sizeof(*l->v));
	for (const struct yaml *item = node->child; item; item = item->next) {
		/* counted first: what a failure leaves behind is freed with the list */
		struct bottle_git *g = &l->v[l->n++];

		if (schema_read(&git_schema, ctx, item, g, err) < 0)
			return -1;
		/* on some file systems the gate's directories differ by case only */
		for (struct bottle_git *o = l->v; o < g; o++)
			if (str_ieqz(str_of(o->name), g->name))
				return schema_error(ctx, yaml_get(item, "Name"), err,
						    "Name '%s' is already in line %d", g->name,
						    o->at.line);
	}
	return 0;
}
