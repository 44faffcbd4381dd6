/*
 * server: a small HTTP server for health, metrics, MCP and the web dashboard.
 *
 * Requests with their body collected up to a maximum (413 past it); a handler answers now or keeps
 * the stream for later. At most HTTP_SERVER_CONNS_MAX connections; more are closed at once.
 */
#ifndef BOTTLE_HTTP_SERVER_H
#define BOTTLE_HTTP_SERVER_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"
#include "http/stream.h"
#include "net/addr.h"
#include "sys/loop.h"

struct http_server;

struct http_request { /* valid until the stream is over */
	struct msg *msg;
	struct str body;
	struct stream *stream;
};

/*
 * A complete request. Answers with http_reply, or takes the stream over (stream_handle) to send
 * later; then on_fail says that the client is gone. May free the server.
 */
typedef void http_handler_fn(void *arg, struct http_request *req);

/* The handler is called with `arg`. NULL when the address cannot be bound. */
struct http_server *http_server_new(struct loop *l, const struct addr *at, size_t body_max,
				    http_handler_fn *fn, void *arg, struct err *err)
	__attribute__((warn_unused_result));
/* Closes everything at once; kept streams are dead without a callback. NULL is fine. */
void http_server_free(struct http_server *s);
/* The bound address, port filled in. */
const struct addr *http_server_addr(const struct http_server *s);

/*
 * One complete response with Date and Content-Length, on any server-side stream; for HEAD the body
 * is left out by the stream. extra: more header fields or NULL. -1 when nothing or only a part
 * could be queued: abort the stream.
 */
int http_reply(struct stream *s, int status, const char *content_type, struct str body,
	       const struct fields *extra, struct err *err);

#endif
