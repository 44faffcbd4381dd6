#include "manifest/frontmatter.h"

#include <stdbool.h>

#include "base/limits.h"

/* Takes the next line off the front, without its LF or CRLF. False at the end of the text. */
static bool next_line(struct str *rest, struct str *ret)
{
	ssize_t lf;

	if (rest->n == 0)
		return false;
	lf = str_chr(*rest, '\n', 0);
	*ret = str_sub(*rest, 0, lf < 0 ? rest->n : (size_t)lf);
	*rest = str_from(*rest, lf < 0 ? rest->n : (size_t)lf + 1);
	if (lf >= 0 && ret->n > 0 && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

/* Text that a person can read in any editor: a bottle is reviewed by eye. */
static int check_text(struct str line, const char *source, int number, struct err *err)
{
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return err_set(err, E_BAD,
				       "%s:%d:%zu: control character 0x%02x: not a text file",
				       source, number, i + 1, c);
	}
	if (!str_is_utf8(line))
		return err_set(err, E_BAD, "%s:%d:1: not UTF-8", source, number);
	return 0;
}

static struct str skip_empty_lines(struct str body, int *line)
{
	for (;;) {
		struct str rest = body, piece;

		if (!next_line(&rest, &piece) || str_trim(piece).n > 0)
			return body;
		body = rest;
		(*line)++;
	}
}

int frontmatter_split(struct str text, const char *source, struct frontmatter *ret, struct err *err)
{
	struct frontmatter fm = { .body_line = 0 };
	struct str rest = text, line;
	const char *head_start = NULL;
	bool closed = false;

	if (text.n == 0)
		return err_set(err, E_BAD, "%s:1:1: empty file; it starts with a line '---'",
			       source);
	if (text.n > MANIFEST_FILE_MAX)
		return err_set(err, E_LIMIT, "%s:1:1: larger than %zu KiB", source,
			       MANIFEST_FILE_MAX >> 10);
	if (str_starts(text, STR("\xef\xbb\xbf")))
		return err_set(err, E_BAD, "%s:1:1: byte-order mark; save the file without one",
			       source);
	for (int number = 1; next_line(&rest, &line); number++) {
		if (check_text(line, source, number, err) < 0)
			return -1;
		if (number == 1) {
			if (!str_eqz(line, "---"))
				return err_set(err, E_BAD, "%s:1:1: the first line must be '---'",
					       source);
			head_start = rest.p;
		} else if (!closed && str_eqz(line, "---")) {
			closed = true;
			fm.head = str_mem(head_start, (size_t)(line.p - head_start));
			fm.body_line = number + 1;
			fm.body = rest;
		}
	}
	if (!closed)
		return err_set(err, E_BAD, "%s:1:1: the '---' that opens the head is never closed",
			       source);
	fm.body = skip_empty_lines(fm.body, &fm.body_line);
	*ret = fm;
	return 0;
}
