/*
 * HTTP/1.1 messages beside llhttp, which is Node's parser and so one of those that may stand next
 * in the chain. What we accept it accepts, strict as it is by default, and takes for the same:
 * start line, fields, keep-alive, upgrade, body, trailers and where the message ends. Every
 * exception is named below; none of them moves the end of a message that another one follows.
 *
 * The first byte of the input chooses what is parsed: a request, or a response and to what method.
 */
#include <llhttp.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* One message as one of the two sees it. */
struct reading {
	struct arena arena;
	struct msg head, trailers;
	struct buf body;
	bool head_done, complete;
	size_t used; /* complete: bytes up to the end of the message */
};

static void reading_init(struct reading *r)
{
	*r = (struct reading){ .used = 0 };
	arena_init(&r->arena, MIB(4));
	msg_init(&r->head, &r->arena);
	msg_init(&r->trailers, &r->arena);
	buf_init(&r->body, MIB(4));
}

static void reading_fini(struct reading *r)
{
	arena_fini(&r->arena);
	buf_fini(&r->body);
}

/* --- ours ----------------------------------------------------------------------------------- */

static void read_body(struct reading *r, struct str in)
{
	struct h1_body body;
	enum h1_step step;

	h1_body_init(&body, &r->head);
	do {
		struct str piece = STR_NONE, rest = str_from(in, r->used);
		size_t used = 0;

		step = h1_body_next(&body, rest, &piece, &used, &r->trailers, NULL);
		r->used += used;
		if (step == H1_PIECE)
			CHECK(buf_add(&r->body, piece, NULL) == 0);
	} while (step == H1_PIECE);
	r->complete = step == H1_END;
	r->head_done = step != H1_BAD;
}

/* .head_done: the head, and what there is of the body, was accepted. */
static void read_ours(struct reading *r, struct str in, const char *method)
{
	size_t scanned = 0;
	ssize_t n = h1_head_end(in, &scanned, NULL);
	struct str head;

	if (n <= 0)
		return;
	head = str_sub(in, 0, (size_t)n);
	if ((method ? h1_parse_response(head, str_of(method), &r->head, NULL)
		    : h1_parse_request(head, &r->head, NULL)) < 0)
		return;
	r->used = (size_t)n;
	read_body(r, in);
}

/* --- llhttp's ------------------------------------------------------------------------------- */

struct peer {
	llhttp_t llhttp; /* first: what the callbacks get */
	struct reading r;
	struct buf text, name;
	const char *method;
	bool upgrade;
};

static struct peer *peer_of(llhttp_t *p)
{
	return (struct peer *)p;
}

static int on_text(llhttp_t *p, const char *at, size_t n)
{
	return buf_add(&peer_of(p)->text, str_mem(at, n), NULL);
}

static struct str take_text(struct peer *peer)
{
	struct str s = arena_str(&peer->r.arena, buf_str(&peer->text));

	CHECK(s.p || peer->text.len == 0);
	buf_clear(&peer->text);
	return s;
}

static int on_method(llhttp_t *p)
{
	peer_of(p)->r.head.method = take_text(peer_of(p));
	return 0;
}

static int on_target(llhttp_t *p)
{
	peer_of(p)->r.head.target = take_text(peer_of(p));
	return 0;
}

static int on_reason(llhttp_t *p)
{
	peer_of(p)->r.head.reason = take_text(peer_of(p));
	return 0;
}

static int on_version(llhttp_t *p)
{
	const int version = p->http_major * 10 + p->http_minor;

	CHECK(take_text(peer_of(p)).n == 3);
	peer_of(p)->r.head.version = version == 11 ? HTTP_1_1 : version == 10 ? HTTP_1_0 : HTTP_2;
	return 0;
}

static int on_name(llhttp_t *p)
{
	struct peer *peer = peer_of(p);

	buf_clear(&peer->name);
	CHECK(buf_add(&peer->name, buf_str(&peer->text), NULL) == 0);
	buf_clear(&peer->text);
	return 0;
}

static int on_value(llhttp_t *p)
{
	struct peer *peer = peer_of(p);
	struct msg *m = peer->r.head_done ? &peer->r.trailers : &peer->r.head;
	struct str name = arena_str(&peer->r.arena, buf_str(&peer->name));

	CHECK(msg_push(m, name, str_trim(take_text(peer)), NULL) == 0);
	return 0;
}

/* What llhttp cannot know itself: the request's method, and that 1xx, 204 and 304 have no body even
 * if they announce one (RFC 9112 6.3). */
static int on_head(llhttp_t *p)
{
	struct peer *peer = peer_of(p);
	const int status = p->status_code;

	peer->r.head_done = true;
	peer->r.head.status = status;
	peer->r.head.keep_alive = llhttp_should_keep_alive(p);
	peer->upgrade = p->upgrade;
	if (!peer->method)
		return 0;
	if (strcmp(peer->method, "CONNECT") == 0 && status / 100 == 2)
		return 2;
	return strcmp(peer->method, "HEAD") == 0 || status / 100 == 1 || status == 204 ||
	       status == 304;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	return buf_add(&peer_of(p)->r.body, str_mem(at, n), NULL);
}

