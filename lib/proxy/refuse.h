/*
 * refuse: what a refused client is told (spec 2.1 "refusal").
 */
#ifndef BOTTLE_PROXY_REFUSE_H
#define BOTTLE_PROXY_REFUSE_H

#include "base/err.h"
#include "base/str.h"
#include "http/stream.h"
#include "policy/decide.h"

struct refusal {
	enum reason reason;
	int status;           /* 0: reason_status(reason) */
	const char *name;     /* NULL: reason_name(reason); the gate's own reason otherwise */
	const char *message;  /* one sentence, without secrets */
	struct str host;      /* may be empty */
	struct str gate_body; /* a gate's own JSON body, passed on as it is when not empty */
};

/*
 * Answers `s` with the JSON body. The connection stays usable when the request was read whole. -1
 * when the stream is gone. `grpc`: the request is a gRPC call, which is told by its status message
 * instead, the only thing that its clients show.
 */
int refuse_stream(struct stream *s, const struct refusal *r, bool grpc, struct err *err);

/*
 * The same in one go, on a plain connection of which nothing is known: for as much as the socket
 * takes at once. The caller closes.
 */
void refuse_socket(int fd, const struct refusal *r);

#endif
