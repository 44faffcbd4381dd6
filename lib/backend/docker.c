/*
 * The docker backend: the plan's boxes as containers of an engine.
 */
#include "backend/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/worktree.h"
#include "base/embed.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/version.h"
#include "docker/engine.h"
#include "docker/tar.h"
#include "manifest/notes.h"
#include "net/digest.h"
#include "sys/fd.h"

extern char **environ;

/* On a sidecar image: SHA-256 of the program in it. A version has many builds. */
#define LABEL_PROGRAM "bottle.program"
#define SIDECAR_PROGRAM "/bottle"
#define SIDECAR_USER "65532:65532"

struct docker_backend {
	struct backend b;
	struct engine engine;
	const char **envp;
	struct buf program; /* this binary */
	char program_id[DIGEST_HEX_SIZE];
	char *sidecar_image; /* id; NULL: to be made */
	bool have_image;     /* the agent's */
	bool gvisor;
	bool no_ipv6;          /* the kernel has IPv6 to be switched off */
	struct str_list names; /* of all containers and networks */
};

static struct docker_backend *self(struct backend *b)
{
	return container_of(b, struct docker_backend, b);
}

static struct engine_labels labels_of(const struct plan *p, enum plan_role role)
{
	return (struct engine_labels){ .v = { { PLAN_LABEL_IDENTITY, p->identity },
					      { PLAN_LABEL_ROLE, plan_role_name(role) },
					      { PLAN_LABEL_VERSION, bottle_version() } },
				       .n = 3 };
}

/* Several calls, made one by one and run at the same time. */
struct batch {
	struct docker_call calls[BATCH_MAX];
	size_t n;
};

static struct docker_call *batch_next(struct batch *b)
{
	if (b->n == BATCH_MAX)
		abort();
	return &b->calls[b->n++];
}

/* `cancel` NULL: they run to their end. */
static int batch_run(struct docker_backend *d, struct batch *b, const bool *cancel, struct err *err)
{
	struct docker_call *calls[BATCH_MAX];

	for (size_t i = 0; i < b->n; i++)
		calls[i] = &b->calls[i];
	return b->n == 0 ? 0 : docker_run(d->b.loop, calls, b->n, cancel, err);
}

static void batch_fini(struct batch *b)
{
	while (b->n > 0)
		docker_call_fini(&b->calls[--b->n]);
}
#define auto_batch __attribute__((cleanup(batch_fini))) struct batch

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
	struct docker_backend *d = self(b);
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

/* ---- prepare ---- */

static int import_sidecar_image(struct docker_backend *d, const struct plan *p, struct buf *tar,
				struct batch *batch, struct err *err)
{
	const struct engine_label label = { LABEL_PROGRAM, d->program_id };
	const struct tar_owner root = { 0, 0 };

	if (tar_add_file(tar, &SIDECAR_PROGRAM[1], 0755, root, buf_str(&d->program), err) < 0 ||
	    tar_end(tar, err) < 0)
		return -1;
	engine_import(batch_next(batch), &d->engine, p->sidecar_image, &label, buf_str(tar));
	return 0;
}

static int prepare_image(struct docker_backend *d, const struct plan *p, struct batch *batch,
			 struct err *err)
{
	const struct embed_file *f;
	auto_free char *dir = NULL, *name = NULL;

	switch (p->image_kind) {
	case PLAN_IMAGE_NAMED:
		if (!d->have_image)
			engine_pull(batch_next(batch), &d->engine, p->image);
		return 0;
	case PLAN_IMAGE_DOCKERFILE:
		/* Always: the engine's cache knows whether the file or what it copies has changed. */
		if (path_split(p->image_source, &dir, &name, err) < 0)
			return -1;
		engine_build_file(batch_next(batch), &d->engine, p->image, p->image_source, dir);
		return 0;
	case PLAN_IMAGE_EMBEDDED:
		if (d->have_image)
			return 0;
		f = embed_find(p->image_source); /* docker_open has seen it */
		engine_build_text(batch_next(batch), &d->engine, p->image,
				  str_mem(f->data, f->size));
		return 0;
	case PLAN_IMAGE_ROOTFS:
	case PLAN_IMAGE_HOST:
		break;
	}
	return err_set(err, E_BAD, "the docker backend needs an image");
}

static int docker_prepare(struct backend *b, const struct plan *p, struct err *err)
{
	struct docker_backend *d = self(b);
	auto_batch batch = { .n = 0 };
	auto_buf tar = BUF_INIT(PROGRAM_MAX + KIB(64));
	const struct docker_call *import = NULL;

	for (size_t i = 0; i < p->network_count; i++) {
		const struct plan_network *n = &p->networks[i];
		const struct engine_labels l = labels_of(p, n->role);

		engine_network_create(batch_next(&batch), &d->engine, n->name, n->internal, &l);
	}
	if (!d->sidecar_image) {
		import = &batch.calls[batch.n];
		if (import_sidecar_image(d, p, &tar, &batch, err) < 0)
			return -1;
	}
	if (prepare_image(d, p, &batch, err) < 0 || batch_run(d, &batch, d->b.cancel, err) < 0)
		return -1;
	if (import)
		d->sidecar_image = str_dupz(docker_out(import));
	return 0;
}

/* ---- create ---- */

