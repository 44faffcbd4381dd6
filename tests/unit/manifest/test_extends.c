#include "support.h"

#include "manifest/extends.h"

static struct bottle *must(struct world *w, const char *name)
{
	struct bottle *b = extends_resolve(&w->home, name, &w->notes, &w->err);

	if (!b)
		fail_msg("%s", w->err.text);
	return b;
}

static void must_fail(struct world *w, const char *name, const char *error)
{
	assert_null(extends_resolve(&w->home, name, &w->notes, &w->err));
	if (!same_text(world_error(w), error))
		fail();
}

static void test_merge(void **state)
{
	struct world w;
	struct bottle *b;

	(void)state;
	world_init(&w);
	world_write(&w, "home/bottles/key", "k");
	world_write(&w, "home/bottles/Dockerfile", "FROM scratch\n");
	world_bottle(
		&w, "one",
		"agent: {provider: codex, image: one, user: u1, workdir: /one, command: [a, b]}\n"
		"env: {A: one, B: one}\n"
		"git_user: {name: One, email: one@a.test}\n"
		"egress:\n"
		"  allowlist: [a.test, b.test]\n"
		"  dlp_action: warn\n"
		"  dlp_allow: [{host: a.test, rule: r1}]\n"
		"  upstream_proxy: http://one.test:1\n"
		"  resolve: ['a.test:1:10.0.0.1']\n"
		"  allow_private: [10.0.0.0/8]\n"
		"  upstream_ca: [key]\n"
		"egress_proxy: {routes: [{host: r1.test}, {host: r2.test, methods: [GET]}]}\n"
		"supervise: true\n"
		"repository_agents: true\n");
	world_bottle(&w, "two",
		     "agent: {dockerfile: Dockerfile}\n"
		     "env: {B: two, C: two}\n"
		     "git: [{Name: x, Upstream: 'ssh://g@two.test/x', IdentityFile: key}]\n"
		     "egress: {allowlist: [b.test, c.test], dlp_action: block,\n"
		     "         dlp_allow: [{host: a.test, rule: r1}, {host: a.test, rule: r2}]}\n"
		     "egress_proxy: {routes: [{host: r3.test}]}\n");
	world_bottle(&w, "child",
		     "extends: [one, two]\n"
		     "env: {A: child}\n"
		     "git: [{Name: X, Upstream: 'ssh://g@child.test/x', IdentityFile: key},\n"
		     "      {Name: y, Upstream: 'ssh://g@child.test/y', IdentityFile: key}]\n"
		     "egress_proxy: {routes: [{host: R2.test, path_allowlist: [/x]},\n"
		     "                        {host: 'r1.test:8443'}]}\n"
		     "supervise: false\n");
	b = must(&w, "child");

	assert_string_equal(b->name, "child");
	assert_int_equal(b->extends.n, 2);
	assert_int_equal(b->files.n, 3); /* parents first */
	assert_true(str_ends(str_of(b->files.v[0]), STR("/one.md")));
	assert_true(str_ends(str_of(b->files.v[2]), STR("/child.md")));

	/* scalars: the last one given */
	assert_int_equal(b->agent.provider, PROVIDER_CODEX);
	assert_string_equal(b->agent.user, "u1");
	assert_string_equal(b->agent.workdir, "/one");
	assert_int_equal(b->agent.command.n, 2);
	assert_string_equal(b->git_user.name, "One");
	assert_int_equal(b->egress.dlp_action, DLP_BLOCK);
	assert_string_equal(b->egress.upstream_proxy, "http://one.test:1");
	assert_false(b->supervise);
	assert_true(b->repository_agents);
	/* a dockerfile replaces an image */
	assert_null(b->agent.image);
	assert_non_null(b->agent.dockerfile);

	/* env by name */
	assert_int_equal(b->env.n, 3);
	assert_string_equal(b->env.v[0].name, "A");
	assert_string_equal(b->env.v[0].value, "child");
	assert_string_equal(b->env.v[1].value, "two");
	assert_string_equal(b->env.v[2].value, "two");

	/* routes and git concatenated; the same host, the same Name: replaced in place */
	assert_int_equal(b->routes.n, 4);
	assert_string_equal(b->routes.v[0].rule.host, "r1.test");
	assert_int_equal(b->routes.v[0].rule.port, 0);
	assert_string_equal(b->routes.v[1].rule.host, "r2.test");
	assert_true(b->routes.v[1].rule.has_paths);
	assert_false(b->routes.v[1].rule.has_methods); /* replaced, not mixed */
	assert_true(str_ends(str_of(b->routes.v[1].at.file), STR("/child.md")));
	assert_string_equal(b->routes.v[2].rule.host, "r3.test");
	assert_int_equal(b->routes.v[3].rule.port, 8443);
	assert_int_equal(b->git.n, 2);
	assert_string_equal(b->git.v[0].name, "X");
	assert_string_equal(b->git.v[0].host, "child.test");

	/* other lists concatenated, equal entries once */
	assert_int_equal(b->egress.allowlist.n, 3);
	assert_string_equal(b->egress.allowlist.v[2], "c.test");
	assert_int_equal(b->egress.dlp_allow.n, 2);
	assert_int_equal(b->egress.resolve.n, 1);
	assert_int_equal(b->egress.allow_private.n, 1);
	assert_int_equal(b->egress.upstream_ca.n, 1);
	bottle_free(b);
	world_fini(&w);
}

