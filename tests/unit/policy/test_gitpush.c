#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/decide.h"

static bool is_push(const char *path, const char *query)
{
	struct arena scratch;
	bool push;

	arena_init(&scratch, KIB(256));
	push = gitpush_is_push(str_of(path), str_of(query), &scratch);
	arena_fini(&scratch);
	return push;
}

struct request {
	const char *path, *query;
};

static void every_spelling_is_a_push(void **state)
{
	static const struct request pushes[] = {
		{ "/o/r.git/git-receive-pack", NULL },
		{ "/git-receive-pack", NULL },
		{ "/o/r.git/git-receive-pack/", NULL },
		{ "/o/r.git/git-receive-pack//", NULL },
		{ "/o/r.git//git-receive-pack", NULL },
		{ "/o/r.git/git-receive-pack;x=1", NULL },
		{ "/o/r.git/git-receive-pack%00", NULL },
		{ "/o/r.git/git-receive-pack%26x", NULL },
		{ "/o/r.git/git-receive-pack/;x", NULL },
		{ "/o/r.git/git-receive-pack%20", NULL },
		{ "/o/r.git/git-receive-pack%3fx", NULL },
		{ "/o/r.git/git-receive-pack%23x", NULL },
		{ "/o/r.git/GIT-Receive-Pack", NULL },
		{ "/o/r.git/git%2dreceive%2Dpack", NULL },
		{ "/o/r.git/%67it-receive-pack", NULL },
		{ "/o/r.git/%2567it-receive-pack", NULL },
		{ "/o/r.git/%252567it-receive-pack", NULL },
		{ "/o/r.git%2fgit-receive-pack", NULL },
		{ "/o/r.git%2Fgit-receive-pack%2F", NULL },
		{ "/o/r.git;a/git-receive-pack", NULL },
		{ "/o/r.git/info/refs", "service=git-receive-pack" },
		{ "/o/r.git/info/refs/", "service=git-receive-pack" },
		{ "/o/r.git/info//refs", "service=git-receive-pack" },
		{ "/o/r.git/info%2frefs", "service=git-receive-pack" },
		{ "/o/r.git/info/refs;x", "service=git-receive-pack" },
		{ "/o/r.git/info;x/refs", "service=git-receive-pack" },
		{ "/o/r.git/%69nfo/%72efs", "service=git-receive-pack" },
		{ "/o/r.git/Info/Refs", "service=git-receive-pack" },
		{ "/o/r.git/info/refs;service=git-receive-pack", NULL },
		{ "/o/r.git/info/refs%3fservice=git-receive-pack", NULL },
		{ "/o/r.git/info/refs", "a=1&service=git-receive-pack" },
		{ "/o/r.git/info/refs", "service=git-upload-pack&service=git-receive-pack" },
		{ "/o/r.git/info/refs", "service=git-receive-pack&service=git-upload-pack" },
		{ "/o/r.git/info/refs", "a;service=git-receive-pack" },
		{ "/o/r.git/info/refs", "a=1?service=git-receive-pack" },
		{ "/o/r.git/info/refs", "service=git%2dreceive%2Dpack" },
		{ "/o/r.git/info/refs", "service=git%252dreceive-pack" },
		{ "/o/r.git/info/refs", "%73ervice=git-receive-pack" },
		{ "/o/r.git/info/refs", "service[]=git-receive-pack" },
		{ "/o/r.git/info/refs", "SERVICE=GIT-RECEIVE-PACK" },
		{ "/o/r.git/info/refs", "service=+git-receive-pack+" },
		{ "/o/r.git/info/refs", "service=git-receive-pack%00" },
		{ "/o/r.git/info/refs", "service=%67%69%74-%72eceive-pack" },
		{ "/o/r.git/info/refs", "service=%2%35%36%37it-receive-pac%6b" },
		{ "/o/r.git/info/refs", "%26service%3dgit-receive-pack" },
		{ "/o/r.git/info/refs", "service=git-rreceive-pack" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pushes); i++)
		if (!is_push(pushes[i].path, pushes[i].query))
			fail_msg("passed: %s?%s", pushes[i].path, pushes[i].query);
}

static void fetch_and_the_rest_of_the_web_pass(void **state)
{
	static const struct request others[] = {
		{ "/o/r.git/info/refs", "service=git-upload-pack" },
		{ "/o/r.git/info/refs", NULL },
		{ "/o/r.git/git-upload-pack", NULL },
		{ "/o/r.git/HEAD", NULL },
		{ "/o/r.git/objects/info/packs", NULL },
		{ "/", NULL },
		{ "/docs/git-receive-pack/options", NULL },
		{ "/docs/git-receive-packs", NULL },
		{ "/docs/git-receive-pack2", NULL },
		{ "/docs/git-receive-pack_x", NULL },
		{ "/o/r.git/info/other", "service=git-receive-pack" },
		{ "/docs/git-receive-pack.html", NULL },
		{ "/docs/git-receive-pack-hooks", NULL },
		{ "/docs/no-git-receive-pack", NULL },
		{ "/search", "q=git-receive-pack" },
		{ "/info/refs/heads", "service=git-receive-pack" },
		{ "/refs", "service=git-receive-pack" },
		{ "/myinfo/refs", "service=git-receive-pack" },
		{ "/o/r.git/info/refs", "service=git-upload-pack&x=receive&y=unpack" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (is_push(others[i].path, others[i].query))
			fail_msg("blocked: %s?%s", others[i].path, others[i].query);
}

static void what_cannot_be_read_counts_as_a_push(void **state)
{
	struct arena small;

	(void)state;
	assert_true(is_push("/a/../b", NULL));
	assert_true(is_push("*", NULL));
	for (size_t max = 16; max <= 1024; max += 8) {
		arena_init(&small, max);
		assert_true(gitpush_is_push(STR("/a/repository/info%2frefs"),
					    STR("service=git-receive-pack"), &small));
		arena_fini(&small);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_is_a_push),
		cmocka_unit_test(fetch_and_the_rest_of_the_web_pass),
		cmocka_unit_test(what_cannot_be_read_counts_as_a_push),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
