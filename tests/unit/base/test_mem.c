#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/mem.h"

static void test_alloc(void **state)
{
	auto_free char *none = mem_alloc(0);
	auto_free unsigned char *zero = mem_zalloc(64);
	auto_free uint64_t *array = mem_array(8, sizeof(*array));

	(void)state;
	assert_non_null(none);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(zero[i], 0);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(array[i], 0);
}

static void test_resize_keeps_content(void **state)
{
	auto_free char *p = mem_dup("abc", 3);

	(void)state;
	p = mem_resize(p, 1000, 2);
	assert_memory_equal(p, "abc", 3);
	p[1999] = 'x';
}

static void test_copies(void **state)
{
	auto_free char *whole = mem_strdup("hello");
	auto_free char *cut = mem_strndup("hello", 3);
	auto_free char *shorter = mem_strndup("hi", 30);
	auto_free char *empty = mem_strndup("hi", 0);
	auto_free char *text = mem_printf("%s-%d", "n", 7);
	auto_free char *nothing = mem_dup(NULL, 0);

	(void)state;
	assert_string_equal(whole, "hello");
	assert_string_equal(cut, "hel");
	assert_string_equal(shorter, "hi");
	assert_string_equal(empty, "");
	assert_string_equal(text, "n-7");
	assert_non_null(nothing);
}

static void test_strndup_does_not_read_on(void **state)
{
	static const char unterminated[3] = { 'a', 'b', 'c' };
	auto_free char *copy = mem_strndup(unterminated, sizeof(unterminated));

	(void)state;
	assert_string_equal(copy, "abc");
}

static void test_wipe(void **state)
{
	char secret[32];
	static const char zero[32];

	(void)state;
	memset(secret, 'k', sizeof(secret));
	mem_wipe(secret, 16);
	assert_memory_equal(secret, zero, 16);
	assert_int_equal(secret[16], 'k');
	mem_wipe(NULL, 0);
	mem_free_secret(NULL, 10);
	mem_free_secret(mem_strdup("k"), 2);
}

static void test_steal(void **state)
{
	auto_free char *p = mem_strdup("x");
	auto_free char *q = steal(&p);
	int fds[2], fd;

	(void)state;
	assert_null(p);
	assert_string_equal(q, "x");
	assert_int_equal(pipe(fds), 0);
	{
		auto_close int closed = fds[0];
		auto_close int moved = fds[1];
		auto_close int none = -1;

		fd = steal_fd(&moved);
		assert_int_equal(moved, -1);
		(void)closed;
		(void)none;
	}
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(close(fd), 0);
}

static void overflow_array(void)
{
	auto_free void *p = mem_array(SIZE_MAX / 2, 3);

	(void)p;
}

static void overflow_resize(void)
{
	auto_free void *p = NULL;

	p = mem_resize(NULL, SIZE_MAX / 2, 3);
}

/* Overflow ends the process instead of giving a block that is too small. */
static void test_overflow_aborts(void **state)
{
	static void (*const calls[])(void) = { overflow_array, overflow_resize };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			static const struct rlimit no_core = { 0, 0 };

			/* the test runner's handlers would turn the signal into a test result */
			(void)signal(SIGABRT, SIG_DFL);
			(void)setrlimit(RLIMIT_CORE, &no_core);
			(void)close(STDERR_FILENO);
			calls[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_resize_keeps_content),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_strndup_does_not_read_on),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_overflow_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
