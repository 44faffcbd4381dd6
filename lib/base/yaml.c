#include "base/yaml.h"

#include <stdarg.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"

/*
 * A scalar in double quotes can be longer than its text, at most by half ("\L" stands for three
 * bytes); the rest of the arena is for nodes, each string's NUL and rounding.
 */
#define TREE_MAX (2 * YAML_TEXT_MAX + YAML_NODES_MAX * (sizeof(struct yaml) + 64))

/* The root is the document: freeing it frees the arena that holds all the others. */
struct doc {
	struct arena arena;
	struct yaml root;
};

/* A list or map that is still open. */
struct frame {
	struct yaml *node;
	struct yaml *last; /* its newest value */
	struct yaml *key;  /* map: the key whose value comes next */
};

struct reader {
	yaml_parser_t parser;
	const char *source;
	int line0;
	struct str text;
	struct doc *doc;
	size_t nodes;
	int depth;
	struct frame open[YAML_DEPTH_MAX];
};

/* --- errors ------------------------------------------------------------------------------------ */

__attribute__((format(printf, 5, 6))) static int fail(const struct reader *r, yaml_mark_t at,
						      enum err_code code, struct err *err,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)err_at(err, code, r->source, at.line + 1 + (size_t)r->line0, at.column + 1, fmt, ap);
	va_end(ap);
	return -1;
}

