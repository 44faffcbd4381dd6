/*
 * egress-proxy ctl: see and change a running egress-proxy. Text for people; --json for programs.
 */
#include "egress_proxy_ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "bottle/show.h"
#include "proxy/control.h"
#include "proxy/tokens.h"
#include "sys/fd.h"

#define ANSWER_MAX (2 * JSON_TEXT_MAX)

static const char *path = "/run/bottle/egress-proxy.sock";
static bool as_json;
static int limit = 50, level_seconds = 60;

#define OPT_SOCKET                                                                             \
	{                                                                                      \
		.name = "socket", .letter = 's', .type = OPT_STR, .out = &path, .arg = "PATH", \
		.help = "control socket (default /run/bottle/egress-proxy.sock)"               \
	}
#define OPT_JSON                                                   \
	{                                                          \
		.name = "json", .type = OPT_FLAG, .out = &as_json, \
		.help = "the whole answer as one JSON object"      \
	}

static const struct opt plain_opts[] = { OPT_SOCKET, { .name = NULL } };
static const struct opt status_opts[] = { OPT_SOCKET, OPT_JSON, { .name = NULL } };
static const struct opt connections_opts[] = {
	OPT_SOCKET,
	OPT_JSON,
	{ .name = "limit",
	  .letter = 'n',
	  .type = OPT_INT,
	  .out = &limit,
	  .min = 0,
	  .max = CONTROL_LIST_MAX,
	  .arg = "N",
	  .help = "show the newest N (default 50)" },
	{ .name = NULL },
};
static const struct opt level_opts[] = {
	OPT_SOCKET,
	OPT_JSON,
	{ .name = "for",
	  .type = OPT_SECONDS,
	  .out = &level_seconds,
	  .min = 1,
	  .max = CONTROL_LEVEL_SECONDS_MAX,
	  .arg = "TIME",
	  .help = "how long, such as 90s or 5m (default 60s)" },
	{ .name = NULL },
};

/* ---- showing ---- */

/* One value of an answer, as words. */
static int add_value(struct buf *out, const struct json *v, struct err *err)
{
	switch (json_kind(v)) {
	case JSON_KIND_STR:
		return buf_add(out, json_str(v), err);
	case JSON_KIND_BOOL:
		return buf_addz(out, json_bool(v) ? "yes" : "no", err);
	case JSON_KIND_NUMBER:
		return buf_addf(out, err, "%" PRId64, json_int(v));
	case JSON_KIND_ARRAY:
		for (size_t i = 0; i < json_len(v); i++)
			if (buf_addz(out, i ? ", " : "", err) < 0 ||
			    add_value(out, json_at(v, i), err) < 0)
				return -1;
		return json_len(v) ? 0 : buf_addz(out, "none", err);
	default:
		return buf_addz(out, "-", err);
	}
}

/* The members but for "ok" and "list", one on a line: "log level: info". */
static int add_members(struct buf *out, const struct json *answer, struct err *err)
{
	struct json *value;
	void *pos = NULL;
	struct str key;

	while ((value = json_each(answer, &pos, &key))) {
		if (str_eqz(key, "ok") || str_eqz(key, "list"))
			continue;
		for (size_t i = 0; i < key.n; i++)
			if (buf_addc(out, key.p[i] == '_' ? ' ' : key.p[i], err) < 0)
				return -1;
		if (buf_addz(out, ": ", err) < 0 || add_value(out, value, err) < 0 ||
		    buf_addc(out, '\n', err) < 0)
			return -1;
	}
	return 0;
}

typedef int row_fn(struct buf *out, const struct json *row, struct err *err);

