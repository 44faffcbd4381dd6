/*
 * control: the socket over which the operator sees and changes a running proxy
 * (`egress-proxy ctl …`).
 *
 * A Unix socket, mode 0600. One request a connection: a JSON object on one line with a "command",
 * answered by one on one line, {"ok":true,…} or {"ok":false,"error":"S:3:9: …"}.
 *
 *	status                          generation, hash and state of what is in force
 *	metrics                         "metrics": the text of /metrics
 *	connections "limit"             the newest client connections, CONTROL_LIST_MAX at most
 *	leaf-cache                      what is kept, the one used last first
 *	routes get                      "routes": the table
 *	routes set  "routes" "source"   the table as text and its name; answers as status
 *	token set   "slot" "value"      likewise
 *	log-level   "level" "seconds"   for so long, then back to the level before; likewise
 */
#ifndef BOTTLE_PROXY_CONTROL_H
#define BOTTLE_PROXY_CONTROL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "proxy/proxy.h"

struct control;

struct control *control_new(struct proxy *p, const char *path, struct err *err)
	__attribute__((warn_unused_result));
void control_free(struct control *c);

/* The client's side, blocking: sends `request`, returns the answer (free with json_free). A false
 * "ok" is E_BAD with the proxy's own words. */
struct json *control_call(const char *path, const struct json *request, struct err *err)
	__attribute__((warn_unused_result));

#endif
