/*
 * dir_fixture: a directory for each test, removed with all that is in it, also when the test fails.
 */
#ifndef BOTTLE_TESTS_DIR_FIXTURE_H
#define BOTTLE_TESTS_DIR_FIXTURE_H

/* Absolute path of the running test's directory. */
extern char *dir;

int dir_setup(void **state);
int dir_teardown(void **state);

/* Path of `name` in it; heap. */
char *in_dir(const char *name);

#endif
