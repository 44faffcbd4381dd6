/*
 * Step 1 of spec 2.2: what the agent must not present. Names are compared folded (fold.h).
 */
#include "policy/decide.h"
#include "policy/fold.h"

#include "base/mem.h"

/* Fields by which the APIs of this world take a credential. */
static const char *const credential_fields[] = {
	"accesstoken",
	"apikey",
	"apitoken",
	"authtoken",
	"circletoken",
	"cookie",
	"cookie2",
	"ddapikey",
	"ddapplicationkey",
	"deploytoken",
	"jobtoken",
	"ocpapimsubscriptionkey", /* Azure API Management */
	"privatetoken",           /* GitLab */
	"token",
	"xaccesstoken",
	"xamzsecuritytoken",
	"xapikey",
	"xapitoken",
	"xauthemail", /* Cloudflare */
	"xauthkey",
	"xauthorization",
	"xauthtoken",
	"xfunctionskey", /* Azure Functions */
	"xgithubtoken",
	"xgitlabtoken",
	"xgoogapikey",
	"xgoogiamauthorizationtoken",
	"xsessiontoken",
	"xshopifyaccesstoken",
	"xtoken",
	"xvaulttoken",
};

/* Query keys that do the same, presigned links included. */
static const char *const credential_keys[] = {
	"accesskey",
	"accesskeyid",
	"accesstoken",
	"apikey",
	"apitoken",
	"auth",
	"authkey",
	"authorization",
	"authtoken",
	"awsaccesskeyid",
	"clientsecret",
	"googleaccessid",
	"idtoken",
	"jobtoken",
	"key",
	"oauthtoken",
	"privatetoken",
	"secret",
	"sessiontoken",
	"sig", /* Azure SAS */
	"signature",
	"subscriptionkey",
	"token",
	"xamzcredential",
	"xamzsecuritytoken",
	"xamzsignature",
	"xapikey",
	"xgoogapikey",
	"xgoogcredential",
	"xgoogsignature",
};

static bool listed(const char *const *list, size_t count, struct str name)
{
	char folded[FOLD_NAME_MAX];
	struct str s = str_mem(folded, fold_name(name, folded));

	for (size_t i = 0; i < count; i++)
		if (str_eqz(s, list[i]))
			return true;
	return false;
}

static bool same_name(struct str a, const char *b)
{
	char fold_a[FOLD_NAME_MAX], fold_b[FOLD_NAME_MAX];
	struct str sb = str_of(b);

	return str_eq(str_mem(fold_a, fold_name(a, fold_a)),
		      str_mem(fold_b, fold_name(sb, fold_b)));
}

static bool field_goes(struct str name, const struct route *route)
{
	static const char *const always[] = { "authorization", "proxyauthorization" };

	if (route && route->pass_authorization && str_ieqz(name, "Authorization"))
		return false;
	if (listed(always, ARRAY_LEN(always), name))
		return true;
	if (!route || route->auth == AUTH_NONE)
		return false;
	if (route->auth_header && same_name(name, route->auth_header))
		return true;
	return listed(credential_fields, ARRAY_LEN(credential_fields), name);
}

static unsigned strip_fields(struct msg *m, const struct route *route)
{
	size_t kept = 0, before = m->fields.n;

	for (size_t i = 0; i < before; i++)
		if (!field_goes(m->fields.v[i].name, route))
			m->fields.v[kept++] = m->fields.v[i];
	m->fields.n = kept;
	return (unsigned)(before - kept);
}

int decide_strip_trailers(const struct fields *trailers, const struct route *route, struct arena *a,
			  struct fields *ret, struct err *err)
{
	struct fields kept = { .n = 0, .cap = trailers->n };

	kept.v = arena_alloc(a, trailers->n * sizeof(*kept.v));
	if (!kept.v)
		return err_set(err, E_LIMIT, "the trailers need too much memory");
	for (size_t i = 0; i < trailers->n; i++)
		if (!field_goes(trailers->v[i].name, route))
			kept.v[kept.n++] = trailers->v[i];
	*ret = kept;
	return 0;
}

/* "key", "key[]" and "key[x]" fill the same variable in many frameworks. */
static bool key_goes(struct str raw, char *scratch)
{
	struct str key = fold_escapes(raw, scratch);
	ssize_t bracket = str_chr(key, '[', 0);

	if (bracket > 0)
		key = str_sub(key, 0, (size_t)bracket);
	return listed(credential_keys, ARRAY_LEN(credential_keys), key);
}

/* Rebuilt only if something goes, so that an honest query passes byte for byte. */
static int strip_query(struct msg *m, unsigned *removed, struct err *err)
{
	struct str rest = m->query, key, value;
	char *out, *scratch;
	size_t n = 0;
	unsigned gone = 0;

	if (m->query.n == 0)
		return 0;
	out = arena_alloc(m->arena, m->query.n);
	scratch = arena_alloc(m->arena, m->query.n);
	if (!out || !scratch)
		return err_set(err, E_LIMIT, "the query needs too much memory");
	while (url_query_next(&rest, &key, &value)) {
		const char *end = value.p ? value.p + value.n : key.p + key.n;

		if (key_goes(key, scratch)) {
			gone++;
			continue;
		}
		/* The separator that stood before this piece stays with it. */
		if (n > 0)
			out[n++] = key.p[-1];
		memcpy(out + n, key.p, (size_t)(end - key.p));
		n += (size_t)(end - key.p);
	}
	if (gone)
		m->query = n ? str_mem(out, n) : STR_NONE;
	*removed += gone;
	return 0;
}

/* What a page writes that cannot set fields on its WebSocket: the credential as a subprotocol. */
static bool protocol_goes(struct str item)
{
	static const char *const prefixes[] = {
		"openai-insecure-api-key.",
		"base64url.bearer.authorization.k8s.io.",
	};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_istarts(item, str_of(prefixes[i])))
			return true;
	return false;
}

/* The value without them, rebuilt only if something goes; STR_NONE when nothing is left. */
static int strip_protocol(struct str *value, struct arena *a, unsigned *removed, struct err *err)
{
	struct str rest = *value, item;
	unsigned gone = 0;
	size_t n = 0;
	char *out = arena_alloc(a, value->n);

	if (!out)
		return err_set(err, E_LIMIT, "the subprotocols need too much memory");
	while (str_split(&rest, ',', &item)) {
		item = str_trim(item);
		if (protocol_goes(item)) {
			gone++;
			continue;
		}
		if (n > 0)
			out[n++] = ',';
		memcpy(out + n, item.p, item.n);
		n += item.n;
	}
	if (gone > 0)
		*value = n > 0 ? str_mem(out, n) : STR_NONE;
	*removed += gone;
	return 0;
}

static int strip_protocols(struct msg *m, unsigned *removed, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->fields.n; i++) {
		struct field f = m->fields.v[i];

		if (str_ieqz(f.name, "sec-websocket-protocol") &&
		    strip_protocol(&f.value, m->arena, removed, err) < 0)
			return -1;
		if (f.value.p)
			m->fields.v[kept++] = f;
	}
	m->fields.n = kept;
	return 0;
}

int decide_strip_credentials(struct msg *m, const struct route *route, unsigned *ret_removed,
			     struct err *err)
{
	unsigned removed = strip_fields(m, route);

	if (route && route->auth != AUTH_NONE &&
	    (strip_query(m, &removed, err) < 0 || strip_protocols(m, &removed, err) < 0))
		return -1;
	*ret_removed = removed;
	return 0;
}
