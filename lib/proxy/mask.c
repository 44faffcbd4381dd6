#include "proxy/mask.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

#define SCAN_BLOCK 128 /* bytes */

/*
 * One Knuth-Morris-Pratt automaton per secret. `matched` is how many bytes at the end of the input
 * so far are a beginning of the secret: exactly those, and no more, are held back. With several
 * secrets the longest beginning counts.
 */
struct pattern {
	char *text;
	size_t *fail; /* fail[i]: longest proper border of text[0..i] */
	size_t len;
	size_t matched;
};

struct mask {
	struct pattern v[MASK_SECRETS_MAX];
	size_t n;
	bool starts[256]; /* bytes that begin a secret */
	struct buf held;  /* input not yet let go, its secrets already blotted out */
	unsigned hits;
};

static void pattern_init(struct pattern *p, struct str s)
{
	p->text = mem_dup(s.p, s.n);
	p->len = s.n;
	p->fail = mem_array(s.n, sizeof(*p->fail));
	p->matched = 0;
	for (size_t i = 1, k = 0; i < s.n; i++) {
		while (k > 0 && p->text[k] != p->text[i])
			k = p->fail[k - 1];
		if (p->text[k] == p->text[i])
			k++;
		p->fail[i] = k;
	}
}

/* True when this byte completes the secret. */
static bool pattern_step(struct pattern *p, char c)
{
	while (p->matched > 0 && (p->matched == p->len || p->text[p->matched] != c))
		p->matched = p->fail[p->matched - 1];
	if (p->text[p->matched] == c)
		p->matched++;
	return p->matched == p->len;
}

struct mask *mask_new(const struct str *secrets, size_t count)
{
	struct mask *m = mem_new(struct mask);
	size_t longest = 0;

	for (size_t i = 0; i < count && m->n < MASK_SECRETS_MAX; i++) {
		if (secrets[i].n < MASK_MIN)
			continue;
		pattern_init(&m->v[m->n++], secrets[i]);
		m->starts[(unsigned char)secrets[i].p[0]] = true;
		if (secrets[i].n > longest)
			longest = secrets[i].n;
	}
	if (m->n == 0) {
		free(m);
		return NULL;
	}
	m->held = (struct buf)BUF_INIT_SECRET(longest + PROXY_READ_SIZE + KIB(64));
	return m;
}

void mask_free(struct mask *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		mem_free_secret(m->v[i].text, m->v[i].len);
		free(m->v[i].fail);
	}
	buf_fini(&m->held);
	free(m);
}

/* Is there, from `from` until `to`, the beginning of the secret, or of as much as s has of it? */
static bool begins_in(const struct pattern *p, struct str s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		size_t n = s.n - i < MASK_MIN ? s.n - i : MASK_MIN;

		if (s.p[i] == p->text[0] && memcmp(s.p + i, p->text, n) == 0)
			return true;
	}
	return false;
}

/* By its first two bytes in blocks: without a branch in it the inner loop becomes vector code. */
static bool begins(const struct pattern *p, struct str s)
{
	const char a = p->text[0], b = p->text[1];
	size_t i = 0;

	for (; s.n - i > SCAN_BLOCK; i += SCAN_BLOCK) {
		const char *block = s.p + i;
		unsigned char found = 0;

		for (size_t j = 0; j < SCAN_BLOCK; j++)
			found |= (unsigned char)((block[j] == a) & (block[j + 1] == b));
		if (found && begins_in(p, s, i, i + SCAN_BLOCK))
			return true;
	}
	return begins_in(p, s, i, s.n);
}

/* With nothing held back no automaton is on its way, or one that ended in a secret just now. */
bool mask_passes(const struct mask *m, struct str piece)
{
	if (m->held.len > 0)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (begins(&m->v[i], piece))
			return false;
	return true;
}

/* How many bytes at the end of the input may still become a secret. */
static size_t undecided(const struct mask *m)
{
	size_t most = 0;

	for (size_t i = 0; i < m->n; i++) {
		const struct pattern *p = &m->v[i];
		size_t n = p->matched == p->len ? p->fail[p->len - 1] : p->matched;

		if (n > most)
			most = n;
	}
	return most;
}