/* The network a box is created in; the others are connected afterwards (old engines take one). */
static enum plan_role first_network(const struct plan_box *box)
{
	for (enum plan_role r = ROLE_NETWORK_NET; r <= ROLE_NETWORK_EGRESS; r++)
		if (box->networks & (1u << r))
			return r;
	return ROLE_NETWORK_NET;
}

static void create_agent(struct docker_backend *d, const struct plan *p, const struct plan_box *box,
			 struct docker_call *c)
{
	/*
	 * Process 1 is root, so that provisioning may be: an engine gives `exec --user 0` no more
	 * than the container's own user has. It gives them up itself; the session runs as the
	 * agent's user, and an ordinary user's exec keeps no capability.
	 */
	static const char *const caps[] = { "CHOWN", "DAC_OVERRIDE", "FOWNER", NULL };
	static const char *const hold[] = { BACKEND_AGENT_BINARY, "agent-init", "hold", NULL };
	const struct engine_labels l = labels_of(p, box->role);

	engine_create(c, &d->engine,
		      &(struct engine_container){
			      .name = box->name,
			      .image = p->image,
			      .user = "0:0",
			      .labels = &l,
			      .network = plan_network(p, ROLE_NETWORK_NET)->name,
			      /* The engine's resolver would forward names it does not know to the
			       * world: give it a forwarder where nobody answers. */
			      .dns = "127.0.0.1",
			      .tmpfs = "/run/bottle:mode=0755",
			      .runtime = d->gvisor ? "runsc" : NULL,
			      .bind_from = p->cwd_mode == PLAN_CWD_BIND ? p->cwd : NULL,
			      .bind_to = p->workdir,
			      .caps = caps,
			      .command = hold,
			      .pids = box->pids,
			      .memory_mib = box->memory_mib,
			      .no_ipv6 = d->no_ipv6,
		      });
}

static void create_sidecar(struct docker_backend *d, const struct plan *p,
			   const struct plan_box *box, struct docker_call *c)
{
	const char *const command[] = { SIDECAR_PROGRAM, plan_role_name(box->role), "--bundle", "-",
					NULL };
	const struct engine_labels l = labels_of(p, box->role);

	engine_create(c, &d->engine,
		      &(struct engine_container){
			      .name = box->name,
			      .image = d->sidecar_image,
			      .user = SIDECAR_USER,
			      .labels = &l,
			      .network = plan_network(p, first_network(box))->name,
			      .alias = box->alias,
			      .tmpfs = "/run/bottle:uid=65532,gid=65532,mode=0700",
			      .command = command,
			      .pids = box->pids,
			      .memory_mib = box->memory_mib,
			      .read_only = true,
			      .no_ipv6 = d->no_ipv6,
		      });
}

/* Our program for the agent's box, and the directory it lies in. */
static int pack_program(struct docker_backend *d, struct buf *tar, struct err *err)
{
	const struct tar_owner root = { 0, 0 };

	if (tar_add_dir(tar, ".bottle", 0755, root, err) < 0 ||
	    tar_add_file(tar, &BACKEND_AGENT_BINARY[1], 0755, root, buf_str(&d->program), err) < 0)
		return -1;
	return tar_end(tar, err);
}

static void connect_networks(struct docker_backend *d, const struct plan *p, struct batch *batch)
{
	for (size_t i = 0; i < p->box_count; i++) {
		const struct plan_box *box = &p->boxes[i];

		for (enum plan_role r = first_network(box) + 1; r <= ROLE_NETWORK_EGRESS; r++)
			if (box->networks & (1u << r))
				engine_network_connect(batch_next(batch), &d->engine,
						       plan_network(p, r)->name, box->name,
						       box->alias);
	}
}

static void copy_trees(struct docker_backend *d, const struct plan *p, struct worktree *trees,
		       struct batch *batch)
{
	const char *agent = plan_box(p, ROLE_AGENT)->name;

	for (size_t i = 0; i < trees->n; i++) {
		struct docker_call *c = batch_next(batch);

		engine_copy(c, &d->engine, agent, "/");
		c->job.feed = tar_tree_read;
		c->job.feed_arg = trees->v[i];
	}
}

static int docker_create(struct backend *b, const struct plan *p, struct err *err)
{
	struct docker_backend *d = self(b);
	auto_batch boxes = { .n = 0 }, files = { .n = 0 };
	auto_worktree trees = { .n = 0 };
	auto_buf tar = BUF_INIT(PROGRAM_MAX + KIB(64));
	struct docker_call *copy;

	if (pack_program(d, &tar, err) < 0 || worktree_open(p, &trees, err) < 0)
		return -1;
	for (size_t i = 0; i < p->box_count; i++) {
		const struct plan_box *box = &p->boxes[i];

		(box->role == ROLE_AGENT ? create_agent : create_sidecar)(d, p, box,
									  batch_next(&boxes));
	}
	if (batch_run(d, &boxes, d->b.cancel, err) < 0)
		return -1;
	connect_networks(d, p, &files);
	copy = batch_next(&files);
	engine_copy(copy, &d->engine, plan_box(p, ROLE_AGENT)->name, "/");
	copy->job.input = buf_str(&tar);
	copy_trees(d, p, &trees, &files);
	return batch_run(d, &files, d->b.cancel, err);
}

/* ---- running ---- */

static int docker_start(struct backend *b, const struct plan_box *box, struct proc *ret,
			struct err *err)
{
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);
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
	struct docker_backend *d = self(b);

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
