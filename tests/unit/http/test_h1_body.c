#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"

struct result {
	struct buf body;
	char trailers[256];
	enum h1_step last; /* H1_END, H1_BAD, or H1_MORE when all input was used up */
	size_t used;       /* bytes of the input that belong to the message */
	struct err err;
};

/* Feeds `in` cut at the given places (each cut < next), as a connection would. */
static void decode(struct result *r, const struct msg *head, struct str in, const size_t *cuts,
		   size_t cut_count)
{
	struct arena arena;
	struct msg trailers;
	struct h1_body b;
	size_t at = 0;

	memset(r, 0, sizeof(*r));
	buf_init(&r->body, MIB(1));
	arena_init(&arena, HTTP_ARENA_MAX);
	msg_init(&trailers, &arena);
	h1_body_init(&b, head);
	r->last = H1_MORE;
	for (size_t i = 0; i <= cut_count && r->last == H1_MORE; i++) {
		size_t have = i < cut_count ? cuts[i] : in.n;

		do {
			struct str piece = STR_NONE;
			size_t used = 0;

			r->last = h1_body_next(&b, str_sub(in, at, have - at), &piece, &used,
					       &trailers, &r->err);
			if (r->last == H1_BAD)
				break;
			assert_true(used <= have - at);
			if (r->last == H1_PIECE) {
				assert_true(piece.n > 0);
				assert_true(piece.p >= in.p + at &&
					    piece.p + piece.n <= in.p + at + used);
				assert_int_equal(buf_add(&r->body, piece, NULL), 0);
			}
			at += used;
		} while (r->last == H1_PIECE);
	}
	r->used = at;
	for (size_t i = 0; i < trailers.fields.n; i++)
		snprintf(r->trailers + strlen(r->trailers),
			 sizeof(r->trailers) - strlen(r->trailers), "%.*s=%.*s;",
			 STR_ARG(trailers.fields.v[i].name), STR_ARG(trailers.fields.v[i].value));
	arena_fini(&arena);
}

static void free_result(struct result *r)
{
	buf_fini(&r->body);
}

static const struct msg chunked = { .framing = BODY_CHUNKED };

static const struct {
	const char *in, *body, *trailers;
} good[] = {
	{ "0\r\n\r\n", "", "" },
	{ "5\r\nhello\r\n0\r\n\r\n", "hello", "" },
	{ "1\r\nh\r\n0004\r\nello\r\n000\r\n\r\n", "hello", "" },
	{ "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", "" },
	{ "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", "" },
	{ "5;a\r\nhello\r\n0;b=c;d\r\n\r\n", "hello", "" },
	{ "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", "" },
	{ "3\r\n0\r\n\r\n0\r\n\r\n", "0\r\n", "" },
	{ "1\r\nx\r\n0\r\nX-Sum: 1\r\ngrpc-status:\t0 \r\n\r\n", "x", "X-Sum=1;grpc-status=0;" },
};

static void test_chunked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		auto_buf in = BUF_INIT(4096);
		struct result r;

		assert_int_equal(buf_addf(&in, NULL, "%sGET /next", good[i].in), 0);
		decode(&r, &chunked, buf_str(&in), NULL, 0);
		assert_int_equal(r.last, H1_END);
		assert_int_equal(r.used, strlen(good[i].in));
		assert_string_equal(buf_z(&r.body), good[i].body);
		assert_string_equal(r.trailers, good[i].trailers);
		free_result(&r);
	}
}

/* Any two cuts give what the whole gives. */
static void test_chunked_splits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct str in = str_of(good[i].in);

		for (size_t a = 0; a < in.n; a++)
			for (size_t b = a; b < in.n; b++) {
				const size_t cuts[] = { a, b };
				struct result r;

				decode(&r, &chunked, in, cuts, 2);
				assert_int_equal(r.last, H1_END);
				assert_int_equal(r.used, in.n);
				assert_string_equal(buf_z(&r.body), good[i].body);
				assert_string_equal(r.trailers, good[i].trailers);
				free_result(&r);
			}
	}
}

