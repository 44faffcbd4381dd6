#include "backend/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/version.h"
#include "manifest/identity.h"
#include "sys/fd.h"

/* ---- one run ---- */

static const char *cwd_word(enum plan_cwd mode)
{
	return mode == PLAN_CWD_COPY ? "copy" : mode == PLAN_CWD_BIND ? "bind" : "none";
}

static int write_metadata(const struct state *s, const struct plan *p, struct err *err)
{
	auto_json struct json *j = json_new_object();
	auto_buf out = BUF_INIT(JSON_TEXT_MAX);
	auto_free char *path = path_join(s->dir, "metadata.json");

	json_set(j, "schema", json_new_int(STATE_SCHEMA));
	json_set_strz(j, "identity", p->identity);
	json_set_strz(j, "agent", p->agent->name);
	json_set(j, "repository", json_new_bool(p->agent->repository));
	json_set_strz(j, "bottle", p->bottle->name);
	json_set_strz(j, "cwd", p->cwd);
	json_set_strz(j, "copy_cwd", cwd_word(p->cwd_mode));
	json_set_strz(j, "backend", p->backend == BACKEND_DOCKER ? "docker" : "native");
	json_set(j, "started_at", json_new_int((int64_t)time(NULL)));
	json_set(j, "pid", json_new_int(getpid()));
	json_set_strz(j, "version", bottle_version());
	if (json_write(j, true, &out, err) < 0 || buf_addc(&out, '\n', err) < 0)
		return -1;
	return file_write_atomic(path, buf_str(&out), 0600, err);
}

/* The directory is new, so only somebody who looks whether we live can hold the lock, shortly. */
static int lock(const char *path, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int fd = file_lock(path, err);

	for (int tries = 0; fd < 0 && tries < 100; tries++) {
		(void)nanosleep(&pause, NULL);
		fd = file_lock(path, err);
	}
	return fd;
}

static int fill(struct state *s, const struct plan *p, struct err *err)
{
	auto_free char *lock_path = path_join(s->dir, "lock");
	auto_free char *events = path_join(s->dir, "events.jsonl");

	s->lock_fd = lock(lock_path, err);
	if (s->lock_fd < 0)
		return -1;
	s->events_fd = open(events, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (s->events_fd < 0)
		return file_err(err, events);
	return write_metadata(s, p, err);
}

int state_create(const char *home, const struct plan *p, struct state *ret, struct err *err)
{
	auto_free char *all = path_join(home, "state");
	struct state s = { .lock_fd = -1, .events_fd = -1 };

	if (dir_make(all, 0700, err) < 0)
		return -1;
	s.dir = path_join(all, p->identity);
	s.audit = mem_printf("%s/audit/%s.events.jsonl", home, p->identity);
	if (mkdir(s.dir, 0700) < 0) {
		(void)file_err(err, s.dir);
		state_fini(&s);
		return -1;
	}
	if (fill(&s, p, err) < 0) {
		(void)dir_remove(s.dir, NULL);
		state_fini(&s);
		return -1;
	}
	*ret = s;
	return 0;
}

void state_fini(struct state *s)
{
	if (s->events_fd >= 0)
		(void)close(s->events_fd);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	free(s->dir);
	free(s->audit);
	*s = (struct state){ .lock_fd = -1, .events_fd = -1 };
}

int state_event(struct state *s, struct str line, struct err *err)
{
	auto_buf out = BUF_INIT(LOG_EVENT_MAX + 1);

	/* One write, so that a reader never sees half a line. */
	if (buf_add(&out, line, err) < 0 || buf_addc(&out, '\n', err) < 0 ||
	    fd_write_all(s->events_fd, buf_str(&out), err) < 0) {
		s->events_failed = true;
		return err_wrap(err, "cannot keep an event in %s/events.jsonl", s->dir);
	}
	return 0;
}

int state_note(struct state *s, const char *event, const char *detail, struct err *err)
{
	auto_json struct json *j = json_new_object();
	auto_buf out = BUF_INIT(LOG_EVENT_MAX);
	struct timespec now;
	struct tm tm;
	char ts[40];
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	n = strftime(ts, sizeof(ts), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ts + n, sizeof(ts) - n, ".%03ldZ", now.tv_nsec / 1000000);
	json_set_strz(j, "ts", ts);
	json_set_strz(j, "component", "launcher");
	json_set_strz(j, "event", event);
	json_set_strz(j, "detail", detail);
	if (json_write(j, false, &out, err) < 0)
		return -1;
	return state_event(s, buf_str(&out), err);
}

static int keep_events(struct state *s, struct err *err)
{
	auto_free char *from = path_join(s->dir, "events.jsonl");
	auto_free char *dir = NULL, *name = NULL;
	struct stat st;

	if (stat(from, &st) < 0)
		return errno == ENOENT ? 0 : file_err(err, from);
	if (st.st_size == 0)
		return 0;
	if (path_split(s->audit, &dir, &name, err) < 0 || dir_make(dir, 0700, err) < 0)
		return -1;
	return rename(from, s->audit) < 0 ? err_sys(err, "%s", s->audit) : 0;
}

int state_settle(struct state *s, enum state_end end, struct err *err)
{
	if (end == STATE_KEEP)
		return 0;
	/* What cannot be kept in audit/ stays where it is. */
	if (keep_events(s, err) < 0)
		return -1;
	return dir_remove(s->dir, err);
}

/* ---- all of them ---- */

/* The launcher holds the lock as long as it lives. Missing lock file: it never got that far. */
static bool is_live(const char *dir)
{
	auto_free char *path = path_join(dir, "lock");
	struct err err = ERR_INIT;
	int fd;

	if (access(path, F_OK) < 0)
		return false;
	fd = file_lock(path, &err);
	if (fd >= 0)
		(void)close(fd);
	return fd < 0;
}

static void read_metadata(struct state_entry *e)
{
	auto_free char *path = path_join(e->dir, "metadata.json");
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);
	auto_json struct json *j = NULL;

	if (file_read(path, &text, NULL) < 0)
		return;
	j = json_parse(buf_str(&text), path, NULL);
	if (!j)
		return;
	e->agent = str_dupz(json_str(json_get(j, "agent")));
	e->backend = str_dupz(json_str(json_get(j, "backend")));
	e->cwd = str_dupz(json_str(json_get(j, "cwd")));
	e->started_at = json_int(json_get(j, "started_at"));
	e->pid = (pid_t)json_int(json_get(j, "pid"));
}

