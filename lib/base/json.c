#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/mem.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static json_t *inner(const struct json *j)
{
	return (json_t *)(uintptr_t)j;
}

static struct json *outer(json_t *j)
{
	return (struct json *)j;
}

/* A bundle holds keys and tokens, so nothing that belonged to a document is left in free memory. */
static void wipe_and_free(void *p)
{
	if (p)
		mem_free_secret(p, malloc_usable_size(p));
}

/*
 * Before the library's first allocation. The seed of its hash tables is given here because on its
 * own it opens /dev/urandom, at a moment when the process may no longer open anything.
 */
static void setup(void)
{
	static bool done;
	size_t seed = 0;

	if (done)
		return;
	done = true;
	json_set_alloc_funcs(mem_alloc, wipe_and_free);
	if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed) && seed != 0)
		json_object_seed(seed);
}

/* --- reading ----------------------------------------------------------------------------------- */

struct scan {
	struct str text;
	const char *source;
	size_t at;
	int line;
	size_t line_start; /* index of its first byte */
	int depth;
	size_t nodes;
};

/* Columns count characters, as those of yaml.h do. */
static int fail_at(const struct scan *s, enum err_code code, const char *what, struct err *err)
{
	int col = 1;

	for (size_t i = s->line_start; i < s->at; i++)
		col += (s->text.p[i] & 0xc0) != 0x80;
	return err_set(err, code, "%s:%d:%d: %s", s->source, s->line, col, what);
}

/* Leaves s->at on the closing quote; the library judges the content. */
static void skip_string(struct scan *s)
{
	for (s->at++; s->at < s->text.n && s->text.p[s->at] != '"'; s->at++) {
		if (s->text.p[s->at] == '\\')
			s->at++;
	}
}

static bool is_number_char(char c)
{
	return ascii_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static int scan_number(struct scan *s, struct err *err)
{
	bool whole = true;
	size_t end = s->at;

	for (; end < s->text.n && is_number_char(s->text.p[end]); end++)
		whole = whole && strchr(".eE", s->text.p[end]) == NULL;
	if (!whole)
		return fail_at(s, E_BAD, "only whole numbers are accepted", err);
	s->at = end - 1;
	return 0;
}

static int scan_byte(struct scan *s, struct err *err)
{
	char c = s->text.p[s->at];

	if (c == '"') {
		skip_string(s);
	} else if (c == '\n') {
		s->line++;
		s->line_start = s->at + 1;
	} else if (c == '-' || ascii_digit(c)) {
		return scan_number(s, err);
	} else if (c == '[' || c == '{') {
		s->nodes++;
		if (++s->depth > JSON_DEPTH_MAX)
			return fail_at(s, E_LIMIT, "nested too deeply", err);
	} else if (c == ']' || c == '}') {
		s->depth--;
	} else if (c == ',') {
		s->nodes++;
	}
	if (s->nodes > JSON_NODES_MAX)
		return fail_at(s, E_LIMIT, "too many values", err);
	return 0;
}

/*
 * What the library does not limit, found before it allocates: depth, the number of values (a value
 * stands at the start or after one of `[ { ,`), and numbers with a fraction or exponent. The
 * grammar is the library's business; text that is no JSON may pass here.
 */
static int scan_limits(struct str text, const char *source, struct err *err)
{
	struct scan s = { .text = text, .source = source, .line = 1 };

	if (text.n > JSON_TEXT_MAX)
		return err_set(err, E_LIMIT, "%s:1:1: JSON text longer than %zu bytes", source,
			       JSON_TEXT_MAX);
	for (; s.at < text.n; s.at++) {
		if (scan_byte(&s, err) < 0)
			return -1;
	}
	return 0;
}

static struct str cut_before(struct str s, struct str tail)
{
	ssize_t at = str_find(s, tail, 0);

	return at < 0 ? s : str_sub(s, 0, (size_t)at);
}

struct json *json_parse(struct str text, const char *source, struct err *err)
{
	json_error_t error;
	json_t *j;
	struct str what;

	setup();
	if (scan_limits(text, source, err) < 0)
		return NULL;
	j = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
		       &error);
	if (j)
		return outer(j);
	/* The library quotes the text "near" the error, which may be a secret, and names its flags.
	 */
	/* The library quotes the text "near" the error, maybe a secret, and names its flags. */
	what = cut_before(cut_before(str_of(error.text), STR(" near ")), STR(" without JSON_"));
	err_set(err, E_BAD, "%s:%d:%d: %.*s", source, error.line > 0 ? error.line : 1,
		error.column > 0 ? error.column : 1, STR_ARG(what));
	return NULL;
}

