/*
 * h1_conn_impl: the inside of an h1_conn; for h1_conn.c, h1_server.c, h1_client.c, h1_stream.c
 *only.
 *
 *	        first byte / start             both messages over
 *	IDLE ───────────────────────▶ OPEN ──┬──────────────────────▶ IDLE
 *	                                     └ server, to be closed ▶ SHUTDOWN ▶ LINGER ▶ GONE
 *
 * One engine (h1_conn.c, with h1_input.c for what comes in) steps the phases from the loop; calls
 *on the stream only note what is wanted and wake it. Callbacks are made by the engine alone and may
 *do anything, so after each one the phase is looked at again.
 */
#ifndef BOTTLE_HTTP_H1_CONN_IMPL_H
#define BOTTLE_HTTP_H1_CONN_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "http/h1.h"
#include "http/h1_conn.h"

enum h1_phase {
	H1_IDLE,     /* between exchanges; no byte of a next one yet */
	H1_OPEN,     /* an exchange, from the first byte of its request */
	H1_SHUTDOWN, /* all is written; our direction is being ended */
	H1_LINGER,   /* reading until the peer has seen our last bytes (RFC 9112 9.6) */
	H1_GONE,     /* freed after the round */
};
enum h1_in {
	IN_HEAD,
	IN_HELD, /* server: a switch was asked for; what follows is nothing until it is answered */
	IN_BODY,
	IN_DONE,
	IN_BAD,
	IN_TUNNEL,
};
enum h1_out { OUT_HEAD, OUT_BODY, OUT_DONE };
enum h1_method { METHOD_OTHER, METHOD_HEAD, METHOD_CONNECT };

/* One step of a state; true when something moved and the next may be tried. */
typedef bool h1_conn_fn(struct h1_conn *c);

/* What differs between server and client. */
struct h1_role {
	/* Idle, and bytes came. */
	void (*first_byte)(struct h1_conn *c);
	/* A head of n bytes lies at the front of the input. */
	void (*head)(struct h1_conn *c, size_t n);
	/* What came is no head, or came too slowly. */
	void (*bad_head)(struct h1_conn *c, const struct err *err);
	int (*write_head)(struct h1_conn *c, const struct msg *m, struct err *err);
	/* The peer ended its direction; our message is received. */
	void (*eof_after_message)(struct h1_conn *c);
	bool (*over)(const struct h1_conn *c);
	void (*idle)(struct h1_conn *c);
	void (*closed)(struct h1_conn *c, const struct err *err);
};

struct h1_conn {              /* lives as long as the connection */
	struct stream stream; /* of the exchange that is open */
	const struct h1_role *role;
	const struct h1_server_handler *server;
	const struct h1_client_handler *client;
	void *arg;

	struct loop *loop;
	struct filter *f;
	struct loop_watch watch;
	struct loop_timer timer;
	struct loop_deferred work;
	struct h1_timeouts t;

	enum h1_phase phase;
	int64_t since;       /* when the phase began (server: when the head's time began) */
	int64_t last_active; /* a byte moved in either direction */
	unsigned used;       /* exchanges, with the open one */
	bool running;        /* the engine is on the stack */
	bool again;          /* something was called meanwhile */
	bool announced;      /* the stream's handler knows of the exchange */
	bool close_after;
	bool draining;
	bool broken; /* the stack has failed */
	bool tell;   /* gone by an abort: on_closed is due */

	enum h1_method method; /* of the request */
	enum h1_in in_state;
	bool in_eof;
	bool paused;
	struct buf in;   /* input left over from earlier rounds */
	struct str data; /* while running: the input, in `in` or in the process's read buffer */
	bool in_scratch; /* it is the latter */
	size_t held;     /* of it: the piece that a callback is looking at */
	size_t scanned;  /* see h1_head_end */
	struct h1_body body;
	struct arena arena; /* of the message received */
	struct msg msg, trailers;
	unsigned interims;
	bool upgrade_asked;
	bool switched; /* by 101: both bodies are raw bytes from here on, each with its own end */

	enum h1_out out_state;
	enum body_framing out_framing;
	uint64_t out_left; /* BODY_LENGTH */
	bool out_mute;     /* a response that has no body whatever is sent */
	bool out_broken;   /* client: nobody reads the request any more; it is dropped */
	bool out_shut;     /* switched: our direction is ended */
	struct buf out;
	bool write_blocked;
	struct err *write_error; /* of h1_conn_write; NULL: none */
	bool was_high, drained;
};

extern const struct stream_ops h1_stream_ops;

struct h1_conn *h1_conn_new(struct loop *l, struct filter *f, const struct h1_timeouts *t,
			    const struct h1_role *role, void *arg);
/* The engine shall run: later in this round, or once more when it is running. */
void h1_conn_wake(struct h1_conn *c);
/*
 * Writes from where the bytes lie; the queue is empty. Returns how many went: the caller queues the
 * rest. No callback comes from here: of a failure the engine tells, when it comes to the queue.
 */
size_t h1_conn_write(struct h1_conn *c, struct str s);
void h1_conn_set_phase(struct h1_conn *c, enum h1_phase phase);
/* From the engine: on_fail for an open exchange, then on_closed. */
void h1_conn_fail(struct h1_conn *c, const struct err *err);
/* From the engine: on_closed. */
void h1_conn_end(struct h1_conn *c, const struct err *err);
/* No more callbacks but on_closed when `tell`; freed after the round. */
void h1_conn_drop(struct h1_conn *c, bool tell);
/* Clears what belonged to the last exchange and opens one. */
void h1_conn_open(struct h1_conn *c);
/* A 101 came or is to go: what both sides send from here on is bytes until they end. */
void h1_conn_switch(struct h1_conn *c);
/* The handler of the open exchange; one without functions when nobody knows of it. */
const struct stream_handler *h1_conn_handler(const struct h1_conn *c);

/* h1_input.c: what the engine does with input. `load` begins and `stash` ends a run. */
#define H1_INPUT_MAX (HTTP_HEAD_MAX + 2 * PROXY_READ_SIZE)
void h1_input_load(struct h1_conn *c);
void h1_input_stash(struct h1_conn *c);
/* One read; as filter_read. */
ssize_t h1_input_fill(struct h1_conn *c, struct err *err);
void h1_input_consume(struct h1_conn *c, size_t n);
/* Is input of any use now? What is not wanted stays with the peer, who feels it. */
bool h1_input_wanted(const struct h1_conn *c);
/* Bytes that are here already and were not looked at yet. */
size_t h1_input_left(const struct h1_conn *c);
/* One step of the open exchange's incoming message; true when something moved. */
bool h1_input_step(struct h1_conn *c);
/* Moves out what was not looked at yet. */
struct buf h1_input_take(struct h1_conn *c);

/* Takes over both buffers; see h1_conn_take. */
struct filter *h1_handoff(struct filter *below, struct buf *in, struct buf *out);

#endif
