#include "proxy/refuse.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/limits.h"
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

int refuse_stream(struct stream *s, const struct refusal *r, struct err *err)
{
	const char *name = r->name ? r->name : reason_name(r->reason);
	int status = r->status ? r->status : reason_status(r->reason);
	struct field reason_field = { STR("Bottle-Block-Reason"), str_of(name) };
	struct fields extra = { &reason_field, 1, 1 };
	auto_buf text = BUF_INIT(KIB(16));

	if (r->gate_body.n > 0)
		return http_reply(s, status, "application/json", r->gate_body, &extra, err);
	if (body(&text, r, name, err) < 0)
		return -1;
	return http_reply(s, status, "application/json", buf_str(&text), &extra, err);
}
