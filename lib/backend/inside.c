#include "backend/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/inside_parts.h"
#include "backend/probe.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/plan.h"
#include "sys/fd.h"

#define ENV_FILE "/run/bottle/env.json"
#define HOSTS_FILE "/etc/hosts"
#define HOSTS_BEGIN "# bottle: sidecars"
#define HOSTS_END "# bottle: end"

/* ---- /etc/hosts ---- */

int inside_hosts_text(struct str text, const struct json *hosts, struct buf *out, struct err *err)
{
	struct str line;
	bool ours = false;

	while (str_split(&text, '\n', &line)) {
		if (str_eqz(line, HOSTS_BEGIN))
			ours = true;
		if (!ours && (line.n > 0 || text.p) &&
		    (buf_add(out, line, err) < 0 || buf_addc(out, '\n', err) < 0))
			return -1;
		if (str_eqz(line, HOSTS_END))
			ours = false;
	}
	if (buf_addz(out, HOSTS_BEGIN "\n", err) < 0)
		return -1;
	for (size_t i = 0; i < json_len(hosts); i++) {
		const struct json *h = json_at(hosts, i);

		if (buf_addf(out, err, "%.*s\t%.*s\n", STR_ARG(json_str(json_get(h, "address"))),
			     STR_ARG(json_str(json_get(h, "name")))) < 0)
			return -1;
	}
	return buf_addz(out, HOSTS_END "\n", err);
}

/* In place: the engine binds this file, so it cannot be replaced by another. */
static int write_hosts(const struct json *doc, struct err *err)
{
	auto_buf old = BUF_INIT(SYSTEM_FILE_MAX);
	auto_buf new = BUF_INIT(SYSTEM_FILE_MAX);
	auto_close int fd = -1;

	if (file_read(HOSTS_FILE, &old, err) < 0 ||
	    inside_hosts_text(buf_str(&old), json_get(doc, "hosts"), &new, err) < 0)
		return -1;
	fd = open(HOSTS_FILE, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, HOSTS_FILE);
	return fd_write_all(fd, buf_str(&new), err) < 0 ? err_wrap(err, HOSTS_FILE) : 0;
}

int inside_hosts(struct str document, struct err *err)
{
	auto_json struct json *doc = json_parse(document, "document", err);

	return doc ? write_hosts(doc, err) : -1;
}

/* ---- provisioning ---- */

static int probe_hosts(const struct json *hosts, struct err *err)
{
	for (size_t i = 0; i < json_len(hosts); i++) {
		const struct json *h = json_at(hosts, i);
		auto_free char *name = str_dupz(json_str(json_get(h, "name")));

		if (probe_reach(name, json_str(json_get(h, "address")),
				(unsigned)json_int(json_get(h, "port")), err) < 0)
			return -1;
	}
	return 0;
}

static int make_places(const struct json *doc, const struct inside_user *u, struct err *err)
{
	auto_free char *workdir = str_dupz(json_str(json_get(doc, "workdir")));

	if (inside_user_dir(u, u->home, err) < 0 || inside_user_dir(u, workdir, err) < 0)
		return -1;
	if (lchown(u->home, u->uid, u->gid) < 0)
		return err_sys(err, "%s", u->home);
	return json_bool(json_get(doc, "own")) ? inside_user_own(u, workdir, err) : 0;
}

/* "0444" */
static mode_t mode_of(struct str s)
{
	mode_t mode = 0;

	for (size_t i = 0; i < s.n; i++)
		mode = (mode_t)(mode * 8 + (mode_t)(s.p[i] - '0'));
	return mode & 0777;
}

/* Those of /run/bottle stay root's; one in the home is the user's. */
static int write_files(const struct json *files, const struct inside_user *u, struct err *err)
{
	for (size_t i = 0; i < json_len(files); i++) {
		const struct json *f = json_at(files, i);
		auto_free char *path = str_dupz(json_str(json_get(f, "path")));
		struct str content = json_str(json_get(f, "content"));
		mode_t mode = mode_of(json_str(json_get(f, "mode")));
		int rc = str_starts(str_of(path), STR("/run/bottle/"))
				 ? file_write_atomic(path, content, mode, err)
				 : inside_user_file(u, path, mode, content, err);

		if (rc < 0)
			return -1;
	}
	return 0;
}

static struct str find_file(const struct json *files, const char *path)
{
	for (size_t i = 0; i < json_len(files); i++)
		if (str_eqz(json_str(json_get(json_at(files, i), "path")), path))
			return json_str(json_get(json_at(files, i), "content"));
	return STR_NONE;
}

