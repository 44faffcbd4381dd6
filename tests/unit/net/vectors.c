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

#define CAVP_DIR "/usr/lib/python3/dist-packages/cryptography_vectors"

static void from_hex(struct str hex, struct vector_bytes *ret)
{
	size_t odd = hex.n % 2; /* a number without its leading zero */

	assert_true(hex.n / 2 < sizeof(ret->p));
	ret->n = hex.n / 2 + odd;
	ret->p[0] = 0;
	for (size_t i = odd; i < hex.n + odd; i++) {
		int digit = enc_hex_digit(hex.p[i - odd]);

		assert_true(digit >= 0);
		ret->p[i / 2] = (uint8_t)(i % 2 ? ret->p[i / 2] << 4 | digit : digit);
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
		{ "Key", &v->key },  { "IV", &v->iv },   { "PT", &v->msg },    { "AAD", &v->aad },
		{ "CT", &v->ct },    { "Tag", &v->tag }, { "Msg", &v->msg },   { "Qx", &v->x },
		{ "Qy", &v->y },     { "d", &v->d },     { "k", &v->k },       { "R", &v->r },
		{ "S", &v->s },      { "dsIUT", &v->d }, { "QsCAVSx", &v->x }, { "QsCAVSy", &v->y },
		{ "Z", &v->shared },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (str_eqz(name, fields[i].name)) {
			from_hex(value, fields[i].to);
			return true;
		}
	}
	return false;
}

/*
 * "P (0 )"; "F (3 - S changed)". Of an agreement something else may have been changed than the
 * other's key.
 */
static void set_result(struct vector *v, struct str value)
{
	v->valid = str_starts(value, STR("P"));
	v->invalid = str_starts(value, STR("F")) &&
		     (v->shared.n == 0 || str_find(value, STR("CAVS's Static"), 0) > 0);
}

/* "[P-256,SHA-384]", "[EC - SHA256]"; other things stand in brackets, too. */
static bool is_section(struct str line)
{
	return line.n > 3 && line.p[0] == '[' && (line.p[2] == '-' || line.p[4] == '-');
}

/* Is it about P-256? */
static bool set_section(struct vector *v, struct str line)
{
	static const int digests[] = { 224, 256, 384, 512 };
	char end[8];

	v->digest = str_ends(line, STR("SHA-1]"));
	for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
		(void)snprintf(end, sizeof(end), "%d]", digests[i]);
		if (str_ends(line, str_of(end)) && str_find(line, STR("SHA"), 0) > 0)
			v->digest = digests[i];
	}
	return str_starts(line, STR("[P-256")) || str_starts(line, STR("[EC - "));
}

/* Files of curves have sections; only those of P-256 count. */
static size_t read_cavp(const char *file, bool curves, vector_fn *each, void *arg)
{
	struct vector *v = mem_new(struct vector);
	auto_free char *path = mem_printf("%s/%s", CAVP_DIR, file);
	auto_buf text = BUF_INIT(MIB(8));
	struct err err = { 0 };
	struct str rest, line;
	size_t count = 0;
	bool open = false, wanted = !curves; /* a record is being read; in this section */

	if (file_read(path, &text, &err) < 0)
		fail_msg("%s (install python3-cryptography-vectors)", err.text);
	rest = buf_str(&text);
	while (str_split(&rest, '\n', &line)) {
		ssize_t equals;

		line = str_trim(str_ends(line, STR("\r")) ? str_sub(line, 0, line.n - 1) : line);
		equals = str_chr(line, '=', 0);
		if (curves && is_section(line)) {
			wanted = set_section(v, line);
		} else if (!wanted) {
			continue;
		} else if (equals > 0 && line.p[0] != '[') {
			struct str name = str_trim(str_sub(line, 0, (size_t)equals));
			struct str value = str_trim(str_from(line, (size_t)equals + 1));

			if (str_eqz(name, "Result"))
				set_result(v, value);
			else
				open |= set_field(v, name, value);
		} else if (str_eqz(line, "FAIL")) {
			v->invalid = true;
		} else if (line.n == 0 && open) {
			int digest = v->digest;

			v->valid |= !curves && !v->invalid;
			(void)snprintf(v->name, sizeof(v->name), "%s, record %zu", file, ++count);
			each(v, arg);
			memset(v, 0, sizeof(*v));
			v->digest = digest;
			open = false;
		}
	}
	assert_false(open);
	free(v);
	return count;
}

size_t vectors_cavp(const char *file, vector_fn *each, void *arg)
{
	auto_free char *path = mem_printf("ciphers/AES/GCM/%s", file);

	return read_cavp(path, false, each, arg);
}

size_t vectors_p256(const char *file, vector_fn *each, void *arg)
{
	auto_free char *path = mem_printf("asymmetric/%s", file);

	return read_cavp(path, true, each, arg);
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
	from_hex(json_str(json_get(test, "sig")), &v->sig);
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
		struct json *group = json_at(groups, i), *tests = json_get(group, "tests");
		struct json *key = json_get(group, "publicKey");

		for (size_t j = 0; j < json_len(tests); j++, count++) {
			read_record(json_at(tests, j), file, v);
			if (key)
				from_hex(json_str(json_get(key, "uncompressed")), &v->public_key);
			each(v, arg);
		}
	}
	free(v);
	assert_int_equal(count, json_int(json_get(root, "numberOfTests")));
	assert_true(count > 0);
	return count;
}
