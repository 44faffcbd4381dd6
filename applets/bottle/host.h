/*
 * host: what the launcher's commands start from: the home, the loop, signals, the backend.
 */
#ifndef BOTTLE_APPLETS_HOST_H
#define BOTTLE_APPLETS_HOST_H

#include <stdbool.h>

#include "backend/backend.h"
#include "base/err.h"
#include "manifest/home.h"
#include "sys/loop.h"

struct host {
	struct home home;
	struct loop *loop;
	struct backend *backend;
	bool stop;       /* a signal asked to stop; the backend's and the launch's `cancel` */
	bool in_session; /* the session has the terminal: Ctrl-C is a key of its */
	int signo;       /* the first signal */
};

/*
 * Finds the home, prints warnings and recipes that belong to it. From here on SIGINT, SIGTERM and
 * SIGHUP set `stop`. `h` must not move. host_fini always.
 */
int host_init(struct host *h, struct err *err) __attribute__((warn_unused_result));
/* The backend; `hide`: variables that its programs must not get. */
void host_use_docker(struct host *h, const struct str_list *hide);
void host_fini(struct host *h);
#define auto_host __attribute__((cleanup(host_fini))) struct host

/* "docker" or "native"; E_USAGE with that list. NULL is docker. */
int host_backend(const char *name, enum backend_kind *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