static const char *const bad[] = {
	"\r\n",
	"x\r\n",
	"+5\r\nhello\r\n",
	"-1\r\n",
	"0x5\r\nhello\r\n",
	" 5\r\nhello\r\n",
	"5 \r\nhello\r\n",
	"5\t\r\nhello\r\n",
	"5\nhello\r\n",
	"05\n\r\n", /* read without its last digit it would be the end */
	"5;a\nhello\r\n",
	"5\r\r\n",
	"5\rx\r\nhello\r\n",
	"5_0\r\n",
	"00000000000000005\r\nhello\r\n", /* 17 digits */
	"10000000000000000\r\n",          /* 2^64 */
	"5;\r\nhello\r\n",
	"5;a b\r\nhello\r\n",
	"5; a\r\nhello\r\n",
	"5;a=\r\nhello\r\n",
	"5;a=\"b\"\r\nhello\r\n",
	"5;a=b\rc\r\nhello\r\n",
	"5;\xff\r\nhello\r\n",
	";a\r\n",
	"5\r\nhello!\r\n",
	"5\r\nhello\n0\r\n\r\n",
	"5\r\nhello\r0\r\n\r\n",
	"5\r\nhello0\r\n\r\n",
	"5\r\nhello??0\r\n\r\n", /* skipped unseen these two bytes would be the CRLF */
	"5\r\nhello\r?0\r\n\r\n",
	"5\r\nhello?\n0\r\n\r\n",
	"0\r\n\n",
	"0\r\nA: b\n\r\n",
	"0\r\n A: b\r\n\r\n",
	"0\r\nA : b\r\n\r\n",
	"0\r\nA: b\r\n c\r\n\r\n",
	"0\r\nA\r\n\r\n",
	"0\r\nA: \x01\r\n\r\n",
	"0\r\nContent-Length: 5\r\n\r\n",
	"0\r\ntransfer-encoding: chunked\r\n\r\n",
	"0\r\nHOST: b\r\n\r\n",
	"0\r\nAuthorization: x\r\n\r\n",
	"0\r\nX-Api-Key: x\r\n\r\n",
	"0\r\nSet-Cookie: x\r\n\r\n",
};

static void test_chunked_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct str in = str_of(bad[i]);
		size_t every[64];
		struct result r;

		decode(&r, &chunked, in, NULL, 0);
		if (r.last != H1_BAD)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(r.err.code, E_BAD);
		free_result(&r);
		/* and byte by byte */
		for (size_t n = 0; n < in.n; n++)
			every[n] = n;
		decode(&r, &chunked, in, every, in.n);
		assert_int_equal(r.last, H1_BAD);
		free_result(&r);
	}
}

static void expect_limit(const struct buf *in)
{
	struct result r;

	decode(&r, &chunked, buf_str(in), NULL, 0);
	assert_int_equal(r.last, H1_BAD);
	assert_int_equal(r.err.code, E_LIMIT);
	free_result(&r);
}

static void test_chunked_limits(void **state)
{
	auto_buf line = BUF_INIT(KIB(64)), section = BUF_INIT(KIB(64));
	auto_buf many = BUF_INIT(KIB(64));

	(void)state;
	assert_int_equal(buf_addz(&line, "5;", NULL), 0);
	while (line.len < HTTP_CHUNK_LINE_MAX)
		assert_int_equal(buf_addc(&line, 'x', NULL), 0);
	expect_limit(&line);
	assert_int_equal(buf_addz(&section, "0\r\nA: ", NULL), 0);
	while (section.len < HTTP_TRAILER_MAX + 4)
		assert_int_equal(buf_addc(&section, 'x', NULL), 0);
	expect_limit(&section);
	assert_int_equal(buf_addz(&many, "0\r\n", NULL), 0);
	for (int i = 0; i <= HTTP_FIELDS_MAX; i++)
		assert_int_equal(buf_addz(&many, "A: b\r\n", NULL), 0);
	assert_int_equal(buf_addz(&many, "\r\n", NULL), 0);
	expect_limit(&many);
}

static void test_trailers_checked_when_dropped(void **state)
{
	struct str in = STR("0\r\nHost: b\r\n\r\n"), piece;
	struct h1_body b;
	size_t used;

	(void)state;
	h1_body_init(&b, &chunked);
	assert_int_equal(h1_body_next(&b, in, &piece, &used, NULL, NULL), H1_BAD);
	h1_body_init(&b, &chunked);
	in = STR("0\r\nOk: b\r\n\r\n");
	assert_int_equal(h1_body_next(&b, in, &piece, &used, NULL, NULL), H1_END);
}

