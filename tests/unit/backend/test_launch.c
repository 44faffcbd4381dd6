#include "support.h"

#include <signal.h>
#include <sys/resource.h>

#include "backend/launch.h"
#include "base/json.h"
#include "net/tls.h"

static struct world w;
static struct fake f;
static struct loop *l;
static bool cancel, in_session;
static struct launch_result result;
static struct err err;
static char notes[4096];

static void begin(void *user, const char *what)
{
	(void)user;
	(void)what;
}

static void done(void *user, const char *what, int64_t ms, const struct err *why)
{
	(void)user;
	(void)what;
	(void)ms;
	(void)why;
}

static void note(void *user, const char *text)
{
	size_t n = strlen(notes);

	(void)user;
	(void)snprintf(notes + n, sizeof(notes) - n, "%s\n", text);
}

static const struct progress quiet = { .begin = begin, .done = done, .note = note };

static void prepare(const char *command)
{
	err_clear(&err);
	notes[0] = '\0';
	cancel = false;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(tls_global_init(&err), 0);
	world_init(&w, command);
	l = loop_new(&err);
	assert_non_null(l);
	fake_init(&f, l, &cancel);
}

static int run(void)
{
	static const struct secrets none = { NULL, 0 };
	const struct launch_spec spec = { .loop = l,
					  .backend = &f.b,
					  .plan = w.plan,
					  .secrets = &none,
					  .env = &host_env_process,
					  .home = w.home.dir,
					  .cancel = &cancel,
					  .in_session = &in_session,
					  .progress = &quiet };

	return launch_run(&spec, &result, &err);
}

static void finish(void)
{
	fake_fini(&f);
	loop_free(l);
	world_fini(&w);
}

#define UP "prepare create start-agent start-sidecar address provision session"
#define DOWN "remove-boxes remove-networks"

static void clean_run(void **state)
{
	auto_free char *events = NULL;

	(void)state;
	prepare("true");
	assert_int_equal(run(), 0);
	assert_int_equal(result.exit_code, 0);
	assert_true(result.ran);
	assert_string_equal(buf_z(&f.calls), UP " " DOWN);
	/* events to audit/, the rest gone */
	assert_false(world_has(&w, "home/state/a-00000"));
	events = world_read(&w, "home/audit/a-00000.events.jsonl");
	assert_string_equal(events, "{\"event\":\"ready\"}\n");
	finish();
}

static void exit_code_passes_and_state_stays(void **state)
{
	(void)state;
	prepare("exit 7");
	assert_int_equal(run(), 0);
	assert_int_equal(result.exit_code, 7);
	assert_true(result.kept);
	assert_true(world_has(&w, "home/state/a-00000/events.jsonl"));
	assert_true(world_has(&w, "home/state/a-00000/metadata.json"));
	finish();

	prepare("kill -9 $$");
	assert_int_equal(run(), 0);
	assert_int_equal(result.exit_code, 128 + 9);
	finish();
}

