#include "http/msg.h"

#include "base/limits.h"
#include "base/mem.h"
#include "http/chars.h"

#define FIELDS_FIRST 24 /* what browsers send fits; doubled when it does not */

void msg_init(struct msg *m, struct arena *a)
{
	*m = (struct msg){ .arena = a };
}

struct field *msg_field(const struct msg *m, const char *name)
{
	const struct str want = str_of(name);

	for (size_t i = 0; i < m->fields.n; i++)
		if (str_ieq(m->fields.v[i].name, want))
			return &m->fields.v[i];
	return NULL;
}

struct str msg_value(const struct msg *m, const char *name)
{
	const struct field *f = msg_field(m, name);

	return f ? f->value : STR_NONE;
}

size_t msg_count(const struct msg *m, const char *name)
{
	const struct str want = str_of(name);
	size_t n = 0;

	for (size_t i = 0; i < m->fields.n; i++)
		n += str_ieq(m->fields.v[i].name, want);
	return n;
}

/* The struct's view of Host follows its field. */
static void follow_host(struct msg *m, struct str name)
{
	if (!m->is_response && str_ieqz(name, "host"))
		m->host = msg_value(m, "host");
}

/* Keeps the first `keep` fields of that name. How many went. */
static size_t remove_after(struct msg *m, struct str name, size_t keep)
{
	size_t to = 0, gone;

	for (size_t i = 0; i < m->fields.n; i++) {
		if (str_ieq(m->fields.v[i].name, name)) {
			if (keep == 0)
				continue;
			keep--;
		}
		m->fields.v[to++] = m->fields.v[i];
	}
	gone = m->fields.n - to;
	m->fields.n = to;
	return gone;
}

size_t msg_remove(struct msg *m, const char *name)
{
	size_t gone = remove_after(m, str_of(name), 0);

	follow_host(m, str_of(name));
	return gone;
}

int msg_push(struct msg *m, struct str name, struct str value, struct err *err)
{
	struct fields *f = &m->fields;

	if (f->n >= HTTP_FIELDS_MAX)
		return err_set(err, E_LIMIT, "more than %d header fields", HTTP_FIELDS_MAX);
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : FIELDS_FIRST;
		struct field *v = arena_alloc(m->arena, cap * sizeof(*v));

		if (!v)
			return err_set(err, E_LIMIT, "the header fields need too much memory");
		if (f->n > 0)
			memcpy(v, f->v, f->n * sizeof(*v));
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = (struct field){ name, value };
	return 0;
}

static int check_field(struct str name, struct str value, struct err *err)
{
	if (!http_is_token(name))
		return err_set(err, E_BAD, "'%.*s' is not a field name", STR_ARG(name));
	/* The value may be a credential: it is not shown. */
	if (!http_is_field_value(value))
		return err_set(err, E_BAD, "the value of %.*s holds a byte that no field may hold",
			       STR_ARG(name));
	return 0;
}

static int copy_value(struct msg *m, struct str value, struct str *ret, struct err *err)
{
	struct str copy = arena_str(m->arena, str_trim(value));

	if (!copy.p)
		return err_set(err, E_LIMIT, "the header fields need too much memory");
	*ret = copy;
	return 0;
}

int msg_add(struct msg *m, struct str name, struct str value, struct err *err)
{
	struct str n, v;

	if (check_field(name, value, err) < 0 || copy_value(m, name, &n, err) < 0 ||
	    copy_value(m, value, &v, err) < 0 || msg_push(m, n, v, err) < 0)
		return -1;
	follow_host(m, n);
	return 0;
}

int msg_set(struct msg *m, struct str name, struct str value, struct err *err)
{
	for (size_t i = 0; i < m->fields.n; i++) {
		if (!str_ieq(m->fields.v[i].name, name))
			continue;
		if (check_field(name, value, err) < 0 ||
		    copy_value(m, value, &m->fields.v[i].value, err) < 0)
			return -1;
		(void)remove_after(m, name, 1);
		follow_host(m, name);
		return 0;
	}
	return msg_add(m, name, value, err);
}

bool msg_has_token(const struct msg *m, const char *name, const char *token)
{
	const struct str want_name = str_of(name), want = str_of(token);

	for (size_t i = 0; i < m->fields.n; i++) {
		struct str rest = m->fields.v[i].value, item;

		if (!str_ieq(m->fields.v[i].name, want_name))
			continue;
		while (str_split(&rest, ',', &item))
			if (str_ieq(str_trim(item), want))
				return true;
	}
	return false;
}

static bool name_in(struct str name, const char *const *list)
{
	for (; *list; list++)
		if (str_ieqz(name, *list))
			return true;
	return false;
}

