/* The frontmatter of a bottle but for routes, git and migration, which have programs of their own. */
#include "support.h"

#include "manifest/bottle.h"

struct error_case {
	const char *head, *error;
};

static void check_errors(const struct error_case *cases, size_t n)
{
	bool same = true;

	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(cases[i].head, NULL, &err);

		if (b)
			fail_msg("accepted: %s", cases[i].head);
		same &= same_text(err.text, cases[i].error);
		assert_int_equal(err.code, E_BAD);
	}
	assert_true(same);
}

static struct bottle *must(const char *head)
{
	struct err err = ERR_INIT;
	struct bottle *b = bottle_of(head, NULL, &err);

	if (!b)
		fail_msg("%s", err.text);
	return b;
}

static void test_empty(void **state)
{
	auto_bottle struct bottle *b = must("");

	(void)state;
	assert_string_equal(b->name, "b");
	assert_int_equal(b->files.n, 1);
	assert_string_equal(b->files.v[0], "b.md");
	assert_int_equal(b->agent.provider, PROVIDER_CLAUDE);
	assert_int_equal(b->egress.dlp_action, DLP_BLOCK);
	assert_false(b->agent.has_provider);
	assert_false(b->egress.has_dlp_action);
	assert_false(b->repository_agents);
	assert_false(b->has_repository_agents);
	assert_false(b->supervise);
	assert_false(b->has_supervise);
}

static void test_document(void **state)
{
	static const struct error_case cases[] = {
		{ "- a\n", "b.md:2:1: bottle must be a map, not a list" },
		{ "supervise: true\nsupervise: false\n",
		  "b.md:3:1: duplicate key 'supervise' (first on line 2)" },
		{ "env: &x {}\n", "b.md:2:6: anchors are not allowed" },
		{ "env: !!map {}\n", "b.md:2:6: tags are not allowed" },
		{ "suprvise: true\n",
		  "b.md:2:1: unknown key 'suprvise' in bottle (did you mean 'supervise'?); "
		  "accepted: extends, agent, env, git, git_user, egress, repository_agents, "
		  "egress_proxy, supervise" },
		{ "supervise: yes\n",
		  "b.md:2:12: 'supervise' must be true or false, not a string" },
		{ "repository_agents: \"true\"\n",
		  "b.md:2:20: 'repository_agents' must be true or false, not a string" },
	};

	(void)state;
	check_errors(cases, ARRAY_LEN(cases));
}

static void test_extends(void **state)
{
	static const struct error_case cases[] = {
		{ "extends: [a, ../b]\n",
		  "b.md:2:14: extends: '../b' is not the name of a bottle" },
		{ "extends: A\n", "b.md:2:10: extends: 'A' is not the name of a bottle" },
		{ "extends: [a, b, a]\n", "b.md:2:17: extends: 'a' is there twice" },
		{ "extends: {a: b}\n",
		  "b.md:2:10: 'extends' must be a string or a list of strings, not a map" },
	};
	auto_bottle struct bottle *one = must("extends: base\n");
	auto_bottle struct bottle *two = must("extends:\n  - base\n  - net\n");

	(void)state;
	assert_int_equal(one->extends.n, 1);
	assert_string_equal(one->extends.v[0], "base");
	assert_int_equal(two->extends.n, 2);
	assert_string_equal(two->extends.v[1], "net");
	assert_int_equal(two->extends_at.line, 3);
	check_errors(cases, ARRAY_LEN(cases));
}

