/* git entries */
#include "support.h"

#include "manifest/bottle.h"

/* base64 of "\0\0\0\x0bssh-ed25519" + 4 bytes of a "key" */
#define HOST_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="

static void test_all_keys(void **state)
{
	struct err err = ERR_INIT;
	auto_bottle struct bottle *b =
		bottle_of("git:\n"
			  "  - Name: web.site-2\n"
			  "    Upstream: ssh://git@Git.Test:2222/org/web_site.git\n"
			  "    IdentityFile: LICENSE\n"
			  "    KnownHostKey: " HOST_KEY "\n"
			  "    ExtraHosts: {Git.Test: 10.0.0.7, b.test: 'fd00::0:1'}\n"
			  "    push:\n"
			  "      branches: [main, feature/*]\n"
			  "      allow_force: true\n"
			  "      allow_delete: false\n"
			  "      hold: 90s\n"
			  "  - {Name: b, Upstream: ssh://git@b.test/~u/b, IdentityFile: LICENSE}\n",
			  NULL, &err);
	const struct bottle_git *g;

	(void)state;
	if (!b)
		fail_msg("%s", err.text);
	g = b->git.v;
	assert_int_equal(b->git.n, 2);
	assert_string_equal(g[0].name, "web.site-2");
	assert_string_equal(g[0].upstream, "ssh://git@Git.Test:2222/org/web_site.git");
	assert_string_equal(g[0].user, "git");
	assert_string_equal(g[0].host, "git.test");
	assert_int_equal(g[0].port, 2222);
	assert_string_equal(g[0].path, "/org/web_site.git");
	assert_string_equal(g[0].identity_file, "LICENSE");
	assert_string_equal(g[0].known_host_key, HOST_KEY);
	assert_int_equal(g[0].extra_hosts.n, 2);
	assert_string_equal(g[0].extra_hosts.v[0].name, "git.test");
	assert_string_equal(g[0].extra_hosts.v[1].ip, "fd00::1");
	assert_int_equal(g[0].push.branches.n, 2);
	assert_int_equal(g[0].push.allow_force, GIT_ALLOW_YES);
	assert_int_equal(g[0].push.allow_delete, GIT_ALLOW_NO);
	assert_int_equal(g[0].push.allow_tags, GIT_ALLOW_DEFAULT);
	assert_int_equal(g[0].push.hold_s, 90);
	assert_int_equal(g[0].at.line, 3);
	assert_int_equal(g[1].port, 22);
	assert_null(g[1].known_host_key);
	assert_int_equal(g[1].push.allow_force, GIT_ALLOW_DEFAULT);
	assert_int_equal(g[1].push.hold_s, 600);
}

#define NAME "Name: a, "
#define UP "Upstream: ssh://g@a.test/a, "
#define KEY "IdentityFile: LICENSE"

