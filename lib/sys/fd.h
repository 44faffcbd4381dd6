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

/* Whole buffer on a blocking descriptor; EINTR handled. */
int fd_write_all(int fd, struct str s, struct err *err) __attribute__((warn_unused_result));
/* To EOF, into `out` up to its maximum (E_LIMIT). */
int fd_read_all(int fd, struct buf *out, const char *name, struct err *err)
	__attribute__((warn_unused_result));

/*
 * A regular file, read whole. O_NOFOLLOW is not used (dotfile managers link); devices, pipes and
 * directories are refused. Messages name the path.
 */
int file_read(const char *path, struct buf *out, struct err *err) __attribute__((warn_unused_result));
/* The same relative to a directory descriptor, refusing a symlink in the last component: for directories another party may write. */
int file_read_at(int dirfd, const char *name, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* temp file in the same directory + fsync + rename + fsync of the directory. mode as for open. */
int file_write_atomic(const char *path, struct str content, mode_t mode, struct err *err)
	__attribute__((warn_unused_result));

/* mkdir -p; every created directory gets `mode`. An existing directory is fine. */
int dir_make(const char *path, mode_t mode, struct err *err) __attribute__((warn_unused_result));
/* A new mode-700 directory "PREFIXXXXXXX" under $TMPDIR or /tmp; the path is the caller's to free. */
char *dir_make_temp(const char *prefix, struct err *err) __attribute__((warn_unused_result));
/* rm -r: never follows a symlink, stays on one filesystem, goes on after errors and keeps the first. Missing: 0. */
int dir_remove(const char *path, struct err *err);
/* Names in a directory without . and .., sorted; freed with dir_list_free. Missing directory: E_NOTFOUND. */
struct dir_list {
	char **names;
	size_t count;
};
int dir_list(const char *path, struct dir_list *ret, struct err *err) __attribute__((warn_unused_result));
void dir_list_free(struct dir_list *l);

/* "a/b", one slash between; heap. */
char *path_join(const char *a, const char *b);

/*
 * An exclusive advisory lock (flock) on a file that is created when missing. -1 with E_EXISTS when another
 * process holds it. The descriptor keeps the lock; it is close-on-exec.
 */
int file_lock(const char *path, struct err *err) __attribute__((warn_unused_result));

/* len random bytes from getrandom(2); aborts when the kernel cannot. */
void sys_random(void *p, size_t len);

#endif
