/*
 * What this binary is and what it is made of, fixed at compile time.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#include <stddef.h>

/* A library linked into the binary. */
struct version_dependency {
	const char *name;    /* as in scripts/deps.lock, e.g. "mbedtls" */
	const char *version; /* upstream's version, e.g. "3.6.6" */
};

/* The release, e.g. "0.1.0". Set in one place: VERSION in the Makefile. */
const char *bottle_version(void);

/* The first 12 digits of the commit it was built from; "unknown" outside a clone. */
const char *bottle_revision(void);

/* The linked libraries in build order; *ret_n is their number. Static storage. */
const struct version_dependency *bottle_dependencies(size_t *ret_n);

#endif
