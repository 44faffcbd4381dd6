#include "docker/tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

#define BLOCK 512

/* POSIX.1-1988 ustar header block (pax(1), "ustar Interchange Format"). */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
	char prefix[155], unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

struct member {
	struct str path, link;
	char type; /* '0' file, '2' symlink, '5' directory, 'x' pax records of the next one */
	mode_t mode;
	struct tar_owner owner;
	uint64_t size;
	int64_t mtime;
};

/* ---- headers ---- */

/* Octal with a NUL at the end; false when the number is too large for the field. */
static bool put_octal(char *field, size_t size, uint64_t value)
{
	field[--size] = '\0';
	while (size > 0) {
		field[--size] = (char)('0' + (value & 7));
		value >>= 3;
	}
	return value == 0;
}

static void put_text(char *field, size_t size, struct str s)
{
	if (s.n > 0)
		memcpy(field, s.p, s.n < size ? s.n : size);
}

static void put_checksum(struct header *h)
{
	const unsigned char *bytes = (const unsigned char *)h;
	uint64_t sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += bytes[i];
	(void)put_octal(h->checksum, 7, sum);
}

/* "LENGTH key=value\n", where LENGTH counts itself too (pax(1)). */
static int add_record(struct buf *out, const char *key, struct str value, struct err *err)
{
	size_t rest = strlen(key) + value.n + 3; /* space, '=', newline */
	size_t n = rest + 1;

	for (size_t digits = 1, p = 10; n >= p; digits++, p *= 10)
		n = rest + digits + 1;
	if (buf_addf(out, err, "%zu %s=", n, key) < 0 || buf_add(out, value, err) < 0)
		return -1;
	return buf_addc(out, '\n', err);
}

static int pad(struct buf *out, uint64_t size, struct err *err)
{
	static const char zeros[BLOCK];
	size_t n = (size_t)(-size % BLOCK);

	return buf_add(out, str_mem(zeros, n), err);
}

static int add_header(struct buf *out, const struct member *m, struct err *err)
{
	struct header h = { .type = m->type, .magic = "ustar", .version = { '0', '0' } };
	auto_buf records = BUF_INIT(KIB(16));
	bool long_path = m->path.n > sizeof(h.name);
	bool long_link = m->link.n > sizeof(h.linkname);
	bool large = !put_octal(h.size, sizeof(h.size), m->size);

	if ((long_path && add_record(&records, "path", m->path, err) < 0) ||
	    (long_link && add_record(&records, "linkpath", m->link, err) < 0))
		return -1;
	if (large) {
		char digits[24];
		int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)m->size);

		if (add_record(&records, "size", str_mem(digits, (size_t)n), err) < 0)
			return -1;
		(void)put_octal(h.size, sizeof(h.size), 0);
	}
	if (records.len > 0) {
		struct member x = {
			.path = STR("pax"), .type = 'x', .mode = 0600, .size = records.len
		};

		if (add_header(out, &x, err) < 0 || buf_add(out, buf_str(&records), err) < 0 ||
		    pad(out, records.len, err) < 0)
			return -1;
	}
	put_text(h.name, sizeof(h.name), m->path);
	put_text(h.linkname, sizeof(h.linkname), m->link);
	(void)put_octal(h.mode, sizeof(h.mode), m->mode & 07777);
	if (!put_octal(h.uid, sizeof(h.uid), m->owner.uid) ||
	    !put_octal(h.gid, sizeof(h.gid), m->owner.gid))
		return err_set(err, E_LIMIT, "user id %u or group id %u does not fit an archive",
			       m->owner.uid, m->owner.gid);
	(void)put_octal(h.mtime, sizeof(h.mtime), m->mtime > 0 ? (uint64_t)m->mtime : 0);
	put_checksum(&h);
	return buf_add(out, str_mem(&h, BLOCK), err);
}

int tar_add_dir(struct buf *out, const char *path, mode_t mode, struct tar_owner owner,
		struct err *err)
{
	struct member m = { .path = str_of(path), .type = '5', .mode = mode, .owner = owner };

