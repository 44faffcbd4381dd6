#include "net/dial.h"

#include "base/limits.h"
#include "base/mem.h"

struct attempt { /* at one address */
	struct dial *d;
	struct filter *f; /* NULL: not started, or over */
	struct loop_watch watch;
	struct loop_timer timer;
};

struct dial {
	struct loop *loop;
	struct addr addrs[DIAL_ADDRS_MAX]; /* in the order of the attempts */
	struct attempt attempts[DIAL_ADDRS_MAX];
	size_t n, next, open;
	int timeout_ms;
	dial_fn *fn;
	void *arg;
	struct err last;
	struct loop_timer stagger;
	struct loop_deferred work;
};

/* As given, but the families alternate, beginning with the first one's. */
static size_t take_turns(struct addr *to, const struct addr *from, size_t n)
{
	bool taken[DIAL_ADDRS_MAX] = { false };
	sa_family_t want = from[0].sa.sa_family;
	size_t k = 0;

	while (k < n) {
		size_t pick = n;

		for (size_t i = 0; i < n; i++) {
			if (taken[i])
				continue;
			if (pick == n || from[i].sa.sa_family == want)
				pick = i;
			if (from[pick].sa.sa_family == want)
				break;
		}
		taken[pick] = true;
		to[k++] = from[pick];
		want = from[pick].sa.sa_family == AF_INET ? AF_INET6 : AF_INET;
	}
	return k;
}

static void attempt_stop(struct attempt *a)
{
	loop_unwatch(&a->watch);
	loop_timer_stop(&a->timer);
	if (!a->f)
		return;
	filter_free(a->f);
	a->f = NULL;
	a->d->open--;
}

static void reap(void *arg)
{
	free(arg);
}

/* Nothing calls back after this; freed after the round. */
static void wind_up(struct dial *d)
{
	for (size_t i = 0; i < d->next; i++)
		attempt_stop(&d->attempts[i]);
	d->n = d->next = 0;
	loop_timer_stop(&d->stagger);
	loop_defer(d->loop, &d->work, reap, d);
}

static void go_on(void *arg);

static void attempt_failed(struct attempt *a)
{
	attempt_stop(a);
	go_on(a->d);
}

static void on_timeout(void *arg)
{
	struct attempt *a = arg;
	char text[ADDR_TEXT_MAX];

	addr_text(&a->d->addrs[a - a->d->attempts], true, text);
	(void)err_set(&a->d->last, E_TIMEOUT, "%s did not answer in time", text);
	attempt_failed(a);
}

static void on_event(void *arg, unsigned events)
{
	struct attempt *a = arg;
	struct dial *d = a->d;
	struct filter *f;

	(void)events;
	switch (filter_handshake(a->f, &d->last)) {
	case FILTER_NOT_YET:
		return;
	case FILTER_FAILED:
		attempt_failed(a);
		return;
	case FILTER_READY:
		break;
	}
	loop_unwatch(&a->watch);
	f = steal(&a->f);
	d->open--;
	wind_up(d);
	d->fn(d->arg, f, NULL);
}

static int attempt_start(struct attempt *a, const struct addr *to)
{
	struct dial *d = a->d;
	int fd;

	if (filter_connect_socket(&to->sa, to->len, &fd, &d->last) < 0)
		return -1;
	a->f = filter_tcp(fd, true);
	d->open++;
	if (loop_watch(d->loop, &a->watch, fd, LOOP_WRITE, on_event, a, &d->last) < 0) {
		attempt_stop(a);
		return -1;
	}
	loop_timer(d->loop, &a->timer, d->timeout_ms, on_timeout, a);
	return 0;
}

/* Starts the next attempt, or ends when there is nothing left to hope for. */
static void go_on(void *arg)
{
	struct dial *d = arg;

	loop_timer_stop(&d->stagger);
	while (d->next < d->n) {
		struct attempt *a = &d->attempts[d->next];

		if (attempt_start(a, &d->addrs[d->next++]) < 0)
			continue;
		if (d->next < d->n)
			loop_timer(d->loop, &d->stagger, DIAL_STAGGER_MS, go_on, d);
		return;
	}
	if (d->open > 0)
		return;
	wind_up(d);
	d->fn(d->arg, NULL, &d->last);
}

struct dial *dial_start(struct loop *l, const struct addr *addrs, size_t n, int timeout_ms,
			dial_fn *fn, void *arg)
{
	struct dial *d = mem_new(struct dial);

	d->loop = l;
	d->n = take_turns(d->addrs, addrs, n < DIAL_ADDRS_MAX ? n : DIAL_ADDRS_MAX);
	d->timeout_ms = timeout_ms;
	d->fn = fn;
	d->arg = arg;
	for (size_t i = 0; i < DIAL_ADDRS_MAX; i++)
		d->attempts[i].d = d;
	/* A connect may fail at once, and callbacks come from the loop. */
	loop_defer(l, &d->work, go_on, d);
	return d;
}

void dial_cancel(struct dial *d)
{
	if (d)
		wind_up(d);
}
