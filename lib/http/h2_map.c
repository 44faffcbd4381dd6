/* What comes in. */
#include "http/h2_map.h"

#include "base/limits.h"
#include "http/chars.h"
#include "http/url.h"

#define FIELD_OVERHEAD 32 /* RFC 9113 6.5.2 */

void h2_head_init(struct h2_head *h, enum h2_section section, struct msg *m)
{
	*h = (struct h2_head){ .section = section, .m = m };
	buf_init(&h->cookie, HTTP_HEAD_MAX);
	m->version = HTTP_2;
	m->is_response = section == H2_RESPONSE;
}

void h2_head_fini(struct h2_head *h)
{
	buf_fini(&h->cookie);
}

/* --- one field ------------------------------------------------------------------------------ */

static int copy(struct h2_head *h, struct str s, struct str *ret, struct err *err)
{
	*ret = arena_str(h->m->arena, s);
	return ret->p ? 0 : err_set(err, E_LIMIT, "the header fields need too much memory");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int check_value(struct str name, struct str value, struct err *err)
{
	if (!http_is_field_value(value))
		return err_set(err, E_BAD, "the value of %.*s holds a byte that no field may hold",
			       STR_ARG(name));
	if (value.n > 0 && (is_blank(value.p[0]) || is_blank(value.p[value.n - 1])))
		return err_set(err, E_BAD, "the value of %.*s has white space at an end",
			       STR_ARG(name));
	return 0;
}

/* RFC 9113 8.3, 8.3.1, 8.3.2; RFC 8441 4. Each value has a grammar of its own, seen to below. */
static int take_pseudo(struct h2_head *h, struct str name, struct str value, struct err *err)
{
	static const struct {
		const char *name;
		enum h2_section section;
	} known[H2_PSEUDO_COUNT] = {
		[H2_METHOD] = { ":method", H2_REQUEST },
		[H2_SCHEME] = { ":scheme", H2_REQUEST },
		[H2_AUTHORITY] = { ":authority", H2_REQUEST },
		[H2_PATH] = { ":path", H2_REQUEST },
		[H2_PROTOCOL] = { ":protocol", H2_REQUEST },
		[H2_STATUS] = { ":status", H2_RESPONSE },
	};

	if (h->regular)
		return err_set(err, E_BAD, "a pseudo-header field behind others");
	for (size_t i = 0; i < H2_PSEUDO_COUNT; i++) {
		if (!str_eqz(name, known[i].name) || known[i].section != h->section)
			continue;
		if (h->pseudo[i].p)
			return err_set(err, E_BAD, "more than one %s", known[i].name);
		return copy(h, value, &h->pseudo[i], err);
	}
	return err_set(err, E_BAD, "a pseudo-header field that has no place here");
}

static int check_name(struct str name, struct err *err)
{
	if (!http_is_token(name))
		return err_set(err, E_BAD, "'%.*s' is not a field name", STR_ARG(name));
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			return err_set(err, E_BAD, "a field name in upper case"); /* 8.2.1 */
	return 0;
}

/* RFC 9113 8.2.2 */
static int check_connection(const struct h2_head *h, struct str name, struct str value,
			    struct err *err)
{
	static const char *const names[] = { "connection", "proxy-connection", "keep-alive",
					     "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eqz(name, names[i]))
			return err_set(err, E_BAD, "%s in HTTP/2", names[i]);
	if (h->section == H2_REQUEST && (http_name_disguises(name, STR("content-length")) ||
					 http_name_disguises(name, STR("transfer-encoding"))))
		return err_set(err, E_BAD, "%.*s, which some read with hyphens", STR_ARG(name));
	if (str_eqz(name, "te") && !str_ieqz(value, "trailers"))
		return err_set(err, E_BAD, "TE says more than trailers");
	return 0;
}

/* Host: one, and not another than :authority (RFC 9113 8.3.1). True when it is kept. */
static int take_host(struct h2_head *h, struct str value, bool *ret_keep, struct err *err)
{
	const uint16_t port = str_ieqz(h->pseudo[H2_SCHEME], "http") ? 80 : 443;
	struct authority a, b;

	*ret_keep = !h->m->host.p;
	if (!*ret_keep && !h->pseudo[H2_AUTHORITY].p)
		return err_set(err, E_BAD, "more than one host");
	if (url_parse_authority(value, port, &a, err) < 0)
		return err_wrap(err, "host");
	if (!*ret_keep &&
	    (url_parse_authority(h->m->host, port, &b, err) < 0 || !authority_eq(&a, &b)))
		return err_set(err, E_BAD, "host is not :authority");
	return 0;
}

static int take_cookie(struct h2_head *h, struct str value, struct err *err)
{
	if (h->cookie_at > 0)
		return buf_addz(&h->cookie, "; ", err) < 0 || buf_add(&h->cookie, value, err) < 0
			       ? -1
			       : 0;
	if (buf_add(&h->cookie, value, err) < 0 || msg_push(h->m, STR("cookie"), STR(""), err) < 0)
		return -1;
	h->cookie_at = h->m->fields.n;
	return 0;
}

static int keep(struct h2_head *h, struct str name, struct str value, struct err *err)
{
	struct str n, v;

	if (copy(h, name, &n, err) < 0 || copy(h, value, &v, err) < 0 ||
	    msg_push(h->m, n, v, err) < 0)
		return -1;
	if (h->section == H2_REQUEST && str_eqz(n, "host"))
		h->m->host = v;
	if (str_eqz(n, "content-length")) {
		if (h->length.p)
			return err_set(err, E_BAD, "more than one content-length");
		h->length = v;
	}
	if (str_eqz(n, "expect"))
		h->m->expect_continue = str_ieqz(v, "100-continue");
	return 0;
}

/* The first place among the fields is Host's, as most clients write it in HTTP/1.1. */
static int begin_regular(struct h2_head *h, struct err *err)
{
	const struct str authority = h->pseudo[H2_AUTHORITY];
	struct authority a;

	if (h->regular)
		return 0;
	h->regular = true;
	if (!authority.p)
		return 0;
	if (url_parse_authority(authority, 0, &a, err) < 0)
		return err_wrap(err, ":authority");
	h->m->host = authority;
	return msg_push(h->m, STR("Host"), authority, err);
}

static int take_regular(struct h2_head *h, struct str name, struct str value, struct err *err)
{
	bool kept = true;

	if (check_name(name, err) < 0 || begin_regular(h, err) < 0 ||
	    check_value(name, value, err) < 0 || check_connection(h, name, value, err) < 0)
		return -1;
	if (h->section == H2_TRAILERS) {
		if (http_trailer_is_forbidden(name))
			return err_set(err, E_BAD, "%.*s in a trailer section", STR_ARG(name));
		return keep(h, name, value, err);
	}
	if (h->section == H2_REQUEST && str_eqz(name, "cookie"))
		return take_cookie(h, value, err);
	if (h->section == H2_REQUEST && str_eqz(name, "host") &&
	    take_host(h, value, &kept, err) < 0)
		return -1;
	return kept ? keep(h, name, value, err) : 0;
}

void h2_head_field(struct h2_head *h, struct str name, struct str value)
{
	const size_t max = h->section == H2_TRAILERS ? HTTP_TRAILER_MAX : HTTP_HEAD_MAX;

	h->size += name.n + value.n + FIELD_OVERHEAD;
	if (h->err.code != E_NONE)
		return;
	if (h->size > max)
		(void)err_set(&h->err, E_LIMIT, "header fields of more than %zu bytes", max);
	else if (name.n > 0 && name.p[0] == ':')
		(void)take_pseudo(h, name, value, &h->err);
	else
		(void)take_regular(h, name, value, &h->err);
}

/* --- the whole section ---------------------------------------------------------------------- */

static int finish_cookie(struct h2_head *h, struct err *err)
{
	if (h->cookie_at == 0)
		return 0;
	return copy(h, buf_str(&h->cookie), &h->m->fields.v[h->cookie_at - 1].value, err);
}

/* RFC 9113 8.1.1 */
static int finish_framing(struct h2_head *h, bool end_stream, struct err *err)
{
	struct msg *m = h->m;

	m->keep_alive = true;
	m->framing = end_stream ? BODY_NONE : BODY_CHUNKED;
	if (!h->length.p)
		return 0;
	if (str_to_u64(h->length, INT64_MAX, &m->length) < 0)
		return err_set(err, E_BAD, "content-length is not one number");
	m->framing = BODY_LENGTH;
	return 0;
}

/* Without this END_STREAM right after a head would cut its body. */
static int check_end(const struct msg *m, bool end_stream, struct err *err)
{
	if (end_stream && m->length > 0)
		return err_set(err, E_BAD, "a body shorter than announced");
	return 0;
}

/* RFC 9113 8.5: a tunnel to :authority */
static int finish_connect(struct h2_head *h, struct err *err)
{
	struct msg *m = h->m;
	struct authority a;

	if (h->pseudo[H2_SCHEME].p || h->pseudo[H2_PATH].p)
		return err_set(err, E_BAD, "CONNECT with :scheme or :path");
	if (url_parse_authority(m->host, 0, &a, err) < 0)
		return err_wrap(err, "CONNECT");
	if (!a.has_port)
		return err_set(err, E_BAD, "CONNECT without a port");
	if (h->length.p)
		return err_set(err, E_BAD, "CONNECT with a body");
	m->form = TARGET_AUTHORITY;
	m->target = m->authority;
	return 0;
}

static int finish_path(struct h2_head *h, struct err *err)
{
	struct msg *m = h->m;

	m->target = h->pseudo[H2_PATH];
	if (m->target.n > HTTP_LINE_MAX)
		return err_set(err, E_LIMIT, "a :path of more than %zu bytes", HTTP_LINE_MAX);
	if (str_eqz(m->target, "*") && str_eqz(m->method, "OPTIONS")) {
		m->form = TARGET_ASTERISK;
		m->path = m->target;
		return 0;
	}
	m->form = TARGET_ORIGIN;
	return url_split_target(m->target, &m->path, &m->query, err);
}

static int finish_protocol(struct h2_head *h, struct err *err)
{
	if (!h->pseudo[H2_PROTOCOL].p)
		return 0;
	if (!str_eqz(h->m->method, "CONNECT"))
		return err_set(err, E_BAD, ":protocol without CONNECT");
	if (!http_is_token(h->pseudo[H2_PROTOCOL]) || !h->pseudo[H2_AUTHORITY].p)
		return err_set(err, E_BAD, "an extended CONNECT that is not complete");
	if (h->length.p)
		return err_set(err, E_BAD, "CONNECT with a body");
	h->m->upgrade = h->pseudo[H2_PROTOCOL];
	h->m->extended_connect = true;
	h->m->method = STR("GET");
	return 0;
}

static int finish_request(struct h2_head *h, struct err *err)
{
	struct msg *m = h->m;

	m->method = h->pseudo[H2_METHOD];
	m->scheme = h->pseudo[H2_SCHEME];
	m->authority = h->pseudo[H2_AUTHORITY];
	m->query = STR_NONE;
	if (!http_is_token(m->method))
		return err_set(err, E_BAD, "no proper :method");
	if (!m->host.p)
		return err_set(err, E_BAD, "neither :authority nor host");
	if (finish_protocol(h, err) < 0)
		return -1;
	if (str_eqz(m->method, "CONNECT"))
		return finish_connect(h, err);
	if (!str_ieqz(m->scheme, "https") && !str_ieqz(m->scheme, "http"))
		return err_set(err, E_BAD, "a :scheme that is neither http nor https");
	return finish_path(h, err);
}

static int finish_response(struct h2_head *h, bool end_stream, struct str method, struct err *err)
{
	const struct str text = h->pseudo[H2_STATUS];
	struct msg *m = h->m;
	uint64_t status;

	if (text.n != 3 || str_to_u64(text, 999, &status) < 0 || status < 100)
		return err_set(err, E_BAD, "no proper :status");
	m->status = (int)status;
	m->reason = str_of(http_reason(m->status));
	if (status == 101) /* RFC 9113 8.6 */
		return err_set(err, E_BAD, "a switch of protocols in HTTP/2");
	if (status < 200 && end_stream)
		return err_set(err, E_BAD, "an interim response that ends its stream");
	/* RFC 9110 6.4.1: what is announced to HEAD and by 304 is in the field only. */
	if (status < 200 || status == 204 || status == 304 || str_eqz(method, "HEAD")) {
		m->framing = BODY_NONE;
		m->length = 0;
	}
	return 0;
}

int h2_head_finish(struct h2_head *h, bool end_stream, struct str method, struct err *err)
{
	if (h->err.code == E_NONE && begin_regular(h, &h->err) == 0 &&
	    finish_cookie(h, &h->err) == 0 && h->section != H2_TRAILERS &&
	    finish_framing(h, end_stream, &h->err) == 0) {
		int rc = h->section == H2_REQUEST ? finish_request(h, &h->err)
						  : finish_response(h, end_stream, method, &h->err);

		if (rc == 0)
			(void)check_end(h->m, end_stream, &h->err);
	}
	if (h->section == H2_TRAILERS && h->err.code == E_NONE && !end_stream)
		(void)err_set(&h->err, E_BAD, "a trailer section that does not end its stream");
	return h->err.code == E_NONE ? 0 : err_set(err, h->err.code, "%s", h->err.text);
}
