#include "http/ws.h"

#include "base/buf.h"
#include "base/enc.h"
#include "net/digest.h"
#include "sys/fd.h"

#define KEY_SIZE 16
#define VERSION "13"

/* --- the handshake -------------------------------------------------------------------------- */

bool ws_is_asked(const struct msg *m)
{
	return str_ieqz(m->upgrade, "websocket");
}

static bool has_body(const struct msg *m)
{
	/* In HTTP/2 the tunnel is the body. */
	if (m->extended_connect)
		return m->framing != BODY_CHUNKED;
	return m->framing != BODY_NONE && !(m->framing == BODY_LENGTH && m->length == 0);
}

static bool is_key(struct str s)
{
	auto_buf raw = BUF_INIT(KEY_SIZE);

	return enc_base64_decode(&raw, s, NULL) == 0 && raw.len == KEY_SIZE;
}

int ws_check_request(const struct msg *m, struct err *err)
{
	const bool h1 = !m->extended_connect;

	if (!str_eqz(m->method, "GET") || (h1 && m->version != HTTP_1_1) || has_body(m))
		return err_set(err, E_BAD,
			       "A WebSocket begins with a GET of HTTP/1.1, without a body, or with "
			       "an open CONNECT of HTTP/2.");
	if (h1 && msg_count(m, "upgrade") != 1)
		return err_set(err, E_BAD, "A WebSocket request has one Upgrade field.");
	if (msg_count(m, "sec-websocket-version") != 1 ||
	    !str_eqz(msg_value(m, "sec-websocket-version"), VERSION))
		return err_set(
			err, E_BAD,
			"A WebSocket request has one Sec-WebSocket-Version, which is " VERSION ".");
	if (h1 &&
	    (msg_count(m, "sec-websocket-key") != 1 || !is_key(msg_value(m, "sec-websocket-key"))))
		return err_set(err, E_BAD,
			       "A WebSocket request has one Sec-WebSocket-Key: %d bytes in base64.",
			       KEY_SIZE);
	return 0;
}

int ws_set_key(struct msg *m, struct err *err)
{
	unsigned char raw[KEY_SIZE];
	auto_buf key = BUF_INIT(64);

	sys_random(raw, sizeof(raw));
	if (enc_base64(&key, str_mem(raw, sizeof(raw)), err) < 0)
		return -1;
	return msg_set(m, STR("Sec-WebSocket-Key"), buf_str(&key), err);
}

/* RFC 6455 4.2.2 5.4 */
static int accept_of(struct str key, struct buf *ret, struct err *err)
{
	unsigned char hash[DIGEST_SHA1_SIZE];
	auto_buf text = BUF_INIT(256);

	if (buf_add(&text, key, err) < 0 ||
	    buf_addz(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", err) < 0 ||
	    digest_sha1(buf_str(&text), hash, err) < 0)
		return -1;
	return enc_base64(ret, str_mem(hash, sizeof(hash)), err);
}

int ws_check_answer(const struct msg *answer, struct str key, bool offered, struct err *err)
{
	auto_buf want = BUF_INIT(64);

	if (!ws_is_asked(answer) || msg_count(answer, "upgrade") != 1)
		return err_set(err, E_BAD,
			       "the upstream switched to something else than WebSocket");
	if (accept_of(key, &want, err) < 0)
		return -1;
	if (msg_count(answer, "sec-websocket-accept") != 1 ||
	    !str_eq(msg_value(answer, "sec-websocket-accept"), buf_str(&want)))
		return err_set(err, E_BAD,
			       "the upstream's Sec-WebSocket-Accept does not belong to the key");
	if (!offered && msg_count(answer, "sec-websocket-extensions") > 0)
		return err_set(err, E_BAD,
			       "the upstream uses a WebSocket extension that was not offered");
	return 0;
}

/* --- frames --------------------------------------------------------------------------------- */

/* How long the head is, known from its first two bytes. */
static unsigned head_size(const struct ws_cursor *w)
{
	const unsigned length = w->head[1] & 0x7f;

	return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (w->head[1] & 0x80 ? 4 : 0);
}

static uint64_t payload_size(const struct ws_cursor *w)
{
	const unsigned length = w->head[1] & 0x7f;
	const unsigned bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
	uint64_t n = 0;

	if (bytes == 0)
		return length;
	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | w->head[2 + i];
	return n;
}

struct str ws_next(struct ws_cursor *w, struct str in, enum ws_part *ret_part)
{
	size_t n = 0;

	if (w->left > 0) {
		n = w->left < in.n ? (size_t)w->left : in.n;
		w->left -= n;
		*ret_part = w->left > 0 ? WS_PAYLOAD : WS_PAYLOAD_END;
		return str_sub(in, 0, n);
	}
	*ret_part = WS_HEAD;
	if (w->have == 0)
		w->need = 2;
	while (n < in.n && w->have < w->need) {
		if (w->have < sizeof(w->head))
			w->head[w->have] = (unsigned char)in.p[n];
		n++;
		if (++w->have == 2)
			w->need = head_size(w);
	}
	if (w->have == w->need) {
		w->left = payload_size(w);
		w->have = 0;
	}
	return str_sub(in, 0, n);
}
