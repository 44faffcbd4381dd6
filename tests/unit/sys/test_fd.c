#include "sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "dir_fixture.h"

static struct err err;

/* Stands before the C library's: the only way to see a disk that fails at the last moment. */
static int fsync_calls, fsync_fails_at;

int fsync(int fd)
{
	if (++fsync_calls == fsync_fails_at) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static int setup(void **state)
{
	err_clear(&err);
	fsync_calls = fsync_fails_at = 0;
	return dir_setup(state);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, str_of(text), &err), 0);
	(void)close(fd);
}

static void assert_content(const char *path, const char *text)
{
	auto_buf b = BUF_INIT(1000);

	assert_int_equal(file_read(path, &b, &err), 0);
	assert_string_equal(buf_z(&b), text);
}

static size_t entries(void)
{
	struct dir_list l;
	size_t n;

	assert_int_equal(dir_list(dir, &l, &err), 0);
	n = l.count;
	dir_list_free(&l);
	return n;
}

/* ---- descriptors ---- */

static void test_flags(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fd_nonblock(fds[0], true, &err), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_nonblock(fds[0], true, &err), 0);
	assert_int_equal(fd_nonblock(fds[0], false, &err), 0);
	assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_cloexec(fds[0], true, &err), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_cloexec(fds[0], false, &err), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(fd_cloexec(fds[0], true, &err), -1);
	assert_int_equal(err.code, E_SYS);
}

