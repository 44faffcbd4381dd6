/*
 * provider: what is known about the agent programs, as a table.
 */
#ifndef BOTTLE_MANIFEST_PROVIDER_H
#define BOTTLE_MANIFEST_PROVIDER_H

#include "manifest/bottle.h"

struct provider_env {
	const char *name, *value;
};

struct provider_info {
	const char *name;            /* as in `agent.provider` */
	const char *dockerfile;      /* embedded file its image is built from; NULL: none */
	const char *const *hosts;    /* it cannot work without these; NULL-terminated */
	const char *const *command;  /* interactive session; NULL: the bottle must name one */
	const char *const *headless; /* without a terminal; NULL: takes no prompt */
	const char *prompt_option;   /* comes before the prompt of a headless session; NULL: none */
	const char *system_file;     /* where its system prompt lies in the box */
	const char *system_file_option; /* comes before that path in the command; NULL: found by
					   itself */
};
const struct provider_info *provider_get(enum provider p);

/* What role claude_code_oauth gives the agent: a placeholder token, telemetry off. */
#define PROVIDER_OAUTH_VARIABLE "CLAUDE_CODE_OAUTH_TOKEN"
extern const struct provider_env provider_oauth_env[]; /* ends with name == NULL */

#endif
