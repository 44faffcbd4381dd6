#include "http/h1.h"

#include "base/limits.h"
#include "http/chars.h"
#include "http/h1_fields.h"
#include "http/url.h"

/* --- where a section ends ------------------------------------------------------------------- */

/* Of the section in `data`; 0 when its empty line is not there yet. */
static ssize_t find_end(struct str data, bool is_head, size_t from, struct err *err)
{
	const char *const end = data.p + data.n;
	const char *p = data.p + from;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		size_t at = (size_t)(p - data.p);

		if (at == 0 || p[-1] != '\r')
			return err_set(err, E_BAD, "a line that ends in a bare line feed");
		p++;
		/* RFC 9112 2.2: one empty line may stand before a request line. */
		if (at == 1 ? !is_head : data.p[at - 2] == '\n')
			return (ssize_t)(at + 1);
	}
	return 0;
}

ssize_t h1_section_end(struct str data, bool is_head, size_t max, size_t *scanned, struct err *err)
{
	ssize_t n = find_end(data, is_head, *scanned, err);
	/* What follows the section may be a body and hold anything. */
	size_t len = n > 0 ? (size_t)n : data.n;

	if (n < 0)
		return -1;
	if (len > max)
		return err_set(err, E_LIMIT, "header fields of more than %zu bytes", max);
	if (str_chr(str_sub(data, 0, len), '\0', *scanned) >= 0)
		return err_set(err, E_BAD, "a NUL byte among the header fields");
	*scanned = data.n;
	return n;
}

ssize_t h1_head_end(struct str data, size_t *scanned, struct err *err)
{
	return h1_section_end(data, true, HTTP_HEAD_MAX, scanned, err);
}

/* --- fields --------------------------------------------------------------------------------- */

static int bad_field_line(const char *p, const char *colon, const char *end, struct err *err)
{
	if (*p == ' ' || *p == '\t')
		return err_set(err, E_BAD, "a folded header field"); /* RFC 9112 5.2 */
	if (colon == p)
		return err_set(err, E_BAD, "a header field without a name");
	if (colon < end && (*colon == ' ' || *colon == '\t')) /* RFC 9112 5.1 */
		return err_set(err, E_BAD, "white space after the field name %.*s",
			       STR_ARG(str_mem(p, (size_t)(colon - p))));
	return err_set(err, E_BAD, "a header line with the byte 0x%02x in its name",
		       colon < end ? (unsigned char)*colon : 0);
}

bool h1_next_field(struct str *rest, struct field *ret, struct err *err)
{
	const char *const end = rest->p + rest->n;
	const char *p = rest->p, *value, *stop;

	if (rest->n == 2 && p[0] == '\r' && p[1] == '\n')
		return false;
	if (rest->n == 0) {
		(void)err_set(err, E_BAD, "header fields without an empty line at their end");
		return false;
	}
	p += chars_span(p, rest->n, CHAR_TOKEN);
	if (p == end || *p != ':' || p == rest->p) {
		(void)bad_field_line(rest->p, p, end, err);
		return false;
	}
	ret->name = str_mem(rest->p, (size_t)(p - rest->p));
	value = p + 1;
	stop = value + chars_field_span(value, (size_t)(end - value));
	if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n') {
		(void)err_set(err, E_BAD, "the value of %.*s holds the byte 0x%02x",
			      STR_ARG(ret->name), stop < end ? (unsigned char)*stop : 0);
		return false;
	}
	ret->value = str_trim(str_mem(value, (size_t)(stop - value)));
	*rest = str_mem(stop + 2, (size_t)(end - stop - 2));
	return true;
}

/* What the fields say about framing and connection, gathered while they are read. */
struct notes {
	struct str length, coding, host, expect, upgrade;
	bool request, close, keep_alive, wants_upgrade;
};

static int note_once(struct str *slot, const struct field *f, struct err *err)
{
	if (slot->p)
		return err_set(err, E_BAD, "more than one %.*s", STR_ARG(f->name));
	*slot = f->value;
	return 0;
}

static int note_framing(const struct notes *n, struct str *slot, struct str name,
			const struct field *f, struct err *err)
{
	if (str_ieq(f->name, name))
		return note_once(slot, f, err);
	if (n->request && http_name_disguises(f->name, name))
		return err_set(err, E_BAD, "%.*s, which some read as %.*s", STR_ARG(f->name),
			       STR_ARG(name));
	return 0;
}

static void note_connection(struct notes *n, struct str list)
{
	struct str item;

	while (str_split(&list, ',', &item)) {
		item = str_trim(item);
		n->close |= str_ieq(item, STR("close"));
		n->keep_alive |= str_ieq(item, STR("keep-alive"));
		n->wants_upgrade |= str_ieq(item, STR("upgrade"));
	}
}

