/*
 * loop: slots with generations for watches, a binary heap for timers, two lists for deferred work.
 *
 * What epoll hands back is a slot number and the generation the slot had when it was filled, never
 * a pointer: a watch removed earlier in the same batch, or one whose slot or descriptor number has
 * been taken over since, does not match any more and its event is dropped.
 */
#include "sys/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

#define SLOT_NONE UINT32_MAX

struct slot {
	struct loop_watch *w; /* NULL when free */
	uint32_t gen;         /* counted up each time the slot is given back */
	uint32_t next_free;
};

/* The sort key lies in the heap itself, so that sifting does not touch the timers. */
struct heap_entry {
	int64_t due_ms;
	uint64_t seq; /* order of arming: timers due together run first armed, first run */
	struct loop_timer *t;
};

struct signal_handler {
	loop_signal_fn *fn;
	void *arg;
};

struct child {
	struct child *next, **link;
	struct loop_watch watch;
	int pidfd;
	pid_t pid;
	loop_child_fn *fn;
	void *arg;
};

struct loop {
	int epfd;
	bool in_round;
	bool stop;

	bool test_clock; /* time stands still but for loop_test_advance */
	int64_t test_ms;
	int64_t now_ms; /* of this round */

	struct slot *slots;
	uint32_t slot_count, slot_free; /* slot_free heads the free list */
	size_t watched;

	struct heap_entry *heap;
	size_t heap_len, heap_cap;
	uint64_t timer_seq;

	struct loop_deferred queued, running; /* list heads */

	int sigfd;
	struct loop_watch sig_watch;
	sigset_t sig_set;
	struct signal_handler sig[_NSIG];

	struct child *children;

	struct epoll_event batch[LOOP_BATCH];
};

