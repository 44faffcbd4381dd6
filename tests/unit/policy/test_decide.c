#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/decide.h"

static const char table[] =
	"routes:\n"
	"  - {host: open.test}\n"
	"  - {host: read.test, methods: [GET, HEAD]}\n"
	"  - {host: team.test, path_allowlist: [/team, /public/]}\n"
	"  - {host: npm.test, path_allowlist: [/@us/, '/@us%2F']}\n"
	"  - {host: half.test, path_allowlist: ['/@us%2F']}\n"
	"  - {host: auth.test, path_allowlist: [/v1], auth_scheme: Bearer, token_env: "
	"EGRESS_PROXY_TOKEN_0}\n"
	"  - {host: empty.test, auth_scheme: Bearer, token_env: EGRESS_PROXY_TOKEN_1}\n"
	"  - {host: '*.wild.test:8443'}\n";

static bool only_slot_0(void *arg, const char *slot)
{
	(void)arg;
	return strcmp(slot, "EGRESS_PROXY_TOKEN_0") == 0;
}

struct fixture {
	struct arena arena;
	struct routes *routes;
	struct msg msg;
	struct decide_in in;
	struct verdict verdict;
};

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);
	struct err err = ERR_INIT;

	arena_init(&f->arena, MIB(1));
	f->routes = routes_parse(str_of(table), "table", &err);
	if (!f->routes)
		fail_msg("%s", err.text);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	routes_free(f->routes);
	arena_fini(&f->arena);
	free(f);
	return 0;
}

static void prepare(struct fixture *f, const char *method, const char *host, const char *path)
{
	struct err err = ERR_INIT;

	arena_reset(&f->arena);
	msg_init(&f->msg, &f->arena);
	f->msg.method = str_of(method);
	f->msg.form = TARGET_ORIGIN;
	f->msg.path = str_of(path);
	f->in = (struct decide_in){
		.msg = &f->msg,
		.tls = true,
		.routes = f->routes,
		.known = only_slot_0,
	};
	if (url_parse_authority(str_of(host), 443, &f->in.destination, &err) < 0)
		fail_msg("%s", err.text);
}

static enum reason decided(struct fixture *f)
{
	decide_request(&f->in, &f->arena, &f->verdict);
	assert_int_equal(f->verdict.allow, f->verdict.reason == REASON_NONE);
	return f->verdict.reason;
}

static enum reason decide(struct fixture *f, const char *method, const char *host, const char *path)
{
	prepare(f, method, host, path);
	return decided(f);
}

static void a_listed_host_is_allowed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "DELETE", "open.test", "/any/path"), REASON_NONE);
	assert_string_equal(f->verdict.route->host, "open.test");
	assert_int_equal(decide(f, "GET", "open.test:80", "/"), REASON_NONE);
	assert_int_equal(decide(f, "GET", "a.b.wild.test:8443", "/"), REASON_NONE);
}

static void other_hosts_and_ports_are_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "GET", "evil.test", "/"), REASON_HOST_NOT_ALLOWED);
	assert_string_equal(f->verdict.message, "The host evil.test is not allowed.");
	assert_null(f->verdict.route);
	assert_int_equal(decide(f, "GET", "sub.open.test", "/"), REASON_HOST_NOT_ALLOWED);
	assert_int_equal(decide(f, "GET", "wild.test:8443", "/"), REASON_HOST_NOT_ALLOWED);
	assert_int_equal(decide(f, "GET", "open.test:22", "/"), REASON_HOST_NOT_ALLOWED);
	assert_string_equal(f->verdict.message, "Port 22 of open.test is not allowed.");
}

static void a_connect_is_judged_by_host_and_port(void **state)
{
	struct fixture *f = *state;

	prepare(f, "CONNECT", "open.test:443", "");
	decide_connect(f->routes, &f->in.destination, &f->verdict);
	assert_true(f->verdict.allow);
	prepare(f, "CONNECT", "evil.test:443", "");
	decide_connect(f->routes, &f->in.destination, &f->verdict);
	assert_false(f->verdict.allow);
	assert_int_equal(f->verdict.reason, REASON_HOST_NOT_ALLOWED);
	prepare(f, "CONNECT", "auth.test:22", "");
	decide_connect(f->routes, &f->in.destination, &f->verdict);
	assert_false(f->verdict.allow);
}

static void a_connect_is_no_request(void **state)
{
	struct fixture *f = *state;

	prepare(f, "CONNECT", "open.test", "");
	f->msg.form = TARGET_AUTHORITY;
	assert_int_equal(decided(f), REASON_BAD_REQUEST);
}