/* What the library's reader refuses has a byte offset only. */
static yaml_mark_t mark_of_offset(const struct reader *r, size_t offset)
{
	yaml_mark_t mark = { .index = offset };

	for (size_t i = 0; i < offset && i < r->text.n; i++) {
		if (r->text.p[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if ((r->text.p[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static int fail_parser(const struct reader *r, struct err *err)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "not YAML";

	if (p->error == YAML_MEMORY_ERROR)
		return err_set(err, E_LIMIT, "%s:%d:1: out of memory", r->source, r->line0 + 1);
	if (p->error == YAML_READER_ERROR)
		return fail(r, mark_of_offset(r, p->problem_offset), E_BAD, err, "%s", problem);
	if (!p->context)
		return fail(r, p->problem_mark, E_BAD, err, "%s", problem);
	return fail(r, p->problem_mark, E_BAD, err, "%s (%s from line %zu)", problem, p->context,
		    p->context_mark.line + 1 + (size_t)r->line0);
}

/* --- the tree ---------------------------------------------------------------------------------- */

static struct yaml *new_node(struct reader *r, const yaml_event_t *ev, enum yaml_kind kind,
			     struct err *err)
{
	struct yaml *node;

	if (r->nodes == YAML_NODES_MAX) {
		fail(r, ev->start_mark, E_LIMIT, err, "more than %d values", YAML_NODES_MAX);
		return NULL;
	}
	node = r->nodes++ == 0 ? &r->doc->root : arena_alloc(&r->doc->arena, sizeof(*node));
	if (!node) {
		fail(r, ev->start_mark, E_LIMIT, err, "document too large");
		return NULL;
	}
	node->kind = kind;
	node->line = (int)ev->start_mark.line + 1 + r->line0;
	node->col = (int)ev->start_mark.column + 1;
	return node;
}

static void link_value(struct reader *r, struct yaml *node)
{
	struct frame *f;

	if (r->depth == 0)
		return; /* the root */
	f = &r->open[r->depth - 1];
	if (f->last)
		f->last->next = node;
	else
		f->node->child = node;
	f->last = node;
	f->node->count++;
	node->key = f->key;
	f->key = NULL;
}

static bool key_is_next(const struct reader *r)
{
	const struct frame *f = r->depth > 0 ? &r->open[r->depth - 1] : NULL;

	return f && f->node->kind == YAML_MAP && !f->key;
}

/*
 * Compares with every key before: at most half of YAML_NODES_MAX of them, a tenth of a second for
 * the worst text that is read at all.
 */
static int take_key(struct reader *r, const yaml_event_t *ev, struct yaml *key, struct err *err)
{
	struct frame *f = &r->open[r->depth - 1];

	for (const struct yaml *v = f->node->child; v; v = v->next) {
		if (str_eq(v->key->text, key->text))
			return fail(r, ev->start_mark, E_BAD, err,
				    "duplicate key '%.*s' (first on line %d)", STR_ARG(key->text),
				    v->key->line);
	}
	f->key = key;
	return 0;
}

static int refuse_extras(const struct reader *r, const yaml_event_t *ev, const yaml_char_t *anchor,
			 const yaml_char_t *tag, struct err *err)
{
	if (anchor)
		return fail(r, ev->start_mark, E_BAD, err, "anchors are not allowed");
	if (tag)
		return fail(r, ev->start_mark, E_BAD, err, "tags are not allowed");
	return 0;
}

static int on_scalar(struct reader *r, const yaml_event_t *ev, struct err *err)
{
	struct str text = str_mem(ev->data.scalar.value, ev->data.scalar.length);
	struct yaml *node;

	if (refuse_extras(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag, err) < 0)
		return -1;
	/* "\0" in quotes; later code takes text for a C string */
	if (str_chr(text, '\0', 0) >= 0)
		return fail(r, ev->start_mark, E_BAD, err, "NUL in a string");
	node = new_node(r, ev, YAML_SCALAR, err);
	if (!node)
		return -1;
	node->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->text = arena_str(&r->doc->arena, text);
	if (!node->text.p)
		return fail(r, ev->start_mark, E_LIMIT, err, "document too large");
	if (key_is_next(r))
		return take_key(r, ev, node, err);
	link_value(r, node);
	return 0;
}

static int on_open(struct reader *r, const yaml_event_t *ev, enum yaml_kind kind, struct err *err)
{
	struct yaml *node;

	if (key_is_next(r))
		return fail(r, ev->start_mark, E_BAD, err, "a key must be a string");
	if (r->depth == YAML_DEPTH_MAX)
		return fail(r, ev->start_mark, E_LIMIT, err, "nested more than %d deep",
			    YAML_DEPTH_MAX);
	node = new_node(r, ev, kind, err);
	if (!node)
		return -1;
	link_value(r, node);
	r->open[r->depth++] = (struct frame){ .node = node };
	return 0;
}

static int on_event(struct reader *r, const yaml_event_t *ev, struct err *err)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->nodes > 0)
			return fail(r, ev->start_mark, E_BAD, err,
				    "a second document is not allowed");
		return 0;
	case YAML_SCALAR_EVENT:
		return on_scalar(r, ev, err);
	case YAML_SEQUENCE_START_EVENT:
		if (refuse_extras(r, ev, ev->data.sequence_start.anchor,
				  ev->data.sequence_start.tag, err) < 0)
			return -1;
		return on_open(r, ev, YAML_LIST, err);
	case YAML_MAPPING_START_EVENT:
		if (refuse_extras(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag,
				  err) < 0)
			return -1;
		return on_open(r, ev, YAML_MAP, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return 0;
	case YAML_ALIAS_EVENT:
		return fail(r, ev->start_mark, E_BAD, err, "aliases are not allowed");
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
	return 0;
}

/*
 * A directive is a '%' in the first column, for libyaml after any of YAML 1.1's line ends. They are
 * refused before it sees them: it compares each with all before, seconds for a text of full length.
 */
static int refuse_directives(const struct reader *r, struct err *err)
{
	static const struct str ends[] = { STR("\n"), STR("\r"), STR("\xc2\x85"),
					   STR("\xe2\x80\xa8"), STR("\xe2\x80\xa9") };
	ssize_t at = -1;

	while ((at = str_chr(r->text, '%', (size_t)(at + 1))) >= 0) {
		bool first = at == 0;

		for (size_t i = 0; i < ARRAY_LEN(ends); i++)
			first = first || str_ends(str_sub(r->text, 0, (size_t)at), ends[i]);
		if (first)
			return fail(r, mark_of_offset(r, (size_t)at), E_BAD, err,
				    "a line may not start with '%%': directives are not allowed");
	}
	return 0;
}

static int read_events(struct reader *r, struct err *err)
{
	yaml_event_type_t type;
	yaml_event_t ev;
	int rc;

	do {
		if (!yaml_parser_parse(&r->parser, &ev))
			return fail_parser(r, err);
		type = ev.type;
		rc = on_event(r, &ev, err);
		yaml_event_delete(&ev);
	} while (rc == 0 && type != YAML_STREAM_END_EVENT);
	return rc;
}

/* --- public ------------------------------------------------------------------------------------ */

struct yaml *yaml_parse(struct str text, const char *source, int line0, struct err *err)
{
	struct reader r = { .source = source, .line0 = line0, .text = text };
	struct yaml *root;
	int rc;

	if (text.n > YAML_TEXT_MAX) {
		err_set(err, E_LIMIT, "%s:%d:1: YAML text longer than %zu bytes", source, line0 + 1,
			YAML_TEXT_MAX);
		return NULL;
	}
	/* A byte order mark is no column; with the encoding given, UTF-16 is not guessed from one. */
	if (str_starts(text, STR("\xef\xbb\xbf")))
		r.text = str_from(text, 3);
	if (refuse_directives(&r, err) < 0)
		return NULL;
	if (!yaml_parser_initialize(&r.parser)) {
		err_set(err, E_LIMIT, "%s:%d:1: out of memory", source, line0 + 1);
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(r.text.p ? r.text.p : ""),
				     r.text.n);
	r.doc = mem_new(struct doc);
	arena_init(&r.doc->arena, TREE_MAX);
	root = &r.doc->root;
	*root = (struct yaml){ .kind = YAML_MAP, .line = line0 + 1, .col = 1 };
	rc = read_events(&r, err);
	yaml_parser_delete(&r.parser);
	if (rc == 0)
		return root;
	yaml_tree_free(root);
	return NULL;
}

void yaml_tree_free(struct yaml *root)
{
	struct doc *doc;

	if (!root)
		return;
	doc = container_of(root, struct doc, root);
	arena_fini(&doc->arena);
	free(doc);
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml *v = map->child; v; v = v->next) {
		if (str_eqz(v->key->text, key))
			return v;
	}
	return NULL;
}

bool yaml_is_null(const struct yaml *y)
{
	return y->kind == YAML_SCALAR && !y->quoted &&
	       (y->text.n == 0 || str_eqz(y->text, "~") || str_eqz(y->text, "null"));
}

static bool is_number(struct str s)
{
	uint64_t v;

	return str_to_u64(str_from(s, str_starts(s, STR("-"))), UINT64_MAX, &v) == 0;
}

const char *yaml_kind_name(const struct yaml *y)
{
	if (y->kind == YAML_MAP)
		return "a map";
	if (y->kind == YAML_LIST)
		return "a list";
	if (yaml_is_null(y))
		return "nothing";
	if (!y->quoted && (str_eqz(y->text, "true") || str_eqz(y->text, "false")))
		return "true or false";
	return !y->quoted && is_number(y->text) ? "a number" : "a string";
}
