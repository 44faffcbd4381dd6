#include "proxy/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/session.h"
#include "sys/fd.h"

/* One connection: reads a line, answers a line, closes. */
struct caller {
	struct loop *loop;
	struct control *control;
	struct caller *prev, *next;
	int fd;
	struct loop_watch watch;
	struct loop_timer timer;
	struct buf in, out; /* secret: a token may pass */
	bool dead;
	struct loop_deferred reap;
};

struct control {
	struct proxy *p;
	struct listener *listener;
	struct caller *callers;
	size_t count;
	struct loop_timer level_timer; /* runs while the level is not level_before */
	enum log_level level_before;
};

static void reap(void *arg)
{
	struct caller *c = arg;

	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void caller_close(struct caller *c)
{
	if (c->dead)
		return;
	c->dead = true;
	loop_unwatch(&c->watch);
	loop_timer_stop(&c->timer);
	close(c->fd);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->control->callers = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->control->count--;
	loop_defer(c->loop, &c->reap, reap, c);
}

static void on_timeout(void *arg)
{
	caller_close(arg);
}

static void on_writable(void *arg, unsigned events)
{
	struct caller *c = arg;

	(void)events;
	while (c->out.len > 0) {
		struct str s = buf_str(&c->out);
		ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
		buf_consume(&c->out, (size_t)n);
	}
	caller_close(c);
}

static void add_status(struct json *answer, const struct proxy *p)
{
	json_set(answer, "generation", json_new_int((int64_t)p->policy->generation));
	json_set_strz(answer, "sha256", p->policy->routes->sha256);
	json_set(answer, "connections", json_new_int((int64_t)p->metrics.connections_open));
	json_set(answer, "draining", json_new_bool(p->draining));
	json_set_strz(answer, "log_level", log_level_name(log_get_level()));
}

/* Slots that a route names and that hold no value: requests there are refused as
 * credential-missing. */
static void add_missing(struct json *answer, const struct proxy *p)
{
	struct json *missing = json_new_array();
	const struct routes *r = p->policy->routes;

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].token_env &&
		    tokens_get(&p->config->tokens, str_of(r->v[i].token_env)).n == 0)
			json_append(missing, json_new_str(str_of(r->v[i].token_env)));
	json_set(answer, "credentials_missing", missing);
}

static int do_status(struct control *c, const struct json *req, struct json *answer,
		     struct err *err)
{
	(void)req;
	(void)err;
	add_status(answer, c->p);
	add_missing(answer, c->p);
	return 0;
}

static int do_routes_get(struct control *c, const struct json *req, struct json *answer,
			 struct err *err)
{
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);
	struct json *routes;

	(void)req;
	if (routes_write(c->p->policy->routes, &text, err) < 0)
		return -1;
	routes = json_parse(buf_str(&text), "routes", err);
	if (!routes)
		return -1;
	json_set(answer, "routes", routes);
	add_status(answer, c->p);
	return 0;
}

static int do_routes_set(struct control *c, const struct json *req, struct json *answer,
			 struct err *err)
{
	const struct json *text = json_get(req, "routes");
	auto_free char *source = str_dupz(json_str(json_get(req, "source")));

	if (!text || json_kind(text) != JSON_KIND_STR)
		return err_set(err, E_BAD, "routes set needs \"routes\", the table as text");
	if (proxy_set_routes(c->p, json_str(text), source[0] ? source : "routes", err) < 0)
		return -1;
	add_status(answer, c->p);
	return 0;
}

static int do_token_set(struct control *c, const struct json *req, struct json *answer,
			struct err *err)
{
	if (tokens_set(&c->p->config->tokens, json_str(json_get(req, "slot")),
		       json_str(json_get(req, "value")), err) < 0)
		return -1;
	add_status(answer, c->p);
	return 0;
}

static struct json *connection(const struct session *s)
{
	struct json *j = json_new_object();
	struct session_info info;

