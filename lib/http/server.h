/*
 * server: a small HTTP server for health, metrics and (later) MCP and the web dashboard.
 *
 * Requests with their body collected up to a maximum; a handler answers now or keeps the stream for later.
 */
#ifndef BOTTLE_HTTP_SERVER_H
#define BOTTLE_HTTP_SERVER_H

#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"
#include "http/stream.h"
#include "net/addr.h"
#include "sys/loop.h"

struct http_server;

struct http_request {
	struct msg *msg;
	struct str body;
	struct stream *stream;
};

/* Answers with http_reply, or owns the stream (stream_handle) when it wants to send later. */
typedef void http_handler_fn(void *arg, struct http_request *req);

struct http_server *http_server_new(struct loop *l, const struct addr *at, size_t body_max, http_handler_fn *fn,
				    void *arg, struct err *err) __attribute__((warn_unused_result));
void http_server_free(struct http_server *s);
const struct addr *http_server_addr(const struct http_server *s);

/* One complete response with Content-Length. extra: more header fields or NULL. */
int http_reply(struct stream *s, int status, const char *content_type, struct str body,
	       const struct fields *extra, struct err *err);

#endif
