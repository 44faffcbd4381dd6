/*
 * log: events and talk.
 *
 * Two streams. *Events* are the product: one JSON object a line on the event fd (stdout of a
 * sidecar), written with one write(2) each so that lines of several writers do not mix. *Talk* is
 * for people, on stderr, only from applets and long-running services.
 */
#ifndef BOTTLE_BASE_LOG_H
#define BOTTLE_BASE_LOG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/limits.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `component` is kept by reference: a string literal. Default: "bottle", LOG_INFO. */
void log_init(const char *component, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warning", "info", "debug" */
const char *log_level_name(enum log_level level);
/* False: no level is called so. */
bool log_level_parse(struct str name, enum log_level *ret);
bool log_enabled(enum log_level level);
/* "component: level: text\n" on stderr; control characters are shown as \xNN. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                    \
	do {                                              \
		if (log_enabled(LOG_DEBUG))               \
			log_line(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

/*
 * An event line under construction: log_event_begin writes
 * `{"ts":"…Z","component":"…","event":"…"`, the setters add members, log_event_end closes and
 * writes it. Values are escaped, keys need no escape. The struct lives on the stack; a member that
 * would make the line longer than LOG_EVENT_MAX is left out and the line gets "cut":true. Every
 * log_event_begin is followed by a log_event_end, which also frees.
 */
struct log_event {
	struct buf line;
	bool cut;
};

void log_event_begin(struct log_event *ev, const char *event);
void log_event_str(struct log_event *ev, const char *key, struct str value);
void log_event_strz(struct log_event *ev, const char *key, const char *value); /* NULL: left out */
void log_event_u64(struct log_event *ev, const char *key, uint64_t value);
void log_event_bool(struct log_event *ev, const char *key, bool value);
/*
 * 0, or -1 when the line could not be written whole (disk full, reader gone or, with a descriptor
 * that does not block, too slow): the caller fails closed. The process ignores SIGPIPE. After a
 * line that was written in part, the next one starts with a newline, so that a reader loses the
 * torn one only.
 */
int log_event_end(struct log_event *ev);
/* Where events go; default 1. -1 drops them (tests). */
void log_event_fd(int fd);

#endif
