#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Shortens text[0..len) to at most `room` bytes, ending in "..." at a character's boundary. */
static size_t cut(char *text, size_t len, size_t room)
{
	size_t at;

	if (len <= room)
		return len;
	at = room - 3;
	for (int back = 0; back < 3 && at > 0 && (text[at] & 0xc0) == 0x80; back++)
		at--;
	memcpy(text + at, "...", 3);
	return at + 3;
}

/* One '?' for every control character and every byte that is not UTF-8; never grows. */
static void store(struct err *err, enum err_code code, const char *text, size_t len)
{
	struct str in = { text, len };
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		uint32_t cp;
		size_t n = str_utf8_at(in, i, &cp);

		if (n == 0 || str_is_control(cp)) {
			err->text[out++] = '?';
			i += n ? n : 1;
			continue;
		}
		memcpy(err->text + out, text + i, n);
		out += n;
		i += n;
	}
	err->text[out] = '\0';
	err->code = code;
}

/* Writes the formatted text, cut to `room`, to `text` (ERR_TEXT_MAX bytes); returns its length. */
__attribute__((format(printf, 3, 0))) static size_t format(char *text, size_t room, const char *fmt,
							   va_list ap)
{
	int n = vsnprintf(text, ERR_TEXT_MAX, fmt, ap);

	if (n < 0)
		return 0;
	return cut(text, (size_t)n, room);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	size_t len;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	len = format(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	store(err, code, text, len);
	return -1;
}

int err_at(struct err *err, enum err_code code, const char *source, size_t line, size_t col,
	   const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX];

	text[format(text, sizeof(text) - 1, fmt, ap)] = '\0';
	return err_set(err, code, "%s:%zu:%zu: %s", source, line, col, text);
}

int err_sys(struct err *err, const char *fmt, ...)
{
	const char *reason = strerror(errno);
	size_t tail = strnlen(reason, 100);
	char text[ERR_TEXT_MAX];
	size_t len;
	va_list ap;

	if (!err)
		return -1;
	/* The reason is what the reader needs: a long context is cut, not the reason. */
	va_start(ap, fmt);
	len = format(text, sizeof(text) - 1 - 2 - tail, fmt, ap);
	va_end(ap);
	memcpy(text + len, ": ", 2);
	memcpy(text + len + 2, reason, tail);
	store(err, E_SYS, text, len + 2 + tail);
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char text[2 * ERR_TEXT_MAX];
	size_t len, tail;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	len = format(text, ERR_TEXT_MAX - 1, fmt, ap);
	va_end(ap);
	tail = strlen(err->text);
	if (tail > 0) {
		memcpy(text + len, ": ", 2);
		memcpy(text + len + 2, err->text, tail);
		len += 2 + tail;
	}
	len = cut(text, len, ERR_TEXT_MAX - 1);
	store(err, err->code == E_NONE ? E_BAD : err->code, text, len);
	return -1;
}

void err_clear(struct err *err)
{
	if (!err)
		return;
	err->code = E_NONE;
	err->text[0] = '\0';
}
