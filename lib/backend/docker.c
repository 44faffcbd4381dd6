/*
 * The docker backend: the plan's boxes as containers of an engine.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/docker_impl.h"
#include "base/embed.h"
#include "base/json.h"
#include "manifest/notes.h"
#include "net/digest.h"
#include "sys/fd.h"

extern char **environ;

/* One call, judged; `cancel` NULL: it runs to its end. */
static int run_one(struct docker_backend *d, struct docker_call *c, const bool *cancel,
		   struct err *err)
{
	return docker_run(d->b.loop, &c, 1, cancel, err);
}

static void add_lines(struct str_list *l, struct str text)
{
	struct str line;

	while (str_split(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n > 0)
			strs_take(l, str_dupz(line));
	}
}

/* ---- open ---- */

static int read_program(struct docker_backend *d, struct err *err)
{
	if (d->program.len > 0)
		return 0;
	if (file_read("/proc/self/exe", &d->program, err) < 0)
		return -1;
	return digest_sha256_hex(buf_str(&d->program), d->program_id, err);
}

static int read_info(struct docker_backend *d, struct str text, struct err *err)
{
	auto_json struct json *j = json_parse(text, "engine", NULL);
	const struct json *errors = json_get(j, "ServerErrors");

	/* podman has no such members; its `info` fails when it does not work. */
	if (json_len(errors) > 0)
		return docker_explain(d->engine.program, "ask the engine",
				      json_str(json_at(errors, 0)), err);
	d->gvisor = json_get(json_get(j, "Runtimes"), "runsc") != NULL;
	return 0;
}

/* "sha256:… {labels}": is it made of this very program? */
static void read_sidecar_image(struct docker_backend *d, const struct docker_call *c)
{
	struct str rest = docker_out(c), id;
	auto_json struct json *labels = NULL;

	if (!job_ok(&c->job) || !str_split(&rest, ' ', &id))
		return;
	labels = json_parse(rest, "labels", NULL);
	if (!str_eqz(json_str(json_get(labels, LABEL_PROGRAM)), d->program_id))
		return;
	free(d->sidecar_image);
	d->sidecar_image = str_dupz(id);
}

static int docker_open(struct backend *b, const struct plan *p, struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_batch batch = { .n = 0 };
	struct docker_call *info = batch_next(&batch), *containers = batch_next(&batch);
	struct docker_call *networks = batch_next(&batch), *sidecar = batch_next(&batch);
	struct docker_call *image = batch_next(&batch);
	struct docker_call *const must[] = { info, containers, networks };

	engine_info(info, &d->engine);
	engine_containers(containers, &d->engine, NULL, "{{.Names}}");
	engine_networks(networks, &d->engine, NULL, "{{.Name}}");
	engine_image(sidecar, &d->engine, p->sidecar_image);
	engine_image(image, &d->engine, p->image);
	if (p->image_kind == PLAN_IMAGE_EMBEDDED && !embed_find(p->image_source))
		return err_set(err, E_NOTFOUND,
			       "%s is not part of this build; name an image that has the agent's "
			       "program in agent.image, or a file in agent.dockerfile",
			       p->image_source);
	if (read_program(d, err) < 0)
		return -1;
	/* That an image is missing is not a failure: each is judged by itself. */
	if (batch_run(d, &batch, d->b.cancel, err) < 0 && err->code == E_CANCELLED)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(must); i++)
		if (docker_result(must[i], err) < 0)
			return -1;
	err_clear(err);
	if (read_info(d, docker_out(info), err) < 0)
		return -1;
	strs_free(&d->names);
	add_lines(&d->names, docker_out(containers));
	add_lines(&d->names, docker_out(networks));
	read_sidecar_image(d, sidecar);
	d->have_image = job_ok(&image->job);
	return 0;
}

static bool docker_has_name(const struct backend *b, const char *name)
{
	return strs_has(&container_of_const(b, struct docker_backend, b)->names, name);
}

