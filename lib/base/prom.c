#include "base/prom.h"

#include <inttypes.h>
#include <stdarg.h>

/* Milliseconds, and the same in seconds as text. From a cached answer to a stream that lasts. */
static const struct {
	int64_t ms;
	const char *seconds;
} prom_bounds[PROM_BOUNDS] = {
	{ 1, "0.001" },  { 2, "0.002" }, { 5, "0.005" },  { 10, "0.01" },  { 25, "0.025" },
	{ 50, "0.05" },  { 100, "0.1" }, { 250, "0.25" }, { 500, "0.5" },  { 1000, "1" },
	{ 2500, "2.5" }, { 5000, "5" },  { 10000, "10" }, { 60000, "60" }, { 600000, "600" },
};

void prom_observe(struct prom_histogram *h, int64_t ms)
{
	size_t i = 0;

	while (i < PROM_BOUNDS && ms > prom_bounds[i].ms)
		i++;
	h->counts[i]++;
	h->sum_ms += ms > 0 ? (uint64_t)ms : 0;
}

static const char *type_name(enum prom_type type)
{
	static const char *const names[] = { "counter", "gauge", "histogram" };

	return names[type];
}

static bool failed(const struct prom *w)
{
	return w->err.code != E_NONE;
}

static void add(struct prom *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct prom *w, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	if (failed(w))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		(void)err_set(&w->err, E_LIMIT, "metric %s: text too long", w->name);
	else
		(void)!buf_add(w->out, str_mem(text, (size_t)n), &w->err);
}

/* In a label's value: backslash, quote and line feed. */
static void add_escaped(struct prom *w, const char *value)
{
	for (const char *p = value; *p; p++) {
		if (*p == '\n')
			add(w, "\\n");
		else if (*p == '\\' || *p == '"')
			add(w, "\\%c", *p);
		else
			add(w, "%c", *p);
	}
}

void prom_family(struct prom *w, const char *name, enum prom_type type, const char *help)
{
	w->name = name;
	add(w, "# HELP %s_%s %s\n", w->prefix, name, help);
	add(w, "# TYPE %s_%s %s\n", w->prefix, name, type_name(type));
}

void prom_sample(struct prom *w, uint64_t value, const struct prom_label *labels, size_t count)
{
	add(w, "%s_%s", w->prefix, w->name);
	for (size_t i = 0; i < count; i++) {
		add(w, "%s%s=\"", i ? "," : "{", labels[i].name);
		add_escaped(w, labels[i].value);
		add(w, "\"");
	}
	add(w, "%s %" PRIu64 "\n", count ? "}" : "", value);
}

void prom_single(struct prom *w, const char *name, enum prom_type type, const char *help,
		 uint64_t value)
{
	prom_family(w, name, type, help);
	prom_sample(w, value, NULL, 0);
}

void prom_histogram(struct prom *w, const struct prom_histogram *h)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= PROM_BOUNDS; i++) {
		count += h->counts[i];
		add(w, "%s_%s_bucket{le=\"%s\"} %" PRIu64 "\n", w->prefix, w->name,
		    i < PROM_BOUNDS ? prom_bounds[i].seconds : "+Inf", count);
	}
	add(w, "%s_%s_sum %" PRIu64 ".%03u\n", w->prefix, w->name, h->sum_ms / 1000,
	    (unsigned)(h->sum_ms % 1000));
	add(w, "%s_%s_count %" PRIu64 "\n", w->prefix, w->name, count);
}

int prom_end(const struct prom *w, struct err *err)
{
	if (!failed(w))
		return 0;
	return err_set(err, w->err.code, "%s", w->err.text);
}
