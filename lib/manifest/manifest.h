/*
 * manifest: an agent and its whole bottle, as `bottle start` wants them.
 */
#ifndef BOTTLE_MANIFEST_MANIFEST_H
#define BOTTLE_MANIFEST_MANIFEST_H

#include "base/err.h"
#include "manifest/agent.h"
#include "manifest/bottle.h"
#include "manifest/home.h"
#include "manifest/notes.h"

struct manifest {
	struct agent *agent;
	struct bottle *bottle; /* parents folded in, checked */
};

/*
 * `spec` is NAME or ./NAME, `cwd` absolute. E_DENIED when a repository's agent asks for a bottle
 * that does not allow it. Warns about $CWD/.bottle/bottles, which is never read: bottles are
 * defined under the operator's home only (spec 1.2.2).
 */
int manifest_load(const struct home *h, const char *spec, const char *cwd, struct manifest *ret,
		  struct notes *notes, struct err *err) __attribute__((warn_unused_result));
void manifest_fini(struct manifest *m);
#define auto_manifest __attribute__((cleanup(manifest_fini))) struct manifest

#endif
