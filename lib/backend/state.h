/*
 * state: $BOTTLE_HOME/state/IDENTITY, what one run leaves on the host (spec 1.6).
 *
 *   metadata.json  schema, identity, agent, bottle, cwd, backend, started_at, pid
 *   events.jsonl   decisions of the sidecars, appended as they come
 *   lock           held (flock) while the launcher lives
 *
 * The directory is created with the run and must not exist before: with the lock it makes the
 * identity unique on this host. Nothing secret is in it.
 */
#ifndef BOTTLE_BACKEND_STATE_H
#define BOTTLE_BACKEND_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/schema.h"
#include "base/str.h"
#include "manifest/plan.h"

#define STATE_SCHEMA 1

struct state {
	char *dir;
	char *audit; /* where the events go after a clean end */
	int lock_fd, events_fd;
	bool events_failed; /* an event could not be written */
};

/* E_EXISTS when the identity is taken on this host. */
int state_create(const char *home, const struct plan *p, struct state *ret, struct err *err)
	__attribute__((warn_unused_result));
void state_fini(struct state *s);

/*
 * Appends one line (without its newline) to events.jsonl. -1 when it is not whole on its way to the
 * disk: the bottle must not go on then.
 */
int state_event(struct state *s, struct str line, struct err *err)
	__attribute__((warn_unused_result));
/* One of the launcher's own: {"ts":…,"component":"launcher","event":…,"detail":…}. */
int state_note(struct state *s, const char *event, const char *detail, struct err *err)
	__attribute__((warn_unused_result));

enum state_end {
	STATE_KEEP,  /* kept whole */
	STATE_CLEAN, /* events.jsonl goes to audit/IDENTITY.events.jsonl, the rest is removed */
	STATE_NONE,  /* nothing ever ran: as CLEAN, without a file when there is no event */
};
int state_settle(struct state *s, enum state_end end, struct err *err)
	__attribute__((warn_unused_result));

/* What is there. */
struct state_entry {
	char *identity, *dir;
	bool live;                   /* its launcher runs */
	char *agent, *backend, *cwd; /* NULL when metadata.json cannot be read */
	int64_t started_at;          /* seconds since the epoch; 0: unknown */
	pid_t pid;
};
struct state_list {
	struct state_entry *v;
	size_t n;
};
/* In order of identity. Names that are no identity are passed over. */
int state_list(const char *home, struct state_list *ret, struct err *err)
	__attribute__((warn_unused_result));
void state_list_free(struct state_list *l);
const struct state_entry *state_find(const struct state_list *l, const char *identity);

/* The file with this run's events: of the state directory, else of audit/. Heap; E_NOTFOUND. */
char *state_events_path(const char *home, const char *identity, struct err *err)
	__attribute__((warn_unused_result));

#endif