	return add_header(out, &m, err);
}

int tar_add_file(struct buf *out, const char *path, mode_t mode, struct tar_owner owner,
		 struct str content, struct err *err)
{
	struct member m = {
		.path = str_of(path), .type = '0', .mode = mode, .owner = owner, .size = content.n
	};

	if (add_header(out, &m, err) < 0 || buf_add(out, content, err) < 0)
		return -1;
	return pad(out, content.n, err);
}

int tar_end(struct buf *out, struct err *err)
{
	static const char zeros[2 * BLOCK];

	return buf_add(out, str_mem(zeros, sizeof(zeros)), err);
}

/* ---- trees ---- */

struct level {
	DIR *dir;
	size_t path_len; /* of the path before this level's names */
};

struct tar_tree {
	char *prefix;
	struct tar_owner owner;
	tar_filter_fn *filter;
	void *filter_arg;
	struct buf path; /* relative to the tree */
	struct level levels[TAR_DEPTH_MAX];
	size_t depth;
	int fd;        /* file that is being read, or -1 */
	uint64_t left; /* bytes of it still promised by its header */
	uint64_t size;
	bool ended;
};

static struct tar_tree *fail(struct tar_tree *t)
{
	tar_tree_free(t);
	return NULL;
}

/* Takes over fd. */
static int enter(struct tar_tree *t, int fd, struct err *err)
{
	DIR *d;

	if (t->depth == TAR_DEPTH_MAX) {
		(void)close(fd);
		return err_set(err, E_LIMIT, "%s: more than %d directories deep", buf_z(&t->path),
			       TAR_DEPTH_MAX);
	}
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return err_sys(err, "%s", buf_z(&t->path));
	}
	t->levels[t->depth++] = (struct level){ .dir = d, .path_len = t->path.len };
	return 0;
}

struct tar_tree *tar_tree_open(const char *dir, const char *prefix, struct tar_owner owner,
			       tar_filter_fn *filter, void *filter_arg, struct err *err)
{
	struct tar_tree *t = mem_new(struct tar_tree);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*t = (struct tar_tree){ .prefix = mem_strdup(prefix),
				.owner = owner,
				.filter = filter,
				.filter_arg = filter_arg,
				.path = BUF_INIT(TAR_PATH_MAX),
				.fd = -1 };
	if (fd < 0) {
		(void)file_err(err, dir);
		return fail(t);
	}
	return enter(t, fd, err) < 0 ? fail(t) : t;
}

void tar_tree_free(struct tar_tree *t)
{
	if (!t)
		return;
	while (t->depth > 0)
		(void)closedir(t->levels[--t->depth].dir);
	if (t->fd >= 0)
		(void)close(t->fd);
	buf_fini(&t->path);
	free(t->prefix);
	free(t);
}

static int member_header(struct tar_tree *t, const struct stat *st, struct member *m,
			 struct buf *out, struct err *err)
{
	auto_buf path = BUF_INIT(TAR_PATH_MAX);

	if (buf_addf(&path, err, "%s/", t->prefix) < 0 ||
	    buf_add(&path, buf_str(&t->path), err) < 0)
		return -1;
	m->path = buf_str(&path);
	m->mode = st->st_mode & 0777; /* no setuid, no setgid */
	m->owner = t->owner;
	m->mtime = st->st_mtime;
	return add_header(out, m, err);
}

static int add_link(struct tar_tree *t, int dirfd, const char *name, const struct stat *st,
		    struct buf *out, struct err *err)
{
	char target[TAR_PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));
	struct member m = { .type = '2' };

	if (n < 0)
		return err_sys(err, "%s", buf_z(&t->path));
	m.link = str_mem(target, (size_t)n);
	return member_header(t, st, &m, out, err);
}

