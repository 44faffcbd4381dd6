/*
 * WebSocket. Judged, given its credential and noted as one event like any other exchange. What
 * differs: whatever the client speaks, the upstream gets a handshake of HTTP/1.1, on a connection
 * that carries nothing after it; and a credential that comes back is looked for in frames.
 */
#include "proxy/exchange_impl.h"

int exchange_ws_request(struct exchange *x, struct err *err)
{
	struct msg *m = x->req;

	/* A compressed credential could not be masked. */
	if (x->verdict.route->auth != AUTH_NONE)
		(void)msg_remove(m, "sec-websocket-extensions");
	if (m->extended_connect && ws_set_key(m, err) < 0)
		return -1;
	m->framing = BODY_NONE;
	x->websocket = true;
	return 0;
}

/* HTTP/1.1 has the words for it; and a gate is asked for a tunnel also when it is a plain one
 * (RFC 6455 4.1). */
enum upstream_kind exchange_ws_kind(bool tls)
{
	return tls ? UPSTREAM_TLS_H1 : UPSTREAM_RAW;
}

/* RFC 8441 5: to the client of an extended CONNECT any 2xx says that its tunnel is open. */
int exchange_ws_answer(struct exchange *x, struct msg *m, struct err *err)
{
	const bool extended = x->req->extended_connect;

	if (m->status != 101) {
		if (extended && m->status / 100 == 2)
			return err_set(err, E_BAD,
				       "the upstream answered a WebSocket request with %d",
				       m->status);
		return 0;
	}
	if (!x->websocket)
		return err_set(err, E_BAD, "the upstream switched protocols unasked");
	if (ws_check_answer(m, msg_value(x->req, "sec-websocket-key"),
			    msg_count(x->req, "sec-websocket-extensions") > 0, err) < 0)
		return -1;
	if (extended)
		(void)msg_remove(m, "sec-websocket-accept");
	m->framing = BODY_UNTIL_CLOSE;
	x->switched = true;
	return 0;
}

/*
 * Heads of frames pass as they are, and what is held back leaves with the end of its frame: a
 * message must not wait for the next one. A credential that is cut into two frames is not seen.
 */
int exchange_ws_mask(struct exchange *x, struct str in, struct err *err)
{
	while (in.n > 0) {
		enum ws_part part;
		struct str s = ws_next(&x->frames, in, &part);

		if ((part == WS_HEAD ? buf_add(&x->masked, s, err)
				     : mask_feed(x->mask, s, &x->masked, err)) < 0 ||
		    (part == WS_PAYLOAD_END && mask_finish(x->mask, &x->masked, err) < 0))
			return -1;
		in = str_from(in, s.n);
	}
	return 0;
}
