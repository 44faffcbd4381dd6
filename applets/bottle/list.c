/*
 * bottle list: what runs, and what ended and left its state.
 */
#include "applet.h"
#include "backend/state.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "bottle/show.h"
#include "manifest/home.h"

static bool as_json;

static const struct opt options[] = {
	{ .name = "json", .type = OPT_FLAG, .out = &as_json, .help = "one JSON array" },
	{ .name = NULL },
};

static const char *state_word(const struct state_entry *e)
{
	return e->live ? "running" : "ended";
}

static int write_json(const struct state_list *l, struct buf *out, struct err *err)
{
	auto_json struct json *all = json_new_array();

	for (size_t i = 0; i < l->n; i++) {
		const struct state_entry *e = &l->v[i];
		struct json *j = json_new_object();

		json_set_strz(j, "identity", e->identity);
		json_set_strz(j, "agent", e->agent);
		json_set_strz(j, "backend", e->backend);
		json_set_strz(j, "cwd", e->cwd);
		json_set(j, "started_at", json_new_int(e->started_at));
		json_set_strz(j, "state", state_word(e));
		json_append(all, j);
	}
	if (json_write(all, true, out, err) < 0)
		return -1;
	return buf_addc(out, '\n', err);
}

static int write_table(const struct state_list *l, struct buf *out, struct err *err)
{
	if (l->n > 0 && buf_addf(out, err, "%-24s %-16s %-8s %-8s %s\n", "IDENTITY", "AGENT",
				 "BACKEND", "AGE", "STATE") < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		const struct state_entry *e = &l->v[i];
		char age[32];

		show_age(e->started_at, age, sizeof(age));
		if (buf_addf(out, err, "%-24s %-16s %-8s %-8s %s\n", e->identity,
			     e->agent ? e->agent : "?", e->backend ? e->backend : "?", age,
			     state_word(e)) < 0)
			return -1;
	}
	return 0;
}

static int run(const struct opts_result *in, struct err *err)
{
	auto_buf out = BUF_INIT(HELP_TEXT_MAX);
	auto_home home = { NULL, NULL };
	struct state_list l = { NULL, 0 };
	int rc;

	(void)in;
	if (home_find(&host_env_process, &home, NULL, err) < 0 || state_list(home.dir, &l, err) < 0)
		return -1;
	rc = as_json ? write_json(&l, &out, err) : write_table(&l, &out, err);
	if (rc == 0)
		rc = applet_print(buf_str(&out), err);
	if (rc == 0 && l.n == 0 && !as_json)
		show_hint("nothing runs; start something: bottle start AGENT");
	state_list_free(&l);
	return rc;
}

const struct command command_bottle_list = {
	.spec = { .about = "List bottles that run, and those that ended and left their state.",
		  .opts = options,
		  .example = "bottle list --json" },
	.run = run,
};
