#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "http/h1.h"

#define H "Host: a\r\n"
#define END "\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define OK "HTTP/1.1 200 OK\r\n"

struct message {
	struct arena arena;
	struct msg m;
	struct err err;
};

/* Measures and parses; the head must be all of `text`. */
static int parse(struct message *x, struct str text, const char *request_method)
{
	size_t scanned = 0;
	ssize_t n;

	arena_init(&x->arena, HTTP_ARENA_MAX);
	msg_init(&x->m, &x->arena);
	err_clear(&x->err);
	n = h1_head_end(text, &scanned, &x->err);
	if (n < 0)
		return -1;
	if (n == 0)
		return err_set(&x->err, E_BAD, "incomplete");
	assert_int_equal(n, text.n);
	return request_method ? h1_parse_response(text, str_of(request_method), &x->m, &x->err)
			      : h1_parse_request(text, &x->m, &x->err);
}

static void release(struct message *x)
{
	arena_fini(&x->arena);
}

/* What a message means, in one line. */
static void describe(const struct msg *m, struct buf *out)
{
	static const char *const forms[] = { "origin", "absolute", "authority", "asterisk" };
	static const char *const framings[] = { "none", "length", "chunked", "until-close" };

	if (m->is_response)
		assert_int_equal(buf_addf(out, NULL, "%d '%.*s'", m->status, STR_ARG(m->reason)),
				 0);
	else
		assert_int_equal(buf_addf(out, NULL,
					  "%.*s %s scheme=%.*s authority=%.*s "
					  "path=%.*s query=%.*s host=%.*s",
					  STR_ARG(m->method), forms[m->form], STR_ARG(m->scheme),
					  STR_ARG(m->authority), STR_ARG(m->path),
					  STR_ARG(m->query), STR_ARG(m->host)),
				 0);
	assert_int_equal(buf_addf(out, NULL, " 1.%d %s/%llu%s%s", m->version == HTTP_1_1,
				  framings[m->framing], (unsigned long long)m->length,
				  m->keep_alive ? " keep" : "", m->expect_continue ? " 100" : ""),
			 0);
	if (m->upgrade.n > 0)
		assert_int_equal(buf_addf(out, NULL, " up=%.*s", STR_ARG(m->upgrade)), 0);
	for (size_t i = 0; i < m->fields.n; i++)
		assert_int_equal(buf_addf(out, NULL, " [%.*s|%.*s]", STR_ARG(m->fields.v[i].name),
					  STR_ARG(m->fields.v[i].value)),
				 0);
}

