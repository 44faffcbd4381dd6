#include "base/glob.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/plan_parts.h"
#include "policy/routes.h"

char *plan_route_host(const struct plan_route *r)
{
	return route_host_text(r->host, r->route ? r->route->rule.port : 0);
}

struct json *plan_route_json(const struct plan_route *r)
{
	auto_free char *host = mem_strdup(r->host);
	struct route bare = { .host = host };

	return route_json(r->route ? &r->route->rule : &bare);
}

/* --- the table --------------------------------------------------------------------------------- */

/*
 * Would a bare route for `host`, which is for ports 443 and 80, say something that this route
 * decides already, or shadow it? (An exact host goes before a wildcard, a port before none.)
 */
static bool covers(const struct plan_route *r, const char *host)
{
	unsigned port = r->route ? r->route->rule.port : 0;
	struct str below = str_of(host);
	struct str mine = str_of(r->host);

	if (str_eqz(mine, host))
		return port == 0;
	if (!str_starts(mine, STR("*.")) || (port != 0 && port != 443 && port != 80))
		return false;
	/* "*.a.x" lies below "*.x" if "a.x" does */
	if (str_starts(below, STR("*.")))
		below = str_from(below, 2);
	return glob_host(mine, below);
}

static void add_bare(struct plan *p, const char *host, enum plan_route_source source)
{
	for (size_t i = 0; i < p->route_count; i++)
		if (covers(&p->routes[i], host))
			return;
	p->routes = mem_resize(p->routes, p->route_count + 1, sizeof(*p->routes));
	p->routes[p->route_count++] = (struct plan_route){ .host = host, .source = source };
}

/* The slot of this route's credential, a new one at the first use of its variable. */
static int add_credential(struct plan *p, const struct bottle_route *r, const struct host_env *env,
			  const char **ret_slot, struct err *err)
{
	const char *value = host_env_get(env, r->token_ref);
	struct plan_credential *c = p->credentials;

	if (!value || !*value)
		return err_set(err, E_BAD, "%s:%d:%d: token_ref: host variable %s is %s",
			       r->at.file, r->at.line, r->at.col, r->token_ref,
			       value ? "empty" : "not set");
	while (c < p->credentials + p->credential_count &&
	       !str_eqz(str_of(c->token_ref), r->token_ref))
		c++;
	if (c == p->credentials + p->credential_count) {
		c->slot = mem_printf("EGRESS_PROXY_TOKEN_%zu", p->credential_count++);
		c->token_ref = r->token_ref;
	}
	c->basic = c->basic || r->rule.auth == AUTH_BASIC;
	*ret_slot = c->slot;
	return 0;
}

static int add_routes(struct plan *p, const struct host_env *env, struct err *err)
{
	const struct bottle_route_list *l = &p->bottle->routes;

	p->routes = mem_array(l->n, sizeof(*p->routes));
	p->credentials = mem_array(l->n, sizeof(*p->credentials)); /* no more than routes */
	for (size_t i = 0; i < l->n; i++) {
		struct plan_route *r = &p->routes[p->route_count++];

		r->host = l->v[i].rule.host;
		r->route = &l->v[i];
		if (r->route->rule.auth && add_credential(p, r->route, env, &r->slot, err) < 0)
			return -1;
	}
	return 0;
}

/* --- the routes file --------------------------------------------------------------------------- */

/*
 * The text that goes to the proxy, read once with the proxy's own parser: what it would refuse is
 * refused here, before anything starts.
 */
static int write_routes(struct plan *p, struct err *err)
{
	auto_json struct json *root = json_new_object();
	auto_routes struct routes *parsed = NULL;
	auto_buf text = BUF_INIT(PLAN_TEXT_MAX);
	struct json *list = json_new_array();

	for (size_t i = 0; i < p->route_count; i++) {
		struct json *route = plan_route_json(&p->routes[i]);

		json_set_strz(route, "token_env", p->routes[i].slot);
		json_append(list, route);
	}
	json_set(root, "routes", list);
	if (json_write(root, false, &text, err) < 0)
		return -1;
	parsed = routes_parse(buf_str(&text), "routes", err);
	if (!parsed)
		return err_wrap(err, "bottle '%s'", p->bottle->name);
	p->routes_json = buf_take(&text, NULL);
	return 0;
}

int plan_routes(struct plan *p, const struct plan_input *in, struct err *err)
{
	const struct str_list *allowlist = &p->bottle->egress.allowlist;

	if (add_routes(p, in->env, err) < 0)
		return -1;
	for (size_t i = 0; i < allowlist->n; i++)
		add_bare(p, allowlist->v[i], PLAN_ROUTE_ALLOWLIST);
	for (const char *const *h = plan_provider(p)->hosts; *h; h++)
		add_bare(p, *h, PLAN_ROUTE_PROVIDER);
	return write_routes(p, err);
}
