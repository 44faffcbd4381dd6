/*
 * show: what the launcher's commands say to the person, on standard error.
 */
#ifndef BOTTLE_APPLETS_SHOW_H
#define BOTTLE_APPLETS_SHOW_H

#include "backend/launch.h"
#include "manifest/notes.h"

/* Warnings, then the recipe, if any. */
void show_notes(const struct notes *n);

/* A line that is done, skipped or wrong: "  ✓ text". `ok` false: a cross. */
void show_line(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Dim text of its own: what to do next. */
void show_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A heading, bold. */
void show_heading(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line a step with its time; on a terminal the step under way is shown too. */
extern const struct progress show_progress;

/* "3 s", "5 min", "2 h", "4 d"; "" when negative. */
void show_duration(int64_t seconds, char *buf, size_t size);
/* The same since then; "" when unknown. */
void show_age(int64_t since, char *buf, size_t size);

#endif
