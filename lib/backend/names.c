#include "backend/names.h"

#include <unistd.h>

#include "base/mem.h"

static bool is_taken(const struct backend *b, const char *home, const struct plan *p)
{
	auto_free char *state = mem_printf("%s/state/%s", home, p->identity);

	for (size_t i = 0; i < p->box_count; i++)
		if (b->ops->has_name(b, p->boxes[i].name))
			return true;
	for (size_t i = 0; i < p->network_count; i++)
		if (b->ops->has_name(b, p->networks[i].name))
			return true;
	return access(state, F_OK) == 0;
}

int names_take(const struct backend *b, const char *home, const char *identity, names_plan_fn *make,
	       void *arg, struct err *err)
{
	const struct plan *p = make(arg, identity, err);

	for (int n = 2; p && is_taken(b, home, p); n++) {
		auto_free char *next = mem_printf("%s-%d", identity, n);

		if (n > NAMES_LAST)
			return err_set(err, E_EXISTS,
				       "all names from %s to %s-%d are taken; 'bottle cleanup' "
				       "removes what killed runs left",
				       identity, identity, NAMES_LAST);
		p = make(arg, next, err);
	}
	return p ? 0 : -1;
}
