#include "loop_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

struct err err;

int loop_setup(void **state)
{
	err_clear(&err);
	*state = loop_new(&err);
	return *state ? 0 : -1;
}

int loop_teardown(void **state)
{
	loop_free(*state);
	return 0;
}

void once(struct loop *l)
{
	assert_int_equal(loop_once(l, 0, &err), 0);
}

void ready_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
}

void close_pipe(int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

void note(void *arg, unsigned events)
{
	struct seen *s = arg;

	s->calls++;
	s->events = events;
}

void count(void *arg)
{
	++*(int *)arg;
}
