#include "support.h"

#include <unistd.h>

static void test_find(void **state)
{
	static const struct {
		const char *env[5];
		const char *dir, *user, *error;
	} cases[] = {
		{ { "HOME", "/nonexistent/u", NULL },
		  "/nonexistent/u/.bottle",
		  "/nonexistent/u",
		  NULL },
		{ { "HOME", "/nonexistent/u", "BOTTLE_HOME", "/srv/b", NULL },
		  "/srv/b",
		  "/nonexistent/u",
		  NULL },
		{ { "HOME", "/nonexistent/u", "BOTTLE_HOME", "", NULL },
		  "/nonexistent/u/.bottle",
		  "/nonexistent/u",
		  NULL },
		{ { "BOTTLE_HOME", "/srv/b", NULL }, "/srv/b", NULL, NULL },
		{ { "BOTTLE_HOME", "srv/b", NULL },
		  NULL,
		  NULL,
		  "BOTTLE_HOME=srv/b: not an absolute path" },
		{ { NULL }, NULL, NULL, "neither BOTTLE_HOME nor HOME is set to an absolute path" },
		{ { "HOME", "u", NULL },
		  NULL,
		  NULL,
		  "neither BOTTLE_HOME nor HOME is set to an absolute path" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct host_env env = env_of(cases[i].env);
		auto_home h = { NULL, NULL };
		struct err err = ERR_INIT;
		int rc = home_find(&env, &h, NULL, &err);

		assert_int_equal(rc, cases[i].error ? -1 : 0);
		assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		if (rc < 0)
			continue;
		assert_string_equal(h.dir, cases[i].dir);
		if (cases[i].user)
			assert_string_equal(h.user, cases[i].user);
		else
			assert_null(h.user);
	}
}

static void test_legacy(void **state)
{
	static const char *const old[] = { "user/.bot-bottle/x", "user/bot-bottle.json",
					   "user/.claude-bottle/x", "user/claude-bottle.json" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(old); i++) {
		struct world w;
		const char *pairs[] = { "HOME", NULL, NULL };
		struct host_env env = env_of(pairs);
		auto_home h = { NULL, NULL };
		auto_free char *text = NULL;

		world_init(&w);
		pairs[1] = w.home.user;
		world_write(&w, old[i], "{}");
		assert_int_equal(home_find(&env, &h, &w.notes, &w.err), -1);
		text = mem_printf("@/%.*s is the predecessor's; this program reads @/user/.bottle, "
				  "which does not exist",
				  (int)strlen(old[i]) -
					  (str_ends(str_of(old[i]), STR("/x")) ? 2 : 0),
				  old[i]);
		assert_string_equal(world_error(&w), text);
		assert_non_null(strstr(w.notes.recipe, "mkdir -p ~/.bottle/bottles"));

		/* with a ~/.bottle beside it, it is nobody's business */
		world_write(&w, "user/.bottle/x", "");
		assert_int_equal(home_find(&env, &h, NULL, &w.err), 0);
		world_fini(&w);
	}
}

static void test_list(void **state)
{
	struct str_list names;
	struct world w;
	auto_free char *dir = NULL;

	(void)state;
	world_init(&w);
	dir = path_join(w.home.dir, "bottles");
	assert_int_equal(home_list(dir, &names, &w.notes, &w.err), 0);
	assert_int_equal(names.n, 0); /* a missing directory is empty */

	world_bottle(&w, "web", "");
	world_bottle(&w, "a-2", "");
	world_write(&w, "home/bottles/Web.md", "");
	world_write(&w, "home/bottles/notes.txt", "");
	world_write(&w, "home/bottles/2a.md", "");
	world_write(&w, "home/bottles/.md", "");
	assert_int_equal(home_list(dir, &names, &w.notes, &w.err), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.v[0], "a-2");
	assert_string_equal(names.v[1], "web");
	strs_free(&names);
	assert_int_equal(w.notes.warnings.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_non_null(strstr(w.notes.warnings.v[i], ": skipped: not NAME.md"));
	world_fini(&w);
}

static void test_list_fails(void **state)
{
	struct str_list names;
	struct world w;
	auto_free char *file = NULL;

	(void)state;
	world_init(&w);
	world_write(&w, "home/bottles", "a file\n");
	file = path_join(w.home.dir, "bottles");
	assert_int_equal(home_list(file, &names, NULL, &w.err), -1);
	assert_non_null(strstr(world_error(&w), "@/home/bottles"));
	world_fini(&w);
}

static void test_name(void **state)
{
	char name[MANIFEST_NAME_MAX + 2];

	(void)state;
	assert_true(manifest_name_ok(STR("a")));
	assert_true(manifest_name_ok(STR("my-agent-2")));
	assert_false(manifest_name_ok(STR("")));
	assert_false(manifest_name_ok(STR("2a")));
	assert_false(manifest_name_ok(STR("-a")));
	assert_false(manifest_name_ok(STR("A")));
	assert_false(manifest_name_ok(STR("a_b")));
	assert_false(manifest_name_ok(STR("../a")));
	assert_false(manifest_name_ok(STR("a\0b")));
	memset(name, 'a', sizeof(name));
	assert_true(manifest_name_ok(str_mem(name, MANIFEST_NAME_MAX)));
	assert_false(manifest_name_ok(str_mem(name, MANIFEST_NAME_MAX + 1)));
}

static void test_resolve(void **state)
{
	static char user[] = "/home/u", dir[] = "/home/u/.bottle";
	static const struct home h = { .dir = dir, .user = user };
	static const struct home nobody = { .dir = dir, .user = NULL };
	static const struct {
		const struct home *h;
		const char *path, *result, *error;
	} cases[] = {
		{ &h, "/etc/x", "/etc/x", NULL },
		{ &h, "~/k/x", "/home/u/k/x", NULL },
		{ &h, "k/x", "/b/k/x", NULL },
		{ &h, "../x", "/b/../x", NULL },
		{ &h, "~root/x", NULL, "'~root/x': write ~/… or an absolute path" },
		{ &nobody, "~/x", NULL, "'~/x': HOME is not set" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		auto_free char *path = home_resolve(cases[i].h, "/b/x.md", cases[i].path, &err);

		if (cases[i].error) {
			assert_null(path);
			assert_string_equal(err.text, cases[i].error);
		} else {
			assert_string_equal(path, cases[i].result);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find), WORLD_TEST(test_legacy),
		WORLD_TEST(test_list),       WORLD_TEST(test_list_fails),
		cmocka_unit_test(test_name), cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
