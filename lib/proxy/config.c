#include "proxy/config.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/url.h"

static void list_add(struct str_list *l, struct str s)
{
	l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = str_dupz(s);
}

static void list_free(struct str_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct str_list){ NULL, 0 };
}

void proxy_config_init(struct proxy_config *c)
{
	*c = (struct proxy_config){ .head_timeout_ms = PROXY_HEAD_TIMEOUT_MS,
				    .memory = PROXY_MEMORY_MAX,
				    .idle_timeout_ms = PROXY_IDLE_TIMEOUT_MS };
}

void proxy_config_fini(struct proxy_config *c)
{
	free(c->control);
	routes_free(c->routes);
	tokens_fini(&c->tokens);
	ca_free(c->ca);
	list_free(&c->upstream_ca);
	list_free(&c->upstream_ca_source);
	list_free(&c->names);
	for (size_t i = 0; i < c->pin_count; i++)
		free(c->pins[i].host);
	free(c->gate_host);
	*c = (struct proxy_config){ .control = NULL };
}

int proxy_config_add_pin(struct proxy_config *c, struct str spec, struct err *err)
{
	ssize_t first = str_chr(spec, ':', 0);
	ssize_t second = first < 0 ? -1 : str_chr(spec, ':', (size_t)first + 1);
	struct proxy_pin *pin = &c->pins[c->pin_count];
	struct authority a;

	if (second < 0)
		return err_set(err, E_BAD, "\"%.*s\" is not HOST:PORT:ADDRESS", STR_ARG(spec));
	if (c->pin_count == PROXY_PINS_MAX)
		return err_set(err, E_LIMIT, "more than %d pinned addresses", PROXY_PINS_MAX);
	if (url_parse_authority(str_sub(spec, 0, (size_t)second), 0, &a, err) < 0 ||
	    addr_parse(str_from(spec, (size_t)second + 1), a.port, &pin->addr, err) < 0)
		return err_wrap(err, "\"%.*s\"", STR_ARG(spec));
	pin->host = mem_strdup(a.host);
	c->pin_count++;
	return 0;
}

void proxy_config_add_upstream_ca(struct proxy_config *c, struct str pem, const char *source)
{
	list_add(&c->upstream_ca, pem);
	list_add(&c->upstream_ca_source, str_of(source));
}

int proxy_config_set_gate(struct proxy_config *c, struct str url, struct err *err)
{
	struct url u;

	if (url_parse_absolute(url, &u, err) < 0)
		return -1;
	if (!str_ieqz(u.scheme, "http") || u.path.n > 1 || u.query.p)
		return err_set(err, E_BAD, "an upstream proxy is given as http://HOST:PORT");
	free(c->gate_host);
	c->gate_host = mem_strdup(u.authority.host);
	c->gate_port = u.authority.port;
	return 0;
}

static int wrong_type(const char *want, struct err *err)
{
	return err_set(err, E_BAD, "must be %s", want);
}

static int want_str(const struct json *v, struct str *ret, struct err *err)
{
	if (json_kind(v) != JSON_KIND_STR || str_chr(json_str(v), '\0', 0) >= 0)
		return wrong_type("a string", err);
	*ret = json_str(v);
	return 0;
}

static int read_listen(struct proxy_config *c, const struct json *v, struct err *err)
{
	struct str s;

	return want_str(v, &s, err) < 0 || addr_parse_listen(s, &c->listen, err) < 0 ? -1 : 0;
}

static int read_health(struct proxy_config *c, const struct json *v, struct err *err)
{
	struct str s;

	c->has_health = true;
	return want_str(v, &s, err) < 0 || addr_parse_listen(s, &c->health, err) < 0 ? -1 : 0;
}

static int read_control(struct proxy_config *c, const struct json *v, struct err *err)
{
	struct str s;

	if (want_str(v, &s, err) < 0)
		return -1;
	free(c->control);
	c->control = str_dupz(s);
	return 0;
}

static int read_routes(struct proxy_config *c, const struct json *v, struct err *err)
{
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);

	if (json_write(v, false, &text, err) < 0)
		return -1;
	routes_free(c->routes);
	c->routes = routes_parse(buf_str(&text), "routes", err);
	return c->routes ? 0 : -1;
}

static int read_tokens(struct proxy_config *c, const struct json *v, struct err *err)
{
	const struct json *token;
	struct str slot, value;
	void *pos = NULL;

	if (json_kind(v) != JSON_KIND_OBJECT)
		return wrong_type("an object of strings", err);
	while ((token = json_each(v, &pos, &slot)))
		if (want_str(token, &value, err) < 0 ||
		    tokens_set(&c->tokens, slot, value, err) < 0)
			return -1;
	return 0;
}

static int read_ca(struct proxy_config *c, const struct json *v, struct err *err)
{
	struct str s;

	if (want_str(v, &s, err) < 0)
		return -1;
	ca_free(c->ca);
	c->ca = ca_load(s, "certificate and key", err);
	return c->ca ? 0 : -1;
}