static const struct {
	const char *head, *want;
} requests[] = {
	{ GET H END, "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 keep "
		     "[Host|a]" },
	{ "\r\n" GET H END, "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 keep "
			    "[Host|a]" },
	{ "GET /a?b?c HTTP/1.1\r\nhost:\t a:80 \t\r\n" END,
	  "GET origin scheme= authority= path=/a query=b?c host=a:80 1.1 none/0 keep "
	  "[host|a:80]" },
	{ "M-SEARCH //x HTTP/1.0\r\n" END,
	  "M-SEARCH origin scheme= authority= path=//x query= host= 1.0 none/0" },
	{ "GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n" END,
	  "GET origin scheme= authority= path=/ query= host= 1.0 none/0 keep "
	  "[Connection|x, Keep-Alive]" },
	{ GET H "Connection: close, keep-alive\r\n" END,
	  "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 [Host|a] "
	  "[Connection|close, keep-alive]" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n" END,
	  "POST origin scheme= authority= path=/ query= host=a 1.1 length/0 keep [Host|a] "
	  "[Content-Length|0]" },
	{ "POST / HTTP/1.1\r\n" H "content-LENGTH: 9223372036854775807\r\n" END,
	  "POST origin scheme= authority= path=/ query= host=a 1.1 length/9223372036854775807 keep "
	  "[Host|a] [content-LENGTH|9223372036854775807]" },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n" END,
	  "POST origin scheme= authority= path=/ query= host=a 1.1 chunked/0 keep 100 [Host|a] "
	  "[Transfer-Encoding|Chunked] [Expect|100-Continue]" },
	{ "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" END,
	  "POST origin scheme= authority= path=/ query= host= 1.0 length/1 "
	  "[Expect|100-continue] [Content-Length|1]" },
	{ "GET http://A.example/x?y HTTP/1.1\r\nHost: A.example\r\n" END,
	  "GET absolute scheme=http authority=A.example path=/x query=y host=A.example 1.1 none/0 "
	  "keep [Host|A.example]" },
	{ "GET https://a?y HTTP/1.1\r\n" H END,
	  "GET absolute scheme=https authority=a path=/ query=y host=a 1.1 none/0 keep [Host|a]" },
	{ "OPTIONS http://a HTTP/1.1\r\n" H END,
	  "OPTIONS absolute scheme=http authority=a path=* query= host=a 1.1 none/0 keep "
	  "[Host|a]" },
	{ "OPTIONS * HTTP/1.1\r\n" H END,
	  "OPTIONS asterisk scheme= authority= path=* query= host=a 1.1 none/0 keep [Host|a]" },
	{ "CONNECT a:443 HTTP/1.1\r\n" H "Content-Length: 0\r\n" END,
	  "CONNECT authority scheme= authority=a:443 path= query= host=a 1.1 none/0 keep [Host|a] "
	  "[Content-Length|0]" },
	{ "CONNECT [::1]:443 HTTP/1.0\r\n" END,
	  "CONNECT authority scheme= authority=[::1]:443 path= query= host= 1.0 none/0" },
	{ GET H "Upgrade: websocket\r\nConnection: Upgrade\r\n" END,
	  "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 keep up=websocket [Host|a] "
	  "[Upgrade|websocket] [Connection|Upgrade]" },
	{ GET H "Connection: upgrade\r\nReferer: x\r\nUpgrade: a\r\nUpgrade: b\r\n" END,
	  "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 keep up=a [Host|a] "
	  "[Connection|upgrade] [Referer|x] [Upgrade|a] [Upgrade|b]" },
	{ "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n" END,
	  "GET origin scheme= authority= path=/ query= host= 1.0 none/0 [Connection|upgrade] "
	  "[Upgrade|a]" },
	{ GET H "Upgrade: websocket\r\n" END,
	  "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 keep [Host|a] "
	  "[Upgrade|websocket]" },
	{ GET H "X-Empty:\r\nX: caf\xc3\xa9\ta b\r\n" END,
	  "GET origin scheme= authority= path=/ query= host=a 1.1 none/0 keep [Host|a] [X-Empty|] "
	  "[X|caf\xc3\xa9\ta b]" },
};

