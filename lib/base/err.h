/*
 * err: errors as values.
 *
 * A function that can fail takes `struct err *err` last and returns 0/-1 (or a pointer/NULL).
 * The struct is owned by the caller, has a fixed size and nothing to free. Library code never
 * prints and never exits; only applets/ turn an err into text and an exit status.
 *
 *	return err_set(err, E_BAD, "port %d out of range", port);
 *
 * A message is one line without a full stop, starts in lower case, names what and where
 * (`file:line:col` for text input) and, where there is one, how to mend it. It never holds a
 * secret. `err` may be NULL when the caller only wants to know that it failed.
 */
#ifndef BOTTLE_BASE_ERR_H
#define BOTTLE_BASE_ERR_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

enum err_code {
	E_NONE = 0,
	E_BAD,       /* bad input: text, arguments, peer's bytes */
	E_USAGE,     /* bad command line; applets exit 2 */
	E_SYS,       /* a system call failed; the message ends in strerror */
	E_IO,        /* peer closed, reset or broke its protocol */
	E_TIMEOUT,   /* a wait ran out */
	E_LIMIT,     /* a maximum of limits.h was reached */
	E_NOTFOUND,  /* the named thing does not exist */
	E_EXISTS,    /* the named thing exists already */
	E_DENIED,    /* policy or permission refuses */
	E_TLS,       /* handshake or verification */
	E_CHILD,     /* a child process failed */
	E_CANCELLED, /* the operator said no, or a signal asked to stop */
	E_STALE,     /* a kept connection was closed before anything of the answer came */
	E_EXHAUSTED, /* no descriptor or memory is left; it may be otherwise in a while */
};

#define ERR_TEXT_MAX 512

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX]; /* always terminated; cut with "..." when too long */
};

#define ERR_INIT                           \
	{                                  \
		.code = E_NONE, .text = "" \
	}

/*
 * Records an error. Always returns -1. Control characters (C1 too) and bytes that are not UTF-8 are
 * replaced by '?'. Arguments may point into err->text.
 */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, "source:line:col: " before it: an error in a text. Returns -1. */
int err_at(struct err *err, enum err_code code, const char *source, size_t line, size_t col,
	   const char *fmt, va_list ap) __attribute__((format(printf, 6, 0)));

/*
 * As err_set with E_SYS, and appends ": " and the text of errno (taken at entry), for which a long
 * context makes room. Returns -1.
 */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts context before an error that is already there ("context: text") with its code. Returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);

#endif
