/*
 * The ClientHello reader: never reads outside, and what it found complete stays the same when the
 * bytes come in two steps.
 */
#include <stdint.h>
#include <stdlib.h>

#include "net/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char one[HELLO_MAX], two[HELLO_MAX];
	struct str whole = str_mem(data, size), a = STR_NONE, b = STR_NONE;
	enum hello_result res = hello_sni(whole, one, &a, NULL);

	for (size_t n = 0; n < size && n < 64; n++) {
		enum hello_result early = hello_sni(str_sub(whole, 0, n), two, &b, NULL);

		/* A verdict on fewer bytes is the verdict. */
		if (early == HELLO_BAD && res != HELLO_BAD)
			abort();
	}
	if (res == HELLO_DONE && hello_sni(whole, two, &b, NULL) == HELLO_DONE && !str_eq(a, b))
		abort();
	return 0;
}
