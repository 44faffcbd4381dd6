#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/tls.h"
#include "proxy/config.h"

/* A bundle as text, with one member replaced or added ("" leaves it out). */
static char *bundle(const char *key, const char *value)
{
	static char ca_pem[8192];
	const struct {
		const char *key, *value;
	} members[] = {
		{ "schema", "1" },
		{ "component", "\"egress-proxy\"" },
		{ "listen", "\"0.0.0.0:9099\"" },
		{ "routes", "{\"routes\":[{\"host\":\"example.com\"}]}" },
		{ "tokens", "{\"EGRESS_PROXY_TOKEN_0\":\"correct-horse\"}" },
		{ "ca", ca_pem },
		{ "upstream_ca", "[\"PEM\"]" },
	};
	auto_buf out = BUF_INIT(MIB(1));
	bool replaced = false;

	if (!ca_pem[0]) {
		struct ca_params params = { .days = 10 };
		struct ca *ca = ca_new(&params, NULL);
		auto_buf pem = BUF_INIT_SECRET(KIB(8)), quoted = BUF_INIT_SECRET(KIB(8));

		assert_non_null(ca);
		assert_int_equal(ca_cert_pem(ca, &pem, NULL), 0);
		assert_int_equal(ca_key_pem(ca, &pem, NULL), 0);
		assert_int_equal(json_quote(&quoted, buf_str(&pem), NULL), 0);
		assert_in_range(quoted.len, 1, sizeof(ca_pem) - 1);
		memcpy(ca_pem, buf_str(&quoted).p, quoted.len);
		ca_free(ca);
	}
	assert_int_equal(buf_addc(&out, '{', NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		bool here = key && strcmp(key, members[i].key) == 0;
		const char *text = here ? value : members[i].value;

		replaced = replaced || here;
		if (!*text)
			continue;
		assert_int_equal(buf_addf(&out, NULL, "%s\"%s\":%s", out.len > 1 ? "," : "",
					  members[i].key, text),
				 0);
	}
	if (key && !replaced)
		assert_int_equal(buf_addf(&out, NULL, ",\"%s\":%s", key, value), 0);
	assert_int_equal(buf_addc(&out, '}', NULL), 0);
	return buf_take(&out, NULL);
}

static int read_with(struct proxy_config *c, const char *key, const char *value, struct err *err)
{
	auto_free char *text = bundle(key, value);

	proxy_config_init(c);
	return proxy_config_read_bundle(c, str_of(text), err);
}

static void test_whole_bundle(void **state)
{
	struct proxy_config c;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(read_with(&c, NULL, NULL, &err), 0);
	assert_int_equal(addr_port(&c.listen), 9099);
	assert_int_equal(c.routes->n, 1);
	assert_true(str_eqz(tokens_get(&c.tokens, STR("EGRESS_PROXY_TOKEN_0")), "correct-horse"));
	assert_non_null(c.ca);
	assert_int_equal(c.upstream_ca.n, 1);
	assert_null(c.gate_host);
	proxy_config_fini(&c);
}

static void test_members(void **state)
{
	struct proxy_config c;

	(void)state;
	assert_int_equal(read_with(&c, "upstream_proxy", "\"http://pipelock:8888\"", NULL), 0);
	assert_string_equal(c.gate_host, "pipelock");
	assert_int_equal(c.gate_port, 8888);
	proxy_config_fini(&c);
	assert_int_equal(read_with(&c, "upstream_proxy", "null", NULL), 0);
	assert_null(c.gate_host);
	proxy_config_fini(&c);
	assert_int_equal(read_with(&c, "resolve", "[\"api.test:443:172.17.0.1\"]", NULL), 0);
	assert_int_equal(c.pin_count, 1);
	assert_string_equal(c.pins[0].host, "api.test");
	assert_int_equal(addr_port(&c.pins[0].addr), 443);
	proxy_config_fini(&c);
	assert_int_equal(read_with(&c, "allow_private", "[\"10.0.0.0/8\"]", NULL), 0);
	assert_int_equal(c.ssrf.allow_count, 1);
	proxy_config_fini(&c);
	assert_int_equal(read_with(&c, "names", "[\"egress-proxy\",\"proxy.local\"]", NULL), 0);
	assert_int_equal(c.names.n, 2);
	proxy_config_fini(&c);
}

/* Each wrong bundle is refused with words that name the key and show no value. */
static void test_refusals(void **state)
{
	static const struct {
		const char *key, *value, *says;
	} bad[] = {
		{ "schema", "2", "schema" },
		{ "schema", "", "\"schema\" is missing" },
		{ "component", "\"pipelock\"", "another component" },
		{ "listen", "", "\"listen\" is missing" },
		{ "listen", "9099", "listen" },
		{ "ca", "", "\"ca\" is missing" },
		{ "ca", "\"no PEM\"", "ca" },
		{ "routes", "{\"routes\":[{\"hots\":\"a.test\"}]}", "hots" },
		{ "tokens", "{\"EGRESS_PROXY_TOKEN_0\":\"sec\\r\\nret\"}", "EGRESS_PROXY_TOKEN_0" },
		{ "tokens", "[\"secret\"]", "tokens" },
		{ "surprise", "1", "unknown key \"surprise\"" },
		{ "upstream_proxy", "\"https://pipelock:8888\"", "http://HOST:PORT" },
		{ "upstream_proxy", "\"http://pipelock:8888/x\"", "http://HOST:PORT" },
		{ "upstream_proxy_ca", "\"PEM\"", "without upstream_proxy" },
		{ "upstream_ca", "[]", "no CA certificates" },
		{ "resolve", "[\"api.test:443\"]", "HOST:PORT:ADDRESS" },
		{ "resolve", "[\"api.test:443:nonsense\"]", "api.test:443:nonsense" },
		{ "allow_private", "[\"10.0.0.0/99\"]", "10.0.0.0/99" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct proxy_config c;
		struct err err = ERR_INIT;

		assert_int_equal(read_with(&c, bad[i].key, bad[i].value, &err), -1);
		if (!strstr(err.text, bad[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, bad[i].says);
		assert_null(strstr(err.text, "ret\""));
		proxy_config_fini(&c);
	}
}

static int group_setup(void **state)
{
	(void)state;
	return tls_global_init(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_bundle),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
