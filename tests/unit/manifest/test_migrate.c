/* Keys of the predecessor, and the recipe for each. */
#include "support.h"

#include "manifest/bottle.h"

static const struct {
	const char *head, *error, *recipe;
} cases[] = {
	/* an entry with a path becomes a route with a mount */
	{ "cred_proxy:\n"
	  "  routes:\n"
	  "    - path: /anthropic/\n"
	  "      upstream: https://api.anthropic.com\n"
	  "      auth_scheme: Bearer\n"
	  "      token_ref: CLAUDE_TOKEN\n"
	  "      role: anthropic-base-url\n"
	  "    - path: /git/\n"
	  "      upstream: https://git.test:8443/api/v1/\n"
	  "      auth_scheme: token\n"
	  "      token_ref: GIT_TOKEN\n",
	  "b.md:2:1: 'cred_proxy' is now 'egress_proxy.routes'; the text to put in its place follows",
	  "# in place of 'cred_proxy', line 2\n"
	  "egress_proxy:\n"
	  "  routes:\n"
	  "    - host: api.anthropic.com\n"
	  "      mount: /anthropic\n"
	  "      auth:\n"
	  "        scheme: Bearer\n"
	  "        token_ref: CLAUDE_TOKEN\n"
	  "      role: claude_code_oauth\n"
	  "    - host: git.test:8443\n"
	  "      mount: /git\n"
	  "      path_allowlist: # was mapped below it\n"
	  "        - /api/v1\n"
	  "      auth:\n"
	  "        scheme: token\n"
	  "        token_ref: GIT_TOKEN\n" },
	/* without a path, none */
	{ "supervise: true\n"
	  "tokens:\n"
	  "  - {Kind: github, TokenRef: GH_TOKEN}\n"
	  "  - {Kind: gitea, TokenRef: TEA, Url: 'http://tea.test/'}\n"
	  "  - {Kind: other, TokenRef: X}\n"
	  "  - nonsense\n",
	  "b.md:3:1: 'tokens' is now 'auth' in 'egress_proxy.routes'; the text to put in its place "
	  "follows",
	  "# in place of 'tokens', line 3\n"
	  "egress_proxy:\n"
	  "  routes:\n"
	  "    - host: api.github.com\n"
	  "      auth:\n"
	  "        scheme: Bearer\n"
	  "        token_ref: GH_TOKEN\n"
	  "    - host: tea.test\n"
	  "      auth:\n"
	  "        scheme: Bearer\n"
	  "        token_ref: TEA\n"
	  "    # line 6: no host could be told from this entry\n"
	  "    # line 7: no host could be told from this entry\n" },
	/* what may be the credential itself is not repeated */
	{ "tokens: [{Kind: npm, token_ref: npm_01234-live}]\n",
	  "b.md:2:1: 'tokens' is now 'auth' in 'egress_proxy.routes'; the text to put in its place "
	  "follows",
	  "# in place of 'tokens', line 2\n"
	  "egress_proxy:\n"
	  "  routes:\n"
	  "    - host: registry.npmjs.org\n"
	  "      auth:\n"
	  "        scheme: Bearer\n"
	  "        token_ref: YOUR_VARIABLE\n" },
	{ "ssh:\n"
	  "  - {Host: git, Hostname: git.test, User: me, Port: 2222, IdentityFile: ~/.ssh/id,\n"
	  "     KnownHostKey: 'ssh-ed25519 AAAA'}\n"
	  "  - {Host: b.test, IdentityFile: 'a b'}\n",
	  "b.md:2:1: 'ssh' is now 'git'; the text to put in its place follows",
	  "# in place of 'ssh', line 2\n"
	  "git:\n"
	  "  - Name: NAME-OF-THE-REPOSITORY\n"
	  "    Upstream: ssh://me@git.test:2222/PATH-OF-THE-REPOSITORY.git\n"
	  "    IdentityFile: \"~/.ssh/id\"\n"
	  "    KnownHostKey: \"ssh-ed25519 AAAA\"\n"
	  "  - Name: NAME-OF-THE-REPOSITORY\n"
	  "    Upstream: ssh://git@b.test/PATH-OF-THE-REPOSITORY.git\n"
	  "    IdentityFile: \"a b\"\n" },
	{ "runtime: runsc\n",
	  "b.md:2:1: 'runtime' is now found by itself; the text to put in its place follows",
	  "# in place of 'runtime', line 2\n"
	  "# nothing: gVisor is used when the engine has it registered\n" },
	/* of several, each has its recipe; a broken one does no harm */
	{ "runtime: [x]\ncred_proxy: 7\n",
	  "b.md:3:1: 'cred_proxy' is now 'egress_proxy.routes'; the text to put in its place follows",
	  "# in place of 'cred_proxy', line 3\n"
	  "# nothing: it had no entries\n"
	  "\n"
	  "# in place of 'runtime', line 2\n"
	  "# nothing: gVisor is used when the engine has it registered\n" },
};

static void test_recipes(void **state)
{
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_notes notes = NOTES_INIT;
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(cases[i].head, &notes, &err);

		assert_null(b);
		same &= same_text(err.text, cases[i].error);
		same &= same_text(notes.recipe, cases[i].recipe);
	}
	assert_true(same);
}

/* What a recipe says is itself accepted, and means what the old keys meant. */
static void test_recipe_is_valid(void **state)
{
	auto_bottle struct bottle *b = bottle_of(cases[0].recipe, NULL, NULL);

	(void)state;
	assert_non_null(b);
	assert_int_equal(b->routes.n, 2);
	assert_string_equal(b->routes.v[0].rule.mount, "/anthropic");
	assert_true(b->routes.v[0].claude_code_oauth);
	assert_int_equal(b->routes.v[1].rule.port, 8443);
	assert_int_equal(b->routes.v[1].rule.auth, AUTH_TOKEN);
	assert_string_equal(b->routes.v[1].token_ref, "GIT_TOKEN");
}

static void test_without_notes(void **state)
{
	struct err err = ERR_INIT;
	auto_bottle struct bottle *b = bottle_of(cases[0].head, NULL, &err);

	(void)state;
	assert_null(b);
	assert_string_equal(err.text, cases[0].error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipes),
		cmocka_unit_test(test_recipe_is_valid),
		cmocka_unit_test(test_without_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