static const struct {
	const char *method, *head, *want;
} responses[] = {
	{ "GET", OK "Content-Length: 5\r\n" END, "200 'OK' 1.1 length/5 keep [Content-Length|5]" },
	{ "GET", OK END, "200 'OK' 1.1 until-close/0" },
	{ "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n" END,
	  "200 '' 1.1 length/0 keep [Content-Length|0]" },
	{ "GET", "HTTP/1.1 404 \r\nContent-Length: 0\r\n" END,
	  "404 '' 1.1 length/0 keep [Content-Length|0]" },
	{ "GET", "HTTP/1.0 200 Fine  thanks\r\nContent-Length: 5\r\n" END,
	  "200 'Fine  thanks' 1.0 length/5 [Content-Length|5]" },
	{ "GET", "HTTP/1.1 999 caf\xe9\r\nTransfer-Encoding: chunked\r\n" END,
	  "999 'caf\xe9' 1.1 chunked/0 keep [Transfer-Encoding|chunked]" },
	{ "HEAD", OK "Content-Length: 5\r\n" END, "200 'OK' 1.1 none/0 keep [Content-Length|5]" },
	{ "HEAD", OK "Transfer-Encoding: chunked\r\n" END,
	  "200 'OK' 1.1 none/0 keep [Transfer-Encoding|chunked]" },
	{ "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n" END,
	  "304 'Not Modified' 1.1 none/0 keep [Content-Length|5]" },
	{ "GET", "HTTP/1.1 204 No Content\r\n" END, "204 'No Content' 1.1 none/0 keep" },
	{ "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n" END,
	  "204 'No Content' 1.1 none/0 keep [Content-Length|0]" },
	/* It may send that body: the connection is not used again. */
	{ "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n" END,
	  "204 'No Content' 1.1 none/0 [Content-Length|9]" },
	/* What some read as framing is refused in requests; servers write all sorts of things. */
	{ "GET", OK "Content_Length: 5\r\n" END, "200 'OK' 1.1 until-close/0 [Content_Length|5]" },
	{ "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n" END,
	  "204 'No Content' 1.1 none/0 [Transfer-Encoding|chunked]" },
	{ "GET", "HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n" END,
	  "103 'Early Hints' 1.1 none/0 [Content-Length|9]" },
	{ "GET", "HTTP/1.1 100 Continue\r\n" END, "100 'Continue' 1.1 none/0 keep" },
	{ "GET", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" END,
	  "101 'Switching' 1.1 none/0 keep up=websocket [Connection|upgrade] "
	  "[Upgrade|websocket]" },
	{ "CONNECT", OK END, "200 'OK' 1.1 none/0 keep" },
	{ "CONNECT", "HTTP/1.1 403 No\r\nContent-Length: 3\r\n" END,
	  "403 'No' 1.1 length/3 keep [Content-Length|3]" },
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		auto_buf got = BUF_INIT(4096);
		struct message x;

		if (parse(&x, str_of(requests[i].head), NULL) < 0)
			fail_msg("%s: %s", requests[i].head, x.err.text);
		describe(&x.m, &got);
		assert_string_equal(buf_z(&got), requests[i].want);
		release(&x);
	}
}

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
		auto_buf got = BUF_INIT(4096);
		struct message x;

		if (parse(&x, str_of(responses[i].head), responses[i].method) < 0)
			fail_msg("%s: %s", responses[i].head, x.err.text);
		describe(&x.m, &got);
		assert_string_equal(buf_z(&got), responses[i].want);
		release(&x);
	}
}

struct refused {
	const char *head, *why;
};

