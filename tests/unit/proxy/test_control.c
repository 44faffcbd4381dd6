#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/control.h"

struct fixture {
	char dir[32];
	char path[64];
	struct proxy proxy; /* as much of one as the commands used here look at */
	struct policy policy;
	struct control *control;
};

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	memcpy(f->dir, "/tmp/test_control.XXXXXX", sizeof("/tmp/test_control.XXXXXX"));
	if (!mkdtemp(f->dir))
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	log_set_level(LOG_WARN);
	f->proxy.loop = loop_new(NULL);
	f->policy.generation = 1;
	f->policy.routes = routes_parse(STR("routes: []"), "routes", NULL);
	f->proxy.policy = &f->policy;
	f->control = control_new(&f->proxy, f->path, NULL);
	*state = f;
	return f->policy.routes && f->control ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	control_free(f->control);
	loop_free(f->proxy.loop);
	routes_free(f->policy.routes);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static void once(struct fixture *f)
{
	assert_int_equal(loop_once(f->proxy.loop, 0, NULL), 0);
}

/* Sends a request and checks that the answer holds this text. */
static void call(struct fixture *f, const char *request, const char *want)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[1024];
	ssize_t n;

	memcpy(at.sun_path, f->path, strlen(f->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	/* accepted, read, written, closed */
	for (int i = 0; i < 4; i++)
		once(f);
	n = read(fd, answer, sizeof(answer) - 1);
	assert_true(n > 0);
	answer[n] = '\0';
	if (!strstr(answer, want))
		fail_msg("no %s in %s", want, answer);
	(void)close(fd);
}

static void advance(struct fixture *f, int64_t ms)
{
	loop_test_advance(f->proxy.loop, ms);
	once(f);
}

static void a_level_ends_by_itself(void **state)
{
	struct fixture *f = *state;

	loop_test_advance(f->proxy.loop, 0);
	call(f, "{\"command\":\"log-level\",\"level\":\"debug\",\"seconds\":60}\n",
	     "\"log_level\":\"debug\"");
	assert_true(log_enabled(LOG_DEBUG));
	advance(f, 59999);
	assert_int_equal(log_get_level(), LOG_DEBUG);
	advance(f, 1);
	assert_int_equal(log_get_level(), LOG_WARN);
}

/* However often it is set anew, the level to go back to is the one of before the first time. */
static void the_level_of_before_is_kept(void **state)
{
	struct fixture *f = *state;

	loop_test_advance(f->proxy.loop, 0);
	call(f, "{\"command\":\"log-level\",\"level\":\"debug\",\"seconds\":60}\n", "\"ok\":true");
	advance(f, 30000);
	call(f, "{\"command\":\"log-level\",\"level\":\"error\",\"seconds\":60}\n", "\"ok\":true");
	assert_int_equal(log_get_level(), LOG_ERROR);
	advance(f, 59999);
	assert_int_equal(log_get_level(), LOG_ERROR);
	advance(f, 1);
	assert_int_equal(log_get_level(), LOG_WARN);
}

static void the_end_of_the_control_is_the_end_of_a_level(void **state)
{
	struct fixture *f = *state;

	call(f, "{\"command\":\"log-level\",\"level\":\"debug\",\"seconds\":60}\n", "\"ok\":true");
	control_free(f->control);
	f->control = NULL;
	once(f);
	assert_int_equal(log_get_level(), LOG_WARN);
}

static void bad_levels_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"command\":\"log-level\",\"level\":\"loud\",\"seconds\":60}\n",
		"{\"command\":\"log-level\",\"level\":\"debug\",\"seconds\":0}\n",
		"{\"command\":\"log-level\",\"level\":\"debug\",\"seconds\":3601}\n",
		"{\"command\":\"log-level\",\"level\":\"debug\"}\n",
		"{\"command\":\"log-level\",\"seconds\":60}\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		call(*state, bad[i], "\"ok\":false");
	assert_int_equal(log_get_level(), LOG_WARN);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_level_ends_by_itself),
		TEST(the_level_of_before_is_kept),
		TEST(the_end_of_the_control_is_the_end_of_a_level),
		TEST(bad_levels_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
