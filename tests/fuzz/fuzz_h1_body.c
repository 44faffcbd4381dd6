/*
 * Bodies. Besides memory safety:
 * - bytes, trailers, end and refusal do not depend on how the input is cut;
 * - what was decoded, written as chunks, decodes to the same.
 *
 * The first byte of the input chooses the framing, the second the cuts.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

struct result {
	struct arena arena;
	struct msg trailers;
	struct buf body;
	enum h1_step last;
	size_t used;
	struct h1_body state;
};

/* As a connection does it: the input grows by `step` bytes, what was used is dropped. */
static void decode(struct result *r, const struct msg *head, struct str in, size_t step)
{
	size_t have = 0;

	arena_init(&r->arena, MIB(1));
	msg_init(&r->trailers, &r->arena);
	buf_init(&r->body, MIB(4));
	h1_body_init(&r->state, head);
	r->used = 0;
	do {
		have = in.n - have < step ? in.n : have + step;
		do {
			/* A copy: reading past what is there is seen. */
			size_t n = have - r->used, used = 0;
			char *bytes = mem_dup(in.p + r->used, n);
			struct str piece = STR_NONE;

			r->last = h1_body_next(&r->state, str_mem(bytes, n), &piece, &used,
					       &r->trailers, NULL);
			if (r->last == H1_PIECE) {
				CHECK(piece.n > 0 && piece.p >= bytes);
				CHECK(piece.p + piece.n <= bytes + used);
				CHECK(buf_add(&r->body, piece, NULL) == 0);
			}
			if (r->last != H1_BAD) {
				CHECK(used <= n);
				r->used += used;
			}
			free(bytes);
		} while (r->last == H1_PIECE);
	} while (r->last == H1_MORE && have < in.n);
}

static void release(struct result *r)
{
	arena_fini(&r->arena);
	buf_fini(&r->body);
}

static void check_fields_same(const struct fields *a, const struct fields *b)
{
	CHECK(a->n == b->n);
	for (size_t i = 0; i < a->n; i++)
		CHECK(str_eq(a->v[i].name, b->v[i].name) && str_eq(a->v[i].value, b->v[i].value));
}

static void check_same(const struct result *a, const struct result *b)
{
	CHECK(a->last == b->last);
	/* A piece of a body that is refused later may have been given or not: the refusal may come
	 * sooner. */
	if (a->last == H1_BAD)
		return;
	CHECK(str_eq(buf_str(&a->body), buf_str(&b->body)));
	if (a->last != H1_END)
		return;
	CHECK(a->used == b->used);
	check_fields_same(&a->trailers.fields, &b->trailers.fields);
}

static void round_trip(const struct result *r)
{
	const struct msg head = { .framing = BODY_CHUNKED };
	auto_buf out = BUF_INIT(MIB(8));
	struct str rest = buf_str(&r->body);
	struct result again;

	while (rest.n > 0) {
		size_t n = rest.n < 10 ? rest.n : rest.n / 2;

		CHECK(h1_write_chunk_head(&out, n, NULL) == 0);
		CHECK(buf_add(&out, str_sub(rest, 0, n), NULL) == 0);
		CHECK(buf_addz(&out, "\r\n", NULL) == 0);
		rest = str_from(rest, n);
	}
	CHECK(h1_write_last_chunk(&out, &r->trailers.fields, NULL) == 0);
	decode(&again, &head, buf_str(&out), SIZE_MAX);
	CHECK(again.last == H1_END && again.used == out.len);
	CHECK(str_eq(buf_str(&again.body), buf_str(&r->body)));
	check_fields_same(&again.trailers.fields, &r->trailers.fields);
	release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum body_framing framings[] = { BODY_CHUNKED, BODY_CHUNKED,     BODY_CHUNKED,
						      BODY_LENGTH,  BODY_UNTIL_CLOSE, BODY_NONE };
	struct result whole, pieces;
	struct msg head;
	struct str in;

	if (size < 3)
		return 0;
	head = (struct msg){ .framing = framings[data[0] % ARRAY_LEN(framings)],
			     .length = data[1] };
	in = str_mem(data + 2, size - 2);
	decode(&whole, &head, in, SIZE_MAX);
	decode(&pieces, &head, in, 1 + data[1] % 7);
	check_same(&whole, &pieces);
	if (h1_body_eof(&whole.state, NULL) == 0 && whole.last != H1_BAD)
		round_trip(&whole);
	release(&whole);
	release(&pieces);
	return 0;
}
