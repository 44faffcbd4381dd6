/*
 * h2_map: between HTTP/2 field sections and messages, strictly (RFC 9113 8.1 to 8.3). No I/O here.
 *
 * One grammar with h1: what would not be a head there is none here, so that nothing can be injected
 * into a message that goes on as HTTP/1.1. Refused (E_BAD; E_LIMIT for size): upper case in names,
 * names that are no token, values with CTL or NUL or white space at an end, fields that belong to a
 * connection, framing fields in disguise, TE other than "trailers", pseudo-header fields that are
 * unknown, repeated, missing or behind others, a :path that is empty or not "/…" ("*" with
 * OPTIONS), a Host that disagrees with :authority, more than one Host or Content-Length.
 */
#ifndef BOTTLE_HTTP_H2_MAP_H
#define BOTTLE_HTTP_H2_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

enum h2_section { H2_REQUEST, H2_RESPONSE, H2_TRAILERS };

enum h2_pseudo {
	H2_METHOD,
	H2_SCHEME,
	H2_AUTHORITY,
	H2_PATH,
	H2_PROTOCOL,
	H2_STATUS,
	H2_PSEUDO_COUNT,
};

/* A field section while it comes in. */
struct h2_head {
	struct msg *m;
	enum h2_section section;
	size_t size;    /* as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 6.5.2) */
	struct err err; /* the first thing wrong; what comes after it is passed over */
	bool regular;   /* the pseudo-header fields are over */
	struct str pseudo[H2_PSEUDO_COUNT];
	struct str length;
	struct buf cookie; /* crumbs, joined again (RFC 9113 8.2.3) */
	size_t cookie_at;  /* place of the first one, plus one */
};

void h2_head_init(struct h2_head *h, enum h2_section section, struct msg *m);
void h2_head_fini(struct h2_head *h);
void h2_head_field(struct h2_head *h, struct str name, struct str value);
/*
 * The section is complete: fills h->m. `method` is that of the request a response belongs to. -1
 * with the first thing that was wrong.
 *
 * Requests are TARGET_ORIGIN (or ASTERISK, or AUTHORITY for CONNECT) with scheme and authority set;
 * :authority becomes the first field, Host. An extended CONNECT is given as a GET.
 */
int h2_head_finish(struct h2_head *h, bool end_stream, struct str method, struct err *err)
	__attribute__((warn_unused_result));

/*
 * The field section of m, in `a` (the values may still be m's). Names in lower case, fields in
 * their order, framing from m->framing; what belongs to an HTTP/1.1 connection is left out. As in
 * h1_write_*, each byte is checked once more. A request without a scheme is an https one.
 */
int h2_write_request(const struct msg *m, struct arena *a, struct fields *ret, struct err *err)
	__attribute__((warn_unused_result));
int h2_write_response(const struct msg *m, struct arena *a, struct fields *ret, struct err *err)
	__attribute__((warn_unused_result));
int h2_write_trailers(const struct fields *trailers, struct arena *a, struct fields *ret,
		      struct err *err) __attribute__((warn_unused_result));

#endif
