#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "docker/engine.h"

static struct err err;

static void explain(const char *said, enum err_code code, const char *text)
{
	err_clear(&err);
	assert_int_equal(docker_explain("docker", "do it", str_of(said), &err), -1);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, text))
		fail_msg("'%s' is not in '%s'", text, err.text);
}

/* As docker 20.10 and 28 said it. */
static void causes(void **state)
{
	(void)state;
	explain("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker "
		"daemon running?\n",
		E_IO, "systemctl start docker");
	explain("permission denied while trying to connect to the Docker daemon socket at "
		"unix:///var/run/docker.sock: Get \"http://%2Fvar\": dial unix "
		"/var/run/docker.sock: connect: permission denied\n",
		E_DENIED, "group docker");
	explain("Error response from daemon: Conflict. The container name \"/x\" is already in use "
		"by container \"abc\". You have to remove (or rename) that container.\n",
		E_EXISTS, "bottle cleanup");
	explain("Error response from daemon: network with name t1 already exists\n", E_EXISTS,
		"taken");
	explain("Error response from daemon: No such container: nosuch\n", E_NOTFOUND,
		"do it: No such container: nosuch");
	explain("Error response from daemon: network nosuch not found\nexit status 1\n", E_NOTFOUND,
		"do it: network nosuch not found");
	explain("Error response from daemon: could not find an available, non-overlapping IPv4 "
		"address pool among the defaults to assign to the network\n",
		E_LIMIT, "docker network prune");
}

static void the_engines_line_counts(void **state)
{
	(void)state;
	explain("WARNING: something\nError response from daemon: it is broken.\n"
		"Error: failed to start containers: x\n",
		E_CHILD, "do it: it is broken");
	explain("progress\nthe last line\n\n", E_CHILD, "do it: the last line");
	explain("", E_CHILD, "said nothing");
}

/* "a|b|c" */
static void assert_argv(const struct docker_call *c, const char *want)
{
	auto_buf got = BUF_INIT(KIB(8));

	for (size_t i = 0; i < c->argc; i++)
		assert_int_equal(buf_addf(&got, &err, "%s%s", i ? "|" : "", c->argv[i]), 0);
	assert_string_equal(buf_z(&got), want);
	assert_null(c->argv[c->argc]);
}

static const struct engine engine = { .program = "docker" };
static const struct engine_labels labels = { .v = { { "bottle.identity", "x" } }, .n = 1 };

/* A network without these is the hole of spec 1.2.6. */
static void internal_network_has_no_gateway(void **state)
{
	auto_call c;

	(void)state;
	engine_network_create(&c, &engine, "net", true, &labels);
	assert_argv(&c,
		    "docker|network|create|--driver|bridge|--internal|--opt|"
		    "com.docker.network.bridge.inhibit_ipv4=true|--label|bottle.identity=x|net");
	assert_true(c.job.keep);
}

static void a_box_is_closed(void **state)
{
	static const char *const caps[] = { "CHOWN", NULL };
	static const char *const command[] = { "/bottle", "egress-proxy", NULL };
	const struct engine_container spec = { .name = "n",
					       .image = "i",
					       .user = "1:1",
					       .labels = &labels,
					       .network = "net",
					       .alias = "a",
					       .dns = "127.0.0.1",
					       .env = "NAME",
					       .tmpfs = "/run/bottle",
					       .runtime = "runsc",
					       .caps = caps,
					       .command = command,
					       .pids = 64,
					       .memory_mib = 32,
					       .read_only = true,
					       .no_ipv6 = true };
	auto_call c;

	(void)state;
	engine_create(&c, &engine, &spec);
	assert_argv(
		&c,
		"docker|create|--pull|never|--interactive|--name|n|--user|1:1|--label|"
		"bottle.identity=x|--cap-drop|ALL|--security-opt|no-new-privileges|"
		"--cap-add|CHOWN|--pids-limit|64|--memory|32m|--log-driver|none|"
		"--read-only|--sysctl|net.ipv6.conf.all.disable_ipv6=1|--sysctl|"
		"net.ipv4.ip_forward=0|--runtime|runsc|--tmpfs|/run/bottle|--network|net|"
		"--network-alias|a|--env|NAME|--dns|127.0.0.1|--entrypoint|/bottle|--|i|egress-proxy");
	assert_true(c.job.keep);
}

static void bind_paths_are_quoted(void **state)
{
	static const char *const command[] = { "c", NULL };
	const struct engine_container spec = { .name = "n",
					       .image = "i",
					       .user = "1",
					       .labels = &labels,
					       .network = "net",
					       .tmpfs = "/t",
					       .bind_from = "/a,b\"c",
					       .bind_to = "/work",
					       .command = command };
	auto_call c;
	bool found = false;

	(void)state;
	engine_create(&c, &engine, &spec);
	for (size_t i = 0; i < c.argc; i++)
		found |= strcmp(c.argv[i], "type=bind,\"source=/a,b\"\"c\",target=/work") == 0;
	assert_true(found);
}

static void missing_client(void **state)
{
	const struct engine none = { .program = "no-such-engine" };
	struct loop *l = loop_new(&err);
	auto_call c;
	struct docker_call *const calls[] = { &c };

	(void)state;
	engine_info(&c, &none);
	assert_int_equal(docker_run(l, calls, 1, NULL, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_non_null(strstr(err.text, "BOTTLE_ENGINE"));
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(causes),
		cmocka_unit_test(the_engines_line_counts),
		cmocka_unit_test(internal_network_has_no_gateway),
		cmocka_unit_test(a_box_is_closed),
		cmocka_unit_test(bind_paths_are_quoted),
		cmocka_unit_test(missing_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
