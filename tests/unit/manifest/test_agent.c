/* Agents, and an agent with its bottle. */
#include "support.h"

#include <unistd.h>

#include "manifest/agent.h"

static void test_parse(void **state)
{
	struct err err = ERR_INIT;
	auto_agent struct agent *a = agent_parse("dev",
						 STR("---\n"
						     "bottle: web\n"
						     "skills: [review, a_b-2]\n"
						     "name: whatever\n"
						     "description: Writes code\n"
						     "model: opus\n"
						     "color: red\n"
						     "memory: user\n"
						     "tools: [Read, {x: y}]\n"
						     "---\n"
						     "\n"
						     "You write code.\n"),
						 "a.md", false, &err);

	(void)state;
	if (!a)
		fail_msg("%s", err.text);
	assert_string_equal(a->name, "dev");
	assert_string_equal(a->file, "a.md");
	assert_string_equal(a->bottle, "web");
	assert_int_equal(a->bottle_line, 2);
	assert_int_equal(a->bottle_col, 9);
	assert_int_equal(a->skills.n, 2);
	assert_string_equal(a->skills.v[1], "a_b-2");
	assert_string_equal(a->description, "Writes code");
	assert_string_equal(a->prompt, "You write code.\n");
	assert_false(a->repository);
}

static void test_parse_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "a.md:1:1: empty file; it starts with a line '---'" },
		{ "---\n---\n", "a.md:2:1: agent needs the key 'bottle'" },
		{ "---\nskills: []\n---\n", "a.md:2:1: agent needs the key 'bottle'" },
		{ "---\nbotle: x\n---\n",
		  "a.md:2:1: unknown key 'botle' in agent (did you mean 'bottle'?); accepted: "
		  "bottle, skills, name, description, model, color, memory, tools" },
		{ "---\nbottle: [a]\n---\n", "a.md:2:9: 'bottle' must be a string, not a list" },
		{ "---\nbottle: ../../x\n---\n",
		  "a.md:2:9: bottle: '../../x' is not the name of a bottle" },
		{ "---\nbottle: x\nskills: review\n---\n",
		  "a.md:3:9: 'skills' must be a list of strings, not a string" },
		{ "---\nbottle: x\nskills: [../x]\n---\n",
		  "a.md:3:10: skills: '../x' is not a name of a-z, 0-9, '_' and '-'" },
		{ "---\nbottle: x\nskills: [Review]\n---\n",
		  "a.md:3:10: skills: 'Review' is not a name of a-z, 0-9, '_' and '-'" },
		{ "---\nbottle: x\nskills: [a, a]\n---\n",
		  "a.md:3:13: skills: 'a' is there twice" },
		{ "---\nbottle: x\nenv: {A: b}\n---\n",
		  "a.md:3:1: unknown key 'env' in agent; accepted: bottle, skills, name, "
		  "description, model, color, memory, tools" },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		auto_agent struct agent *a =
			agent_parse("a", str_of(cases[i].text), "a.md", false, &err);

		assert_null(a);
		same &= same_text(err.text, cases[i].error);
	}
	assert_true(same);
}

#define AGENT(bottle) "---\nbottle: " bottle "\n---\n"

/* The spelling says whose agent is meant; neither shadows the other. */
static void test_lookup(void **state)
{
	struct world w;
	struct agent *a;

	(void)state;
	world_init(&w);
	world_write(&w, "home/agents/dev.md", AGENT("mine"));
	world_write(&w, "work/.bottle/agents/dev.md", AGENT("theirs"));
	world_write(&w, "work/.bottle/agents/only.md", AGENT("theirs"));

	a = agent_load(&w.home, "dev", w.work, &w.err);
	assert_non_null(a);
	assert_string_equal(a->bottle, "mine");
	assert_false(a->repository);
	agent_free(a);

	a = agent_load(&w.home, "./dev", w.work, &w.err);
	assert_non_null(a);
	assert_string_equal(a->bottle, "theirs");
	assert_string_equal(a->name, "dev");
	assert_true(a->repository);
	agent_free(a);

	assert_null(agent_load(&w.home, "only", w.work, &w.err));
	assert_string_equal(world_error(&w), "no agent 'only' in @/home/agents; this repository "
					     "ships one: './only'");
	assert_int_equal(w.err.code, E_NOTFOUND);
	assert_null(agent_load(&w.home, "deu", w.work, &w.err));
	assert_string_equal(world_error(&w),
			    "no agent 'deu' in @/home/agents (did you mean 'dev'?)");
	assert_null(agent_load(&w.home, "./onyl", w.work, &w.err));
	assert_string_equal(world_error(&w), "no agent './onyl' in @/work/.bottle/agents (did you "
					     "mean 'only'?)");
	assert_null(agent_load(&w.home, "./dev", w.dir, &w.err));
	assert_string_equal(world_error(&w), "no agent './dev' in @/.bottle/agents");
	world_fini(&w);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "",       "./",          "../dev", "./../dev",
					   "dev/x",  "/etc/passwd", ".//dev", "Dev",
					   "dev.md", "././dev" };
	struct world w;

	(void)state;
	world_init(&w);
	world_write(&w, "home/agents/dev.md", AGENT("b"));
	world_write(&w, "work/.bottle/agents/dev.md", AGENT("b"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (agent_load(&w.home, bad[i], w.work, &w.err))
			fail_msg("%s", bad[i]);
		assert_int_equal(w.err.code, E_USAGE);
	}
	assert_string_equal(w.err.text, "'././dev' is not the name of an agent: a-z, 0-9 and '-', "
					"starting with a letter, or ./NAME for this repository's");
	world_fini(&w);
}