static int move_skills(const struct json *doc, const struct inside_user *u, struct err *err)
{
	auto_free char *parent = path_join(u->home, ".claude");
	auto_free char *to = path_join(parent, "skills");

	if (!json_bool(json_get(doc, "skills")))
		return 0;
	if (inside_user_dir(u, parent, err) < 0)
		return -1;
	/* An image may bring skills of its own: those are replaced, not mixed. */
	if (dir_remove(to, err) < 0)
		return -1;
	if (rename(BACKEND_AGENT_SKILLS, to) < 0)
		return err_sys(err, "%s", to);
	return inside_user_own(u, to, err);
}

/* git-config(1): a value in double quotes, with \ and " escaped. */
static int add_quoted(struct buf *out, const char *key, struct str value, struct err *err)
{
	if (buf_addf(out, err, "\t%s = \"", key) < 0)
		return -1;
	for (size_t i = 0; i < value.n; i++)
		if (((value.p[i] == '"' || value.p[i] == '\\') && buf_addc(out, '\\', err) < 0) ||
		    buf_addc(out, value.p[i], err) < 0)
			return -1;
	return buf_addz(out, "\"\n", err);
}

static int write_gitconfig(const struct json *doc, const struct inside_user *u, struct err *err)
{
	const struct json *who = json_get(doc, "git_user");
	auto_free char *path = path_join(u->home, ".gitconfig");
	auto_buf text = BUF_INIT(KIB(64));

	if (json_kind(who) != JSON_KIND_OBJECT)
		return 0;
	if (buf_addz(&text, "[user]\n", err) < 0 ||
	    add_quoted(&text, "name", json_str(json_get(who, "name")), err) < 0 ||
	    add_quoted(&text, "email", json_str(json_get(who, "email")), err) < 0)
		return -1;
	return inside_user_file(u, path, 0644, buf_str(&text), err);
}

/* Readable by the agent alone: other users of the image need not see its secrets. */
static int write_environment(const struct json *env, const struct inside_user *u, struct err *err)
{
	auto_buf text = BUF_INIT_SECRET(BUNDLE_MAX);

	if (json_write(env, false, &text, err) < 0 ||
	    file_write_atomic(ENV_FILE, buf_str(&text), 0400, err) < 0)
		return -1;
	return chown(ENV_FILE, u->uid, u->gid) < 0 ? err_sys(err, ENV_FILE) : 0;
}

static int provision(const struct json *doc, struct inside_user *u, struct err *err)
{
	auto_free char *home =
		json_get(doc, "home") ? str_dupz(json_str(json_get(doc, "home"))) : NULL;
	const struct json *bundle = json_get(doc, "bundle");
	const struct json *files = json_get(bundle, "files");

	if (write_hosts(doc, err) < 0 || probe_hosts(json_get(doc, "hosts"), err) < 0)
		return -1;
	if (inside_user_find(json_str(json_get(doc, "user")), home, u, err) < 0 ||
	    make_places(doc, u, err) < 0 || write_files(files, u, err) < 0)
		return -1;
	if (inside_trust(u, find_file(files, PLAN_CA_CERT), err) < 0)
		return -1;
	if (move_skills(doc, u, err) < 0 || write_gitconfig(doc, u, err) < 0)
		return -1;
	return write_environment(json_get(bundle, "env"), u, err);
}

int inside_provision(struct str document, struct err *err)
{
	auto_json struct json *doc = json_parse(document, "document", err);
	struct inside_user u = { .home = NULL };
	struct probe probe = { .fd = -1 };
	struct err open_err = ERR_INIT;
	int rc;

	if (!doc)
		return -1;
	(void)umask(022);
	rc = probe_start(&probe, err);
	if (rc == 0)
		rc = provision(doc, &u, err);
	if (probe_finish(&probe, &open_err) < 0 && rc == 0) {
		if (err)
			*err = open_err;
		rc = -1;
	}
	free(u.home);
	return rc;
}

/* ---- the session ---- */

static int set_environment(struct err *err)
{
	auto_buf text = BUF_INIT_SECRET(BUNDLE_MAX);
	auto_json struct json *env = NULL;
	const struct json *value;
	struct str key;
	void *pos = NULL;

	if (file_read(ENV_FILE, &text, err) < 0)
		return -1;
	env = json_parse(buf_str(&text), ENV_FILE, err);
	if (!env)
		return -1;
	while ((value = json_each(env, &pos, &key))) {
		auto_free char *name = str_dupz(key);
		auto_free char *z = str_dupz(json_str(value));

		if (setenv(name, z, 1) < 0)
			return err_sys(err, "%s", name);
	}
	return 0;
}

int inside_session(char **argv, struct err *err)
{
	if (set_environment(err) < 0)
		return 126;
	(void)execvp(argv[0], argv);
	(void)file_err(err, argv[0]);
	return errno == ENOENT ? 127 : 126;
}
