#include "http/h1.h"

#include "base/limits.h"
#include "http/chars.h"
#include "http/h1_fields.h"

#define CHUNK_SIZE_DIGITS 16 /* of a uint64_t */

void h1_body_init(struct h1_body *b, const struct msg *m)
{
	*b = (struct h1_body){ .framing = m->framing, .state = H1_BODY_DATA };
	switch (m->framing) {
	case BODY_NONE:
		b->state = H1_BODY_DONE;
		break;
	case BODY_LENGTH:
		b->left = m->length;
		if (b->left == 0)
			b->state = H1_BODY_DONE;
		break;
	case BODY_CHUNKED:
		b->state = H1_BODY_SIZE;
		break;
	case BODY_UNTIL_CLOSE:
		b->left = UINT64_MAX; /* more than ever comes */
		break;
	}
}

/* *( ";" token [ "=" token ] ): RFC 9112 7.1.1 without white space and quoted strings. Dropped. */
static bool extensions_ok(struct str s)
{
	while (s.n > 0) {
		size_t n;

		if (s.p[0] != ';')
			return false;
		s = str_from(s, 1);
		n = chars_span(s.p, s.n, CHAR_TOKEN);
		if (n == 0)
			return false;
		s = str_from(s, n);
		if (s.n == 0 || s.p[0] != '=')
			continue;
		s = str_from(s, 1);
		n = chars_span(s.p, s.n, CHAR_TOKEN);
		if (n == 0)
			return false;
		s = str_from(s, n);
	}
	return true;
}

/* chunk-size [ chunk-ext ] CRLF. Bytes used, 0: more needed, -1. */
static ssize_t chunk_line(struct h1_body *b, struct str in, struct err *err)
{
	struct str line = str_sub(in, 0, HTTP_CHUNK_LINE_MAX);
	ssize_t lf = str_chr(line, '\n', 0);
	size_t digits = 0;

	if (lf < 0 && line.n < HTTP_CHUNK_LINE_MAX)
		return 0;
	if (lf < 0)
		return err_set(err, E_LIMIT, "a chunk size line of more than %d bytes",
			       HTTP_CHUNK_LINE_MAX);
	if (lf == 0 || line.p[lf - 1] != '\r')
		return err_set(err, E_BAD, "a chunk size line that ends in a bare line feed");
	line.n = (size_t)lf - 1;
	while (digits < line.n && digits <= CHUNK_SIZE_DIGITS && line.p[digits] != ';')
		digits++;
	if (digits > CHUNK_SIZE_DIGITS ||
	    str_hex_to_u64(str_sub(line, 0, digits), UINT64_MAX, &b->left) < 0)
		return err_set(err, E_BAD, "a chunk size that is not a hexadecimal number");
	if (!extensions_ok(str_from(line, digits)))
		return err_set(err, E_BAD, "a malformed chunk extension");
	b->state = b->left > 0 ? H1_BODY_DATA : H1_BODY_TRAILER;
	return lf + 1;
}

/* The CRLF after a chunk's data; `in` is not empty. */
static ssize_t chunk_end(struct h1_body *b, struct str in, struct err *err)
{
	if (in.p[0] != '\r' || (in.n > 1 && in.p[1] != '\n'))
		return err_set(err, E_BAD, "a chunk that is longer than its size");
	if (in.n < 2)
		return 0;
	b->state = H1_BODY_SIZE;
	return 2;
}

static ssize_t trailer_section(struct h1_body *b, struct str in, struct msg *m, struct err *err)
{
	ssize_t n = h1_section_end(in, false, HTTP_TRAILER_MAX, &b->scanned, err);
	struct err local = ERR_INIT;
	struct field f;
	struct str rest;

	if (n <= 0)
		return n;
	rest = str_sub(in, 0, (size_t)n);
	if (m && n > 2) {
		rest = arena_str(m->arena, rest);
		if (!rest.p)
			return err_set(err, E_LIMIT, "the trailer section needs too much memory");
	}
	while (h1_next_field(&rest, &f, &local)) {
		if (http_trailer_is_forbidden(f.name))
			return err_set(err, E_BAD, "%.*s in a trailer section", STR_ARG(f.name));
		if (m && msg_push(m, f.name, f.value, err) < 0)
			return -1;
	}
	if (local.code != E_NONE)
		return err_set(err, local.code, "%s", local.text);
	b->state = H1_BODY_DONE;
	return n;
}

static struct str take_data(struct h1_body *b, struct str in)
{
	struct str piece = str_sub(in, 0, b->left < in.n ? (size_t)b->left : in.n);

	b->left -= piece.n;
	if (b->left == 0)
		b->state = b->framing == BODY_CHUNKED ? H1_BODY_DATA_END : H1_BODY_DONE;
	return piece;
}

enum h1_step h1_body_next(struct h1_body *b, struct str in, struct str *ret_piece, size_t *ret_used,
			  struct msg *trailers, struct err *err)
{
	size_t used = 0;
	ssize_t n = 0;

	for (;; used += (size_t)n) {
		struct str rest = str_from(in, used);

		*ret_used = used;
		if (b->state == H1_BODY_DONE)
			return H1_END;
		if (rest.n == 0)
			return H1_MORE;
		switch (b->state) {
		case H1_BODY_DATA:
			*ret_piece = take_data(b, rest);
			*ret_used = used + ret_piece->n;
			return H1_PIECE;
		case H1_BODY_SIZE:
			n = chunk_line(b, rest, err);
			break;
		case H1_BODY_DATA_END:
			n = chunk_end(b, rest, err);
			break;
		case H1_BODY_TRAILER:
			n = trailer_section(b, rest, trailers, err);
			break;
		case H1_BODY_DONE:
			break;
		}
		if (n < 0)
			return H1_BAD;
		if (n == 0)
			return H1_MORE;
	}
}

int h1_body_eof(struct h1_body *b, struct err *err)
{
	if (b->framing == BODY_UNTIL_CLOSE)
		b->state = H1_BODY_DONE;
	if (b->state == H1_BODY_DONE)
		return 0;
	if (b->framing == BODY_LENGTH)
		return err_set(err, E_IO, "closed %llu bytes before the end of the body",
			       (unsigned long long)b->left);
	return err_set(err, E_IO, "closed before the last chunk of the body");
}
