#include "manifest/bundle.h"

#include <stddef.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

#define CERTIFICATE "-----BEGIN CERTIFICATE-----"
#define KEY "PRIVATE KEY-----"

/* Where distributions keep their bundle: Debian and Alpine, Fedora, openSUSE. */
static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
};

static int read_pem(const char *path, struct str_list *out, struct err *err)
{
	auto_buf text = BUF_INIT_SECRET(BUNDLE_MAX); /* should it hold a key after all */
	struct str s;

	if (file_read(path, &text, err) < 0)
		return -1;
	s = buf_str(&text);
	if (str_find(s, STR(KEY), 0) >= 0)
		return err_set(err, E_BAD, "%s: holds a private key; certificates only are wanted",
			       path);
	if (str_find(s, STR(CERTIFICATE), 0) < 0 || !str_is_utf8(s))
		return err_set(err, E_BAD, "%s: no PEM certificate in it", path);
	strs_take(out, str_dupz(s));
	return 0;
}

static int read_system(const struct host_env *env, struct str_list *out, struct err *err)
{
	const char *path = host_env_get(env, "SSL_CERT_FILE");

	if (path && *path)
		return read_pem(path, out, err);
	for (size_t i = 0; i < ARRAY_LEN(system_bundles); i++)
		if (access(system_bundles[i], R_OK) == 0)
			return read_pem(system_bundles[i], out, err);
	return 0;
}

static int read_all(const struct plan *p, const struct host_env *env, struct str_list *out,
		    struct err *err)
{
	const struct str_list *files = &p->bottle->egress.upstream_ca;

	if (read_system(env, out, err) < 0)
		return -1;
	for (size_t i = 0; i < files->n; i++)
		if (read_pem(files->v[i], out, err) < 0)
			return -1;
	if (out->n == 0)
		return err_set(
			err, E_BAD,
			"no CA certificates on this host to verify upstreams with: "
			"install ca-certificates, or set SSL_CERT_FILE or egress.upstream_ca");
	return 0;
}

int bundle_read_upstream_ca(const struct plan *p, const struct host_env *env, struct str_list *ret,
			    struct err *err)
{
	*ret = (struct str_list){ NULL, 0 };
	if (read_all(p, env, ret, err) == 0)
		return 0;
	strs_free(ret);
	return -1;
}

/* --- members: `,"name":` and a value ----------------------------------------------------------- */

static int add_string(struct buf *out, const char *before, struct str value, struct err *err)
{
	if (buf_addz(out, before, err) < 0)
		return -1;
	return json_quote(out, value, err);
}

static int add_strings(struct buf *out, const char *before, const struct str_list *l,
		       struct err *err)
{
	if (buf_addf(out, err, "%s[", before) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++)
		if (add_string(out, i ? "," : "", str_of(l->v[i]), err) < 0)
			return -1;
	return buf_addc(out, ']', err);
}

/* `"name":"value"`, after a comma but for the first */
static int add_pair(struct buf *out, bool *first, const char *name, struct str value,
		    struct err *err)
{
	if (add_string(out, *first ? "" : ",", str_of(name), err) < 0)
		return -1;
	*first = false;
	return add_string(out, ":", value, err);
}

static int add_tokens(struct buf *out, const struct secrets *s, struct err *err)
{
	bool first = true;

	if (buf_addz(out, ",\"tokens\":{", err) < 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == SECRET_TOKEN &&
		    add_pair(out, &first, s->v[i].name, buf_str(&s->v[i].value), err) < 0)
			return -1;
	return buf_addc(out, '}', err);
}

int bundle_egress_proxy(const struct plan *p, const struct secrets *s, struct str ca_pem,
			const struct str_list *upstream_ca, struct buf *out, struct err *err)
{
	const struct bottle_egress *e = &p->bottle->egress;
	bool gate = plan_box(p, ROLE_PIPELOCK) != NULL;

	if (buf_addf(out, err,
		     "{\"schema\":%d,\"component\":\"egress-proxy\",\"listen\":\"0.0.0.0:%d\","
		     "\"health\":\"127.0.0.1:%d\",\"control\":\"%s\",\"routes\":%s",
		     BUNDLE_SCHEMA, PLAN_EGRESS_PROXY_PORT, PLAN_EGRESS_PROXY_HEALTH,
		     PLAN_EGRESS_PROXY_CONTROL, p->routes_json) < 0)
		return -1;
	if (add_tokens(out, s, err) < 0 || add_string(out, ",\"ca\":", ca_pem, err) < 0 ||
	    add_strings(out, ",\"upstream_ca\":", upstream_ca, err) < 0 ||
	    add_strings(out, ",\"resolve\":", &e->resolve, err) < 0 ||
	    add_strings(out, ",\"allow_private\":", &e->allow_private, err) < 0)
		return -1;
	return buf_addf(out, err,
			",\"upstream_proxy\":%s,\"upstream_proxy_ca\":null,\"names\":[\"%s\"]}\n",
			gate ? "\"http://pipelock:8888\"" : "null", PLAN_EGRESS_PROXY_HOST);
}

static int add_env(struct buf *out, const struct plan *p, const struct secrets *s, struct err *err)
{
	bool first = true;

	if (buf_addz(out, ",\"env\":{", err) < 0)
		return -1;
	for (size_t i = 0; i < p->env_count; i++) {
		const struct plan_env *e = &p->env[i];
		const struct buf *secret = secrets_get(s, SECRET_ENV, e->name);

		if (!e->value && !secret)
			return err_set(err, E_BAD, "no value was gathered for %s", e->name);
		if (add_pair(out, &first, e->name, e->value ? str_of(e->value) : buf_str(secret),
			     err) < 0)
			return -1;
	}
	return buf_addc(out, '}', err);
}

static int add_file(struct buf *out, const char *before, const char *path, struct str content,
		    struct err *err)
{
	if (buf_addz(out, before, err) < 0 ||
	    add_string(out, "{\"path\":", str_of(path), err) < 0 ||
	    add_string(out, ",\"mode\":\"0444\",\"content\":", content, err) < 0)
		return -1;
	return buf_addc(out, '}', err);
}

int bundle_agent(const struct plan *p, const struct secrets *s, struct str ca_cert_pem,
		 struct buf *out, struct err *err)
{
	if (str_find(ca_cert_pem, STR(KEY), 0) >= 0)
		return err_set(err, E_BAD, "the agent's CA certificate comes with its key");
	if (buf_addf(out, err, "{\"schema\":%d,\"component\":\"agent\"", BUNDLE_SCHEMA) < 0 ||
	    add_env(out, p, s, err) < 0 ||
	    add_file(out, ",\"files\":[", PLAN_CA_CERT, ca_cert_pem, err) < 0)
		return -1;
	if (p->system_file && add_file(out, ",", p->system_file, str_of(p->agent->prompt), err) < 0)
		return -1;
	return buf_addz(out, "]}\n", err);
}