/* Both sides are longer than a pipe holds and than one read takes. */
static void test_raise_limit(void **state)
{
	struct rlimit before, low, now;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(fd_raise_limit(), before.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(now.rlim_cur, before.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_write_and_read_all(void **state)
{
	const size_t n = 300000;
	auto_free char *text = mem_alloc(n);
	auto_buf got = BUF_INIT(n);
	int fds[2], status;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + i % 26);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fd_write_all(fds[1], str_mem(text, n), &err) != 0);
	(void)close(fds[1]);
	assert_int_equal(fd_read_all(fds[0], &got, "the pipe", &err), 0);
	assert_true(str_eq(buf_str(&got), str_mem(text, n)));
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_write_all_fails(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(fd_write_all(fd, STR("x"), &err), -1);
	assert_int_equal(err.code, E_SYS);
	(void)close(fd);
}

/* ---- reading files ---- */

static void test_read_limit(void **state)
{
	auto_free char *path = in_dir("f");
	auto_buf exact = BUF_INIT(5), small = BUF_INIT(4);

	(void)state;
	put(path, "12345");
	assert_int_equal(file_read(path, &exact, &err), 0);
	assert_string_equal(buf_z(&exact), "12345");
	assert_int_equal(file_read(path, &small, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "4 bytes"));
}

static void test_read_refusals(void **state)
{
	auto_free char *pipe_path = in_dir("pipe");
	auto_free char *missing = in_dir("missing");
	auto_free char *below_file = in_dir("f/x");
	auto_free char *file = in_dir("f");
	auto_buf b = BUF_INIT(100);

	(void)state;
	assert_int_equal(file_read(missing, &b, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_non_null(strstr(err.text, missing));
	put(file, "x");
	assert_int_equal(file_read(below_file, &b, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	/* a pipe without a writer must not hold us up */
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(file_read(pipe_path, &b, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(file_read(dir, &b, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_non_null(strstr(err.text, "directory"));
	assert_int_equal(file_read("/dev/zero", &b, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(b.len, 0);
}

static void test_read_links(void **state)
{
	auto_free char *file = in_dir("f");
	auto_free char *link = in_dir("link");
	auto_buf b = BUF_INIT(100);
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	put(file, "x");
	assert_int_equal(symlink("f", link), 0);
	assert_content(link, "x");
	assert_int_equal(file_read_at(fd, "link", &b, &err), -1);
	assert_int_equal(err.code, E_DENIED);
	assert_int_equal(file_read_at(fd, "./f", &b, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(file_read_at(fd, "missing", &b, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(file_read_at(fd, "f", &b, &err), 0);
	assert_string_equal(buf_z(&b), "x");
}

static void test_file_err(void **state)
{
	const struct {
		int code;
		enum err_code want;
	} cases[] = { { ENOENT, E_NOTFOUND }, { ENOTDIR, E_NOTFOUND }, { EACCES, E_DENIED },
		      { EPERM, E_DENIED },    { EEXIST, E_EXISTS },    { EIO, E_SYS } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		errno = cases[i].code;
		assert_int_equal(file_err(&err, "some/file"), -1);
		assert_int_equal(err.code, cases[i].want);
		assert_int_equal(strncmp(err.text, "some/file: ", 11), 0);
	}
	assert_int_equal(file_err(NULL, "x"), -1);
}

/* ---- writing files ---- */

static void test_write_atomic(void **state)
{
	auto_free char *path = in_dir("f");
	struct stat before, after;
	mode_t mask = umask(022);

	(void)state;
	assert_int_equal(file_write_atomic(path, STR("one"), 0600, &err), 0);
	assert_content(path, "one");
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	assert_int_equal(file_write_atomic(path, STR(""), 0666, &err), 0);
	(void)umask(mask);
	assert_content(path, "");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_mode & 0777, 0644);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(entries(), 1);
	/* the file before the rename, the directory after it; twice */
	assert_int_equal(fsync_calls, 4);
}

static void test_write_atomic_relative(void **state)
{
	auto_close int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(file_write_atomic("f", STR("x"), 0600, &err), 0);
	assert_content("f", "x");
	assert_int_equal(fchdir(here), 0);
	assert_int_equal(entries(), 1);
}

static void test_write_atomic_replaces_link(void **state)
{
	auto_free char *victim = in_dir("victim");
	auto_free char *link = in_dir("link");
	struct stat st;

	(void)state;
	put(victim, "old");
	assert_int_equal(symlink("victim", link), 0);
	assert_int_equal(file_write_atomic(link, STR("new"), 0600, &err), 0);
	assert_content(victim, "old");
	assert_content(link, "new");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

/* Whatever fails, the old content stays and no temporary file does. */
static void test_write_atomic_failures(void **state)
{
	auto_free char *path = in_dir("f");
	auto_free char *sub = in_dir("sub");
	auto_free char *missing = in_dir("missing/f");
	struct rlimit lim, small;
	void (*handler)(int);
	int rc;

	(void)state;
	put(path, "old");
	assert_int_equal(mkdir(sub, 0700), 0);

	/* a disk that is full in the middle of the content */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	small = lim;
	small.rlim_cur = 4;
	handler = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = file_write_atomic(path, STR("longer"), 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(rc, -1);
	assert_int_equal(err.code, E_SYS);
	assert_non_null(strstr(err.text, path));

	/* a disk that says so only when asked */
	fsync_fails_at = 1;
	assert_int_equal(file_write_atomic(path, STR("new"), 0600, &err), -1);
	assert_int_equal(err.code, E_SYS);
	assert_content(path, "old");
	assert_int_equal(entries(), 2);

	/* a name that is taken by a directory */
	assert_int_equal(file_write_atomic(sub, STR("new"), 0600, &err), -1);
	assert_int_equal(err.code, E_SYS);
	assert_int_equal(entries(), 2);

	assert_int_equal(file_write_atomic(missing, STR("new"), 0600, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(file_write_atomic("", STR("new"), 0600, &err), -1);
	assert_int_equal(err.code, E_BAD);

	/* the directory's own fsync: the new content is there, but not for sure */
	fsync_calls = 0;
	fsync_fails_at = 2;
	assert_int_equal(file_write_atomic(path, STR("new"), 0600, &err), -1);
	assert_content(path, "new");
	assert_int_equal(entries(), 2);
}

/* ---- locks ---- */

static void test_lock(void **state)
{
	auto_free char *path = in_dir("lock");
	auto_free char *link = in_dir("link");
	int fd = file_lock(path, &err), again;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(file_lock(path, &err), -1);
	assert_int_equal(err.code, E_EXISTS);
	assert_non_null(strstr(err.text, path));
	(void)close(fd);
	again = file_lock(path, &err);
	assert_true(again >= 0);
	(void)close(again);

	assert_int_equal(symlink("lock", link), 0);
	assert_int_equal(file_lock(link, &err), -1);
	assert_int_equal(err.code, E_DENIED);
}

/* Stands before the C library's: takes the file away between its open and its lock. */
static const char *unlink_at_flock;
static bool create_at_flock; /* and puts another one in its place */

int flock(int fd, int operation)
{
	const char *path = steal(&unlink_at_flock);

	if (path)
		assert_int_equal(unlink(path), 0);
	if (path && create_at_flock)
		put(path, "");
	return (int)syscall(SYS_flock, fd, operation);
}

/* A lock on a file that has lost its name would be worth nothing: others lock the name. */
static void test_lock_of_unlinked_file(void **state)
{
	auto_free char *path = in_dir("lock");

	(void)state;
	for (int create = 0; create < 2; create++) {
		int fd;

		unlink_at_flock = path;
		create_at_flock = create;
		fd = file_lock(path, &err);
		assert_true(fd >= 0);
		assert_int_equal(file_lock(path, &err), -1);
		assert_int_equal(err.code, E_EXISTS);
		(void)close(fd);
	}
}

/* ---- paths, random ---- */

static void test_path_join(void **state)
{
	const char *const cases[][3] = { { "a", "b", "a/b" },    { "a/", "b", "a/b" },
					 { "a//", "/b", "a/b" }, { "/", "b", "/b" },
					 { "", "b", "b" },       { "/a", "b/c", "/a/b/c" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_free char *got = path_join(cases[i][0], cases[i][1]);

		assert_string_equal(got, cases[i][2]);
	}
}

static void test_path_split(void **state)
{
	const char *const cases[][3] = { { "a", ".", "a" },       { "a/b", "a", "b" },
					 { "/b", "/", "b" },      { "//b//", "/", "b" },
					 { "/a//b/", "/a", "b" }, { "a/..b", "a", "..b" },
					 { "../x", "..", "x" },   { "./.x", ".", ".x" } };
	const char *const bad[] = { "", "/", "///", ".", "..", "a/.", "a/..", "a/../" };
	char *d = NULL, *n = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(path_split(cases[i][0], &d, &n, &err), 0);
		assert_string_equal(d, cases[i][1]);
		assert_string_equal(n, cases[i][2]);
		free(steal(&d));
		free(steal(&n));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(path_split(bad[i], &d, &n, &err), -1);
		assert_int_equal(err.code, E_BAD);
		assert_null(d);
		assert_null(n);
	}
}

static void test_random(void **state)
{
	const size_t n = 100000; /* more than getrandom gives at once when a signal comes */
	auto_free unsigned char *a = mem_zalloc(n + 1);
	size_t seen[256] = { 0 };

	(void)state;
	sys_random(a, n);
	assert_int_equal(a[n], 0);
	for (size_t i = 0; i < n; i++)
		seen[a[i]]++;
	/* each value about 390 times; below 200 is 10 standard deviations away */
	for (size_t i = 0; i < 256; i++)
		assert_true(seen[i] > 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flags),
		TEST(test_raise_limit),
		TEST(test_write_and_read_all),
		TEST(test_write_all_fails),
		TEST(test_read_limit),
		TEST(test_read_refusals),
		TEST(test_read_links),
		TEST(test_file_err),
		TEST(test_write_atomic),
		TEST(test_write_atomic_relative),
		TEST(test_write_atomic_replaces_link),
		TEST(test_write_atomic_failures),
		TEST(test_lock),
		TEST(test_lock_of_unlinked_file),
		TEST(test_path_join),
		TEST(test_path_split),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
