/*
 * url: authorities and paths in one strict, normal form.
 *
 * Policy, dialling and forwarding all use what comes out of here, so that no two of them can read
 * the same bytes differently (RFC 3986, RFC 9110 4.2).
 */
#ifndef BOTTLE_HTTP_URL_H
#define BOTTLE_HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define URL_HOST_MAX 253 /* RFC 1035 2.3.4 in text form */

struct authority {
	char host[URL_HOST_MAX +
		  1]; /* lower case, no trailing dot; IPv6 without brackets, RFC 5952 form */
	uint16_t port;
	bool has_port; /* it was written */
	bool is_ip;
};

/*
 * "host", "host:port", "[v6]:port". Refuses: userinfo, empty host, labels that are empty or longer
 * than 63, bytes other than letters digits '-' '_' '.', a leading or trailing '-', every odd
 * spelling of an IPv4 address (addr_ipv4_any_spelling that is not a plain dotted quad) and every
 * other name whose last label is a number (WHATWG URL "ends in a number"), zone ids, port 0, empty
 * port, leading zeros in the port. One trailing dot is dropped. Non-ASCII is refused (names come as
 * A-labels).
 */
int url_parse_authority(struct str s, uint16_t default_port, struct authority *ret, struct err *err)
	__attribute__((warn_unused_result));
struct str authority_host(const struct authority *a);
/* "host:port", brackets for IPv6, port left out when it equals default_port (0: always written).
 * Size: ADDR max. */
void authority_text(const struct authority *a, uint16_t default_port, char buf[URL_HOST_MAX + 16]);
/* Same host and port. */
bool authority_eq(const struct authority *a, const struct authority *b);

/* An absolute URL of a request line: "http://authority/path?query". No fragment, no userinfo. Views
 * into s; an empty path stays empty. Schemes other than http and https are E_BAD. */
struct url {
	struct str scheme;         /* "http" or "https" as written; compare with str_ieq */
	struct str authority_text; /* as written */
	struct authority authority;
	struct str path;  /* as received, "/…" or empty */
	struct str query; /* after '?', p == NULL when there is none */
};
int url_parse_absolute(struct str s, struct url *ret, struct err *err)
	__attribute__((warn_unused_result));
/* "/path?query" → parts. Bytes outside 0x21-0x7e and '#' are refused. */
int url_split_target(struct str target, struct str *ret_path, struct str *ret_query,
		     struct err *err) __attribute__((warn_unused_result));

/*
 * Every way a server may read a path. A path is allowed only if all its readings are.
 *
 * Refused outright (E_BAD, one sentence why): not starting with '/', dot segments in any reading,
 * backslashes (raw or encoded), control characters or NUL after decoding, broken percent escapes,
 * over-long UTF-8 and encoded surrogates, an escape that decodes to another escape ("%252e": some
 * servers decode twice) when it would reveal '.', '/', '\', '%', ';' or a control character.
 * Readings (deduplicated): percent-decoded with "%2f" kept as data; "%2f" as a separator; each also
 * with
 * ";params" cut from every segment and with runs of '/' merged. Usual paths have exactly one.
 */
#define URL_READINGS_MAX 8
struct url_readings {
	struct str v[URL_READINGS_MAX];
	size_t n;
};
int url_path_readings(struct str path, struct arena *a, struct url_readings *ret, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Walks "a=1&b=2" (also ';' as separator; empty pieces are passed over); raw views. *ret_value.p is
 * NULL when there is no '='. `rest` starts as the query and is spent afterwards.
 */
bool url_query_next(struct str *rest, struct str *ret_key, struct str *ret_value);

#endif
