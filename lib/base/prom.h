/*
 * prom: metrics in Prometheus' text exposition format, version 0.0.4.
 *
 *	struct prom w = PROM_INIT(&out, "egress_proxy");
 *	prom_family(&w, "requests_total", PROM_COUNTER, "Requests, by verdict.");
 *	prom_sample(&w, 7, PROM_LABELS({ "verdict", "allow" }));
 *	return prom_end(&w, err);
 *
 * Names are the caller's constants: counters end in "_total", times are in seconds and end in
 * "_seconds", sizes in "_bytes". Label values are escaped; each should come from a small fixed set.
 */
#ifndef BOTTLE_BASE_PROM_H
#define BOTTLE_BASE_PROM_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PROM_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum prom_type { PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM };

/* How many observations were at most so long; see prom_bounds in prom.c. */
#define PROM_BOUNDS 15
struct prom_histogram {
	uint64_t counts[PROM_BOUNDS + 1]; /* each bucket alone; the last is +Inf */
	uint64_t sum_ms;
};

/* One more; a negative time (the clock was read before) counts as 0. */
void prom_observe(struct prom_histogram *h, int64_t ms);

/* A text under construction; the first failure is kept and the rest is dropped. */
struct prom {
	struct buf *out;
	const char *prefix, *name;
	struct err err;
};

#define PROM_INIT(buffer, name_prefix)                                                  \
	{                                                                               \
		.out = (buffer), .prefix = (name_prefix), .name = NULL, .err = ERR_INIT \
	}

/* Begins the family PREFIX_name; its samples follow. `help` is one line. */
void prom_family(struct prom *w, const char *name, enum prom_type type, const char *help);

struct prom_label {
	const char *name, *value;
};
#define PROM_LABELS(...)                            \
	(const struct prom_label[]){ __VA_ARGS__ }, \
		sizeof((const struct prom_label[]){ __VA_ARGS__ }) / sizeof(struct prom_label)
void prom_sample(struct prom *w, uint64_t value, const struct prom_label *labels, size_t count);
/* A family of one sample without labels. */
void prom_single(struct prom *w, const char *name, enum prom_type type, const char *help,
		 uint64_t value);
/* All samples of a histogram, times in seconds. */
void prom_histogram(struct prom *w, const struct prom_histogram *h);
/* 0, or -1 with the first failure. */
int prom_end(const struct prom *w, struct err *err) __attribute__((warn_unused_result));

#endif
