#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"

static void put(const struct world *w, const char *path, const char *text)
{
	auto_free char *full = path_join(w->dir, path);
	struct err err = ERR_INIT;

	if (file_write_atomic(full, str_of(text), 0600, &err) < 0)
		fail_msg("%s", err.text);
}

static void make_dir(const struct world *w, const char *path)
{
	auto_free char *full = path_join(w->dir, path);

	assert_int_equal(dir_make(full, 0700, NULL), 0);
}

const char *world_no_env(void *user, const char *name)
{
	(void)user;
	(void)name;
	return NULL;
}

void world_init(struct world *w, const char *command)
{
	static const struct host_env env = { .get = world_no_env };
	const char *const argv[] = { "sh", "-c", command ? command : "true", NULL };
	const struct plan_input in = {
		.identity = "a-00000", .env = &env, .cwd = "/", .command = argv
	};

	*w = (struct world){ .plan = NULL };
	w->dir = dir_make_temp("bottle-test-", &w->err);
	assert_non_null(w->dir);
	w->home = (struct home){ .dir = path_join(w->dir, "home"), .user = mem_strdup(w->dir) };
	make_dir(w, "home/bottles");
	make_dir(w, "home/agents");
	put(w, "home/bottles/b.md",
	    "---\nagent: {provider: custom, image: i}\n"
	    "git_user: {name: 'A \"B\"', email: a@b}\n---\n");
	put(w, "home/agents/a.md", "---\nbottle: b\n---\n");
	if (manifest_load(&w->home, "a", "/", &w->manifest, NULL, &w->err) < 0)
		fail_msg("%s", w->err.text);
	w->plan = plan_make(&w->manifest, &in, &w->err);
	if (!w->plan)
		fail_msg("%s", w->err.text);
}

void world_fini(struct world *w)
{
	plan_free(w->plan);
	manifest_fini(&w->manifest);
	home_fini(&w->home);
	(void)dir_remove(w->dir, NULL);
	free(w->dir);
}

char *world_read(const struct world *w, const char *path)
{
	auto_free char *full = path_join(w->dir, path);
	auto_buf out = BUF_INIT(MIB(1));

	if (file_read(full, &out, NULL) < 0)
		return NULL;
	return buf_take(&out, NULL);
}

bool world_has(const struct world *w, const char *path)
{
	auto_free char *full = path_join(w->dir, path);

	return access(full, F_OK) == 0;
}

/* ---- the pretended backend ---- */

static int called(struct backend *b, const char *op, struct err *err)
{
	struct fake *f = container_of(b, struct fake, b);

	assert_int_equal(buf_addf(&f->calls, NULL, "%s%s", f->calls.len ? " " : "", op), 0);
	if (f->cancel_at && strcmp(op, f->cancel_at) == 0)
		*f->cancel = true;
	if (f->fail_at && strcmp(op, f->fail_at) == 0)
		return err_set(err, E_CHILD, "%s failed", op);
	return 0;
}

static bool fake_has_name(const struct backend *b, const char *name)
{
	const struct fake *f = container_of_const(b, struct fake, b);

	return f->taken && strstr(name, f->taken);
}

static const char *fake_missing(const struct backend *b, const struct plan *p)
{
	(void)b;
	(void)p;
	return NULL;
}

static int fake_prepare(struct backend *b, const struct plan *p, struct err *err)
{
	(void)p;
	return called(b, "prepare", err);
}

static int fake_create(struct backend *b, const struct plan *p, struct err *err)
{
	(void)p;
	return called(b, "create", err);
}

static int spawn(const char *script, bool pipes, struct proc *ret, struct err *err)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	enum proc_io io = pipes ? PROC_PIPE : PROC_INHERIT;
	const struct proc_spec spec = {
		.argv = argv, .in = io, .out = io, .err = io, .flags = PROC_NEW_GROUP
	};

	return proc_spawn(&spec, ret, err);
}

static int fake_start(struct backend *b, const struct plan_box *box, struct proc *ret,
		      struct err *err)
{
	struct fake *f = container_of(b, struct fake, b);
	bool agent = box->role == ROLE_AGENT;
	const char *script = agent ? f->agent : f->sidecar;

	if (called(b, agent ? "start-agent" : "start-sidecar", err) < 0)
		return -1;
	if (!script)
		script = agent ? "echo ready; cat >/dev/null"
			       : "read bundle; echo '{\"event\":\"ready\"}'; cat >/dev/null";
	return spawn(script, true, ret, err);
}

static int fake_address(struct backend *b, const struct plan *p, const struct plan_box *box,
			struct buf *ret, struct err *err)
{
	(void)p;
	(void)box;
	if (called(b, "address", err) < 0)
		return -1;
	return buf_addz(ret, "192.0.2.1", err);
}

static int fake_inside(struct backend *b, const struct plan *p, const char *const *argv,
		       struct str input, struct buf *answer, struct err *err)
{
	struct fake *f = container_of(b, struct fake, b);

	(void)p;
	if (called(b, argv[1], err) < 0)
		return -1;
	buf_clear(&f->inside);
	assert_int_equal(buf_add(&f->inside, input, NULL), 0);
	return buf_addz(answer, f->answer ? f->answer : "{\"ok\":true}", err);
}

static int fake_session(struct backend *b, const struct plan *p, bool tty, struct proc *ret,
			struct err *err)
{
	(void)tty;
	if (called(b, "session", err) < 0)
		return -1;
	return spawn(p->command.v[2], false, ret, err);
}

static int fake_remove_boxes(struct backend *b, const char *identity, struct err *err)
{
	assert_string_equal(identity, "a-00000");
	return called(b, "remove-boxes", err);
}

static int fake_remove_networks(struct backend *b, const char *identity, struct err *err)
{
	(void)identity;
	return called(b, "remove-networks", err);
}

static int fake_explain(const struct backend *b, const char *what, struct str said, struct err *err)
{
	(void)b;
	return err_set(err, E_CHILD, "%s: %.*s", what, STR_ARG(said));
}

static const struct backend_ops fake_ops = {
	.name = "fake",
	.has_name = fake_has_name,
	.missing = fake_missing,
	.prepare = fake_prepare,
	.create = fake_create,
	.start = fake_start,
	.address = fake_address,
	.run_inside = fake_inside,
	.session = fake_session,
	.remove_boxes = fake_remove_boxes,
	.remove_networks = fake_remove_networks,
	.explain = fake_explain,
};

void fake_init(struct fake *f, struct loop *l, bool *cancel)
{
	*f = (struct fake){ .b = { .ops = &fake_ops, .loop = l, .cancel = cancel },
			    .calls = BUF_INIT(KIB(64)),
			    .cancel = cancel,
			    .inside = BUF_INIT(MIB(1)) };
}

void fake_fini(struct fake *f)
{
	buf_fini(&f->calls);
	buf_fini(&f->inside);
}
