#include "manifest/secrets.h"

#include "base/limits.h"
#include "base/mem.h"

/* Room in the list; the caller counts it when the value is good. */
static struct secret *next(struct secrets *s, enum secret_kind kind, const char *name,
			   const char *source)
{
	struct secret *e;

	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	e = &s->v[s->n++];
	*e = (struct secret){
		.kind = kind,
		.name = mem_strdup(name),
		.source = source ? mem_strdup(source) : NULL,
		.value = BUF_INIT_SECRET(SECRET_MAX),
	};
	return e;
}

static int copy_host(struct secret *e, const struct host_env *env, struct err *err)
{
	const char *value = host_env_get(env, e->source);

	if (!value)
		return err_set(err, E_BAD, "host variable %s is not set", e->source);
	if (buf_addz(&e->value, value, NULL) < 0)
		return err_set(err, E_LIMIT, "host variable %s holds more than %zu bytes",
			       e->source, SECRET_MAX);
	if (!str_is_utf8(buf_str(&e->value)))
		return err_set(err, E_BAD, "host variable %s is not UTF-8", e->source);
	return 0;
}

/* It becomes a header field's value: visible characters, inner spaces (RFC 9110 5.5). */
static int check_credential(const struct secret *e, bool basic, struct err *err)
{
	struct str v = buf_str(&e->value);

	if (v.n == 0)
		return err_set(err, E_BAD, "host variable %s is empty", e->source);
	if (str_has_ctl(v))
		return err_set(err, E_BAD,
			       "host variable %s holds a line break or another control "
			       "character",
			       e->source);
	if (v.p[0] == ' ' || v.p[v.n - 1] == ' ')
		return err_set(err, E_BAD, "host variable %s begins or ends with a space",
			       e->source);
	/* RFC 7617 2: user-id and password, separated by a colon */
	if (basic && str_chr(v, ':', 0) < 0)
		return err_set(err, E_BAD,
			       "host variable %s: Basic wants user:password, it has no "
			       "colon",
			       e->source);
	return 0;
}

static int gather_credentials(const struct plan *p, const struct host_env *env, struct secrets *s,
			      struct err *err)
{
	for (size_t i = 0; i < p->credential_count; i++) {
		const struct plan_credential *c = &p->credentials[i];
		struct secret *e = next(s, SECRET_TOKEN, c->slot, c->token_ref);

		if (copy_host(e, env, err) < 0 || check_credential(e, c->basic, err) < 0)
			return -1;
	}
	return 0;
}

static int ask(const struct plan_env *v, struct secrets *s, secrets_prompt_fn *prompt, void *user,
	       struct err *err)
{
	struct secret *e = next(s, SECRET_ENV, v->name, NULL);

	if (!prompt)
		return err_set(err, E_USAGE, "%s is asked for, and there is no terminal", v->name);
	if (prompt(user, v->name, v->ref, &e->value, err) < 0)
		return -1;
	/* NUL would end it early in the agent's environment */
	if (!str_is_utf8(buf_str(&e->value)) || str_chr(buf_str(&e->value), '\0', 0) >= 0)
		return err_set(err, E_BAD, "the answer for %s is not UTF-8 text", v->name);
	return 0;
}

static int gather(const struct plan *p, const struct host_env *env, secrets_prompt_fn *prompt,
		  void *user, struct secrets *s, struct err *err)
{
	if (gather_credentials(p, env, s, err) < 0)
		return -1;
	for (size_t i = 0; i < p->env_count; i++)
		if (p->env[i].kind == PLAN_ENV_HOST &&
		    copy_host(next(s, SECRET_ENV, p->env[i].name, p->env[i].ref), env, err) < 0)
			return -1;
	for (size_t i = 0; i < p->env_count; i++)
		if (p->env[i].kind == PLAN_ENV_PROMPT && ask(&p->env[i], s, prompt, user, err) < 0)
			return -1;
	return 0;
}

int secrets_gather(const struct plan *p, const struct host_env *env, secrets_prompt_fn *prompt,
		   void *user, struct secrets *ret, struct err *err)
{
	*ret = (struct secrets){ NULL, 0 };
	if (gather(p, env, prompt, user, ret, err) == 0)
		return 0;
	secrets_fini(ret);
	return -1;
}

const struct buf *secrets_get(const struct secrets *s, enum secret_kind kind, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == kind && str_eqz(str_of(s->v[i].name), name))
			return &s->v[i].value;
	return NULL;
}

void secrets_fini(struct secrets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].source);
		buf_fini(&s->v[i].value);
	}
	free(s->v);
	*s = (struct secrets){ NULL, 0 };
}
