#include "support.h"

#include "base/json.h"
#include "manifest/bundle.h"

#define CERT "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n"

static const char *const environment[] = {
	"HOME", "/home/u",    "ONE",           "to\"ken",
	"HOST", "two\nlines", "SSL_CERT_FILE", "tests/manifests/home/keys/corporate.pem",
	NULL,
};

static void make(struct world *w, const char *bottle_head, const char *prompt)
{
	struct host_env env = env_of(environment);
	struct plan_input in = { .identity = "dev-a1b2c", .env = &env, .cwd = "/" };

	world_init(w);
	world_write(w, "home/bottles/ca.pem", CERT);
	world_load(w, "bottle: b\n", prompt, bottle_head);
	if (secrets_gather(world_plan(w, &in), &env, NULL, NULL, &w->secrets, &w->err) < 0)
		fail_msg("%s", w->err.text);
}

static void test_egress_proxy(void **state)
{
	static char pem[] = CERT;
	char *pems[] = { pem, pem };
	struct str_list upstream_ca = { pems, 2 };
	auto_buf out = BUF_INIT_SECRET(BUNDLE_MAX);
	struct world w;

	(void)state;
	make(&w,
	     "egress: {resolve: ['a.test:443:10.0.0.1'], allow_private: [10.0.0.0/8]}\n"
	     "env: {A: '${HOST}'}\n"
	     "egress_proxy: {routes: [{host: a.test, auth: {scheme: Bearer, token_ref: ONE}}]}\n",
	     "");
	assert_int_equal(bundle_egress_proxy(w.plan, &w.secrets, STR(CERT KEY), &upstream_ca, &out,
					     &w.err),
			 0);
#define CERT_JSON "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"
#define KEY_JSON "-----BEGIN PRIVATE KEY-----\\nBBBB\\n-----END PRIVATE KEY-----\\n"
	auto_free char *want = mem_printf(
		"{\"schema\":1,\"component\":\"egress-proxy\",\"listen\":\"0.0.0.0:9099\","
		"\"health\":\"127.0.0.1:9098\",\"control\":\"/run/bottle/egress-proxy.sock\","
		"\"routes\":{\"routes\":[{\"host\":\"a.test\",\"auth_scheme\":\"Bearer\","
		"\"token_env\":\"EGRESS_PROXY_TOKEN_0\"},{\"host\":\"api.anthropic.com\"}]},"
		"\"tokens\":{\"EGRESS_PROXY_TOKEN_0\":\"to\\\"ken\"},"
		"\"ca\":\"%s%s\",\"upstream_ca\":[\"%s\",\"%s\"],"
		"\"resolve\":[\"a.test:443:10.0.0.1\"],\"allow_private\":[\"10.0.0.0/8\"],"
		"\"upstream_proxy\":null,\"upstream_proxy_ca\":null,\"names\":[\"egress-proxy\"]}\n",
		CERT_JSON, KEY_JSON, CERT_JSON, CERT_JSON);
	auto_json struct json *got = json_parse(buf_str(&out), "bundle", NULL);
	auto_json struct json *expected = json_parse(str_of(want), "want", NULL);
	auto_buf got_text = BUF_INIT(KIB(64));
	auto_buf want_text = BUF_INIT(KIB(64));

	assert_non_null(got);
	assert_non_null(expected);
	assert_int_equal(json_write(got, false, &got_text, NULL), 0);
	assert_int_equal(json_write(expected, false, &want_text, NULL), 0);
	assert_string_equal(buf_z(&got_text), buf_z(&want_text));
	world_fini(&w);
}

