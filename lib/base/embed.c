#include "base/embed.h"

#include <stdlib.h>
#include <string.h>

#include "embed.inc" /* made by scripts/embed: `table`, sorted by path */

#define TABLE_LEN (sizeof(table) / sizeof(table[0]))

const struct embed_file *embed_all(size_t *ret_n)
{
	*ret_n = TABLE_LEN;
	return table;
}

static int compare_path(const void *key, const void *entry)
{
	return strcmp(key, ((const struct embed_file *)entry)->path);
}

const struct embed_file *embed_find(const char *path)
{
	return bsearch(path, table, TABLE_LEN, sizeof(table[0]), compare_path);
}
