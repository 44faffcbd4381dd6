#include "http/url.h"

#include <stdio.h>

#include "base/enc.h"
#include "http/chars.h"
#include "net/addr.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* --- authority ------------------------------------------------------------------------------ */

static bool host_byte(char c)
{
	return ascii_alpha(c) || ascii_digit(c) || c == '-' || c == '_' || c == '.';
}

static int check_label(struct str label, struct err *err)
{
	if (label.n == 0)
		return err_set(err, E_BAD, "a host name with an empty label");
	if (label.n > LABEL_MAX)
		return err_set(err, E_BAD, "a host name with a label of more than %d bytes",
			       LABEL_MAX);
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return err_set(err, E_BAD, "a host name with '-' at an end of a label");
	return 0;
}

/* WHATWG URL "ends in a number": some parser takes such a host for an IPv4 address. */
static bool label_is_number(struct str label)
{
	const bool hex = str_istarts(label, STR("0x"));

	for (size_t i = hex ? 2 : 0; i < label.n; i++)
		if (hex ? enc_hex_digit(label.p[i]) < 0 : !ascii_digit(label.p[i]))
			return false;
	return true;
}

static int parse_name(struct str s, struct authority *a, struct err *err)
{
	struct str rest = s, label = STR_NONE;
	struct in_addr ip;
	struct addr plain;

	for (size_t i = 0; i < s.n; i++)
		if (!host_byte(s.p[i]))
			return err_set(err, E_BAD, "a host name may not hold the byte 0x%02x",
				       (unsigned char)s.p[i]);
	if (addr_parse(s, 0, &plain, NULL) == 0)
		a->is_ip = true;
	else if (addr_ipv4_any_spelling(s, &ip))
		return err_set(err, E_BAD, "'%.*s' is an odd spelling of an IPv4 address",
			       STR_ARG(s));
	if (s.n > 0 && s.p[s.n - 1] == '.')
		rest.n--;
	if (rest.n == 0)
		return err_set(err, E_BAD, "an empty host name");
	if (rest.n > URL_HOST_MAX)
		return err_set(err, E_BAD, "a host name of more than %d bytes", URL_HOST_MAX);
	for (size_t i = 0; i < rest.n; i++)
		a->host[i] = ascii_lower(rest.p[i]);
	while (str_split(&rest, '.', &label))
		if (check_label(label, err) < 0)
			return -1;
	if (!a->is_ip && label_is_number(label))
		return err_set(err, E_BAD, "a host name that ends in a number is no name");
	return 0;
}

static int parse_v6(struct str s, struct authority *a, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct addr ip;

	if (str_chr(s, ':', 0) < 0 || addr_parse(s, 0, &ip, NULL) < 0)
		return err_set(err, E_BAD, "what is in brackets is not an IPv6 address");
	addr_text(&ip, false, text);
	memcpy(a->host, text, strlen(text));
	a->is_ip = true;
	return 0;
}

static int parse_port(struct str s, struct authority *a, struct err *err)
{
	uint64_t port;

	if (s.n == 0 || s.p[0] == '0' || str_to_u64(s, UINT16_MAX, &port) < 0)
		return err_set(err, E_BAD, "a port must be a number from 1 to 65535");
	a->port = (uint16_t)port;
	a->has_port = true;
	return 0;
}

int url_parse_authority(struct str s, uint16_t default_port, struct authority *ret, struct err *err)
{
	struct authority a = { .port = default_port };
	struct str port = STR_NONE;
	ssize_t end;

	if (s.n > 0 && s.p[0] == '[') {
		end = str_chr(s, ']', 0);
		if (end < 0)
			return err_set(err, E_BAD, "an IPv6 address without its closing bracket");
		if (parse_v6(str_sub(s, 1, (size_t)end - 1), &a, err) < 0)
			return -1;
		s = str_from(s, (size_t)end + 1);
		if (s.n > 0 && s.p[0] != ':')
			return err_set(err, E_BAD,
				       "something else than a port after an IPv6 address");
		end = s.n > 0 ? 0 : -1;
	} else {
		end = str_chr(s, ':', 0);
		if (parse_name(end < 0 ? s : str_sub(s, 0, (size_t)end), &a, err) < 0)
			return -1;
	}
	if (end >= 0) {
		port = str_from(s, (size_t)end + 1);
		if (parse_port(port, &a, err) < 0)
			return -1;
	}
	*ret = a;
	return 0;
}