void json_free(struct json *j)
{
	json_decref(inner(j));
}

enum json_kind json_kind(const struct json *j)
{
	if (!j)
		return JSON_KIND_NULL;
	switch (json_typeof(inner(j))) {
	case JSON_OBJECT:
		return JSON_KIND_OBJECT;
	case JSON_ARRAY:
		return JSON_KIND_ARRAY;
	case JSON_STRING:
		return JSON_KIND_STR;
	case JSON_INTEGER:
	case JSON_REAL:
		return JSON_KIND_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_KIND_BOOL;
	case JSON_NULL:
		break;
	}
	return JSON_KIND_NULL;
}

struct json *json_get(const struct json *obj, const char *key)
{
	return outer(json_object_get(inner(obj), key));
}

size_t json_len(const struct json *arr_or_obj)
{
	json_t *j = inner(arr_or_obj);

	return json_is_array(j) ? json_array_size(j) : json_object_size(j);
}

struct json *json_at(const struct json *arr, size_t i)
{
	return outer(json_array_get(inner(arr), i));
}

struct json *json_each(const struct json *obj, void **pos, struct str *ret_key)
{
	void *iter = *pos ? json_object_iter_next(inner(obj), *pos) : json_object_iter(inner(obj));

	*pos = iter;
	if (!iter)
		return NULL;
	*ret_key = str_mem(json_object_iter_key(iter), json_object_iter_key_len(iter));
	return outer(json_object_iter_value(iter));
}

struct str json_str(const struct json *j)
{
	if (!json_is_string(inner(j)))
		return STR_NONE;
	return str_mem(json_string_value(inner(j)), json_string_length(inner(j)));
}

int64_t json_int(const struct json *j)
{
	return json_integer_value(inner(j));
}

bool json_bool(const struct json *j)
{
	return json_is_true(inner(j));
}

/* --- building ---------------------------------------------------------------------------------- */

struct json *json_new_object(void)
{
	setup();
	return outer(json_object());
}

struct json *json_new_array(void)
{
	setup();
	return outer(json_array());
}

/* s with every byte that is not UTF-8 replaced; heap, terminated, at most three times as long. */
static char *mend_utf8(struct str s, size_t *ret_len)
{
	char *out = mem_array(s.n + 1, 3);
	size_t len = 0;

	for (size_t i = 0; i < s.n;) {
		size_t n = str_utf8_at(s, i, NULL);

		if (n == 0) {
			memcpy(out + len, REPLACEMENT, 3);
			len += 3;
			i++;
			continue;
		}
		memcpy(out + len, s.p + i, n);
		len += n;
		i += n;
	}
	*ret_len = len;
	return out;
}

struct json *json_new_str(struct str s)
{
	json_t *j;
	char *mended;
	size_t len;

	setup();
	if (str_is_utf8(s))
		return outer(json_stringn_nocheck(s.p ? s.p : "", s.n));
	mended = mend_utf8(s, &len);
	j = json_stringn_nocheck(mended, len);
	mem_free_secret(mended, len);
	return outer(j);
}

struct json *json_new_int(int64_t v)
{
	setup();
	return outer(json_integer(v));
}

struct json *json_new_bool(bool v)
{
	return outer(json_boolean(v));
}

struct json *json_new_null(void)
{
	return outer(json_null());
}

void json_set(struct json *obj, const char *key, struct json *value)
{
	auto_free char *mended = NULL;
	size_t len;
	int failed;

	if (!str_is_utf8(str_of(key)))
		key = mended = mend_utf8(str_of(key), &len);
	/* Fails only for a node that is no object, or one put into itself. */
	failed = json_object_set_new_nocheck(inner(obj), key, inner(value));
	assert(!failed);
	(void)failed;
}

void json_set_strz(struct json *obj, const char *key, const char *value)
{
	if (value)
		json_set(obj, key, json_new_str(str_of(value)));
}

void json_append(struct json *arr, struct json *value)
{
	int failed = json_array_append_new(inner(arr), inner(value));

	assert(!failed);
	(void)failed;
}

struct json *json_clone(const struct json *j)
{
	return outer(json_deep_copy(inner(j)));
}

