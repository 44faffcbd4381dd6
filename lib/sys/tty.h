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

/* y/N on /dev/tty (default no). *ret_yes. No terminal: E_USAGE "… needs a terminal; use --yes". EOF and Ctrl-C count as no (E_CANCELLED). */
int tty_confirm(const char *question, bool *ret_yes, struct err *err) __attribute__((warn_unused_result));

/*
 * One line without echo from /dev/tty into a secret buffer (no newline). The terminal is restored on every way
 * out, signals included. Empty input is E_BAD.
 */
int tty_secret(const char *prompt, struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