static void test_agent(void **state)
{
	auto_bottle struct bottle *b = must("agent:\n"
					    "  provider: custom\n"
					    "  image: registry.test:5000/a/b:1@sha256:00ff\n"
					    "  command: [sh, -c, \"a b\\nc\"]\n"
					    "  user: 1001:1001\n"
					    "  workdir: /srv/work\n");
	auto_bottle struct bottle *one =
		must("agent: {provider: codex, command: fish, user: dev}\n");

	(void)state;
	assert_int_equal(b->agent.provider, PROVIDER_CUSTOM);
	assert_true(b->agent.has_provider);
	assert_string_equal(b->agent.image, "registry.test:5000/a/b:1@sha256:00ff");
	assert_int_equal(b->agent.command.n, 3);
	assert_string_equal(b->agent.command.v[2], "a b\nc");
	assert_string_equal(b->agent.user, "1001:1001");
	assert_string_equal(b->agent.workdir, "/srv/work");
	assert_string_equal(provider_name((enum provider)one->agent.provider), "codex");
	assert_int_equal(one->agent.command.n, 1);
	assert_string_equal(one->agent.command.v[0], "fish");
}

static void test_agent_errors(void **state)
{
	static const struct error_case cases[] = {
		{ "agent: claude\n", "b.md:2:8: agent must be a map, not a string" },
		{ "agent: {provider: claud}\n",
		  "b.md:2:19: 'provider' must be one of: claude, codex, custom; not 'claud' (did "
		  "you mean 'claude'?)" },
		{ "agent: {imgae: x}\n",
		  "b.md:2:9: unknown key 'imgae' in agent (did you mean 'image'?); accepted: "
		  "provider, image, dockerfile, rootfs, command, user, workdir" },
		{ "agent: {image: -v}\n", "b.md:2:16: image '-v': not an image reference" },
		{ "agent: {image: \"a b\"}\n", "b.md:2:16: image 'a b': not an image reference" },
		{ "agent: {image: \"\"}\n", "b.md:2:16: 'image' must have 1 to 255 bytes, not 0" },
		{ "agent: {dockerfile: nowhere/Dockerfile}\n",
		  "b.md:2:21: dockerfile: nowhere/Dockerfile: No such file or directory" },
		{ "agent: {dockerfile: /dev/null}\n",
		  "b.md:2:21: dockerfile: /dev/null: not a regular file" },
		{ "agent: {dockerfile: ~root/x}\n",
		  "b.md:2:21: dockerfile: '~root/x': write ~/… or an absolute path" },
		{ "agent: {rootfs: /dev/null}\n", "b.md:2:17: rootfs: /dev/null: not a directory" },
		{ "agent: {image: a, dockerfile: Makefile}\n",
		  "b.md:2:31: image and dockerfile: only one of them" },
		{ "agent: {command: npm start}\n",
		  "b.md:2:18: command: no shell splits it; write a list of arguments" },
		{ "agent: {command: []}\n", "b.md:2:18: command: empty" },
		{ "agent: {command: [\"\"]}\n", "b.md:2:18: command: empty" },
		{ "agent: {command: [\"a\", \"b\\0\"]}\n", "b.md:2:24: NUL in a string" },
		{ "agent: {command: {a: b}}\n",
		  "b.md:2:18: 'command' must be a string or a list of strings, not a map" },
		{ "agent: {user: root}\n", "b.md:2:15: user 'root': an agent never runs as root" },
		{ "agent: {user: 0}\n", "b.md:2:15: user '0': an agent never runs as root" },
		{ "agent: {user: 00:5}\n", "b.md:2:15: user '00:5': an agent never runs as root" },
		{ "agent: {user: root:5}\n",
		  "b.md:2:15: user 'root:5': an agent never runs as root" },
		{ "agent: {user: -u}\n", "b.md:2:15: user '-u': expected a name or UID[:GID]" },
		{ "agent: {user: \"a:\"}\n", "b.md:2:15: user 'a:': expected a name or UID[:GID]" },
		{ "agent: {workdir: work}\n",
		  "b.md:2:18: workdir 'work': expected an absolute path below /" },
		{ "agent: {workdir: /}\n",
		  "b.md:2:18: workdir '/': expected an absolute path below /" },
		{ "agent: {workdir: /a/../b}\n",
		  "b.md:2:18: workdir '/a/../b': expected an absolute path below /" },
		{ "agent: {workdir: \"/a:ro\"}\n",
		  "b.md:2:18: workdir '/a:ro': expected an absolute path below /" },
	};

	(void)state;
	check_errors(cases, ARRAY_LEN(cases));
}