/* Prints an answer: as JSON, or its members and then its list, if it has one. */
static int print(const struct json *answer, const char *heads, row_fn *row, struct err *err)
{
	auto_buf out = BUF_INIT(ANSWER_MAX);
	const struct json *list = json_get(answer, "list");
	const size_t n = row ? json_len(list) : 0;

	if (as_json) {
		if (json_write(answer, true, &out, err) < 0 || buf_addc(&out, '\n', err) < 0)
			return -1;
		return applet_print(buf_str(&out), err);
	}
	if (add_members(&out, answer, err) < 0)
		return -1;
	if (n > 0 && buf_addf(&out, err, "\n%s\n", heads) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (row(&out, json_at(list, i), err) < 0)
			return -1;
	return applet_print(buf_str(&out), err);
}

static struct json *command(const char *name)
{
	struct json *req = json_new_object();

	json_set_strz(req, "command", name);
	return req;
}

/* Sends the request (taken over) and prints the answer. */
static int call(struct json *request, const char *heads, row_fn *row, struct err *err)
{
	auto_json struct json *req = request;
	auto_json struct json *answer = control_call(path, req, err);

	return answer ? print(answer, heads, row, err) : -1;
}

/* The same for one member alone: text as it is, anything else as JSON. */
static int call_for(struct json *request, const char *member, struct err *err)
{
	auto_json struct json *req = request;
	auto_json struct json *answer = control_call(path, req, err);
	const struct json *shown = json_get(answer, member);
	auto_buf out = BUF_INIT(ANSWER_MAX);

	if (!answer)
		return -1;
	if (json_kind(shown) == JSON_KIND_STR)
		return applet_print(json_str(shown), err);
	if (json_write(shown, true, &out, err) < 0 || buf_addc(&out, '\n', err) < 0)
		return -1;
	return applet_print(buf_str(&out), err);
}

/* ---- looking ---- */

static int run_status(const struct opts_result *in, struct err *err)
{
	(void)in;
	return call(command("status"), NULL, NULL, err);
}

static int run_metrics(const struct opts_result *in, struct err *err)
{
	(void)in;
	return call_for(command("metrics"), "metrics", err);
}

#define CONNECTION_FORMAT "%-22.*s %-12.*s %-9.*s %-7s %-7s %11s %11s %5s  %.*s\n"

static int connection_row(struct buf *out, const struct json *c, struct err *err)
{
	struct str protocol = json_str(json_get(c, "protocol"));
	struct str to = json_str(json_get(c, "to"));
	char age[32], idle[32], in[24], bytes_out[24], open[24];

	show_duration(json_int(json_get(c, "age_ms")) / 1000, age, sizeof(age));
	show_duration(json_int(json_get(c, "idle_ms")) / 1000, idle, sizeof(idle));
	(void)snprintf(in, sizeof(in), "%" PRId64, json_int(json_get(c, "bytes_in")));
	(void)snprintf(bytes_out, sizeof(bytes_out), "%" PRId64,
		       json_int(json_get(c, "bytes_out")));
	(void)snprintf(open, sizeof(open), "%" PRId64, json_int(json_get(c, "open")));
	return buf_addf(out, err, CONNECTION_FORMAT, STR_ARG(json_str(json_get(c, "peer"))),
			STR_ARG(json_str(json_get(c, "state"))),
			STR_ARG(protocol.n ? protocol : STR("-")), age, idle, in, bytes_out, open,
			STR_ARG(to.n ? to : STR("-")));
}

static int run_connections(const struct opts_result *in, struct err *err)
{
	struct json *req = command("connections");
	auto_buf heads = BUF_INIT(KIB(1));

	(void)in;
	json_set(req, "limit", json_new_int(limit));
	if (buf_addf(&heads, err, CONNECTION_FORMAT, STR_ARG(STR("PEER")), STR_ARG(STR("STATE")),
		     STR_ARG(STR("PROTOCOL")), "AGE", "IDLE", "BYTES IN", "BYTES OUT", "OPEN",
		     STR_ARG(STR("TO"))) < 0) {
		json_free(req);
		return -1;
	}
	buf_truncate(&heads, heads.len - 1);
	return call(req, buf_z(&heads), connection_row, err);
}

static int leaf_row(struct buf *out, const struct json *leaf, struct err *err)
{
	char left[32];

	show_duration(json_int(json_get(leaf, "renew_at")) - (int64_t)time(NULL), left,
		      sizeof(left));
	return buf_addf(out, err, "%-10s %.*s\n", left, STR_ARG(json_str(json_get(leaf, "host"))));
}

static int run_leaf_cache(const struct opts_result *in, struct err *err)
{
	(void)in;
	return call(command("leaf-cache"), "RENEWED IN HOST", leaf_row, err);
}

static int run_routes_get(const struct opts_result *in, struct err *err)
{
	(void)in;
	return call_for(command("routes get"), "routes", err);
}

/* ---- changing ---- */

static int run_routes_set(const struct opts_result *in, struct err *err)
{
	auto_buf text = BUF_INIT(YAML_TEXT_MAX);
	struct json *req;

	(void)in;
	if (fd_read_all(STDIN_FILENO, &text, "stdin", err) < 0)
		return -1;
	req = command("routes set");
	json_set(req, "routes", json_new_str(buf_str(&text)));
	json_set_strz(req, "source", "stdin");
	return call(req, NULL, NULL, err);
}

static int run_token_set(const struct opts_result *in, struct err *err)
{
	auto_buf value = BUF_INIT_SECRET(TOKEN_VALUE_MAX + 1);
	struct tokens probe = { NULL, 0 };
	struct str v;
	struct json *req;

	if (fd_read_all(STDIN_FILENO, &value, "stdin", err) < 0)
		return -1;
	v = buf_str(&value);
	if (str_ends(v, STR("\n"))) /* `echo TOKEN | …` */
		v = str_sub(v, 0, v.n - 1);
	/* Checked here first: the words of the JSON layer would not name the slot. */
	if (tokens_set(&probe, str_of(in->operands[0]), v, err) < 0)
		return -1;
	tokens_fini(&probe);
	req = command("token set");
	json_set_strz(req, "slot", in->operands[0]);
	json_set(req, "value", json_new_str(v));
	return call(req, NULL, NULL, err);
}

static int run_log_level(const struct opts_result *in, struct err *err)
{
	struct json *req = command("log-level");

	json_set_strz(req, "level", in->operands[0]);
	json_set(req, "seconds", json_new_int(level_seconds));
	return call(req, NULL, NULL, err);
}

/* ---- the commands ---- */

static const struct command ctl_status = {
	.spec = { .about = "Show the generation and hash of the live table, and what is missing.",
		  .opts = status_opts,
		  .example = "egress-proxy ctl status --json" },
	.run = run_status,
};
static const struct command ctl_metrics = {
	.spec = { .about = "Show the counters in Prometheus' text form, as /metrics does.",
		  .opts = plain_opts,
		  .example = "egress-proxy ctl metrics" },
	.run = run_metrics,
};
static const struct command ctl_connections = {
	.spec = { .about =
			  "Show the client connections, newest first. Each with where it goes, how long idle, "
			  "bytes on the wire, open requests.",
		  .opts = connections_opts,
		  .example = "egress-proxy ctl connections --limit 10" },
	.run = run_connections,
};
static const struct command ctl_leaf_cache = {
	.spec = { .about = "Show the certificates kept for interception, the one used last first.",
		  .opts = status_opts,
		  .example = "egress-proxy ctl leaf-cache" },
	.run = run_leaf_cache,
};
static const struct command ctl_routes_get = {
	.spec = { .about = "Show the routes in force, as JSON.",
		  .opts = plain_opts,
		  .example = "egress-proxy ctl routes get" },
	.run = run_routes_get,
};
static const struct command ctl_routes_set = {
	.spec = { .about =
			  "Replace the routes by the table on stdin. It is checked whole first; a bad "
			  "one changes nothing.",
		  .opts = status_opts,
		  .example = "egress-proxy ctl routes set < routes.yaml" },
	.run = run_routes_set,
};
static const struct command ctl_token_set = {
	.spec = { .usage = "SLOT",
		  .about = "Set or rotate a credential, its value on stdin.",
		  .opts = status_opts,
		  .operands_min = 1,
		  .operands_max = 1,
		  .example = "egress-proxy ctl token set EGRESS_PROXY_TOKEN_0 < token" },
	.run = run_token_set,
};
static const struct command ctl_log_level = {
	.spec = { .usage = "error|warning|info|debug",
		  .about = "Talk more, or less, on stderr for a while; then as before. No level "
			   "shows a credential, a query or a body.",
		  .opts = level_opts,
		  .operands_min = 1,
		  .operands_max = 1,
		  .example = "egress-proxy ctl log-level debug --for 60s" },
	.run = run_log_level,
};
static const struct command ctl_routes = {
	.spec = { .usage = "get|set", .about = "Show or replace the live routes." },
	.subs = (const struct command_entry[]){ { "get", &ctl_routes_get },
						{ "set", &ctl_routes_set },
						{ NULL, NULL } },
};
static const struct command ctl_token = {
	.spec = { .usage = "set", .about = "Set a credential." },
	.subs = (const struct command_entry[]){ { "set", &ctl_token_set }, { NULL, NULL } },
};
const struct command egress_proxy_ctl = {
	.spec = { .usage = "COMMAND", .about = "See and change a running egress-proxy." },
	.subs = (const struct command_entry[]){ { "status", &ctl_status },
						{ "metrics", &ctl_metrics },
						{ "connections", &ctl_connections },
						{ "leaf-cache", &ctl_leaf_cache },
						{ "routes", &ctl_routes },
						{ "token", &ctl_token },
						{ "log-level", &ctl_log_level },
						{ NULL, NULL } },
};
