/*
 * The two written forms of a plan, against tests/manifests/NAME.plan.json and NAME.preflight.txt.
 * The version is "@VERSION@" there.
 */
#include "support.h"

#include "base/json.h"
#include "base/version.h"
#include "manifest/plan.h"

static const char *const environment[] = {
	"HOME",          "/home/u",       "CLAUDE_TOKEN", "secret-claude",
	"GH_TOKEN",      "secret-github", "CORP_LOGIN",   "ann:secret-pw",
	"HOST_CI_TOKEN", "secret-ci",     NULL,
};

struct sample {
	struct manifest m;
	struct plan *p;
};

static void sample_make(struct sample *s, const char *agent, enum plan_cwd cwd_mode)
{
	static char dir[] = "tests/manifests/home", user[] = "/home/u";
	static const struct home home = { .dir = dir, .user = user };
	struct host_env env = env_of(environment);
	struct plan_input in = {
		.identity = "dev-a1b2c", .env = &env, .cwd = "/home/u/my src", .cwd_mode = cwd_mode
	};
	struct err err = ERR_INIT;

	if (manifest_load(&home, agent, "/nonexistent", &s->m, NULL, &err) < 0)
		fail_msg("%s", err.text);
	s->p = plan_make(&s->m, &in, &err);
	if (!s->p)
		fail_msg("%s", err.text);
}

static void sample_free(struct sample *s)
{
	plan_free(s->p);
	manifest_fini(&s->m);
}

/* The file's text with the version put in. */
static char *read_expected(const char *path)
{
	auto_free char *text = read_file(path);
	auto_buf out = BUF_INIT(MIB(1));
	struct str rest = str_of(text), mark = STR("@VERSION@");
	ssize_t at;

	while ((at = str_find(rest, mark, 0)) >= 0) {
		assert_int_equal(buf_add(&out, str_sub(rest, 0, (size_t)at), NULL), 0);
		assert_int_equal(buf_addz(&out, bottle_version(), NULL), 0);
		rest = str_from(rest, (size_t)at + mark.n);
	}
	assert_int_equal(buf_add(&out, rest, NULL), 0);
	return buf_take(&out, NULL);
}

static void check_file(struct buf *got, const char *path)
{
	auto_free char *want = read_expected(path);
	const char *text = buf_z(got);

	if (!same_text(text, want))
		fail_msg("%s differs", path);
	/* nothing of the environment but names, nothing that drives a terminal */
	assert_null(strstr(text, "secret-"));
	assert_null(strchr(text, '\033'));
}

static void check_sample(const char *agent, enum plan_cwd cwd_mode)
{
	auto_free char *json_path = mem_printf("tests/manifests/%s.plan.json", agent);
	auto_free char *text_path = mem_printf("tests/manifests/%s.preflight.txt", agent);
	auto_buf json = BUF_INIT(PLAN_TEXT_MAX);
	auto_buf text = BUF_INIT(PLAN_TEXT_MAX);
	struct sample s;

	sample_make(&s, agent, cwd_mode);
	assert_int_equal(plan_write_json(s.p, &json, NULL), 0);
	assert_int_equal(plan_write_preflight(s.p, false, &text, NULL), 0);
	check_file(&json, json_path);
	check_file(&text, text_path);
	sample_free(&s);
}

static void test_full(void **state)
{
	(void)state;
	check_sample("full", PLAN_CWD_COPY);
}

static void test_plain(void **state)
{
	(void)state;
	check_sample("plain", PLAN_CWD_NONE);
}

static void test_json_is_json(void **state)
{
	auto_buf text = BUF_INIT(PLAN_TEXT_MAX);
	auto_json struct json *j = NULL;
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_make(&s, "full", PLAN_CWD_COPY);
	assert_int_equal(plan_write_json(s.p, &text, NULL), 0);
	j = json_parse(buf_str(&text), "plan", &err);
	assert_non_null(j);
	assert_int_equal(json_int(json_get(j, "schema")), PLAN_SCHEMA);
	assert_int_equal(json_len(json_get(j, "routes")), s.p->route_count);
	sample_free(&s);
}

/* Red is for warnings, and only when asked for. */
static void test_colour(void **state)
{
	auto_buf text = BUF_INIT(PLAN_TEXT_MAX);
	struct sample s;

	(void)state;
	sample_make(&s, "full", PLAN_CWD_COPY);
	assert_int_equal(plan_write_preflight(s.p, true, &text, NULL), 0);
	for (size_t i = 0; i < s.p->red.n; i++) {
		auto_free char *line = mem_printf("\033[1;31m! %s\033[0m\n", s.p->red.v[i]);

		assert_true(str_find(buf_str(&text), str_of(line), 0) >= 0);
	}
	sample_free(&s);
}

/* A name that an enemy chose does not reach the terminal raw. */
static void test_hostile_text(void **state)
{
	auto_buf text = BUF_INIT(PLAN_TEXT_MAX);
	struct sample s;

	(void)state;
	sample_make(&s, "plain", PLAN_CWD_COPY);
	free(s.p->cwd);
	s.p->cwd = mem_strdup("/srv/\033[2Ja\nb\"\xff");
	strs_add(&s.p->red, "bell \a");
	strs_add(&s.p->command, "\033]0;x\a");
	assert_int_equal(plan_write_preflight(s.p, false, &text, NULL), 0);
	assert_null(strchr(buf_z(&text), '\033'));
	assert_null(strchr(buf_z(&text), '\a'));
	assert_true(str_is_utf8(buf_str(&text)));
	assert_non_null(strstr(buf_z(&text), "\"/srv/\\u001b[2Ja\\u000ab\\\"\xef\xbf\xbd\""));
	sample_free(&s);
}

static void test_limit(void **state)
{
	auto_buf small = BUF_INIT(100);
	struct err err = ERR_INIT;
	struct sample s;

	(void)state;
	sample_make(&s, "plain", PLAN_CWD_NONE);
	assert_int_equal(plan_write_json(s.p, &small, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_int_equal(plan_write_preflight(s.p, false, &small, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
	sample_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),         cmocka_unit_test(test_plain),
		cmocka_unit_test(test_json_is_json), cmocka_unit_test(test_colour),
		cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
