/*
 * A routes file from anywhere. What is accepted must write itself as text that reads back as the
 * same table, and lookups in it must not depend on what order it is in.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "policy/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	auto_routes struct routes *r = routes_parse(str_mem(data, size), "fuzz", &err),
				  *again = NULL;
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);

	if (!r) {
		demand(err.code != E_NONE && strncmp(err.text, "fuzz", 4) == 0);
		return 0;
	}
	demand(routes_write(r, &text, &err) == 0);
	again = routes_parse(buf_str(&text), "again", &err);
	demand(again && again->n == r->n && strcmp(again->sha256, r->sha256) == 0);
	for (size_t i = 0; i < r->n; i++) {
		const struct route *it = &r->v[i];
		struct str rest;

		demand(!it->auth == !it->token_env);
		demand(it->paths.n == it->prefixes.n);
		for (size_t k = 0; k < it->prefixes.n; k++)
			demand(route_has_path(it, str_of(it->prefixes.v[k])));
		if (it->host[0] != '*')
			demand(routes_find(r, str_of(it->host), it->port ? it->port : 443) != NULL);
		if (it->mount)
			demand(routes_find_mount(r, str_of(it->mount), &rest) == it);
	}
	return 0;
}
