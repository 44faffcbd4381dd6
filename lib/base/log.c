#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"

#define CUT_TAIL ",\"cut\":true"
#define TAIL_MAX (sizeof(CUT_TAIL "}\n") - 1)

/* Process-wide on purpose: standard output and error are, too. */
static struct {
	const char *component;
	enum log_level level;
	int event_fd;
	bool torn; /* the last event was written in part: its line is still open */
} state = { .component = "bottle", .level = LOG_INFO, .event_fd = STDOUT_FILENO };

void log_init(const char *component, enum log_level level)
{
	state.component = component;
	state.level = level;
}

void log_set_level(enum log_level level)
{
	state.level = level;
}

enum log_level log_get_level(void)
{
	return state.level;
}

static const char *const level_names[] = { "error", "warning", "info", "debug" };

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

bool log_level_parse(struct str name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (!str_eqz(name, level_names[i]))
			continue;
		*ret = (enum log_level)i;
		return true;
	}
	return false;
}

bool log_enabled(enum log_level level)
{
	return level <= state.level;
}

void log_event_fd(int fd)
{
	state.event_fd = fd;
	state.torn = false;
}

/* *ret_done is what was written, also on failure. */
static int write_all(int fd, struct str s, size_t *ret_done)
{
	*ret_done = 0;
	while (*ret_done < s.n) {
		ssize_t n = write(fd, s.p + *ret_done, s.n - *ret_done);

		if (n > 0)
			*ret_done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return -1;
	}
	return 0;
}

/* --- talk -------------------------------------------------------------------------------------- */

/*
 * Buffers here are large enough for what is always there, hence `(void)!`, which drops a result
 * that may otherwise not be ignored.
 */

/* Each byte of a control character, or that is not UTF-8, as \xNN. */
static void add_visible(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t cp;
		size_t n = str_utf8_at(s, i, &cp);
		bool hide = n == 0 || str_is_control(cp);

		if (n == 0)
			n = 1;
		for (size_t end = i + n; i < end; i++) {
			if (hide)
				(void)!buf_addf(out, NULL, "\\x%02x", (unsigned char)s.p[i]);
			else
				(void)!buf_addc(out, s.p[i], NULL);
		}
	}
}

void log_line(enum log_level level, const char *fmt, ...)
{
	auto_buf line = BUF_INIT(LOG_LINE_MAX * 4 + 256);
	char text[LOG_LINE_MAX];
	int saved = errno;
	size_t written;
	va_list ap;
	int n;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	(void)!buf_addf(&line, NULL, "%s: %s: ", state.component, log_level_name(level));
	if ((size_t)n < sizeof(text)) {
		add_visible(&line, str_mem(text, (size_t)n));
	} else {
		add_visible(&line, str_mem(text, sizeof(text) - 1));
		(void)!buf_addz(&line, "...", NULL);
	}
	(void)!buf_addc(&line, '\n', NULL);
	/* Nobody to tell when standard error is gone. */
	(void)!write_all(STDERR_FILENO, buf_str(&line), &written);
	errno = saved;
}

/* --- events ------------------------------------------------------------------------------------ */

/* The date changes rarely, and to make it costs as much as all the rest of a line. */
static void add_time(struct buf *line)
{
	static struct {
		time_t second;
		char text[32];
	} last = { .second = -1 };
	struct timespec now = { 0 };
	struct tm tm;
	char ms[] = ".000Z\"";

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (last.second != now.tv_sec) {
		if (!gmtime_r(&now.tv_sec, &tm) ||
		    strftime(last.text, sizeof(last.text), "%FT%T", &tm) == 0)
			last.text[0] = '\0';
		last.second = now.tv_sec;
	}
	for (long i = 3, v = now.tv_nsec / 1000000; i > 0; i--, v /= 10)
		ms[i] = (char)('0' + v % 10);
	(void)!buf_addz(line, "{\"ts\":\"", NULL);
	(void)!buf_addz(line, last.text, NULL);
	(void)!buf_addz(line, ms, NULL);
}

void log_event_begin(struct log_event *ev, const char *event)
{
	/* What log_event_end may have to add is kept free. */
	buf_init(&ev->line, LOG_EVENT_MAX - TAIL_MAX);
	(void)!buf_reserve(&ev->line, LOG_EVENT_USUAL, NULL);
	ev->cut = false;
	if (state.torn)
		(void)!buf_addc(&ev->line, '\n', NULL);
	add_time(&ev->line);
	log_event_strz(ev, "component", state.component);
	log_event_strz(ev, "event", event);
}

/* Adds `,"key":` and the value, in quotes or as it is. All or nothing. */
static void add_member(struct log_event *ev, const char *key, struct str value, bool quoted)
{
	struct buf *line = &ev->line;
	size_t before = line->len;

	if (buf_add(line, STR(",\""), NULL) < 0 || buf_addz(line, key, NULL) < 0 ||
	    buf_add(line, STR("\":"), NULL) < 0 ||
	    (quoted ? json_quote(line, value, NULL) : buf_add(line, value, NULL)) < 0) {
		buf_truncate(line, before);
		ev->cut = true;
	}
}

void log_event_str(struct log_event *ev, const char *key, struct str value)
{
	add_member(ev, key, value, true);
}

void log_event_strz(struct log_event *ev, const char *key, const char *value)
{
	if (value)
		add_member(ev, key, str_of(value), true);
}

void log_event_u64(struct log_event *ev, const char *key, uint64_t value)
{
	char digits[STR_U64_MAX];

	add_member(ev, key, str_u64(value, digits), false);
}

void log_event_bool(struct log_event *ev, const char *key, bool value)
{
	add_member(ev, key, value ? STR("true") : STR("false"), false);
}

int log_event_end(struct log_event *ev)
{
	size_t written;
	int rc = 0;

	ev->line.max = LOG_EVENT_MAX;
	if (ev->cut)
		(void)!buf_addz(&ev->line, CUT_TAIL, NULL);
	(void)!buf_addz(&ev->line, "}\n", NULL);
	if (state.event_fd >= 0) {
		rc = write_all(state.event_fd, buf_str(&ev->line), &written);
		/* A reader loses the torn line only, when the next one starts with a newline. */
		state.torn = rc < 0 && (written > 0 || state.torn);
	}
	buf_fini(&ev->line);
	return rc;
}
