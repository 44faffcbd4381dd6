/*
 * applet: what a command is, and how one is found, parsed, helped and ended.
 *
 * A command is one `struct command` with its options, its text and its function. An applet is a
 * command that has a file name of its own (list.h); the launcher's commands are the sub-commands of
 * the applet `bottle` (bottle/commands.h). The dispatcher parses the options, answers --help,
 * prints errors and chooses the exit status, so that a command only does its work.
 *
 * To add an applet: its file in applets/ and one line in list.h.
 * To add a launcher command: its file in applets/bottle/ and one line in bottle/commands.h.
 */
#ifndef BOTTLE_APPLET_H
#define BOTTLE_APPLET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/opts.h"

/* Exit statuses of every command; start and resume pass the agent's own through. */
#define EXIT_FAILED 1
#define EXIT_USAGE 2

struct command;

/* The name is given where the command is listed, so that one command may have several. */
struct command_entry {
	const char *name; /* NULL ends a list */
	const struct command *command;
};

struct command {
	/*
	 * Usage without the name: "AGENT [options] [-- CMD…]"; NULL when there is nothing to say.
	 * The first sentence of `about` is its line in lists of commands. Option values go to
	 * static variables of the command's file.
	 */
	struct opts_spec spec;
	/*
	 * The exit status, or -1 with err set: the dispatcher prints "bottle start: text" and exits
	 * EXIT_USAGE for E_USAGE, else EXIT_FAILED. NULL for a command that only groups others.
	 */
	int (*run)(const struct opts_result *in, struct err *err);
	/* NULL: none. A command with sub-commands takes no operands of its own. */
	const struct command_entry *subs;
};

/* list.h as a table, in its order. */
extern const struct command_entry applets[];

/* Runs one command. `prog` is how it was called: "bottle start". Returns the exit status. */
int command_run(const struct command *c, const char *prog, int argc, char **argv);

/*
 * The command that words[0..count) name, below `bottle` or among the applets; no words: bottle
 * itself. NULL: E_USAGE with a did-you-mean. *ret_prog is how it is called, on the heap.
 */
const struct command *command_find(char *const *words, int count, char **ret_prog, struct err *err);

/* "bottle start AGENT [options]"; the caller frees it. */
char *command_usage(const struct command *c, const char *prog);

/* The text of --help: usage, about, options, sub-commands, example. */
int command_help(const struct command *c, const char *prog, struct buf *out, struct err *err);

/* The first sentence of a command's about, without its full stop. */
struct str command_line(const struct command *c);

/* Result text to stdout, whole or an error (a full disk must not look like success). */
int applet_print(struct str text, struct err *err) __attribute__((warn_unused_result));
/* "prog: text" on stderr (prog NULL: the text names it already); returns EXIT_USAGE for E_USAGE,
 * else EXIT_FAILED. */
int applet_fail(const char *prog, const struct err *err);

#endif