static const char *docker_missing(const struct backend *b, const struct plan *p)
{
	const struct docker_backend *d = container_of_const(b, struct docker_backend, b);

	if (d->have_image)
		return NULL;
	return p->image_kind == PLAN_IMAGE_NAMED ? "pull the image" : "build the image";
}

/* ---- running ---- */

static int docker_start(struct backend *b, const struct plan_box *box, struct proc *ret,
			struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_call c;
	struct proc_spec spec = { .in = PROC_PIPE,
				  .out = PROC_PIPE,
				  .err = PROC_PIPE,
				  .envp = d->envp,
				  .flags = PROC_NEW_GROUP };

	engine_start_attached(&c, &d->engine, box->name);
	spec.argv = c.job.argv;
	return proc_spawn(&spec, ret, err) < 0 ? err_wrap(err, "%s", c.what) : 0;
}

static int docker_address(struct backend *b, const struct plan *p, const struct plan_box *box,
			  struct buf *ret, struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_call c;

	engine_address(&c, &d->engine, box->name, plan_network(p, ROLE_NETWORK_NET)->name);
	if (run_one(d, &c, d->b.cancel, err) < 0)
		return -1;
	return buf_add(ret, docker_out(&c), err);
}

#define INSIDE_MAX 8

/* BACKEND_AGENT_BINARY before the words of argv. */
static void inside(const char *const *argv, const char *ret[INSIDE_MAX])
{
	size_t n = 0;

	ret[n++] = BACKEND_AGENT_BINARY;
	while (*argv && n < INSIDE_MAX - 1)
		ret[n++] = *argv++;
	ret[n] = NULL;
}

static int docker_run_inside(struct backend *b, const struct plan *p, const char *const *argv,
			     struct str input, struct buf *answer, struct err *err)
{
	struct docker_backend *d = docker_self(b);
	const char *command[INSIDE_MAX];
	auto_call c;

	inside(argv, command);
	engine_exec(&c, &d->engine, plan_box(p, ROLE_AGENT)->name, "0", command, input);
	if (run_one(d, &c, d->b.cancel, err) < 0)
		return -1;
	return buf_add(answer, docker_out(&c), err);
}

static int docker_session(struct backend *b, const struct plan *p, bool tty, struct proc *ret,
			  struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_free const char **command = mem_array(p->command.n + 5, sizeof(*command));
	struct proc_spec spec = { .envp = d->envp };
	auto_call c;

	command[0] = BACKEND_AGENT_BINARY;
	command[1] = "agent-init";
	command[2] = "session";
	command[3] = "--";
	for (size_t i = 0; i < p->command.n; i++)
		command[4 + i] = p->command.v[i];
	engine_session(&c, &d->engine, plan_box(p, ROLE_AGENT)->name, p->user, p->workdir, tty,
		       command);
	spec.argv = c.job.argv;
	/* A terminal's keys go to the agent; without one, Ctrl-C is for us to act on. */
	spec.flags = tty ? 0 : PROC_NEW_GROUP;
	return proc_spawn(&spec, ret, err) < 0 ? err_wrap(err, "%s", c.what) : 0;
}

/* ---- removing ---- */

static char *identity_label(const char *identity)
{
	return mem_printf(PLAN_LABEL_IDENTITY "=%s", identity);
}

static int docker_remove_boxes(struct backend *b, const char *identity, struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_free char *label = identity_label(identity);
	struct str_list ids = { NULL, 0 };
	auto_call list, rm;
	int rc;

	rm = (struct docker_call){ .argc = 0 };
	engine_containers(&list, &d->engine, label, "{{.ID}}");
	if (run_one(d, &list, NULL, err) < 0)
		return -1;
	add_lines(&ids, docker_out(&list));
	if (ids.n == 0)
		return 0;
	engine_remove(&rm, &d->engine, (const char *const *)ids.v, ids.n);
	rc = run_one(d, &rm, NULL, err);
	strs_free(&ids);
	return rc < 0 && err->code == E_NOTFOUND ? 0 : rc;
}

