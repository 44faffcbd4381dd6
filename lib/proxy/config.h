/*
 * config: what an egress-proxy runs with, from a bundle on stdin or from options and files.
 *
 * Both ways fill the same struct; nothing else differs afterwards. Secret members are wiped by
 * proxy_config_fini.
 */
#ifndef BOTTLE_PROXY_CONFIG_H
#define BOTTLE_PROXY_CONFIG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/schema.h"
#include "base/str.h"
#include "ca/ca.h"
#include "net/addr.h"
#include "policy/routes.h"
#include "policy/ssrf.h"
#include "proxy/tokens.h"

#define PROXY_PINS_MAX 64

/* One --resolve HOST:PORT:ADDR. */
struct proxy_pin {
	char *host;
	struct addr addr; /* its port is PORT */
};

struct proxy_config {
	struct addr listen;
	struct addr health;
	bool has_health;
	char *control; /* path of the control socket, or NULL */
	struct routes *routes;
	struct tokens tokens;
	struct ca *ca;

	/* PEM texts that upstream certificates may chain to, with the name of each source. */
	struct str_list upstream_ca;
	struct str_list upstream_ca_source;

	struct proxy_pin pins[PROXY_PINS_MAX];
	size_t pin_count;
	struct ssrf_policy ssrf;

	/* The gate: every upstream connection goes through this HTTP proxy. host NULL: direct. */
	char *gate_host;
	uint16_t gate_port;
	bool has_gate_ca; /* its CA was added to upstream_ca */

	/* Names under which reverse mounts answer, besides loopback ones. */
	struct str_list names;

	int head_timeout_ms, idle_timeout_ms;
	size_t memory; /* bytes that connections and what they have under way may take */
};

void proxy_config_init(struct proxy_config *c);
void proxy_config_fini(struct proxy_config *c);

/*
 * The JSON bundle (schema 1):
 *
 *	{"schema":1,"component":"egress-proxy","listen":"0.0.0.0:9099","health":"127.0.0.1:9098",
 *	 "control":"/run/…sock","routes":{"routes":[…]},"tokens":{"EGRESS_PROXY_TOKEN_0":"…"},
 *	 "ca":"PEM","upstream_ca":["PEM"],"resolve":["HOST:PORT:ADDR"],"allow_private":["CIDR"],
 *	 "upstream_proxy":"http://pipelock:8888","upstream_proxy_ca":"PEM","names":["egress-proxy"]}
 *
 * Unknown keys are errors. Messages name the key, never a value.
 */
int proxy_config_read_bundle(struct proxy_config *c, struct str text, struct err *err)
	__attribute__((warn_unused_result));

/* The pieces, for options. `what` names the option in errors. */
int proxy_config_add_pin(struct proxy_config *c, struct str spec, struct err *err)
	__attribute__((warn_unused_result));
void proxy_config_add_upstream_ca(struct proxy_config *c, struct str pem, const char *source);
/* A name under which reverse mounts answer. */
void proxy_config_add_name(struct proxy_config *c, struct str name);
/* "http://host:port" (no path, no credentials). */
int proxy_config_set_gate(struct proxy_config *c, struct str url, struct err *err)
	__attribute__((warn_unused_result));

/* Rules between members: a gate's CA needs a gate, upstreams need at least one trust anchor. */
int proxy_config_check(const struct proxy_config *c, struct err *err)
	__attribute__((warn_unused_result));

#endif
