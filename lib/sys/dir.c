/*
 * dir: the directories of fd.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "sys/fd.h"

/* mkdir may say EROFS or EACCES of a directory that is there, so what counts is what is there. */
static int make_one(const char *path, mode_t mode, struct err *err)
{
	struct stat st;
	int code;

	if (mkdir(path, mode) == 0)
		return 0;
	code = errno;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	errno = code;
	if (code == EEXIST)
		return err_set(err, E_EXISTS, "%s: exists and is not a directory", path);
	return file_err(err, path);
}

int dir_make(const char *path, mode_t mode, struct err *err)
{
	auto_free char *part = mem_strdup(path);

	if (!*path)
		return err_set(err, E_BAD, "a directory without a name");
	for (char *p = part; (p = strchr(p + 1, '/'));) {
		*p = '\0';
		if (make_one(part, mode, err) < 0)
			return -1;
		*p = '/';
	}
	return make_one(path, mode, err);
}

char *dir_make_temp(const char *prefix, struct err *err)
{
	const char *base = getenv("TMPDIR");
	auto_free char *name = mem_printf("%sXXXXXX", prefix);
	auto_free char *path = NULL;

	if (!base || base[0] != '/')
		base = "/tmp";
	path = path_join(base, name);
	if (!mkdtemp(path)) {
		(void)file_err(err, base);
		return NULL;
	}
	return steal(&path);
}

/* ---- listing ---- */

void dir_list_free(struct dir_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
	*l = (struct dir_list){ .names = NULL };
}

/* Reads the directory and closes fd. -1 with errno. */
static int read_names(int fd, struct dir_list *ret)
{
	struct dir_list l = { .names = NULL };
	DIR *d = fdopendir(fd);
	size_t cap = 0;
	struct dirent *e;

	if (!d) {
		(void)close(fd);
		return -1;
	}
	while ((errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (l.count == cap) {
			cap = cap ? cap * 2 : 16;
			l.names = mem_resize(l.names, cap, sizeof(*l.names));
		}
		l.names[l.count++] = mem_strdup(e->d_name);
	}
	if (errno != 0) {
		int code = errno;

		dir_list_free(&l);
		(void)closedir(d);
		errno = code;
		return -1;
	}
	(void)closedir(d);
	*ret = l;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_list(const char *path, struct dir_list *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || read_names(fd, ret) < 0)
		return file_err(err, path);
	if (ret->count > 0)
		qsort(ret->names, ret->count, sizeof(*ret->names), by_name);
	return 0;
}

/* ---- removal ---- */

/*
 * The tree may have been made by an agent: links to elsewhere, mounts, thousands of levels. So the
 * way is always relative to an open directory, one descriptor whatever the depth: down by openat2,
 * up by "..", which must lead to the directory we came from.
 */
struct level {
	struct dir_list entries;
	size_t next; /* entries[next - 1] is being removed */
	dev_t dev;
	ino_t ino;
};

struct removal {
	const char *path; /* of the whole, for messages */
	int fd;           /* the directory of the innermost level */
	struct level *levels;
	size_t depth, cap;
	int rc;
	struct err *err; /* the first error */
};

/* Records errno; `why` replaces its text. */
static void failed(struct removal *r, const char *name, const char *why)
{
	if (r->rc == 0 && why)
		r->rc = err_set(r->err, E_DENIED, "remove %s: %s: %s", r->path, name, why);
	else if (r->rc == 0) {
		(void)file_err(r->err, name);
		r->rc = err_wrap(r->err, "remove %s", r->path);
	}
}

/* Moves into a directory that has just been opened; fd is the removal's from here on. */
static int enter(struct removal *r, int fd)
{
	struct level level = { .next = 0 };
	struct stat st;
	int copy;

	if (fstat(fd, &st) < 0)
		goto fail;
	/* Read-only directories are common: Go's module cache is made of them. */
	if ((st.st_mode & 0700) != 0700)
		(void)fchmod(fd, 0700);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || read_names(copy, &level.entries) < 0)
		goto fail;
	level.dev = st.st_dev;
	level.ino = st.st_ino;
	if (r->depth == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->levels = mem_resize(r->levels, r->cap, sizeof(*r->levels));
	}
	r->levels[r->depth++] = level;
	if (r->fd >= 0)
		(void)close(r->fd);
	r->fd = fd;
	return 0;
fail:
	(void)close(fd);
	return -1;
}

/* Back to the level above; -1 when that fails, and then nothing more may be removed. */
static int leave(struct removal *r)
{
	struct level *above;
	struct stat st;
	int fd;

	dir_list_free(&r->levels[--r->depth].entries);
	if (r->depth == 0)
		return 0;
	above = &r->levels[r->depth - 1];
	fd = openat(r->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		failed(r, "..", NULL);
		return -1;
	}
	(void)close(r->fd);
	r->fd = fd;
	if (fstat(fd, &st) < 0 || st.st_dev != above->dev || st.st_ino != above->ino) {
		failed(r, "a directory", "moved away while it was being removed");
		return -1;
	}
	return 0;
}

static void remove_entry(struct removal *r, const char *name)
{
	/* NO_XDEV stops at every mount, a bind mount of the same filesystem too. */
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
				      .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS |
						 RESOLVE_BENEATH };
	int fd;

	if (unlinkat(r->fd, name, 0) == 0 || errno == ENOENT)
		return;
	if (errno != EISDIR) {
		failed(r, name, NULL);
		return;
	}
	fd = (int)syscall(SYS_openat2, r->fd, name, &how, sizeof(how));
	if (fd < 0 && errno == EXDEV)
		failed(r, name, "another filesystem is mounted there");
	else if (fd < 0 || enter(r, fd) < 0)
		failed(r, name, NULL);
}

static void remove_tree(struct removal *r)
{
	while (r->depth > 0) {
		struct level *l = &r->levels[r->depth - 1];
		const char *name;

		if (l->next < l->entries.count) {
			remove_entry(r, l->entries.names[l->next++]);
			continue;
		}
		if (leave(r) < 0 || r->depth == 0)
			break;
		l = &r->levels[r->depth - 1];
		name = l->entries.names[l->next - 1];
		if (unlinkat(r->fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			failed(r, name, NULL);
	}
	while (r->depth > 0)
		dir_list_free(&r->levels[--r->depth].entries);
	free(r->levels);
	(void)close(r->fd);
}

int dir_remove(const char *path, struct err *err)
{
	struct removal r = { .path = path, .fd = -1, .err = err };
	auto_free char *parent_path = NULL;
	auto_free char *name = NULL;
	auto_close int parent = -1;
	int fd;

	if (path_split(path, &parent_path, &name, err) < 0)
		return -1;
	parent = open(parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return errno == ENOENT ? 0 : file_err(err, parent_path);
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return file_err(err, path);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || enter(&r, fd) < 0)
		return file_err(err, path);
	remove_tree(&r);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		failed(&r, name, NULL);
	return r.rc;
}