/* Whatever fails, all that was pushed before is undone, and no state of a run that was none stays. */
static void each_step_may_fail(void **state)
{
	static const struct {
		const char *at, *calls;
	} t[] = {
		{ "prepare", "prepare remove-networks" },
		{ "create", "prepare create " DOWN },
		{ "start-agent", "prepare create start-agent " DOWN },
		{ "start-sidecar", "prepare create start-agent start-sidecar " DOWN },
		{ "address", "prepare create start-agent start-sidecar address " DOWN },
		{ "provision", "prepare create start-agent start-sidecar address provision " DOWN },
		{ "session", UP " " DOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		auto_free char *want = mem_printf("%s failed", t[i].at);

		prepare("true");
		f.fail_at = t[i].at;
		assert_int_equal(run(), -1);
		assert_string_equal(err.text, want);
		assert_string_equal(buf_z(&f.calls), t[i].calls);
		assert_false(result.ran);
		assert_false(world_has(&w, "home/state/a-00000"));
		finish();
	}
}

static void each_step_may_be_interrupted(void **state)
{
	static const char *const at[] = { "prepare",   "create",  "start-agent", "start-sidecar",
					  "provision", "session", "address" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		prepare("exec sleep 100");
		f.cancel_at = at[i];
		assert_int_equal(run(), -1);
		assert_int_equal(err.code, E_CANCELLED);
		assert_non_null(strstr(buf_z(&f.calls), "remove-networks"));
		/* What ran keeps its state; what never ran has none. */
		assert_int_equal(world_has(&w, "home/state/a-00000"),
				 strcmp(at[i], "session") == 0);
		finish();
	}
}

/* All undos run though one fails, and the session's own end is not hidden by success. */
static void teardown_goes_on_after_errors(void **state)
{
	(void)state;
	prepare("true");
	f.fail_at = "remove-boxes";
	assert_int_equal(run(), -1);
	assert_string_equal(err.text, "remove boxes: remove-boxes failed");
	assert_string_equal(buf_z(&f.calls), UP " " DOWN);
	finish();
}

static void the_probe_refuses(void **state)
{
	(void)state;
	prepare("true");
	f.answer = "{\"ok\":false,\"error\":\"the host answers the box\"}";
	assert_int_equal(run(), -1);
	assert_string_equal(err.text, "the host answers the box");
	assert_null(strstr(buf_z(&f.calls), "session"));
	finish();

	prepare("true");
	f.answer = "";
	assert_int_equal(run(), -1);
	assert_null(strstr(buf_z(&f.calls), "session"));
	finish();
}

static void a_sidecar_that_is_never_ready(void **state)
{
	(void)state;
	prepare("true");
	f.sidecar = "echo 'bad bundle' >&2; exit 1";
	assert_int_equal(run(), -1);
	assert_non_null(strstr(err.text, "start bottle-egress-proxy-a-00000: bad bundle"));
	assert_non_null(strstr(buf_z(&f.calls), DOWN));
	finish();
}

/* Fed with the same bundle again, and the agent told where it is now. */
static void a_dead_sidecar_comes_back(void **state)
{
	auto_free char *events = NULL, *mark = NULL, *script = NULL, *command = NULL;

	(void)state;
	prepare(NULL);
	mark = mem_printf("%s/mark", w.dir);
	script = mem_printf("read b; [ ${#b} -gt 100 ] || exit 9; echo '{\"event\":\"ready\"}';"
			    "if [ -e %s ]; then echo '{\"event\":\"second\"}'; touch %s.2;"
			    "cat >/dev/null; else touch %s; exit 3; fi",
			    mark, mark, mark);
	command = mem_printf("until [ -e %s.2 ]; do sleep 0.01; done; sleep 0.1; exit 5", mark);
	free(w.plan->command.v[2]);
	w.plan->command.v[2] = steal(&command);
	f.sidecar = script;
	assert_int_equal(run(), 0);
	assert_int_equal(result.exit_code, 5);
	assert_string_equal(buf_z(&f.calls), UP " start-sidecar address hosts " DOWN);
	assert_non_null(strstr(notes, "exit status 3"));
	events = world_read(&w, "home/state/a-00000/events.jsonl");
	assert_non_null(strstr(events, "\"event\":\"sidecar-restart\""));
	assert_non_null(strstr(events, "{\"event\":\"second\"}"));
	finish();
}

static void a_sidecar_that_keeps_dying(void **state)
{
	size_t restarts = 0;

	(void)state;
	prepare("exec sleep 100");
	f.sidecar = "read b; echo '{\"event\":\"ready\"}'; exit 3";
	assert_int_equal(run(), -1);
	assert_int_equal(err.code, E_LIMIT);
	for (const char *p = notes; (p = strstr(p, "started again")); p++)
		restarts++;
	assert_int_equal(restarts,
			 SERVICE_RESTARTS + 1); /* the last one is announced and refused */
	assert_true(result.kept);
	finish();
}

static void the_agents_box_ends(void **state)
{
	(void)state;
	prepare("exec sleep 100");
	f.agent = "echo ready; sleep 0.2";
	assert_int_equal(run(), -1);
	assert_non_null(strstr(err.text, "ended under the session"));
	assert_non_null(strstr(buf_z(&f.calls), DOWN));
	finish();
}

/* Fail closed: without its record the bottle does not go on. */
static void events_that_cannot_be_written(void **state)
{
	struct rlimit old, small = { 3000, 3000 };

	(void)state;
	prepare("exec sleep 100");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	f.sidecar =
		"read b; echo '{\"event\":\"ready\"}'; sleep 0.1; while :; do "
		"echo '{\"event\":\"request\",\"path\":\"/0123456789012345678901234567890\"}'; done";
	assert_int_equal(run(), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(strstr(err.text, "cannot be kept"));
	assert_non_null(strstr(buf_z(&f.calls), DOWN));
	finish();
}

static void a_line_without_end(void **state)
{
	(void)state;
	prepare("exec sleep 100");
	f.sidecar = "read b; echo '{\"event\":\"ready\"}'; head -c 100000 /dev/zero; cat";
	assert_int_equal(run(), -1);
	assert_non_null(strstr(err.text, "cannot be kept"));
	finish();
}

static void an_identity_that_is_taken(void **state)
{
	auto_free char *dir = NULL;

	(void)state;
	prepare("true");
	dir = mem_printf("%s/state/a-00000", w.home.dir);
	{
		auto_free char *make = mem_printf("mkdir -p %s", dir);
		const char *const argv[] = { "sh", "-c", make, NULL };
		const struct proc_spec spec = { .argv = argv };
		int status;

		assert_int_equal(proc_run(&spec, STR_NONE, NULL, NULL, 10000, &status, &err), 0);
	}
	assert_int_equal(run(), -1);
	assert_int_equal(err.code, E_EXISTS);
	assert_string_equal(buf_z(&f.calls), "");
	assert_true(world_has(&w, "home/state/a-00000")); /* it is not ours to remove */
	finish();
}

static void the_document(void **state)
{
	auto_json struct json *j = NULL;

	(void)state;
	prepare("true");
	assert_int_equal(run(), 0);
	j = json_parse(buf_str(&f.inside), "document", &err);
	if (!j)
		fail_msg("%s", err.text);
	assert_true(str_eqz(json_str(json_get(j, "workdir")), "/work"));
	assert_true(str_eqz(json_str(json_get(json_get(j, "git_user"), "name")), "A \"B\""));
	assert_true(str_eqz(json_str(json_get(json_at(json_get(j, "hosts"), 0), "address")),
			    "192.0.2.1"));
	assert_int_equal(json_int(json_get(json_at(json_get(j, "hosts"), 0), "port")), 9099);
	/* The certificate is in it and its key is not. */
	assert_true(str_find(buf_str(&f.inside), STR("BEGIN CERTIFICATE"), 0) >= 0);
	assert_true(str_find(buf_str(&f.inside), STR("PRIVATE KEY"), 0) < 0);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_run),
		cmocka_unit_test(exit_code_passes_and_state_stays),
		cmocka_unit_test(each_step_may_fail),
		cmocka_unit_test(each_step_may_be_interrupted),
		cmocka_unit_test(teardown_goes_on_after_errors),
		cmocka_unit_test(the_probe_refuses),
		cmocka_unit_test(a_sidecar_that_is_never_ready),
		cmocka_unit_test(a_dead_sidecar_comes_back),
		cmocka_unit_test(a_sidecar_that_keeps_dying),
		cmocka_unit_test(the_agents_box_ends),
		cmocka_unit_test(events_that_cannot_be_written),
		cmocka_unit_test(a_line_without_end),
		cmocka_unit_test(an_identity_that_is_taken),
		cmocka_unit_test(the_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
