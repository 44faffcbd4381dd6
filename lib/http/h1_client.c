#include "http/h1_conn.h"

#include "base/limits.h"
#include "http/h1_conn_impl.h"

static void bad_head(struct h1_conn *c, const struct err *err)
{
	h1_conn_fail(c, err);
}

/* RFC 9112 9.2: nothing was asked, so it is the answer to nothing. */
static void first_byte(struct h1_conn *c)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, E_IO, "the server sent bytes on an idle connection");
	h1_conn_fail(c, &err);
}

static struct str method_name(const struct h1_conn *c)
{
	if (c->method == METHOD_HEAD)
		return STR("HEAD");
	return c->method == METHOD_CONNECT ? STR("CONNECT") : STR("GET");
}

static int read_head(struct h1_conn *c, size_t n, struct err *err)
{
	int rc;

	/* An interim head is forgotten when the next one comes. */
	arena_reset(&c->arena);
	msg_init(&c->msg, &c->arena);
	rc = h1_parse_response(str_sub(c->data, 0, n), method_name(c), &c->msg, err);
	h1_input_consume(c, n);
	if (rc < 0)
		return -1;
	if (c->out_state == OUT_HEAD)
		return err_set(err, E_BAD, "a response before any request");
	if (c->msg.status == 101 && !c->upgrade_asked)
		return err_set(err, E_BAD, "a switch of protocols that was not asked for");
	if (c->msg.status < 200 && c->msg.status != 101 && ++c->interims > HTTP_INTERIM_MAX)
		return err_set(err, E_LIMIT, "more than %d interim responses", HTTP_INTERIM_MAX);
	return 0;
}

static void head(struct h1_conn *c, size_t n)
{
	struct err err = ERR_INIT;
	int status;

	if (read_head(c, n, &err) < 0) {
		h1_conn_fail(c, &err);
		return;
	}
	status = c->msg.status;
	if (status == 101) {
		h1_conn_switch(c);
	} else if (c->method == METHOD_CONNECT && status / 100 == 2) {
		c->in_state = IN_TUNNEL;
		c->close_after = true;
	} else if (status >= 200) {
		c->in_state = IN_BODY;
		h1_body_init(&c->body, &c->msg);
	}
	/* After an interim answer that announces a body as well: who knows what follows it. */
	if (status != 101 && !c->msg.keep_alive)
		c->close_after = true;
	if (c->stream.handler->on_head)
		c->stream.handler->on_head(c->stream.arg, &c->msg);
}

static int write_head(struct h1_conn *c, const struct msg *m, struct err *err)
{
	const char *connection = m->upgrade.n > 0 ? "upgrade" : c->close_after ? "close" : NULL;

	if (h1_write_request(&c->out, m, connection, err) < 0)
		return -1;
	if (str_eq(m->method, STR("HEAD")))
		c->method = METHOD_HEAD;
	else if (m->form == TARGET_AUTHORITY)
		c->method = METHOD_CONNECT;
	c->upgrade_asked = m->upgrade.n > 0;
	c->out_framing = m->framing;
	c->out_left = m->length;
	c->out_state = OUT_BODY;
	return 0;
}

/* The answer is complete, so the rest of the request is of no use to anybody. */
static void eof_after_message(struct h1_conn *c)
{
	c->out_broken = c->close_after = true;
	buf_clear(&c->out);
}

static bool over(const struct h1_conn *c)
{
	return c->in_state == IN_DONE;
}

static void idle(struct h1_conn *c)
{
	c->client->on_idle(c->arg);
}

static void closed(struct h1_conn *c, const struct err *err)
{
	c->client->on_closed(c->arg, err);
}

struct h1_conn *h1_client_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h1_client_handler *h, void *arg)
{
	static const struct h1_role role = {
		.first_byte = first_byte,
		.head = head,
		.bad_head = bad_head,
		.write_head = write_head,
		.eof_after_message = eof_after_message,
		.over = over,
		.idle = idle,
		.closed = closed,
	};
	struct h1_conn *c = h1_conn_new(l, f, t, &role, arg);

	c->client = h;
	return c;
}

struct stream *h1_client_start(struct h1_conn *c, const struct stream_handler *h, void *arg)
{
	h1_conn_open(c);
	c->announced = true;
	stream_handle(&c->stream, h, arg);
	return &c->stream;
}

unsigned h1_client_used(const struct h1_conn *c)
{
	return c->used;
}
