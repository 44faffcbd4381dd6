/*
 * json: the only file that sees the JSON library (jansson).
 *
 * Documents are read whole, strictly: UTF-8, no duplicate keys, no trailing text, at most
 * JSON_DEPTH_MAX deep and JSON_TEXT_MAX long. Errors carry "source:line:col". A node belongs to its
 * document and dies with it.
 */
#ifndef BOTTLE_BASE_JSON_H
#define BOTTLE_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct json; /* a node; jansson's json_t underneath */

/* Names keep clear of the library's own (json_type, JSON_NULL, json_object …). */
enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_NUMBER,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

/* `source` names the text in errors. The result is freed with json_free. Numbers must be integers
 * that fit 63 bits (or E_BAD). */
struct json *json_parse(struct str text, const char *source, struct err *err)
	__attribute__((warn_unused_result));
void json_free(struct json *j);
static inline void json_free_p(struct json **j)
{
	json_free(*j);
}
#define auto_json __attribute__((cleanup(json_free_p)))

/* JSON_KIND_NULL when j is NULL. */
enum json_kind json_kind(const struct json *j);
/* NULL when absent or not an object. */
struct json *json_get(const struct json *obj, const char *key);
size_t json_len(const struct json *arr_or_obj);
struct json *json_at(const struct json *arr, size_t i);
/*
 * Walks the members in document order; NULL after the last one (or when obj is not an object):
 *	void *pos = NULL;
 *	while ((value = json_each(obj, &pos, &key)))
 * The object must not change meanwhile.
 */
struct json *json_each(const struct json *obj, void **pos, struct str *ret_key);
/* Empty view / 0 / false when the node has another type or is NULL. */
struct str json_str(const struct json *j);
int64_t json_int(const struct json *j);
bool json_bool(const struct json *j);

/*
 * Building. Setters take over the value node. Keys and strings must be UTF-8; invalid bytes are
 * replaced by U+FFFD.
 */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_str(struct str s);
struct json *json_new_int(int64_t v);
struct json *json_new_bool(bool v);
struct json *json_new_null(void);
void json_set(struct json *obj, const char *key, struct json *value);
void json_set_strz(struct json *obj, const char *key, const char *value); /* NULL: nothing is set */
void json_append(struct json *arr, struct json *value);
struct json *json_clone(const struct json *j); /* deep */
/* Compact on one line, or indented by two. Members in the order they were set. */
int json_write(const struct json *j, bool pretty, struct buf *out, struct err *err);
/* Appends s as a quoted JSON string; invalid UTF-8 becomes U+FFFD, control characters \u00XX. */
int json_quote(struct buf *out, struct str s, struct err *err);

#endif
