#include "manifest/identity.h"

#include <string.h>

#include "manifest/home.h"
#include "sys/fd.h"

static const char base36[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static bool is_base36(char c)
{
	return ascii_digit(c) || (c >= 'a' && c <= 'z');
}

static char random_base36(void)
{
	unsigned char c;

	/* 252 = 7 * 36: what is above would favour the first characters */
	do {
		sys_random(&c, 1);
	} while (c >= 252);
	return base36[c % 36];
}

void identity_make(const char *agent, char ret[IDENTITY_MAX + 1])
{
	struct str name = str_sub(str_of(agent), 0, MANIFEST_NAME_MAX);
	size_t n = name.n;

	memcpy(ret, name.p, n);
	ret[n++] = '-';
	for (int i = 0; i < IDENTITY_RANDOM; i++)
		ret[n++] = random_base36();
	ret[n] = '\0';
}

/* Without a number from -2 to -99. */
static struct str cut_number(struct str s)
{
	for (size_t digits = 1; digits <= 2 && digits + 1 < s.n; digits++) {
		size_t dash = s.n - digits - 1;
		struct str number = str_from(s, dash + 1);
		uint64_t n;

		if (s.p[dash] == '-' && number.p[0] != '0' && str_to_u64(number, 99, &n) == 0 &&
		    n >= 2)
			return str_sub(s, 0, dash);
	}
	return s;
}

bool identity_ok(struct str s)
{
	size_t name;

	s = cut_number(s);
	if (s.n < IDENTITY_RANDOM + 2)
		return false;
	name = s.n - IDENTITY_RANDOM - 1;
	if (s.p[name] != '-' || !manifest_name_ok(str_sub(s, 0, name)))
		return false;
	for (size_t i = name + 1; i < s.n; i++)
		if (!is_base36(s.p[i]))
			return false;
	return true;
}
