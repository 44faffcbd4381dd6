#include "net/hello.h"

#include <stdint.h>

/* A reader over big-endian lengths: every step is checked once, here. */
struct reader {
	struct str s;
	bool bad;
};

static uint32_t take_uint(struct reader *r, size_t bytes)
{
	uint32_t v = 0;

	if (r->s.n < bytes) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | (unsigned char)r->s.p[i];
	r->s = str_from(r->s, bytes);
	return v;
}

/* A vector: a length of `bytes` bytes, then that much (RFC 8446 3.4). */
static struct reader take_vector(struct reader *r, size_t bytes)
{
	size_t n = take_uint(r, bytes);
	struct reader v = { str_sub(r->s, 0, n), false };

	if (r->s.n < n)
		r->bad = true;
	r->s = str_from(r->s, n);
	return v;
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, E_BAD, "not a usable TLS ClientHello: %s", what);
}

/* RFC 6066 3: a list of names, each with a type; only host_name (0) exists. */
static int read_server_name(struct reader ext, struct str *ret, struct err *err)
{
	struct reader list = take_vector(&ext, 2);

	while (list.s.n > 0 && !list.bad) {
		uint32_t type = take_uint(&list, 1);
		struct reader name = take_vector(&list, 2);

		if (list.bad)
			break;
		if (type != 0)
			continue;
		if (ret->n > 0)
			return bad(err, "two server names");
		if (name.s.n == 0)
			return bad(err, "an empty server name");
		*ret = name.s;
	}
	if (ext.bad || list.bad || ext.s.n > 0)
		return bad(err, "a broken server_name extension");
	return 0;
}

static int read_extensions(struct reader exts, struct str *ret, struct err *err)
{
	bool seen = false;

	while (exts.s.n > 0 && !exts.bad) {
		uint32_t type = take_uint(&exts, 2);
		struct reader ext = take_vector(&exts, 2);

		if (exts.bad || type != 0)
			continue;
		if (seen)
			return bad(err, "two server_name extensions");
		seen = true;
		if (read_server_name(ext, ret, err) < 0)
			return -1;
	}
	return exts.bad ? bad(err, "extensions overrun") : 0;
}

/* RFC 8446 4.1.2; the layout is the same for TLS 1.2. */
static int read_client_hello(struct str body, struct str *ret, struct err *err)
{
	struct reader r = { body, false };
	struct reader exts;

	take_uint(&r, 2); /* legacy_version */
	r.bad = r.bad || r.s.n < 32;
	r.s = str_from(r.s, 32); /* random */
	take_vector(&r, 1);      /* session id */
	take_vector(&r, 2);      /* cipher suites */
	take_vector(&r, 1);      /* compression methods */
	if (r.bad)
		return bad(err, "cut short");
	if (r.s.n == 0)
		return 0; /* no extensions at all: TLS 1.2 allows it */
	exts = take_vector(&r, 2);
	if (r.bad || r.s.n > 0)
		return bad(err, "lengths do not add up");
	return read_extensions(exts, ret, err);
}

/* The handshake message: type 1 and a 24-bit length, known once 4 bytes are there. */
static enum hello_result read_message(struct str msg, struct str *ret, struct err *err)
{
	struct reader r = { msg, false };
	uint32_t type = take_uint(&r, 1), len = take_uint(&r, 3);

	if (r.bad)
		return HELLO_MORE;
	if (type != 1)
		return bad(err, "another handshake message"), HELLO_BAD;
	if (len > HELLO_MAX - 4)
		return bad(err, "too long"), HELLO_BAD;
	if (r.s.n < len)
		return HELLO_MORE;
	if (r.s.n > len)
		return bad(err, "bytes after it"), HELLO_BAD;
	return read_client_hello(r.s, ret, err) < 0 ? HELLO_BAD : HELLO_DONE;
}

enum hello_result hello_sni(struct str bytes, char *scratch, struct str *ret_sni, struct err *err)
{
	struct str sni = STR_NONE;
	size_t used = 0;
	enum hello_result res = HELLO_MORE;

	while (res == HELLO_MORE && bytes.n >= 5) {
		struct reader r = { bytes, false };
		uint32_t type = take_uint(&r, 1), version = take_uint(&r, 2);
		size_t len = take_uint(&r, 2);

		if (type != 22 || version >> 8 != 3)
			return bad(err, "another record type"), HELLO_BAD;
		if (len == 0 || used + len > HELLO_MAX)
			return bad(err, "a record of unusable length"), HELLO_BAD;
		if (r.s.n < len)
			return HELLO_MORE;
		memcpy(scratch + used, r.s.p, len);
		used += len;
		bytes = str_from(r.s, len);
		res = read_message(str_mem(scratch, used), &sni, err);
	}
	if (res == HELLO_DONE)
		*ret_sni = sni;
	return res;
}
