/*
 * fd: descriptors and files, the careful way.
 */
#ifndef BOTTLE_SYS_FD_H
#define BOTTLE_SYS_FD_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

int fd_nonblock(int fd, bool on, struct err *err);
int fd_cloexec(int fd, bool on, struct err *err);

/*
 * Raises the soft limit of open descriptors to the hard one. Returns it, as a count of descriptors:
 * each has a lower number, and the number of a new one tells how many are open at least, for it is
 * the lowest that was free (POSIX 2.14).
 */
int fd_raise_limit(void);

/* Whole buffer on a blocking descriptor; EINTR handled. */
int fd_write_all(int fd, struct str s, struct err *err) __attribute__((warn_unused_result));
/*
 * To EOF, into `out` up to its maximum (E_LIMIT). On failure `out` holds what was read so far; so
 * do the other readers here.
 */
int fd_read_all(int fd, struct buf *out, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Records errno as "path: reason" and returns -1: E_NOTFOUND, E_DENIED or E_EXISTS where that is
 * the reason, else E_SYS. All functions below fail like this unless they say otherwise.
 */
int file_err(struct err *err, const char *path);

/*
 * A regular file, read whole. O_NOFOLLOW is not used (dotfile managers link); devices, pipes and
 * directories are refused (E_BAD). Messages name the path.
 */
int file_read(const char *path, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/*
 * The same for a name (no slashes) in a directory, for directories another party may write: a
 * symlink is refused (E_DENIED).
 */
int file_read_at(int dirfd, const char *name, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Temp file in the same directory, fsync, rename, fsync of the directory: after a crash the old or
 * the new content is there, whole. mode as for open (the umask applies). A symlink at `path` is
 * replaced, not followed. On failure the old content stays and nothing is left behind.
 */
int file_write_atomic(const char *path, struct str content, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));

/*
 * An exclusive advisory lock (flock) on a file that is created when missing (mode 600); a symlink
 * is refused (E_DENIED). -1 with E_EXISTS when it is locked already. The descriptor keeps the lock;
 * it is close-on-exec.
 */
int file_lock(const char *path, struct err *err) __attribute__((warn_unused_result));

/* mkdir -p; every created directory gets `mode` less the umask. An existing directory is fine. */
int dir_make(const char *path, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/*
 * A new mode-700 directory "PREFIXXXXXXX" under $TMPDIR (when absolute) or /tmp; the path is the
 * caller's to free.
 */
char *dir_make_temp(const char *prefix, struct err *err) __attribute__((warn_unused_result));
/*
 * rm -r: never follows a symlink, stops at mounts (bind mounts too), goes on after errors and keeps
 * the first. Safe in a tree another party is changing, and at any depth. Missing: 0.
 */
int dir_remove(const char *path, struct err *err);

/* Names in a directory without . and .., in byte order. Freed with dir_list_free. */
struct dir_list {
	char **names;
	size_t count;
};
int dir_list(const char *path, struct dir_list *ret, struct err *err)
	__attribute__((warn_unused_result));
void dir_list_free(struct dir_list *l);

/* "a/b", one slash between; just b when a is empty. Heap. */
char *path_join(const char *a, const char *b) __attribute__((returns_nonnull, warn_unused_result));
/*
 * "x/y/z" is "x/y" and "z", "z" is "." and "z"; slashes at the end are passed over. Both are heap
 * strings. E_BAD when there is no name to act on: "", "/", and "." or ".." at the end.
 */
int path_split(const char *path, char **ret_dir, char **ret_name, struct err *err)
	__attribute__((warn_unused_result));

/* len random bytes from getrandom(2); aborts when the kernel cannot. */
void sys_random(void *p, size_t len);

#endif
