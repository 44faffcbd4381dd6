/* egress_proxy.routes */
#include "support.h"

#include "manifest/bottle.h"

#define ROUTES "egress_proxy:\n  routes:\n"

static void test_all_keys(void **state)
{
	struct err err = ERR_INIT;
	auto_bottle struct bottle *b =
		bottle_of(ROUTES "    - host: API.Example.com.\n"
				 "      path_allowlist: [/v1, /v2/]\n"
				 "      methods: [GET, POST]\n"
				 "      auth: {scheme: Bearer, token_ref: TOKEN_A}\n"
				 "      role: claude_code_oauth\n"
				 "      mount: /api\n"
				 "    - host: '*.Example.com:8443'\n"
				 "      auth: {scheme: 'header:X-Api-Key', token_ref: b}\n"
				 "    - host: '[::1]:8080'\n"
				 "      auth: {scheme: Basic, token_ref: _C}\n"
				 "    - {host: d.test, auth: {scheme: token, token_ref: D}}\n"
				 "    - {host: e.test, pass_authorization: true}\n"
				 "    - {host: f.test, tls: passthrough}\n"
				 "    - {host: g.test, path_allowlist: [/@a%2Fb, /%61%20b/]}\n"
				 "    - {host: 'api.example.com:443', role: []}\n",
			  NULL, &err);
	const struct bottle_route *r;

	(void)state;
	if (!b)
		fail_msg("%s", err.text);
	r = b->routes.v;
	assert_int_equal(b->routes.n, 8);
	assert_string_equal(r[0].rule.host, "api.example.com");
	assert_int_equal(r[0].rule.port, 0);
	assert_true(r[0].rule.has_paths && r[0].rule.has_methods);
	assert_int_equal(r[0].rule.paths.n, 2);
	assert_string_equal(r[0].rule.paths.v[1], "/v2/");
	assert_string_equal(r[0].rule.methods.v[1], "POST");
	assert_int_equal(r[0].rule.auth, AUTH_BEARER);
	assert_string_equal(r[0].token_ref, "TOKEN_A");
	assert_null(r[0].rule.auth_header);
	assert_true(r[0].claude_code_oauth);
	assert_string_equal(r[0].rule.mount, "/api");
	assert_int_equal(r[0].at.line, 4);
	assert_string_equal(r[1].rule.host, "*.example.com");
	assert_int_equal(r[1].rule.port, 8443);
	assert_int_equal(r[1].rule.auth, AUTH_HEADER);
	assert_string_equal(r[1].rule.auth_header, "X-Api-Key");
	assert_false(r[1].rule.has_paths || r[1].rule.has_methods || r[1].claude_code_oauth);
	assert_string_equal(r[2].rule.host, "::1");
	assert_int_equal(r[2].rule.port, 8080);
	assert_int_equal(r[2].rule.auth, AUTH_BASIC);
	assert_int_equal(r[3].rule.auth, AUTH_TOKEN);
	assert_true(r[4].rule.pass_authorization);
	assert_true(r[5].rule.passthrough);
	/* one reading each, as given and as compared */
	assert_string_equal(r[6].rule.paths.v[0], "/@a%2Fb");
	assert_string_equal(r[6].rule.prefixes.v[0], "/@a%2Fb");
	assert_string_equal(r[6].rule.paths.v[1], "/%61%20b/");
	assert_string_equal(r[6].rule.prefixes.v[1], "/a b/");
	assert_int_equal(r[7].rule.port, 443); /* another route than the same host with no port */
	assert_false(r[7].claude_code_oauth);
}

