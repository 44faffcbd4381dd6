/*
 * tar: archives as engines take them (POSIX ustar, pax headers for what does not fit it).
 *
 * From memory, and from a directory in pieces, so that a work tree of any size passes through a
 * small buffer.
 */
#ifndef BOTTLE_DOCKER_TAR_H
#define BOTTLE_DOCKER_TAR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Owner of everything in an archive. */
struct tar_owner {
	unsigned uid, gid;
};

/* Paths have no leading slash; a directory's needs no slash at its end. mtime is 0. */
int tar_add_dir(struct buf *out, const char *path, mode_t mode, struct tar_owner owner,
		struct err *err) __attribute__((warn_unused_result));
int tar_add_file(struct buf *out, const char *path, mode_t mode, struct tar_owner owner,
		 struct str content, struct err *err) __attribute__((warn_unused_result));
int tar_end(struct buf *out, struct err *err) __attribute__((warn_unused_result));

enum tar_verdict {
	TAR_KEEP,
	TAR_SKIP,    /* a directory: with all below it */
	TAR_REPLACE, /* a regular file: `content` instead */
	TAR_FAIL,
};

/*
 * What becomes of `path` (relative to the tree, no leading slash). For TAR_REPLACE it fills
 * `content`; `fd` is the file open for reading, -1 for what is not a regular file.
 */
typedef enum tar_verdict tar_filter_fn(void *arg, struct str path, int fd, struct buf *content,
				       struct err *err);

struct tar_tree;

/*
 * The tree below `dir` as members "prefix/…", and `prefix` itself. Regular files, directories and
 * symlinks (never followed); others are left out. A file that changes while it is read is cut or
 * filled with zeros to the length it had.
 */
struct tar_tree *tar_tree_open(const char *dir, const char *prefix, struct tar_owner owner,
			       tar_filter_fn *filter, void *filter_arg, struct err *err)
	__attribute__((warn_unused_result));
void tar_tree_free(struct tar_tree *t);
/* The next piece, appended to `out`: a job_feed_fn with the tree as its argument. */
int tar_tree_read(void *tree, struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
