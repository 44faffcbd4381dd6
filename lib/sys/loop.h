/*
 * loop: one epoll loop per process, no threads in it.
 *
 * Watches on descriptors (level-triggered), one-shot timers, signals (signalfd) and child exits.
 * A callback may add, change or remove any watch or timer, its own too: removal takes effect at
 * once and a removed watch is never called again in the same round. Objects that die inside their
 * own callback hand themselves to loop_defer, which runs after the round: a callback marks its
 * connection dead, the loop reaps.
 *
 * A round is: events of descriptors, then timers that are due, then deferred work. What a timer or
 * a deferred function arms or defers anew runs in the next round, even when it is due at once.
 *
 * Watches, timers and deferred items are embedded in their owner, and the owner takes them out
 * before it dies (loop_unwatch, loop_timer_stop, loop_undefer: all do nothing when inactive). A
 * descriptor is unwatched before it is closed.
 */
#ifndef BOTTLE_SYS_LOOP_H
#define BOTTLE_SYS_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct loop;

#define LOOP_READ 0x1u
#define LOOP_WRITE 0x2u
#define LOOP_HANGUP 0x4u /* reported always: error or both directions closed */

typedef void loop_fd_fn(void *arg, unsigned events);
typedef void loop_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signo);
typedef void loop_child_fn(void *arg, pid_t pid, int wait_status);

/* Embedded by their owner; zero-initialised = inactive. */
struct loop_watch {
	struct loop *loop; /* NULL when inactive */
	int fd;
	unsigned events;
	loop_fd_fn *fn;
	void *arg;
	uint32_t slot; /* loop's own */
};
struct loop_timer {
	struct loop *loop; /* NULL when inactive */
	int64_t due_ms;
	loop_fn *fn;
	void *arg;
	size_t heap_index; /* loop's own */
};
struct loop_deferred {
	struct loop_deferred *next, *prev; /* loop's own */
	bool queued;
	loop_fn *fn;
	void *arg;
};

struct loop *loop_new(struct err *err) __attribute__((warn_unused_result));
/*
 * Not from a callback. What is still watched, armed or queued becomes inactive without being
 * called; children go on running and are not reaped. NULL is fine.
 */
void loop_free(struct loop *l);

/*
 * Runs until loop_stop, or until nothing is watched, no timer waits and nothing is deferred
 * (signals alone do not count). A loop_stop from before makes it return at once.
 */
int loop_run(struct loop *l, struct err *err) __attribute__((warn_unused_result));
/* One round, waiting at most timeout_ms (-1: until something happens). From a callback: E_BAD. */
int loop_once(struct loop *l, int timeout_ms, struct err *err) __attribute__((warn_unused_result));
/* Ends loop_run after the round that is under way. */
void loop_stop(struct loop *l);

/*
 * events may be 0 (hang-ups only). The descriptor stays the caller's; one watch for each. E_SYS for
 * what cannot be waited for (a regular file), E_BAD when w is active already.
 */
int loop_watch(struct loop *l, struct loop_watch *w, int fd, unsigned events, loop_fd_fn *fn,
	       void *arg, struct err *err) __attribute__((warn_unused_result));
/* Cheap when nothing changes. Cannot fail for a live watch. */
void loop_watch_events(struct loop_watch *w, unsigned events);
void loop_unwatch(struct loop_watch *w); /* inactive: nothing happens */

/* Monotonic milliseconds, read once a round; outside of one, each time. */
int64_t loop_now(const struct loop *l);
/* For tests: from the first call on, the clock of this loop stands still and only this moves it. */
void loop_test_advance(struct loop *l, int64_t ms);

/* (Re)arms. One shot. Due together: first armed, first run. A negative time is 0. */
void loop_timer(struct loop *l, struct loop_timer *t, int64_t in_ms, loop_fn *fn, void *arg);
void loop_timer_stop(struct loop_timer *t);

/* Runs fn after this round. Queued twice: runs once, with what was given last. */
void loop_defer(struct loop *l, struct loop_deferred *d, loop_fn *fn, void *arg);
void loop_undefer(struct loop_deferred *d);

/*
 * Signals arrive as events; they are blocked in this process, also after loop_free (proc_spawn
 * unblocks them in children). Called before threads are started: they inherit the mask. May be
 * called again for more signals, or to give one another function.
 */
int loop_signals(struct loop *l, const int *signos, size_t count, loop_signal_fn *fn, void *arg,
		 struct err *err) __attribute__((warn_unused_result));

/*
 * Called once when the child ends (pidfd); the child has been reaped then. A child that somebody
 * else reaped is told as exit status 255. E_SYS when there is no such child.
 */
int loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *arg, struct err *err)
	__attribute__((warn_unused_result));

#endif
