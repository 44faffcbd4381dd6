#include "backend/undo.h"

#include <stdlib.h>

void undo_push(struct undo *u, undo_fn *fn, void *arg, const char *what)
{
	if (u->n == UNDO_MAX)
		abort();
	u->v[u->n++] = (struct undo_item){ .fn = fn, .arg = arg, .what = what };
}

int undo_run(struct undo *u, struct err *err)
{
	int rc = 0;

	while (u->n > 0) {
		const struct undo_item item = u->v[--u->n];
		struct err e = ERR_INIT;

		if (item.fn(item.arg, &e) == 0)
			continue;
		if (rc == 0 && err) {
			*err = e;
			(void)err_wrap(err, "%s", item.what);
		}
		rc = -1;
	}
	return rc;
}
