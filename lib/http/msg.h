/*
 * msg: one HTTP message head, independent of the protocol version that carried it.
 *
 * HTTP/1.1 and HTTP/2 parse into it and are written from it, so that policy cannot judge them
 * differently. Fields keep order and spelling. All views live in the message's arena.
 */
#ifndef BOTTLE_HTTP_MSG_H
#define BOTTLE_HTTP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2 };

enum http_target_form {
	TARGET_ORIGIN,    /* "/path?query" */
	TARGET_ABSOLUTE,  /* "http://host/path" */
	TARGET_AUTHORITY, /* CONNECT host:port */
	TARGET_ASTERISK,  /* OPTIONS * */
};

enum body_framing {
	BODY_NONE,        /* there is none, by method, status or framing */
	BODY_LENGTH,      /* exactly `length` bytes */
	BODY_CHUNKED,     /* length not known ahead; h1 chunked or h2 DATA; may carry trailers */
	BODY_UNTIL_CLOSE, /* h1 responses only */
};

struct field {
	struct str name;  /* as spelled; a token (RFC 9110 5.6.2) */
	struct str value; /* trimmed, p is not NULL; no CTL but HTAB */
};

struct fields {
	struct field *v;
	size_t n, cap;
};

struct msg {
	struct arena *arena; /* owner of every view below */
	enum http_version version;
	bool is_response;

	/* request */
	struct str method;
	enum http_target_form form;
	struct str target;    /* as received */
	struct str scheme;    /* absolute form and h2; else empty */
	struct str authority; /* from the target (absolute, CONNECT) or :authority; else empty */
	struct str path;      /* raw, "/…"; "*" for TARGET_ASTERISK; empty for CONNECT */
	struct str query;     /* raw, p == NULL when there is no '?' */
	struct str host;      /* the Host field's value; p == NULL when absent */

	/* response */
	int status;
	struct str reason;

	struct fields fields;
	enum body_framing framing;
	uint64_t length; /* BODY_LENGTH; for HEAD/304 the announced length is in the field only */
	bool keep_alive; /* what the sender wants of the connection */
	bool expect_continue; /* Expect: 100-continue */
	/* Upgrade's value when Connection lists it; HTTP/2: the :protocol of an extended CONNECT;
	 * else empty */
	struct str upgrade;
	/* The request was an extended CONNECT (RFC 8441): it is judged as the GET it stands for,
	 * and a 2xx is what 101 is in HTTP/1.1. */
	bool extended_connect;
	bool te_trailers; /* TE said "trailers"; set when the field itself was stripped */
};

void msg_init(struct msg *m, struct arena *a);
/* For parsers: a field whose parts were checked already and live as long as the arena. E_LIMIT as
 * for msg_add. */
int msg_push(struct msg *m, struct str name, struct str value, struct err *err)
	__attribute__((warn_unused_result));

/* First field of that name (ASCII case ignored), or NULL. */
struct field *msg_field(const struct msg *m, const char *name);
/* Its value; p == NULL when absent. */
struct str msg_value(const struct msg *m, const char *name);
size_t msg_count(const struct msg *m, const char *name);
/* Removes every field of that name; how many. */
size_t msg_remove(struct msg *m, const char *name);
/*
 * Copies both into the arena. E_BAD for what is no field name or value (so nothing can be injected
 * by a value from elsewhere), E_LIMIT past HTTP_FIELDS_MAX or the arena's maximum. m->host follows
 * its field here, in msg_set and msg_remove.
 */
int msg_add(struct msg *m, struct str name, struct str value, struct err *err)
	__attribute__((warn_unused_result));
/* Replaces the first one's value in place (its name keeps its spelling) and removes others, or
 * adds. Errors as msg_add. */
int msg_set(struct msg *m, struct str name, struct str value, struct err *err)
	__attribute__((warn_unused_result));
/* Does a comma-separated list field hold this token? */
bool msg_has_token(const struct msg *m, const char *name, const char *token);

/*
 * Hop-by-hop fields (RFC 9110 7.6.1): Connection and all it lists, Keep-Alive, Proxy-Connection,
 * TE, Upgrade, Proxy-Authenticate/-Authorization. Framing and upgrade are in the struct already,
 * and m->te_trailers keeps what a TE field said of trailers, for gRPC demands it on every hop;
 * Transfer-Encoding stays as the mark of its place, which the writer fills or removes.
 * Content-Length, Host, Authorization, Cookie, Expect or any name policy relies on that is listed
 * in Connection makes the message bad (E_BAD): a listed field must not be able to hide itself from
 * us.
 */
int msg_strip_hop(struct msg *m, struct err *err) __attribute__((warn_unused_result));

/* Checks shared by all versions. */
bool http_is_token(struct str s);
bool http_is_idempotent(struct str method); /* RFC 9110 9.2.2; unknown ones are not */
bool http_is_field_value(struct str s);     /* VCHAR, SP, HTAB, obs-text; empty too */
bool http_is_target(struct str s);          /* request targets: visible ASCII, no '#', not empty */
/*
 * Is this `real` (in lower case) with other characters where that has hyphens ("Content_Length")?
 * CGI and what descends from it cannot tell the two apart, others can: what frames a message for
 * one of them only may not be in a request.
 */
bool http_name_disguises(struct str name, struct str real);
/* Names that may not come in a trailer section (RFC 9110 6.5.1). */
bool http_trailer_is_forbidden(struct str name);
const char *http_reason(int status); /* "" when unknown */

#endif