static void test_errors(void **state)
{
	static const struct {
		const char *route, *error; /* below b.md:4: the route starts in column 7 */
	} cases[] = {
		{ "{path_allowlist: [/]}", "b.md:4:7: route needs the key 'host'" },
		{ "{host: }", "b.md:4:14: 'host' must be a string, not nothing" },
		{ "{host: [a]}", "b.md:4:14: 'host' must be a string, not a list" },
		{ "{host: 'http://a.test'}",
		  "b.md:4:14: host 'http://a.test': a URL where a host name is wanted" },
		{ "{host: '*.10.0.0.1'}",
		  "b.md:4:14: host '*.10.0.0.1': a wildcard over an address" },
		{ "{host: a.test, path_allowlst: [/]}",
		  "b.md:4:22: unknown key 'path_allowlst' in route (did you mean 'path_allowlist'?)"
		  "; accepted: host, path_allowlist, methods, auth, role, mount, "
		  "pass_authorization, tls" },
		{ "{host: a.test, path_allowlist: /v1}",
		  "b.md:4:38: 'path_allowlist' must be a list of strings, not a string" },
		{ "{host: a.test, path_allowlist: []}",
		  "b.md:4:38: path_allowlist: an empty list allows nothing; leave the key out to "
		  "allow all paths" },
		{ "{host: a.test, path_allowlist: ['/v1/*']}",
		  "b.md:4:39: path '/v1/*': a prefix is wanted, not a pattern: no '*'" },
		{ "{host: a.test, methods: []}",
		  "b.md:4:31: methods: an empty list allows nothing; leave the key out to allow "
		  "all methods" },
		{ "{host: a.test, methods: [get]}",
		  "b.md:4:32: method 'get': methods are in upper case" },
		{ "{host: a.test, methods: ['G T']}",
		  "b.md:4:32: method 'G T': not a method name" },
		{ "{host: a.test, auth: Bearer}", "b.md:4:28: auth must be a map, not a string" },
		{ "{host: a.test, auth: {scheme: Bearer}}",
		  "b.md:4:28: auth: 'token_ref' is missing; scheme and token_ref go together" },
		{ "{host: a.test, auth: {token_ref: A}}",
		  "b.md:4:28: auth: 'scheme' is missing; scheme and token_ref go together" },
		{ "{host: a.test, auth: {}}",
		  "b.md:4:28: auth: 'scheme' is missing; scheme and token_ref go together" },
		{ "{host: a.test, auth: {scheme: bearer, token_ref: A}}",
		  "b.md:4:37: scheme: unknown scheme, did you mean 'Bearer'?; accepted: Bearer, "
		  "token, Basic, header:NAME" },
		{ "{host: a.test, auth: {scheme: 'header:', token_ref: A}}",
		  "b.md:4:37: scheme: after 'header:' comes the name of a header field" },
		{ "{host: a.test, auth: {scheme: 'header:Host', token_ref: A}}",
		  "b.md:4:37: scheme: the field host cannot carry a credential" },
		/* what may be the credential itself is not shown */
		{ "{host: a.test, auth: {scheme: Bearer, token_ref: sk-live-0123}}",
		  "b.md:4:56: token_ref: the name of a host environment variable is wanted, never "
		  "the credential itself" },
		{ "{host: a.test, role: admin}",
		  "b.md:4:28: unknown role 'admin'; there is only claude_code_oauth" },
		{ "{host: a.test, role: [claude_code_oauth, x]}",
		  "b.md:4:48: unknown role 'x'; there is only claude_code_oauth" },
		{ "{host: a.test, role: {a: b}}",
		  "b.md:4:28: role: expected a string or a list, not a map" },
		{ "{host: a.test, role: claude_code_oauth}",
		  "b.md:4:28: role claude_code_oauth without auth: the agent gets a placeholder "
		  "only" },
		{ "{host: a.test, mount: /}",
		  "b.md:4:29: mount '/': a path such as /api is wanted, without a slash at its "
		  "end" },
		{ "{host: '*.a.test', mount: /x}",
		  "b.md:4:33: mount on a wildcard: it needs one host to go to" },
		{ "{host: a.test, pass_authorization: true, auth: {scheme: Bearer, token_ref: A}}",
		  "b.md:4:42: pass_authorization with auth: the credential is set by the proxy, "
		  "the client's is removed" },
		{ "{host: a.test, tls: off}",
		  "b.md:4:27: tls: the only value is 'passthrough'; leave the key out to "
		  "intercept" },
		{ "{host: a.test, tls: passthrough, path_allowlist: [/]}",
		  "b.md:4:56: 'path_allowlist' with tls: passthrough: such a route is not looked "
		  "into" },
		{ "{host: a.test, tls: passthrough, methods: [GET]}",
		  "b.md:4:49: 'methods' with tls: passthrough: such a route is not looked into" },
		{ "{host: a.test, tls: passthrough, auth: {scheme: Bearer, token_ref: A}}",
		  "b.md:4:46: 'auth' with tls: passthrough: such a route is not looked into" },
		{ "{host: a.test, tls: passthrough, mount: /a}",
		  "b.md:4:47: 'mount' with tls: passthrough: such a route is not looked into" },
		{ "{host: a.test, tls: passthrough, pass_authorization: false}",
		  "b.md:4:60: 'pass_authorization' with tls: passthrough: such a route is not "
		  "looked into" },
		{ "{host: a.test, tls: passthrough, pass_authorization: true}",
		  "b.md:4:60: 'pass_authorization' with tls: passthrough: such a route is not "
		  "looked into" },
		{ "{host: A.test}\n    - {host: a.test.}",
		  "b.md:5:14: host 'a.test.' is already in line 4" },
		{ "{host: 'a.test:443'}\n    - host: 'A.test:443'",
		  "b.md:5:13: host 'A.test:443' is already in line 4" },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *head = mem_printf(ROUTES "    - %s\n", cases[i].route);
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(head, NULL, &err);

		if (b)
			fail_msg("accepted: %s", cases[i].route);
		same &= same_text(err.text, cases[i].error);
	}
	assert_true(same);
}