static void test_order(void **state)
{
	struct world w;
	struct bottle *b;

	(void)state;
	world_init(&w);
	world_bottle(&w, "root", "env: {A: root, B: root, C: root, D: root}\n");
	world_bottle(&w, "left", "extends: root\nenv: {B: left, C: left, D: left}\n");
	world_bottle(&w, "right", "env: {C: right, D: right}\n");
	world_bottle(&w, "child", "extends: [left, right]\nenv: {D: child}\n");
	b = must(&w, "child");
	assert_int_equal(b->env.n, 4);
	assert_string_equal(b->env.v[0].value, "root");
	assert_string_equal(b->env.v[1].value, "left");
	assert_string_equal(b->env.v[2].value, "right");
	assert_string_equal(b->env.v[3].value, "child");
	bottle_free(b);
	/* a diamond is no cycle */
	world_bottle(&w, "right", "extends: root\n");
	b = must(&w, "child");
	assert_int_equal(b->files.n, 5);
	bottle_free(b);
	world_fini(&w);
}

static void test_cycles(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_bottle(&w, "self", "extends: self\n");
	must_fail(&w, "self",
		  "@/home/bottles/self.md:2:10: extends goes in a circle: self -> self");
	world_bottle(&w, "a", "extends: [b]\n");
	world_bottle(&w, "b", "extends: c\n");
	world_bottle(&w, "c", "extends: b\n");
	/* the circle only, not the way to it */
	must_fail(&w, "a", "@/home/bottles/c.md:2:10: extends goes in a circle: b -> c -> b");
	assert_int_equal(w.err.code, E_BAD);
	world_fini(&w);
}

static void test_missing(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_bottle(&w, "a", "supervise: true\nextends: [b]\n");
	world_bottle(&w, "b", "extends: bass\n");
	world_bottle(&w, "base", "");
	must_fail(&w, "a",
		  "@/home/bottles/b.md:2:10: extends: no bottle 'bass' in @/home/bottles "
		  "(did you mean 'base'?)");
	assert_int_equal(w.err.code, E_NOTFOUND);
	must_fail(&w, "x", "no bottle 'x' in @/home/bottles (did you mean 'a'?)");
	world_bottle(&w, "bass", "supervise: 1\n");
	must_fail(&w, "a",
		  "@/home/bottles/bass.md:2:12: 'supervise' must be true or false, not a "
		  "number");
	world_fini(&w);
}