static void test_env(void **state)
{
	auto_bottle struct bottle *b = must("env:\n"
					    "  A: text\n"
					    "  PORT: 8080\n"
					    "  EMPTY: \"\"\n"
					    "  KEY: ?the key of the shop\n"
					    "  ASK: \"?\"\n"
					    "  HOST: ${HOST_VAR}\n"
					    "  NO: no\n"
					    "  _x9: a	b\n");
	static const struct {
		const char *name;
		enum env_kind kind;
		const char *value;
	} want[] = {
		{ "A", ENV_LITERAL, "text" }, { "PORT", ENV_LITERAL, "8080" },
		{ "EMPTY", ENV_LITERAL, "" }, { "KEY", ENV_PROMPT, "the key of the shop" },
		{ "ASK", ENV_PROMPT, "ASK" }, { "HOST", ENV_HOST, "HOST_VAR" },
		{ "NO", ENV_LITERAL, "no" },  { "_x9", ENV_LITERAL, "a\tb" },
	};

	(void)state;
	assert_int_equal(b->env.n, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_string_equal(b->env.v[i].name, want[i].name);
		assert_int_equal(b->env.v[i].kind, want[i].kind);
		assert_string_equal(b->env.v[i].value, want[i].value);
		assert_string_equal(b->env.v[i].at.file, "b.md");
		assert_int_equal(b->env.v[i].at.line, 3 + i);
	}
}

/* Only exactly ${NAME} copies; what looks like it is taken literally, and said to be. */
static void test_env_nearly(void **state)
{
	auto_notes notes = NOTES_INIT;
	struct err err = ERR_INIT;
	auto_bottle struct bottle *b = bottle_of("env:\n"
						 "  A: x${HOME}\n"
						 "  B: ${HOME}/bin\n"
						 "  C: $HOME\n"
						 "  D: \"${}\"\n"
						 "  E: \"${A-b}\"\n",
						 &notes, &err);

	(void)state;
	assert_non_null(b);
	for (size_t i = 0; i < b->env.n; i++)
		assert_int_equal(b->env.v[i].kind, ENV_LITERAL);
	assert_int_equal(notes.warnings.n, 4);
	assert_string_equal(notes.warnings.v[1],
			    "b.md:4:6: env: 'B' is taken as it stands; only exactly ${NAME} copies "
			    "a host variable");
}

static void test_env_errors(void **state)
{
	static const struct error_case cases[] = {
		{ "env: [A]\n", "b.md:2:6: 'env' must be a map of names to strings, not a list" },
		{ "env: {1A: x}\n", "b.md:2:7: env: '1A': a name is letters, digits and '_', not "
				    "starting with a digit" },
		{ "env: {A-B: x}\n", "b.md:2:7: env: 'A-B': a name is letters, digits and '_', not "
				     "starting with a digit" },
		{ "env: {A: [x]}\n", "b.md:2:10: env: 'A' must be a string, not a list" },
		{ "env:\n  A:\n", "b.md:3:5: env: 'A' must be a string, not nothing" },
		{ "env: {A: \"x\\ny\"}\n", "b.md:2:10: env: 'A' holds a line break; pass it as "
					   "${VARIABLE} of the host" },
		{ "env:\n  A: |\n    x\n", "b.md:3:6: env: 'A' holds a line break; pass it as "
					   "${VARIABLE} of the host" },
		{ "env: {A: \"x\\ay\"}\n", "b.md:2:10: env: 'A' holds a control character" },
		{ "env: {A: \"?\\e[2J\"}\n", "b.md:2:10: env: 'A' holds a control character" },
	};

	(void)state;
	check_errors(cases, ARRAY_LEN(cases));
}

