/*
 * docker_impl: the inside of the docker backend; for docker.c and docker_create.c only.
 */
#ifndef BOTTLE_BACKEND_DOCKER_IMPL_H
#define BOTTLE_BACKEND_DOCKER_IMPL_H

#include "backend/backend.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/buf.h"
#include "docker/engine.h"
#include "net/digest.h"

/* On a sidecar image: SHA-256 of the program in it. A version has many builds. */
#define LABEL_PROGRAM "bottle.program"

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

static inline struct docker_backend *docker_self(struct backend *b)
{
	return container_of(b, struct docker_backend, b);
}

/* Several calls, made one by one and run at the same time. */
struct batch {
	struct docker_call calls[BATCH_MAX];
	size_t n;
};

struct docker_call *batch_next(struct batch *b);
/* `cancel` NULL: they run to their end. */
int batch_run(struct docker_backend *d, struct batch *b, const bool *cancel, struct err *err);
void batch_fini(struct batch *b);
#define auto_batch __attribute__((cleanup(batch_fini))) struct batch

/* docker_create.c: as in backend.h. */
int docker_prepare(struct backend *b, const struct plan *p, struct err *err);
int docker_create(struct backend *b, const struct plan *p, struct err *err);

#endif
