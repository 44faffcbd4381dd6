#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/routes.h"

static struct routes *parse(const char *text)
{
	struct err err = ERR_INIT;
	struct routes *r = routes_parse(str_of(text), "routes.yaml", &err);

	if (!r)
		fail_msg("%s", err.text);
	return r;
}

static void assert_refused(const char *text, const char *message)
{
	struct err err = ERR_INIT;
	auto_routes struct routes *r = routes_parse(str_of(text), "routes.yaml", &err);

	if (r)
		fail_msg("accepted: %s", text);
	if (!strstr(err.text, message))
		fail_msg("'%s' is not in '%s'", message, err.text);
	assert_int_equal(err.code, E_BAD);
}

static void assert_written(const struct routes *r, const char *json)
{
	auto_buf out = BUF_INIT(KIB(64));

	assert_int_equal(routes_write(r, &out, NULL), 0);
	assert_string_equal(buf_z(&out), json);
}

static const char full[] =
	"{\"routes\":[{\"host\":\"api.anthropic.com\",\"path_allowlist\":[\"/v1/\",\"/team\"],"
	"\"methods\":[\"GET\",\"POST\"],\"mount\":\"/anthropic\",\"auth_scheme\":\"header:x-api-key\","
	"\"token_env\":\"EGRESS_PROXY_TOKEN_0\"},"
	"{\"host\":\"*.github.com:8443\",\"pass_authorization\":true},"
	"{\"host\":\"[2001:db8::1]:444\"},{\"host\":\"spliced.test\",\"tls\":\"passthrough\"}]}";

static void reads_every_key(void **state)
{
	auto_routes struct routes *r = parse(full);
	const struct route *a = &r->v[0], *b = &r->v[1];

	(void)state;
	assert_int_equal(r->n, 4);
	assert_string_equal(a->host, "api.anthropic.com");
	assert_int_equal(a->port, 0);
	assert_int_equal(a->paths.n, 2);
	assert_int_equal(a->methods.n, 2);
	assert_string_equal(a->mount, "/anthropic");
	assert_int_equal(a->auth, AUTH_HEADER);
	assert_string_equal(a->auth_header, "x-api-key");
	assert_string_equal(a->token_env, "EGRESS_PROXY_TOKEN_0");
	assert_string_equal(b->host, "*.github.com");
	assert_int_equal(b->port, 8443);
	assert_true(b->pass_authorization);
	assert_int_equal(r->v[2].port, 444);
	assert_true(r->v[3].passthrough);
}

static void canonical_text_is_stable(void **state)
{
	auto_routes struct routes *r = parse(full);

	(void)state;
	assert_written(r, full);
}

static void yaml_and_json_mean_the_same(void **state)
{
	auto_routes struct routes *a = parse("routes:\n"
					     "  - auth_scheme: Bearer # any order\n"
					     "    token_env: EGRESS_PROXY_TOKEN_1\n"
					     "    host: API.Example.COM.\n");
	auto_routes struct routes *b = parse("{\"routes\": [{\"host\": \"api.example.com\",\n"
					     "\"auth_scheme\": \"Bearer\", \"token_env\": "
					     "\"EGRESS_PROXY_TOKEN_1\"}]}");

	(void)state;
	assert_string_equal(a->sha256, b->sha256);
	assert_int_equal(strlen(a->sha256), 64);
}

/* What `ctl status` shows proves which table is live. */
static void digest_names_the_table(void **state)
{
	auto_routes struct routes *none = parse("{\"routes\":[]}");
	auto_routes struct routes *one = parse("{\"routes\":[{\"host\":\"a.test\"}]}");

	(void)state;
	/* printf '{"routes":[]}' | sha256sum */
	assert_string_equal(none->sha256,
			    "18a08e2a6a64fe8f8b178453908493eec71b62c1250d47734466736c98c6431e");
	assert_string_not_equal(none->sha256, one->sha256);
}