/* A repository that links its agents elsewhere would make us read a file of the host. */
static void test_repository_links(void **state)
{
	static const struct {
		const char *link, *target, *error;
	} cases[] = {
		{ "work/.bottle/agents/dev.md", "../../../secret/agents/dev.md",
		  "@/work/.bottle/agents: dev.md: a symbolic link" },
		{ "work/.bottle/agents", "../../secret/agents",
		  "@/work/.bottle/agents: 'agents' must be a directory, not a symlink: Not a "
		  "directory" },
		{ "work/.bottle", "../secret",
		  "@/work/.bottle/agents: '.bottle' must be a directory, not a symlink: Not a "
		  "directory" },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		auto_free char *link = NULL;
		auto_free char *parent = NULL;

		world_init(&w);
		world_write(&w, "secret/agents/dev.md", AGENT("b"));
		link = path_join(w.dir, cases[i].link);
		parent = mem_strndup(link, (size_t)(strrchr(link, '/') - link));
		assert_int_equal(dir_make(parent, 0700, &w.err), 0);
		assert_int_equal(symlink(cases[i].target, link), 0);
		assert_int_equal(access(link, R_OK), 0); /* it leads there */
		assert_null(agent_load(&w.home, "./dev", w.work, &w.err));
		same &= same_text(world_error(&w), cases[i].error);
		world_fini(&w);
	}
	assert_true(same);
}

/* The operator's own files may be links: dotfile managers make them. */
static void test_own_link(void **state)
{
	struct world w;
	struct agent *a;
	auto_free char *link = NULL;

	(void)state;
	world_init(&w);
	world_write(&w, "dotfiles/dev.md", AGENT("b"));
	world_write(&w, "home/agents/other.md", AGENT("b"));
	link = path_join(w.dir, "home/agents/dev.md");
	assert_int_equal(symlink("../../dotfiles/dev.md", link), 0);
	a = agent_load(&w.home, "dev", w.work, &w.err);
	assert_non_null(a);
	agent_free(a);
	world_fini(&w);
}

/* --- with its bottle --------------------------------------------------------------------------- */

static void test_manifest(void **state)
{
	struct world w;
	struct manifest m = { NULL, NULL };

	(void)state;
	world_init(&w);
	world_bottle(&w, "closed", "");
	world_bottle(&w, "open", "extends: closed\nrepository_agents: true\n");
	world_agent(&w, "dev", "bottle: closed\n", "Hi\n");
	world_agent(&w, "lost", "bottle: clsed\n", "");
	world_write(&w, "work/.bottle/agents/guest.md", AGENT("open"));
	world_write(&w, "work/.bottle/agents/thief.md", AGENT("closed"));

	assert_int_equal(manifest_load(&w.home, "dev", w.work, &m, &w.notes, &w.err), 0);
	assert_string_equal(m.agent->prompt, "Hi\n");
	assert_string_equal(m.bottle->name, "closed");
	manifest_fini(&m);
	assert_int_equal(manifest_load(&w.home, "./guest", w.work, &m, &w.notes, &w.err), 0);
	assert_string_equal(m.bottle->name, "open");
	assert_int_equal(m.bottle->files.n, 2);
	manifest_fini(&m);
	assert_int_equal(w.notes.warnings.n, 0);

	assert_int_equal(manifest_load(&w.home, "./thief", w.work, &m, &w.notes, &w.err), -1);
	assert_string_equal(world_error(&w),
			    "@/work/.bottle/agents/thief.md:2:9: bottle 'closed' is not open to a "
			    "repository's agents; it says so with repository_agents: true");
	assert_int_equal(w.err.code, E_DENIED);
	assert_int_equal(manifest_load(&w.home, "lost", w.work, &m, &w.notes, &w.err), -1);
	assert_string_equal(world_error(&w), "@/home/agents/lost.md:2:9: no bottle 'clsed' in "
					     "@/home/bottles (did you mean 'closed'?)");
	assert_null(m.agent);
	world_fini(&w);
}

/* A repository's bottles: warned about, never read (spec 1.2.2). */
static void test_repository_bottles(void **state)
{
	struct world w;
	struct manifest m = { NULL, NULL };
	struct home same_place;

	(void)state;
	world_init(&w);
	world_agent(&w, "dev", "bottle: web\n", "");
	world_write(&w, "work/.bottle/bottles/web.md", "---\nsupervise: true\n---\n");
	assert_int_equal(manifest_load(&w.home, "dev", w.work, &m, &w.notes, &w.err), -1);
	assert_string_equal(world_error(&w), "@/home/agents/dev.md:2:9: no bottle 'web' in "
					     "@/home/bottles");
	assert_int_equal(w.notes.warnings.n, 1);
	assert_non_null(strstr(w.notes.warnings.v[0],
			       "/work/.bottle/bottles is ignored: bottles come from "));

	world_bottle(&w, "web", "");
	assert_int_equal(manifest_load(&w.home, "dev", w.work, &m, &w.notes, &w.err), 0);
	assert_false(m.bottle->supervise);
	manifest_fini(&m);

	/* started where the home itself is, nothing is foreign */
	world_write(&w, "work/.bottle/agents/dev.md", AGENT("web"));
	same_place.dir = path_join(w.work, ".bottle");
	same_place.user = mem_strdup(w.work);
	notes_fini(&w.notes);
	assert_int_equal(manifest_load(&same_place, "dev", w.work, &m, &w.notes, &w.err), 0);
	assert_int_equal(w.notes.warnings.n, 0);
	manifest_fini(&m);
	home_fini(&same_place);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),      cmocka_unit_test(test_parse_errors),
		WORLD_TEST(test_lookup),           WORLD_TEST(test_names),
		WORLD_TEST(test_repository_links), WORLD_TEST(test_own_link),
		WORLD_TEST(test_manifest),         WORLD_TEST(test_repository_bottles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
