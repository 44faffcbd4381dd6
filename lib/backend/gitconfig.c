#include "backend/gitconfig.h"

#include "base/limits.h"
#include "base/mem.h"

/* What is kept, by section and key; sections with a subsection keep it. */
static const struct kept {
	const char *section, *key;
	bool url;
} kept[] = {
	{ "core", "repositoryformatversion", false },
	{ "core", "filemode", false },
	{ "core", "bare", false },
	{ "core", "logallrefupdates", false },
	{ "core", "ignorecase", false },
	{ "core", "precomposeunicode", false },
	{ "core", "symlinks", false },
	{ "core", "autocrlf", false },
	{ "core", "eol", false },
	{ "core", "worktree", false }, /* of a submodule */
	{ "core", "sparsecheckout", false },
	{ "core", "sparsecheckoutcone", false },
	{ "extensions", "objectformat", false },
	{ "extensions", "refstorage", false },
	{ "extensions", "worktreeconfig", false },
	{ "extensions", "partialclone", false },
	{ "index", "sparse", false },
	{ "remote", "url", true },
	{ "remote", "fetch", false },
	{ "remote", "tagopt", false },
	{ "remote", "promisor", false },
	{ "remote", "partialclonefilter", false },
	{ "branch", "remote", false },
	{ "branch", "merge", false },
	{ "branch", "rebase", false },
	{ "submodule", "url", true },
	{ "submodule", "active", false },
};

struct parser {
	struct str text;
	size_t at;
	int line;
	char section[64];      /* lower case */
	struct buf subsection; /* between its quotes, as written */
	bool has_subsection;
	bool header_written;
	struct buf *out;
	struct err *err;
};

static int bad(struct parser *p, const char *what)
{
	return err_set(p->err, E_BAD, "line %d: %s", p->line, what);
}

static int peek(const struct parser *p)
{
	return p->at < p->text.n ? (unsigned char)p->text.p[p->at] : -1;
}

static int next(struct parser *p)
{
	int c = peek(p);

	if (c < 0)
		return -1;
	p->at++;
	/* CRLF counts as LF. */
	if (c == '\r' && peek(p) == '\n') {
		p->at++;
		c = '\n';
	}
	if (c == '\n')
		p->line++;
	return c;
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t';
}

static bool is_name(int c)
{
	return c >= 0 && (ascii_alpha((char)c) || ascii_digit((char)c) || c == '-');
}

static void skip_line(struct parser *p)
{
	int c;

	do
		c = next(p);
	while (c >= 0 && c != '\n');
}

static int read_name(struct parser *p, char *out, size_t size, bool dots)
{
	size_t n = 0;

	while (is_name(peek(p)) || (dots && peek(p) == '.')) {
		if (n + 1 == size)
			return bad(p, "a name is too long");
		out[n++] = ascii_lower((char)next(p));
	}
	out[n] = '\0';
	return n > 0 ? 0 : bad(p, "a name is missing");
}

/* [section] or [section "subsection"]; the older [section.sub] is a section that is not kept. */
static int read_header(struct parser *p)
{
	int c;

	p->header_written = p->has_subsection = false;
	buf_clear(&p->subsection);
	if (read_name(p, p->section, sizeof(p->section), true) < 0)
		return -1;
	while (is_blank(peek(p)))
		(void)next(p);
	if (peek(p) == '"') {
		p->has_subsection = true;
		(void)next(p);
		while ((c = next(p)) != '"') {
			if (c < 0 || c == '\n')
				return bad(p, "a subsection is not closed");
			if (buf_addc(&p->subsection, (char)c, p->err) < 0)
				return -1;
			if (c == '\\' && ((c = next(p)) < 0 || c == '\n' ||
					  buf_addc(&p->subsection, (char)c, p->err) < 0))
				return bad(p, "a subsection is not closed");
		}
	}
	if (peek(p) != ']')
		return bad(p, "a section is not closed");
	(void)next(p);
	return 0;
}

static int read_escape(struct parser *p, struct buf *value)
{
	int c = next(p);

	switch (c) {
	case '\n': /* the value goes on in the next line */
		return 0;
	case 'n':
		return buf_addc(value, '\n', p->err);
	case 't':
		return buf_addc(value, '\t', p->err);
	case 'b':
		return buf_addc(value, '\b', p->err);
	case '"':
	case '\\':
		return buf_addc(value, (char)c, p->err);
	default:
		return bad(p, "an unknown escape");
	}
}

/* Up to the end of the line; blanks at its ends do not count, nor do comments. */
static int read_value(struct parser *p, struct buf *value)
{
	bool quoted = false;
	size_t blanks = 0; /* at the end of the value so far, outside of quotes */
	int c;

	while (is_blank(peek(p)))
		(void)next(p);
	while ((c = next(p)) >= 0 && c != '\n') {
		if (!quoted && (c == '#' || c == ';')) {
			skip_line(p);
			break;
		}
		blanks = !quoted && is_blank(c) ? blanks + 1 : 0;
		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' ? read_escape(p, value) < 0
				   : buf_addc(value, (char)c, p->err) < 0)
			return -1;
	}
	if (quoted)
		return bad(p, "a quoted value is not closed");
	buf_truncate(value, value->len - blanks);
	return 0;
}

