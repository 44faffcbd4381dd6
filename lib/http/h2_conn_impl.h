/*
 * h2_conn_impl: the inside of an h2_conn; for h2_*.c only.
 *
 *	OPEN ─ nothing left to do, or an error ▶ SHUTDOWN ▶ LINGER ▶ GONE     (a client: GONE at
 *once)
 *
 *	h2_conn.c     the engine: reads, writes, time, endings
 *	h2_session.c  what nghttp2 tells us, and its settings
 *	h2_stream.c   one stream: what stream.h promises, its life
 *	h2_server.c, h2_client.c   what differs between the two
 *	h2_map.c, h2_write.c       field sections
 *
 * As in h1_conn, one engine runs from the loop; calls on a stream only note what is wanted (nghttp2
 * queues frames without calling back) and wake it. nghttp2's callbacks happen while the engine runs
 * and may therefore call our handlers, who may do anything: so after each one the phase and the
 * stream are looked at again, nothing is freed before the round is over, and the session is never
 * terminated from a callback (CVE-2026-27135: 1.64 would trip over that).
 */
#ifndef BOTTLE_HTTP_H2_CONN_IMPL_H
#define BOTTLE_HTTP_H2_CONN_IMPL_H

#include <nghttp2/nghttp2.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "http/h2_conn.h"
#include "http/h2_map.h"

enum h2_phase {
	H2_OPEN,
	H2_SHUTDOWN, /* the last frames are written, then our direction is ended */
	H2_LINGER,   /* reading until the peer has seen them */
	H2_GONE,     /* freed after the round */
};
enum h2_in { H2_IN_HEAD, H2_IN_BODY, H2_IN_DONE, H2_IN_BAD };
enum h2_out { H2_OUT_HEAD, H2_OUT_BODY, H2_OUT_DONE };

struct h2_stream { /* lives until the end of the round in which it was over */
	struct stream stream;
	struct h2_conn *c;
	struct h2_stream *next, *prev; /* of c->streams; next stays when it is taken out */
	struct h2_stream *next_dead;
	int32_t id;          /* 0: nghttp2 does not know it (yet, or any more) */
	bool announced;      /* the handler knows of it */
	bool gone;           /* taken out: no more callbacks */
	int64_t last_active; /* a byte moved in either direction */

	enum h2_in in_state;
	bool in_end; /* END_STREAM came; on_end follows what `in` holds */
	bool paused;
	bool in_counted; /* the body has a length: */
	uint64_t in_left;
	struct buf in; /* came while paused; the peer has no window for it */
	struct arena arena;
	struct msg msg, trailers;
	unsigned interims;
	bool is_head;  /* the request's method is HEAD */
	bool switched; /* an extended CONNECT was granted: each direction ends by itself */

	enum h2_out out_state;
	bool out_mute;   /* a message that has no body whatever is sent */
	bool out_broken; /* client: nobody reads the request any more; it is dropped */
	bool out_counted;
	uint64_t out_left;
	struct buf out;
	struct arena out_arena;
	struct fields out_trailers; /* in it; as they are to be written */
	bool head_sent;             /* client: the server may have seen the request */
	bool deferred;              /* nghttp2 waits for us to have bytes */
	bool was_high, drained;
	bool end_sent;         /* END_STREAM is among the connection's output, which */
	uint64_t end_at;       /* is written when so much of it is */
	uint32_t reset_reason; /* server: how a request that we do not read to its end is reset */
};

struct h2_conn { /* lives as long as the connection */
	const struct h2_server_handler *server;
	const struct h2_client_handler *client;
	void *arg;

	struct loop *loop;
	struct filter *f;
	struct loop_watch watch;
	struct loop_timer timer;
	struct loop_deferred work;
	struct h1_timeouts t;

