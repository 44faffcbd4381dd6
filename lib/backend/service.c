#include "backend/service.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

void service_init(struct service *s, struct backend *b, const struct plan_box *box,
		  struct str bundle, service_line_fn *on_line, void *arg)
{
	*s = (struct service){ .backend = b,
			       .box = box,
			       .bundle = bundle,
			       .on_line = on_line,
			       .arg = arg,
			       .proc = { .pid = -1, .in = -1, .out = -1, .err = -1 },
			       .line = BUF_INIT(SERVICE_LINE_MAX),
			       .said = BUF_INIT(SERVICE_SAID_MAX) };
}

static void close_pipe(struct loop_watch *w, int *fd)
{
	loop_unwatch(w);
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void close_pipes(struct service *s)
{
	close_pipe(&s->in, &s->proc.in);
	close_pipe(&s->out, &s->proc.out);
	close_pipe(&s->err, &s->proc.err);
}

void service_fini(struct service *s)
{
	if (!s->backend) /* never made */
		return;
	close_pipes(s);
	buf_fini(&s->line);
	buf_fini(&s->said);
}

/* It has ended for us when it is reaped and its last line was read. */
static bool finished(const struct service *s)
{
	return !s->started || (s->ended && s->proc.out < 0);
}

static void on_child(void *arg, pid_t pid, int status)
{
	struct service *s = arg;

	(void)pid;
	s->ended = true;
	s->status = status;
	close_pipe(&s->in, &s->proc.in);
}

static void on_in(void *arg, unsigned events)
{
	struct service *s = arg;
	ssize_t n = 0;

	if (events & LOOP_HANGUP) { /* it is ending; on_child tells */
		close_pipe(&s->in, &s->proc.in);
		return;
	}
	if (s->unfed.n > 0)
		n = write(s->proc.in, s->unfed.p, s->unfed.n);
	if (n > 0)
		s->unfed = str_from(s->unfed, (size_t)n);
	/* Fed: from here on the descriptor only has to stay open. */
	if (s->unfed.n == 0)
		loop_watch_events(&s->in, 0);
}

/* The agent's box says "ready", a sidecar an event of that name. */
static bool says_ready(struct str line)
{
	auto_json struct json *j = NULL;

	if (str_eqz(line, "ready"))
		return true;
	j = json_parse(line, "event", NULL);
	return str_eqz(json_str(json_get(j, "event")), "ready");
}

static void take_line(struct service *s, struct str line)
{
	if (!s->ready && says_ready(line))
		s->ready = true;
	if (s->on_line && !s->on_line(s->arg, line))
		s->broken = true;
}

static void take_lines(struct service *s)
{
	ssize_t end;

	while (!s->broken && (end = str_chr(buf_str(&s->line), '\n', 0)) >= 0) {
		take_line(s, str_sub(buf_str(&s->line), 0, (size_t)end));
		buf_consume(&s->line, (size_t)end + 1);
	}
	if (buf_room(&s->line) == 0)
		s->broken = true; /* nothing of ours writes such lines */
}

static void on_out(void *arg, unsigned events)
{
	struct service *s = arg;
	char chunk[KIB(4)];
	size_t room = buf_room(&s->line);
	ssize_t n = read(s->proc.out, chunk, room < sizeof(chunk) ? room : sizeof(chunk));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && !s->broken && buf_add(&s->line, str_mem(chunk, (size_t)n), NULL) == 0) {
		take_lines(s);
		return;
	}
	close_pipe(&s->out, &s->proc.out);
}

static void on_err(void *arg, unsigned events)
{
	struct service *s = arg;
	char chunk[KIB(4)];
	ssize_t n = read(s->proc.err, chunk, sizeof(chunk));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_pipe(&s->err, &s->proc.err);
		return;
	}
	/* The last words count: half of what is there makes room. */
	if (buf_room(&s->said) < (size_t)n)
		buf_consume(&s->said, s->said.len > (size_t)n ? (size_t)n : s->said.len);
	(void)!buf_add(&s->said, str_mem(chunk, (size_t)n), NULL);
}