static void test_errors(void **state)
{
	static const struct {
		const char *entry, *error;
	} cases[] = {
		{ UP KEY, "b.md:3:5: git entry needs the key 'Name'" },
		{ NAME KEY, "b.md:3:5: git entry needs the key 'Upstream'" },
		{ NAME "Upstream: ssh://g@a.test/a", "b.md:3:5: git entry needs the key "
						     "'IdentityFile'" },
		{ "name: a", "b.md:3:6: unknown key 'name' in git entry (did you mean 'Name'?); "
			     "accepted: Name, Upstream, IdentityFile, KnownHostKey, ExtraHosts, "
			     "push" },
		{ "Name: ../a", "b.md:3:12: Name '../a': letters, digits, '.', '_' and '-', "
				"starting with a letter or digit" },
		{ "Name: a/b", "b.md:3:12: Name 'a/b': letters, digits, '.', '_' and '-', "
			       "starting with a letter or digit" },
		{ "Name: a..b", "b.md:3:12: Name 'a..b': letters, digits, '.', '_' and '-', "
				"starting with a letter or digit" },
		{ "Name: -a", "b.md:3:12: Name '-a': letters, digits, '.', '_' and '-', starting "
			      "with a letter or digit" },
		{ "Name: a.git", "b.md:3:12: Name 'a.git': without '.git'; it is added" },
		{ NAME "Upstream: https://a.test/a",
		  "b.md:3:25: Upstream 'https://a.test/a': expected ssh://user@host[:port]/path" },
		{ NAME "Upstream: 'git@a.test:a'",
		  "b.md:3:25: Upstream 'git@a.test:a': expected ssh://user@host[:port]/path" },
		{ NAME "Upstream: ssh://a.test/a",
		  "b.md:3:25: Upstream 'ssh://a.test/a': expected ssh://user@host[:port]/path" },
		{ NAME "Upstream: ssh://g@a.test",
		  "b.md:3:25: Upstream 'ssh://g@a.test': expected ssh://user@host[:port]/path" },
		{ NAME "Upstream: ssh://a.test/a@b",
		  "b.md:3:25: Upstream 'ssh://a.test/a@b': expected ssh://user@host[:port]/path" },
		{ NAME "Upstream: 'ssh://-oProxyCommand=x@a.test/a'",
		  "b.md:3:25: Upstream: user '-oProxyCommand=x': letters, digits, '.', '_' and "
		  "'-'" },
		{ NAME "Upstream: 'ssh://g:pw@a.test/a'",
		  "b.md:3:25: Upstream: user 'g:pw': letters, digits, '.', '_' and '-'" },
		{ NAME "Upstream: ssh://g@a.test/",
		  "b.md:3:25: Upstream: path '/': not a plain path" },
		{ NAME "Upstream: ssh://g@a.test/a/../b",
		  "b.md:3:25: Upstream: path '/a/../b': not a plain path" },
		{ NAME "Upstream: ssh://g@a.test/-a",
		  "b.md:3:25: Upstream: path '/-a': not a plain path" },
		{ NAME "Upstream: ssh://g@a.test/a;b",
		  "b.md:3:25: Upstream: path '/a;b': not a plain path" },
		{ NAME "IdentityFile: nowhere",
		  "b.md:3:29: IdentityFile: nowhere: No such file or directory" },
		{ NAME UP KEY ", KnownHostKey: AAAA",
		  "b.md:3:80: KnownHostKey: expected a type and a key, such as 'ssh-ed25519 AAAA…', "
		  "without the host" },
		{ NAME UP KEY ", KnownHostKey: 'a.test ssh-ed25519 AAAA'",
		  "b.md:3:80: KnownHostKey: expected a type and a key, such as 'ssh-ed25519 AAAA…', "
		  "without the host" },
		{ NAME UP KEY ", KnownHostKey: ssh-ed25519 A*",
		  "b.md:3:80: KnownHostKey: the key is not base64" },
		{ NAME UP KEY ", KnownHostKey: ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==",
		  "b.md:3:80: KnownHostKey: the key is not of type 'ssh-rsa'" },
		{ NAME UP KEY ", ExtraHosts: [a]",
		  "b.md:3:78: 'ExtraHosts' must be a map of host names to addresses, not a list" },
		{ NAME UP KEY ", ExtraHosts: {'a b': 10.0.0.1}",
		  "b.md:3:79: ExtraHosts: 'a b' is not a host name" },
		{ NAME UP KEY ", ExtraHosts: {a: 10.0.0.1, A: 10.0.0.2}",
		  "b.md:3:92: ExtraHosts: 'a' is already in line 3" },
		{ NAME UP KEY ", push: {branch: [x]}",
		  "b.md:3:73: unknown key 'branch' in push (did you mean 'branches'?); accepted: "
		  "branches, allow_force, allow_delete, allow_tags, hold" },
		{ NAME UP KEY ", push: {branches: []}",
		  "b.md:3:83: branches: an empty list allows no push; leave the key out to allow "
		  "any branch" },
		{ NAME UP KEY ", push: {branches: [refs/heads/x]}",
		  "b.md:3:84: branches: 'refs/heads/x': the pattern of a branch name without "
		  "'refs/heads/'" },
		{ NAME UP KEY ", push: {allow_force: 1}",
		  "b.md:3:86: 'allow_force' must be true or false, not a number" },
		{ NAME UP KEY ", push: {hold: 0}",
		  "b.md:3:79: hold: expected a time such as 90s, 10m or 2h, at most 24h" },
		{ NAME UP KEY ", push: {hold: 25h}",
		  "b.md:3:79: hold: expected a time such as 90s, 10m or 2h, at most 24h" },
		{ NAME UP KEY ", push: {hold: 1d}",
		  "b.md:3:79: hold: expected a time such as 90s, 10m or 2h, at most 24h" },
		{ NAME UP KEY ", push: {hold: [1]}",
		  "b.md:3:79: hold: expected a time such as 90s, 10m or 2h, at most 24h" },
		{ NAME UP KEY "}\n  - {Name: A, " UP KEY,
		  "b.md:4:12: Name 'A' is already in line 3" },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *head = mem_printf("git:\n  - {%s}\n", cases[i].entry);
		struct err err = ERR_INIT;
		auto_bottle struct bottle *b = bottle_of(head, NULL, &err);

		if (b)
			fail_msg("accepted: %s", cases[i].entry);
		same &= same_text(err.text, cases[i].error);
	}
	assert_true(same);
}

static void test_hold(void **state)
{
	static const struct {
		const char *text;
		int seconds;
	} cases[] = { { "1", 1 }, { "90s", 90 }, { "10m", 600 }, { "24h", 86400 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *head =
			mem_printf("git: [{" NAME UP KEY ", push: {hold: %s}}]\n", cases[i].text);
		auto_bottle struct bottle *b = bottle_of(head, NULL, NULL);

		assert_non_null(b);
		assert_int_equal(b->git.v[0].push.hold_s, cases[i].seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
