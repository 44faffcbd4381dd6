/*
 * extends: a bottle and its parents as one (spec 1.4).
 *
 * Parents are folded left to right, the child last, each parent with its own parents first.
 *   scalars                      the last one given wins; image and dockerfile count as one
 *   agent.command                as a scalar: the last list given wins
 *   env                          by name
 *   routes, git                  concatenated; same host:port, same Name: the later one takes
 *                                the earlier one's place
 *   other lists (allowlist, …)   concatenated, equal entries once
 * A parent reached twice (a diamond) is folded each time; that changes nothing but order.
 */
#ifndef BOTTLE_MANIFEST_EXTENDS_H
#define BOTTLE_MANIFEST_EXTENDS_H

#include "base/err.h"
#include "manifest/bottle.h"

/*
 * Loads bottle NAME with everything it extends, then checks what needs the whole: one
 * claude_code_oauth route at most, one address per ExtraHosts name, unique mounts. A cycle is an
 * error that prints it (`a -> b -> a`), a missing parent one that names who asked, more than
 * MANIFEST_EXTENDS_DEPTH levels is E_LIMIT.
 */
struct bottle *extends_resolve(const struct home *h, const char *name, struct notes *notes,
			       struct err *err) __attribute__((warn_unused_result));

/* Folds `from` over `into`; takes what it needs out of `from`, which stays valid to free. */
void extends_fold(struct bottle *into, struct bottle *from);

/* The checks of extends_resolve alone, for a bottle that is already folded. */
int extends_check(const struct bottle *b, struct err *err) __attribute__((warn_unused_result));

#endif