/* Lets go of everything in `held` but its last `keep` bytes. */
static int release(struct mask *m, size_t keep, struct buf *out, struct err *err)
{
	size_t n = m->held.len - keep;

	if (buf_add(out, str_sub(buf_str(&m->held), 0, n), err) < 0)
		return -1;
	buf_consume(&m->held, n);
	return 0;
}

static int feed_part(struct mask *m, struct str part, struct buf *out, struct err *err)
{
	size_t base = m->held.len;
	bool idle = base == 0;

	if (buf_add(&m->held, part, err) < 0)
		return -1;
	for (size_t i = 0; i < part.n; i++) {
		unsigned char c = (unsigned char)part.p[i];

		/* Most bytes of most bodies begin no secret and continue none. */
		if (idle && !m->starts[c])
			continue;
		for (size_t k = 0; k < m->n; k++) {
			struct pattern *p = &m->v[k];

			if (!pattern_step(p, part.p[i]))
				continue;
			/* All of it is here: its first byte was held back. */
			memset(m->held.mem + m->held.off + base + i + 1 - p->len, '*', p->len);
			m->hits++;
		}
		idle = undecided(m) == 0;
	}
	return release(m, undecided(m), out, err);
}

int mask_feed(struct mask *m, struct str in, struct buf *out, struct err *err)
{
	while (in.n > 0) {
		struct str part = str_sub(in, 0, PROXY_READ_SIZE);

		if (feed_part(m, part, out, err) < 0)
			return -1;
		in = str_from(in, part.n);
	}
	return 0;
}

int mask_finish(struct mask *m, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		m->v[i].matched = 0;
	return release(m, 0, out, err);
}

/* Puts a masked copy into the arena when there is something to mask. */
static int mask_text(struct mask *m, struct arena *a, struct str *s, struct err *err)
{
	unsigned before = m->hits;
	auto_buf out = BUF_INIT_SECRET(HTTP_HEAD_MAX + KIB(16));

	if (mask_passes(m, *s))
		return 0;
	if (mask_feed(m, *s, &out, err) < 0 || mask_finish(m, &out, err) < 0)
		return -1;
	if (m->hits == before)
		return 0;
	*s = arena_str(a, buf_str(&out));
	return s->p ? 0 : err_set(err, E_LIMIT, "a response head is too large to be masked");
}

/* '*' is a token character, so a masked name is still a name. */
static int mask_fields(struct mask *m, struct arena *a, struct fields *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++)
		if (mask_text(m, a, &f->v[i].name, err) < 0 ||
		    mask_text(m, a, &f->v[i].value, err) < 0)
			return -1;
	return 0;
}

int mask_head(struct mask *m, struct msg *head, struct err *err)
{
	return mask_text(m, head->arena, &head->reason, err) < 0
		       ? -1
		       : mask_fields(m, head->arena, &head->fields, err);
}

int mask_trailers(struct mask *m, const struct fields *trailers, struct arena *a,
		  struct fields *ret, struct err *err)
{
	size_t size = trailers->n * sizeof(*trailers->v);
	struct fields copy = { .v = arena_alloc(a, size), .n = trailers->n, .cap = trailers->n };

	if (!copy.v)
		return err_set(err, E_LIMIT, "a trailer section is too large to be masked");
	memcpy(copy.v, trailers->v, size);
	if (mask_fields(m, a, &copy, err) < 0)
		return -1;
	*ret = copy;
	return 0;
}

void mask_line(struct mask *m, char *text)
{
	for (size_t i = 0; i < m->n; i++)
		m->v[i].matched = 0;
	for (char *at = text; *at; at++)
		for (size_t i = 0; i < m->n; i++)
			if (pattern_step(&m->v[i], *at)) {
				memset(at + 1 - m->v[i].len, '*', m->v[i].len);
				m->hits++;
			}
}

unsigned mask_hits(const struct mask *m)
{
	return m->hits;
}
