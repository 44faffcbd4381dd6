#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "frames.h"

#include "base/limits.h"
#include "base/mem.h"

void frames_init(struct frames *f)
{
	*f = (struct frames){ .inflater = NULL };
	buf_init(&f->out, MIB(8));
	buf_init(&f->words, MIB(1));
	buf_init(&f->rest, MIB(1));
	assert_int_equal(nghttp2_hd_inflate_new(&f->inflater), 0);
}

void frames_fini(struct frames *f)
{
	buf_fini(&f->out);
	buf_fini(&f->words);
	buf_fini(&f->rest);
	nghttp2_hd_inflate_del(f->inflater);
}

static void put(struct buf *b, struct str s)
{
	assert_int_equal(buf_add(b, s, NULL), 0);
}

static void put_byte(struct buf *b, size_t byte)
{
	assert_int_equal(buf_addc(b, (char)(unsigned char)(byte & 0xff), NULL), 0);
}

void frames_add(struct frames *f, unsigned type, unsigned flags, unsigned id, struct str payload)
{
	for (int shift = 16; shift >= 0; shift -= 8)
		put_byte(&f->out, payload.n >> shift);
	put_byte(&f->out, type);
	put_byte(&f->out, flags);
	for (int shift = 24; shift >= 0; shift -= 8)
		put_byte(&f->out, id >> shift);
	put(&f->out, payload);
}

/* RFC 7541 5.1, 7-bit prefix */
static void put_int(struct buf *b, size_t n)
{
	if (n < 127) {
		put_byte(b, n);
		return;
	}
	put_byte(b, 127);
	for (n -= 127; n >= 128; n /= 128)
		put_byte(b, n % 128 + 128);
	put_byte(b, n);
}

void frames_field(struct buf *block, struct str name, struct str value)
{
	put_byte(block, 0);
	put_int(block, name.n);
	put(block, name);
	put_int(block, value.n);
	put(block, value);
}

void frames_headers(struct frames *f, unsigned flags, unsigned id, const char *const *fields)
{
	auto_buf block = BUF_INIT(MIB(1));

	for (; *fields; fields += 2)
		frames_field(&block, str_of(fields[0]), str_of(fields[1]));
	frames_add(f, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, buf_str(&block));
}

struct str frames_take(struct frames *f, struct buf *to)
{
	buf_clear(to);
	put(to, buf_str(&f->out));
	buf_clear(&f->out);
	return buf_str(to);
}

/* --- reading -------------------------------------------------------------------------------- */

static void word(struct frames *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void word(struct frames *f, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(&f->words, str_of(text));
}

static size_t number(struct str s, size_t at, size_t n)
{
	size_t v = 0;

	for (size_t i = at; i < at + n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

static void words_of_block(struct frames *f, struct str block)
{
	const uint8_t *in = (const uint8_t *)block.p;
	size_t left = block.n;
	const char *gap = "";

	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		nghttp2_ssize n = nghttp2_hd_inflate_hd3(f->inflater, &nv, &flags, in, left, 1);

		assert_true(n >= 0);
		in += n;
		left -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT) {
			word(f, "%s%.*s=%.*s%s", gap, (int)nv.namelen, (const char *)nv.name,
			     (int)nv.valuelen, (const char *)nv.value,
			     nv.flags & NGHTTP2_NV_FLAG_NO_INDEX ? "!" : "");
			gap = " ";
		}
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
	}
	assert_int_equal(nghttp2_hd_inflate_end_headers(f->inflater), 0);
}

static void words_of(struct frames *f, unsigned type, unsigned flags, unsigned id, struct str load)
{
	if (type == NGHTTP2_SETTINGS || type == NGHTTP2_WINDOW_UPDATE)
		return;
	word(f, "%s", f->words.len > 0 ? " " : "");
	switch (type) {
	case NGHTTP2_HEADERS:
		word(f, "H%u(", id);
		words_of_block(f, load);
		word(f, ")%s", flags & NGHTTP2_FLAG_END_STREAM ? "." : "");
		break;
	case NGHTTP2_DATA:
		if (load.n > 100)
			word(f, "D%u(#%zu)", id, load.n);
		else
			word(f, "D%u(%.*s)", id, STR_ARG(load));
		word(f, "%s", flags & NGHTTP2_FLAG_END_STREAM ? "." : "");
		break;
	case NGHTTP2_RST_STREAM:
		word(f, "RST%u(%s)", id, nghttp2_http2_strerror((uint32_t)number(load, 0, 4)));
		break;
	case NGHTTP2_GOAWAY:
		word(f, "GOAWAY(%s)", nghttp2_http2_strerror((uint32_t)number(load, 4, 4)));
		break;
	case NGHTTP2_PING:
		word(f, "PING");
		break;
	default:
		word(f, "FRAME%u", type);
		break;
	}
}

const char *frames_words(struct frames *f, struct str in)
{
	struct str s;

	buf_clear(&f->words);
	put(&f->rest, in);
	s = buf_str(&f->rest);
	if (str_starts(s, STR(FRAMES_PREFACE)))
		s = str_from(s, sizeof(FRAMES_PREFACE) - 1);
	while (s.n >= 9 && s.n >= 9 + number(s, 0, 3)) {
		const size_t n = number(s, 0, 3);

		words_of(f, (unsigned)number(s, 3, 1), (unsigned)number(s, 4, 1),
			 (unsigned)number(s, 5, 4), str_sub(s, 9, n));
		s = str_from(s, 9 + n);
	}
	buf_consume(&f->rest, f->rest.len - s.n);
	return buf_z(&f->words);
}
