#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"
#include "vectors.h"

#define CAVP_DIR "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/GCM"

static void from_hex(struct str hex, struct vector_bytes *ret)
{
	assert_int_equal(hex.n % 2, 0);
	assert_true(hex.n / 2 <= sizeof(ret->p));
	ret->n = hex.n / 2;
	for (size_t i = 0; i < ret->n; i++) {
		int high = enc_hex_digit(hex.p[2 * i]), low = enc_hex_digit(hex.p[2 * i + 1]);

		assert_true(high >= 0 && low >= 0);
		ret->p[i] = (uint8_t)(high << 4 | low);
	}
}

/* --- NIST --------------------------------------------------------------------------------------- */

/* "Name = hex" into the part it names; false for other names. */
static bool set_field(struct vector *v, struct str name, struct str value)
{
	const struct {
		const char *name;
		struct vector_bytes *to;
	} fields[] = {
		{ "Key", &v->key }, { "IV", &v->iv }, { "PT", &v->msg },
		{ "AAD", &v->aad }, { "CT", &v->ct }, { "Tag", &v->tag },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (str_eqz(name, fields[i].name)) {
			from_hex(value, fields[i].to);
			return true;
		}
	}
	return false;
}

size_t vectors_cavp(const char *file, vector_fn *each, void *arg)
{
	struct vector *v = mem_new(struct vector);
	auto_free char *path = mem_printf("%s/%s", CAVP_DIR, file);
	auto_buf text = BUF_INIT(MIB(8));
	struct err err = { 0 };
	struct str rest, line;
	size_t count = 0;
	bool open = false; /* a record is being read */

	if (file_read(path, &text, &err) < 0)
		fail_msg("%s (install python3-cryptography-vectors)", err.text);
	rest = buf_str(&text);
	while (str_split(&rest, '\n', &line)) {
		ssize_t equals;

		line = str_ends(line, STR("\r")) ? str_sub(line, 0, line.n - 1) : line;
		equals = str_chr(line, '=', 0);
		if (equals > 0 && line.p[0] != '[' &&
		    set_field(v, str_trim(str_sub(line, 0, (size_t)equals)),
			      str_trim(str_from(line, (size_t)equals + 1)))) {
			open = true;
		} else if (str_eqz(line, "FAIL")) {
			v->invalid = true;
		} else if (line.n == 0 && open) {
			v->valid = !v->invalid;
			(void)snprintf(v->name, sizeof(v->name), "%s, record %zu", file, ++count);
			each(v, arg);
			memset(v, 0, sizeof(*v));
			open = false;
		}
	}
	assert_false(open);
	free(v);
	return count;
}

/* --- Wycheproof --------------------------------------------------------------------------------- */

static void read_record(const struct json *test, const char *file, struct vector *v)
{
	struct str result = json_str(json_get(test, "result"));

	(void)snprintf(v->name, sizeof(v->name), "%s, tcId %d", file,
		       (int)json_int(json_get(test, "tcId")));
	v->valid = str_eqz(result, "valid");
	v->invalid = str_eqz(result, "invalid");
	from_hex(json_str(json_get(test, "key")), &v->key);
	from_hex(json_str(json_get(test, "iv")), &v->iv);
	from_hex(json_str(json_get(test, "aad")), &v->aad);
	from_hex(json_str(json_get(test, "msg")), &v->msg);
	from_hex(json_str(json_get(test, "ct")), &v->ct);
	from_hex(json_str(json_get(test, "tag")), &v->tag);
	from_hex(json_str(json_get(test, "public")), &v->public_key);
	from_hex(json_str(json_get(test, "private")), &v->private_key);
	from_hex(json_str(json_get(test, "shared")), &v->shared);
}

size_t vectors_wycheproof(const char *file, vector_fn *each, void *arg)
{
	const char *folder = getenv("BOTTLE_TEST_DATA");
	auto_free char *path =
		mem_printf("%s/wycheproof/%s", folder ? folder : "../shared/data", file);
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);
	auto_json struct json *root = NULL;
	struct err err = { 0 };
	struct vector *v;
	struct json *groups;
	size_t count = 0;

	if (file_read(path, &text, &err) < 0) {
		assert_int_equal(err.code, E_NOTFOUND);
		print_message("skipped: no Wycheproof vectors here (%s)\n", path);
		return 0;
	}
	root = json_parse(buf_str(&text), file, &err);
	if (!root)
		fail_msg("%s", err.text);
	groups = json_get(root, "testGroups");
	v = mem_new(struct vector);
	for (size_t i = 0; i < json_len(groups); i++) {
		struct json *tests = json_get(json_at(groups, i), "tests");

		for (size_t j = 0; j < json_len(tests); j++, count++) {
			read_record(json_at(tests, j), file, v);
			each(v, arg);
		}
	}
	free(v);
	assert_int_equal(count, json_int(json_get(root, "numberOfTests")));
	assert_true(count > 0);
	return count;
}
