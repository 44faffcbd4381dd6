/*
 * ws: WebSocket (RFC 6455), as far as one in the middle needs it: its handshake, strictly, and
 * where frames begin and end. No I/O here.
 *
 * The handshake is judged on messages, where an extended CONNECT of HTTP/2 (RFC 8441) is a GET with
 * m->upgrade like any other; it has no key, and so none to be accepted. All functions are for heads
 * whose hop-by-hop fields are still in place.
 */
#ifndef BOTTLE_HTTP_WS_H
#define BOTTLE_HTTP_WS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

/* Does the request ask for WebSocket, and for nothing else? */
bool ws_is_asked(const struct msg *m);

/*
 * RFC 6455 4.2.1, for a request that ws_is_asked: GET without a body, HTTP/1.1 (or an extended
 * CONNECT), one Upgrade, version 13, a key of 16 bytes. E_BAD with a sentence for the client.
 */
int ws_check_request(const struct msg *m, struct err *err) __attribute__((warn_unused_result));

/* Gives the request a fresh key in place of any other. Errors as msg_set. */
int ws_set_key(struct msg *m, struct err *err) __attribute__((warn_unused_result));

/*
 * RFC 6455 4.1: is this 101 the answer to a handshake with that key, and does it use no extension
 * unless `offered`? Without this a confused server could be made a tunnel. E_BAD.
 */
int ws_check_answer(const struct msg *answer, struct str key, bool offered, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Frames of one direction (RFC 6455 5.2). Zero it first. Nothing is refused: for one that only
 * looks, any bytes are frames.
 */
struct ws_cursor {
	unsigned char head[10]; /* what has come of it, without the masking key */
	unsigned have, need;
	uint64_t left; /* of the payload */
};

enum ws_part {
	WS_HEAD,        /* (a part of) what stands before the payload */
	WS_PAYLOAD,     /* as it is on the wire, masked or not */
	WS_PAYLOAD_END, /* the same, and the frame ends with it */
};

/* The first bytes of `in` that belong together: at least one, a view. `in` is not empty. */
struct str ws_next(struct ws_cursor *w, struct str in, enum ws_part *ret_part);

#endif
