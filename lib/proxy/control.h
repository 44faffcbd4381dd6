/*
 * control: the socket over which the operator sees and changes a running proxy (`egress-proxy ctl
 *…`).
 *
 * A Unix socket, mode 0600. One request a connection: a JSON object on one line, answered by one on
 *one line:
 *
 *	{"command":"status"}                                   →
 *{"ok":true,"generation":1,"sha256":"…",…}
 *	{"command":"routes get"}                               →
 *{"ok":true,"routes":{"routes":[…]},…}
 *	{"command":"routes set","routes":"TEXT","source":"S"}  → as status; or
 *{"ok":false,"error":"S:3:9: …"}
 *	{"command":"token set","slot":"…","value":"…"}         → as status
 *	{"command":"metrics"}                                  → {"ok":true,"metrics":"TEXT"}
 *	{"command":"log-level","level":"debug","seconds":60}   → as status
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