static void test_env_long(void **state)
{
	struct err err = ERR_INIT;
	auto_free char *value = mem_alloc(MANIFEST_ENV_VALUE_MAX + 2);
	auto_free char *head = NULL;
	auto_bottle struct bottle *b = NULL;

	(void)state;
	memset(value, 'x', MANIFEST_ENV_VALUE_MAX + 1);
	value[MANIFEST_ENV_VALUE_MAX + 1] = '\0';
	head = mem_printf("env: {A: %s}\n", value);
	b = bottle_of(head, NULL, &err);
	assert_null(b);
	assert_string_equal(err.text, "b.md:2:10: env: 'A': longer than 32768 bytes");
}

static void test_git_user(void **state)
{
	static const struct error_case cases[] = {
		{ "git_user: {name: A}\n", "b.md:2:11: git_user needs the key 'email'" },
		{ "git_user: {email: a@b.test}\n", "b.md:2:11: git_user needs the key 'name'" },
		{ "git_user: {name: \"A <b\", email: c}\n",
		  "b.md:2:18: git_user: '<', '>' and control characters cannot be part of it" },
		{ "git_user: {name: A, email: \"a\\nb\"}\n",
		  "b.md:2:28: git_user: '<', '>' and control characters cannot be part of it" },
	};
	auto_bottle struct bottle *b = must("git_user: {name: Ann Ot, email: a@b.test}\n");

	(void)state;
	assert_string_equal(b->git_user.name, "Ann Ot");
	assert_string_equal(b->git_user.email, "a@b.test");
	check_errors(cases, ARRAY_LEN(cases));
}

static void test_egress(void **state)
{
	auto_bottle struct bottle *b =
		must("egress:\n"
		     "  allowlist: [Example.COM., '*.x.test', 192.0.2.1]\n"
		     "  dlp_action: warn\n"
		     "  dlp_allow: [{host: API.test, rule: aws-access_key2}]\n"
		     "  upstream_proxy: http://Proxy.test:3128/\n"
		     "  upstream_ca: [LICENSE]\n"
		     "  resolve: ['Git.test:443:10.0.0.5', 'a.test:80:[fd00::0:1]',\n"
		     "            'b.test:80:fd00::2']\n"
		     "  allow_private: [10.0.0.0/8, 'fd00:0::/8']\n"
		     "supervise: true\n"
		     "repository_agents: true\n");
	const struct bottle_egress *e = &b->egress;

	(void)state;
	assert_int_equal(e->allowlist.n, 3);
	assert_string_equal(e->allowlist.v[0], "example.com");
	assert_string_equal(e->allowlist.v[1], "*.x.test");
	assert_int_equal(e->dlp_action, DLP_WARN);
	assert_true(e->has_dlp_action);
	assert_string_equal(e->dlp_allow.v[0].host, "api.test");
	assert_string_equal(e->dlp_allow.v[0].rule, "aws-access_key2");
	assert_int_equal(e->dlp_allow.v[0].at.line, 5);
	assert_string_equal(e->upstream_proxy, "http://proxy.test:3128");
	assert_string_equal(e->upstream_ca.v[0], "LICENSE");
	assert_int_equal(e->resolve.n, 3);
	assert_string_equal(e->resolve.v[0], "git.test:443:10.0.0.5");
	assert_string_equal(e->resolve.v[1], "a.test:80:fd00::1");
	assert_string_equal(e->resolve.v[2], "b.test:80:fd00::2");
	assert_int_equal(e->allow_private.n, 2);
	assert_string_equal(e->allow_private.v[0], "10.0.0.0/8");
	assert_string_equal(e->allow_private.v[1], "fd00::/8");
	assert_true(b->supervise && b->has_supervise);
	assert_true(b->repository_agents && b->has_repository_agents);
}