static void test_agent(void **state)
{
	auto_buf out = BUF_INIT_SECRET(BUNDLE_MAX);
	struct world w;
	const struct json *env, *files;

	(void)state;
	make(&w,
	     "env: {A: '${HOST}', B: literal}\n"
	     "egress_proxy: {routes: [{host: a.test, auth: {scheme: Bearer, token_ref: ONE}}]}\n",
	     "You are careful.\n");
	assert_int_equal(bundle_agent(w.plan, &w.secrets, STR(CERT), &out, &w.err), 0);
	/* what the agent may not have */
	assert_int_equal(str_find(buf_str(&out), STR("ken"), 0), -1);
	assert_int_equal(str_find(buf_str(&out), STR("EGRESS_PROXY_TOKEN"), 0), -1);
	assert_int_equal(str_find(buf_str(&out), STR("PRIVATE KEY"), 0), -1);

	auto_json struct json *j = json_parse(buf_str(&out), "bundle", NULL);

	assert_non_null(j);
	assert_int_equal(json_int(json_get(j, "schema")), BUNDLE_SCHEMA);
	assert_true(str_eqz(json_str(json_get(j, "component")), "agent"));
	env = json_get(j, "env");
	assert_int_equal(json_len(env), w.plan->env_count);
	assert_true(str_eqz(json_str(json_get(env, "A")), "two\nlines"));
	assert_true(str_eqz(json_str(json_get(env, "B")), "literal"));
	assert_true(str_eqz(json_str(json_get(env, "HTTPS_PROXY")), "http://egress-proxy:9099"));
	files = json_get(j, "files");
	assert_int_equal(json_len(files), 2);
	assert_true(str_eqz(json_str(json_get(json_at(files, 0), "path")), PLAN_CA_CERT));
	assert_true(str_eqz(json_str(json_get(json_at(files, 0), "content")), CERT));
	assert_true(str_eqz(json_str(json_get(json_at(files, 0), "mode")), "0444"));
	assert_true(str_eqz(json_str(json_get(json_at(files, 1), "path")), PLAN_PROMPT));
	assert_true(
		str_eqz(json_str(json_get(json_at(files, 1), "content")), "You are careful.\n"));
	world_fini(&w);
}

static void test_agent_refused(void **state)
{
	auto_buf out = BUF_INIT_SECRET(BUNDLE_MAX);
	auto_buf small = BUF_INIT_SECRET(64);
	struct secrets none = { NULL, 0 };
	struct world w;

	(void)state;
	make(&w, "env: {A: '${HOST}'}\n", "");
	assert_int_equal(bundle_agent(w.plan, &w.secrets, STR(CERT KEY), &out, &w.err), -1);
	assert_string_equal(w.err.text, "the agent's CA certificate comes with its key");
	assert_int_equal(bundle_agent(w.plan, &none, STR(CERT), &out, &w.err), -1);
	assert_string_equal(w.err.text, "no value was gathered for A");
	assert_int_equal(bundle_agent(w.plan, &w.secrets, STR(CERT), &small, &w.err), -1);
	assert_int_equal(w.err.code, E_LIMIT);
	world_fini(&w);
}

static void test_upstream_ca(void **state)
{
	struct host_env env = env_of(environment);
	struct str_list pems;
	struct world w;

	(void)state;
	make(&w, "egress: {upstream_ca: [ca.pem]}\n", "");
	assert_int_equal(bundle_read_upstream_ca(w.plan, &env, &pems, &w.err), 0);
	assert_int_equal(pems.n, 2); /* the host's first */
	assert_non_null(strstr(pems.v[0], "Stands for a certificate"));
	assert_string_equal(pems.v[1], CERT);
	strs_free(&pems);

	world_write(&w, "home/bottles/ca.pem", CERT KEY);
	assert_int_equal(bundle_read_upstream_ca(w.plan, &env, &pems, &w.err), -1);
	assert_string_equal(world_error(&w), "@/home/bottles/ca.pem: holds a private key; "
					     "certificates only are wanted");
	assert_int_equal(pems.n, 0);
	world_write(&w, "home/bottles/ca.pem", "x");
	assert_int_equal(bundle_read_upstream_ca(w.plan, &env, &pems, &w.err), -1);
	assert_string_equal(world_error(&w), "@/home/bottles/ca.pem: no PEM certificate in it");
	world_fini(&w);
}

static void test_system_ca(void **state)
{
	static const char *const bad[] = { "SSL_CERT_FILE", "/nonexistent/ca.pem", NULL };
	struct host_env env = env_of(bad);
	struct str_list pems;
	struct world w;

	(void)state;
	make(&w, "", "");
	assert_int_equal(bundle_read_upstream_ca(w.plan, &env, &pems, &w.err), -1);
	assert_non_null(strstr(w.err.text, "/nonexistent/ca.pem"));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_egress_proxy),  WORLD_TEST(test_agent),
		WORLD_TEST(test_agent_refused), WORLD_TEST(test_upstream_ca),
		WORLD_TEST(test_system_ca),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
