/* The plan's networks, images and boxes, made. */
#include <stdlib.h>

#include "backend/docker_impl.h"
#include "backend/worktree.h"
#include "base/embed.h"
#include "base/version.h"
#include "docker/tar.h"
#include "net/tls.h"
#include "sys/fd.h"

#define SIDECAR_PROGRAM "/bottle"
#define SIDECAR_USER "65532:65532"

struct docker_call *batch_next(struct batch *b)
{
	if (b->n == BATCH_MAX)
		abort();
	return &b->calls[b->n++];
}

int batch_run(struct docker_backend *d, struct batch *b, const bool *cancel, struct err *err)
{
	struct docker_call *calls[BATCH_MAX];

	for (size_t i = 0; i < b->n; i++)
		calls[i] = &b->calls[i];
	return b->n == 0 ? 0 : docker_run(d->b.loop, calls, b->n, cancel, err);
}

void batch_fini(struct batch *b)
{
	while (b->n > 0)
		docker_call_fini(&b->calls[--b->n]);
}

static struct engine_labels labels_of(const struct plan *p, enum plan_role role)
{
	return (struct engine_labels){ .v = { { PLAN_LABEL_IDENTITY, p->identity },
					      { PLAN_LABEL_ROLE, plan_role_name(role) },
					      { PLAN_LABEL_VERSION, bottle_version() } },
				       .n = 3 };
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

int docker_prepare(struct backend *b, const struct plan *p, struct err *err)
{
	struct docker_backend *d = docker_self(b);
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
			      .env = getenv(TLS_CRYPTO_VARIABLE) ? TLS_CRYPTO_VARIABLE : NULL,
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

int docker_create(struct backend *b, const struct plan *p, struct err *err)
{
	struct docker_backend *d = docker_self(b);
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