/* --- writing ----------------------------------------------------------------------------------- */

static int quote_char(struct buf *out, struct str s, size_t at, size_t *ret_len, struct err *err)
{
	uint32_t cp;
	size_t n = str_utf8_at(s, at, &cp);

	*ret_len = n ? n : 1;
	if (n == 0)
		return buf_add(out, STR(REPLACEMENT), err);
	if (cp == '"' || cp == '\\')
		return buf_addf(out, err, "\\%c", (int)cp);
	/* C1 too: a terminal that shows the text must not obey it */
	if (str_is_control(cp))
		return buf_addf(out, err, "\\u%04x", (unsigned)cp);
	return buf_add(out, str_sub(s, at, n), err);
}

int json_quote(struct buf *out, struct str s, struct err *err)
{
	size_t before = out->len;
	int rc = buf_addc(out, '"', err);

	for (size_t i = 0, n; rc == 0 && i < s.n; i += n) {
		/* the run of plain ASCII in one piece */
		for (n = 0; i + n < s.n; n++) {
			char c = s.p[i + n];

			if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
				break;
		}
		rc = n ? buf_add(out, str_sub(s, i, n), err) : quote_char(out, s, i, &n, err);
	}
	if (rc == 0)
		rc = buf_addc(out, '"', err);
	if (rc < 0)
		buf_truncate(out, before);
	return rc;
}

struct writer {
	struct buf *out;
	bool pretty;
};

static int new_line(const struct writer *w, int depth, struct err *err)
{
	return w->pretty ? buf_addf(w->out, err, "\n%*s", 2 * depth, "") : 0;
}

static int write_node(const struct writer *w, const struct json *j, int depth, struct err *err);

static int write_array(const struct writer *w, const struct json *arr, int depth, struct err *err)
{
	size_t n = json_len(arr);

	if (buf_addc(w->out, '[', err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && buf_addc(w->out, ',', err) < 0)
			return -1;
		if (new_line(w, depth + 1, err) < 0 ||
		    write_node(w, json_at(arr, i), depth + 1, err) < 0)
			return -1;
	}
	if (n > 0 && new_line(w, depth, err) < 0)
		return -1;
	return buf_addc(w->out, ']', err);
}

static int write_object(const struct writer *w, const struct json *obj, int depth, struct err *err)
{
	const struct json *value;
	void *pos = NULL;
	struct str key;
	bool first = true;

	if (buf_addc(w->out, '{', err) < 0)
		return -1;
	while ((value = json_each(obj, &pos, &key))) {
		if (!first && buf_addc(w->out, ',', err) < 0)
			return -1;
		first = false;
		if (new_line(w, depth + 1, err) < 0 || json_quote(w->out, key, err) < 0 ||
		    buf_addz(w->out, w->pretty ? ": " : ":", err) < 0 ||
		    write_node(w, value, depth + 1, err) < 0)
			return -1;
	}
	if (!first && new_line(w, depth, err) < 0)
		return -1;
	return buf_addc(w->out, '}', err);
}

static int write_node(const struct writer *w, const struct json *j, int depth, struct err *err)
{
	enum json_kind kind = json_kind(j);

	if (depth >= JSON_DEPTH_MAX && (kind == JSON_KIND_ARRAY || kind == JSON_KIND_OBJECT))
		return err_set(err, E_LIMIT, "JSON nested too deeply");
	switch (kind) {
	case JSON_KIND_NULL:
		return buf_addz(w->out, "null", err);
	case JSON_KIND_BOOL:
		return buf_addz(w->out, json_bool(j) ? "true" : "false", err);
	case JSON_KIND_NUMBER:
		return buf_addf(w->out, err, "%" PRId64, json_int(j));
	case JSON_KIND_STR:
		return json_quote(w->out, json_str(j), err);
	case JSON_KIND_ARRAY:
		return write_array(w, j, depth, err);
	case JSON_KIND_OBJECT:
		return write_object(w, j, depth, err);
	}
	return err_set(err, E_BAD, "not a JSON value");
}

int json_write(const struct json *j, bool pretty, struct buf *out, struct err *err)
{
	struct writer w = { .out = out, .pretty = pretty };
	size_t before = out->len;

	if (write_node(&w, j, 0, err) < 0) {
		buf_truncate(out, before);
		return -1;
	}
	return 0;
}
