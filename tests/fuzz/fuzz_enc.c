/*
 * Encodings: decoding undoes encoding for any bytes, and base64 has one spelling for each.
 */
#include <stdlib.h>

#include "base/enc.h"
#include "base/limits.h"

static void need(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_mem(data, size);
	auto_buf a = BUF_INIT(MIB(16)), b = BUF_INIT(MIB(16));

	need(enc_base64(&a, in, NULL) == 0);
	need(enc_base64_decode(&b, buf_str(&a), NULL) == 0 && str_eq(buf_str(&b), in));
	buf_clear(&a);
	buf_clear(&b);
	need(enc_percent(&a, in, "/", NULL) == 0);
	need(enc_percent_decode(&b, buf_str(&a), NULL) == 0 && str_eq(buf_str(&b), in));
	buf_clear(&a);
	buf_clear(&b);
	if (enc_base64_decode(&a, in, NULL) == 0)
		need(enc_base64(&b, buf_str(&a), NULL) == 0 && str_eq(buf_str(&b), in));
	buf_clear(&a);
	if (enc_percent_decode(&a, in, NULL) == 0)
		need(a.len <= in.n);
	else
		need(a.len == 0);
	return 0;
}