/* All of them are tried; the first failure that is not "it is gone" is told. */
static int remove_each(struct docker_backend *d, const struct str_list *ids, struct err *err)
{
	auto_batch batch = { .n = 0 };
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < ids->n && i < BATCH_MAX; i++)
		engine_network_remove(batch_next(&batch), &d->engine, ids->v[i]);
	(void)batch_run(d, &batch, NULL, &ignored);
	for (size_t i = 0; i < batch.n; i++) {
		struct err e = ERR_INIT;

		if (docker_result(&batch.calls[i], &e) == 0 || e.code == E_NOTFOUND)
			continue;
		if (err)
			*err = e;
		return -1;
	}
	return 0;
}

static int docker_remove_networks(struct backend *b, const char *identity, struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_free char *label = identity_label(identity);
	struct str_list ids = { NULL, 0 };
	auto_call list;
	int rc;

	engine_networks(&list, &d->engine, label, "{{.ID}}");
	if (run_one(d, &list, NULL, err) < 0)
		return -1;
	add_lines(&ids, docker_out(&list));
	rc = remove_each(d, &ids, err);
	strs_free(&ids);
	return rc;
}

static int docker_identities(struct backend *b, struct str_list *ret, struct err *err)
{
	struct docker_backend *d = docker_self(b);
	auto_batch batch = { .n = 0 };
	static const char format[] = "{{.Label \"" PLAN_LABEL_IDENTITY "\"}}";

	engine_containers(batch_next(&batch), &d->engine, PLAN_LABEL_IDENTITY, format);
	engine_networks(batch_next(&batch), &d->engine, PLAN_LABEL_IDENTITY, format);
	if (batch_run(d, &batch, d->b.cancel, err) < 0)
		return -1;
	for (size_t i = 0; i < batch.n; i++) {
		struct str rest = docker_out(&batch.calls[i]), line;

		while (str_split(&rest, '\n', &line)) {
			auto_free char *id = str_dupz(str_trim(line));

			if (*id && !strs_has(ret, id))
				strs_add(ret, id);
		}
	}
	return 0;
}

static int docker_explains(const struct backend *b, const char *what, struct str said,
			   struct err *err)
{
	return docker_explain(container_of_const(b, struct docker_backend, b)->engine.program, what,
			      said, err);
}

static void docker_free(struct backend *b)
{
	struct docker_backend *d = docker_self(b);

	buf_fini(&d->program);
	strs_free(&d->names);
	free(d->sidecar_image);
	free(d->envp);
	free(d);
}

static const struct backend_ops docker_ops = {
	.name = "docker",
	.open = docker_open,
	.has_name = docker_has_name,
	.missing = docker_missing,
	.prepare = docker_prepare,
	.create = docker_create,
	.start = docker_start,
	.address = docker_address,
	.run_inside = docker_run_inside,
	.session = docker_session,
	.remove_boxes = docker_remove_boxes,
	.remove_networks = docker_remove_networks,
	.identities = docker_identities,
	.explain = docker_explains,
	.free = docker_free,
};

/* Our environment without the variables that hold secrets. */
static const char **client_environment(const struct str_list *hide)
{
	const char **envp;
	size_t n = 0;

	while (environ[n])
		n++;
	envp = mem_array(n + 1, sizeof(*envp));
	n = 0;
	for (char **e = environ; *e; e++) {
		const char *eq = strchr(*e, '=');
		auto_free char *name = mem_strndup(*e, eq ? (size_t)(eq - *e) : strlen(*e));

		if (!hide || !strs_has(hide, name))
			envp[n++] = *e;
	}
	return envp;
}

struct backend *backend_docker_new(struct loop *l, const bool *cancel, const struct str_list *hide)
{
	struct docker_backend *d = mem_new(struct docker_backend);
	const char *program = getenv("BOTTLE_ENGINE");

	d->b = (struct backend){ .ops = &docker_ops, .loop = l, .cancel = cancel };
	d->envp = client_environment(hide);
	d->engine = (struct engine){ .program = program && *program ? program : "docker",
				     .envp = d->envp };
	buf_init(&d->program, PROGRAM_MAX);
	d->no_ipv6 = access("/proc/sys/net/ipv6", F_OK) == 0;
	return &d->b;
}