static void test_egress_errors(void **state)
{
	static const struct error_case cases[] = {
		{ "egress: {allowlst: []}\n",
		  "b.md:2:10: unknown key 'allowlst' in egress (did you mean 'allowlist'?); "
		  "accepted: allowlist, dlp_action, dlp_allow, upstream_proxy, upstream_ca, "
		  "resolve, allow_private" },
		{ "egress: {allowlist: a.test}\n",
		  "b.md:2:21: 'allowlist' must be a list, not a string" },
		{ "egress: {allowlist: [[a]]}\n",
		  "b.md:2:22: 'allowlist' must be a string, not a list" },
		{ "egress: {allowlist: [https://a.test/x]}\n",
		  "b.md:2:22: allowlist: 'https://a.test/x': a URL where a host name is wanted" },
		{ "egress: {allowlist: ['a.test:443']}\n",
		  "b.md:2:22: allowlist: 'a.test:443': a host without a port is wanted" },
		{ "egress: {allowlist: [a.test, A.test]}\n",
		  "b.md:2:30: allowlist: 'A.test' is there twice" },
		{ "egress: {dlp_action: blok}\n",
		  "b.md:2:22: 'dlp_action' must be one of: block, warn; not 'blok' (did you mean "
		  "'block'?)" },
		{ "egress: {dlp_allow: [{host: a.test}]}\n",
		  "b.md:2:22: dlp_allow entry needs the key 'rule'" },
		{ "egress: {dlp_allow: [{host: a.test, rule: 'x*'}]}\n",
		  "b.md:2:43: dlp_allow: rule 'x*': the name of one rule: a-z, 0-9, '-' and '_'" },
		{ "egress: {dlp_allow: [{host: 'a.test:1', rule: x}]}\n",
		  "b.md:2:29: dlp_allow: host 'a.test:1': a host without a port is wanted" },
		{ "egress: {upstream_proxy: 'https://p.test:1'}\n",
		  "b.md:2:26: upstream_proxy 'https://p.test:1': expected http://host:port" },
		{ "egress: {upstream_proxy: 'http://p.test:1/x'}\n",
		  "b.md:2:26: upstream_proxy 'http://p.test:1/x': expected http://host:port" },
		/* a password is not shown */
		{ "egress: {upstream_proxy: 'http://u:hunter2@p.test:1'}\n",
		  "b.md:2:26: upstream_proxy: no user or password here; a manifest holds no "
		  "credentials" },
		{ "egress: {upstream_ca: [nowhere.pem]}\n",
		  "b.md:2:24: upstream_ca: nowhere.pem: No such file or directory" },
		{ "egress: {upstream_ca: ['']}\n", "b.md:2:24: upstream_ca: empty" },
		{ "egress: {resolve: ['a.test:443']}\n",
		  "b.md:2:20: resolve: 'a.test:443': expected HOST:PORT:ADDR" },
		{ "egress: {resolve: ['a.test:0:10.0.0.1']}\n",
		  "b.md:2:20: resolve: port '0' is not 1 to 65535" },
		{ "egress: {resolve: ['a.test:65536:10.0.0.1']}\n",
		  "b.md:2:20: resolve: port '65536' is not 1 to 65535" },
	};
	/* whose reason is another module's wording */
	static const struct error_case begins[] = {
		{ "egress: {allowlist: ['a b']}\n", "b.md:2:22: allowlist: 'a b': " },
		{ "egress: {resolve: ['a..b:1:10.0.0.1']}\n", "b.md:2:20: resolve: host 'a..b': " },
		{ "egress: {resolve: ['a.test:1:010.0.0.1']}\n", "b.md:2:20: resolve: " },
		{ "egress: {allow_private: [10.0.0.1/8]}\n", "b.md:2:26: allow_private: " },
		{ "egress: {allow_private: [10.0.0.0/33]}\n", "b.md:2:26: allow_private: " },
		{ "egress: {upstream_proxy: 'nonsense'}\n",
		  "b.md:2:26: upstream_proxy 'nonsense': " },
	};

	(void)state;
	check_errors(cases, ARRAY_LEN(cases));
	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(begins[i].head, NULL, &err);

		if (b)
			fail_msg("accepted: %s", begins[i].head);
		if (!str_starts(str_of(err.text), str_of(begins[i].error)) ||
		    strlen(err.text) == strlen(begins[i].error))
			fail_msg("%s", err.text);
	}
}

