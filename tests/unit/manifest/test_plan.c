#include "support.h"

#include "base/json.h"
#include "base/version.h"
#include "manifest/plan.h"

#define ID "dev-a1b2c"

/* Values that must turn up nowhere in a plan. */
static const char *const environment[] = {
	"HOME",          "/home/u",       "CLAUDE_TOKEN", "secret-claude",
	"GH_TOKEN",      "secret-github", "CORP_LOGIN",   "ann:secret-pw",
	"HOST_CI_TOKEN", "secret-ci",     NULL,
};

static struct plan_input input(const struct host_env *env)
{
	return (struct plan_input){ .identity = ID, .env = env, .cwd = "/home/u/src" };
}

static void load(struct world *w, const char *agent_head, const char *prompt,
		 const char *bottle_head)
{
	world_init(w);
	world_load(w, agent_head, prompt, bottle_head);
}

static struct plan *make(struct world *w, const char *bottle_head)
{
	struct host_env env = env_of(environment);
	struct plan_input in = input(&env);

	load(w, "bottle: b\n", "", bottle_head);
	return world_plan(w, &in);
}

static const struct plan_env *env_get(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->env_count; i++)
		if (str_eqz(str_of(p->env[i].name), name))
			return &p->env[i];
	return NULL;
}

static void check_words(const struct str_list *l, const char *want)
{
	auto_buf got = BUF_INIT(KIB(4));

	for (size_t i = 0; i < l->n; i++)
		assert_int_equal(buf_addf(&got, NULL, "%s%s", i ? "|" : "", l->v[i]), 0);
	assert_string_equal(buf_z(&got), want);
}

/* --- session ----------------------------------------------------------------------------------- */