static int add_regular(struct tar_tree *t, int dirfd, const char *name, const struct stat *st,
		       struct buf *out, struct err *err)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	auto_buf content = BUF_INIT(TAR_REPLACED_MAX);
	struct member m = { .type = '0', .size = (uint64_t)st->st_size };
	enum tar_verdict v;

	if (fd < 0)
		return file_err(err, buf_z(&t->path));
	v = t->filter(t->filter_arg, buf_str(&t->path), fd, &content, err);
	if (v == TAR_SKIP || v == TAR_FAIL)
		return v == TAR_FAIL ? -1 : 0;
	if (v == TAR_REPLACE) {
		m.size = content.len;
		if (member_header(t, st, &m, out, err) < 0 ||
		    buf_add(out, buf_str(&content), err) < 0)
			return -1;
		return pad(out, m.size, err);
	}
	if (member_header(t, st, &m, out, err) < 0)
		return -1;
	t->left = t->size = m.size;
	t->fd = steal_fd(&fd);
	return 0;
}

static int add_directory(struct tar_tree *t, int dirfd, const char *name, const struct stat *st,
			 struct buf *out, struct err *err)
{
	struct member m = { .type = '5' };
	enum tar_verdict v = t->filter(t->filter_arg, buf_str(&t->path), -1, NULL, err);
	int fd;

	if (v != TAR_KEEP)
		return v == TAR_FAIL ? -1 : 0;
	if (member_header(t, st, &m, out, err) < 0)
		return -1;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return file_err(err, buf_z(&t->path));
	return enter(t, fd, err);
}

/* The next name of the deepest directory: its header, and what it takes to go on with it. */
static int next_name(struct tar_tree *t, struct buf *out, struct err *err)
{
	struct level *l = &t->levels[t->depth - 1];
	int dirfd_ = dirfd(l->dir);
	const struct dirent *e;
	struct stat st;

	buf_truncate(&t->path, l->path_len);
	errno = 0;
	e = readdir(l->dir);
	if (!e && errno)
		return err_sys(err, "%s", buf_z(&t->path));
	if (!e) {
		(void)closedir(l->dir);
		t->depth--;
		return 0;
	}
	if (str_eqz(str_of(e->d_name), ".") || str_eqz(str_of(e->d_name), ".."))
		return 0;
	if ((t->path.len > 0 && buf_addc(&t->path, '/', err) < 0) ||
	    buf_addz(&t->path, e->d_name, err) < 0)
		return -1;
	if (fstatat(dirfd_, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : file_err(err, buf_z(&t->path));
	if (S_ISLNK(st.st_mode))
		return add_link(t, dirfd_, e->d_name, &st, out, err);
	if (S_ISREG(st.st_mode))
		return add_regular(t, dirfd_, e->d_name, &st, out, err);
	if (S_ISDIR(st.st_mode))
		return add_directory(t, dirfd_, e->d_name, &st, out, err);
	return 0;
}

static int file_piece(struct tar_tree *t, struct buf *out, struct err *err)
{
	size_t want = t->left < TAR_PIECE ? (size_t)t->left : TAR_PIECE;
	char *room = buf_reserve(out, want ? want : 1, err);
	ssize_t n;

	if (!room)
		return -1;
	n = want ? read(t->fd, room, want) : 0;
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0)
		return err_sys(err, "%s", buf_z(&t->path));
	if (n == 0) { /* it is shorter than it was */
		memset(room, 0, want);
		n = (ssize_t)want;
	}
	buf_commit(out, (size_t)n);
	t->left -= (uint64_t)n;
	if (t->left > 0)
		return 0;
	(void)close(t->fd);
	t->fd = -1;
	return pad(out, t->size, err);
}

int tar_tree_read(void *tree, struct buf *out, struct err *err)
{
	struct tar_tree *t = tree;

	/* Small files share a piece. */
	while (out->len < TAR_PIECE) {
		if (t->fd >= 0) {
			if (file_piece(t, out, err) < 0)
				return -1;
		} else if (t->depth > 0) {
			if (next_name(t, out, err) < 0)
				return -1;
		} else {
			return tar_end(out, err);
		}
	}
	return 1;
}