	session_describe(s, &info);
	json_set_strz(j, "peer", info.peer);
	json_set_strz(j, "state", info.state);
	json_set_strz(j, "protocol", info.protocol);
	json_set_strz(j, "to", info.to[0] ? info.to : NULL);
	json_set(j, "age_ms", json_new_int(info.age_ms));
	json_set(j, "idle_ms", json_new_int(info.idle_ms));
	json_set(j, "bytes_in", json_new_int((int64_t)info.bytes_in));
	json_set(j, "bytes_out", json_new_int((int64_t)info.bytes_out));
	json_set(j, "exchanges", json_new_int((int64_t)info.exchanges));
	json_set(j, "open", json_new_int(info.open));
	return j;
}

static int do_connections(struct control *c, const struct json *req, struct json *answer,
			  struct err *err)
{
	struct json *list = json_new_array();
	int64_t limit = json_int(json_get(req, "limit"));

	(void)err;
	json_set(answer, "connections", json_new_int((int64_t)c->p->metrics.connections_open));
	for (struct session *s = c->p->sessions; s; s = session_next(s)) {
		if (json_len(list) >= CONTROL_LIST_MAX || (int64_t)json_len(list) >= limit)
			break;
		json_append(list, connection(s));
	}
	json_set(answer, "list", list);
	return 0;
}

static void add_leaf(void *arg, const char *host, int64_t renew_at)
{
	struct json *leaf = json_new_object();

	json_set_strz(leaf, "host", host);
	json_set(leaf, "renew_at", json_new_int(renew_at));
	json_append(arg, leaf);
}

static int do_leaf_cache(struct control *c, const struct json *req, struct json *answer,
			 struct err *err)
{
	const struct leaf_cache_stats s = leaf_cache_stats(c->p->leaves);
	struct json *list = json_new_array();

	(void)req;
	(void)err;
	json_set(answer, "entries", json_new_int((int64_t)s.entries));
	json_set(answer, "max", json_new_int((int64_t)s.max));
	json_set(answer, "hits", json_new_int((int64_t)s.hits));
	json_set(answer, "mints", json_new_int((int64_t)s.mints));
	leaf_cache_each(c->p->leaves, add_leaf, list);
	json_set(answer, "list", list);
	return 0;
}

static int do_metrics(struct control *c, const struct json *req, struct json *answer,
		      struct err *err)
{
	auto_buf text = BUF_INIT(KIB(64));

	(void)req;
	if (metrics_write(c->p, &text, err) < 0)
		return -1;
	json_set(answer, "metrics", json_new_str(buf_str(&text)));
	return 0;
}

static void on_level_over(void *arg)
{
	struct control *c = arg;

	log_set_level(c->level_before);
}

static int do_log_level(struct control *c, const struct json *req, struct json *answer,
			struct err *err)
{
	int64_t seconds = json_int(json_get(req, "seconds"));
	enum log_level level;

	if (!log_level_parse(json_str(json_get(req, "level")), &level))
		return err_set(err, E_BAD, "the levels are error, warning, info and debug");
	if (seconds < 1 || seconds > CONTROL_LEVEL_SECONDS_MAX)
		return err_set(err, E_BAD, "a level is set for 1 to %d seconds",
			       CONTROL_LEVEL_SECONDS_MAX);
	if (!c->level_timer.loop)
		c->level_before = log_get_level();
	log_set_level(level);
	loop_timer(c->p->loop, &c->level_timer, seconds * 1000, on_level_over, c);
	add_status(answer, c->p);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct control *c, const struct json *req, struct json *answer, struct err *err);
} commands[] = {
	{ "status", do_status },           { "metrics", do_metrics },
	{ "connections", do_connections }, { "leaf-cache", do_leaf_cache },
	{ "routes get", do_routes_get },   { "routes set", do_routes_set },
	{ "token set", do_token_set },     { "log-level", do_log_level },
};

static int run_command(struct control *c, struct str line, struct json *answer, struct err *err)
{
	auto_json struct json *req = json_parse(line, "request", err);
	struct str name;

	if (!req)
		return -1;
	name = json_str(json_get(req, "command"));
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (str_eqz(name, commands[i].name))
			return commands[i].run(c, req, answer, err);
	return err_set(err, E_BAD, "unknown command \"%.*s\"", STR_ARG(name));
}

