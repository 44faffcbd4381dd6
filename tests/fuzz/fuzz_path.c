/*
 * Can a path be read by some server as one outside the allowlist? The input is path and query. The
 * oracle is a set of servers, written apart from the code under test: each decodes, splits and
 * merges in its own way. An allowed path must be under the prefix for every one of them, and a path
 * that one of them takes for a git push must be blocked.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_MAX_ 512

static void demand(bool ok)
{
	if (!ok)
		abort();
}

/* --- servers -------------------------------------------------------------------------------- */

struct server {
	int decodes;      /* how often */
	bool slash_first; /* splits into segments before decoding: "%2f" is data */
	bool params;      /* drops ";…" of each segment */
	bool backslash;   /* takes '\' for '/' */
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

/* One pass; with keep_slash an encoded slash becomes \1, which is no separator. */
static size_t decode(char *s, size_t n, bool keep_slash)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '%' && i + 2 < n && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
			char c = (char)(hex(s[i + 1]) * 16 + hex(s[i + 2]));

			s[out++] = keep_slash && c == '/' ? '\1' : c;
			i += 2;
		} else {
			s[out++] = s[i];
		}
	}
	return out;
}

static size_t drop_params(char *s, size_t n)
{
	size_t out = 0;
	bool skip = false;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '/')
			skip = false;
		else if (s[i] == ';')
			skip = true;
		if (!skip)
			s[out++] = s[i];
	}
	return out;
}

/* RFC 3986 5.2.4 with empty segments dropped, as file systems and most routers see a path. */
static size_t resolve(const char *s, size_t n, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t end;

		while (i < n && s[i] == '/')
			i++;
		for (end = i; end < n && s[end] != '/'; end++)
			;
		if (end - i == 2 && s[i] == '.' && s[i + 1] == '.') {
			while (len > 0 && out[--len] != '/')
				;
		} else if (end > i && !(end - i == 1 && s[i] == '.')) {
			out[len++] = '/';
			memcpy(out + len, s + i, end - i);
			len += end - i;
		}
		i = end;
	}
	return len;
}

/* What this server serves for the path, without an end slash; the length. */
static size_t serve(const struct server *how, struct str path, char out[PATH_MAX_])
{
	char s[PATH_MAX_];
	size_t n = path.n;

	memcpy(s, path.p, n);
	if (how->params && how->slash_first)
		n = drop_params(s, n);
	for (int i = 0; i < how->decodes; i++)
		n = decode(s, n, how->slash_first);
	if (how->params && !how->slash_first)
		n = drop_params(s, n);
	for (size_t i = 0; i < n; i++)
		if (how->backslash && s[i] == '\\')
			s[i] = '/';
	return resolve(s, n, out);
}

/* --- the property --------------------------------------------------------------------------- */

static bool is_under(const char *s, size_t n, const char *prefix)
{
	size_t len = strlen(prefix);

	return n >= len && memcmp(s, prefix, len) == 0 && (n == len || s[len] == '/');
}

static bool ends_in(const char *s, size_t n, const char *end)
{
	size_t len = strlen(end);

	return n >= len && memcmp(s + n - len, end, len) == 0;
}

/* A server that decodes the query once and takes any parameter of the name. */
static bool asks_for_push(struct str query)
{
	char s[PATH_MAX_];
	static const char want[] = "service=git-receive-pack";
	size_t n = query.n;

	memcpy(s, query.p ? query.p : "", n);
	n = decode(s, n, false);
	return memmem(s, n, want, sizeof(want) - 1) != NULL;
}

static void check(const struct server *how, struct str path, struct str query,
		  const struct verdict *open, const struct verdict *team)
{
	char seen[PATH_MAX_];
	size_t n = serve(how, path, seen);
	bool push = ends_in(seen, n, "/git-receive-pack") ||
		    (ends_in(seen, n, "/info/refs") && asks_for_push(query));

	demand(!push || (!open->allow && !team->allow));
	demand(!team->allow || is_under(seen, n, "/team"));
}

static bool known(void *arg, const char *slot)
{
	(void)arg;
	(void)slot;
	return false;
}

static struct verdict decide(const struct routes *routes, const char *host, struct str path,
			     struct str query)
{
	struct arena arena;
	struct msg m;
	struct verdict v;
	struct decide_in in = { .msg = &m, .routes = routes, .known = known, .tls = true };

	arena_init(&arena, KIB(64));
	msg_init(&m, &arena);
	m.form = TARGET_ORIGIN;
	m.method = STR("GET");
	m.path = path;
	m.query = query;
	demand(url_parse_authority(str_of(host), 443, &in.destination, NULL) == 0);
	decide_request(&in, &arena, &v);
	arena_fini(&arena);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char table[] = "{\"routes\":[{\"host\":\"open.test\"},{\"host\":\"team.test\","
				    "\"path_allowlist\":[\"/team\"]}]}";
	static struct routes *routes;
	struct str target = str_mem(data, size), path, query;
	struct verdict open, team;

	if (!routes)
		routes = routes_parse(STR(table), "table", NULL);
	if (size >= PATH_MAX_ || url_split_target(target, &path, &query, NULL) < 0)
		return 0;
	open = decide(routes, "open.test", path, query);
	team = decide(routes, "team.test", path, query);
	demand(!team.allow || open.allow);
	for (int i = 0; i < 24; i++) {
		struct server how = { .decodes = 1 + i / 8,
				      .slash_first = i & 1,
				      .params = i & 2,
				      .backslash = i & 4 };

		check(&how, path, query, &open, &team);
	}
	return 0;
}
