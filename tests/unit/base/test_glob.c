#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"

static void test_host(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool match;
	} cases[] = {
		{ "example.com", "example.com", true },
		{ "Example.COM", "example.com", true },
		{ "example.com", "EXAMPLE.com", true },
		{ "example.com", "www.example.com", false },
		{ "example.com", "example.com.evil.test", false },
		{ "example.com", "xexample.com", false },
		{ "*.example.com", "www.example.com", true },
		{ "*.example.com", "a.b.example.com", true },
		{ "*.EXAMPLE.com", "A.b.example.COM", true },
		{ "*.example.com", "example.com", false },
		{ "*.example.com", ".example.com", false },
		{ "*.example.com", "..example.com", false },
		{ "*.example.com", "wwwexample.com", false },
		{ "*.example.com", "www.example.com.evil.test", false },
		{ "*.example.com", "", false },
		/* a star is special only as the first label */
		{ "*", "example.com", false },
		{ "*.", "example.", false },
		{ "www.*.com", "www.example.com", false },
		{ "*example.com", "www.example.com", false },
		{ "", "", true },
		{ "", "a", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (glob_host(str_of(cases[i].pattern), str_of(cases[i].host)) != cases[i].match)
			fail_msg("%s %s", cases[i].pattern, cases[i].host);
	}
	assert_false(glob_host(STR("*.example.com"), STR_NONE));
}

static void test_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "**", "", true },
		{ "*", "a/b", true },
		{ "?", "", false },
		{ "?", "a", true },
		{ "?", "/", true },
		{ "?", "ab", false },
		{ "agent/*", "agent/x", true },
		{ "agent/*", "agent/", true },
		{ "agent/*", "agent", false },
		{ "agent/*", "agents/x", false },
		{ "refs/heads/*-fix", "refs/heads/a/b-fix", true },
		{ "refs/heads/*-fix", "refs/heads/a-fixed", false },
		{ "*a*b*c*", "xxaxxbxxcxx", true },
		{ "*a*b*c*", "xxaxxcxxbxx", false },
		{ "a*a", "a", false },
		{ "a*a", "aa", true },
		{ "*aab", "aaaab", true },
		{ "*a?", "aXaY", true },
		{ "main", "Main", false },
		{ "[ab]", "a", false },
		{ "[ab]", "[ab]", true },
		{ "\\*", "*", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (glob_match(str_of(cases[i].pattern), str_of(cases[i].name)) != cases[i].match)
			fail_msg("%s %s", cases[i].pattern, cases[i].name);
	}
}

/* Many stars against a long name that almost matches: exponential when every star is retried. */
static void test_match_of_many_stars(void **state)
{
	char pattern[201], name[5001];

	(void)state;
	for (int i = 0; i < 200; i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[199] = 'b';
	pattern[200] = '\0';
	memset(name, 'a', 5000);
	name[5000] = '\0';
	assert_false(glob_match(str_of(pattern), str_of(name)));
}

static const char *const words[] = { "egress", "egress_proxy", "env",      "extends",
				     "git",    "git_user",     "supervise" };

static void test_nearest(void **state)
{
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{ "egres", "egress" },
		{ "egresss", "egress" },
		{ "ergess", "egress" },
		{ "egress-proxy", "egress_proxy" },
		{ "EGRESS", "egress" },
		{ "evn", "env" },
		{ "enf", "env" },
		{ "efn", NULL },
		{ "gti", "git" },
		{ "gut", "git" },
		{ "superwise", "supervise" },
		{ "supervisor", "supervise" },
		{ "zuperwize", "supervise" },
		{ "zuperwizz", NULL },
		{ "extents", "extends" },
		{ "routes", NULL },
		{ "", NULL },
		{ "gi", "git" },
		{ "g", NULL },
		{ "git", "git" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got = glob_nearest(str_of(cases[i].word), words, ARRAY_LEN(words));

		if (!cases[i].nearest)
			assert_null(got);
		else
			assert_string_equal(got ? got : "(none)", cases[i].nearest);
	}
	assert_null(glob_nearest(STR("git"), NULL, 0));
}

static void test_nearest_prefers_the_nearer_then_the_first(void **state)
{
	static const char *const c[] = { "abcdeX", "abcdef", "abcdeg" };

	(void)state;
	assert_string_equal(glob_nearest(STR("abcdeg"), c, 3), "abcdeg");
	assert_string_equal(glob_nearest(STR("abcdeq"), c, 3), "abcdeX");
}

static void test_nearest_limits(void **state)
{
	char word[GLOB_WORD_MAX + 2];
	const char *c[1] = { word };

	(void)state;
	/* never more than three, however long the word */
	c[0] = "internationalisation";
	assert_non_null(glob_nearest(STR("XXXernationalisation"), c, 1));
	assert_null(glob_nearest(STR("XXXXrnationalisation"), c, 1));
	c[0] = word;
	memset(word, 'w', sizeof(word));
	word[GLOB_WORD_MAX] = '\0';
	assert_ptr_equal(glob_nearest(str_mem(word, GLOB_WORD_MAX), c, 1), word);
	assert_null(glob_nearest(str_mem(word, GLOB_WORD_MAX + 1), c, 1));
	word[GLOB_WORD_MAX] = 'w';
	word[GLOB_WORD_MAX + 1] = '\0';
	assert_null(glob_nearest(str_mem(word, GLOB_WORD_MAX), c, 1));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_of_many_stars),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_nearest_prefers_the_nearer_then_the_first),
		cmocka_unit_test(test_nearest_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
