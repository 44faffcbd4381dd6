#include "http/h1.h"

#include "http/chars.h"

/*
 * The last guard against injection: whatever way a name, value or target came into the message (h2,
 * policy, a credential), each byte is checked once more before it is written (RFC 9112 11.1).
 */

#define OVERHEAD 256 /* start line without its views, framing field with 20 digits, separators */

#define PUT_INLINE_MAX 64

struct writer {
	struct buf *out;
	char *p;
};

/*
 * Most pieces are short, and a call of memcpy costs more than they do: whole words, then the last
 * word once more up to the end.
 */
static inline void put(struct writer *w, struct str s)
{
	size_t i = 0;

	if (s.n > PUT_INLINE_MAX) {
		memcpy(w->p, s.p, s.n);
	} else if (s.n >= sizeof(uint64_t)) {
		for (; i + sizeof(uint64_t) <= s.n; i += sizeof(uint64_t))
			memcpy(w->p + i, s.p + i, sizeof(uint64_t));
		i = s.n - sizeof(uint64_t);
		memcpy(w->p + i, s.p + i, sizeof(uint64_t));
	} else {
		for (; i < s.n; i++)
			w->p[i] = s.p[i];
	}
	w->p += s.n;
}

static void put_u64(struct writer *w, uint64_t v)
{
	char digits[STR_U64_MAX];

	put(w, str_u64(v, digits));
}

static void put_field(struct writer *w, struct str name, struct str value)
{
	put(w, name);
	put(w, STR(": "));
	put(w, value);
	put(w, STR("\r\n"));
}

/* Room for the whole head at once; every part that may be left out is counted. */
static int begin(struct writer *w, struct buf *out, const struct msg *m, const char *connection,
		 struct err *err)
{
	size_t n = OVERHEAD + m->method.n + m->scheme.n + m->authority.n + m->path.n + m->query.n +
		   m->reason.n + m->upgrade.n + (connection ? strlen(connection) : 0);

	for (size_t i = 0; i < m->fields.n; i++)
		n += m->fields.v[i].name.n + m->fields.v[i].value.n + 4;
	w->out = out;
	w->p = buf_reserve(out, n, err);
	return w->p ? 0 : -1;
}

static void commit(struct writer *w)
{
	struct str had = buf_str(w->out);

	buf_commit(w->out, (size_t)(w->p - (had.p + had.n)));
}

static int check(const struct field *f, struct err *err)
{
	if (!http_is_token(f->name))
		return err_set(err, E_BAD, "'%.*s' is not a field name", STR_ARG(f->name));
	if (!http_is_field_value(f->value))
		return err_set(err, E_BAD, "the value of %.*s holds a byte that no field may hold",
			       STR_ARG(f->name));
	return 0;
}

static bool may_frame(const struct msg *m)
{
	/* RFC 9112 6.1, RFC 9110 8.6 */
	return !m->is_response || (m->status >= 200 && m->status != 204);
}

static void put_framing(struct writer *w, const struct msg *m, struct str name)
{
	if (m->framing == BODY_CHUNKED) {
		put_field(w, name.n == 17 ? name : STR("Transfer-Encoding"), STR("chunked"));
	} else if (m->framing == BODY_LENGTH) {
		put(w, name.n == 14 ? name : STR("Content-Length"));
		put(w, STR(": "));
		put_u64(w, m->length);
		put(w, STR("\r\n"));
	}
}

/*
 * A received framing field: the first one gives its place to ours. Without a body the announced
 * length of a HEAD or 304 response stays as it is.
 */
static void replace_framing(struct writer *w, const struct msg *m, const struct field *f,
			    bool *done)
{
	uint64_t length;

	if (*done || !may_frame(m))
		return;
	if (m->framing == BODY_CHUNKED || m->framing == BODY_LENGTH) {
		put_framing(w, m, f->name);
		*done = true;
	} else if (m->is_response && m->framing == BODY_NONE && f->name.n == 14 &&
		   str_to_u64(f->value, INT64_MAX, &length) == 0) {
		put_field(w, f->name, f->value);
		*done = true;
	}
}

static bool is_framing(struct str name)
{
	return (name.n == 14 && str_ieq(name, STR("content-length"))) ||
	       (name.n == 17 && str_ieq(name, STR("transfer-encoding")));
}

static int put_fields(struct writer *w, const struct msg *m, const char *connection,
		      struct err *err)
{
	const bool upgrade = connection && m->upgrade.n > 0 && strcmp(connection, "upgrade") == 0;
	bool framed = false;

	for (size_t i = 0; i < m->fields.n; i++) {
		const struct field *f = &m->fields.v[i];

		if (check(f, err) < 0)
			return -1;
		if (is_framing(f->name))
			replace_framing(w, m, f, &framed);
		else if (!(f->name.n == 10 && str_ieq(f->name, STR("connection"))) &&
			 !(upgrade && str_ieq(f->name, STR("upgrade"))))
			put_field(w, f->name, f->value);
	}
	if (!framed && may_frame(m))
		put_framing(w, m, STR_NONE);
	if (upgrade) {
		if (!http_is_field_value(m->upgrade))
			return err_set(err, E_BAD,
				       "the value of Upgrade holds a byte that no field may hold");
		put_field(w, STR("Upgrade"), m->upgrade);
	}
	if (connection)
		put_field(w, STR("Connection"), str_of(connection));
	put(w, STR("\r\n"));
	return 0;
}