/* Their reasons are the proxy's own wording; here it counts that they are asked. */
static void test_refused_by_the_proxy(void **state)
{
	static const struct {
		const char *route, *error;
	} cases[] = {
		{ "{host: 'a b'}", "b.md:4:14: host 'a b': " },
		{ "{host: 'a.test:0'}", "b.md:4:14: host 'a.test:0': " },
		{ "{host: 0x7f.1}", "b.md:4:14: host '0x7f.1': " },
		{ "{host: u@a.test}", "b.md:4:14: host 'u@a.test': " },
		{ "{host: a.test, path_allowlist: [v1]}", "b.md:4:39: path 'v1': " },
		{ "{host: a.test, path_allowlist: [/a/../b]}", "b.md:4:39: path '/a/../b': " },
		{ "{host: a.test, path_allowlist: [//a]}", "b.md:4:39: path '//a': " },
		{ "{host: a.test, path_allowlist: ['/%2e%2e/']}", "b.md:4:39: path '/%2e%2e/': " },
		{ "{host: a.test, path_allowlist: [/%252F]}", "b.md:4:39: path '/%252F': " },
		{ "{host: a.test, path_allowlist: [/a%2F..]}", "b.md:4:39: path '/a%2F..': " },
		{ "{host: a.test, mount: x}", "b.md:4:29: mount 'x': " },
		{ "{host: a.test, mount: /a%2Fb}", "b.md:4:29: mount '/a%2Fb': " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *head = mem_printf(ROUTES "    - %s\n", cases[i].route);
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(head, NULL, &err);

		if (b)
			fail_msg("accepted: %s", cases[i].route);
		if (!str_starts(str_of(err.text), str_of(cases[i].error)) ||
		    strlen(err.text) == strlen(cases[i].error))
			fail_msg("%s", err.text);
	}
}

static void test_list(void **state)
{
	static const struct {
		const char *head, *error;
	} cases[] = {
		{ "egress_proxy: []\n", "b.md:2:15: egress_proxy must be a map, not a list" },
		{ "egress_proxy: {route: []}\n",
		  "b.md:2:16: unknown key 'route' in egress_proxy (did you mean 'routes'?); "
		  "accepted: routes" },
		{ "egress_proxy: {routes: {}}\n", "b.md:2:24: 'routes' must be a list, not a map" },
		{ "egress_proxy: {routes: [a.test]}\n",
		  "b.md:2:25: route must be a map, not a string" },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(cases[i].head, NULL, &err);

		assert_null(b);
		same &= same_text(err.text, cases[i].error);
	}
	assert_true(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_refused_by_the_proxy),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