static void errors_say_where(void **state)
{
	(void)state;
	assert_refused("", "routes.yaml:1:1: the routes file needs the key 'routes'");
	assert_refused("routes:\n  - hots: a.test\n", "routes.yaml:2:5: unknown key 'hots'");
	assert_refused("routes:\n  - hots: a.test\n", "did you mean 'host'?");
	assert_refused("routes:\n  - methods: [GET]\n",
		       "routes.yaml:2:5: route needs the key 'host'");
	assert_refused("routes: {}", "routes.yaml:1:9");
	assert_refused("[]", "routes.yaml:1:1");
	assert_refused("{\"routes\":[{\"host\":\"a.test\",\"host\":\"b.test\"}]}",
		       "routes.yaml:1:");
	assert_refused("routes:\n  - host: a.test\n    mount: [x]\n", "routes.yaml:3:12");
	assert_refused("routes:\n  - host: a.test\n    pass_authorization: yes\n",
		       "routes.yaml:3:25: 'pass_authorization' must be true or false");
}

static void hosts_are_checked(void **state)
{
	static const char *const bad[] = {
		"https://a.test", "a.test/path",  "a_b!",       "*",          "*.",
		"a.*.test",       "*.*.test",     "*.10.0.0.1", "0x7f.0.0.1", "user@a.test",
		"a.test:0",       "a.test:65536", "''",         "~",          "[]",
		"2130706433",
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), "routes:\n  - host: %s%s%s\n",
			       bad[i][0] == '*' ? "'" : "", bad[i], bad[i][0] == '*' ? "'" : "");
		assert_refused(text, "routes.yaml:2:11: ");
	}
}

static void the_same_host_and_port_twice_is_refused(void **state)
{
	auto_routes struct routes *r =
		parse("routes: [{host: a.test}, {host: 'a.test:8443'}, {host: '*.a.test'}]");

	(void)state;
	assert_int_equal(r->n, 3);
	assert_refused("routes:\n  - host: a.test\n  - host: b.test\n  - host: A.test\n",
		       "routes.yaml:4:11: host 'a.test' is already in line 2");
}

static void paths_are_absolute_and_have_one_reading(void **state)
{
	static const char *const bad[] = {
		"team", "/a/../b",     "/a//b", "/a;b", "/a%zz", "/a\\\\b",
		"/a?b", "/a/%2e%2e/b", "/a/*",  "",     "/%00",  "/a/.",
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text),
			       "routes:\n  - host: a.test\n    path_allowlist: [\"%s\"]\n", bad[i]);
		assert_refused(text, "routes.yaml:3:22: path ");
	}
	assert_refused("routes:\n  - host: a.test\n    path_allowlist: []\n",
		       "routes.yaml:3:21: path_allowlist: an empty list allows nothing; leave the "
		       "key out to allow all paths");
}

static void methods_are_upper_case_tokens(void **state)
{
	(void)state;
	assert_refused("routes:\n  - {host: a.test, methods: [GET, post]}\n",
		       "routes.yaml:2:35: method 'post': methods are in upper case");
	assert_refused("routes:\n  - {host: a.test, methods: ['G T']}\n", "not a method name");
	assert_refused("routes:\n  - {host: a.test, methods: []}\n",
		       "routes.yaml:2:29: methods: an empty list allows nothing");
}

static void auth_is_scheme_and_slot_together(void **state)
{
	(void)state;
	assert_refused("routes:\n  - {host: a.test, auth_scheme: Bearer}\n",
		       "'token_env' is missing");
	assert_refused("routes:\n  - {host: a.test, token_env: EGRESS_PROXY_TOKEN_0}\n",
		       "'auth_scheme' is missing");
	assert_refused("routes:\n  - {host: a.test, auth_scheme: bearer, token_env: "
		       "EGRESS_PROXY_TOKEN_0}\n",
		       "did you mean 'Bearer'?");
	assert_refused("routes:\n  - {host: a.test, auth_scheme: 'header:', token_env: "
		       "EGRESS_PROXY_TOKEN_0}\n",
		       "name of a header field");
	assert_refused(
		"routes:\n  - {host: a.test, auth_scheme: 'header:Transfer-Encoding', token_env: "
		"EGRESS_PROXY_TOKEN_0}\n",
		"cannot carry a credential");
	assert_refused("routes:\n  - {host: a.test, auth_scheme: Basic, pass_authorization: true, "
		       "token_env: EGRESS_PROXY_TOKEN_0}\n",
		       "pass_authorization with auth_scheme");
}

