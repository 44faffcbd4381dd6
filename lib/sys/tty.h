/*
 * tty: questions to the person at the terminal.
 */
#ifndef BOTTLE_SYS_TTY_H
#define BOTTLE_SYS_TTY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Colour on this descriptor: a terminal, TERM is not dumb, NO_COLOR unset or empty. */
bool tty_colour(int fd);

/*
 * y/N on /dev/tty: "QUESTION [y/N] ". *ret_yes is false unless the answer was "y" or "yes". No
 * terminal: E_USAGE "… needs a terminal; use --yes". EOF, Ctrl-C and other signals that ask to stop
 * count as no: E_CANCELLED. What was typed before the question was shown is dropped.
 */
int tty_confirm(const char *question, bool *ret_yes, struct err *err)
	__attribute__((warn_unused_result));

/*
 * One line without echo from /dev/tty, added to a secret buffer (no newline). The terminal is
 * restored on every way out, signals included, and while suspended (Ctrl-Z). Empty input is E_BAD,
 * one longer than a terminal's line (4094 bytes) or the buffer E_LIMIT; no terminal, EOF and
 * signals as above. `prompt` is shown as it is.
 */
int tty_secret(const char *prompt, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
