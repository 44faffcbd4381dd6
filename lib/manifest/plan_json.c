#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "manifest/plan_parts.h"

static struct json *strings(const struct str_list *l)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < l->n; i++)
		json_append(a, json_new_str(str_of(l->v[i])));
	return a;
}

static void set_int(struct json *o, const char *key, int64_t v)
{
	json_set(o, key, json_new_int(v));
}

static const char *const cwd_names[] = {
	[PLAN_CWD_NONE] = "none",
	[PLAN_CWD_COPY] = "copy",
	[PLAN_CWD_BIND] = "bind",
};
static const char *const image_names[] = {
	[PLAN_IMAGE_NAMED] = "named",       [PLAN_IMAGE_DOCKERFILE] = "dockerfile",
	[PLAN_IMAGE_EMBEDDED] = "embedded", [PLAN_IMAGE_ROOTFS] = "rootfs",
	[PLAN_IMAGE_HOST] = "host",
};
static const char *const env_names[] = {
	[PLAN_ENV_FIXED] = "fixed",     [PLAN_ENV_PLACEHOLDER] = "placeholder",
	[PLAN_ENV_LITERAL] = "literal", [PLAN_ENV_PROMPT] = "prompt",
	[PLAN_ENV_HOST] = "host",
};
static const char *const route_names[] = {
	[PLAN_ROUTE_ROUTE] = "route",
	[PLAN_ROUTE_ALLOWLIST] = "allowlist",
	[PLAN_ROUTE_PROVIDER] = "provider",
};

static struct json *agent_json(const struct plan *p)
{
	struct json *o = json_new_object();

	json_set_strz(o, "name", p->agent->name);
	json_set_strz(o, "file", p->agent->file);
	json_set(o, "repository", json_new_bool(p->agent->repository));
	json_set(o, "skills", strings(&p->agent->skills));
	return o;
}

static struct json *bottle_json(const struct plan *p)
{
	struct json *o = json_new_object();

	json_set_strz(o, "name", p->bottle->name);
	json_set(o, "files", strings(&p->bottle->files));
	return o;
}

static struct json *session_json(const struct plan *p)
{
	struct json *o = json_new_object();

	json_set_strz(o, "provider", plan_provider(p)->name);
	json_set(o, "command", strings(&p->command));
	json_set(o, "headless", json_new_bool(p->headless));
	json_set_strz(o, "user", p->user);
	json_set_strz(o, "home", p->home);
	json_set_strz(o, "workdir", p->workdir);
	json_set_strz(o, "system_file", p->system_file);
	json_set_strz(o, "skills_dir", p->skills_dir);
	return o;
}

static struct json *image_json(const struct plan *p)
{
	struct json *o = json_new_object();

	json_set_strz(o, "kind", image_names[p->image_kind]);
	json_set_strz(o, "name", p->image);
	json_set_strz(o, "source", p->image_source);
	json_set_strz(o, "sidecar", p->sidecar_image);
	return o;
}

static struct json *cwd_json(const struct plan *p)
{
	struct json *o = json_new_object();

	json_set_strz(o, "path", p->cwd);
	json_set_strz(o, "mode", cwd_names[p->cwd_mode]);
	return o;
}

static struct json *labels_json(const struct plan *p)
{
	struct json *o = json_new_object();

	json_set_strz(o, PLAN_LABEL_IDENTITY, p->identity);
	json_set_strz(o, PLAN_LABEL_VERSION, bottle_version());
	return o;
}

static struct json *env_json(const struct plan *p)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < p->env_count; i++) {
		struct json *o = json_new_object();

		json_set_strz(o, "name", p->env[i].name);
		json_set_strz(o, "source", env_names[p->env[i].kind]);
		json_set_strz(o, "value", p->env[i].value);
		json_set_strz(o, "ref", p->env[i].ref);
		json_append(a, o);
	}
	return a;
}

static struct json *routes_json(const struct plan *p)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < p->route_count; i++) {
		const struct plan_route *r = &p->routes[i];
		struct json *o = plan_route_json(r);

		json_set_strz(o, "source", route_names[r->source]);
		json_set_strz(o, "token_ref", r->route ? r->route->token_ref : NULL);
		json_set_strz(o, "slot", r->slot);
		json_append(a, o);
	}
	return a;
}

