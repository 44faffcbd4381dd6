/*
 * launch: a plan made real, its session run, and everything taken down again (spec 1.3).
 *
 * The only part with side effects. Steps, each with its undo pushed before it:
 *
 *	state directory → networks, images → boxes → sidecars and the agent's box running
 *	→ provisioned and probed → session
 *
 * However it ends (the command ends, a step fails, a signal, a dead sidecar that does not come
 * back, an event that cannot be written), the undos run in reverse order, all of them.
 */
#ifndef BOTTLE_BACKEND_LAUNCH_H
#define BOTTLE_BACKEND_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/err.h"
#include "manifest/home.h"
#include "manifest/plan.h"
#include "manifest/secrets.h"
#include "sys/loop.h"

/* What a person is shown meanwhile. */
struct progress {
	void (*begin)(void *user, const char *what);
	/* `why` is NULL when the step succeeded. */
	void (*done)(void *user, const char *what, int64_t ms, const struct err *why);
	/* Something that happened beside the steps: a sidecar was restarted. */
	void (*note)(void *user, const char *text);
	void *user;
};

struct launch_spec {
	struct loop *loop;
	struct backend *backend; /* open */
	const struct plan *plan;
	const struct secrets *secrets;
	const struct host_env *env;
	const char *home; /* $BOTTLE_HOME */
	bool tty;         /* the session gets our terminal */
	const bool *cancel;
	bool *in_session; /* true while the session has the terminal: its keys are not for us */
	const struct progress *progress;
};

struct launch_result {
	bool ran;      /* a session was started */
	int exit_code; /* of the agent's command (128 + signal), when it ended by itself */
	bool kept;     /* the state directory is still there */
};

/*
 * 0 when the session ran to its end and everything was taken down. -1 otherwise, E_CANCELLED when
 * `cancel` asked for it; `ret` is valid then too. tls_global_init comes first.
 */
int launch_run(const struct launch_spec *spec, struct launch_result *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