/* Somebody who pastes the credential itself must not find it in a log. */
static void a_credential_in_the_wrong_place_is_not_quoted(void **state)
{
	static const char *const places[] = { "auth_scheme", "token_env" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct err err = ERR_INIT;

		(void)snprintf(text, sizeof(text), "routes: [{host: a.test, %s: sk-ant-hunter2}]",
			       places[i]);
		assert_null(routes_parse(str_of(text), "r", &err));
		assert_null(strstr(err.text, "hunter2"));
	}
	assert_refused("routes: [{host: a.test, auth_scheme: token, token_env: GITHUB_TOKEN}]",
		       "slot");
	assert_refused(
		"routes: [{host: a.test, auth_scheme: token, token_env: EGRESS_PROXY_TOKEN_}]",
		"slot");
	assert_refused(
		"routes: [{host: a.test, auth_scheme: token, token_env: EGRESS_PROXY_TOKEN_1x}]",
		"slot");
}

static void passthrough_excludes_what_needs_a_look_inside(void **state)
{
	static const char *const with[] = {
		"path_allowlist: [/a]",
		"methods: [GET]",
		"mount: /a",
		"pass_authorization: false",
		"auth_scheme: Bearer, token_env: EGRESS_PROXY_TOKEN_0",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(with); i++) {
		(void)snprintf(text, sizeof(text), "routes: [{host: a.test, tls: passthrough, %s}]",
			       with[i]);
		assert_refused(text, "with tls: passthrough: such a route is not looked into");
	}
	assert_refused("routes: [{host: a.test, tls: off}]", "the only value is 'passthrough'");
}

static void mounts_are_plain_and_unique(void **state)
{
	static const char *const bad[] = { "/", "/a/", "a", "/a%20b", "/a//b", "/a/..", "/a b" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		(void)snprintf(text, sizeof(text), "routes: [{host: a.test, mount: '%s'}]", bad[i]);
		assert_refused(text, "mount ");
	}
	assert_refused("routes: [{host: '*.a.test', mount: /a}]", "wildcard");
	assert_refused("routes:\n  - {host: a.test, mount: /a}\n  - {host: b.test, mount: /a}\n",
		       "routes.yaml:3:27: mount '/a' is already in line 2");
}

static const char *found(const struct routes *r, const char *host, uint16_t port)
{
	const struct route *route = routes_find(r, str_of(host), port);
	static char text[128];

	if (!route)
		return "none";
	(void)snprintf(text, sizeof(text), "%s:%u", route->host, (unsigned)route->port);
	return text;
}

static void the_nearest_route_is_found(void **state)
{
	auto_routes struct routes *r =
		parse("routes: [{host: '*.test'}, {host: '*.b.test'}, {host: 'a.b.test'}, "
		      "{host: 'a.b.test:8443'}, {host: 'a.b.test:443'}, {host: '*.c.test:9000'}, "
		      "{host: 10.0.0.7}]");

	(void)state;
	assert_string_equal(found(r, "a.b.test", 443), "a.b.test:443");
	assert_string_equal(found(r, "a.b.test", 80), "a.b.test:0");
	assert_string_equal(found(r, "a.b.test", 8443), "a.b.test:8443");
	assert_string_equal(found(r, "x.b.test", 443), "*.b.test:0");
	assert_string_equal(found(r, "x.y.b.test", 443), "*.b.test:0");
	assert_string_equal(found(r, "b.test", 443), "*.test:0");
	assert_string_equal(found(r, "x.c.test", 443), "*.test:0");
	assert_string_equal(found(r, "x.c.test", 9000), "*.c.test:9000");
	assert_string_equal(found(r, "10.0.0.7", 443), "10.0.0.7:0");
}

static void what_is_not_listed_is_not_found(void **state)
{
	auto_routes struct routes *r = parse("routes: [{host: '*.b.test'}, {host: 'a.test'}]");

	(void)state;
	assert_string_equal(found(r, "b.test", 443), "none"); /* never the apex */
	assert_string_equal(found(r, "xb.test", 443), "none");
	assert_string_equal(found(r, "x.b.test.evil.test", 443), "none");
	assert_string_equal(found(r, "a.test", 22), "none");
	assert_string_equal(found(r, "x.a.test", 443), "none");
	assert_true(routes_knows_host(r, STR("a.test")));
	assert_false(routes_knows_host(r, STR("c.test")));
}