static const struct refused bad_requests[] = {
	/* start line */
	{ "GET /\r\n" END, "target and version" }, /* HTTP/0.9 */
	{ "GET / HTTP/1.1 \r\n" H END, "version" },
	{ "GET  / HTTP/1.1\r\n" H END, "target" },
	{ "GET /  HTTP/1.1\r\n" H END, "version" },
	{ "GET\t/ HTTP/1.1\r\n" H END, "method" },
	{ " GET / HTTP/1.1\r\n" H END, "method" },
	{ "GET / HTTP/1.2\r\n" H END, "version" },
	{ "GET / HTTP/2.0\r\n" H END, "version" },
	{ "GET / HTTP/1.01\r\n" H END, "version" },
	{ "GET / HTTP/11\r\n" H END, "version" },
	{ "GET / http/1.1\r\n" H END, "version" },
	{ "GET / HTTP/1.1\v\r\n" H END, "version" },
	{ "G@T / HTTP/1.1\r\n" H END, "method" },
	{ "G\xc3T / HTTP/1.1\r\n" H END, "method" },
	{ "GET /a b HTTP/1.1\r\n" H END, "version" },
	{ "GET /\xc3\xbc HTTP/1.1\r\n" H END, "target" },
	{ "GET /a#b HTTP/1.1\r\n" H END, "target" },
	{ "GET /a\x7f HTTP/1.1\r\n" H END, "target" },
	{ "GET /a\tb HTTP/1.1\r\n" H END, "target" },
	{ "GET a HTTP/1.1\r\n" H END, "neither a path" },
	{ "GET * HTTP/1.1\r\n" H END, "neither a path" },
	{ "OPTIONS *x HTTP/1.1\r\n" H END, "neither a path" },
	{ "GET a:443 HTTP/1.1\r\n" H END, "neither a path" },
	{ "GET ftp://a/ HTTP/1.1\r\n" H END, "neither a path" },
	{ "GET http://u@a/ HTTP/1.1\r\n" H END, "0x40" },
	{ "GET http:///x HTTP/1.1\r\n" H END, "empty host" },
	{ "CONNECT a HTTP/1.1\r\n" H END, "port" },
	{ "CONNECT / HTTP/1.1\r\n" H END, "0x2f" },
	{ "CONNECT http://a:80 HTTP/1.1\r\n" H END, "CONNECT" },
	{ "CONNECT 127.1:443 HTTP/1.1\r\n" H END, "odd spelling" },
	{ "connect a:443 HTTP/1.1\r\n" H END, "neither a path" },
	{ "\r\n\r\n", "method" },
	{ "PRI * HTTP/2.0\r\n" END, "version" },
	/* Host */
	{ GET END, "no Host" },
	{ GET H H END, "more than one Host" },
	{ GET H "hOST: b\r\n" END, "more than one hOST" },
	{ GET "Host:\r\n" END, "empty host" },
	{ GET "Host: a b\r\n" END, "0x20" },
	{ GET "Host: a, b\r\n" END, "0x2c" },
	{ GET "Host: http://a\r\n" END, "Host" },
	{ GET "Host: a:0\r\n" END, "port" },
	{ GET "Host: u@a\r\n" END, "0x40" },
	{ GET "Host: 0x7f.1\r\n" END, "odd spelling" },
	{ "GET / HTTP/1.0\r\nHost: /\r\n" END, "Host" },
	/* fields */
	{ GET H " folded\r\n" END, "folded" },
	{ GET H "A: b\r\n\tfolded\r\n" END, "folded" },
	{ GET " A: b\r\n" H END, "folded" },
	{ GET H "A : b\r\n" END, "white space after the field name A" },
	{ GET H "A\t: b\r\n" END, "white space after the field name A" },
	{ GET H ": b\r\n" END, "without a name" },
	{ GET H "A\r\n" END, "0x0d in its name" },
	{ GET H "A B: c\r\n" END, "white space" },
	{ GET H "A(: c\r\n" END, "0x28 in its name" },
	{ GET H "A\xc3: c\r\n" END, "0xc3 in its name" },
	{ GET H "A: b\rc\r\n" END, "value of A holds the byte 0x0d" },
	{ GET H "A: b\x01\r\n" END, "value of A holds the byte 0x01" },
	{ GET H "A: b\x7f\r\n" END, "value of A holds the byte 0x7f" },
	{ GET H "A: b\x1b[0m\r\n" END, "value of A holds the byte 0x1b" },
	{ GET H "A: b\n" END, "bare line feed" },
	{ GET H "A: b\r\n\n", "bare line feed" },
	{ "GET / HTTP/1.1\n" H END, "bare line feed" },
	{ "\nGET / HTTP/1.1\r\n" H END, "bare line feed" },
	{ "GET / HTTP/1.1\r\r\n" H END, "version" },
	{ GET H "A: b\r\r\n" END, "value of A holds the byte 0x0d" },
	/* framing */
	{ GET H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END, "both" },
	{ GET H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n" END, "both" },
	{ GET H "Content-Length: 1\r\nContent-Length: 2\r\n" END, "more than one" },
	{ GET H "Content-Length: 1\r\ncontent-length: 1\r\n" END, "more than one" },
	{ GET H "Content-Length: 1, 1\r\n" END, "not one number" },
	{ GET H "Content-Length:\r\n" END, "not one number" },
	{ GET H "Content-Length: +1\r\n" END, "not one number" },
	{ GET H "Content-Length: -1\r\n" END, "not one number" },
	{ GET H "Content-Length: 0x1\r\n" END, "not one number" },
	{ GET H "Content-Length: 1 0\r\n" END, "not one number" },
	{ GET H "Content-Length: 1_0\r\n" END, "not one number" },
	{ GET H "Content-Length: 9223372036854775808\r\n" END, "not one number" },
	{ GET H "Content-Length: 18446744073709551617\r\n" END, "not one number" },
	{ GET H "Transfer-Encoding: gzip, chunked\r\n" END, "coding" },
	{ GET H "Transfer-Encoding: chunked, chunked\r\n" END, "coding" },
	{ GET H "Transfer-Encoding: identity\r\n" END, "coding" },
	{ GET H "Transfer-Encoding: chunked;a=b\r\n" END, "coding" },
	{ GET H "Transfer-Encoding: xchunked\r\n" END, "coding" },
	{ GET H "Transfer-Encoding: \"chunked\"\r\n" END, "coding" },
	{ GET H "Transfer-Encoding:\r\n" END, "coding" },
	{ GET H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END,
	  "more than one" },
	{ GET H "Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n" END,
	  "more than one" },
	{ GET H "Content_Length: 1\r\n" END, "which some read as content-length" },
	{ GET H "TRANSFER.ENCODING: chunked\r\n" END, "which some read as transfer-encoding" },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, "in HTTP/1.0" },
	{ "CONNECT a:1 HTTP/1.1\r\n" H "Content-Length: 1\r\n" END, "CONNECT with a body" },
	{ "CONNECT a:1 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n" END,
	  "CONNECT with a body" },
};

