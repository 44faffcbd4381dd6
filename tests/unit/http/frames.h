/*
 * frames: HTTP/2 by hand, right or wrong, and what the other side sent in words.
 */
#ifndef TESTS_HTTP_FRAMES_H
#define TESTS_HTTP_FRAMES_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/str.h"

#define FRAMES_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct frames {
	struct buf out; /* to be sent */
	struct buf words;
	struct buf rest; /* of the input: a frame that is not complete */
	nghttp2_hd_inflater *inflater;
};

void frames_init(struct frames *f);
void frames_fini(struct frames *f);

void frames_add(struct frames *f, unsigned type, unsigned flags, unsigned id, struct str payload);
/* HEADERS with END_HEADERS; `fields` is "name", "value", … NULL. */
void frames_headers(struct frames *f, unsigned flags, unsigned id, const char *const *fields);
/* A field as a literal that is not indexed. */
void frames_field(struct buf *block, struct str name, struct str value);
/* Takes it all out. */
struct str frames_take(struct frames *f, struct buf *to);

/*
 * What came, in words: "H1(:status=200 a=b)" "D1(text)", both with a '.' at the end for END_STREAM,
 * a '!' behind a value that may never be indexed, "RST1(CANCEL)" "GOAWAY(NO_ERROR)" "PING".
 * SETTINGS and WINDOW_UPDATE are passed over.
 */
const char *frames_words(struct frames *f, struct str in);

#endif