/* Trailers outlive the input, and have the arena's maximum. */
static void test_trailers_are_copied(void **state)
{
	static const char in[] = "0\r\nX-Sum: 1\r\n\r\n";
	char *copy = mem_dup(in, sizeof(in) - 1);
	struct err err = ERR_INIT;
	struct arena arena;
	struct msg trailers;
	struct str piece;
	struct h1_body b;
	size_t used;

	(void)state;
	arena_init(&arena, HTTP_ARENA_MAX);
	msg_init(&trailers, &arena);
	h1_body_init(&b, &chunked);
	assert_int_equal(h1_body_next(&b, str_mem(copy, sizeof(in) - 1), &piece, &used, &trailers,
				      &err),
			 H1_END);
	free(copy);
	assert_true(str_eqz(msg_value(&trailers, "x-sum"), "1"));
	arena_fini(&arena);
	arena_init(&arena, 8);
	msg_init(&trailers, &arena);
	h1_body_init(&b, &chunked);
	assert_int_equal(h1_body_next(&b, str_mem(in, sizeof(in) - 1), &piece, &used, &trailers,
				      &err),
			 H1_BAD);
	assert_int_equal(err.code, E_LIMIT);
	arena_fini(&arena);
}

static void test_length(void **state)
{
	const struct msg head = { .framing = BODY_LENGTH, .length = 5 };
	struct str in = STR("helloGET /");
	struct result r;

	(void)state;
	for (size_t cut = 0; cut < in.n; cut++) {
		decode(&r, &head, in, &cut, 1);
		assert_int_equal(r.last, H1_END);
		assert_int_equal(r.used, 5);
		assert_string_equal(buf_z(&r.body), "hello");
		free_result(&r);
	}
	decode(&r, &head, STR("hell"), NULL, 0);
	assert_int_equal(r.last, H1_MORE);
	free_result(&r);
}

static void test_no_body(void **state)
{
	const struct msg none = { .framing = BODY_NONE };
	const struct msg zero = { .framing = BODY_LENGTH, .length = 0 };
	struct result r;

	(void)state;
	decode(&r, &none, STR("GET /"), NULL, 0);
	assert_true(r.last == H1_END && r.used == 0);
	free_result(&r);
	decode(&r, &zero, STR(""), NULL, 0);
	assert_true(r.last == H1_END && r.used == 0);
	free_result(&r);
}

static void test_eof(void **state)
{
	static const struct {
		enum body_framing framing;
		uint64_t length;
		const char *in;
		int rc;
	} cases[] = {
		{ BODY_NONE, 0, "", 0 },
		{ BODY_LENGTH, 5, "hello", 0 },
		{ BODY_LENGTH, 5, "hell", -1 },
		{ BODY_LENGTH, 5, "", -1 },
		{ BODY_UNTIL_CLOSE, 0, "", 0 },
		{ BODY_UNTIL_CLOSE, 0, "anything", 0 },
		{ BODY_CHUNKED, 0, "", -1 },
		{ BODY_CHUNKED, 0, "5\r\nhello\r\n", -1 },
		{ BODY_CHUNKED, 0, "5\r\nhello\r\n0\r\n", -1 },
		{ BODY_CHUNKED, 0, "5\r\nhello\r\n0\r\n\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct msg head = { .framing = cases[i].framing, .length = cases[i].length };
		struct str in = str_of(cases[i].in), piece;
		struct err err = ERR_INIT;
		struct h1_body b;
		size_t used;

		h1_body_init(&b, &head);
		while (h1_body_next(&b, in, &piece, &used, NULL, NULL) == H1_PIECE)
			in = str_from(in, used);
		assert_int_equal(h1_body_eof(&b, &err), cases[i].rc);
		if (cases[i].rc < 0)
			assert_int_equal(err.code, E_IO);
		else /* and the message is over then */
			assert_int_equal(h1_body_next(&b, STR_NONE, &piece, &used, NULL, NULL),
					 H1_END);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_chunked_splits),
		cmocka_unit_test(test_chunked_refused),
		cmocka_unit_test(test_chunked_limits),
		cmocka_unit_test(test_trailers_checked_when_dropped),
		cmocka_unit_test(test_trailers_are_copied),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_no_body),
		cmocka_unit_test(test_eof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