static int note_field(struct notes *n, const struct field *f, struct err *err)
{
	switch (f->name.n) { /* most names are none of these */
	case 4:
		return str_ieq(f->name, STR("host")) ? note_once(&n->host, f, err) : 0;
	case 6:
		if (str_ieq(f->name, STR("expect")))
			n->expect = f->value;
		return 0;
	case 7:
		if (str_ieq(f->name, STR("upgrade")) && !n->upgrade.p)
			n->upgrade = f->value;
		return 0;
	case 10:
		if (str_ieq(f->name, STR("connection")))
			note_connection(n, f->value);
		return 0;
	case 14:
		return note_framing(n, &n->length, STR("content-length"), f, err);
	case 17:
		return note_framing(n, &n->coding, STR("transfer-encoding"), f, err);
	default:
		return 0;
	}
}

static int parse_fields(struct str rest, struct msg *m, struct notes *notes, struct err *err)
{
	struct err local = ERR_INIT;
	struct field f;

	while (h1_next_field(&rest, &f, &local))
		if (msg_push(m, f.name, f.value, err) < 0 || note_field(notes, &f, err) < 0)
			return -1;
	if (local.code != E_NONE)
		return err_set(err, local.code, "%s", local.text);
	m->keep_alive = !notes->close && (m->version == HTTP_1_1 || notes->keep_alive);
	/* RFC 9110 7.8, 10.1.1: both mean nothing in HTTP/1.0. */
	if (m->version == HTTP_1_1 && notes->wants_upgrade)
		m->upgrade = notes->upgrade;
	m->expect_continue = m->version == HTTP_1_1 && str_ieq(notes->expect, STR("100-continue"));
	return 0;
}

/* RFC 9112 6.3, without the repairs it allows. BODY_NONE when no field frames a body. */
static int parse_framing(struct msg *m, const struct notes *notes, struct err *err)
{
	m->framing = BODY_NONE;
	if (notes->coding.p) {
		if (notes->length.p)
			return err_set(err, E_BAD, "both Content-Length and Transfer-Encoding");
		if (m->version == HTTP_1_0)
			return err_set(err, E_BAD, "Transfer-Encoding in HTTP/1.0");
		if (!str_ieq(notes->coding, STR("chunked")))
			return err_set(err, E_BAD, "a transfer coding other than chunked");
		m->framing = BODY_CHUNKED;
	} else if (notes->length.p) {
		/* int64: what every other parser on the way can hold */
		if (str_to_u64(notes->length, INT64_MAX, &m->length) < 0)
			return err_set(err, E_BAD, "Content-Length is not one number");
		m->framing = BODY_LENGTH;
	}
	return 0;
}

/* --- start lines ---------------------------------------------------------------------------- */

/* The first line off the front of *rest, without its CRLF. */
static int take_line(struct str *rest, struct str *ret, struct err *err)
{
	ssize_t at = str_chr(*rest, '\n', 0);

	if (at < 1 || rest->p[at - 1] != '\r')
		return err_set(err, E_BAD, "a head without a complete first line");
	if ((size_t)at > HTTP_LINE_MAX)
		return err_set(err, E_LIMIT, "a first line of more than %zu bytes", HTTP_LINE_MAX);
	*ret = str_sub(*rest, 0, (size_t)at - 1);
	*rest = str_from(*rest, (size_t)at + 1);
	return 0;
}

static int parse_version(struct str s, enum http_version *ret, struct err *err)
{
	if (str_eq(s, STR("HTTP/1.1")))
		*ret = HTTP_1_1;
	else if (str_eq(s, STR("HTTP/1.0")))
		*ret = HTTP_1_0;
	else
		return err_set(err, E_BAD, "the version is neither HTTP/1.1 nor HTTP/1.0");
	return 0;
}

static int parse_authority_form(struct msg *m, struct err *err)
{
	struct authority a;

	if (url_parse_authority(m->target, 0, &a, err) < 0)
		return err_wrap(err, "CONNECT");
	if (!a.has_port)
		return err_set(err, E_BAD, "CONNECT without a port");
	m->form = TARGET_AUTHORITY;
	m->authority = m->target;
	return 0;
}

static int parse_absolute_form(struct msg *m, struct err *err)
{
	struct url u;

	if (url_parse_absolute(m->target, &u, err) < 0)
		return -1;
	m->form = TARGET_ABSOLUTE;
	m->scheme = u.scheme;
	m->authority = u.authority_text;
	m->path = u.path;
	m->query = u.query;
	/* RFC 9112 3.2.4, 3.2.1: without path and query OPTIONS is about the server, others about
	 * "/". */
	if (m->path.n == 0)
		m->path = !u.query.p && str_eq(m->method, STR("OPTIONS")) ? STR("*") : STR("/");
	return 0;
}

static int parse_target(struct msg *m, struct err *err)
{
	if (str_eq(m->method, STR("CONNECT")))
		return parse_authority_form(m, err);
	if (str_eq(m->target, STR("*")) && str_eq(m->method, STR("OPTIONS"))) {
		m->form = TARGET_ASTERISK;
		m->path = m->target;
		return 0;
	}
	if (m->target.p[0] != '/')
		return parse_absolute_form(m, err);
	m->form = TARGET_ORIGIN;
	return url_split_target(m->target, &m->path, &m->query, err);
}

