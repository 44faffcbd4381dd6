#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "docker/tar.h"
#include "sys/fd.h"
#include "sys/proc.h"

static struct err err;
static char *dir;

static int setup(void **state)
{
	(void)state;
	err_clear(&err);
	dir = dir_make_temp("bottle-test-", &err);
	return dir ? 0 : -1;
}

static int teardown(void **state)
{
	int rc = dir_remove(dir, &err);

	(void)state;
	free(dir);
	return rc;
}

static void in_dir(const char *script)
{
	const char *const argv[] = { "sh", "-euc", script, NULL };
	const struct proc_spec spec = { .argv = argv, .cwd = dir };
	int status;

	assert_int_equal(proc_run(&spec, STR_NONE, NULL, NULL, 20000, &status, &err), 0);
	assert_int_equal(status, 0);
}

/* What tar(1) makes of it: unpacked into `to`, or listed. */
static char *tar(const char *mode, const struct buf *archive)
{
	auto_buf out = BUF_INIT(MIB(1));
	const char *const argv[] = { "tar", mode, "-", "--numeric-owner", NULL };
	const struct proc_spec spec = {
		.argv = argv, .cwd = dir, .in = PROC_PIPE, .out = PROC_PIPE
	};
	int status;

	assert_int_equal(proc_run(&spec, buf_str(archive), &out, NULL, 20000, &status, &err), 0);
	assert_int_equal(status, 0);
	return buf_take(&out, NULL);
}

static enum tar_verdict filter(void *arg, struct str path, int fd, struct buf *content,
			       struct err *e)
{
	(void)arg;
	(void)fd;
	if (str_eqz(path, "skipped") || str_eqz(path, "skipped-file"))
		return TAR_SKIP;
	if (str_eqz(path, "replaced"))
		return buf_addz(content, "other", e) < 0 ? TAR_FAIL : TAR_REPLACE;
	if (str_eqz(path, "refused")) {
		err_set(e, E_DENIED, "not this one");
		return TAR_FAIL;
	}
	return TAR_KEEP;
}

static int pack(struct buf *out)
{
	const struct tar_owner owner = { 7, 8 };
	auto_free char *src = path_join(dir, "src");
	struct tar_tree *t = tar_tree_open(src, "to/here", owner, filter, NULL, &err);
	int more;

	assert_non_null(t);
	do {
		auto_buf piece = BUF_INIT(JOB_FEED_MAX);

		more = tar_tree_read(t, &piece, &err);
		if (more >= 0)
			assert_int_equal(buf_add(out, buf_str(&piece), &err), 0);
	} while (more > 0);
	tar_tree_free(t);
	return more;
}

static void from_memory(void **state)
{
	auto_buf out = BUF_INIT(MIB(1));
	const struct tar_owner owner = { 0, 0 };
	auto_free char *list = NULL;

	(void)state;
	assert_int_equal(tar_add_dir(&out, ".bottle", 0755, owner, &err), 0);
	assert_int_equal(tar_add_file(&out, ".bottle/x", 0755, owner, STR("content"), &err), 0);
	assert_int_equal(tar_end(&out, &err), 0);
	assert_int_equal(out.len % 512, 0);
	list = tar("-tvf", &out);
	assert_non_null(strstr(list, "drwxr-xr-x 0/0"));
	assert_non_null(strstr(list, "-rwxr-xr-x 0/0"));
	free(tar("-xf", &out));
	in_dir("test \"$(cat .bottle/x)\" = content");
}

/* Sizes around the blocks and pieces, names around the header's fields, all that is not a file. */
static void a_tree(void **state)
{
	auto_buf out = BUF_INIT(MIB(8));
	auto_free char *list = NULL;

	(void)state;
	in_dir("mkdir -p src/a/b src/empty src/skipped/x; cd src; : > zero; echo one > a/b/one;"
	       "for n in 511 512 513 65535 65536 65537 300000; do head -c $n /dev/urandom > s$n; done;"
	       "long=$(printf 'n%.0s' $(seq 120)); mkdir -p $long/$long; echo deep > $long/$long/$long;"
	       "for n in 99 100 101; do : > $(printf 'm%.0s' $(seq $n)); done;"
	       "ln -s /etc/passwd link; ln -s $long$long longlink; mkfifo pipe;"
	       "echo x > skipped/x/y; echo x > skipped-file; echo original > replaced;"
	       "printf 'name with \\nnewline' > \"$(printf 'a\\nb')\"; chmod 4755 zero; chmod 700 empty");
	assert_int_equal(pack(&out), 0);
	list = tar("-tvf", &out);
	assert_non_null(strstr(list, "7/8"));
	assert_null(strstr(list, "0/0"));
	assert_non_null(strstr(list, "-rwxr-xr-x 7/8")); /* no setuid */
	free(tar("-xf", &out));
	in_dir("rm -r src/skipped src/skipped-file src/pipe; chmod 755 src/zero;"
	       "printf other > src/replaced; diff -r --no-dereference src to/here;"
	       "test \"$(readlink to/here/link)\" = /etc/passwd");
}

static void a_filter_may_refuse(void **state)
{
	auto_buf out = BUF_INIT(MIB(1));

	(void)state;
	in_dir("mkdir src; echo x > src/refused");
	assert_int_equal(pack(&out), -1);
	assert_string_equal(err.text, "not this one");
}

static void missing_tree(void **state)
{
	const struct tar_owner owner = { 0, 0 };

	(void)state;
	assert_null(tar_tree_open("/no/such/tree", "x", owner, filter, NULL, &err));
	assert_int_equal(err.code, E_NOTFOUND);
}

/* The header has promised a length; what follows must not move. */
static void a_file_that_shrinks(void **state)
{
	const struct tar_owner owner = { 0, 0 };
	auto_free char *src = NULL, *file = NULL;
	auto_buf out = BUF_INIT(MIB(1));
	struct tar_tree *t;

	(void)state;
	in_dir("mkdir src; head -c 200000 /dev/zero | tr '\\0' x > src/big");
	src = path_join(dir, "src");
	file = path_join(src, "big");
	t = tar_tree_open(src, "to", owner, filter, NULL, &err);
	assert_non_null(t);
	assert_int_equal(tar_tree_read(t, &out, &err), 1);
	assert_int_equal(truncate(file, 10), 0);
	for (int more = 1; more > 0;) {
		auto_buf piece = BUF_INIT(JOB_FEED_MAX);

		more = tar_tree_read(t, &piece, &err);
		assert_true(more >= 0);
		assert_int_equal(buf_add(&out, buf_str(&piece), &err), 0);
	}
	tar_tree_free(t);
	free(tar("-xf", &out));
	in_dir("test $(stat -c %s to/big) = 200000");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(from_memory),         T(a_tree), T(a_filter_may_refuse), T(missing_tree),
		T(a_file_that_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