static void test_command(void **state)
{
	static const char *const after[] = { "bash", "-c", "x y", NULL };
	static const struct {
		const char *bottle, *prompt;
		bool headless;
		const char *text;
		const char *const *command;
		const char *want;
	} cases[] = {
		{ "", "", false, NULL, NULL, "claude|--dangerously-skip-permissions" },
		{ "", "Hi\n", false, NULL, NULL,
		  "claude|--dangerously-skip-permissions|--append-system-prompt-file|"
		  "/run/bottle/prompt.md" },
		{ "", "Hi\n", true, "do it", NULL,
		  "claude|--dangerously-skip-permissions|--append-system-prompt-file|"
		  "/run/bottle/prompt.md|-p|do it" },
		{ "", "Hi\n", true, NULL, after, "bash|-c|x y" },
		{ "agent: {provider: codex}\n", "Hi\n", false, NULL, NULL,
		  "codex|--dangerously-bypass-approvals-and-sandbox" },
		{ "agent: {provider: codex}\n", "", true, "--x", NULL,
		  "codex|exec|--skip-git-repo-check|--dangerously-bypass-approvals-and-sandbox|--|"
		  "--x" },
		{ "agent: {command: [claude, --resume]}\n", "Hi\n", false, NULL, NULL,
		  "claude|--resume" },
		{ "agent: {command: fish}\n", "", false, NULL, after, "bash|-c|x y" },
		{ "agent: {provider: custom, image: x}\n", "", true, NULL, after, "bash|-c|x y" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct host_env env = env_of(environment);
		struct plan_input in = input(&env);

		load(&w, "bottle: b\n", cases[i].prompt, cases[i].bottle);
		in.headless = cases[i].headless;
		in.prompt = cases[i].text;
		in.command = cases[i].command;
		(void)world_plan(&w, &in);
		check_words(&w.plan->command, cases[i].want);
		world_fini(&w);
	}
}

static void test_refused(void **state)
{
	static const char *const after[] = { "bash", NULL };
	static const char *const nothing[] = { NULL };
	static const struct {
		const char *agent, *bottle;
		bool headless;
		const char *text;
		const char *const *command;
		enum err_code code;
		const char *error;
	} cases[] = {
		{ "", "agent: {provider: custom, image: x}\n", false, NULL, NULL, E_BAD,
		  "bottle 'b': provider custom needs a command, in agent.command or after --" },
		{ "", "agent: {provider: custom, command: x}\n", false, NULL, NULL, E_BAD,
		  "bottle 'b': provider custom needs agent.image or agent.dockerfile with Docker" },
		{ "", "", true, NULL, NULL, E_USAGE,
		  "--headless needs --prompt TEXT or a command after --" },
		{ "", "", false, "x", NULL, E_USAGE, "--prompt goes with --headless" },
		{ "", "", true, "x", after, E_USAGE,
		  "--prompt: only the session of provider claude or codex takes one; put it into "
		  "the command" },
		{ "", "agent: {command: x}\n", true, "x", NULL, E_USAGE,
		  "--prompt: only the session of provider claude or codex takes one; put it into "
		  "the command" },
		{ "", "agent: {provider: custom, image: x}\n", true, "x", NULL, E_USAGE,
		  "--prompt: only the session of provider claude or codex takes one; put it into "
		  "the command" },
		{ "", "", false, NULL, nothing, E_USAGE, "no command after --" },
		{ "", "env: {A: '${UNSET}'}\n", false, NULL, NULL, E_BAD,
		  "@/home/bottles/b.md:2:10: env: 'A' copies host variable UNSET, which is not "
		  "set" },
		{ "",
		  "egress_proxy: {routes: [{host: a.test,\n"
		  "  auth: {scheme: Bearer, token_ref: UNSET}}]}\n",
		  false, NULL, NULL, E_BAD,
		  "@/home/bottles/b.md:2:25: token_ref: host variable UNSET is not set" },
		{ "",
		  "egress_proxy: {routes: [{host: a.test,\n"
		  "  auth: {scheme: Bearer, token_ref: BLANK}}]}\n",
		  false, NULL, NULL, E_BAD,
		  "@/home/bottles/b.md:2:25: token_ref: host variable BLANK is empty" },
		{ "skills: [x]\n", "", false, NULL, NULL, E_BAD,
		  "@/home/agents/dev.md: skills are under ~/.claude/skills, and HOME is not set" },
	};
	static const char *const poor[] = { "BLANK", "", NULL };
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct host_env env = env_of(poor);
		struct plan_input in = input(&env);
		auto_free char *agent = mem_printf("bottle: b\n%s", cases[i].agent);

		load(&w, agent, "", cases[i].bottle);
		in.headless = cases[i].headless;
		in.prompt = cases[i].text;
		in.command = cases[i].command;
		assert_null(plan_make(&w.manifest, &in, &w.err));
		same &= same_text(world_error(&w), cases[i].error);
		assert_int_equal(w.err.code, cases[i].code);
		world_fini(&w);
	}
	assert_true(same);
}

static void test_image(void **state)
{
	struct world w;
	struct plan *p;
	struct host_env env = env_of(environment);
	struct plan_input in = input(&env);

	(void)state;
	p = make(&w, "");
	assert_int_equal(p->image_kind, PLAN_IMAGE_EMBEDDED);
	assert_string_equal(p->image_source, "docker/agents/claude.Dockerfile");
	assert_true(str_starts(str_of(p->image), STR("bottle-agent-claude:")));
	assert_true(str_starts(str_of(p->sidecar_image), STR("bottle-sidecar:")));
	assert_string_equal(p->user, "1000:1000");
	assert_string_equal(p->home, "/home/agent");
	assert_string_equal(p->workdir, "/work");
	assert_null(p->system_file);
	assert_null(p->skills_dir);
	world_fini(&w);

	p = make(&w, "agent: {image: 'node:22', user: node, workdir: /srv}\n");
	assert_int_equal(p->image_kind, PLAN_IMAGE_NAMED);
	assert_string_equal(p->image, "node:22");
	assert_null(p->image_source);
	assert_string_equal(p->user, "node");
	assert_null(p->home); /* what the image says of node */
	assert_null(env_get(p, "HOME"));
	assert_string_equal(p->workdir, "/srv");
	world_fini(&w);

	p = make(&w, "agent: {dockerfile: /etc/hostname}\n");
	assert_int_equal(p->image_kind, PLAN_IMAGE_DOCKERFILE);
	assert_string_equal(p->image, "bottle-image-b:latest");
	assert_string_equal(p->image_source, "/etc/hostname");
	world_fini(&w);

	/* the native backend needs no image */
	load(&w, "bottle: b\nskills: [x]\n", "Hi", "agent: {provider: custom, command: sh}\n");
	in.backend = BACKEND_NATIVE;
	(void)world_plan(&w, &in);
	assert_int_equal(w.plan->image_kind, PLAN_IMAGE_HOST);
	assert_null(w.plan->sidecar_image);
	assert_string_equal(w.plan->system_file, "/run/bottle/prompt.md");
	assert_string_equal(w.plan->skills_dir, "/home/u/.claude/skills");
	world_fini(&w);

	load(&w, "bottle: b\n", "", "agent: {rootfs: /usr}\n");
	(void)world_plan(&w, &in);
	assert_int_equal(w.plan->image_kind, PLAN_IMAGE_ROOTFS);
	assert_string_equal(w.plan->image_source, "/usr");
	world_fini(&w);
}