	enum h2_phase phase;
	int64_t since; /* when the phase, or the time without streams, began */
	int64_t last_read;
	bool used;     /* has carried a stream */
	bool answered; /* client: a response has come */
	bool running;  /* the engine is on the stack */
	bool again;    /* something was called meanwhile */
	bool draining; /* no further streams */
	bool in_eof;
	bool broken;     /* writing has failed */
	bool busy;       /* client: on_idle was not called since a stream was started */
	bool terminated; /* nghttp2 has ended the session, for `why` */
	struct err why;  /* E_NONE: ends in order */

	nghttp2_session *session;
	struct h2_stream *streams, *dead;
	unsigned open;
	size_t queued;       /* bodies of all streams that wait to be sent */
	struct h2_head head; /* of the one field section that may be under way */
	bool in_head;
	int64_t head_since;

	int patience; /* see H2_PATIENCE; < 0: at an end */
	int64_t patience_at;

	struct buf out;
	uint64_t out_made, out_written; /* bytes ever */
	bool write_blocked;
};

/* h2_conn.c */
struct h2_conn *h2_conn_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			    void *arg);
/* The engine shall run: later in this round, or once more when it is running. */
void h2_conn_wake(struct h2_conn *c);
/* A message of the connection went wrong: `cost` of its patience. True when that is at an end. */
bool h2_conn_tire(struct h2_conn *c, int cost);

/* h2_session.c */
void h2_session_init(struct h2_conn *c, bool server);
/* Bytes from the peer. -1: the connection is to be ended, with `reason` in its GOAWAY. */
int h2_session_input(struct h2_conn *c, struct str data, uint32_t *reason, struct err *err);
/* Makes frames until c->out holds H2_OUT_FILL. */
int h2_session_fill(struct h2_conn *c, struct err *err);
/* What a code of RST_STREAM or GOAWAY is called. */
const char *h2_reason(uint32_t code);

/* h2_stream.c */
extern const struct stream_ops h2_stream_ops;
struct h2_stream *h2_stream_new(struct h2_conn *c);
struct h2_stream *h2_stream_of(struct stream *s);
void h2_stream_free(struct h2_stream *s);
/* The handler; one without functions when nobody knows of the stream. */
const struct stream_handler *h2_stream_handler(const struct h2_stream *s);
/* Takes it out; no more callbacks. */
void h2_stream_remove(struct h2_stream *s);
/* Takes it out, and on_fail. */
void h2_stream_fail(struct h2_stream *s, const struct err *err);
/* RST_STREAM, if the peer may still know the stream. */
void h2_stream_reset(struct h2_stream *s, uint32_t code);
/* Body bytes came; END_STREAM came, the trailers (if any) being in s->trailers. */
void h2_stream_input(struct h2_stream *s, struct str piece);
void h2_stream_input_end(struct h2_stream *s);
/* The body breaks the grammar. */
void h2_stream_bad_body(struct h2_stream *s, const struct err *err);
/* Does what is due: body that waited, on_drain, on_done. True when something moved. */
bool h2_stream_step(struct h2_stream *s);
/* The peer sends and takes nothing more: what it had said completely is still delivered. */
void h2_stream_cut(struct h2_stream *s, const struct err *err);
/* nghttp2 asks for body bytes, and hands them on (see nghttp2_data_source_read_callback2). */
nghttp2_data_provider2 h2_stream_source(void);
int h2_stream_send(struct h2_stream *s, struct str frame_head, size_t n);

/* h2_server.c, h2_client.c: a head has come (in c->head), or is to be written. */
void h2_server_head(struct h2_stream *s, bool end_stream);
int h2_server_write_head(struct h2_stream *s, const struct msg *m, struct err *err);
void h2_client_head(struct h2_stream *s, bool end_stream);
int h2_client_write_head(struct h2_stream *s, const struct msg *m, struct err *err);
/* nghttp2's form of fields, in `a`; NULL when it does not fit. */
nghttp2_nv *h2_session_nv(const struct fields *f, struct arena *a, struct err *err);

#endif