struct str authority_host(const struct authority *a)
{
	return str_of(a->host);
}

void authority_text(const struct authority *a, uint16_t default_port, char buf[URL_HOST_MAX + 16])
{
	const bool v6 = strchr(a->host, ':');
	const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";

	if (a->port == default_port)
		(void)snprintf(buf, URL_HOST_MAX + 16, "%s%s%s", open, a->host, close);
	else
		(void)snprintf(buf, URL_HOST_MAX + 16, "%s%s%s:%u", open, a->host, close, a->port);
}

bool authority_eq(const struct authority *a, const struct authority *b)
{
	return a->port == b->port && str_eq(authority_host(a), authority_host(b));
}

/* --- targets -------------------------------------------------------------------------------- */

static int check_bytes(struct str s, struct err *err)
{
	size_t ok = chars_span(s.p, s.n, CHAR_TARGET);

	if (ok < s.n)
		return err_set(err, E_BAD, "a request target may not hold the byte 0x%02x",
			       (unsigned char)s.p[ok]);
	return 0;
}

static void split_query(struct str s, struct str *ret_path, struct str *ret_query)
{
	ssize_t mark = str_chr(s, '?', 0);

	*ret_path = mark < 0 ? s : str_sub(s, 0, (size_t)mark);
	*ret_query = mark < 0 ? STR_NONE : str_from(s, (size_t)mark + 1);
}

int url_split_target(struct str target, struct str *ret_path, struct str *ret_query,
		     struct err *err)
{
	if (target.n == 0 || target.p[0] != '/')
		return err_set(err, E_BAD, "a request target must start with '/'");
	if (check_bytes(target, err) < 0)
		return -1;
	split_query(target, ret_path, ret_query);
	return 0;
}

int url_parse_absolute(struct str s, struct url *ret, struct err *err)
{
	struct url u = { .query = STR_NONE };
	size_t at = 0;

	if (check_bytes(s, err) < 0)
		return -1;
	if (str_istarts(s, STR("http://")))
		at = 4;
	else if (str_istarts(s, STR("https://")))
		at = 5;
	else
		return err_set(err, E_BAD,
			       "a request target that is neither a path nor an http URL");
	u.scheme = str_sub(s, 0, at);
	s = str_from(s, at + 3);
	for (at = 0; at < s.n && s.p[at] != '/' && s.p[at] != '?'; at++)
		;
	if (url_parse_authority(str_sub(s, 0, at), u.scheme.n == 4 ? 80 : 443, &u.authority, err) <
	    0)
		return -1;
	u.authority_text = str_sub(s, 0, at);
	split_query(str_from(s, at), &u.path, &u.query);
	*ret = u;
	return 0;
}

bool url_query_next(struct str *rest, struct str *ret_key, struct str *ret_value)
{
	while (rest->n > 0) {
		struct str pair;
		ssize_t equals;
		size_t end = 0;

		while (end < rest->n && rest->p[end] != '&' && rest->p[end] != ';')
			end++;
		pair = str_sub(*rest, 0, end);
		*rest = end < rest->n ? str_from(*rest, end + 1) : STR_NONE;
		if (pair.n == 0)
			continue;
		equals = str_chr(pair, '=', 0);
		*ret_key = equals < 0 ? pair : str_sub(pair, 0, (size_t)equals);
		*ret_value = equals < 0 ? STR_NONE : str_from(pair, (size_t)equals + 1);
		return true;
	}
	return false;
}
