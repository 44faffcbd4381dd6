#include "bottle/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sys/tty.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RESET "\033[0m"
#define ERASE "\r\033[K"

/* "" where there is no colour. */
static const char *in(const char *code)
{
	return tty_colour(STDERR_FILENO) ? code : "";
}

void show_notes(const struct notes *n)
{
	for (size_t i = 0; i < n->warnings.n; i++)
		(void)fprintf(stderr, "%swarning:%s %s\n", in(YELLOW), in(RESET), n->warnings.v[i]);
	if (n->recipe)
		(void)fprintf(stderr, "\n%s\n", n->recipe);
}

void show_line(bool ok, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "  %s%s%s ", in(ok ? GREEN : RED), ok ? "✓" : "✗", in(RESET));
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

void show_hint(const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "  %s", in(DIM));
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "%s\n", in(RESET));
}

void show_heading(const char *fmt, ...)
{
	va_list ap;

	(void)fputs(in(BOLD), stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "%s\n", in(RESET));
}

/* ---- progress ---- */

static void begin(void *user, const char *what)
{
	(void)user;
	if (tty_colour(STDERR_FILENO))
		(void)fprintf(stderr, "  %s… %s%s", DIM, what, RESET);
}

static void done(void *user, const char *what, int64_t ms, const struct err *why)
{
	(void)user;
	if (tty_colour(STDERR_FILENO))
		(void)fputs(ERASE, stderr);
	show_line(!why, "%-32s %s%4d.%02d s%s", what, in(DIM), (int)(ms / 1000),
		  (int)(ms % 1000 / 10), in(RESET));
}

static void note(void *user, const char *text)
{
	(void)user;
	/* The session may have the terminal in raw mode. */
	(void)fprintf(stderr, "\r%sbottle:%s %s\r\n", in(YELLOW), in(RESET), text);
}

const struct progress show_progress = { .begin = begin, .done = done, .note = note };

void show_duration(int64_t seconds, char *buf, size_t size)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };

	buf[0] = '\0';
	for (size_t i = 0; seconds >= 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (seconds < units[i].seconds && units[i].seconds > 1)
			continue;
		(void)snprintf(buf, size, "%lld %s", (long long)(seconds / units[i].seconds),
			       units[i].unit);
		return;
	}
}

void show_age(int64_t since, char *buf, size_t size)
{
	show_duration(since > 0 ? (int64_t)time(NULL) - since : -1, buf, size);
}
