/*
 * provision: what the agent's box is told, and what it answers.
 *
 * The launcher writes one JSON document, `agent-init provision` (inside.h) reads it:
 *
 *	{"schema":1,"user":"1000:1000","home":"/home/agent"|null,"workdir":"/work","own":true,
 *	 "skills":true,"git_user":{"name":"…","email":"…"}|null,
 *	 "hosts":[{"name":"egress-proxy","address":"172.18.0.2","port":9099}],
 *	 "bundle":{…the agent's bundle, bundle.h…}}
 *
 * The answer is one line: {"ok":true} or {"ok":false,"error":"…"}.
 */
#ifndef BOTTLE_BACKEND_PROVISION_H
#define BOTTLE_BACKEND_PROVISION_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "manifest/plan.h"

/* A sidecar as the agent reaches it; the members are the owner's to free. */
struct provision_host {
	char *name, *address;
	unsigned port;
};

/* `bundle`: JSON text (bundle_agent), or "null". `out` must be a secret buffer of PROVISION_MAX. */
int provision_write(const struct plan *p, const struct provision_host *hosts, size_t n,
		    struct str bundle, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* 0 for {"ok":true}; else E_CHILD with what the box said. */
int provision_answer(struct str answer, struct err *err) __attribute__((warn_unused_result));

#endif
