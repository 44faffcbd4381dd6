/*
 * frontmatter: splits a Markdown file into its YAML head and its body.
 *
 * The form is strict, so that an editor, a forge and this program see the same head: the first line
 * is exactly `---`, the head ends at the next line that is exactly `---`; lines may end in CRLF.
 * What follows, less leading empty lines, is the body, byte for byte.
 *
 * Refused with "source:line:col: …": an empty file, a missing fence, a byte-order mark, a NUL or
 * another control character (a binary file), text that is not UTF-8, more than MANIFEST_FILE_MAX
 * bytes.
 */
#ifndef BOTTLE_MANIFEST_FRONTMATTER_H
#define BOTTLE_MANIFEST_FRONTMATTER_H

#include "base/err.h"
#include "base/str.h"

/* The head starts on this line of its file: pass it to yaml_parse as line0. */
#define FRONTMATTER_LINE0 1

struct frontmatter {
	struct str head; /* YAML between the fences, view into the text */
	struct str body; /* after the closing fence, without leading empty lines */
	int body_line;   /* line of the body's first byte, 1-based */
};

/* Views into `text`, which must outlive them. `source` names the file in errors. E_BAD, E_LIMIT. */
int frontmatter_split(struct str text, const char *source, struct frontmatter *ret, struct err *err)
	__attribute__((warn_unused_result));

#endif
