#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sys/fd.h"
#include "dir_fixture.h"

static struct err err;

/* Stands before the C library's: lets a test act in the middle of a removal. */
static void (*before_unlink)(int fd, const char *name);
static void (*after_unlink)(int fd, const char *name);

int unlinkat(int fd, const char *name, int flags)
{
	int rc, code;

	if (before_unlink)
		before_unlink(fd, name);
	rc = (int)syscall(SYS_unlinkat, fd, name, flags);
	code = errno;
	if (after_unlink)
		after_unlink(fd, name);
	errno = code;
	return rc;
}

static int setup(void **state)
{
	err_clear(&err);
	before_unlink = after_unlink = NULL;
	return dir_setup(state);
}

static bool there(const char *name)
{
	auto_free char *path = in_dir(name);
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Creates the file with its directories. */
static void put(const char *name)
{
	auto_free char *path = in_dir(name);
	auto_free char *parent = NULL;
	auto_free char *last = NULL;
	int fd;

	assert_int_equal(path_split(path, &parent, &last, &err), 0);
	assert_int_equal(dir_make(parent, 0755, &err), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	(void)close(fd);
}

/* ---- making, listing ---- */

static void test_make(void **state)
{
	auto_free char *deep = in_dir("a/b//c/");
	auto_free char *below_file = in_dir("f/x/y");
	auto_free char *file = in_dir("f");
	auto_free char *linked = in_dir("link/d");
	auto_free char *link = in_dir("link");
	mode_t mask = umask(022);
	struct stat st;

	(void)state;
	assert_int_equal(dir_make(deep, 0750, &err), 0);
	(void)umask(mask);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(dir_make(deep, 0700, &err), 0);
	assert_int_equal(dir_make("/", 0700, &err), 0);
	assert_int_equal(symlink("a", link), 0);
	assert_int_equal(dir_make(linked, 0700, &err), 0);
	assert_true(there("a/d"));

	put("f");
	assert_int_equal(dir_make(file, 0700, &err), -1);
	assert_int_equal(err.code, E_EXISTS);
	assert_int_equal(dir_make(below_file, 0700, &err), -1);
	assert_int_equal(err.code, E_EXISTS);
	assert_int_equal(dir_make("", 0700, &err), -1);
	assert_int_equal(err.code, E_BAD);
	assert_int_equal(dir_make("/proc/nowhere/x", 0700, &err), -1);
	assert_non_null(strstr(err.text, "/proc/nowhere:"));
}

static void test_make_temp(void **state)
{
	auto_free char *old = getenv("TMPDIR") ? mem_strdup(getenv("TMPDIR")) : NULL;
	char *made;
	struct stat st;

	(void)state;
	assert_int_equal(setenv("TMPDIR", dir, 1), 0);
	made = dir_make_temp("stage-", &err);
	assert_non_null(made);
	assert_int_equal(strncmp(made, dir, strlen(dir)), 0);
	assert_int_equal(strncmp(made + strlen(dir), "/stage-", 7), 0);
	assert_int_equal(lstat(made, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);
	free(made);

	assert_int_equal(setenv("TMPDIR", "/proc/nowhere", 1), 0);
	assert_null(dir_make_temp("x", &err));
	assert_int_equal(err.code, E_NOTFOUND);

	/* a relative one would depend on where we stand */
	assert_int_equal(setenv("TMPDIR", ".", 1), 0);
	made = dir_make_temp("bottle-test-", &err);
	assert_non_null(made);
	assert_int_equal(strncmp(made, "/tmp/", 5), 0);
	assert_int_equal(dir_remove(made, &err), 0);
	free(made);
	assert_int_equal(old ? setenv("TMPDIR", old, 1) : unsetenv("TMPDIR"), 0);
}

static void test_list(void **state)
{
	const char *const names[] = { "zz", "B", "a", ".hidden", "..x" };
	const char *const sorted[] = { "..x", ".hidden", "B", "a", "zz" };
	auto_free char *missing = in_dir("missing");
	auto_free char *file = in_dir("a");
	struct dir_list l;

	(void)state;
	assert_int_equal(dir_list(dir, &l, &err), 0);
	assert_int_equal(l.count, 0);
	dir_list_free(&l);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		put(names[i]);
	assert_int_equal(dir_list(dir, &l, &err), 0);
	assert_int_equal(l.count, ARRAY_LEN(sorted));
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		assert_string_equal(l.names[i], sorted[i]);
	dir_list_free(&l);
	dir_list_free(&l);
	assert_int_equal(dir_list(missing, &l, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(dir_list(file, &l, &err), -1);
}

/* ---- removing ---- */

static void test_remove(void **state)
{
	auto_free char *tree = in_dir("tree");
	auto_free char *slashed = in_dir("tree/");
	auto_free char *below = in_dir("tree/x/y");

	(void)state;
	assert_int_equal(dir_remove(tree, &err), 0);  /* missing */
	assert_int_equal(dir_remove(below, &err), 0); /* its parent too */
	for (int i = 0; i < 300; i++) {
		char name[40];

		(void)snprintf(name, sizeof(name), "tree/%d/%d/f", i % 7, i);
		put(name);
	}
	put("tree/f");
	put("beside");
	assert_int_equal(dir_remove(slashed, &err), 0);
	assert_false(there("tree"));
	assert_true(there("beside"));

	put("tree");
	assert_int_equal(dir_remove(tree, &err), 0); /* a file */
	assert_false(there("tree"));

	assert_int_equal(dir_remove("", &err), -1);
	assert_int_equal(dir_remove("/", &err), -1);
	assert_int_equal(dir_remove("..", &err), -1);
	assert_int_equal(err.code, E_BAD);
}

static void test_remove_does_not_follow_links(void **state)
{
	auto_free char *outside = in_dir("outside");
	auto_free char *tree = in_dir("tree");
	auto_free char *link = in_dir("tree/link");
	auto_free char *top = in_dir("top");

	(void)state;
	put("outside/precious");
	put("tree/f");
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(dir_remove(tree, &err), 0);
	assert_false(there("tree"));
	assert_true(there("outside/precious"));
	assert_int_equal(symlink("outside", top), 0);
	assert_int_equal(dir_remove(top, &err), 0);
	assert_false(there("top"));
	assert_true(there("outside/precious"));
}

static const char *swap_name;

/* The directory has been found to be one; now it becomes a link to elsewhere. */
static void swap_for_link(int fd, const char *name)
{
	auto_free char *outside = in_dir("outside");
	auto_free char *aside = in_dir("aside");

	if (strcmp(name, swap_name) != 0)
		return;
	after_unlink = NULL;
	assert_int_equal(renameat(fd, name, AT_FDCWD, aside), 0);
	assert_int_equal(symlinkat(outside, fd, name), 0);
}

static void test_remove_link_put_in_place(void **state)
{
	const char *const names[] = { "sub", "tree" };
	auto_free char *aside = in_dir("aside");
	auto_free char *tree = in_dir("tree");

	(void)state;
	put("outside/precious");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		put("tree/sub/f");
		swap_name = names[i];
		after_unlink = swap_for_link;
		assert_int_equal(dir_remove(tree, &err), -1);
		assert_null(after_unlink);
		assert_true(there("outside/precious"));
		assert_int_equal(dir_remove(aside, &err), 0);
		assert_int_equal(dir_remove(tree, &err), 0);
	}
}

/*
 * While we are in tree/a/b or tree/a/c, it is moved to outside/, where there is something by the
 * name of the other one. Its ".." is outside/ now.
 */
static void move_away(int fd, const char *name)
{
	auto_free char *link = mem_printf("/proc/self/fd/%d", fd);
	char here[1000], to[40], other[40];
	auto_free char *target = NULL;
	ssize_t n;
	char which;

	if (strcmp(name, "inner") != 0)
		return;
	before_unlink = NULL;
	n = readlink(link, here, sizeof(here) - 1);
	assert_true(n > 0);
	here[n] = '\0';
	which = here[n - 1];
	(void)snprintf(to, sizeof(to), "outside/%c", which);
	(void)snprintf(other, sizeof(other), "outside/%c/precious", which == 'b' ? 'c' : 'b');
	put(other);
	target = in_dir(to);
	assert_int_equal(rename(here, target), 0);
}

static void test_remove_directory_moved_away(void **state)
{
	auto_free char *tree = in_dir("tree");

	(void)state;
	put("tree/a/b/inner");
	put("tree/a/c/inner");
	put("outside/f");
	before_unlink = move_away;
	assert_int_equal(dir_remove(tree, &err), -1);
	assert_non_null(strstr(err.text, "moved"));
	assert_true(there("outside/b/precious") || there("outside/c/precious"));
	assert_true(there("outside/f"));
}

static void test_remove_read_only_directories(void **state)
{
	auto_free char *tree = in_dir("tree");
	auto_free char *sub = in_dir("tree/sub");
	pid_t pid;
	int status;

	(void)state;
	put("tree/sub/f");
	assert_int_equal(chmod(sub, 0555), 0);
	if (geteuid() != 0) {
		assert_int_equal(dir_remove(tree, &err), 0);
		return;
	}
	/* root may write anywhere: let an ordinary user try */
	assert_int_equal(chown(dir, 65534, 65534), 0);
	assert_int_equal(chown(tree, 65534, 65534), 0);
	assert_int_equal(chown(sub, 65534, 65534), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(setresuid(65534, 65534, 65534) < 0 || dir_remove(tree, &err) < 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(there("tree"));
}

/* Somebody fills the directory while it is being emptied. */
static void refill(int fd, const char *name)
{
	if (strcmp(name, "stuck") == 0)
		assert_int_equal(mkdirat(fd, "new", 0700), 0);
}

static void test_remove_goes_on_after_errors(void **state)
{
	auto_free char *tree = in_dir("tree");

	(void)state;
	put("tree/a/f");
	put("tree/m/stuck");
	put("tree/z/f");
	before_unlink = refill;
	assert_int_equal(dir_remove(tree, &err), -1);
	assert_int_equal(err.code, E_SYS);
	assert_non_null(strstr(err.text, tree));
	assert_non_null(strstr(err.text, ": m: ")); /* the first error, not tree's own */
	assert_false(there("tree/a"));
	assert_false(there("tree/z"));
	assert_true(there("tree/m/new"));
	before_unlink = NULL;
}

/* Deeper than there are descriptors, longer than a path may be. */
static void test_remove_deep(void **state)
{
	auto_free char *tree = in_dir("tree");
	struct rlimit lim, few;
	int fd, rc;

	(void)state;
	assert_int_equal(mkdir(tree, 0700), 0);
	fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 700; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "deeper", 0700), 0);
		next = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	few = lim;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	rc = dir_remove(tree, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_int_equal(rc, 0);
	assert_false(there("tree"));
}

/* In a child with mounts of its own. Exit status 0: as it should be, 77: may not mount. */
static int remove_with_mount(const char *source, const char *type, unsigned long flags)
{
	auto_free char *tree = in_dir("tree");
	auto_free char *point = in_dir("tree/a/mnt");

	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 77;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(source, point, type, flags, NULL) < 0)
		return 77;
	if (!(flags & MS_BIND))
		put("tree/a/mnt/precious");
	if (dir_remove(tree, &err) != -1 || err.code != E_DENIED || !strstr(err.text, "mnt: "))
		return 1;
	if (!there("tree/a/mnt/precious") || there("tree/a/f") || there("tree/z"))
		return 2;
	return 0;
}

static void test_remove_stops_at_mounts(void **state)
{
	auto_free char *outside = in_dir("outside");
	auto_free char *point = in_dir("tree/a/mnt");
	const struct {
		const char *source, *type;
		unsigned long flags;
	} cases[] = { { outside, NULL, MS_BIND }, { "none", "tmpfs", 0 } };

	(void)state;
	put("outside/precious");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		pid_t pid;
		int status;

		put("tree/a/f");
		put("tree/z/f");
		assert_int_equal(dir_make(point, 0700, &err), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(remove_with_mount(cases[i].source, cases[i].type, cases[i].flags));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
			print_message("mounting is not permitted here\n");
			skip();
		}
		assert_int_equal(status, 0);
		assert_true(there("outside/precious"));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_make),
		TEST(test_make_temp),
		TEST(test_list),
		TEST(test_remove),
		TEST(test_remove_does_not_follow_links),
		TEST(test_remove_link_put_in_place),
		TEST(test_remove_directory_moved_away),
		TEST(test_remove_read_only_directories),
		TEST(test_remove_goes_on_after_errors),
		TEST(test_remove_deep),
		TEST(test_remove_stops_at_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