static void methods_are_exact(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "GET", "read.test", "/"), REASON_NONE);
	assert_int_equal(decide(f, "HEAD", "read.test", "/"), REASON_NONE);
	assert_int_equal(decide(f, "POST", "read.test", "/"), REASON_METHOD_NOT_ALLOWED);
	assert_string_equal(f->verdict.route->host, "read.test");
	assert_int_equal(decide(f, "get", "read.test", "/"), REASON_METHOD_NOT_ALLOWED);
}

static void an_override_does_not_reach_another_method(void **state)
{
	static const char *const names[] = { "X-HTTP-Method-Override", "x-http-method",
					     "X_Method_Override" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		prepare(f, "GET", "read.test", "/");
		assert_int_equal(msg_add(&f->msg, str_of(names[i]), STR("DELETE"), NULL), 0);
		assert_int_equal(decided(f), REASON_METHOD_NOT_ALLOWED);
	}
	prepare(f, "GET", "read.test", "/");
	assert_int_equal(msg_add(&f->msg, STR("X-HTTP-Method-Override"), STR("HEAD"), NULL), 0);
	assert_int_equal(decided(f), REASON_NONE);
	prepare(f, "POST", "open.test", "/");
	assert_int_equal(msg_add(&f->msg, STR("X-HTTP-Method-Override"), STR("DELETE"), NULL), 0);
	assert_int_equal(decided(f), REASON_NONE);
}

static void every_reading_of_the_path_is_under_a_prefix(void **state)
{
	static const char *const good[] = { "/team",       "/team/",        "/team/x",
					    "/public/",    "/public/x",     "/%74eam/x",
					    "/team/a%2Fb", "/team/a;v=1/b", "/team//x" };
	static const char *const bad[] = {
		"/",           "/teammate",   "/public",       "/other",
		"/other/team", "/team%2Fx",   "/team;/x/../y", "//team/x",
		"/x;/team",    "/public;x/y", "/publicity"
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (decide(f, "GET", "team.test", good[i]) != REASON_NONE)
			fail_msg("refused: %s: %s", good[i], f->verdict.message);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (decide(f, "GET", "team.test", bad[i]) == REASON_NONE)
			fail_msg("allowed: %s", bad[i]);
	assert_int_equal(decide(f, "GET", "team.test", "/other"), REASON_PATH_NOT_ALLOWED);
}

static void npm_scopes_can_be_allowed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "GET", "npm.test", "/@us%2fname"), REASON_NONE);
	assert_int_equal(decide(f, "GET", "npm.test", "/@us/name/-/name-1.0.0.tgz"), REASON_NONE);
	assert_int_equal(decide(f, "GET", "npm.test", "/@them%2fname"), REASON_PATH_NOT_ALLOWED);
	/* A server may read "%2f" as a separator, and that path was not allowed. */
	assert_int_equal(decide(f, "GET", "half.test", "/@us%2fname"), REASON_PATH_NOT_ALLOWED);
}

static void an_ambiguous_path_is_refused_everywhere(void **state)
{
	static const char *const paths[] = {
		"/team/../secret",    "/team/%2e%2e/secret",  "/team/%2E./secret",
		"/team/..%2fsecret",  "/team\\secret",        "/team%5csecret",
		"/team/%252e%252e/x", "/team/%c0%ae%c0%ae/x", "/team/%00",
		"/team/%zz",          "/team/..;/x",          "/team/.",
	};
	static const char *const hosts[] = { "team.test", "open.test", "evil.test" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		for (size_t k = 0; k < ARRAY_LEN(hosts); k++)
			if (decide(f, "GET", hosts[k], paths[i]) != REASON_PATH_NOT_CANONICAL)
				fail_msg("%s%s: %s", hosts[k], paths[i], f->verdict.message);
}

static void an_empty_path_is_the_root_and_an_asterisk_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "GET", "open.test", ""), REASON_NONE);
	assert_int_equal(decide(f, "GET", "team.test", ""), REASON_PATH_NOT_ALLOWED);
	prepare(f, "OPTIONS", "open.test", "*");
	f->msg.form = TARGET_ASTERISK;
	assert_int_equal(decided(f), REASON_NONE);
	prepare(f, "OPTIONS", "team.test", "*");
	f->msg.form = TARGET_ASTERISK;
	assert_int_equal(decided(f), REASON_PATH_NOT_ALLOWED);
}

