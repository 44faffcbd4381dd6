#include "backend/provision.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

static int add_head(const struct plan *p, const struct provision_host *hosts, size_t n,
		    struct buf *out, struct err *err)
{
	auto_json struct json *j = json_new_object();
	struct json *list = json_new_array();
	const struct git_user *g = &p->bottle->git_user;

	json_set(j, "schema", json_new_int(1));
	json_set_strz(j, "user", p->user);
	json_set_strz(j, "home", p->home);
	json_set_strz(j, "workdir", p->workdir);
	/* The engine unpacked the copy as root; a bound directory is the operator's own. */
	json_set(j, "own", json_new_bool(p->cwd_mode != PLAN_CWD_BIND));
	json_set(j, "skills", json_new_bool(p->agent->skills.n > 0));
	if (g->name) {
		struct json *who = json_new_object();

		json_set_strz(who, "name", g->name);
		json_set_strz(who, "email", g->email);
		json_set(j, "git_user", who);
	}
	for (size_t i = 0; i < n; i++) {
		struct json *h = json_new_object();

		json_set_strz(h, "name", hosts[i].name);
		json_set_strz(h, "address", hosts[i].address);
		json_set(h, "port", json_new_int(hosts[i].port));
		json_append(list, h);
	}
	json_set(j, "hosts", list);
	return json_write(j, false, out, err);
}

int provision_write(const struct plan *p, const struct provision_host *hosts, size_t n,
		    struct str bundle, struct buf *out, struct err *err)
{
	while (str_ends(bundle, STR("\n")))
		bundle.n--;
	if (add_head(p, hosts, n, out, err) < 0)
		return -1;
	/* Its text goes in as it is: a tree would leave copies of the secrets in it. */
	buf_truncate(out, out->len - 1);
	if (buf_addz(out, ",\"bundle\":", err) < 0 || buf_add(out, bundle, err) < 0)
		return -1;
	return buf_addz(out, "}\n", err);
}

int provision_answer(struct str answer, struct err *err)
{
	auto_json struct json *j = json_parse(answer, "answer", NULL);
	struct str why = json_str(json_get(j, "error"));

	if (json_bool(json_get(j, "ok")))
		return 0;
	if (why.n == 0)
		return err_set(err, E_CHILD, "the agent's box gave no answer that can be read");
	return err_set(err, E_CHILD, "%.*s", STR_ARG(why));
}
