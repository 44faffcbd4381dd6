/*
 * Files carried inside the binary: docker/ of this repository (each under its path there, e.g.
 * "docker/agents/claude.Dockerfile") and the notices of everything that is linked
 * ("licenses/<name>", with "licenses/bottle" for our own). The table is made by scripts/embed.
 */
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#include <stddef.h>

struct embed_file {
	const char *path;
	const unsigned char *data; /* size bytes, then one NUL that size does not count */
	size_t size;
	unsigned int mode; /* 0644, or 0755 for an executable file */
};

/* All files, sorted by path; *ret_n is their number. Static storage. */
const struct embed_file *embed_all(size_t *ret_n);

/* The file of exactly this path, or NULL. */
const struct embed_file *embed_find(const char *path);

#endif