static const struct refused bad_responses[] = {
	{ "\r\n" OK END, "version" }, /* the empty line is for requests only */
	{ "HTTP/1.1  200 OK\r\n" END, "status" },
	{ "HTTP/1.1X200 OK\r\n" END, "status" },
	{ "HTTP/1.1 20 OK\r\n" END, "status" },
	{ "HTTP/1.1 2000 OK\r\n" END, "status" },
	{ "HTTP/1.1 099 OK\r\n" END, "status" },
	{ "HTTP/1.1 2x0 OK\r\n" END, "status" },
	{ "HTTP/1.1 +20 OK\r\n" END, "status" },
	{ "HTTP/1.1 200\tOK\r\n" END, "status" },
	{ "HTTP/1.1\r\n" END, "status" },
	{ "HTTP/1.1 200 O\x01K\r\n" END, "control" },
	{ "HTTP/1.1 200 O\rK\r\n" END, "control" },
	{ "HTTP/2 200 OK\r\n" END, "version" },
	{ "ICY 200 OK\r\n" END, "version" },
	{ OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END, "both" },
	{ OK "Content-Length: 1\r\nContent-Length: 1\r\n" END, "more than one" },
	{ OK "Transfer-Encoding: gzip\r\n" END, "coding" },
	{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" END, "in HTTP/1.0" },
	{ OK "A: b\r\n c\r\n" END, "folded" },
	{ OK "A : b\r\n" END, "white space" },
};

static void expect_refused(const struct refused *cases, size_t n, const char *method)
{
	for (size_t i = 0; i < n; i++) {
		struct message x;

		if (parse(&x, str_of(cases[i].head), method) == 0)
			fail_msg("accepted: %s", cases[i].head);
		assert_int_equal(x.err.code, E_BAD);
		if (!strstr(x.err.text, cases[i].why))
			fail_msg("%s: %s", cases[i].head, x.err.text);
		release(&x);
	}
}

static void test_refused(void **state)
{
	struct message x;
	struct str nul = STR(GET H "A: b\0c\r\n" END);

	(void)state;
	expect_refused(bad_requests, ARRAY_LEN(bad_requests), NULL);
	expect_refused(bad_responses, ARRAY_LEN(bad_responses), "GET");
	assert_int_equal(parse(&x, nul, NULL), -1);
	assert_non_null(strstr(x.err.text, "NUL"));
	release(&x);
}

/* A head and its body often come in one piece; what is forbidden in the one is common in the other.
 */
static void test_any_byte_behind_the_head(void **state)
{
	struct str head = STR(GET H END), both = STR(GET H END "\0\n\r\0");
	struct err err = ERR_INIT;
	size_t scanned = 0;

	(void)state;
	assert_int_equal(h1_head_end(both, &scanned, &err), (ssize_t)head.n);
}

/* The value of a refused field may be a credential. */
static void test_errors_hide_values(void **state)
{
	struct message x;

	(void)state;
	assert_int_equal(parse(&x, STR(GET H "Authorization: sesame\x01\r\n" END), NULL), -1);
	assert_non_null(strstr(x.err.text, "Authorization"));
	assert_null(strstr(x.err.text, "sesame"));
	release(&x);
}

/* A head of exactly n bytes: one long field. */
static void make_head(struct buf *out, const char *first, size_t n)
{
	assert_int_equal(buf_addf(out, NULL, "%s" H "A: ", first), 0);
	while (out->len < n - 4)
		assert_int_equal(buf_addc(out, 'x', NULL), 0);
	assert_int_equal(buf_addz(out, "\r\n\r\n", NULL), 0);
}

static void test_limits(void **state)
{
	struct message x;
	size_t scanned = 0;

	(void)state;
	{
		auto_buf head = BUF_INIT(HTTP_HEAD_MAX + 16);

		make_head(&head, GET, HTTP_HEAD_MAX);
		assert_int_equal(parse(&x, buf_str(&head), NULL), 0);
		release(&x);
	}
	{
		auto_buf head = BUF_INIT(HTTP_HEAD_MAX + 16);

		make_head(&head, GET, HTTP_HEAD_MAX + 1);
		assert_int_equal(parse(&x, buf_str(&head), NULL), -1);
		assert_int_equal(x.err.code, E_LIMIT);
		release(&x);
		/* also before its end was seen */
		assert_int_equal(h1_head_end(str_sub(buf_str(&head), 0, HTTP_HEAD_MAX), &scanned,
					     &x.err),
				 0);
		scanned = 0;
		head.mem[HTTP_HEAD_MAX] = 'x';
		assert_int_equal(h1_head_end(buf_str(&head), &scanned, &x.err), -1);
		assert_int_equal(x.err.code, E_LIMIT);
	}
	{
		auto_buf head = BUF_INIT(HTTP_HEAD_MAX);

		assert_int_equal(buf_addz(&head, "GET /", NULL), 0);
		while (head.len < HTTP_LINE_MAX)
			assert_int_equal(buf_addc(&head, 'x', NULL), 0);
		assert_int_equal(buf_addz(&head, " HTTP/1.1\r\n" H END, NULL), 0);
		assert_int_equal(parse(&x, buf_str(&head), NULL), -1);
		assert_int_equal(x.err.code, E_LIMIT);
		release(&x);
	}
	{
		auto_buf head = BUF_INIT(HTTP_HEAD_MAX);

		assert_int_equal(buf_addz(&head, GET H, NULL), 0);
		for (int i = 1; i < HTTP_FIELDS_MAX; i++)
			assert_int_equal(buf_addz(&head, "A: b\r\n", NULL), 0);
		{
			auto_buf more = BUF_INIT(HTTP_HEAD_MAX);

			assert_int_equal(buf_add(&more, buf_str(&head), NULL), 0);
			assert_int_equal(buf_addz(&more, "A: b\r\n" END, NULL), 0);
			assert_int_equal(parse(&x, buf_str(&more), NULL), -1);
			assert_int_equal(x.err.code, E_LIMIT);
			release(&x);
		}
		assert_int_equal(buf_addz(&head, END, NULL), 0);
		assert_int_equal(parse(&x, buf_str(&head), NULL), 0);
		assert_int_equal(x.m.fields.n, HTTP_FIELDS_MAX);
		release(&x);
	}
}

/* A head found in two pieces, whatever the split, is the head found whole; what follows is not
 * touched. */
static void test_head_end_splits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		auto_buf data = BUF_INIT(4096);
		size_t n = strlen(requests[i].head);

		assert_int_equal(buf_addf(&data, NULL, "%sGET /next", requests[i].head), 0);
		for (size_t cut = 0; cut <= n; cut++) {
			size_t scanned = 0;
			ssize_t first =
				h1_head_end(str_sub(buf_str(&data), 0, cut), &scanned, NULL);

			assert_int_equal(first, cut == n ? n : 0);
			if (cut < n)
				assert_int_equal(h1_head_end(buf_str(&data), &scanned, NULL), n);
		}
	}
}