/* ---- writing ---- */

static const struct kept *find_kept(const char *section, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (str_eqz(str_of(kept[i].section), section) && str_eqz(str_of(kept[i].key), key))
			return &kept[i];
	return NULL;
}

/*
 * "scheme://user:password@host/…": over HTTP all of the user information may be a token; elsewhere
 * the user is part of the address and only the password goes.
 */
static int add_url(struct buf *out, struct str url, struct err *err)
{
	ssize_t scheme = str_find(url, STR("://"), 0);
	size_t start = scheme < 0 ? 0 : (size_t)scheme + 3;
	struct str rest = str_from(url, start);
	ssize_t slash = str_chr(rest, '/', 0);
	struct str authority = str_sub(rest, 0, slash < 0 ? rest.n : (size_t)slash);
	ssize_t at = -1, colon;

	for (size_t i = 0; i < authority.n; i++)
		if (authority.p[i] == '@')
			at = (ssize_t)i;
	if (scheme < 0 || at < 0)
		return buf_add(out, url, err);
	if (buf_add(out, str_sub(url, 0, start), err) < 0)
		return -1;
	if (!str_istarts(url, STR("http"))) {
		colon = str_chr(str_sub(authority, 0, (size_t)at), ':', 0);
		if (buf_add(out, str_sub(authority, 0, (size_t)(colon < 0 ? at : colon)), err) <
			    0 ||
		    buf_addc(out, '@', err) < 0)
			return -1;
	}
	return buf_add(out, str_from(rest, (size_t)at + 1), err);
}

static int add_value(struct buf *out, struct str value, struct err *err)
{
	if (buf_addc(out, '"', err) < 0)
		return -1;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		char named = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\b' ? 'b' : c;

		if ((named != c || c == '"' || c == '\\') && buf_addc(out, '\\', err) < 0)
			return -1;
		if (buf_addc(out, named, err) < 0)
			return -1;
	}
	return buf_addz(out, "\"\n", err);
}

static int write_pair(struct parser *p, const struct kept *k, struct str value)
{
	auto_buf url = BUF_INIT_SECRET(GITCONFIG_MAX);

	if (k->url) {
		if (add_url(&url, value, p->err) < 0)
			return -1;
		value = buf_str(&url);
	}
	if (!p->header_written) {
		p->header_written = true;
		if (buf_addf(p->out, p->err, "[%s", p->section) < 0 ||
		    (p->has_subsection && (buf_addz(p->out, " \"", p->err) < 0 ||
					   buf_add(p->out, buf_str(&p->subsection), p->err) < 0 ||
					   buf_addc(p->out, '"', p->err) < 0)) ||
		    buf_addz(p->out, "]\n", p->err) < 0)
			return -1;
	}
	if (buf_addf(p->out, p->err, "\t%s = ", k->key) < 0)
		return -1;
	return add_value(p->out, value, p->err);
}

/* "key", which means true, or "key = value" */
static int read_pair(struct parser *p)
{
	auto_buf value = BUF_INIT_SECRET(GITCONFIG_MAX);
	const struct kept *k;
	char key[64];

	if (read_name(p, key, sizeof(key), false) < 0)
		return -1;
	while (is_blank(peek(p)))
		(void)next(p);
	if (peek(p) == '=') {
		(void)next(p);
		if (read_value(p, &value) < 0)
			return -1;
	} else if (peek(p) < 0 || peek(p) == '\n' || peek(p) == '\r' || peek(p) == '#' ||
		   peek(p) == ';') {
		skip_line(p);
		if (buf_addz(&value, "true", p->err) < 0)
			return -1;
	} else {
		return bad(p, "'=' is missing");
	}
	k = find_kept(p->section, key);
	return k ? write_pair(p, k, buf_str(&value)) : 0;
}

static int parse(struct parser *p)
{
	int c;

	if (str_starts(p->text, STR("\xef\xbb\xbf"))) /* git takes a byte-order mark */
		p->at = 3;
	while ((c = peek(p)) >= 0) {
		int rc = 0;

		if (is_blank(c) || c == '\n' || c == '\r') {
			(void)next(p);
		} else if (c == '#' || c == ';') {
			skip_line(p);
		} else if (c == '[') {
			(void)next(p);
			rc = read_header(p);
		} else {
			rc = read_pair(p);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

int gitconfig_scrub(struct str config, struct buf *out, struct err *err)
{
	struct parser p = {
		.text = config, .line = 1, .subsection = BUF_INIT(KIB(4)), .out = out, .err = err
	};
	int rc = parse(&p);

	buf_fini(&p.subsection);
	return rc;
}