static struct json *credentials_json(const struct plan *p)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < p->credential_count; i++) {
		struct json *o = json_new_object();

		json_set_strz(o, "slot", p->credentials[i].slot);
		json_set_strz(o, "token_ref", p->credentials[i].token_ref);
		json_append(a, o);
	}
	return a;
}

static struct json *egress_json(const struct plan *p)
{
	const struct bottle_egress *e = &p->bottle->egress;
	struct json *o = json_new_object();
	struct json *dlp_allow = json_new_array();

	json_set_strz(o, "dlp_action", e->dlp_action == DLP_WARN ? "warn" : "block");
	for (size_t i = 0; i < e->dlp_allow.n; i++) {
		struct json *allow = json_new_object();

		json_set_strz(allow, "host", e->dlp_allow.v[i].host);
		json_set_strz(allow, "rule", e->dlp_allow.v[i].rule);
		json_append(dlp_allow, allow);
	}
	json_set(o, "dlp_allow", dlp_allow);
	json_set(o, "upstream_ca", strings(&e->upstream_ca));
	json_set(o, "resolve", strings(&e->resolve));
	json_set(o, "allow_private", strings(&e->allow_private));
	json_set_strz(o, "upstream_proxy", e->upstream_proxy);
	return o;
}

static struct json *git_json(const struct plan *p)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < p->git_count; i++) {
		struct json *o = json_new_object();

		json_set_strz(o, "name", p->git[i].git->name);
		json_set_strz(o, "upstream", p->git[i].git->upstream);
		json_set_strz(o, "gate_url", p->git[i].gate_url);
		json_set_strz(o, "identity_file", p->git[i].git->identity_file);
		json_set_strz(o, "known_host_key", p->git[i].git->known_host_key);
		json_set(o, "instead_of", strings(&p->git[i].spellings));
		json_append(a, o);
	}
	return a;
}

static struct json *networks_json(const struct plan *p)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < p->network_count; i++) {
		struct json *o = json_new_object();

		json_set_strz(o, "role", plan_role_name(p->networks[i].role));
		json_set_strz(o, "name", p->networks[i].name);
		json_set(o, "internal", json_new_bool(p->networks[i].internal));
		json_append(a, o);
	}
	return a;
}

static struct json *boxes_json(const struct plan *p)
{
	struct json *a = json_new_array();

	for (size_t i = 0; i < p->box_count; i++) {
		const struct plan_box *b = &p->boxes[i];
		struct json *o = json_new_object();
		struct json *networks = json_new_array();

		json_set_strz(o, "role", plan_role_name(b->role));
		json_set_strz(o, "name", b->name);
		json_set_strz(o, "alias", b->alias);
		if (b->port)
			set_int(o, "port", b->port);
		for (size_t n = 0; n < p->network_count; n++)
			if (b->networks & (1u << p->networks[n].role))
				json_append(networks, json_new_str(str_of(p->networks[n].name)));
		json_set(o, "networks", networks);
		set_int(o, "pids", b->pids);
		set_int(o, "memory_mib", b->memory_mib);
		json_append(a, o);
	}
	return a;
}

int plan_write_json(const struct plan *p, struct buf *out, struct err *err)
{
	auto_json struct json *o = json_new_object();

	set_int(o, "schema", PLAN_SCHEMA);
	json_set_strz(o, "identity", p->identity);
	json_set(o, "labels", labels_json(p));
	json_set(o, "agent", agent_json(p));
	json_set(o, "bottle", bottle_json(p));
	json_set_strz(o, "backend", p->backend == BACKEND_DOCKER ? "docker" : "native");
	json_set(o, "image", image_json(p));
	json_set(o, "session", session_json(p));
	json_set(o, "cwd", cwd_json(p));
	json_set(o, "networks", networks_json(p));
	json_set(o, "boxes", boxes_json(p));
	json_set(o, "routes", routes_json(p));
	json_set(o, "credentials", credentials_json(p));
	json_set(o, "egress", egress_json(p));
	json_set(o, "env", env_json(p));
	json_set(o, "git", git_json(p));
	json_set(o, "warnings", strings(&p->red));
	json_set(o, "unsupported", strings(&p->unsupported));
	if (json_write(o, true, out, err) < 0)
		return -1;
	return buf_addc(out, '\n', err);
}
