/*
 * .git/config of a work tree that somebody else may have written. What comes out must be readable
 * again, unchanged by a second pass, and free of what runs programs.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "backend/gitconfig.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A value may grow by its quotes and escapes. */
	auto_buf once = BUF_INIT(4 * GITCONFIG_MAX);
	auto_buf twice = BUF_INIT(4 * GITCONFIG_MAX);

	if (size > GITCONFIG_MAX / 4 || gitconfig_scrub(str_mem(data, size), &once, NULL) < 0)
		return 0;
	if (gitconfig_scrub(buf_str(&once), &twice, NULL) < 0 ||
	    !str_eq(buf_str(&once), buf_str(&twice)))
		abort();
	if (str_find(buf_str(&once), STR("\n\thelper ="), 0) >= 0 ||
	    str_find(buf_str(&once), STR("\n\thookspath ="), 0) >= 0)
		abort();
	return 0;
}