int state_list(const char *home, struct state_list *ret, struct err *err)
{
	auto_free char *all = path_join(home, "state");
	struct dir_list names = { NULL, 0 };
	struct state_list l = { NULL, 0 };
	struct err why = ERR_INIT;

	if (dir_list(all, &names, &why) < 0) {
		*ret = l;
		if (why.code == E_NOTFOUND)
			return 0;
		if (err)
			*err = why;
		return -1;
	}
	l.v = mem_array(names.count + 1, sizeof(*l.v));
	for (size_t i = 0; i < names.count; i++) {
		struct state_entry *e = &l.v[l.n];

		if (!identity_ok(str_of(names.names[i])))
			continue;
		*e = (struct state_entry){ .identity = mem_strdup(names.names[i]),
					   .dir = path_join(all, names.names[i]) };
		e->live = is_live(e->dir);
		read_metadata(e);
		l.n++;
	}
	dir_list_free(&names);
	*ret = l;
	return 0;
}

void state_list_free(struct state_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].identity);
		free(l->v[i].dir);
		free(l->v[i].agent);
		free(l->v[i].backend);
		free(l->v[i].cwd);
	}
	free(l->v);
	*l = (struct state_list){ NULL, 0 };
}

const struct state_entry *state_find(const struct state_list *l, const char *identity)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eqz(str_of(l->v[i].identity), identity))
			return &l->v[i];
	return NULL;
}

char *state_events_path(const char *home, const char *identity, struct err *err)
{
	auto_free char *live = mem_printf("%s/state/%s/events.jsonl", home, identity);
	auto_free char *kept = mem_printf("%s/audit/%s.events.jsonl", home, identity);

	if (access(live, F_OK) == 0)
		return steal(&live);
	if (access(kept, F_OK) == 0)
		return steal(&kept);
	(void)err_set(err, E_NOTFOUND, "no events of '%s' under %s (see 'bottle list')", identity,
		      home);
	return NULL;
}
