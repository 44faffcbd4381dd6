/*
 * Is this a git push? Over HTTP a push is GET …/info/refs?service=git-receive-pack, then POST
 * …/git-receive-pack (gitprotocol-http). Doubt counts as yes: a push that slips by cannot be taken
 * back, and nothing else on the web has these names.
 */
#include "policy/decide.h"
#include "policy/fold.h"

/*
 * The segment is this name, perhaps with something behind it that some server cuts off: ";x", "?x",
 * "#x", a blank. A page "git-receive-pack.html" is none.
 */
static bool segment_is(struct str segment, struct str name)
{
	char next;

	if (!str_istarts(segment, name))
		return false;
	if (segment.n == name.n)
		return true;
	next = segment.p[name.n];
	return !ascii_alpha(next) && !ascii_digit(next) && next != '-' && next != '_' &&
	       next != '.';
}

/* Takes the last segment off, and with it slashes around it. */
static struct str take_last(struct str *path)
{
	size_t end, start;

	while (path->n > 0 && path->p[path->n - 1] == '/')
		path->n--;
	end = start = path->n;
	while (start > 0 && path->p[start - 1] != '/')
		start--;
	path->n = start;
	return str_sub(str_mem(path->p, end), start, end - start);
}

/* "receive-pack" in letters only, anywhere: a key or value in whatever spelling and place. */
static bool names_receive_pack(struct str text, struct arena *scratch)
{
	static const char want[] = "receivepack";
	char *room = arena_alloc(scratch, text.n);
	struct str s;
	size_t matched = 0;

	if (!room)
		return true;
	s = fold_escapes(text, room);
	for (size_t i = 0; i < s.n && matched < sizeof(want) - 1; i++) {
		char c = ascii_lower(s.p[i]);

		if (!ascii_alpha(c))
			continue;
		/* No letter of the word but its first occurs at the start of it: restarting there
		 * is enough. */
		if (c == want[matched])
			matched++;
		else
			matched = c == want[0] ? 1 : 0;
	}
	return matched == sizeof(want) - 1;
}

static bool reading_is_push(struct str path, struct str query, struct arena *scratch)
{
	struct str last = take_last(&path);

	if (segment_is(last, STR("git-receive-pack")))
		return true;
	if (!segment_is(last, STR("refs")) || !segment_is(take_last(&path), STR("info")))
		return false;
	return names_receive_pack(query, scratch) || names_receive_pack(last, scratch);
}

bool gitpush_is_push(struct str path, struct str query, struct arena *scratch)
{
	struct url_readings readings;

	if (url_path_readings(path, scratch, &readings, NULL) < 0)
		return true;
	for (size_t i = 0; i < readings.n; i++) {
		char *room = arena_alloc(scratch, readings.v[i].n);

		if (!room || reading_is_push(fold_escapes(readings.v[i], room), query, scratch))
			return true;
	}
	return false;
}
