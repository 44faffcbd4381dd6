/*
 * secrets: the values that a plan only names, fetched at launch and wiped after it.
 *
 * Kept apart from the plan so that nothing that prints can reach them. They go into bundles
 * (bundle.h) and nowhere else: not argv, not an environment, not a file, not a message.
 */
#ifndef BOTTLE_MANIFEST_SECRETS_H
#define BOTTLE_MANIFEST_SECRETS_H

#include "base/buf.h"
#include "base/err.h"
#include "manifest/plan.h"

enum secret_kind {
	SECRET_TOKEN, /* credential of a route; `name` is its slot, `source` the host variable */
	SECRET_ENV,   /* of the agent's environment; `name` is the variable in the bottle */
};

struct secret {
	enum secret_kind kind;
	char *name;
	char *source;     /* host variable; NULL for a prompt */
	struct buf value; /* secret: wiped when freed */
};

struct secrets {
	struct secret *v;
	size_t n;
};

/*
 * Asks for the value of `name` showing `prompt`, without echo, and adds it to `ret` (a secret
 * buffer). NULL where there is no terminal: a plan with prompts is then E_USAGE.
 */
typedef int secrets_prompt_fn(void *user, const char *name, const char *prompt, struct buf *ret,
			      struct err *err);

/*
 * Host variables first, then prompts in the order of the plan. E_BAD, naming the variable and
 * never its value: unset, empty credential, not UTF-8, longer than SECRET_MAX; a credential with
 * control characters or spaces at its ends (it becomes a header field, RFC 9110 5.5); a Basic
 * credential without a colon. On failure *ret is empty.
 */
int secrets_gather(const struct plan *p, const struct host_env *env, secrets_prompt_fn *prompt,
		   void *user, struct secrets *ret, struct err *err)
	__attribute__((warn_unused_result));

/* The value, or NULL. */
const struct buf *secrets_get(const struct secrets *s, enum secret_kind kind, const char *name);

/* Wipes and frees; *s is empty afterwards. */
void secrets_fini(struct secrets *s);
#define auto_secrets __attribute__((cleanup(secrets_fini))) struct secrets

#endif