/* --- routes ------------------------------------------------------------------------------------ */

static void test_routes(void **state)
{
	struct world w;
	struct plan *p =
		make(&w, "egress:\n"
			 "  allowlist: [a.test, c.test, y.x.test, '*.y.x.test', '*.z.test',\n"
			 "              e.test, f.w.test, chatgpt.com]\n"
			 "egress_proxy:\n"
			 "  routes:\n"
			 "    - {host: b.test}\n"
			 "    - {host: a.test, methods: [GET]}\n"
			 "    - {host: '*.x.test', path_allowlist: [/p]}\n"
			 "    - {host: 'e.test:8443', methods: [GET]}\n"
			 "    - {host: '*.w.test:8443', methods: [GET]}\n"
			 "agent: {provider: codex}\n");
	auto_buf got = BUF_INIT(KIB(4));

	(void)state;
	for (size_t i = 0; i < p->route_count; i++)
		assert_int_equal(buf_addf(&got, NULL, "%s %d\n", p->routes[i].host,
					  (int)p->routes[i].source),
				 0);
	/*
	 * What a route covers is not widened by the allowlist (a.test, y.x.test and below). A route
	 * for another port covers nothing of 443 and 80 (e.test, f.w.test).
	 */
	assert_string_equal(buf_z(&got), "b.test 0\n"
					 "a.test 0\n"
					 "*.x.test 0\n"
					 "e.test 0\n"
					 "*.w.test 0\n"
					 "c.test 1\n"
					 "*.z.test 1\n"
					 "e.test 1\n"
					 "f.w.test 1\n"
					 "chatgpt.com 1\n"
					 "api.openai.com 2\n"
					 "auth.openai.com 2\n");
	world_fini(&w);
}

/* The provider's host does not open what a route of the operator restricts. */
static void test_provider_host_covered(void **state)
{
	static const char *const heads[] = {
		"egress_proxy: {routes: [{host: api.anthropic.com, methods: [GET]}]}\n",
		"egress_proxy: {routes: [{host: '*.anthropic.com', methods: [GET]}]}\n",
		"egress_proxy: {routes: [{host: '*.anthropic.com:443', methods: [GET]}]}\n",
		"egress: {allowlist: ['*.anthropic.com']}\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct world w;

		assert_int_equal(make(&w, heads[i])->route_count, 1);
		world_fini(&w);
	}
}