static int64_t clock_ms(const struct loop *l)
{
	struct timespec ts;

	if (l->test_clock)
		return l->test_ms;
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * Outside a round nothing keeps the round's clock fresh: a timer armed after a long start-up would
 * count from the past.
 */
int64_t loop_now(const struct loop *l)
{
	return l->in_round ? l->now_ms : clock_ms(l);
}

void loop_test_advance(struct loop *l, int64_t ms)
{
	l->test_ms = loop_now(l) + ms;
	l->now_ms = l->test_ms;
	l->test_clock = true;
}

/* ---- deferred work: circular lists, so that leaving one needs no list head ---- */

static void list_init(struct loop_deferred *head)
{
	head->next = head->prev = head;
}

static bool list_empty(const struct loop_deferred *head)
{
	return head->next == head;
}

void loop_undefer(struct loop_deferred *d)
{
	if (!d->queued)
		return;
	d->prev->next = d->next;
	d->next->prev = d->prev;
	d->next = d->prev = NULL;
	d->queued = false;
}

void loop_defer(struct loop *l, struct loop_deferred *d, loop_fn *fn, void *arg)
{
	d->fn = fn;
	d->arg = arg;
	if (d->queued)
		return;
	d->prev = l->queued.prev;
	d->next = &l->queued;
	d->prev->next = d;
	l->queued.prev = d;
	d->queued = true;
}

/* What is queued meanwhile waits for the next round: nobody can keep descriptors from their turn. */
static void run_deferred(struct loop *l)
{
	if (list_empty(&l->queued))
		return;
	l->running = l->queued;
	l->running.next->prev = &l->running;
	l->running.prev->next = &l->running;
	list_init(&l->queued);
	while (!list_empty(&l->running)) {
		struct loop_deferred *d = l->running.next;

		loop_undefer(d);
		d->fn(d->arg);
	}
}

/* ---- timers ---- */

static bool heap_before(const struct heap_entry *a, const struct heap_entry *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return a->seq < b->seq;
}

static void heap_put(struct loop *l, size_t i, struct heap_entry e)
{
	l->heap[i] = e;
	e.t->heap_index = i;
}

/* Finds the place of e from the hole at i, upwards or downwards. */
static void heap_sift(struct loop *l, size_t i, struct heap_entry e)
{
	while (i > 0 && heap_before(&e, &l->heap[(i - 1) / 2])) {
		heap_put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (;;) {
		size_t kid = 2 * i + 1;

		if (kid >= l->heap_len)
			break;
		if (kid + 1 < l->heap_len && heap_before(&l->heap[kid + 1], &l->heap[kid]))
			kid++;
		if (!heap_before(&l->heap[kid], &e))
			break;
		heap_put(l, i, l->heap[kid]);
		i = kid;
	}
	heap_put(l, i, e);
}

void loop_timer_stop(struct loop_timer *t)
{
	struct loop *l = t->loop;
	struct heap_entry last;

	if (!l)
		return;
	last = l->heap[--l->heap_len];
	if (last.t != t)
		heap_sift(l, t->heap_index, last);
	t->loop = NULL;
}

void loop_timer(struct loop *l, struct loop_timer *t, int64_t in_ms, loop_fn *fn, void *arg)
{
	int64_t now = loop_now(l);
	struct heap_entry e = { .seq = l->timer_seq++, .t = t };

	if (t->loop && t->loop != l)
		loop_timer_stop(t);
	if (in_ms < 0)
		in_ms = 0;
	e.due_ms = in_ms > INT64_MAX - now ? INT64_MAX : now + in_ms;
	t->due_ms = e.due_ms;
	t->fn = fn;
	t->arg = arg;
	if (!t->loop) {
		if (l->heap_len == l->heap_cap) {
			l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 64;
			l->heap = mem_resize(l->heap, l->heap_cap, sizeof(*l->heap));
		}
		t->loop = l;
		t->heap_index = l->heap_len++;
	}
	heap_sift(l, t->heap_index, e);
}

/*
 * A timer armed in here sorts behind all that were due before, and its number says that it is new:
 * it waits for the next round even when it is due at once.
 */
static void run_timers(struct loop *l)
{
	const int64_t now = l->now_ms;
	const uint64_t first_new = l->timer_seq;

	while (l->heap_len > 0 && l->heap[0].due_ms <= now && l->heap[0].seq < first_new) {
		struct loop_timer *t = l->heap[0].t;

		loop_timer_stop(t);
		t->fn(t->arg);
	}
}

/* ---- watches ---- */

static uint32_t slot_take(struct loop *l, struct loop_watch *w)
{
	uint32_t i;

	if (l->slot_free == SLOT_NONE) {
		uint32_t count = l->slot_count ? l->slot_count * 2 : 64;

		l->slots = mem_resize(l->slots, count, sizeof(*l->slots));
		/* The lowest number heads the list. */
		for (i = count; i-- > l->slot_count;) {
			l->slots[i] = (struct slot){ .next_free = l->slot_free };
			l->slot_free = i;
		}
		l->slot_count = count;
	}
	i = l->slot_free;
	l->slot_free = l->slots[i].next_free;
	l->slots[i].w = w;
	l->watched++;
	return i;
}

static void slot_give(struct loop *l, uint32_t i)
{
	l->slots[i].w = NULL;
	l->slots[i].gen++;
	l->slots[i].next_free = l->slot_free;
	l->slot_free = i;
	l->watched--;
}

/* EPOLLERR and EPOLLHUP need no asking. A peer's half-close is end of file to a reader, not a
 * hang-up. */
static struct epoll_event event_of(const struct loop *l, uint32_t slot, unsigned events)
{
	struct epoll_event ev = { .events = 0 };

	if (events & LOOP_READ)
		ev.events |= EPOLLIN;
	if (events & LOOP_WRITE)
		ev.events |= EPOLLOUT;
	ev.data.u64 = (uint64_t)l->slots[slot].gen << 32 | slot;
	return ev;
}

int loop_watch(struct loop *l, struct loop_watch *w, int fd, unsigned events, loop_fd_fn *fn,
	       void *arg, struct err *err)
{
	struct epoll_event ev;
	uint32_t slot;

	if (w->loop)
		return err_set(err, E_BAD, "descriptor %d: its watch is active on %d", fd, w->fd);
	slot = slot_take(l, w);
	ev = event_of(l, slot, events);
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		(void)err_sys(err, "watch descriptor %d", fd);
		slot_give(l, slot);
		return -1;
	}
	*w = (struct loop_watch){
		.loop = l, .fd = fd, .events = events, .fn = fn, .arg = arg, .slot = slot
	};
	return 0;
}

void loop_watch_events(struct loop_watch *w, unsigned events)
{
	struct epoll_event ev;

	if (!w->loop || w->events == events)
		return;
	w->events = events;
	ev = event_of(w->loop, w->slot, events);
	(void)epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev);
}

void loop_unwatch(struct loop_watch *w)
{
	if (!w->loop)
		return;
	(void)epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	slot_give(w->loop, w->slot);
	w->loop = NULL;
}

static void dispatch(struct loop *l, const struct epoll_event *ev)
{
	const uint32_t slot = (uint32_t)ev->data.u64;
	const struct slot *s = &l->slots[slot];
	struct loop_watch *w = s->w;
	unsigned events = 0;

	if (s->gen != (uint32_t)(ev->data.u64 >> 32))
		return;
	if (ev->events & EPOLLIN)
		events |= LOOP_READ;
	if (ev->events & EPOLLOUT)
		events |= LOOP_WRITE;
	/* An earlier callback of this batch may have taken back the interest. */
	events &= w->events;
	if (ev->events & (EPOLLERR | EPOLLHUP))
		events |= LOOP_HANGUP;
	if (events)
		w->fn(w->arg, events);
}

/* ---- the loop ---- */

