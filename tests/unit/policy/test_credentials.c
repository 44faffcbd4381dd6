#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "policy/decide.h"

static char api_header[] = "X-Vendor-Auth";
static const struct route plain = { .auth = AUTH_NONE };
static const struct route passing = { .auth = AUTH_NONE, .pass_authorization = true };
static const struct route bearer = { .auth = AUTH_BEARER };
static const struct route header = { .auth = AUTH_HEADER, .auth_header = api_header };

/* Sends a request with this field through the step; is the field still there? */
static bool keeps_field(const struct route *route, const char *name)
{
	struct arena arena;
	struct msg m;
	unsigned removed;
	bool kept;

	arena_init(&arena, KIB(64));
	msg_init(&m, &arena);
	assert_int_equal(msg_add(&m, STR("Accept"), STR("*/*"), NULL), 0);
	assert_int_equal(msg_add(&m, str_of(name), STR("hunter2"), NULL), 0);
	assert_int_equal(msg_add(&m, STR("User-Agent"), STR("test"), NULL), 0);
	assert_int_equal(decide_strip_credentials(&m, route, &removed, NULL), 0);
	kept = m.fields.n == 3;
	assert_int_equal(removed, kept ? 0 : 1);
	assert_true(msg_field(&m, "accept") && msg_field(&m, "user-agent"));
	arena_fini(&arena);
	return kept;
}

static void authorization_goes_unless_it_may_pass(void **state)
{
	(void)state;
	assert_false(keeps_field(&plain, "Authorization"));
	assert_false(keeps_field(&plain, "authorization"));
	assert_false(keeps_field(NULL, "Authorization"));
	assert_false(keeps_field(&bearer, "AUTHORIZATION"));
	assert_false(keeps_field(&plain, "Author_ization"));
	assert_true(keeps_field(&passing, "Authorization"));
	assert_true(keeps_field(&passing, "authorization"));
}

static void proxy_authorization_always_goes(void **state)
{
	(void)state;
	assert_false(keeps_field(&plain, "Proxy-Authorization"));
	assert_false(keeps_field(&passing, "Proxy-Authorization"));
	assert_false(keeps_field(&bearer, "proxy_authorization"));
}

static void with_auth_every_other_credential_goes(void **state)
{
	static const char *const names[] = { "x-api-key",     "X-API-KEY",    "X_Api_Key",
					     "api-key",       "ApiKey",       "x-goog-api-key",
					     "Private-Token", "JOB-TOKEN",    "Cookie",
					     "X-Auth-Token",  "X-Vault-Token" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (keeps_field(&bearer, names[i]) || keeps_field(&header, names[i]))
			fail_msg("%s stayed on a route with auth", names[i]);
		if (!keeps_field(&plain, names[i]))
			fail_msg("%s went on a route without auth", names[i]);
	}
}

/* The agent's own must not stand beside the injected one. */
static void the_field_of_the_route_goes(void **state)
{
	(void)state;
	assert_false(keeps_field(&header, "x-vendor-auth"));
	assert_false(keeps_field(&header, "X_Vendor_Auth"));
	assert_true(keeps_field(&bearer, "x-vendor-auth"));
}

static void ordinary_fields_stay(void **state)
{
	static const char *const names[] = { "Content-Type", "anthropic-version",
					     "X-Request-Id", "If-Match",
					     "Range",        "Idempotency-Key" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!keeps_field(&bearer, names[i]))
			fail_msg("%s went", names[i]);
}

static void every_field_of_a_name_goes(void **state)
{
	struct arena arena;
	struct msg m;
	unsigned removed;

	(void)state;
	arena_init(&arena, KIB(64));
	msg_init(&m, &arena);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(msg_add(&m, STR("Authorization"), STR("x"), NULL), 0);
		assert_int_equal(msg_add(&m, STR("Accept"), STR("x"), NULL), 0);
	}
	assert_int_equal(decide_strip_credentials(&m, &plain, &removed, NULL), 0);
	assert_int_equal(removed, 3);
	assert_int_equal(m.fields.n, 3);
	assert_int_equal(msg_count(&m, "accept"), 3);
	arena_fini(&arena);
}

static void assert_query(const struct route *route, const char *query, const char *want)
{
	struct arena arena;
	struct msg m;
	unsigned removed;

	arena_init(&arena, KIB(64));
	msg_init(&m, &arena);
	m.query = query ? str_of(query) : STR_NONE;
	assert_int_equal(decide_strip_credentials(&m, route, &removed, NULL), 0);
	if (!want)
		assert_null(m.query.p);
	else if (!str_eqz(m.query, want))
		fail_msg("'%s' became '%.*s', not '%s'", query, STR_ARG(m.query), want);
	arena_fini(&arena);
}

