/*
 * Authorities, URLs, paths and queries. Besides memory safety:
 * - an authority written and parsed again is the same; no name passes that the C library takes for
 * an IPv4 address;
 * - no reading of an accepted path has a dot segment, a backslash or a control character;
 * - a query is walked without losing or inventing a byte.
 *
 * The first byte of the input chooses.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/url.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void check_authority(const struct authority *a, uint16_t default_port)
{
	char text[URL_HOST_MAX + 16];
	struct authority again;
	struct in_addr ip;

	CHECK(a->host[0] != '\0' && strlen(a->host) <= URL_HOST_MAX);
	CHECK(a->port != 0 || (default_port == 0 && !a->has_port));
	CHECK(a->is_ip || inet_aton(a->host, &ip) == 0);
	authority_text(a, a->port ? 0 : 1, text);
	if (a->port == 0)
		*strrchr(text, ':') = '\0';
	CHECK(url_parse_authority(str_of(text), default_port, &again, NULL) == 0);
	CHECK(authority_eq(a, &again) && a->is_ip == again.is_ip);
}

static void fuzz_authority(struct str in)
{
	struct authority a;

	if (url_parse_authority(in, 0, &a, NULL) == 0)
		check_authority(&a, 0);
}

static void fuzz_absolute(struct str in)
{
	struct url u;

	if (url_parse_absolute(in, &u, NULL) < 0)
		return;
	check_authority(&u.authority, u.scheme.n == 4 ? 80 : 443);
	CHECK(u.path.n == 0 || u.path.p[0] == '/');
	CHECK(u.scheme.n + 3 + u.authority_text.n + u.path.n + (u.query.p ? 1 : 0) + u.query.n ==
	      in.n);
}

static void check_reading(struct str s)
{
	struct str rest = s, segment;

	CHECK(s.n > 0 && s.p[0] == '/' && !str_has_ctl(s) && str_chr(s, '\\', 0) < 0);
	while (str_split(&rest, '/', &segment))
		CHECK(!str_eqz(segment, ".") && !str_eqz(segment, ".."));
}

static void fuzz_path(struct str in)
{
	struct url_readings r, again;
	struct arena a;

	arena_init(&a, MIB(1));
	if (url_path_readings(in, &a, &r, NULL) == 0) {
		CHECK(r.n >= 1 && r.n <= URL_READINGS_MAX);
		for (size_t i = 0; i < r.n; i++)
			check_reading(r.v[i]);
		CHECK(url_path_readings(in, &a, &again, NULL) == 0 && again.n == r.n);
	}
	arena_fini(&a);
}

static void fuzz_query(struct str in)
{
	struct str rest = in, key, value;
	const char *end = in.p;

	while (url_query_next(&rest, &key, &value)) {
		CHECK(key.p >= end && key.p + key.n <= in.p + in.n);
		CHECK(!value.p || value.p == key.p + key.n + 1);
		CHECK(str_chr(key, '=', 0) < 0 && str_chr(key, '&', 0) < 0);
		end = value.p ? value.p + value.n : key.p + key.n;
	}
	for (; end < in.p + in.n; end++)
		CHECK(*end == '&' || *end == ';');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parts[])(struct str in) = { fuzz_authority, fuzz_absolute, fuzz_path,
							fuzz_query };

	if (size > 0)
		parts[data[0] % ARRAY_LEN(parts)](str_mem(data + 1, size - 1));
	return 0;
}
