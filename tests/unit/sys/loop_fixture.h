/*
 * loop_fixture: a loop for each test, and what the tests of loop.h share.
 */
#ifndef BOTTLE_TESTS_LOOP_FIXTURE_H
#define BOTTLE_TESTS_LOOP_FIXTURE_H

#include "sys/loop.h"

extern struct err err;

/* *state is the loop. */
int loop_setup(void **state);
int loop_teardown(void **state);
#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, loop_setup, loop_teardown)

/* One round, without waiting. */
void once(struct loop *l);

/* A pipe with one byte in it: readable until somebody reads. */
void ready_pipe(int fds[2]);
void close_pipe(int fds[2]);

/* A loop_fd_fn; arg is a struct seen. */
struct seen {
	int calls;
	unsigned events;
};
void note(void *arg, unsigned events);

/* A loop_fn; arg is an int. */
void count(void *arg);

#endif
