#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

static int set_flag(int fd, int get, int set, int flag, bool on, struct err *err)
{
	int flags = fcntl(fd, get);

	if (flags < 0)
		return err_sys(err, "fcntl on descriptor %d", fd);
	if (on == !!(flags & flag))
		return 0;
	if (fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
		return err_sys(err, "fcntl on descriptor %d", fd);
	return 0;
}

int fd_nonblock(int fd, bool on, struct err *err)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on, err);
}

int fd_cloexec(int fd, bool on, struct err *err)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on, err);
}

int fd_raise_limit(void)
{
	struct rlimit r = { .rlim_cur = 0 };

	(void)getrlimit(RLIMIT_NOFILE, &r);
	if (r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
		(void)getrlimit(RLIMIT_NOFILE, &r);
	}
	return r.rlim_cur < INT_MAX ? (int)r.rlim_cur : INT_MAX;
}

int fd_write_all(int fd, struct str s, struct err *err)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write");
		s = str_from(s, (size_t)n);
	}
	return 0;
}

int fd_read_all(int fd, struct buf *out, const char *name, struct err *err)
{
	char extra;

	for (;;) {
		size_t room = buf_room(out);
		char *p = &extra;
		ssize_t n;

		/* Full: one byte more tells an exact fit from too much. */
		if (room > FD_READ_SIZE)
			room = FD_READ_SIZE;
		if (room > 0 && !(p = buf_reserve(out, room, err)))
			return err_wrap(err, "%s", name);
		n = read(fd, p, room > 0 ? room : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %s", name);
		if (n == 0)
			return 0;
		if (room == 0)
			return err_set(err, E_LIMIT, "%s: longer than %zu bytes", name, out->max);
		buf_commit(out, (size_t)n);
	}
}

int file_err(struct err *err, const char *path)
{
	int code = errno;

	(void)err_sys(err, "%s", path);
	if (!err)
		return -1;
	if (code == ENOENT || code == ENOTDIR)
		err->code = E_NOTFOUND;
	else if (code == EACCES || code == EPERM)
		err->code = E_DENIED;
	else if (code == EEXIST)
		err->code = E_EXISTS;
	return -1;
}

/* Closes fd. O_NONBLOCK at its open(2) keeps a pipe in the file's place from holding us up. */
static int read_regular(int fd, const char *name, struct buf *out, struct err *err)
{
	auto_close int owned = fd;
	struct stat st;

	if (fd < 0 || fstat(owned, &st) < 0)
		return file_err(err, name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, E_BAD, "%s: %s, not a regular file", name,
			       S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
	return fd_read_all(owned, out, name, err);
}

int file_read(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return read_regular(fd, path, out, err);
}

int file_read_at(int dirfd, const char *name, struct buf *out, struct err *err)
{
	int fd;

	/* O_NOFOLLOW speaks of the last component only. */
	if (strchr(name, '/'))
		return err_set(err, E_BAD, "%s: a name without slashes is wanted", name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0 && errno == ELOOP)
		return err_set(err, E_DENIED, "%s: a symbolic link", name);
	return read_regular(fd, name, out, err);
}

/* Creates `temp`, fills it and puts it in the place of `name`. */
static int write_and_rename(int dir, const char *temp, const char *name, struct str content,
			    mode_t mode, struct err *err)
{
	auto_close int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return file_err(err, "a temporary file beside it");
	if (fd_write_all(fd, content, err) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(err, "fsync");
	if (renameat(dir, temp, dir, name) < 0)
		return err_sys(err, "rename");
	return 0;
}

int file_write_atomic(const char *path, struct str content, mode_t mode, struct err *err)
{
	auto_free char *dir_path = NULL;
	auto_free char *name = NULL;
	auto_close int dir = -1;
	uint64_t unique;
	char temp[40];

	if (path_split(path, &dir_path, &name, err) < 0)
		return -1;
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return file_err(err, dir_path);
	sys_random(&unique, sizeof(unique));
	(void)snprintf(temp, sizeof(temp), ".bottle-%016llx.tmp", (unsigned long long)unique);
	if (write_and_rename(dir, temp, name, content, mode, err) < 0) {
		(void)unlinkat(dir, temp, 0);
		return err_wrap(err, "%s", path);
	}
	/* Some filesystems have no fsync for directories and say EINVAL. */
	if (fsync(dir) < 0 && errno != EINVAL)
		return file_err(err, dir_path);
	return 0;
}

/* 1: locked; 0: the file lost its name between open and flock, so nobody else will see the lock. */
static int try_lock(const char *path, int *ret_fd, struct err *err)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat held, there;

	if (fd < 0 && errno == ELOOP)
		return err_set(err, E_DENIED, "%s: a symbolic link", path);
	if (fd < 0)
		return file_err(err, path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(err, E_EXISTS, "%s: locked by another process", path);
		return file_err(err, path);
	}
	if (fstat(fd, &held) < 0)
		return file_err(err, path);
	if (lstat(path, &there) < 0 || held.st_dev != there.st_dev || held.st_ino != there.st_ino)
		return 0;
	*ret_fd = steal_fd(&fd);
	return 1;
}

int file_lock(const char *path, struct err *err)
{
	for (int i = 0; i < FILE_LOCK_TRIES; i++) {
		int fd, rc = try_lock(path, &fd, err);

		if (rc != 0)
			return rc < 0 ? -1 : fd;
	}
	return err_set(err, E_SYS, "%s: removed again and again while it was being locked", path);
}

char *path_join(const char *a, const char *b)
{
	size_t n = strlen(a);

	if (n == 0)
		return mem_strdup(b);
	while (n > 0 && a[n - 1] == '/')
		n--;
	while (*b == '/')
		b++;
	return mem_printf("%.*s/%s", (int)n, a, b);
}

int path_split(const char *path, char **ret_dir, char **ret_name, struct err *err)
{
	size_t end = strlen(path), start, dir;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/';)
		start--;
	for (dir = start; dir > 0 && path[dir - 1] == '/';)
		dir--;
	if (end == start || (end - start == 1 && path[start] == '.') ||
	    (end - start == 2 && path[start] == '.' && path[start + 1] == '.'))
		return err_set(err, E_BAD, "\"%s\" names no file", path);
	*ret_name = mem_strndup(path + start, end - start);
	if (start == 0)
		*ret_dir = mem_strdup(".");
	else
		*ret_dir = dir == 0 ? mem_strdup("/") : mem_strndup(path, dir);
	return 0;
}

void sys_random(void *p, size_t len)
{
	char *at = p;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();
		at += n;
		len -= (size_t)n;
	}
}
