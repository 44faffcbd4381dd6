/*
 * WebSocket. Besides memory safety:
 * - frames: every byte is given once, and as what it is told does not depend on how the input is
 *   cut; a payload is as long as its head says;
 * - handshake: what is accepted is still accepted when it is written and read again, also with a
 *   key of ours.
 *
 * The first byte of the input chooses, and is the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"
#include "http/ws.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* Every byte becomes the name of its part. */
static void label(struct str in, size_t step, unsigned char *ret)
{
	struct ws_cursor w = { .have = 0 };

	for (size_t at = 0; at < in.n;) {
		struct str piece = str_sub(in, at, step);

		while (piece.n > 0) {
			/* A copy: reading past what is there is seen. */
			char *bytes = mem_dup(piece.p, piece.n);
			enum ws_part part;
			struct str got = ws_next(&w, str_mem(bytes, piece.n), &part);

			CHECK(got.n > 0 && got.n <= piece.n && got.p == bytes);
			memset(ret + at, part == WS_HEAD ? WS_HEAD : WS_PAYLOAD, got.n);
			if (part == WS_PAYLOAD_END)
				ret[at + got.n - 1] = WS_PAYLOAD_END;
			at += got.n;
			piece = str_from(piece, got.n);
			free(bytes);
		}
	}
}

static void check_frames(struct str in, size_t step)
{
	unsigned char *whole = mem_array(in.n, 1), *pieces = mem_array(in.n, 1);

	label(in, SIZE_MAX, whole);
	label(in, step, pieces);
	CHECK(memcmp(whole, pieces, in.n) == 0);
	for (size_t at = 0; at + 2 <= in.n;) {
		const size_t mask = in.p[at + 1] & 0x80 ? 4 : 0;
		size_t n = in.p[at + 1] & 0x7f;

		if (n >= 126 || in.n - at < 2 + mask + n)
			break;
		for (size_t i = 0; i < 2 + mask + n; i++)
			CHECK((whole[at + i] == WS_HEAD) == (i < 2 + mask));
		at += 2 + mask + n;
		CHECK(n == 0 || whole[at - 1] == WS_PAYLOAD_END);
	}
	free(whole);
	free(pieces);
}

static bool is_handshake(struct str head, struct msg *m)
{
	return h1_parse_request(head, m, NULL) == 0 && ws_is_asked(m) &&
	       ws_check_request(m, NULL) == 0;
}

static void check_handshake(struct str in)
{
	struct arena arena;
	struct msg m, again;
	auto_buf out = BUF_INIT(MIB(1));
	size_t scanned = 0;
	ssize_t n = h1_head_end(in, &scanned, NULL);

	arena_init(&arena, MIB(1));
	msg_init(&m, &arena);
	msg_init(&again, &arena);
	if (n > 0 && is_handshake(str_sub(in, 0, (size_t)n), &m)) {
		m.framing = BODY_NONE;
		CHECK(h1_write_request(&out, &m, "upgrade", NULL) == 0);
		CHECK(is_handshake(buf_str(&out), &again));
		CHECK(ws_set_key(&m, NULL) == 0 && ws_check_request(&m, NULL) == 0);
	}
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] & 1)
		check_frames(str_mem(data + 1, size - 1), 1 + data[0] / 2);
	else
		check_handshake(str_mem(data + 1, size - 1));
	return 0;
}
