/*
 * h1: HTTP/1.1 heads and bodies, strictly (RFC 9112). No I/O here.
 *
 * One grammar: what is not exactly right is refused (E_BAD; E_LIMIT for size), nothing is repaired.
 * Refused in heads: bare LF or CR, folded lines, white space before the colon or in the start line
 * beyond single SPs, both Content-Length and Transfer-Encoding, differing or non-digit lengths (a
 * list of equal ones too), any transfer coding other than one final "chunked" (and any in
 * HTTP/1.0), either name in a disguise, more than one Host, no Host in 1.1, an invalid Host, CTL or
 * NUL in fields, empty field names, versions other than 1.0 and 1.1, HTTP/0.9. Leading empty lines
 * before a request line are refused too, save one CRLF (RFC 9112 2.2).
 */
#ifndef BOTTLE_HTTP_H1_H
#define BOTTLE_HTTP_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

/*
 * Looks for the end of a head in `data`. *scanned keeps the search position between calls (start at
 * 0, so that a head that comes byte by byte costs linear time). Returns the head's length including
 * the empty line, 0 when more is needed, -1 (err) when it cannot become a head any more (too long,
 * a NUL or bare LF in it: early refusal).
 */
ssize_t h1_head_end(struct str data, size_t *scanned, struct err *err);

/* `head` is exactly one head as measured by h1_head_end. Copies into m->arena. */
int h1_parse_request(struct str head, struct msg *m, struct err *err)
	__attribute__((warn_unused_result));
/*
 * request_method decides about the body (HEAD, CONNECT). 1xx, 204 and 304 have none. The space
 * before an absent reason phrase may be missing: many servers leave it out and nothing hangs on it.
 */
int h1_parse_response(struct str head, struct str request_method, struct msg *m, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Writes a head from m anew: start line, fields in their order, framing fields made from m->framing
 * (in place of the received ones so that order and spelling stay; added at the end when there were
 * none). `connection` is the Connection field to write ("close", "keep-alive", "upgrade") or NULL.
 * The request line is origin-form, absolute-form when m->form says so, authority-form for CONNECT.
 * A Connection field of m is not written; with "upgrade" an Upgrade field is made from m->upgrade.
 * Every byte is checked once more: what would break the grammar is E_BAD and `out` stays as it was,
 * as does a request without exactly one Host. Responses that may not announce a body do not; for
 * BODY_NONE the Content-Length of a HEAD or 304 response stays.
 */
int h1_write_request(struct buf *out, const struct msg *m, const char *connection, struct err *err)
	__attribute__((warn_unused_result));
int h1_write_response(struct buf *out, const struct msg *m, const char *connection, struct err *err)
	__attribute__((warn_unused_result));
/* "SIZE\r\n"; the caller adds SIZE bytes and "\r\n". SIZE is not 0. */
int h1_write_chunk_head(struct buf *out, uint64_t size, struct err *err)
	__attribute__((warn_unused_result));
/* "0\r\n" trailers "\r\n". Trailers may be NULL; forbidden names (http_trailer_is_forbidden) are
 * E_BAD. */
int h1_write_last_chunk(struct buf *out, const struct fields *trailers, struct err *err)
	__attribute__((warn_unused_result));

/* Decodes one body. Zero-copy: pieces are views into the input. */
enum h1_body_state { H1_BODY_SIZE, H1_BODY_DATA, H1_BODY_DATA_END, H1_BODY_TRAILER, H1_BODY_DONE };
struct h1_body {
	enum body_framing framing;
	enum h1_body_state state;
	uint64_t left;  /* of the body or of the chunk */
	size_t scanned; /* trailer section */
};
enum h1_step {
	H1_MORE,  /* all input that can be used was used; give more */
	H1_PIECE, /* *ret_piece holds body bytes; call again */
	H1_END,   /* the message is complete */
	H1_BAD,   /* err */
};
void h1_body_init(struct h1_body *b, const struct msg *m);
/* *ret_used: bytes of `in` to drop (the piece lies inside them). Trailers go to `trailers` (may be
 * NULL: parsed, checked, dropped). */
enum h1_step h1_body_next(struct h1_body *b, struct str in, struct str *ret_piece, size_t *ret_used,
			  struct msg *trailers, struct err *err);
/* The peer closed: 0 when that ends the body in order (BODY_UNTIL_CLOSE), else -1. */
int h1_body_eof(struct h1_body *b, struct err *err) __attribute__((warn_unused_result));

#endif