static void answer_line(struct caller *c, struct str line)
{
	struct err err = ERR_INIT;
	auto_json struct json *answer = json_new_object();

	json_set(answer, "ok", json_new_bool(true));
	if (run_command(c->control, line, answer, &err) < 0) {
		json_set(answer, "ok", json_new_bool(false));
		json_set_strz(answer, "error", err.text);
	}
	if (json_write(answer, false, &c->out, &err) < 0 || buf_addc(&c->out, '\n', &err) < 0) {
		caller_close(c);
		return;
	}
	loop_unwatch(&c->watch);
	if (loop_watch(c->control->p->loop, &c->watch, c->fd, LOOP_WRITE, on_writable, c, &err) < 0)
		caller_close(c);
}

static void on_readable(void *arg, unsigned events)
{
	struct caller *c = arg;
	char *room = buf_reserve(&c->in, KIB(16), NULL);
	ssize_t n = room ? read(c->fd, room, KIB(16)) : -1;
	ssize_t end;

	(void)events;
	if (n < 0 && room && errno == EAGAIN)
		return;
	if (n <= 0) {
		caller_close(c);
		return;
	}
	buf_commit(&c->in, (size_t)n);
	end = str_chr(buf_str(&c->in), '\n', 0);
	if (end >= 0)
		answer_line(c, str_sub(buf_str(&c->in), 0, (size_t)end));
}

static void on_caller(void *arg, int fd, const struct addr *peer)
{
	struct control *control = arg;
	struct caller *c;

	(void)peer;
	if (control->count >= CONTROL_CLIENTS_MAX) {
		close(fd);
		return;
	}
	c = mem_new(struct caller);
	c->loop = control->p->loop;
	c->control = control;
	c->fd = fd;
	c->in = (struct buf)BUF_INIT_SECRET(JSON_TEXT_MAX);
	c->out = (struct buf)BUF_INIT_SECRET(2 * JSON_TEXT_MAX);
	c->next = control->callers;
	if (c->next)
		c->next->prev = c;
	control->callers = c;
	control->count++;
	loop_timer(control->p->loop, &c->timer, CONTROL_TIMEOUT_MS, on_timeout, c);
	if (loop_watch(control->p->loop, &c->watch, fd, LOOP_READ, on_readable, c, NULL) < 0)
		caller_close(c);
}

struct control *control_new(struct proxy *p, const char *path, struct err *err)
{
	struct control *c = mem_new(struct control);

	c->p = p;
	c->listener = listen_unix(p->loop, path, on_caller, c, err);
	if (!c->listener) {
		free(c);
		return NULL;
	}
	return c;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	listen_close(c->listener);
	while (c->callers)
		caller_close(c->callers);
	if (c->level_timer.loop)
		log_set_level(c->level_before);
	loop_timer_stop(&c->level_timer);
	free(c);
}

static int connect_unix(const char *path, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	auto_close int fd = -1;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(err, E_BAD, "%s: the path is too long for a socket", path);
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "cannot reach the control socket %s", path);
	return steal_fd(&fd);
}

struct json *control_call(const char *path, const struct json *request, struct err *err)
{
	auto_buf out = BUF_INIT_SECRET(JSON_TEXT_MAX);
	auto_buf in = BUF_INIT_SECRET(2 * JSON_TEXT_MAX);
	auto_json struct json *answer = NULL;
	auto_close int fd = connect_unix(path, err);

	if (fd < 0 || json_write(request, false, &out, err) < 0 || buf_addc(&out, '\n', err) < 0 ||
	    fd_write_all(fd, buf_str(&out), err) < 0 || fd_read_all(fd, &in, path, err) < 0)
		return NULL;
	answer = json_parse(buf_str(&in), "answer", err);
	if (!answer)
		return NULL;
	if (!json_bool(json_get(answer, "ok"))) {
		err_set(err, E_BAD, "%.*s", STR_ARG(json_str(json_get(answer, "error"))));
		return NULL;
	}
	return steal(&answer);
}
