/*
 * opts: an option table gives values, help and usage errors.
 *
 * Long options (`--name VALUE`, `--name=VALUE`), short ones with a letter, `--` ends options,
 * options and operands may be mixed. Unknown option: one line with a did-you-mean, E_USAGE.
 * `--help` and `-h` are always there. Help text exists once, here.
 */
#ifndef BOTTLE_BASE_OPTS_H
#define BOTTLE_BASE_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum opt_type {
	OPT_FLAG,     /* bool */
	OPT_STR,      /* const char *, points into argv */
	OPT_STR_LIST, /* struct opt_list, repeatable */
	OPT_INT,      /* int, min..max */
	OPT_SECONDS,  /* int, min..max: "90", "90s", "5m", "2h", "1d" */
	OPT_OPTIONAL, /* const char *: `--cwd` gives "", `--cwd=bind` gives "bind" */
};

struct opt_list {
	const char *v[OPTS_LIST_MAX];
	size_t n;
};

struct opt {
	const char *name; /* long name without dashes */
	char letter;      /* 0 = none */
	enum opt_type type;
	void *out;
	int min, max;     /* OPT_INT, OPT_SECONDS */
	const char *arg;  /* name of the value in help: "FILE" */
	const char *help; /* one line */
};

struct opts_spec {
	const char *usage;              /* "start AGENT [options] [-- CMD…]" */
	const char *about;              /* one or two sentences */
	const struct opt *opts;         /* ends with name == NULL; may be NULL */
	const char *example;            /* shown under "Example:", may hold several lines */
	int operands_min, operands_max; /* max -1: any number */
	bool takes_rest;      /* words after "--" go to ret->rest; otherwise they are operands */
	bool stop_at_operand; /* options end at the first operand (sub-commands follow) */
};

struct opts_result {
	char **operands; /* points into argv (which is permuted), terminated by NULL */
	int operand_count;
	char **rest; /* after "--" (takes_rest), or NULL when there was none */
	int rest_count;
	bool help; /* --help was given; nothing else was checked */
};

/*
 * argv[0] is the command's name as shown in messages, argv[argc] is NULL. E_USAGE on failure; what
 * was read before stays stored. A value is the rest after "=" or the next word, unless that one
 * starts with "--" (a forgotten value). An option given twice: the last one counts. Never prints.
 */
int opts_parse(const struct opts_spec *spec, int argc, char **argv, struct opts_result *ret,
	       struct err *err) __attribute__((warn_unused_result));
/* Usage, about, options aligned, example. `prog` is put before spec->usage. */
int opts_help(const struct opts_spec *spec, const char *prog, struct buf *out, struct err *err);

#endif
