#include "proxy/tokens.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/msg.h"

#define SLOT_PREFIX "EGRESS_PROXY_TOKEN_"

extern char **environ;

static void token_fini(struct token *t)
{
	free(t->slot);
	mem_free_secret(t->value, t->len);
}

void tokens_fini(struct tokens *t)
{
	for (size_t i = 0; i < t->n; i++)
		token_fini(&t->v[i]);
	free(t->v);
	t->v = NULL;
	t->n = 0;
}

bool tokens_is_slot(struct str name)
{
	struct str number;
	uint64_t n;

	if (!str_starts(name, STR(SLOT_PREFIX)))
		return false;
	number = str_from(name, sizeof(SLOT_PREFIX) - 1);
	if (number.n > 1 && number.p[0] == '0')
		return false;
	return str_to_u64(number, 99999, &n) == 0;
}

static struct token *find(const struct tokens *t, struct str slot)
{
	for (size_t i = 0; i < t->n; i++)
		if (str_eqz(slot, t->v[i].slot))
			return &t->v[i];
	return NULL;
}

int tokens_set(struct tokens *t, struct str slot, struct str value, struct err *err)
{
	struct token *tok;

	if (!tokens_is_slot(slot))
		return err_set(err, E_BAD, "\"%.*s\" is not a credential slot (" SLOT_PREFIX "N)",
			       STR_ARG(slot));
	if (value.n == 0)
		return err_set(err, E_BAD, "the value for %.*s is empty", STR_ARG(slot));
	if (value.n > TOKEN_VALUE_MAX)
		return err_set(err, E_LIMIT, "the value for %.*s is longer than %zu bytes",
			       STR_ARG(slot), (size_t)TOKEN_VALUE_MAX);
	/* It becomes part of a header field: a line break would let it add fields of its own. */
	if (!http_is_field_value(value))
		return err_set(err, E_BAD,
			       "the value for %.*s holds control characters (a trailing newline?)",
			       STR_ARG(slot));
	tok = find(t, slot);
	if (!tok) {
		if (t->n == TOKENS_MAX)
			return err_set(err, E_LIMIT, "more than %d credential slots", TOKENS_MAX);
		t->v = mem_resize(t->v, t->n + 1, sizeof(*t->v));
		tok = &t->v[t->n++];
		tok->slot = str_dupz(slot);
	} else {
		mem_free_secret(tok->value, tok->len);
	}
	tok->value = str_dupz(value);
	tok->len = value.n;
	return 0;
}

struct str tokens_get(const struct tokens *t, struct str slot)
{
	const struct token *tok = find(t, slot);

	return tok ? str_mem(tok->value, tok->len) : STR_NONE;
}

int tokens_from_env(struct tokens *t, struct err *err)
{
	size_t i = 0;

	while (environ && environ[i]) {
		struct str entry = str_of(environ[i]);
		ssize_t eq = str_chr(entry, '=', 0);
		struct str name = str_sub(entry, 0, eq < 0 ? entry.n : (size_t)eq);

		if (eq < 0 || !tokens_is_slot(name)) {
			i++;
			continue;
		}
		/* An empty one counts as not set: the route then answers credential-missing. */
		if (entry.n > (size_t)eq + 1 &&
		    tokens_set(t, name, str_from(entry, (size_t)eq + 1), err) < 0)
			return -1;
		auto_free char *key = str_dupz(name);

		/* The block handed over by execve is what /proc/PID/environ shows: wipe it there. */
		mem_wipe(environ[i] + eq + 1, entry.n - (size_t)eq - 1);
		if (unsetenv(key) < 0)
			return err_sys(err, "cannot remove %s from the environment", key);
	}
	return 0;
}
