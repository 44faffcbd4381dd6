#include "base/version.h"

#include "build_info.inc" /* made by scripts/build-info */

const char *bottle_version(void)
{
	return BUILD_VERSION;
}

const char *bottle_revision(void)
{
	return BUILD_REVISION;
}

const struct version_dependency *bottle_dependencies(size_t *ret_n)
{
#define DEPENDENCY(name, version) { name, version },
	static const struct version_dependency table[] = { BUILD_DEPENDENCIES(DEPENDENCY) };
#undef DEPENDENCY

	*ret_n = sizeof(table) / sizeof(table[0]);
	return table;
}
