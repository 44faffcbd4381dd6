/*
 * JSON text: what is read, written and read again is the same, and a refusal has a position.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void check_same(const struct json *j, bool pretty)
{
	auto_buf first = BUF_INIT(MIB(16)), second = BUF_INIT(MIB(16));
	auto_json struct json *again = NULL;

	/* escapes make text up to six times as long, indentation more: too long is no error here */
	if (json_write(j, pretty, &first, NULL) < 0 || first.len > JSON_TEXT_MAX)
		return;
	need(str_is_utf8(buf_str(&first)));
	again = json_parse(buf_str(&first), "again", NULL);
	need(again != NULL);
	need(json_write(again, pretty, &second, NULL) == 0);
	need(str_eq(buf_str(&first), buf_str(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_mem(data, size);
	struct err err = ERR_INIT;
	auto_json struct json *j = json_parse(text, "fuzz", &err);
	auto_buf quoted = BUF_INIT(MIB(16));

	if (j) {
		check_same(j, false);
		check_same(j, true);
	} else {
		need(err.code != E_NONE && strncmp(err.text, "fuzz:", 5) == 0);
		need(!str_has_ctl(str_of(err.text)));
	}
	/* any bytes, quoted, are a JSON string (but for a NUL, which no document may hold) */
	need(json_quote(&quoted, text, NULL) == 0);
	if (str_chr(text, '\0', 0) < 0) {
		auto_json struct json *s = json_parse(buf_str(&quoted), "quoted", NULL);

		need(json_kind(s) == JSON_KIND_STR);
		need(!str_is_utf8(text) || str_eq(json_str(s), text));
	}
	return 0;
}
