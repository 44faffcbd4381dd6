/*
 * exchange_impl: the inside of an exchange; for exchange*.c only.
 *
 *	exchange.c          its life, the client's side, refusals, the event at the end
 *	exchange_judge.c    where does it want to go, may it (spec 2.2 steps 1 to 5)
 *	exchange_forward.c  the upstream's side: dial, send, mask, pass on
 *	exchange_websocket.c  what is different for a WebSocket
 */
#ifndef BOTTLE_PROXY_EXCHANGE_IMPL_H
#define BOTTLE_PROXY_EXCHANGE_IMPL_H

#include "base/buf.h"
#include "http/ws.h"
#include "proxy/exchange.h"
#include "proxy/mask.h"
#include "proxy/pool.h"
#include "proxy/refuse.h"

struct exchange {
	struct proxy *p;
	struct exchange *prev, *next; /* of p->exchanges */
	struct policy *policy;
	struct exchange_origin from;
	struct stream *client; /* NULL when it is gone */
	struct msg *req;
	struct str method, host, path; /* as asked, a mount resolved: for the event */
	uint64_t id;
	int64_t since;

	struct authority dest;
	struct verdict verdict;
	struct str mount;      /* reverse mount: its prefix, and */
	struct str mount_base; /* "http://host[:port]" the agent used */

	struct pool_wait *wait;
	struct stream *up;
	enum upstream_kind up_kind;
	bool up_spoke; /* something of an answer came */
	bool retried;
	struct mask *mask;
	struct buf masked;       /* one piece at a time */
	bool grpc;               /* the request is a gRPC call */
	bool websocket;          /* the request is a handshake, */
	bool switched;           /* and was granted: both bodies are frames */
	struct ws_cursor frames; /* of the upstream's, when there is something to mask */
	bool req_ended;          /* the client's message is complete */
	bool head_sent;          /* the final head went to the client */
	bool answered;           /* the whole answer was handed to the client's stream */
	int status;
	uint64_t bytes_in, bytes_out;
	uint64_t announced;   /* length of the answer's body by its head; UINT64_MAX: not said */
	char gate_reason[64]; /* the gate's own word for why it refused */
	const char *trouble;  /* why it was cut short */
	struct err trouble_err;
	enum reason trouble_reason;
	bool over;
	struct loop_deferred reap;
};

/* ---- exchange.c ---- */

/* The end, in every case: one event, everything let go. Again: nothing. */
void exchange_finish(struct exchange *x);
/* Ends the exchange when the client cannot be told any more. */
void exchange_cut(struct exchange *x);
/* Keeps the first reason why an allowed exchange went wrong. */
void exchange_note(struct exchange *x, enum reason reason, const struct err *err);
/* Answers the client and marks the exchange as answered; the verdict is the caller's. */
void exchange_answer_refusal(struct exchange *x, const struct refusal *r);
/* Refuses by x->verdict. */
void exchange_refuse(struct exchange *x);
void exchange_refuse_with(struct exchange *x, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* An allowed request that could not be carried out: told while there is a head to tell it in. */
void exchange_fail(struct exchange *x, enum reason reason, const struct err *err);

/* ---- exchange_judge.c ---- */

/* Judges the request; answers it, refuses it, or sends it on its way. */
void exchange_begin(struct exchange *x);

/* ---- exchange_websocket.c ---- */

/* A handshake that may go, with its credential in place: makes it what the upstream is to get. */
int exchange_ws_request(struct exchange *x, struct err *err) __attribute__((warn_unused_result));
/* How it is to be got there. */
enum upstream_kind exchange_ws_kind(bool tls);
/*
 * Any head from the upstream, hop-by-hop fields in place. -1: a switch that was not asked for or is
 * not a WebSocket, or an answer that the client would take for one.
 */
int exchange_ws_answer(struct exchange *x, struct msg *m, struct err *err)
	__attribute__((warn_unused_result));
/* As mask_feed, for a piece of the upstream's frames, into x->masked. */
int exchange_ws_mask(struct exchange *x, struct str in, struct err *err)
	__attribute__((warn_unused_result));

/* ---- exchange_forward.c ---- */

/* The client's body waits until there is somewhere to go. */
void exchange_forward(struct exchange *x, enum upstream_kind kind);
void exchange_drop_upstream(struct exchange *x);

#endif
