/*
 * bottle logs: the decisions of one bottle's sidecars, in the order they came.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "applet.h"
#include "backend/state.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/home.h"
#include "sys/fd.h"
#include "sys/tty.h"

#define RED "\033[31m"
#define GREEN "\033[32m"
#define RESET "\033[0m"

static bool follow, blocked, as_json;

static const struct opt options[] = {
	{ .name = "follow",
	  .letter = 'f',
	  .type = OPT_FLAG,
	  .out = &follow,
	  .help = "go on until the bottle ends" },
	{ .name = "blocked",
	  .type = OPT_FLAG,
	  .out = &blocked,
	  .help = "only what was not let through" },
	{ .name = "json", .type = OPT_FLAG, .out = &as_json, .help = "the events as they are" },
	{ .name = NULL },
};

/* Text of an agent's choosing goes to a terminal: no control characters, no C1. */
static int add_shown(struct buf *out, struct str s, struct err *err)
{
	return str_has_ctl(s) || !str_is_utf8(s) || str_find(s, STR("\xc2"), 0) >= 0
		       ? json_quote(out, s, err)
		       : buf_add(out, s, err);
}

static int add_member(struct buf *out, const char *before, const struct json *j, const char *key,
		      struct err *err)
{
	struct str s = json_str(json_get(j, key));

	if (s.n == 0)
		return 0;
	if (buf_addz(out, before, err) < 0)
		return -1;
	return add_shown(out, s, err);
}

/* "14:33:02.704 egress-proxy allow 200 GET api.test/v1 (reason)" */
static int add_event(struct buf *out, const struct json *j, struct err *err)
{
	bool colour = tty_colour(STDOUT_FILENO);
	struct str ts = json_str(json_get(j, "ts"));
	struct str verdict = json_str(json_get(j, "verdict"));
	bool good = str_eqz(verdict, "allow");
	int64_t status = json_int(json_get(j, "status"));

	if (verdict.n == 0)
		verdict = json_str(json_get(j, "event"));
	if (add_shown(out, str_sub(ts, 11, 12), err) < 0 ||
	    add_member(out, " ", j, "component", err) < 0 ||
	    buf_addf(out, err, " %s%.*s%s",
		     !colour ? ""
		     : good  ? GREEN
			     : RED,
		     STR_ARG(verdict), colour ? RESET : "") < 0)
		return -1;
	if (status > 0 && buf_addf(out, err, " %lld", (long long)status) < 0)
		return -1;
	if (add_member(out, " ", j, "method", err) < 0 ||
	    add_member(out, " ", j, "host", err) < 0 || add_member(out, "", j, "path", err) < 0 ||
	    add_member(out, "  ", j, "reason", err) < 0 ||
	    add_member(out, "  credential ", j, "credential", err) < 0 ||
	    add_member(out, "  ", j, "detail", err) < 0)
		return -1;
	return buf_addc(out, '\n', err);
}

static int print_line(struct str line, struct err *err)
{
	auto_buf out = BUF_INIT(4 * LOG_EVENT_MAX);
	auto_json struct json *j = json_parse(line, "event", err);
	struct str verdict;

	if (!j)
		return -1;
	verdict = json_str(json_get(j, "verdict"));
	if (blocked && (verdict.n == 0 || str_eqz(verdict, "allow")))
		return 0;
	if (as_json ? buf_add(&out, line, err) < 0 || buf_addc(&out, '\n', err) < 0
		    : add_event(&out, j, err) < 0)
		return -1;
	return applet_print(buf_str(&out), err);
}

/* What is whole of the file's new part. 0 when there was none. */
static int print_new(int fd, struct buf *in, struct err *err)
{
	char *room = buf_reserve(in, FD_READ_SIZE, err);
	ssize_t n, end;

	if (!room)
		return -1;
	n = read(fd, room, FD_READ_SIZE);
	if (n <= 0)
		return n < 0 ? err_sys(err, "events") : 0;
	buf_commit(in, (size_t)n);
	while ((end = str_chr(buf_str(in), '\n', 0)) >= 0) {
		if (print_line(str_sub(buf_str(in), 0, (size_t)end), err) < 0)
			return -1;
		buf_consume(in, (size_t)end + 1);
	}
	return 1;
}

/* The state directory goes, or its lock is free, when the bottle has ended. */
static int is_live(const char *home, const char *identity, bool *ret, struct err *err)
{
	struct state_list l;
	const struct state_entry *e;

	if (state_list(home, &l, err) < 0)
		return -1;
	e = state_find(&l, identity);
	*ret = e && e->live;
	state_list_free(&l);
	return 0;
}

static int print_all(const char *home, const char *identity, int fd, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
	auto_buf in = BUF_INIT(2 * LOG_EVENT_MAX + FD_READ_SIZE);
	bool live = follow;
	int rc;

	for (;;) {
		if (live && is_live(home, identity, &live, err) < 0)
			return -1;
		while ((rc = print_new(fd, &in, err)) > 0)
			;
		if (rc < 0 || !live)
			return rc;
		(void)nanosleep(&pause, NULL);
	}
}

static int run(const struct opts_result *in, struct err *err)
{
	const char *identity = in->operands[0];
	auto_home home = { NULL, NULL };
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (home_find(&host_env_process, &home, NULL, err) < 0)
		return -1;
	path = state_events_path(home.dir, identity, err);
	if (!path)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, path);
	return print_all(home.dir, identity, fd, err);
}

const struct command command_bottle_logs = {
	.spec = { .usage = "IDENTITY",
		  .about = "Show what the sidecars of a bottle decided, in order.",
		  .opts = options,
		  .operands_min = 1,
		  .operands_max = 1,
		  .example = "bottle logs dev-x3k9a --blocked\nbottle logs dev-x3k9a --follow" },
	.run = run,
};