/* Calls `each` for every string of a list. */
static int each_str(struct proxy_config *c, const struct json *v,
		    int (*each)(struct proxy_config *c, struct str s, struct err *err),
		    struct err *err)
{
	if (json_kind(v) != JSON_KIND_ARRAY)
		return wrong_type("a list of strings", err);
	for (size_t i = 0; i < json_len(v); i++) {
		struct str s;

		if (want_str(json_at(v, i), &s, err) < 0 || each(c, s, err) < 0)
			return -1;
	}
	return 0;
}

static int add_ca(struct proxy_config *c, struct str s, struct err *err)
{
	(void)err;
	proxy_config_add_upstream_ca(c, s, "bundle upstream_ca");
	return 0;
}

static int read_upstream_ca(struct proxy_config *c, const struct json *v, struct err *err)
{
	return each_str(c, v, add_ca, err);
}

static int read_resolve(struct proxy_config *c, const struct json *v, struct err *err)
{
	return each_str(c, v, proxy_config_add_pin, err);
}

static int allow_private(struct proxy_config *c, struct str s, struct err *err)
{
	return ssrf_allow(&c->ssrf, s, err);
}

static int read_allow_private(struct proxy_config *c, const struct json *v, struct err *err)
{
	return each_str(c, v, allow_private, err);
}

static int read_gate(struct proxy_config *c, const struct json *v, struct err *err)
{
	struct str s;

	if (json_kind(v) == JSON_KIND_NULL)
		return 0;
	return want_str(v, &s, err) < 0 ? -1 : proxy_config_set_gate(c, s, err);
}

static int read_gate_ca(struct proxy_config *c, const struct json *v, struct err *err)
{
	struct str s;

	if (json_kind(v) == JSON_KIND_NULL)
		return 0;
	if (want_str(v, &s, err) < 0)
		return -1;
	proxy_config_add_upstream_ca(c, s, "bundle upstream_proxy_ca");
	c->has_gate_ca = true;
	return 0;
}

void proxy_config_add_name(struct proxy_config *c, struct str name)
{
	list_add(&c->names, name);
}

static int add_name(struct proxy_config *c, struct str s, struct err *err)
{
	(void)err;
	proxy_config_add_name(c, s);
	return 0;
}

static int read_names(struct proxy_config *c, const struct json *v, struct err *err)
{
	return each_str(c, v, add_name, err);
}

static int read_schema(struct proxy_config *c, const struct json *v, struct err *err)
{
	(void)c;
	if (json_kind(v) != JSON_KIND_NUMBER || json_int(v) != 1)
		return err_set(err, E_BAD, "must be 1; launcher and sidecar differ");
	return 0;
}

static int read_component(struct proxy_config *c, const struct json *v, struct err *err)
{
	(void)c;
	if (!str_eqz(json_str(v), "egress-proxy"))
		return err_set(err, E_BAD, "it is for another component");
	return 0;
}

static const struct {
	const char *key;
	int (*read)(struct proxy_config *c, const struct json *v, struct err *err);
	bool required;
} members[] = {
	{ "schema", read_schema, true },
	{ "component", read_component, true },
	{ "listen", read_listen, true },
	{ "health", read_health, false },
	{ "control", read_control, false },
	{ "routes", read_routes, true },
	{ "tokens", read_tokens, false },
	{ "ca", read_ca, true },
	{ "upstream_ca", read_upstream_ca, false },
	{ "resolve", read_resolve, false },
	{ "allow_private", read_allow_private, false },
	{ "upstream_proxy", read_gate, false },
	{ "upstream_proxy_ca", read_gate_ca, false },
	{ "names", read_names, false },
};

static int read_member(struct proxy_config *c, struct str key, const struct json *v,
		       struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (str_eqz(key, members[i].key))
			return members[i].read(c, v, err) < 0
				       ? err_wrap(err, "bundle: %s", members[i].key)
				       : 0;
	return err_set(err, E_BAD, "bundle: unknown key \"%.*s\"", STR_ARG(key));
}

int proxy_config_read_bundle(struct proxy_config *c, struct str text, struct err *err)
{
	auto_json struct json *doc = json_parse(text, "bundle", err);
	const struct json *v;
	struct str key;
	void *pos = NULL;

	if (!doc)
		return -1;
	if (json_kind(doc) != JSON_KIND_OBJECT)
		return err_set(err, E_BAD, "bundle: must be an object");
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (members[i].required && !json_get(doc, members[i].key))
			return err_set(err, E_BAD, "bundle: \"%s\" is missing", members[i].key);
	while ((v = json_each(doc, &pos, &key)))
		if (read_member(c, key, v, err) < 0)
			return -1;
	return proxy_config_check(c, err);
}

int proxy_config_check(const struct proxy_config *c, struct err *err)
{
	/* It would look as if upstream traffic were checked against it. */
	if (c->has_gate_ca && !c->gate_host)
		return err_set(err, E_BAD, "upstream_proxy_ca is given without upstream_proxy");
	if (c->upstream_ca.n == 0)
		return err_set(err, E_BAD,
			       "no CA certificates for upstreams: install ca-certificates, or give "
			       "--upstream-ca FILE");
	return 0;
}
