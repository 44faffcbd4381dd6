#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/inside_parts.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

#define ID_MAX 0x7fffffffu

static int append(const char *path, struct str text, struct err *err)
{
	auto_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return file_err(err, path);
	return fd_write_all(fd, text, err);
}

static int find_group(struct str group, gid_t *ret, struct err *err)
{
	auto_free char *name = str_dupz(group);
	const struct group *g;
	uint64_t n;

	if (str_to_u64(group, ID_MAX, &n) == 0) {
		*ret = (gid_t)n;
		return 0;
	}
	g = getgrnam(name);
	if (!g)
		return err_set(err, E_NOTFOUND, "the image has no group '%s'", name);
	*ret = g->gr_gid;
	return 0;
}

/* "agent" unless the image uses that name for somebody else. */
static int name_user(const struct inside_user *u, struct err *err)
{
	auto_buf line = BUF_INIT(KIB(8));
	const char *name = getpwnam("agent") ? "bottle-agent" : "agent";

	if (buf_addf(&line, err, "%s:x:%u:%u::%s:/bin/sh\n", name, u->uid, u->gid, u->home) < 0 ||
	    append("/etc/passwd", buf_str(&line), err) < 0)
		return -1;
	if (getgrgid(u->gid))
		return 0;
	buf_clear(&line);
	if (buf_addf(&line, err, "%s:x:%u:\n", name, u->gid) < 0)
		return -1;
	return append("/etc/group", buf_str(&line), err);
}

int inside_user_find(struct str spec, const char *home, struct inside_user *ret, struct err *err)
{
	struct str group = spec, user;
	auto_free char *name = NULL;
	const struct passwd *pw;
	uint64_t n;

	(void)str_split(&group, ':', &user);
	name = str_dupz(user);
	if (str_to_u64(user, ID_MAX, &n) == 0) {
		pw = getpwuid((uid_t)n);
		*ret = (struct inside_user){ .uid = (uid_t)n, .gid = pw ? pw->pw_gid : (gid_t)n };
	} else {
		pw = getpwnam(name);
		if (!pw)
			return err_set(err, E_NOTFOUND, "the image has no user '%s'", name);
		*ret = (struct inside_user){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	}
	if (ret->uid == 0)
		return err_set(err, E_DENIED, "the agent may not be root");
	ret->home = mem_strdup(home ? home : pw && *pw->pw_dir == '/' ? pw->pw_dir : "/tmp");
	if (group.p && find_group(group, &ret->gid, err) < 0)
		return -1;
	return pw ? 0 : name_user(ret, err);
}

int inside_user_dir(const struct inside_user *u, const char *path, struct err *err)
{
	auto_free char *dir = NULL, *name = NULL;

	if (mkdir(path, 0755) == 0)
		return chown(path, u->uid, u->gid) < 0 ? err_sys(err, "%s", path) : 0;
	if (errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return file_err(err, path);
	if (path_split(path, &dir, &name, err) < 0 || inside_user_dir(u, dir, err) < 0)
		return -1;
	if (mkdir(path, 0755) < 0)
		return file_err(err, path);
	return chown(path, u->uid, u->gid) < 0 ? err_sys(err, "%s", path) : 0;
}

int inside_user_file(const struct inside_user *u, const char *path, mode_t mode, struct str content,
		     struct err *err)
{
	auto_free char *dir = NULL, *name = NULL;

	if (path_split(path, &dir, &name, err) < 0 || inside_user_dir(u, dir, err) < 0 ||
	    file_write_atomic(path, content, mode, err) < 0)
		return -1;
	return chown(path, u->uid, u->gid) < 0 ? err_sys(err, "%s", path) : 0;
}

/* Takes over fd, a directory. */
static int own_below(const struct inside_user *u, int fd, int depth, struct err *err)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;
	int rc = 0;

	if (!d) {
		(void)close(fd);
		return err_sys(err, "directory");
	}
	while (rc == 0 && (e = readdir(d))) {
		int below;

		if (str_eqz(str_of(e->d_name), ".") || str_eqz(str_of(e->d_name), ".."))
			continue;
		if (fchownat(dirfd(d), e->d_name, u->uid, u->gid, AT_SYMLINK_NOFOLLOW) < 0) {
			rc = err_sys(err, "%s", e->d_name);
			continue;
		}
		below = openat(dirfd(d), e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue; /* not a directory */
		if (depth == TAR_DEPTH_MAX) {
			(void)close(below);
			rc = err_set(err, E_LIMIT, "%s: too deep", e->d_name);
			continue;
		}
		rc = own_below(u, below, depth + 1, err);
	}
	(void)closedir(d);
	return rc;
}

int inside_user_own(const struct inside_user *u, const char *path, struct err *err)
{
	int fd;

	if (lchown(path, u->uid, u->gid) < 0)
		return err_sys(err, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, path);
	return own_below(u, fd, 0, err) < 0 ? err_wrap(err, "%s", path) : 0;
}
