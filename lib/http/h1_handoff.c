/*
 * What h1_conn_take returns when bytes were under way: a filter that first gives the unread input
 * and writes the unwritten output. Reading flushes as well, for whoever takes the stack over may
 * begin by listening.
 */
#include "base/mem.h"
#include "http/h1_conn_impl.h"

struct handoff {
	struct filter f;
	struct buf in, out;
	bool blocked; /* the last attempt to write said AGAIN */
};

static struct handoff *handoff_of(struct filter *f)
{
	return container_of(f, struct handoff, f);
}

/* 0: all is written. */
static ssize_t flush(struct handoff *h, struct err *err)
{
	h->blocked = false;
	while (h->out.len > 0) {
		struct str s = buf_str(&h->out);
		ssize_t n = filter_write(h->f.below, s.p, s.n, err);

		h->blocked = n == FILTER_AGAIN;
		if (n < 0)
			return n;
		buf_consume(&h->out, (size_t)n);
	}
	buf_shrink(&h->out);
	return 0;
}

static enum filter_ready flush_ready(struct handoff *h, struct err *err)
{
	ssize_t n = flush(h, err);

	if (n == FILTER_AGAIN)
		return FILTER_NOT_YET;
	return n == 0 ? FILTER_READY : FILTER_FAILED;
}

static enum filter_ready handoff_handshake(struct filter *f, struct err *err)
{
	return flush_ready(handoff_of(f), err);
}

static ssize_t handoff_read(struct filter *f, void *p, size_t n, struct err *err)
{
	struct handoff *h = handoff_of(f);
	struct str s = buf_str(&h->in);

	if (flush(h, err) == FILTER_ERROR)
		return FILTER_ERROR;
	if (s.n == 0)
		return filter_read(f->below, p, n, err);
	if (n > s.n)
		n = s.n;
	memcpy(p, s.p, n);
	buf_consume(&h->in, n);
	buf_shrink(&h->in);
	return (ssize_t)n;
}

static ssize_t handoff_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	ssize_t rc = flush(handoff_of(f), err);

	return rc < 0 ? rc : filter_write(f->below, p, n, err);
}

static enum filter_ready handoff_shutdown(struct filter *f, struct err *err)
{
	enum filter_ready r = flush_ready(handoff_of(f), err);

	return r == FILTER_READY ? filter_shutdown(f->below, err) : r;
}

static bool handoff_pending(const struct filter *f)
{
	return container_of_const(f, struct handoff, f)->in.len > 0;
}

static unsigned handoff_wants(const struct filter *f)
{
	const struct handoff *h = container_of_const(f, struct handoff, f);

	return filter_wants(f->below) | (h->blocked ? LOOP_WRITE : 0);
}

static void handoff_free(struct filter *f)
{
	struct handoff *h = handoff_of(f);

	buf_fini(&h->in);
	buf_fini(&h->out);
	free(h);
}

static const struct filter_ops handoff_ops = {
	.name = "handoff",
	.handshake = handoff_handshake,
	.read = handoff_read,
	.write = handoff_write,
	.shutdown = handoff_shutdown,
	.pending = handoff_pending,
	.wants = handoff_wants,
	.free = handoff_free,
};

struct filter *h1_handoff(struct filter *below, struct buf *in, struct buf *out)
{
	struct handoff *h = mem_new(struct handoff);

	h->f.ops = &handoff_ops;
	h->f.below = below;
	h->in = *in;
	h->out = *out;
	/* Not ready while output waits: a handshake on top of it starts below it. Failures show
	 * later. */
	h->f.ready = flush(h, NULL) == 0;
	if (h->f.ready && h->in.len == 0) {
		handoff_free(&h->f);
		return below;
	}
	return &h->f;
}