/* Before routing: the agent learns the right reason whatever the host. */
static void a_push_is_blocked_before_routing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "POST", "open.test", "/r.git/git-receive-pack"),
			 REASON_GIT_PUSH_BLOCKED);
	assert_int_equal(decide(f, "POST", "evil.test", "/r.git/git-receive-pack"),
			 REASON_GIT_PUSH_BLOCKED);
	assert_int_equal(decide(f, "POST", "read.test", "/r.git/git-receive-pack"),
			 REASON_GIT_PUSH_BLOCKED);
	prepare(f, "GET", "open.test", "/r.git/info/refs");
	f->msg.query = STR("service=git-receive-pack");
	assert_int_equal(decided(f), REASON_GIT_PUSH_BLOCKED);
	f->msg.query = STR("service=git-upload-pack");
	assert_int_equal(decided(f), REASON_NONE);
}

static void a_credential_needs_a_value_and_tls(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "GET", "auth.test", "/v1/x"), REASON_NONE);
	prepare(f, "GET", "auth.test:80", "/v1/x");
	f->in.tls = false;
	assert_int_equal(decided(f), REASON_CREDENTIAL_NEEDS_TLS);
	assert_int_equal(decide(f, "GET", "empty.test", "/"), REASON_CREDENTIAL_MISSING);
	prepare(f, "GET", "open.test:80", "/");
	f->in.tls = false;
	assert_int_equal(decided(f), REASON_NONE);
}

/* Methods before paths before credentials. */
static void the_order_of_the_steps_holds(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decide(f, "GET", "auth.test", "/v2"), REASON_PATH_NOT_ALLOWED);
	prepare(f, "GET", "auth.test", "/v2");
	f->in.tls = false;
	assert_int_equal(decided(f), REASON_PATH_NOT_ALLOWED);
}

/* Neither path nor query, which may carry a secret, and never more than fits. */
static void messages_are_safe(void **state)
{
	struct fixture *f = *state;
	char host[URL_HOST_MAX + 1];

	assert_int_equal(decide(f, "GET", "team.test", "/hunter2"), REASON_PATH_NOT_ALLOWED);
	assert_null(strstr(f->verdict.message, "hunter2"));
	assert_int_equal(decide(f, "GET", "team.test", "/hunter2/%zz"), REASON_PATH_NOT_CANONICAL);
	assert_null(strstr(f->verdict.message, "hunter2"));
	memset(host, 'a', sizeof(host));
	for (size_t i = 50; i < URL_HOST_MAX; i += 50)
		host[i] = '.';
	host[URL_HOST_MAX] = '\0';
	assert_int_equal(decide(f, "GET", host, "/"), REASON_HOST_NOT_ALLOWED);
	assert_non_null(strstr(f->verdict.message, " is not allowed."));
	prepare(f, "A-METHOD-OF-MORE-BYTES-THAN-ANYBODY-WANTS-TO-READ", "read.test", "/");
	assert_int_equal(decided(f), REASON_METHOD_NOT_ALLOWED);
	assert_non_null(strstr(f->verdict.message, "is not allowed on read.test."));
}

static void every_reason_is_complete(void **state)
{
	(void)state;
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		assert_non_null(reason_name(r));
		assert_int_equal(strspn(reason_name(r), "abcdefghijklmnopqrstuvwxyz-"),
				 strlen(reason_name(r)));
		assert_in_range(reason_status(r), 400, 504);
		assert_true(strlen(reason_hint(r)) > 10);
		for (enum reason k = REASON_NONE; k < r; k++)
			assert_string_not_equal(reason_name(r), reason_name(k));
	}
	assert_string_equal(reason_name(REASON_GIT_PUSH_BLOCKED), "git-push-blocked");
	assert_int_equal(reason_status(REASON_NAME_MISMATCH), 421);
	assert_int_equal(reason_status(REASON_GATE_UNREACHABLE), 502);
	assert_string_equal(reason_name(REASON_COUNT), "bad-request");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listed_host_is_allowed),
		cmocka_unit_test(other_hosts_and_ports_are_not),
		cmocka_unit_test(a_connect_is_judged_by_host_and_port),
		cmocka_unit_test(a_connect_is_no_request),
		cmocka_unit_test(methods_are_exact),
		cmocka_unit_test(an_override_does_not_reach_another_method),
		cmocka_unit_test(every_reading_of_the_path_is_under_a_prefix),
		cmocka_unit_test(npm_scopes_can_be_allowed),
		cmocka_unit_test(an_ambiguous_path_is_refused_everywhere),
		cmocka_unit_test(an_empty_path_is_the_root_and_an_asterisk_none),
		cmocka_unit_test(a_push_is_blocked_before_routing),
		cmocka_unit_test(a_credential_needs_a_value_and_tls),
		cmocka_unit_test(the_order_of_the_steps_holds),
		cmocka_unit_test(messages_are_safe),
		cmocka_unit_test(every_reason_is_complete),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