static void test_credentials(void **state)
{
	struct world w;
	struct plan *p =
		make(&w, "egress_proxy:\n"
			 "  routes:\n"
			 "    - {host: a, auth: {scheme: Bearer, token_ref: GH_TOKEN}}\n"
			 "    - {host: b}\n"
			 "    - {host: c, auth: {scheme: token, token_ref: CLAUDE_TOKEN}}\n"
			 "    - {host: d, auth: {scheme: Basic, token_ref: GH_TOKEN}}\n");

	(void)state;
	assert_int_equal(p->credential_count, 2);
	assert_string_equal(p->credentials[0].slot, "EGRESS_PROXY_TOKEN_0");
	assert_string_equal(p->credentials[0].token_ref, "GH_TOKEN");
	assert_true(p->credentials[0].basic);
	assert_string_equal(p->credentials[1].slot, "EGRESS_PROXY_TOKEN_1");
	assert_string_equal(p->credentials[1].token_ref, "CLAUDE_TOKEN");
	assert_false(p->credentials[1].basic);
	assert_string_equal(p->routes[0].slot, "EGRESS_PROXY_TOKEN_0");
	assert_null(p->routes[1].slot);
	assert_string_equal(p->routes[2].slot, "EGRESS_PROXY_TOKEN_1");
	assert_string_equal(p->routes[3].slot, "EGRESS_PROXY_TOKEN_0");
	world_fini(&w);
}

/* The routes file: no values, no names of host variables (spec 2.2). */
static void test_routes_json(void **state)
{
	struct world w;
	struct plan *p =
		make(&w, "egress_proxy:\n"
			 "  routes:\n"
			 "    - host: 'A.test:8443'\n"
			 "      path_allowlist: [/v1]\n"
			 "      methods: [GET]\n"
			 "      mount: /a\n"
			 "      auth: {scheme: 'header:X-Key', token_ref: GH_TOKEN}\n"
			 "    - {host: '[::1]:443', pass_authorization: true}\n"
			 "    - {host: c.test, tls: passthrough}\n"
			 "    - {host: d.test, auth: {scheme: Basic, token_ref: CORP_LOGIN}}\n");

	(void)state;
	assert_string_equal(p->routes_json,
			    "{\"routes\":["
			    "{\"host\":\"a.test:8443\",\"path_allowlist\":[\"/v1\"],"
			    "\"methods\":[\"GET\"],\"mount\":\"/a\","
			    "\"auth_scheme\":\"header:X-Key\","
			    "\"token_env\":\"EGRESS_PROXY_TOKEN_0\"},"
			    "{\"host\":\"[::1]:443\",\"pass_authorization\":true},"
			    "{\"host\":\"c.test\",\"tls\":\"passthrough\"},"
			    "{\"host\":\"d.test\",\"auth_scheme\":\"Basic\","
			    "\"token_env\":\"EGRESS_PROXY_TOKEN_1\"},"
			    "{\"host\":\"api.anthropic.com\"}]}");
	world_fini(&w);
}

/* --- environment ------------------------------------------------------------------------------- */

static void test_env(void **state)
{
	static const struct {
		const char *name, *value;
	} want[] = {
		{ "HTTP_PROXY", "http://egress-proxy:9099" },
		{ "http_proxy", "http://egress-proxy:9099" },
		{ "HTTPS_PROXY", "http://egress-proxy:9099" },
		{ "https_proxy", "http://egress-proxy:9099" },
		{ "NO_PROXY", "localhost,127.0.0.1,egress-proxy" },
		{ "no_proxy", "localhost,127.0.0.1,egress-proxy" },
		{ "NODE_USE_ENV_PROXY", "1" },
		{ "JAVA_TOOL_OPTIONS", "-Dhttp.proxyHost=egress-proxy -Dhttp.proxyPort=9099 "
				       "-Dhttps.proxyHost=egress-proxy -Dhttps.proxyPort=9099 "
				       "-Dhttp.nonProxyHosts=localhost|127.0.0.1|egress-proxy" },
		{ "NODE_EXTRA_CA_CERTS", "/run/bottle/ca.pem" },
		{ "SSL_CERT_FILE", "/run/bottle/ca-bundle.pem" },
		{ "CODEX_CA_CERTIFICATE", "/run/bottle/ca-bundle.pem" },
		{ "REQUESTS_CA_BUNDLE", "/run/bottle/ca-bundle.pem" },
		{ "CURL_CA_BUNDLE", "/run/bottle/ca-bundle.pem" },
		{ "GIT_SSL_CAINFO", "/run/bottle/ca-bundle.pem" },
		{ "PIP_CERT", "/run/bottle/ca-bundle.pem" },
		{ "CARGO_HTTP_CAINFO", "/run/bottle/ca-bundle.pem" },
		{ "DENO_CERT", "/run/bottle/ca-bundle.pem" },
		{ "AWS_CA_BUNDLE", "/run/bottle/ca-bundle.pem" },
		{ "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "/run/bottle/ca-bundle.pem" },
		{ "HOME", "/home/agent" },
	};
	struct world w;
	struct plan *p = make(&w, "");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct plan_env *e = env_get(p, want[i].name);

		assert_non_null(e);
		assert_int_equal(e->kind, PLAN_ENV_FIXED);
		assert_string_equal(e->value, want[i].value);
	}
	assert_int_equal(p->env_count, ARRAY_LEN(want));
	for (size_t i = 1; i < p->env_count; i++)
		assert_true(strcmp(p->env[i - 1].name, p->env[i].name) < 0);
	world_fini(&w);
}

