#include "base/glob.h"

#include "base/limits.h"

bool glob_host(struct str pattern, struct str host)
{
	struct str suffix;

	if (!str_starts(pattern, STR("*.")))
		return str_ieq(pattern, host);
	suffix = str_from(pattern, 1);
	return suffix.n > 1 && host.n > suffix.n && host.p[0] != '.' && str_iends(host, suffix);
}

/* Only the last star is ever retried: an earlier one could not match more than it does. */
bool glob_match(struct str pattern, struct str name)
{
	size_t p = 0, n = 0;
	size_t star = SIZE_MAX, retry = 0; /* behind the last star, and where its match ends */

	while (n < name.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = ++p;
			retry = n;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == name.p[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star;
			n = ++retry;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance without case; both at most GLOB_WORD_MAX long. */
static size_t distance(struct str a, struct str b)
{
	size_t rows[3][GLOB_WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b.n; j++)
		above[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			char x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);

			row[j] = least(above[j - 1] + (x != y), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) &&
			    y == ascii_lower(a.p[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[b.n];
}

const char *glob_nearest(struct str word, const char *const *candidates, size_t count)
{
	size_t limit = word.n / 3;
	const char *nearest = NULL;

	if (word.n == 0 || word.n > GLOB_WORD_MAX)
		return NULL;
	if (limit < 1)
		limit = 1;
	if (limit > 3)
		limit = 3;
	for (size_t i = 0; i < count; i++) {
		struct str candidate = str_of(candidates[i]);
		size_t d;

		if (candidate.n > GLOB_WORD_MAX)
			continue;
		d = distance(word, candidate);
		/* the first of equals, hence "<" once there is one */
		if (nearest ? d < limit : d <= limit) {
			nearest = candidates[i];
			limit = d;
		}
	}
	return nearest;
}