static void test_bounds(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (int i = 0; i < 30; i++) {
		auto_free char *name = mem_printf("deep%c%c", 'a' + i / 26, 'a' + i % 26);
		auto_free char *head =
			mem_printf("extends: deep%c%c\n", 'a' + (i + 1) / 26, 'a' + (i + 1) % 26);

		world_bottle(&w, name, head);
	}
	must_fail(&w, "deepaa",
		  "@/home/bottles/deepaq.md:2:10: extends goes more than 16 levels "
		  "deep");
	assert_int_equal(w.err.code, E_LIMIT);

	/* two parents on each of seven levels would be 2^8 - 1 reads */
	for (char c = 'a'; c < 'h'; c++) {
		char name[2] = { c, '\0' };
		auto_free char *head = mem_printf("extends: [%c, x%c]\n", c + 1, c + 1);
		auto_free char *other = mem_printf("x%c", c);

		world_bottle(&w, name, head);
		world_bottle(&w, other, head);
	}
	world_bottle(&w, "h", "");
	world_bottle(&w, "xh", "");
	assert_null(extends_resolve(&w.home, "a", &w.notes, &w.err));
	assert_int_equal(w.err.code, E_LIMIT);
	assert_non_null(strstr(w.err.text, ": extends brings in more than 64 bottles"));
	world_fini(&w);
}

static void test_whole(void **state)
{
	static const struct {
		const char *parent, *child, *error;
	} cases[] = {
		{ "egress_proxy: {routes: [{host: a.test, role: claude_code_oauth,\n"
		  "  auth: {scheme: Bearer, token_ref: A}}]}\n",
		  "egress_proxy: {routes: [{host: b.test, role: claude_code_oauth,\n"
		  "  auth: {scheme: Bearer, token_ref: A}}]}\n",
		  "@/home/bottles/child.md:3:25: role claude_code_oauth is already on 'a.test' "
		  "(@/home/bottles/parent.md:2); one route at most" },
		{ "egress_proxy: {routes: [{host: a.test, mount: /x}]}\n",
		  "egress_proxy: {routes: [{host: b.test, mount: /x}]}\n",
		  "@/home/bottles/child.md:3:25: mount '/x' is already that of 'a.test' "
		  "(@/home/bottles/parent.md:2)" },
		{ "git: [{Name: a, Upstream: 'ssh://g@a.test/a', IdentityFile: /etc/hostname,\n"
		  "  ExtraHosts: {h.test: 10.0.0.1}}]\n",
		  "git: [{Name: b, Upstream: 'ssh://g@a.test/b', IdentityFile: /etc/hostname,\n"
		  "  ExtraHosts: {H.test: 10.0.0.2}}]\n",
		  "@/home/bottles/child.md:4:16: ExtraHosts: 'h.test' is 10.0.0.2 in git entry 'b' "
		  "and 10.0.0.1 in 'a' (@/home/bottles/parent.md:3)" },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		auto_free char *child = mem_printf("extends: parent\n%s", cases[i].child);

		world_init(&w);
		world_bottle(&w, "parent", cases[i].parent);
		world_bottle(&w, "child", child);
		bottle_free(must(&w, "parent"));
		assert_null(extends_resolve(&w.home, "child", &w.notes, &w.err));
		same &= same_text(world_error(&w), cases[i].error);
		world_fini(&w);
	}
	assert_true(same);
}

/* The same address twice is fine, and so is a role that the child moves by replacing the route. */
static void test_whole_allowed(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_bottle(&w, "parent",
		     "git: [{Name: a, Upstream: 'ssh://g@a.test/a', IdentityFile: /etc/hostname,\n"
		     "  ExtraHosts: {h.test: 10.0.0.1}}]\n"
		     "egress_proxy: {routes: [{host: a.test, mount: /x, role: claude_code_oauth,\n"
		     "  auth: {scheme: Bearer, token_ref: A}}]}\n");
	world_bottle(&w, "child",
		     "extends: parent\n"
		     "git: [{Name: b, Upstream: 'ssh://g@a.test/b', IdentityFile: /etc/hostname,\n"
		     "  ExtraHosts: {h.test: 10.0.0.1}}]\n"
		     "egress_proxy: {routes: [{host: a.test}, {host: b.test, mount: /x,\n"
		     "  role: claude_code_oauth, auth: {scheme: Bearer, token_ref: A}}]}\n");
	bottle_free(must(&w, "child"));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_merge),         WORLD_TEST(test_order),  WORLD_TEST(test_cycles),
		WORLD_TEST(test_missing),       WORLD_TEST(test_bounds), WORLD_TEST(test_whole),
		WORLD_TEST(test_whole_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
