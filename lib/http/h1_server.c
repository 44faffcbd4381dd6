#include "http/h1_conn.h"

#include "base/limits.h"
#include "http/h1_conn_impl.h"

static void first_byte(struct h1_conn *c)
{
	/* The first head's time began with the connection. */
	if (c->used > 0)
		c->since = loop_now(c->loop);
	h1_conn_open(c);
}

/* Answered at most, never read further: where the next request would start nobody knows. */
static void bad_head(struct h1_conn *c, const struct err *err)
{
	c->in_state = IN_BAD;
	c->close_after = true;
	c->announced = true;
	/* Whatever was read of the head before it went wrong is not to be believed. */
	msg_init(&c->msg, &c->arena);
	c->msg.version = HTTP_1_1;
	c->server->on_bad_request(c->arg, &c->stream, err);
	if (c->phase == H1_OPEN && c->out_state == OUT_HEAD)
		h1_conn_fail(c, err);
}

/* To a request with a body the answer would come before or after that body, and nobody knows which.
 */
static bool may_switch(const struct h1_conn *c)
{
	return c->msg.upgrade.n > 0 && c->body.state == H1_BODY_DONE;
}

static void head(struct h1_conn *c, size_t n)
{
	struct err err = ERR_INIT;
	int rc = h1_parse_request(str_sub(c->data, 0, n), &c->msg, &err);

	h1_input_consume(c, n);
	if (rc < 0) {
		bad_head(c, &err);
		return;
	}
	if (str_eq(c->msg.method, STR("HEAD")))
		c->method = METHOD_HEAD;
	else if (c->msg.form == TARGET_AUTHORITY)
		c->method = METHOD_CONNECT;
	h1_body_init(&c->body, &c->msg);
	c->in_state = may_switch(c) ? IN_HELD : IN_BODY;
	c->announced = true;
	c->server->on_request(c->arg, &c->stream, &c->msg);
}

/*
 * Is the request received, or so nearly that it costs nothing to read past the rest? If not, the
 * connection ends with this exchange: a refused upload must not be read to its end.
 */
static bool request_is_here(const struct h1_conn *c)
{
	if (c->in_state == IN_DONE)
		return true;
	/* What came before the switch was granted is no request and must not be taken for one. */
	if (c->in_state == IN_HELD && c->msg.upgrade.n > 0 &&
	    (h1_input_left(c) > 0 || filter_pending(c->f)))
		return false;
	return (c->in_state == IN_BODY || c->in_state == IN_HELD) &&
	       (c->body.state == H1_BODY_DONE ||
		(c->body.framing == BODY_LENGTH && c->body.left <= h1_input_left(c)));
}

/* How the body goes to this client; sets out->framing as it is to be announced. */
static void choose_framing(struct h1_conn *c, const struct msg *m, struct msg *out)
{
	const bool tunnel = c->method == METHOD_CONNECT && m->status / 100 == 2;

	c->out_mute = tunnel || c->method == METHOD_HEAD || m->status == 204 || m->status == 304;
	if (tunnel) {
		out->framing = BODY_NONE;
		c->close_after = true;
	} else if (!c->out_mute && m->framing == BODY_NONE) {
		/* Without a length it would last until the close. */
		out->framing = BODY_LENGTH;
		out->length = 0;
	} else if (!c->out_mute && m->framing != BODY_LENGTH) {
		/* RFC 9112 6.1, 6.3: HTTP/1.0 knows no chunks; a later client is better told the
		 * end. */
		out->framing = c->msg.version == HTTP_1_0 ? BODY_UNTIL_CLOSE : BODY_CHUNKED;
		if (out->framing == BODY_UNTIL_CLOSE)
			c->close_after = true;
	}
	c->out_framing = out->framing;
	c->out_left = out->length;
}

static const char *connection_option(const struct h1_conn *c, const struct msg *m)
{
	if (c->method == METHOD_CONNECT && m->status / 100 == 2)
		return NULL;
	if (c->close_after)
		return "close";
	return c->msg.version == HTTP_1_0 ? "keep-alive" : NULL;
}

static int write_switch(struct h1_conn *c, const struct msg *m, struct err *err)
{
	if (c->in_state != IN_HELD || c->msg.upgrade.n == 0)
		return err_set(err, E_BAD, "a switch of protocols that was not asked for");
	if (h1_write_response(&c->out, m, "upgrade", err) < 0)
		return -1;
	h1_conn_switch(c);
	c->out_state = OUT_BODY;
	return 0;
}

static int write_head(struct h1_conn *c, const struct msg *m, struct err *err)
{
	struct msg out = *m;

	if (m->status < 200 && m->status != 101) {
		/* RFC 9110 15.2: an HTTP/1.0 client would take it for the answer. */
		if (c->msg.version == HTTP_1_0)
			return 0;
		return h1_write_response(&c->out, m, NULL, err);
	}
	if (m->status == 101)
		return write_switch(c, m, err);
	if (c->draining || !c->msg.keep_alive || !request_is_here(c))
		c->close_after = true;
	choose_framing(c, m, &out);
	if (h1_write_response(&c->out, &out, connection_option(c, m), err) < 0)
		return -1;
	c->out_state = OUT_BODY;
	return 0;
}

/* As net/http of Go does: nobody is left to answer to, so the upstream need not work on. */
static void eof_after_message(struct h1_conn *c)
{
	struct err err = ERR_INIT;

	(void)err_set(&err, E_IO, "the client closed the connection");
	h1_conn_fail(c, &err);
}

static bool over(const struct h1_conn *c)
{
	return c->in_state == IN_DONE || c->close_after;
}

static void idle(struct h1_conn *c)
{
	(void)c;
}

static void closed(struct h1_conn *c, const struct err *err)
{
	c->server->on_closed(c->arg, err);
}

struct h1_conn *h1_server_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			      const struct h1_server_handler *h, void *arg)
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

	c->server = h;
	return c;
}