struct loop *loop_new(struct err *err)
{
	struct loop *l = mem_new(struct loop);

	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		(void)err_sys(err, "epoll_create1");
		free(l);
		return NULL;
	}
	l->sigfd = -1;
	l->slot_free = SLOT_NONE;
	(void)sigemptyset(&l->sig_set);
	list_init(&l->queued);
	list_init(&l->running);
	return l;
}

static void child_free(struct child *c)
{
	loop_unwatch(&c->watch);
	(void)close(c->pidfd);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	while (l->children)
		child_free(l->children);
	for (uint32_t i = 0; i < l->slot_count; i++)
		if (l->slots[i].w)
			l->slots[i].w->loop = NULL;
	for (size_t i = 0; i < l->heap_len; i++)
		l->heap[i].t->loop = NULL;
	while (!list_empty(&l->queued))
		loop_undefer(l->queued.next);
	if (l->sigfd >= 0)
		(void)close(l->sigfd);
	(void)close(l->epfd);
	free(l->slots);
	free(l->heap);
	free(l);
}

static int wait_ms(const struct loop *l, int timeout_ms)
{
	int64_t until_timer;

	if (!list_empty(&l->queued))
		return 0;
	if (l->heap_len == 0)
		return timeout_ms;
	until_timer = l->heap[0].due_ms - clock_ms(l);
	if (until_timer < 0)
		until_timer = 0;
	if (until_timer > INT_MAX)
		until_timer = INT_MAX;
	return timeout_ms >= 0 && timeout_ms < until_timer ? timeout_ms : (int)until_timer;
}

int loop_once(struct loop *l, int timeout_ms, struct err *err)
{
	int n;

	if (l->in_round)
		return err_set(err, E_BAD, "the loop was run from one of its own callbacks");
	n = epoll_wait(l->epfd, l->batch, LOOP_BATCH, wait_ms(l, timeout_ms));
	if (n < 0 && errno != EINTR)
		return err_sys(err, "epoll_wait");
	l->now_ms = clock_ms(l);
	l->in_round = true;
	for (int i = 0; i < n; i++)
		dispatch(l, &l->batch[i]);
	run_timers(l);
	run_deferred(l);
	l->in_round = false;
	return 0;
}

/* Signals alone are nothing to wait for: a server that has drained ends by itself. */
static bool something_to_do(const struct loop *l)
{
	size_t own = l->sig_watch.loop ? 1 : 0;

	return l->watched > own || l->heap_len > 0 || !list_empty(&l->queued);
}

int loop_run(struct loop *l, struct err *err)
{
	int rc = 0;

	while (rc == 0 && !l->stop && something_to_do(l))
		rc = loop_once(l, -1, err);
	l->stop = false;
	return rc;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

/* ---- signals ---- */

static void on_signal(void *arg, unsigned events)
{
	struct loop *l = arg;
	struct signalfd_siginfo info[8];
	ssize_t n = read(l->sigfd, info, sizeof(info));

	(void)events;
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(info[0]); i++) {
		const struct signal_handler *h = &l->sig[info[i].ssi_signo % _NSIG];

		h->fn(h->arg, (int)info[i].ssi_signo);
	}
}

int loop_signals(struct loop *l, const int *signos, size_t count, loop_signal_fn *fn, void *arg,
		 struct err *err)
{
	sigset_t set = l->sig_set;
	int fd;

	for (size_t i = 0; i < count; i++)
		if (signos[i] <= 0 || signos[i] >= _NSIG || sigaddset(&set, signos[i]) < 0)
			return err_set(err, E_BAD, "there is no signal %d", signos[i]);
	fd = signalfd(l->sigfd, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "signalfd");
	if (l->sigfd < 0 && loop_watch(l, &l->sig_watch, fd, LOOP_READ, on_signal, l, err) < 0) {
		(void)close(fd);
		return -1;
	}
	l->sigfd = fd;
	l->sig_set = set;
	for (size_t i = 0; i < count; i++)
		l->sig[signos[i]] = (struct signal_handler){ fn, arg };
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	return 0;
}

/* ---- children ---- */

static void on_child(void *arg, unsigned events)
{
	struct child c = *(struct child *)arg;
	int status;
	pid_t pid;

	(void)events;
	do
		pid = waitpid(c.pid, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return;
	/* Reaped by somebody else: how it ended is lost, and a lost ending is no success. */
	if (pid < 0)
		status = 255 << 8;
	child_free(arg);
	c.fn(c.arg, c.pid, status);
}

int loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *arg, struct err *err)
{
	struct child *c;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return err_sys(err, "pidfd_open %d", (int)pid);
	c = mem_new(struct child);
	if (loop_watch(l, &c->watch, pidfd, LOOP_READ, on_child, c, err) < 0) {
		(void)close(pidfd);
		free(c);
		return -1;
	}
	c->pidfd = pidfd;
	c->pid = pid;
	c->fn = fn;
	c->arg = arg;
	c->next = l->children;
	c->link = &l->children;
	if (c->next)
		c->next->link = &c->next;
	l->children = c;
	return 0;
}