static void credentials_in_the_query_go(void **state)
{
	(void)state;
	assert_query(&bearer, "key=x", NULL);
	assert_query(&bearer, "a=1&key=x&b=2", "a=1&b=2");
	assert_query(&bearer, "key=x&a=1", "a=1");
	assert_query(&bearer, "a=1;access_token=x;b=2", "a=1;b=2");
	assert_query(&bearer, "a=1&ACCESS-token=x&access_token=y", "a=1");
	assert_query(&bearer, "%6bey=x&a=1", "a=1");
	assert_query(&bearer, "%256bey=x&a=1", "a=1");
	assert_query(&bearer, "key[]=x&key[0]=y&a=1", "a=1");
	assert_query(&bearer, "key", NULL);
	assert_query(&bearer, "?key=x&a=1", "a=1");
	assert_query(&bearer, "X-Amz-Signature=x&X-Amz-Credential=y&z=1", "z=1");
	assert_query(&header, "private.token=x", NULL);
}

/* Byte for byte, also where it is odd. */
static void an_honest_query_is_not_touched(void **state)
{
	(void)state;
	assert_query(&bearer, "a=1&&b=%41;c&d=key&monkey=1&page_token=x&",
		     "a=1&&b=%41;c&d=key&monkey=1&page_token=x&");
	assert_query(&bearer, "", "");
	assert_query(&bearer, NULL, NULL);
	assert_query(&plain, "key=x", "key=x");
	assert_query(&passing, "key=x", "key=x");
	assert_query(NULL, "key=x", "key=x");
}

static void assert_protocols(const struct route *route, const char *value, const char *want)
{
	struct arena arena;
	struct msg m;
	unsigned removed;

	arena_init(&arena, KIB(64));
	msg_init(&m, &arena);
	assert_int_equal(msg_add(&m, STR("Sec-WebSocket-Protocol"), str_of(value), NULL), 0);
	assert_int_equal(msg_add(&m, STR("X"), STR("y"), NULL), 0);
	assert_int_equal(decide_strip_credentials(&m, route, &removed, NULL), 0);
	assert_int_equal(removed > 0, !want || strcmp(value, want) != 0);
	if (!want)
		assert_null(msg_field(&m, "sec-websocket-protocol"));
	else if (!str_eqz(msg_value(&m, "sec-websocket-protocol"), want))
		fail_msg("'%s' became '%.*s'", value,
			 STR_ARG(msg_value(&m, "sec-websocket-protocol")));
	assert_non_null(msg_field(&m, "x"));
	arena_fini(&arena);
}

static void credentials_among_subprotocols_go(void **state)
{
	(void)state;
	assert_protocols(&bearer, "realtime, openai-insecure-api-key.mine,v1", "realtime,v1");
	assert_protocols(&bearer, "OpenAI-insecure-API-key.mine", NULL);
	assert_protocols(&bearer,
			 "base64url.bearer.authorization.k8s.io.bWluZQ, base64.binary.k8s.io",
			 "base64.binary.k8s.io");
	assert_protocols(&bearer, "chat ,  superchat", "chat ,  superchat");
	assert_protocols(&bearer, "", "");
	assert_protocols(&plain, "openai-insecure-api-key.mine", "openai-insecure-api-key.mine");
}

static void too_little_memory_is_an_error(void **state)
{
	struct arena arena;
	struct msg m;
	unsigned removed;
	struct err err = ERR_INIT;

	(void)state;
	arena_init(&arena, 16);
	msg_init(&m, &arena);
	m.query = STR("a=1&key=much-longer-than-what-is-left-in-the-arena");
	assert_int_equal(decide_strip_credentials(&m, &bearer, &removed, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(authorization_goes_unless_it_may_pass),
		cmocka_unit_test(proxy_authorization_always_goes),
		cmocka_unit_test(with_auth_every_other_credential_goes),
		cmocka_unit_test(the_field_of_the_route_goes),
		cmocka_unit_test(ordinary_fields_stay),
		cmocka_unit_test(every_field_of_a_name_goes),
		cmocka_unit_test(credentials_in_the_query_go),
		cmocka_unit_test(an_honest_query_is_not_touched),
		cmocka_unit_test(credentials_among_subprotocols_go),
		cmocka_unit_test(too_little_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