static int on_complete(llhttp_t *p)
{
	peer_of(p)->r.complete = true;
	/* Once more, now that it knows what on_head has told it of the body. */
	peer_of(p)->r.head.keep_alive = llhttp_should_keep_alive(p);
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_method = on_text,
	.on_method_complete = on_method,
	.on_url = on_text,
	.on_url_complete = on_target,
	.on_version = on_text,
	.on_version_complete = on_version,
	.on_status = on_text,
	.on_status_complete = on_reason,
	.on_header_field = on_text,
	.on_header_field_complete = on_name,
	.on_header_value = on_text,
	.on_header_value_complete = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static llhttp_errno_t read_theirs(struct peer *peer, struct str in, const char *method)
{
	llhttp_errno_t rc;

	*peer = (struct peer){ .method = method };
	reading_init(&peer->r);
	buf_init(&peer->text, MIB(4));
	buf_init(&peer->name, MIB(4));
	llhttp_init(&peer->llhttp, method ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
	rc = llhttp_execute(&peer->llhttp, in.p, in.n);
	if (peer->r.complete)
		peer->r.used = (size_t)(llhttp_get_error_pos(&peer->llhttp) - in.p);
	return rc;
}

static void peer_fini(struct peer *peer)
{
	reading_fini(&peer->r);
	buf_fini(&peer->text);
	buf_fini(&peer->name);
}

/* --- both ----------------------------------------------------------------------------------- */

/* llhttp has a list of methods; to any other there is no second opinion. */
static bool knows_method(struct str method)
{
	static const char *const names[] = {
#define NAME(number, name, text) #text,
		HTTP_METHOD_MAP(NAME)
#undef NAME
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eqz(method, names[i]))
			return !str_eqz(method, "PRI") && !str_eqz(method, "SOURCE");
	return false;
}

/*
 * A tab in or behind a field of framing or connection. White space it is (RFC 9110 5.6.3), but
 * llhttp knows only SP there. We write these fields anew, without any.
 */
static bool has_tab(const struct field *f)
{
	static const char *const names[] = { "connection", "content-length", "transfer-encoding" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_ieqz(f->name, names[i]))
			/* What was trimmed off is still there, in the copy of the head. */
			for (const char *p = f->value.p; *p != '\r'; p++)
				if (*p == '\t')
					return true;
	return false;
}

static bool is_comparable(const struct msg *m)
{
	for (size_t i = 0; i < m->fields.n; i++)
		if (has_tab(&m->fields.v[i]))
			return false;
	return m->is_response || knows_method(m->method);
}

static void check_fields(const struct fields *ours, const struct fields *theirs)
{
	CHECK(ours->n == theirs->n);
	for (size_t i = 0; i < ours->n; i++)
		CHECK(str_eq(ours->v[i].name, theirs->v[i].name) &&
		      str_eq(ours->v[i].value, theirs->v[i].value));
}

static void check_head(const struct msg *ours, const struct peer *peer)
{
	const struct msg *theirs = &peer->r.head;

	CHECK(ours->version == theirs->version);
	CHECK(str_eq(ours->method, theirs->method) && str_eq(ours->target, theirs->target));
	CHECK(ours->status == theirs->status && str_eq(ours->reason, theirs->reason));
	check_fields(&ours->fields, &theirs->fields);
	/* A connection that they would close we do not use again. But they count Proxy-Connection
	 * for a Connection, which it never was (RFC 9112 C.2.2); here it ends. */
	CHECK(!ours->keep_alive || theirs->keep_alive || msg_count(ours, "proxy-connection") > 0);
	CHECK(ours->upgrade.n == 0 || peer->upgrade || ours->is_response);
}

static void compare(const struct reading *ours, const struct peer *peer, llhttp_errno_t rc)
{
	CHECK(rc == HPE_OK || rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE);
	CHECK(peer->r.head_done);
	check_head(&ours->head, peer);
	CHECK(ours->complete == peer->r.complete);
	CHECK(!ours->complete || ours->used == peer->r.used);
	CHECK(str_eq(buf_str(&ours->body), buf_str(&peer->r.body)));
	if (ours->complete)
		check_fields(&ours->trailers.fields, &peer->r.trailers.fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { NULL, NULL, "GET", "HEAD", "CONNECT" };
	struct reading ours;
	const char *method;
	struct str in;

	if (size < 1)
		return 0;
	method = methods[data[0] % ARRAY_LEN(methods)];
	in = str_mem(data + 1, size - 1);
	reading_init(&ours);
	read_ours(&ours, in, method);
	if (ours.head_done && is_comparable(&ours.head)) {
		struct peer peer;
		/* What we have not read yet we have not accepted either. */
		struct str read = ours.complete ? in : str_sub(in, 0, ours.used);
		llhttp_errno_t rc = read_theirs(&peer, read, method);

		compare(&ours, &peer, rc);
		peer_fini(&peer);
	}
	reading_fini(&ours);
	return 0;
}
