/* What goes out. */
#include "base/limits.h"
#include "http/h2_map.h"

#define PSEUDO_MAX 5 /* pseudo-header fields, and a content-length that nobody wrote */

struct writer {
	struct arena *a;
	struct fields *out;
	struct err *err;
};

static int begin(struct writer *w, size_t n, struct arena *a, struct fields *out, struct err *err)
{
	*w = (struct writer){ a, out, err };
	*out = (struct fields){ .cap = n + PSEUDO_MAX };
	out->v = arena_alloc(a, out->cap * sizeof(*out->v));
	return out->v ? 0 : err_set(err, E_LIMIT, "the header fields need too much memory");
}

static void put(struct writer *w, struct str name, struct str value)
{
	w->out->v[w->out->n++] = (struct field){ name, value };
}

static int put_text(struct writer *w, const char *name, struct str text)
{
	if (!text.p)
		return err_set(w->err, E_LIMIT, "the header fields need too much memory");
	put(w, str_of(name), text);
	return 0;
}

static int put_length(struct writer *w, uint64_t length)
{
	return put_text(w, "content-length",
			arena_printf(w->a, "%llu", (unsigned long long)length));
}

/* RFC 9113 8.2.1 */
static int put_lower(struct writer *w, const struct field *f)
{
	char *name;

	if (!http_is_token(f->name))
		return err_set(w->err, E_BAD, "'%.*s' is not a field name", STR_ARG(f->name));
	if (!http_is_field_value(f->value))
		return err_set(w->err, E_BAD,
			       "the value of %.*s holds a byte that no field may hold",
			       STR_ARG(f->name));
	name = arena_alloc(w->a, f->name.n);
	if (!name)
		return err_set(w->err, E_LIMIT, "the header fields need too much memory");
	for (size_t i = 0; i < f->name.n; i++)
		name[i] = ascii_lower(f->name.p[i]);
	put(w, str_mem(name, f->name.n), str_trim(f->value));
	return 0;
}

/* RFC 9113 8.2.2, and Host, which is :authority here */
static bool stays_behind(struct str name)
{
	static const char *const names[] = { "connection", "proxy-connection",
					     "keep-alive", "transfer-encoding",
					     "upgrade",    "te",
					     "host",       NULL };

	for (size_t i = 0; names[i]; i++)
		if (str_ieqz(name, names[i]))
			return true;
	return false;
}

static bool may_frame(const struct msg *m)
{
	/* RFC 9110 8.6 */
	return !m->is_response || (m->status >= 200 && m->status != 204);
}

/* The first Content-Length gives its place to ours, as in h1_write. */
static int replace_length(struct writer *w, const struct msg *m, const struct field *f, bool *done)
{
	uint64_t length;

	if (*done || !may_frame(m))
		return 0;
	if (m->framing == BODY_LENGTH) {
		*done = true;
		return put_length(w, m->length);
	}
	if (m->is_response && m->framing == BODY_NONE &&
	    str_to_u64(f->value, INT64_MAX, &length) == 0) {
		*done = true;
		return put_length(w, length);
	}
	return 0;
}

static int put_fields(struct writer *w, const struct msg *m)
{
	bool framed = false;

	for (size_t i = 0; i < m->fields.n; i++) {
		const struct field *f = &m->fields.v[i];

		if (str_ieqz(f->name, "content-length")) {
			if (replace_length(w, m, f, &framed) < 0)
				return -1;
		} else if (!stays_behind(f->name) && put_lower(w, f) < 0) {
			return -1;
		}
	}
	if (!framed && may_frame(m) && m->framing == BODY_LENGTH)
		return put_length(w, m->length);
	return 0;
}

static int put_path(struct writer *w, const struct msg *m)
{
	const bool asterisk = m->form == TARGET_ASTERISK && str_eqz(m->method, "OPTIONS");

	if (!asterisk &&
	    (!http_is_target(m->path) || m->path.p[0] != '/' || str_chr(m->path, '?', 0) >= 0 ||
	     (m->query.n > 0 && !http_is_target(m->query))))
		return err_set(w->err, E_BAD, "the request target cannot be written");
	if (asterisk)
		return put_text(w, ":path", STR("*"));
	if (!m->query.p)
		return put_text(w, ":path", m->path);
	return put_text(w, ":path",
			arena_printf(w->a, "%.*s?%.*s", (int)m->path.n, m->path.p, (int)m->query.n,
				     m->query.p));
}

int h2_write_request(const struct msg *m, struct arena *a, struct fields *ret, struct err *err)
{
	struct writer w;

	if (!http_is_token(m->method) || m->form == TARGET_AUTHORITY || m->upgrade.n > 0)
		return err_set(err, E_BAD, "this request cannot be written in HTTP/2");
	if (m->framing == BODY_UNTIL_CLOSE)
		return err_set(err, E_BAD, "a request body without a length");
	if (msg_count(m, "host") != 1 || !http_is_target(msg_value(m, "host")))
		return err_set(err, E_BAD, "a request needs one Host field");
	if (m->scheme.n > 0 && !str_ieqz(m->scheme, "https") && !str_ieqz(m->scheme, "http"))
		return err_set(err, E_BAD, "the scheme cannot be written");
	if (begin(&w, m->fields.n + 1, a, ret, err) < 0)
		return -1;
	put(&w, STR(":method"), m->method);
	put(&w, STR(":scheme"), m->scheme.n == 4 ? STR("http") : STR("https"));
	put(&w, STR(":authority"), msg_value(m, "host"));
	if (put_path(&w, m) < 0 || put_fields(&w, m) < 0)
		return -1;
	if (m->te_trailers || msg_has_token(m, "te", "trailers"))
		put(&w, STR("te"), STR("trailers"));
	return 0;
}

int h2_write_response(const struct msg *m, struct arena *a, struct fields *ret, struct err *err)
{
	struct writer w;

	if (m->status < 100 || m->status > 999 || m->status == 101)
		return err_set(err, E_BAD, "the status cannot be written");
	if (begin(&w, m->fields.n, a, ret, err) < 0 ||
	    put_text(&w, ":status", arena_printf(a, "%d", m->status)) < 0)
		return -1;
	return put_fields(&w, m);
}

int h2_write_trailers(const struct fields *trailers, struct arena *a, struct fields *ret,
		      struct err *err)
{
	struct writer w;

	if (begin(&w, trailers->n, a, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < trailers->n; i++) {
		if (http_trailer_is_forbidden(trailers->v[i].name))
			return err_set(err, E_BAD, "%.*s in a trailer section",
				       STR_ARG(trailers->v[i].name));
		if (put_lower(&w, &trailers->v[i]) < 0)
			return -1;
	}
	return 0;
}
