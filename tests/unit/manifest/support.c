#include "support.h"

static char *left; /* the directory of the running test's world, until it is removed */

static void remove_left(void)
{
	auto_free char *dir = steal(&left);
	struct err err = ERR_INIT;

	if (dir && dir_remove(dir, &err) < 0)
		fail_msg("%s", err.text);
}

void world_init(struct world *w)
{
	*w = (struct world){ .notes = NOTES_INIT, .err = ERR_INIT };
	w->dir = dir_make_temp("bottle-test-", &w->err);
	assert_non_null(w->dir);
	left = mem_strdup(w->dir);
	w->home.dir = path_join(w->dir, "home");
	w->home.user = path_join(w->dir, "user");
	w->work = path_join(w->dir, "work");
	assert_int_equal(dir_make(w->work, 0700, &w->err), 0);
}

void world_fini(struct world *w)
{
	remove_left();
	secrets_fini(&w->secrets);
	plan_free(w->plan);
	manifest_fini(&w->manifest);
	home_fini(&w->home);
	notes_fini(&w->notes);
	free(w->work);
	free(w->dir);
}

int world_teardown(void **state)
{
	(void)state;
	remove_left();
	return 0;
}

void world_write(const struct world *w, const char *path, const char *text)
{
	auto_free char *file = path_join(w->dir, path);
	auto_free char *dir = mem_strndup(file, (size_t)(strrchr(file, '/') - file));
	struct err err = ERR_INIT;

	if (dir_make(dir, 0700, &err) < 0 || file_write_atomic(file, str_of(text), 0600, &err) < 0)
		fail_msg("%s", err.text);
}

void world_bottle(const struct world *w, const char *name, const char *head)
{
	auto_free char *path = mem_printf("home/bottles/%s.md", name);
	auto_free char *text = mem_printf("---\n%s---\n", head);

	world_write(w, path, text);
}

void world_agent(const struct world *w, const char *name, const char *head, const char *body)
{
	auto_free char *path = mem_printf("home/agents/%s.md", name);
	auto_free char *text = mem_printf("---\n%s---\n%s", head, body);

	world_write(w, path, text);
}

void world_load(struct world *w, const char *agent_head, const char *prompt,
		const char *bottle_head)
{
	world_agent(w, "dev", agent_head, prompt);
	world_bottle(w, "b", bottle_head);
	if (manifest_load(&w->home, "dev", w->work, &w->manifest, &w->notes, &w->err) < 0)
		fail_msg("%s", w->err.text);
}

struct plan *world_plan(struct world *w, const struct plan_input *in)
{
	w->plan = plan_make(&w->manifest, in, &w->err);
	if (!w->plan)
		fail_msg("%s", w->err.text);
	return w->plan;
}

const char *world_error(const struct world *w)
{
	static char text[ERR_TEXT_MAX + 1];
	struct str rest = str_of(w->err.text);
	size_t n = 0;

	while (rest.n > 0) {
		if (str_starts(rest, str_of(w->dir))) {
			text[n++] = '@';
			rest = str_from(rest, strlen(w->dir));
		} else {
			text[n++] = rest.p[0];
			rest = str_from(rest, 1);
		}
	}
	text[n] = '\0';
	return text;
}

struct bottle *bottle_of(const char *head, struct notes *notes, struct err *err)
{
	static const struct home home = { .dir = (char *)(uintptr_t) "/none",
					  .user = (char *)(uintptr_t) "/none" };
	auto_free char *text = mem_printf("---\n%s---\n", head);

	return bottle_parse(&home, "b", str_of(text), "b.md", notes, err);
}

bool same_text(const char *got, const char *want)
{
	if (str_eqz(str_of(got), want))
		return true;
	(void)fprintf(stderr, "got:  %s\nwant: %s\n", got, want);
	return false;
}

static const char *get(void *user, const char *name)
{
	for (const char *const *pair = user; *pair; pair += 2)
		if (str_eqz(str_of(pair[0]), name))
			return pair[1];
	return NULL;
}

struct host_env env_of(const char *const *pairs)
{
	return (struct host_env){ .get = get, .user = (void *)(uintptr_t)pairs };
}

char *read_file(const char *path)
{
	auto_buf text = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;

	if (file_read(path, &text, &err) < 0)
		fail_msg("%s", err.text);
	return buf_take(&text, NULL);
}