/* --- requests ------------------------------------------------------------------------------- */

static int check_target(const struct msg *m, struct err *err)
{
	const bool bad_query = m->query.n > 0 && !http_is_target(m->query);

	switch (m->form) {
	case TARGET_AUTHORITY:
		if (http_is_target(m->authority) && str_eq(m->method, STR("CONNECT")))
			return 0;
		break;
	case TARGET_ASTERISK:
		if (str_eq(m->method, STR("OPTIONS")))
			return 0;
		break;
	case TARGET_ABSOLUTE:
		if (!http_is_token(m->scheme) || !http_is_target(m->authority) ||
		    str_chr(m->authority, '/', 0) >= 0)
			break;
		if (str_eq(m->path, STR("*")) && str_eq(m->method, STR("OPTIONS")) && !m->query.p)
			return 0;
		__attribute__((fallthrough));
	case TARGET_ORIGIN:
		if (http_is_target(m->path) && m->path.p[0] == '/' &&
		    str_chr(m->path, '?', 0) < 0 && !bad_query &&
		    !str_eq(m->method, STR("CONNECT")))
			return 0;
		break;
	}
	return err_set(err, E_BAD, "the request target cannot be written");
}

static void put_target(struct writer *w, const struct msg *m)
{
	if (m->form == TARGET_AUTHORITY) {
		put(w, m->authority);
		return;
	}
	if (m->form == TARGET_ASTERISK) {
		put(w, STR("*"));
		return;
	}
	if (m->form == TARGET_ABSOLUTE) {
		put(w, m->scheme);
		put(w, STR("://"));
		put(w, m->authority);
		if (str_eq(m->path, STR("*")))
			return;
	}
	put(w, m->path);
	if (m->query.p) {
		put(w, STR("?"));
		put(w, m->query);
	}
}

int h1_write_request(struct buf *out, const struct msg *m, const char *connection, struct err *err)
{
	struct writer w;

	if (!http_is_token(m->method))
		return err_set(err, E_BAD, "the method cannot be written");
	if (check_target(m, err) < 0)
		return -1;
	if (m->framing == BODY_UNTIL_CLOSE)
		return err_set(err, E_BAD, "a request body without a length");
	if (msg_count(m, "host") != 1) /* RFC 9112 3.2 */
		return err_set(err, E_BAD, "a request needs one Host field");
	if (begin(&w, out, m, connection, err) < 0)
		return -1;
	put(&w, m->method);
	put(&w, STR(" "));
	put_target(&w, m);
	put(&w, STR(" HTTP/1.1\r\n"));
	if (put_fields(&w, m, connection, err) < 0)
		return -1;
	commit(&w);
	return 0;
}

/* --- responses ------------------------------------------------------------------------------ */

int h1_write_response(struct buf *out, const struct msg *m, const char *connection, struct err *err)
{
	struct writer w;

	if (m->status < 100 || m->status > 999 || !http_is_field_value(m->reason))
		return err_set(err, E_BAD, "the status line cannot be written");
	if (begin(&w, out, m, connection, err) < 0)
		return -1;
	put(&w, STR("HTTP/1.1 "));
	put_u64(&w, (uint64_t)m->status);
	put(&w, STR(" "));
	put(&w, m->reason);
	put(&w, STR("\r\n"));
	if (put_fields(&w, m, connection, err) < 0)
		return -1;
	commit(&w);
	return 0;
}

/* --- chunks --------------------------------------------------------------------------------- */

int h1_write_chunk_head(struct buf *out, uint64_t size, struct err *err)
{
	char line[18]; /* 16 digits, CRLF */
	size_t at = sizeof(line);

	line[--at] = '\n';
	line[--at] = '\r';
	do
		line[--at] = "0123456789abcdef"[size & 15];
	while (size >>= 4);
	return buf_add(out, str_mem(line + at, sizeof(line) - at), err);
}

int h1_write_last_chunk(struct buf *out, const struct fields *trailers, struct err *err)
{
	struct writer w = { .out = out };
	size_t n = 5;

	for (size_t i = 0; trailers && i < trailers->n; i++)
		n += trailers->v[i].name.n + trailers->v[i].value.n + 4;
	w.p = buf_reserve(out, n, err);
	if (!w.p)
		return -1;
	put(&w, STR("0\r\n"));
	for (size_t i = 0; trailers && i < trailers->n; i++) {
		const struct field *f = &trailers->v[i];

		if (check(f, err) < 0)
			return -1;
		if (http_trailer_is_forbidden(f->name))
			return err_set(err, E_BAD, "%.*s in a trailer section", STR_ARG(f->name));
		put_field(&w, f->name, f->value);
	}
	put(&w, STR("\r\n"));
	commit(&w);
	return 0;
}