/* A body that came along with its head may hold what a head may not. */
static void test_body_behind_the_head(void **state)
{
	static const struct str bodies[] = { STR("\0\0"), STR("\n\n"), STR("\r\n\r\n"),
					     STR("a\n\0") };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		auto_buf data = BUF_INIT(4096);
		size_t scanned = 0;

		assert_int_equal(buf_addz(&data, GET H END, NULL), 0);
		assert_int_equal(buf_add(&data, bodies[i], NULL), 0);
		assert_int_equal(h1_head_end(buf_str(&data), &scanned, NULL), strlen(GET H END));
	}
}

/* Byte by byte, a refused head is refused, and never later than its end. */
static void test_refused_splits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_requests); i++) {
		struct str head = str_of(bad_requests[i].head);
		size_t scanned = 0, n = 0;
		ssize_t end = 0;
		struct message x;

		while (end == 0 && n < head.n)
			end = h1_head_end(str_sub(head, 0, ++n), &scanned, NULL);
		assert_int_not_equal(end, 0);
		if (end > 0) {
			assert_int_equal(parse(&x, str_sub(head, 0, (size_t)end), NULL), -1);
			release(&x);
		}
	}
}

/* The parsers do not rest on h1_head_end's having looked at each line's end. */
static void test_unmeasured(void **state)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\n" H END, "GET / HTTP/1.1x\n" H END,
		"\n" GET H END,           GET H "A: b\n" END,
		GET H "A: b\x01\n" END,   GET H "A: b\r\x01" END,
		GET H END "B: c\r\n",     GET H END H END,
		GET H "\rx" END,          GET H "x\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		struct message x = { .err = ERR_INIT };

		arena_init(&x.arena, HTTP_ARENA_MAX);
		msg_init(&x.m, &x.arena);
		if (h1_parse_request(str_of(heads[i]), &x.m, &x.err) == 0)
			fail_msg("accepted: %s", heads[i]);
		release(&x);
	}
}

