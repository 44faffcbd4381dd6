#include "dir_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sys/fd.h"

char *dir;

int dir_setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	dir = dir_make_temp("bottle-test-", &err);
	if (!dir)
		(void)fprintf(stderr, "%s\n", err.text);
	return dir ? 0 : -1;
}

int dir_teardown(void **state)
{
	struct err err = ERR_INIT;
	int rc = dir_remove(dir, &err);

	(void)state;
	if (rc < 0)
		(void)fprintf(stderr, "%s\n", err.text);
	free(dir);
	return rc;
}

char *in_dir(const char *name)
{
	return path_join(dir, name);
}
