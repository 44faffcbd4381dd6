#include "policy/fold.h"

#include "base/enc.h"

struct str fold_escapes(struct str s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		out[n++] = s.p[i];
		/* A decoded byte may complete the escape before it: "%2%35" is "%25" is "%". */
		while (n >= 3 && out[n - 3] == '%') {
			int high = enc_hex_digit(out[n - 2]), low = enc_hex_digit(out[n - 1]);

			if (high < 0 || low < 0)
				break;
			n -= 2;
			out[n - 1] = (char)(high * 16 + low);
		}
	}
	return str_mem(out, n);
}

size_t fold_name(struct str s, char ret[FOLD_NAME_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n < FOLD_NAME_MAX; i++)
		if (ascii_alpha(s.p[i]) || ascii_digit(s.p[i]))
			ret[n++] = ascii_lower(s.p[i]);
	return n;
}