/* method SP request-target SP HTTP-version: RFC 9112 3 */
static int parse_request_line(struct str line, struct msg *m, struct err *err)
{
	size_t method = chars_span(line.p, line.n, CHAR_TOKEN);
	struct str rest = str_from(line, method);
	size_t target;

	if (method == 0 || rest.n == 0 || rest.p[0] != ' ')
		return err_set(err, E_BAD, "a request line that does not start with a method");
	m->method = str_sub(line, 0, method);
	rest = str_from(rest, 1);
	target = chars_span(rest.p, rest.n, CHAR_TARGET);
	if (target == 0 || target == rest.n || rest.p[target] != ' ')
		return err_set(err, E_BAD, "a request line without a proper target and version");
	m->target = str_sub(rest, 0, target);
	if (parse_version(str_from(rest, target + 1), &m->version, err) < 0)
		return -1;
	return parse_target(m, err);
}

/* HTTP-version SP status-code SP [ reason-phrase ]: RFC 9112 4 */
static int parse_status_line(struct str line, struct msg *m, struct err *err)
{
	struct str rest = str_from(line, 8);
	uint64_t status;

	if (parse_version(str_sub(line, 0, 8), &m->version, err) < 0)
		return -1;
	if (rest.n < 4 || rest.p[0] != ' ' || str_to_u64(str_sub(rest, 1, 3), 999, &status) < 0 ||
	    status < 100)
		return err_set(err, E_BAD, "a status line without a proper status");
	/* Servers that have no phrase often leave out the space before it as well: nothing hangs on
	 * it. */
	if (rest.n > 4 && rest.p[4] != ' ')
		return err_set(err, E_BAD, "a status line without a proper status");
	m->status = (int)status;
	m->reason = str_from(rest, 5);
	if (!http_is_field_value(m->reason))
		return err_set(err, E_BAD, "a status line with a control character");
	return 0;
}

/* --- messages ------------------------------------------------------------------------------- */

static int copy_head(struct str head, struct msg *m, struct str *ret, struct err *err)
{
	*ret = arena_str(m->arena, head);
	if (!ret->p)
		return err_set(err, E_LIMIT, "the head needs too much memory");
	return 0;
}

static int check_host(struct msg *m, const struct notes *notes, struct err *err)
{
	struct authority a;

	m->host = notes->host;
	if (!m->host.p)
		return m->version == HTTP_1_0 ? 0 : err_set(err, E_BAD, "no Host");
	if (url_parse_authority(m->host, 0, &a, err) < 0)
		return err_wrap(err, "Host");
	return 0;
}

int h1_parse_request(struct str head, struct msg *m, struct err *err)
{
	struct notes notes = { .request = true };
	struct str rest, line;

	m->is_response = false;
	if (copy_head(head, m, &rest, err) < 0)
		return -1;
	if (str_starts(rest, STR("\r\n")))
		rest = str_from(rest, 2);
	if (take_line(&rest, &line, err) < 0 || parse_request_line(line, m, err) < 0 ||
	    parse_fields(rest, m, &notes, err) < 0 || check_host(m, &notes, err) < 0 ||
	    parse_framing(m, &notes, err) < 0)
		return -1;
	/* RFC 9110 9.3.6: what follows a CONNECT is the tunnel; an announced body would hide its
	 * start. */
	if (m->form == TARGET_AUTHORITY) {
		if (m->framing == BODY_CHUNKED || m->length > 0)
			return err_set(err, E_BAD, "CONNECT with a body");
		m->framing = BODY_NONE;
	}
	return 0;
}

int h1_parse_response(struct str head, struct str request_method, struct msg *m, struct err *err)
{
	struct notes notes = { .request = false };
	struct str rest, line;
	bool bodyless;

	m->is_response = true;
	if (copy_head(head, m, &rest, err) < 0 || take_line(&rest, &line, err) < 0 ||
	    parse_status_line(line, m, err) < 0 || parse_fields(rest, m, &notes, err) < 0 ||
	    parse_framing(m, &notes, err) < 0)
		return -1;
	/* RFC 9112 6.3, points 1 and 2 */
	bodyless = m->status < 200 || m->status == 204 || m->status == 304 ||
		   str_eq(request_method, STR("HEAD")) ||
		   (str_eq(request_method, STR("CONNECT")) && m->status / 100 == 2);
	if (bodyless) {
		/* RFC 9112 6.1, RFC 9110 8.6: such a server may send the body all the same. */
		if ((m->status < 200 || m->status == 204) && (notes.coding.p || m->length > 0))
			m->keep_alive = false;
		m->framing = BODY_NONE;
		m->length = 0;
	} else if (m->framing == BODY_NONE) {
		m->framing = BODY_UNTIL_CLOSE;
		m->keep_alive = false;
	}
	return 0;
}