static void assert_mount(const struct routes *r, const char *path, const char *host,
			 const char *rest)
{
	struct str ret = STR_NONE;
	const struct route *route = routes_find_mount(r, str_of(path), &ret);

	if (!host) {
		assert_null(route);
		return;
	}
	assert_non_null(route);
	assert_string_equal(route->host, host);
	assert_true(str_eqz(ret, rest));
}

static void a_mount_takes_whole_segments(void **state)
{
	auto_routes struct routes *r =
		parse("routes: [{host: a.test, mount: /a}, {host: b.test, mount: "
		      "/a/b}, {host: c.test}]");

	(void)state;
	assert_mount(r, "/a", "a.test", "/");
	assert_mount(r, "/a/", "a.test", "/");
	assert_mount(r, "/a/v1", "a.test", "/v1");
	assert_mount(r, "/a/b/v1", "b.test", "/v1");
	assert_mount(r, "/ab", NULL, NULL);
	assert_mount(r, "/", NULL, NULL);
	assert_mount(r, "/%61/v1", NULL, NULL);
}

static bool has_path(const char *prefix, const char *reading)
{
	char text[256];
	struct routes *r;
	bool has;

	(void)snprintf(text, sizeof(text), "routes: [{host: a.test, path_allowlist: ['%s']}]",
		       prefix);
	r = parse(text);
	has = route_has_path(&r->v[0], str_of(reading));
	routes_free(r);
	return has;
}

static void a_prefix_ends_at_a_segment(void **state)
{
	(void)state;
	assert_true(has_path("/team", "/team"));
	assert_true(has_path("/team", "/team/x"));
	assert_false(has_path("/team", "/teammate"));
	assert_false(has_path("/team", "/team%2Fx"));
	assert_false(has_path("/team", "/tea"));
	assert_false(has_path("/team", "/x/team"));
	assert_true(has_path("/team/", "/team/x"));
	assert_false(has_path("/team/", "/team"));
	assert_true(has_path("/", "/anything"));
	assert_false(has_path("/", "*"));
	assert_true(has_path("/my%20team", "/my team/x"));
	assert_true(has_path("/@scope%2F", "/@scope%2Fname"));
	assert_false(has_path("/@scope%2F", "/@scope/name"));
}

static void no_list_allows_all_and_methods_are_exact(void **state)
{
	auto_routes struct routes *r =
		parse("routes: [{host: a.test}, {host: b.test, methods: [GET]}]");

	(void)state;
	assert_true(route_has_path(&r->v[0], STR("/x")));
	assert_true(route_has_method(&r->v[0], STR("BREW")));
	assert_true(route_has_method(&r->v[1], STR("GET")));
	assert_false(route_has_method(&r->v[1], STR("get")));
	assert_false(route_has_method(&r->v[1], STR("GETX")));
	assert_false(route_has_method(&r->v[1], STR("HEAD")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_key),
		cmocka_unit_test(canonical_text_is_stable),
		cmocka_unit_test(yaml_and_json_mean_the_same),
		cmocka_unit_test(digest_names_the_table),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(hosts_are_checked),
		cmocka_unit_test(the_same_host_and_port_twice_is_refused),
		cmocka_unit_test(paths_are_absolute_and_have_one_reading),
		cmocka_unit_test(methods_are_upper_case_tokens),
		cmocka_unit_test(auth_is_scheme_and_slot_together),
		cmocka_unit_test(a_credential_in_the_wrong_place_is_not_quoted),
		cmocka_unit_test(passthrough_excludes_what_needs_a_look_inside),
		cmocka_unit_test(mounts_are_plain_and_unique),
		cmocka_unit_test(the_nearest_route_is_found),
		cmocka_unit_test(what_is_not_listed_is_not_found),
		cmocka_unit_test(a_mount_takes_whole_segments),
		cmocka_unit_test(a_prefix_ends_at_a_segment),
		cmocka_unit_test(no_list_allows_all_and_methods_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