int service_start(struct service *s, struct err *err)
{
	struct loop *l = s->backend->loop;

	if (s->backend->ops->start(s->backend, s->box, &s->proc, err) < 0)
		return -1;
	s->started = true;
	s->ready = s->ended = s->broken = false;
	s->unfed = s->bundle;
	buf_clear(&s->line);
	buf_clear(&s->said);
	if (loop_child(l, s->proc.pid, on_child, s, err) < 0 ||
	    loop_watch(l, &s->in, s->proc.in, LOOP_WRITE, on_in, s, err) < 0 ||
	    loop_watch(l, &s->out, s->proc.out, LOOP_READ, on_out, s, err) < 0 ||
	    loop_watch(l, &s->err, s->proc.err, LOOP_READ, on_err, s, err) < 0) {
		service_stop(s);
		return -1;
	}
	return 0;
}

static void on_time(void *arg)
{
	*(bool *)arg = true;
}

/* What it said, as one line of error. */
static int why_ended(struct service *s, struct err *err)
{
	auto_free char *what = mem_printf("start %s", s->box->name);
	char status[64];
	struct str said = buf_str(&s->said);

	if (s->broken)
		return err_set(err, E_CHILD, "%s: its output cannot be kept", s->box->name);
	if (said.n > 0)
		return s->backend->ops->explain(s->backend, what, said, err);
	proc_status_text(s->status, status, sizeof(status));
	return err_set(err, E_CHILD, "%s ended before it was ready: %s", s->box->name, status);
}

/* 1: all are ready; 0: not yet. */
static int all_ready(struct service *const *s, size_t n, struct err *err)
{
	int rc = 1;

	for (size_t i = 0; i < n; i++) {
		if (s[i]->broken || (finished(s[i]) && !s[i]->ready))
			return why_ended(s[i], err);
		if (!s[i]->ready)
			rc = 0;
	}
	return rc;
}

int services_wait_ready(struct service *const *s, size_t n, const bool *cancel, struct err *err)
{
	struct loop *l = s[0]->backend->loop;
	struct loop_timer timer = { .loop = NULL };
	bool late = false;
	int rc;

	loop_timer(l, &timer, SERVICE_READY_MS, on_time, &late);
	while ((rc = all_ready(s, n, err)) == 0) {
		if (late)
			rc = err_set(err, E_TIMEOUT, "%s: not ready after %d s", s[0]->box->name,
				     SERVICE_READY_MS / 1000);
		else if (*cancel)
			rc = err_set(err, E_CANCELLED, "interrupted");
		else
			rc = loop_once(l, -1, err);
		if (rc < 0)
			break;
	}
	loop_timer_stop(&timer);
	return rc < 0 ? -1 : 0;
}

static void wait_end(struct service *s, int ms)
{
	struct loop_timer timer = { .loop = NULL };
	bool late = false;

	loop_timer(s->backend->loop, &timer, ms, on_time, &late);
	while (!finished(s) && !late)
		if (loop_once(s->backend->loop, -1, NULL) < 0)
			break;
	loop_timer_stop(&timer);
}

void service_stop(struct service *s)
{
	if (!s->started)
		return;
	close_pipe(&s->in, &s->proc.in);
	wait_end(s, SERVICE_END_MS);
	if (!s->ended) {
		(void)kill(-s->proc.pid, SIGKILL);
		close_pipes(s);
		wait_end(s, SERVICE_END_MS);
	}
	close_pipes(s);
	s->started = false;
}

/* Was it started too often in the window that ends now? */
static bool too_often(struct service *s)
{
	int64_t now = loop_now(s->backend->loop);
	size_t kept = 0;

	for (size_t i = 0; i < s->restart_count; i++)
		if (now - s->restarts[i] < SERVICE_RESTART_WINDOW_MS)
			s->restarts[kept++] = s->restarts[i];
	s->restart_count = kept;
	if (kept >= SERVICE_RESTARTS)
		return true;
	s->restarts[s->restart_count++] = now;
	return false;
}

int service_restart(struct service *s, struct err *err)
{
	struct service *const one[] = { s };

	close_pipes(s);
	if (too_often(s))
		return err_set(err, E_LIMIT, "%s ended %d times within %d s", s->box->name,
			       SERVICE_RESTARTS + 1, SERVICE_RESTART_WINDOW_MS / 1000);
	if (service_start(s, err) < 0)
		return -1;
	return services_wait_ready(one, 1, s->backend->cancel, err);
}