/*
 * Fields that are for the far end, or that decide how a message is read, routed or judged. A
 * Connection option of that name would make us drop them after they were looked at (RFC 9110 7.6.1).
 */
static bool may_not_be_listed(struct str name)
{
	static const char *const end_to_end[] = {
		"content-length",   "transfer-encoding",
		"content-encoding", "content-type",
		"content-range",    "host",
		"expect",           "authorization",
		"cookie",           "set-cookie",
		"cache-control",    "www-authenticate",
		"origin",           "x-api-key",
		"api-key",          "x-goog-api-key",
		"private-token",    "range",
		"location",         NULL,
	};

	return name_in(name, end_to_end);
}

static int connection_options(const struct msg *m, struct str *listed, size_t *ret_n,
			      struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < m->fields.n; i++) {
		struct str rest = m->fields.v[i].value, item;

		if (!str_ieqz(m->fields.v[i].name, "connection"))
			continue;
		while (str_split(&rest, ',', &item)) {
			item = str_trim(item);
			if (item.n == 0) /* empty list elements are allowed: RFC 9110 5.6.1.2 */
				continue;
			if (!http_is_token(item))
				return err_set(err, E_BAD, "Connection lists what is not a name");
			if (may_not_be_listed(item))
				return err_set(err, E_BAD, "Connection lists %.*s", STR_ARG(item));
			if (n == HTTP_CONNECTION_OPTIONS_MAX)
				return err_set(err, E_LIMIT, "Connection lists too many names");
			listed[n++] = item;
		}
	}
	*ret_n = n;
	return 0;
}

int msg_strip_hop(struct msg *m, struct err *err)
{
	static const char *const hop[] = {
		"connection", "keep-alive",         "proxy-connection",    "te",
		"upgrade",    "proxy-authenticate", "proxy-authorization", NULL,
	};
	struct str listed[HTTP_CONNECTION_OPTIONS_MAX];
	size_t listed_n, to = 0;

	if (connection_options(m, listed, &listed_n, err) < 0)
		return -1;
	m->te_trailers |= msg_has_token(m, "te", "trailers");
	for (size_t i = 0; i < m->fields.n; i++) {
		const struct field f = m->fields.v[i];
		bool drop = name_in(f.name, hop);

		for (size_t j = 0; j < listed_n && !drop; j++)
			drop = str_ieq(f.name, listed[j]);
		if (!drop)
			m->fields.v[to++] = f;
	}
	m->fields.n = to;
	return 0;
}

bool http_is_idempotent(struct str method)
{
	static const char *const names[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqz(method, names[i]))
			return true;
	return false;
}

bool http_is_token(struct str s)
{
	return s.n > 0 && chars_span(s.p, s.n, CHAR_TOKEN) == s.n;
}

bool http_is_field_value(struct str s)
{
	return chars_field_span(s.p, s.n) == s.n;
}

bool http_is_target(struct str s)
{
	return s.n > 0 && chars_span(s.p, s.n, CHAR_TARGET) == s.n;
}

bool http_name_disguises(struct str name, struct str real)
{
	if (name.n != real.n || str_ieq(name, real))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (real.p[i] != '-' && ascii_lower(name.p[i]) != real.p[i])
			return false;
	return true;
}

bool http_trailer_is_forbidden(struct str name)
{
	/* RFC 9110 6.5.1: framing, routing, request modifiers, authentication, response control,
	 * content. */
	static const char *const names[] = {
		"transfer-encoding",
		"content-length",
		"connection",
		"upgrade",
		"te",
		"trailer",
		"host",
		"expect",
		"cache-control",
		"max-forwards",
		"pragma",
		"range",
		"if-match",
		"if-none-match",
		"if-range",
		"if-modified-since",
		"if-unmodified-since",
		"authorization",
		"proxy-authorization",
		"www-authenticate",
		"proxy-authenticate",
		"cookie",
		"set-cookie",
		"age",
		"expires",
		"location",
		"retry-after",
		"vary",
		"content-encoding",
		"content-type",
		"content-range",
		"keep-alive",
		"proxy-connection",
		"x-api-key",
		"api-key",
		"x-goog-api-key",
		"private-token",
		NULL,
	};

	return name_in(name, names);
}

const char *http_reason(int status)
{
	/* RFC 9110 15, RFC 6585, RFC 8297, RFC 8470, RFC 7725 */
	static const struct {
		short status;
		const char *text;
	} reasons[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 103, "Early Hints" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 425, "Too Early" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 451, "Unavailable For Legal Reasons" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 511, "Network Authentication Required" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "";
}