#define OAUTH                                                                          \
	"egress_proxy: {routes: [{host: api.anthropic.com, role: claude_code_oauth,\n" \
	"  auth: {scheme: Bearer, token_ref: CLAUDE_TOKEN}}]}\n"

static void test_oauth(void **state)
{
	struct world w;
	struct plan *p = make(&w, OAUTH);
	const struct plan_env *e = env_get(p, "CLAUDE_CODE_OAUTH_TOKEN");

	(void)state;
	assert_int_equal(e->kind, PLAN_ENV_PLACEHOLDER);
	assert_non_null(strstr(e->value, "placeholder"));
	assert_string_equal(env_get(p, "DISABLE_TELEMETRY")->value, "1");
	assert_string_equal(env_get(p, "DISABLE_ERROR_REPORTING")->value, "1");
	assert_string_equal(env_get(p, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")->value, "1");
	world_fini(&w);

	/* all of it gives way to env */
	p = make(&w,
		 OAUTH "env: {CLAUDE_CODE_OAUTH_TOKEN: '${CLAUDE_TOKEN}', DISABLE_TELEMETRY: x,\n"
		       "      DISABLE_ERROR_REPORTING: '', HTTP_PROXY: mine}\n");
	e = env_get(p, "CLAUDE_CODE_OAUTH_TOKEN");
	assert_int_equal(e->kind, PLAN_ENV_HOST);
	assert_null(e->value);
	assert_string_equal(e->ref, "CLAUDE_TOKEN");
	assert_string_equal(env_get(p, "DISABLE_TELEMETRY")->value, "x");
	assert_int_equal(env_get(p, "DISABLE_TELEMETRY")->kind, PLAN_ENV_LITERAL);
	assert_string_equal(env_get(p, "DISABLE_ERROR_REPORTING")->value, "");
	assert_string_equal(env_get(p, "HTTP_PROXY")->value, "mine");
	world_fini(&w);

	p = make(&w, "");
	assert_null(env_get(p, "CLAUDE_CODE_OAUTH_TOKEN"));
	world_fini(&w);
}

static void test_secret_env(void **state)
{
	struct world w;
	struct plan *p = make(&w, "env: {A: '?the key', B: '${HOST_CI_TOKEN}'}\n");

	(void)state;
	assert_int_equal(env_get(p, "A")->kind, PLAN_ENV_PROMPT);
	assert_string_equal(env_get(p, "A")->ref, "the key");
	assert_null(env_get(p, "A")->value);
	assert_int_equal(env_get(p, "B")->kind, PLAN_ENV_HOST);
	assert_string_equal(env_get(p, "B")->ref, "HOST_CI_TOKEN");
	assert_null(env_get(p, "B")->value);
	world_fini(&w);
}

/* --- objects ----------------------------------------------------------------------------------- */

static void test_objects(void **state)
{
	struct world w;
	struct plan *p = make(&w, "");
	const struct plan_box *agent = plan_box(p, ROLE_AGENT);
	const struct plan_box *proxy = plan_box(p, ROLE_EGRESS_PROXY);

	(void)state;
	assert_ptr_equal(agent, &p->boxes[0]);
	assert_string_equal(agent->name, "bottle-" ID);
	assert_null(agent->alias);
	/* the agent is on the internal network and on no other */
	assert_int_equal(agent->networks, 1u << ROLE_NETWORK_NET);
	assert_true(plan_network(p, ROLE_NETWORK_NET)->internal);
	assert_false(plan_network(p, ROLE_NETWORK_EGRESS)->internal);
	assert_string_equal(plan_network(p, ROLE_NETWORK_NET)->name, "bottle-net-" ID);
	assert_string_equal(plan_network(p, ROLE_NETWORK_EGRESS)->name, "bottle-egress-" ID);
	assert_string_equal(proxy->name, "bottle-egress-proxy-" ID);
	assert_string_equal(proxy->alias, "egress-proxy");
	assert_int_equal(proxy->port, 9099);
	assert_true(proxy->networks & (1u << ROLE_NETWORK_NET));
	for (size_t i = 0; i < p->box_count; i++) {
		assert_true(p->boxes[i].pids > 0);
		assert_true(p->boxes[i].memory_mib > 0);
		/* every network a box is on is one of the plan */
		for (enum plan_role r = ROLE_NETWORK_NET; r <= ROLE_NETWORK_EGRESS; r++)
			if (p->boxes[i].networks & (1u << r))
				assert_non_null(plan_network(p, r));
	}
	assert_string_equal(plan_role_name(ROLE_GIT_GATE), "git-gate");
	world_fini(&w);
}

/* A protection that is declared is there, or the bottle does not start. */
static void test_unsupported(void **state)
{
	static const struct {
		const char *head, *word;
		enum plan_role role;
	} cases[] = {
		{ "git: [{Name: a, Upstream: 'ssh://g@a.test/a', IdentityFile: /etc/hostname}]\n",
		  "git-gate", ROLE_GIT_GATE },
		{ "supervise: true\n", "supervise", ROLE_SUPERVISE },
		{ "egress: {dlp_action: block}\n", "pipelock", ROLE_PIPELOCK },
		{ "egress: {dlp_allow: [{host: a.test, rule: x}]}\n", "pipelock", ROLE_PIPELOCK },
		{ "egress: {upstream_proxy: 'http://p.test:1'}\n", "pipelock", ROLE_PIPELOCK },
	};
	struct world w;

	(void)state;
	assert_int_equal(plan_unsupported(make(&w, "supervise: false\n"))->n, 0);
	world_fini(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct plan *p = make(&w, cases[i].head);

		if (plan_box(p, cases[i].role)) {
			assert_int_equal(plan_unsupported(p)->n, 0);
		} else {
			assert_int_equal(plan_unsupported(p)->n, 1);
			assert_non_null(strstr(plan_unsupported(p)->v[0], cases[i].word));
		}
		world_fini(&w);
	}
}

static void test_git(void **state)
{
	struct world w;
	struct plan *p = make(&w, "git:\n"
				  "  - Name: site\n"
				  "    Upstream: ssh://git@Git.test/web/site.git/\n"
				  "    IdentityFile: /etc/hostname\n"
				  "  - Name: tool\n"
				  "    Upstream: ssh://me@git.test:2222/tool\n"
				  "    IdentityFile: /etc/hostname\n");

	(void)state;
	assert_int_equal(p->git_count, 2);
	assert_string_equal(p->git[0].gate_url, "git://git-gate/site.git");
	check_words(&p->git[0].spellings, "ssh://git@git.test:22/web/site.git|"
					  "ssh://git@git.test:22/web/site|"
					  "ssh://git@git.test/web/site.git|"
					  "ssh://git@git.test/web/site|"
					  "git@git.test:/web/site.git|"
					  "git@git.test:/web/site|"
					  "git@git.test:web/site.git|"
					  "git@git.test:web/site|"
					  "ssh://git.test:22/web/site.git|"
					  "ssh://git.test:22/web/site|"
					  "ssh://git.test/web/site.git|"
					  "ssh://git.test/web/site|"
					  "git.test:/web/site.git|"
					  "git.test:/web/site|"
					  "git.test:web/site.git|"
					  "git.test:web/site|"
					  "https://git.test/web/site.git|"
					  "https://git.test/web/site");
	check_words(&p->git[1].spellings, "ssh://me@git.test:2222/tool.git|"
					  "ssh://me@git.test:2222/tool|"
					  "ssh://git.test:2222/tool.git|"
					  "ssh://git.test:2222/tool|"
					  "https://git.test/tool.git|"
					  "https://git.test/tool");
	world_fini(&w);
}

static void test_red(void **state)
{
	static const char *const want[] = {
		"the agent changes /home/u/src itself, not a copy",
		"the agent can read the secret A (asked for: the key)",
		"the agent can read the secret B (host variable HOST_CI_TOKEN)",
		"c.test is passed through unread: no path, method or secret is checked",
		"d.test gets the agent's own Authorization",
		"a secret that leaves is reported, not stopped (dlp_action: warn)",
		"rule aws-key is off for a.test (dlp_allow)",
		"private addresses 10.0.0.0/8 may be reached (allow_private)",
		"a.test:1:10.0.0.1: a fixed address that no guard checks (resolve)",
		"upstreams are trusted by /etc/hostname too (upstream_ca)",
		"git x has no KnownHostKey: the gate will refuse to reach it",
	};
	struct world w;
	struct host_env env = env_of(environment);
	struct plan_input in = input(&env);

	(void)state;
	load(&w, "bottle: b\n", "",
	     "env: {A: '?the key', B: '${HOST_CI_TOKEN}', C: literal}\n"
	     "egress_proxy: {routes: [{host: c.test, tls: passthrough},\n"
	     "                        {host: d.test, pass_authorization: true}]}\n"
	     "egress: {dlp_action: warn, dlp_allow: [{host: a.test, rule: aws-key}],\n"
	     "         allow_private: [10.0.0.0/8], resolve: ['a.test:1:10.0.0.1'],\n"
	     "         upstream_ca: [/etc/hostname]}\n"
	     "git: [{Name: x, Upstream: 'ssh://g@a.test/a', IdentityFile: /etc/hostname}]\n");
	in.cwd_mode = PLAN_CWD_BIND;
	(void)world_plan(&w, &in);
	assert_int_equal(w.plan->red.n, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_string_equal(w.plan->red.v[i], want[i]);
	world_fini(&w);

	assert_int_equal(make(&w, "env: {C: literal}\n")->red.n, 0);
	world_fini(&w);
}

static void test_red_repository(void **state)
{
	struct world w;
	struct host_env env = env_of(environment);
	struct plan_input in = input(&env);

	(void)state;
	load(&w, "bottle: b\n", "", "repository_agents: true\n");
	manifest_fini(&w.manifest);
	world_write(&w, "work/.bottle/agents/dev.md", "---\nbottle: b\n---\n");
	assert_int_equal(manifest_load(&w.home, "./dev", w.work, &w.manifest, NULL, &w.err), 0);
	(void)world_plan(&w, &in);
	assert_int_equal(w.plan->red.n, 1);
	assert_true(str_starts(str_of(w.plan->red.v[0]),
			       STR("the agent comes from this repository: ")));
	assert_true(str_ends(str_of(w.plan->red.v[0]), STR("/work/.bottle/agents/dev.md")));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_command),
		WORLD_TEST(test_refused),
		WORLD_TEST(test_image),
		WORLD_TEST(test_routes),
		WORLD_TEST(test_provider_host_covered),
		WORLD_TEST(test_credentials),
		WORLD_TEST(test_routes_json),
		WORLD_TEST(test_env),
		WORLD_TEST(test_oauth),
		WORLD_TEST(test_secret_env),
		WORLD_TEST(test_objects),
		WORLD_TEST(test_unsupported),
		WORLD_TEST(test_git),
		WORLD_TEST(test_red),
		WORLD_TEST(test_red_repository),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
