/*
 * engine: the operations of a container engine that are used, one function each.
 *
 * Each makes the call (docker.h); nothing runs yet. `e` and all strings are copied into it, `input`
 * and feeds are borrowed until it has run.
 */
#ifndef BOTTLE_DOCKER_ENGINE_H
#define BOTTLE_DOCKER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "docker/docker.h"

struct engine {
	const char *program;     /* "docker"; $BOTTLE_ENGINE */
	const char *const *envp; /* of its client; NULL: ours */
};

struct engine_label {
	const char *name, *value;
};
#define ENGINE_LABELS_MAX 4

struct engine_labels {
	struct engine_label v[ENGINE_LABELS_MAX];
	size_t n;
};

/* ---- looking ---- */

/* One JSON object: "ServerVersion", "Runtimes", "ServerErrors", … */
void engine_info(struct docker_call *c, const struct engine *e);
/* A line for each container (running or not) / network; label "name" or "name=value", or NULL. */
void engine_containers(struct docker_call *c, const struct engine *e, const char *label,
		       const char *format);
void engine_networks(struct docker_call *c, const struct engine *e, const char *label,
		     const char *format);
/* "ID LABELS": labels as a JSON object, or null. */
void engine_image(struct docker_call *c, const struct engine *e, const char *image);
/* Address of the container on the network, one line. */
void engine_address(struct docker_call *c, const struct engine *e, const char *container,
		    const char *network);

/* ---- images ---- */

void engine_pull(struct docker_call *c, const struct engine *e, const char *image);
/* Dockerfile on stdin, no files beside it. */
void engine_build_text(struct docker_call *c, const struct engine *e, const char *tag,
		       struct str dockerfile);
/* A Dockerfile with the directory it lies in as its context. */
void engine_build_file(struct docker_call *c, const struct engine *e, const char *tag,
		       const char *dockerfile, const char *dir);
/* An image of the files in `tar`, needing no builder; the output is its id. */
void engine_import(struct docker_call *c, const struct engine *e, const char *tag,
		   const struct engine_label *label, struct str tar);

/* ---- networks ---- */

/*
 * internal: no way out, and the bridge without an address, since through that a container reaches
 * whatever the host serves on 0.0.0.0.
 */
void engine_network_create(struct docker_call *c, const struct engine *e, const char *name,
			   bool internal, const struct engine_labels *labels);
void engine_network_connect(struct docker_call *c, const struct engine *e, const char *network,
			    const char *container, const char *alias);
void engine_network_remove(struct docker_call *c, const struct engine *e, const char *network);

/* ---- containers ---- */

struct engine_container {
	const char *name, *image, *user;
	const struct engine_labels *labels;
	const char *network, *alias;     /* alias may be NULL */
	const char *dns;                 /* NULL: the engine's */
	const char *env;                 /* a variable of ours that it gets too; NULL: none */
	const char *tmpfs;               /* "/run/bottle:mode=0755" */
	const char *runtime;             /* NULL: the engine's default */
	const char *bind_from, *bind_to; /* a directory of the host; NULL: none */
	const char *const *caps;         /* all others are dropped; NULL-terminated */
	const char *const *command;      /* command[0] is the entry point */
	unsigned pids, memory_mib;
	bool read_only;
	bool no_ipv6; /* switches it off inside */
};
/* The output is its id. */
void engine_create(struct docker_call *c, const struct engine *e,
		   const struct engine_container *spec);
/* Unpacks the tar on its input at `path`, as root's. */
void engine_copy(struct docker_call *c, const struct engine *e, const char *container,
		 const char *path);
/* Runs a command in a container, its input from memory. */
void engine_exec(struct docker_call *c, const struct engine *e, const char *container,
		 const char *user, const char *const *command, struct str input);
/* Ends and removes, with their volumes. */
void engine_remove(struct docker_call *c, const struct engine *e, const char *const *containers,
		   size_t count);

/* ---- children that stay: argument vectors for proc_spawn ---- */

/* Starts a created container and stays attached to its standard streams. */
void engine_start_attached(struct docker_call *c, const struct engine *e, const char *container);
/* A session in a running container. */
void engine_session(struct docker_call *c, const struct engine *e, const char *container,
		    const char *user, const char *workdir, bool tty, const char *const *command);

#endif