static void test_too_many(void **state)
{
	auto_buf head = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	auto_bottle struct bottle *b = NULL;

	(void)state;
	assert_int_equal(buf_addz(&head, "egress:\n  allowlist:\n", NULL), 0);
	for (int i = 0; i <= MANIFEST_LIST_MAX; i++)
		assert_int_equal(buf_addf(&head, NULL, "    - h%d.test\n", i), 0);
	b = bottle_of(buf_z(&head), NULL, &err);
	assert_null(b);
	assert_string_equal(err.text, "b.md:4:5: allowlist: more than 1000 entries");
}

static void test_load(void **state)
{
	struct world w;
	struct bottle *b;

	(void)state;
	world_init(&w);
	world_write(&w, "home/files/ca.pem", "x");
	world_write(&w, "user/Dockerfile", "FROM scratch\n");
	world_bottle(&w, "web",
		     "agent: {dockerfile: ~/Dockerfile, rootfs: ../files}\n"
		     "egress: {upstream_ca: [../files/ca.pem]}\n");
	b = bottle_load(&w.home, "web", &w.notes, &w.err);
	assert_non_null(b);
	assert_true(str_ends(str_of(b->agent.dockerfile), STR("/user/Dockerfile")));
	assert_true(str_ends(str_of(b->agent.rootfs), STR("/home/bottles/../files")));
	assert_true(
		str_ends(str_of(b->egress.upstream_ca.v[0]), STR("/home/bottles/../files/ca.pem")));
	bottle_free(b);

	assert_null(bottle_load(&w.home, "wev", &w.notes, &w.err));
	assert_string_equal(world_error(&w),
			    "no bottle 'wev' in @/home/bottles (did you mean 'web'?)");
	assert_int_equal(w.err.code, E_NOTFOUND);
	assert_null(bottle_load(&w.home, "production", &w.notes, &w.err));
	assert_string_equal(world_error(&w), "no bottle 'production' in @/home/bottles");
	/* a name is never a path */
	world_write(&w, "home/secret.md", "---\n---\n");
	assert_null(bottle_load(&w.home, "../secret", &w.notes, &w.err));
	assert_int_equal(w.err.code, E_NOTFOUND);
	world_fini(&w);
}

static void test_load_bad_file(void **state)
{
	struct world w;
	auto_free char *huge = mem_alloc(MANIFEST_FILE_MAX + 2);
	auto_free char *dir = NULL;

	(void)state;
	world_init(&w);
	world_write(&w, "home/bottles/empty.md", "");
	assert_null(bottle_load(&w.home, "empty", &w.notes, &w.err));
	assert_string_equal(world_error(&w),
			    "@/home/bottles/empty.md:1:1: empty file; it starts with a line '---'");
	memset(huge, 'x', MANIFEST_FILE_MAX + 1);
	huge[MANIFEST_FILE_MAX + 1] = '\0';
	world_write(&w, "home/bottles/huge.md", huge);
	assert_null(bottle_load(&w.home, "huge", &w.notes, &w.err));
	assert_int_equal(w.err.code, E_LIMIT);
	assert_non_null(strstr(world_error(&w), "@/home/bottles/huge.md"));
	dir = path_join(w.home.dir, "bottles/dir.md");
	assert_int_equal(dir_make(dir, 0700, &w.err), 0);
	assert_null(bottle_load(&w.home, "dir", &w.notes, &w.err));
	assert_non_null(strstr(world_error(&w), "@/home/bottles/dir.md"));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),        cmocka_unit_test(test_document),
		cmocka_unit_test(test_extends),      cmocka_unit_test(test_agent),
		cmocka_unit_test(test_agent_errors), cmocka_unit_test(test_env),
		cmocka_unit_test(test_env_nearly),   cmocka_unit_test(test_env_errors),
		cmocka_unit_test(test_env_long),     cmocka_unit_test(test_git_user),
		cmocka_unit_test(test_egress),       cmocka_unit_test(test_egress_errors),
		cmocka_unit_test(test_too_many),     WORLD_TEST(test_load),
		WORLD_TEST(test_load_bad_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
