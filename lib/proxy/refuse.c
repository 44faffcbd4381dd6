#include "proxy/refuse.h"

#include <sys/socket.h>

#include "base/buf.h"
#include "base/enc.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/server.h"

static int member(struct buf *out, const char *key, struct str value, bool first, struct err *err)
{
	return buf_addf(out, err, "%s\"%s\":", first ? "" : ",", key) < 0 ||
			       json_quote(out, value, err) < 0
		       ? -1
		       : 0;
}

static int body(struct buf *out, const struct refusal *r, const char *name, struct err *err)
{
	if (buf_addz(out, "{\"error\":{", err) < 0 ||
	    member(out, "component", STR("egress-proxy"), true, err) < 0 ||
	    member(out, "reason", str_of(name), false, err) < 0 ||
	    member(out, "message", str_of(r->message), false, err) < 0 ||
	    (r->host.n > 0 && member(out, "host", r->host, false, err) < 0) ||
	    member(out, "hint", str_of(reason_hint(r->reason)), false, err) < 0 ||
	    buf_addz(out, "}}\n", err) < 0)
		return -1;
	return 0;
}

void refuse_socket(int fd, const struct refusal *r)
{
	auto_buf text = BUF_INIT(KIB(16)), out = BUF_INIT(KIB(32));
	char request[PROXY_READ_SIZE];
	int status = reason_status(r->reason);

	if (body(&text, r, reason_name(r->reason), NULL) < 0 ||
	    buf_addf(&out, NULL,
		     "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
		     "Bottle-Block-Reason: %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		     status, http_reason(status), reason_name(r->reason), text.len) < 0 ||
	    buf_add(&out, buf_str(&text), NULL) < 0)
		return;
	/* A close over unread bytes is a reset, which may overtake the answer (RFC 9112 9.6). */
	(void)recv(fd, request, sizeof(request), MSG_DONTWAIT);
	(void)send(fd, out.mem + out.off, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
}

/* The gRPC code that a client derives from an HTTP status (grpc: doc/http-grpc-status-mapping.md). */
static const char *grpc_status(int status)
{
	switch (status) {
	case 400:
		return "13"; /* INTERNAL */
	case 403:
		return "7"; /* PERMISSION_DENIED */
	case 429:
	case 502:
	case 503:
	case 504:
		return "14"; /* UNAVAILABLE */
	default:
		return "2"; /* UNKNOWN */
	}
}

/*
 * A call is refused by "Trailers-Only", which is 200 without a body (grpc: doc/PROTOCOL-HTTP2.md):
 * only there do all clients look for a reason.
 */
static int refuse_call(struct stream *s, int status, const char *name, const char *message,
		       struct field reason_field, struct err *err)
{
	auto_buf text = BUF_INIT(KIB(16));
	struct field fields[3] = { reason_field };
	struct fields extra = { fields, ARRAY_LEN(fields), ARRAY_LEN(fields) };

	if (buf_addf(&text, err, "%s: ", name) < 0 ||
	    enc_percent(&text, str_of(message), " ,:'/", err) < 0)
		return -1;
	fields[1] = (struct field){ STR("grpc-status"), str_of(grpc_status(status)) };
	fields[2] = (struct field){ STR("grpc-message"), buf_str(&text) };
	return http_reply(s, 200, "application/grpc", STR_NONE, &extra, err);
}

int refuse_stream(struct stream *s, const struct refusal *r, bool grpc, struct err *err)
{
	const char *name = r->name ? r->name : reason_name(r->reason);
	int status = r->status ? r->status : reason_status(r->reason);
	struct field reason_field = { STR("Bottle-Block-Reason"), str_of(name) };
	struct fields extra = { &reason_field, 1, 1 };
	auto_buf text = BUF_INIT(KIB(16));

	if (grpc)
		return refuse_call(s, status, name, r->message, reason_field, err);
	if (r->gate_body.n > 0)
		return http_reply(s, status, "application/json", r->gate_body, &extra, err);
	if (body(&text, r, name, err) < 0)
		return -1;
	return http_reply(s, status, "application/json", buf_str(&text), &extra, err);
}
