/*
 * bundle: the one JSON document each box gets on its standard input (spec 1.3).
 *
 * egress-proxy:
 *	{"schema":1,"component":"egress-proxy","listen":"0.0.0.0:9099","health":"127.0.0.1:9098",
 *	 "control":"/run/bottle/egress-proxy.sock","routes":{"routes":[…]},
 *	 "tokens":{"EGRESS_PROXY_TOKEN_0":"value"},"ca":"PEM of certificate and key",
 *	 "upstream_ca":["PEM"],"resolve":["host:port:addr"],"allow_private":["cidr"],
 *	 "upstream_proxy":null | "http://pipelock:8888","upstream_proxy_ca":null,
 *	 "names":["egress-proxy"]}
 *
 * agent (read by the session wrapper, written into a tmpfs):
 *	{"schema":1,"component":"agent","env":{"NAME":"value"},
 *	 "files":[{"path":"/run/bottle/ca.pem","mode":"0444","content":"PEM"}]}
 *
 * They hold secrets: `out` must be a secret buffer (BUF_INIT_SECRET) of BUNDLE_MAX, and the text is
 * written straight into it, without a JSON tree that would keep copies.
 */
#ifndef BOTTLE_MANIFEST_BUNDLE_H
#define BOTTLE_MANIFEST_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"
#include "manifest/plan.h"
#include "manifest/secrets.h"

#define BUNDLE_SCHEMA 1

/*
 * What upstreams are verified against: the host's own bundle ($SSL_CERT_FILE, else the usual
 * places; a sidecar has no files of its own), then the files of egress.upstream_ca in order. Each
 * must hold at least one certificate and no private key (it would travel into a sidecar for
 * nothing). E_BAD when there is none at all. The caller frees *ret with strs_free.
 */
int bundle_read_upstream_ca(const struct plan *p, const struct host_env *env, struct str_list *ret,
			    struct err *err) __attribute__((warn_unused_result));

/* `ca_pem`: certificate and key of the bottle's CA. `upstream_ca`: PEM texts. */
int bundle_egress_proxy(const struct plan *p, const struct secrets *s, struct str ca_pem,
			const struct str_list *upstream_ca, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/* `ca_cert_pem`: the certificate alone; E_BAD when it holds a key. */
int bundle_agent(const struct plan *p, const struct secrets *s, struct str ca_cert_pem,
		 struct buf *out, struct err *err) __attribute__((warn_unused_result));

#endif
