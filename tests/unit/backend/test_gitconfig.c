#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/gitconfig.h"
#include "base/limits.h"

static struct err err;

static void scrub(const char *in, const char *want)
{
	auto_buf out = BUF_INIT(GITCONFIG_MAX);

	err_clear(&err);
	if (gitconfig_scrub(str_of(in), &out, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(buf_z(&out), want);
}

static void refused(const char *in, const char *text)
{
	auto_buf out = BUF_INIT(GITCONFIG_MAX);

	err_clear(&err);
	assert_int_equal(gitconfig_scrub(str_of(in), &out, &err), -1);
	assert_string_equal(err.text, text);
}

static void keeps_what_git_needs(void **state)
{
	(void)state;
	scrub("[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
	      "[remote \"origin\"]\n\turl = https://example.com/a.git\n"
	      "\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
	      "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n",
	      "[core]\n\trepositoryformatversion = \"0\"\n\tbare = \"false\"\n"
	      "[remote \"origin\"]\n\turl = \"https://example.com/a.git\"\n"
	      "\tfetch = \"+refs/heads/*:refs/remotes/origin/*\"\n"
	      "[branch \"main\"]\n\tremote = \"origin\"\n\tmerge = \"refs/heads/main\"\n");
}

/* Each of these runs a program, reads a file, or holds a secret. */
static void drops_the_rest(void **state)
{
	static const char *const dropped[] = {
		"[credential]\nhelper = store\n",
		"[credential \"https://x\"]\nusername = u\n",
		"[core]\nhooksPath = /tmp\nfsmonitor = /x\nsshCommand = x\neditor = x\n",
		"[core]\npager = x\naskPass = x\ngitProxy = x\nattributesFile = x\n",
		"[core]\nalternateRefsCommand = x\nexcludesFile = x\n",
		"[include]\npath = ~/.secret\n",
		"[includeIf \"gitdir:x\"]\npath = y\n",
		"[filter \"x\"]\nclean = x\nsmudge = x\nprocess = x\n",
		"[diff \"x\"]\ntextconv = x\nexternal = x\n",
		"[merge \"x\"]\ndriver = x\n",
		"[http]\nextraHeader = Authorization: x\nproxy = http://u:p@x\n",
		"[http \"https://x\"]\nextraheader = AUTHORIZATION: basic x\n",
		"[alias]\nst = !sh\n",
		"[url \"https://token@x/\"]\ninsteadOf = y\n",
		"[remote \"origin\"]\nuploadpack = x\nreceivepack = x\nproxy = x\nvcs = x\n",
		"[submodule \"x\"]\nupdate = !sh\n",
		"[user]\nsigningkey = x\n[gpg]\nprogram = x\n",
		"[remote.origin]\nurl = https://u:p@x/\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		scrub(dropped[i], "");
}

static void urls_lose_their_secrets(void **state)
{
	static const struct {
		const char *in, *want;
	} t[] = {
		{ "https://user:tok@h/p", "https://h/p" },
		{ "https://tok@h/p", "https://h/p" },
		{ "HTTP://a@b:c@h/p@q", "HTTP://h/p@q" },
		{ "ssh://git@h:22/p", "ssh://git@h:22/p" },
		{ "ssh://git:pw@h/p", "ssh://git@h/p" },
		{ "git@h:p", "git@h:p" },
		{ "/a/path", "/a/path" },
		{ "https://h", "https://h" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char in[200], want[200];

		(void)snprintf(in, sizeof(in), "[remote \"o\"]\nurl = %s\n", t[i].in);
		(void)snprintf(want, sizeof(want), "[remote \"o\"]\n\turl = \"%s\"\n", t[i].want);
		scrub(in, want);
	}
}

/* git-config(1), "Syntax" */
static void syntax(void **state)
{
	(void)state;
	scrub("[CORE] ; c\n BARE\n", "[core]\n\tbare = \"true\"\n");
	scrub("[core] bare = true # c\r\n", "[core]\n\tbare = \"true\"\n");
	scrub("[core]\nbare = a  b \"  c#\" ; d\n", "[core]\n\tbare = \"a  b   c#\"\n");
	scrub("[core]\nbare = a\\\nb\\\\\\\"\\n\\t\n", "[core]\n\tbare = \"ab\\\\\\\"\\n\\t\"\n");
	scrub("\xef\xbb\xbf[core]\nbare=1", "[core]\n\tbare = \"1\"\n");
	scrub("[branch \"a\\\"b\\\\\"]\nremote = x\n",
	      "[branch \"a\\\"b\\\\\"]\n\tremote = \"x\"\n");
	scrub("", "");
	/* A helper hidden behind a line that goes on is still of the value. */
	scrub("[core]\nbare = x\\\n[credential]\nhelper = y\n",
	      "[core]\n\tbare = \"x[credential]\"\n");
}

static void what_cannot_be_read(void **state)
{
	(void)state;
	refused("[core\nbare = 1\n", "line 1: a section is not closed");
	refused("[core]\n= 1\n", "line 2: a name is missing");
	refused("[core]\nbare = \"x\n", "line 3: a quoted value is not closed");
	refused("[core]\nbare = \\q\n", "line 2: an unknown escape");
	refused("[a \"b\n", "line 2: a subsection is not closed");
	refused("[core]\nbare x\n", "line 2: '=' is missing");
	refused("[]\n", "line 1: a name is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_git_needs),    cmocka_unit_test(drops_the_rest),
		cmocka_unit_test(urls_lose_their_secrets), cmocka_unit_test(syntax),
		cmocka_unit_test(what_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
