#include "policy/decide.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "policy/fold.h"

static void refuse(struct verdict *v, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(struct verdict *v, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	v->allow = false;
	v->reason = reason;
	va_start(ap, fmt);
	(void)vsnprintf(v->message, sizeof(v->message), fmt, ap);
	va_end(ap);
}

/* A host in a message: long ones are cut so that the sentence fits. */
#define HOST_FMT "%.160s"

static void refuse_host(struct verdict *v, const struct routes *r, const struct authority *to)
{
	if (routes_knows_host(r, authority_host(to)))
		refuse(v, REASON_HOST_NOT_ALLOWED, "Port %u of " HOST_FMT " is not allowed.",
		       (unsigned)to->port, to->host);
	else
		refuse(v, REASON_HOST_NOT_ALLOWED, "The host " HOST_FMT " is not allowed.",
		       to->host);
}

void decide_connect(const struct routes *r, const struct authority *to, struct verdict *ret)
{
	*ret = (struct verdict){ .allow = true };
	ret->route = routes_find(r, authority_host(to), to->port);
	if (!ret->route)
		refuse_host(ret, r, to);
}

/*
 * Frameworks (IIS, Symfony, Laminas) take the path from such a field rather than from the request
 * line.
 */
static bool is_path_override(struct str name)
{
	static const char *const fields[] = { "xoriginalurl", "xrewriteurl" };
	char folded[FOLD_NAME_MAX];
	struct str s = str_mem(folded, fold_name(name, folded));

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_eqz(s, fields[i]))
			return true;
	return false;
}

/* A path given in a field: nothing honest sends one, so one that is no plain path counts as a push.
 */
static bool field_is_push(struct str value, struct arena *scratch)
{
	ssize_t mark = str_chr(value, '?', 0);
	struct str path = mark < 0 ? value : str_sub(value, 0, (size_t)mark);
	struct str query = mark < 0 ? STR_NONE : str_from(value, (size_t)mark + 1);

	return gitpush_is_push(path, query, scratch);
}

/*
 * The path in all its readings; also says whether it is that of a git push. An empty path is "/"
 * (RFC 9110 4.2.3); the "*" of OPTIONS names the server as a whole.
 */
static int read_path(const struct msg *m, struct arena *scratch, struct url_readings *ret,
		     bool *ret_push, struct err *err)
{
	struct str path = m->path.n == 0 ? STR("/") : m->path;

	if (m->form == TARGET_ASTERISK) {
		*ret = (struct url_readings){ .v = { STR("*") }, .n = 1 };
		*ret_push = false;
		return 0;
	}
	if (url_path_readings(path, scratch, ret, err) < 0)
		return -1;
	*ret_push = gitpush_is_push(path, m->query, scratch);
	for (size_t i = 0; i < m->fields.n && !*ret_push; i++)
		*ret_push = is_path_override(m->fields.v[i].name) &&
			    field_is_push(m->fields.v[i].value, scratch);
	return 0;
}

/*
 * Many servers take the method from such a field when the request line says POST: what it says has
 * to be allowed as well.
 */
static bool is_method_override(struct str name)
{
	static const char *const fields[] = { "xhttpmethodoverride", "xhttpmethod",
					      "xmethodoverride" };
	char folded[FOLD_NAME_MAX];
	struct str s = str_mem(folded, fold_name(name, folded));

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_eqz(s, fields[i]))
			return true;
	return false;
}

static void check_method(const struct decide_in *in, struct verdict *v)
{
	const struct msg *m = in->msg;

	if (!route_has_method(v->route, m->method)) {
		refuse(v, REASON_METHOD_NOT_ALLOWED,
		       "The method %.*s is not allowed on " HOST_FMT ".",
		       m->method.n > 20 ? 20 : (int)m->method.n, m->method.p, in->destination.host);
		return;
	}
	for (size_t i = 0; i < m->fields.n; i++)
		if (is_method_override(m->fields.v[i].name) &&
		    !route_has_method(v->route, m->fields.v[i].value))
			refuse(v, REASON_METHOD_NOT_ALLOWED,
			       "The overriding method is not allowed on " HOST_FMT ".",
			       in->destination.host);
}

/* Every reading, or the server could be asked for another path than the one that was allowed. */
static void check_path(const struct decide_in *in, const struct url_readings *path,
		       struct verdict *v)
{
	for (size_t i = 0; i < path->n; i++)
		if (!route_has_path(v->route, path->v[i]))
			refuse(v, REASON_PATH_NOT_ALLOWED,
			       "This path of " HOST_FMT " is not allowed.", in->destination.host);
	for (size_t i = 0; i < in->msg->fields.n && v->route->has_paths; i++)
		if (is_path_override(in->msg->fields.v[i].name))
			refuse(v, REASON_PATH_NOT_ALLOWED,
			       "A field that overrides the path is not allowed on " HOST_FMT ".",
			       in->destination.host);
}

static void check_credential(const struct decide_in *in, struct verdict *v)
{
	const struct route *r = v->route;

	if (r->auth == AUTH_NONE)
		return;
	if (!in->known(in->known_arg, r->token_env))
		refuse(v, REASON_CREDENTIAL_MISSING,
		       "The credential for " HOST_FMT " (%.40s) is not set.", in->destination.host,
		       r->token_env);
	else if (!in->tls)
		refuse(v, REASON_CREDENTIAL_NEEDS_TLS,
		       "The credential for " HOST_FMT " is not sent without TLS.",
		       in->destination.host);
}

void decide_request(const struct decide_in *in, struct arena *scratch, struct verdict *ret)
{
	struct url_readings path;
	struct err err = ERR_INIT;
	bool push;

	*ret = (struct verdict){ .allow = true };
	if (in->msg->form == TARGET_AUTHORITY) {
		refuse(ret, REASON_BAD_REQUEST, "A CONNECT is not a request to a server.");
		return;
	}
	if (read_path(in->msg, scratch, &path, &push, &err) < 0) {
		refuse(ret, REASON_PATH_NOT_CANONICAL, "The path cannot be judged: %.160s.",
		       err.text);
		return;
	}
	if (push) {
		refuse(ret, REASON_GIT_PUSH_BLOCKED, "A git push may not go through this proxy.");
		return;
	}
	decide_connect(in->routes, &in->destination, ret);
	if (ret->allow)
		check_method(in, ret);
	if (ret->allow)
		check_path(in, &path, ret);
	if (ret->allow)
		check_credential(in, ret);
}
