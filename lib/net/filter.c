#include "net/filter.h"

#include <string.h>

#include "base/mem.h"
#include "sys/loop.h"

enum filter_ready filter_handshake(struct filter *top, struct err *err)
{
	enum filter_ready r = FILTER_READY;

	if (top->ready)
		return FILTER_READY;
	if (top->below)
		r = filter_handshake(top->below, err);
	if (r == FILTER_READY && top->ops->handshake)
		r = top->ops->handshake(top, err);
	top->ready = r == FILTER_READY;
	return r;
}

ssize_t filter_read(struct filter *top, void *p, size_t n, struct err *err)
{
	return top->ops->read(top, p, n, err);
}

ssize_t filter_write(struct filter *top, const void *p, size_t n, struct err *err)
{
	return top->ops->write(top, p, n, err);
}

enum filter_ready filter_shutdown(struct filter *top, struct err *err)
{
	return top->ops->shutdown(top, err);
}

bool filter_pending(const struct filter *top)
{
	for (const struct filter *f = top; f; f = f->below) {
		if (f->ops->pending && f->ops->pending(f))
			return true;
	}
	return false;
}

unsigned filter_wants(const struct filter *top)
{
	while (!top->ops->wants && top->below)
		top = top->below;
	return top->ops->wants ? top->ops->wants(top) : 0;
}

void filter_free(struct filter *top)
{
	while (top) {
		struct filter *below = top->below;

		top->ops->free(top);
		top = below;
	}
}

/* --- unread: bytes given back ------------------------------------------------------------------- */

struct unread {
	struct filter f;
	char *mem; /* NULL when all was read */
	size_t off, len;
};

static ssize_t unread_read(struct filter *f, void *p, size_t n, struct err *err)
{
	struct unread *u = container_of(f, struct unread, f);

	if (!u->mem)
		return filter_read(f->below, p, n, err);
	if (n > u->len - u->off)
		n = u->len - u->off;
	memcpy(p, u->mem + u->off, n);
	u->off += n;
	if (u->off == u->len) {
		free(u->mem);
		u->mem = NULL;
	}
	return (ssize_t)n;
}

static ssize_t unread_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	return filter_write(f->below, p, n, err);
}

static enum filter_ready unread_shutdown(struct filter *f, struct err *err)
{
	return filter_shutdown(f->below, err);
}

static bool unread_pending(const struct filter *f)
{
	return container_of_const(f, struct unread, f)->mem != NULL;
}

static void unread_free(struct filter *f)
{
	struct unread *u = container_of(f, struct unread, f);

	free(u->mem);
	free(u);
}

static const struct filter_ops unread_ops = {
	.name = "unread",
	.read = unread_read,
	.write = unread_write,
	.shutdown = unread_shutdown,
	.pending = unread_pending,
	.free = unread_free,
};

struct filter *filter_unread(struct filter *below, const void *p, size_t n)
{
	struct unread *u = mem_new(struct unread);

	u->f.ops = &unread_ops;
	u->f.below = below;
	u->f.ready = below->ready;
	u->len = n;
	if (n > 0)
		u->mem = mem_dup(p, n);
	return &u->f;
}
