/*
 * A bottle and an agent from any bytes: the fence, the YAML, every key's checks, the recipes, and,
 * when the bottle is good, the plan of it and its written forms, which must be good themselves.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/extends.h"
#include "manifest/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every variable is set, to something that no plan may show. */
#define SECRET "s3cr3t-value"

static const char *get(void *user, const char *name)
{
	(void)user;
	(void)name;
	return SECRET;
}

static void check_plan(struct agent *agent, struct bottle *bottle, const struct host_env *env,
		       bool secret_is_foreign)
{
	struct manifest m = { .agent = agent, .bottle = bottle };
	struct plan_input in = { .identity = "a-00000", .env = env, .cwd = "/" };
	auto_plan struct plan *p = plan_make(&m, &in, NULL);
	auto_buf json = BUF_INIT(PLAN_TEXT_MAX);
	auto_buf text = BUF_INIT(PLAN_TEXT_MAX);
	auto_json struct json *again = NULL;

	if (!p)
		return;
	if (plan_write_json(p, &json, NULL) < 0 || plan_write_preflight(p, false, &text, NULL) < 0)
		return; /* too long */
	again = json_parse(buf_str(&json), "plan", NULL);
	if (!again || (secret_is_foreign && str_find(buf_str(&json), STR(SECRET), 0) >= 0))
		abort();
	/* nothing drives the terminal */
	for (struct str rest = buf_str(&text), line; str_split(&rest, '\n', &line);)
		if (str_has_ctl(line))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char dir[] = "/nonexistent", user[] = "/nonexistent";
	static const struct home home = { .dir = dir, .user = user };
	static const struct host_env env = { .get = get, .user = NULL };
	struct str text = str_mem(data, size);
	/* unless it is in the input, as it stands or in escapes */
	bool secret_is_foreign = str_find(text, STR(SECRET), 0) < 0 && str_chr(text, '\\', 0) < 0;
	auto_notes notes = NOTES_INIT;
	auto_bottle struct bottle *b = bottle_parse(&home, "b", text, "/b.md", &notes, NULL);
	auto_agent struct agent *a = agent_parse("a", text, "/a.md", false, NULL);
	auto_agent struct agent *any =
		agent_parse("a", STR("---\nbottle: b\n---\nHi\n"), "/a.md", false, NULL);

	/* a file is one or the other: the bottle's keys are unknown to an agent */
	if (a && !a->bottle)
		abort();
	/* the same file twice over itself is itself, and does not lose what points into it */
	if (b && extends_check(b, NULL) == 0) {
		auto_bottle struct bottle *over =
			bottle_parse(&home, "b", text, "/b.md", NULL, NULL);
		size_t routes = b->routes.n, env_count = b->env.n, git = b->git.n;

		extends_fold(b, over);
		if (b->routes.n != routes || b->env.n != env_count || b->git.n != git ||
		    extends_check(b, NULL) < 0)
			abort();
		check_plan(any, b, &env, secret_is_foreign);
	}
	return 0;
}