/* Given something h1_head_end never measured, the parsers refuse and stay inside it. */
static void test_cut_heads(void **state)
{
	struct str head = STR(GET H "A: b\r\n" END);

	(void)state;
	for (size_t n = 0; n < head.n; n++) {
		char *copy = n ? mem_dup(head.p, n) : NULL;
		struct message x = { .err = ERR_INIT };

		arena_init(&x.arena, HTTP_ARENA_MAX);
		msg_init(&x.m, &x.arena);
		assert_int_equal(h1_parse_request(str_mem(copy, n), &x.m, &x.err), -1);
		release(&x);
		free(copy);
	}
}

static void test_arena_maximum(void **state)
{
	struct str head = STR(GET H "A: b\r\n" END);

	(void)state;
	for (size_t max = 0; max < head.n + 512; max += 16) {
		struct message x = { .err = ERR_INIT };

		arena_init(&x.arena, max);
		msg_init(&x.m, &x.arena);
		if (h1_parse_request(head, &x.m, &x.err) < 0)
			assert_int_equal(x.err.code, E_LIMIT);
		release(&x);
	}
}

/* Nothing of a message points into the bytes it was parsed from. */
static void test_owns_its_memory(void **state)
{
	static const char text[] = "GET http://a/x?y HTTP/1.1\r\n" H "B: c\r\n" END;
	char *copy = mem_dup(text, sizeof(text) - 1);
	auto_buf got = BUF_INIT(4096);
	struct message x;

	(void)state;
	assert_int_equal(parse(&x, str_mem(copy, sizeof(text) - 1), NULL), 0);
	memset(copy, 'z', sizeof(text) - 1);
	free(copy);
	describe(&x.m, &got);
	assert_string_equal(buf_z(&got),
			    "GET absolute scheme=http authority=a path=/x query=y host=a "
			    "1.1 none/0 keep [Host|a] [B|c]");
	release(&x);
}

