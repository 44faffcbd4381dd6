/*
 * The reasons for a refusal: name in events and headers, HTTP status, what to do next.
 */
#include "base/mem.h"
#include "policy/decide.h"

#define ASK_OPERATOR "Ask the operator to change the bottle's routes; "
#define SEE_RULES "http://egress-proxy.local/allowlist lists what is allowed."

struct reason_text {
	const char *name;
	int status;
	const char *hint;
};

/* clang-format off */
static const struct reason_text reasons[REASON_COUNT] = {
	[REASON_NONE] = { "none", 200, "" },
	[REASON_BAD_REQUEST] = { "bad-request", 400,
		"Send the request as RFC 9110 and 9112 describe it." },
	[REASON_HEAD_TOO_LARGE] = { "head-too-large", 400,
		"Send fewer or shorter header fields, or a shorter URL." },
	[REASON_REQUEST_TIMEOUT] = { "request-timeout", 408,
		"Send the whole request head without a pause." },
	[REASON_NAME_MISMATCH] = { "name-mismatch", 421,
		"Use one host name in the proxy's CONNECT, in TLS and in the Host field." },
	[REASON_HOST_NOT_ALLOWED] = { "host-not-allowed", 403, ASK_OPERATOR SEE_RULES },
	[REASON_METHOD_NOT_ALLOWED] = { "method-not-allowed", 403, ASK_OPERATOR SEE_RULES },
	[REASON_PATH_NOT_ALLOWED] = { "path-not-allowed", 403, ASK_OPERATOR SEE_RULES },
	[REASON_PATH_NOT_CANONICAL] = { "path-not-canonical", 400,
		"Write the path without dot segments, backslashes, control characters or doubled escapes." },
	[REASON_GIT_PUSH_BLOCKED] = { "git-push-blocked", 403,
		"Push to the git-gate remote of this bottle (git://git-gate/); fetching from here works." },
	[REASON_CREDENTIAL_MISSING] = { "credential-missing", 403,
		"Ask the operator to set the credential of this route." },
	[REASON_CREDENTIAL_NEEDS_TLS] = { "credential-needs-tls", 403, "Use https:// for this host." },
	[REASON_CREDENTIAL_ECHOED] = { "credential-echoed", 502,
		"Use another endpoint: this one sends the credential back." },
	[REASON_UPGRADE_NOT_ALLOWED] = { "upgrade-not-allowed", 403,
		"Use WebSocket, or send the request without the Upgrade field." },
	[REASON_ADDRESS_NOT_ALLOWED] = { "address-not-allowed", 403,
		"Use a host with public addresses, or ask the operator to allow this one." },
	[REASON_CLIENT_TLS] = { "client-tls", 400,
		"Trust the certificate authority of this bottle and use TLS 1.2 or 1.3." },
	[REASON_UPSTREAM_UNRESOLVED] = { "upstream-unresolved", 502,
		"Check the host name, or try again later." },
	[REASON_UPSTREAM_UNREACHABLE] = { "upstream-unreachable", 502, "Try again later." },
	[REASON_UPSTREAM_TLS] = { "upstream-tls", 502,
		"Tell the operator: the server's certificate or its TLS version is not acceptable." },
	[REASON_UPSTREAM_PROTOCOL] = { "upstream-protocol", 502,
		"Try again later; the server's answer was not valid HTTP." },
	[REASON_UPSTREAM_TIMEOUT] = { "upstream-timeout", 504, "Try again later." },
	[REASON_GATE_UNREACHABLE] = { "gate-unreachable", 502,
		"Tell the operator: the gate behind this proxy is down." },
	[REASON_GATE_REFUSED] = { "gate-refused", 403,
		"Ask the operator: the gate behind this proxy refuses the host." },
	[REASON_TOO_MANY_CONNECTIONS] = { "too-many-connections", 503,
		"Close connections that are not in use, then try again." },
	[REASON_OVERLOADED] = { "overloaded", 503,
		"Wait until requests that are under way have ended, then try again." },
	[REASON_SHUTTING_DOWN] = { "shutting-down", 503, "The bottle is ending; do not try again." },
};
/* clang-format on */

static const struct reason_text *text_of(enum reason r)
{
	return &reasons[(unsigned)r < REASON_COUNT ? r : REASON_BAD_REQUEST];
}

const char *reason_name(enum reason r)
{
	return text_of(r)->name;
}

int reason_status(enum reason r)
{
	return text_of(r)->status;
}

const char *reason_hint(enum reason r)
{
	return text_of(r)->hint;
}