static const char *connection_of(const struct msg *m)
{
	if (m->upgrade.n > 0)
		return "upgrade";
	if (!m->keep_alive)
		return "close";
	return NULL;
}

/* parse → write → parse gives the same message; writing that gives the same bytes. */
static void round_trip(struct str head, const char *method)
{
	auto_buf once = BUF_INIT(8192), twice = BUF_INIT(8192);
	auto_buf meaning = BUF_INIT(4096), again = BUF_INIT(4096);
	struct message x, y;
	int rc;

	assert_int_equal(parse(&x, head, method), 0);
	/* Ours is written, where these mean something or are said in another way. */
	if (x.m.version == HTTP_1_0)
		(void)msg_remove(&x.m, "expect");
	x.m.version = HTTP_1_1;
	(void)msg_remove(&x.m, "connection");
	(void)msg_remove(&x.m, "upgrade");
	if (!method && !x.m.host.p)
		assert_int_equal(msg_add(&x.m, STR("Host"), STR("a"), NULL), 0);
	rc = method ? h1_write_response(&once, &x.m, connection_of(&x.m), &x.err)
		    : h1_write_request(&once, &x.m, connection_of(&x.m), &x.err);
	if (rc < 0)
		fail_msg("%.*s: %s", STR_ARG(head), x.err.text);
	if (parse(&y, buf_str(&once), method) < 0)
		fail_msg("%s: %s", buf_z(&once), y.err.text);
	rc = method ? h1_write_response(&twice, &y.m, connection_of(&y.m), NULL)
		    : h1_write_request(&twice, &y.m, connection_of(&y.m), NULL);
	assert_int_equal(rc, 0);
	assert_string_equal(buf_z(&once), buf_z(&twice));
	(void)msg_remove(&x.m, "connection");
	(void)msg_remove(&y.m, "connection");
	(void)msg_remove(&y.m, "upgrade");
	(void)msg_remove(&x.m, "content-length");
	(void)msg_remove(&y.m, "content-length");
	(void)msg_remove(&x.m, "transfer-encoding");
	(void)msg_remove(&y.m, "transfer-encoding");
	describe(&x.m, &meaning);
	describe(&y.m, &again);
	assert_string_equal(buf_z(&meaning), buf_z(&again));
	release(&x);
	release(&y);
}

static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		round_trip(str_of(requests[i].head), NULL);
	for (size_t i = 0; i < ARRAY_LEN(responses); i++)
		round_trip(str_of(responses[i].head), responses[i].method);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_any_byte_behind_the_head),
		cmocka_unit_test(test_errors_hide_values),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_head_end_splits),
		cmocka_unit_test(test_body_behind_the_head),
		cmocka_unit_test(test_refused_splits),
		cmocka_unit_test(test_unmeasured),
		cmocka_unit_test(test_cut_heads),
		cmocka_unit_test(test_arena_maximum),
		cmocka_unit_test(test_owns_its_memory),
		cmocka_unit_test(test_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
