/*
 * egress-proxy: the proxy the agent talks to (spec 2.2), in a bottle or from a shell.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applet.h"
#include "base/enc.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "ca/ca.h"
#include "egress_proxy_ctl.h"
#include "net/tls.h"
#include "proxy/config.h"
#include "proxy/proxy.h"
#include "sys/fd.h"
#include "sys/sandbox.h"

#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

static struct {
	const char *bundle, *routes, *ca, *listen, *health, *control;
	struct opt_list upstream_ca, resolve, allow_private, name;
	int head_timeout, idle_timeout, memory;
} opt;

struct service {
	struct loop *loop;
	struct proxy *proxy;
	struct loop_watch lease;
	char **argv;
};

/* ---- configuration from options and environment ---- */

static int read_routes_file(struct proxy_config *c, struct err *err)
{
	auto_buf text = BUF_INIT(YAML_TEXT_MAX);

	if (!opt.routes)
		return err_set(err, E_USAGE, "--routes FILE is needed (or --bundle -)");
	if (file_read(opt.routes, &text, err) < 0)
		return -1;
	c->routes = routes_parse(buf_str(&text), opt.routes, err);
	return c->routes ? 0 : -1;
}

static int read_ca_file(struct proxy_config *c, const char *path, struct err *err)
{
	auto_buf text = BUF_INIT_SECRET(KIB(256));

	if (file_read(path, &text, err) < 0)
		return -1;
	c->ca = ca_load(buf_str(&text), path, err);
	return c->ca ? 0 : -1;
}

/* Without --ca: a CA of this process alone; its certificate is all that ever reaches the disk. */
static int make_ca(struct proxy_config *c, struct err *err)
{
	struct ca_params params = { .common_name = "egress-proxy (this run only)", .days = 30 };
	auto_buf pem = BUF_INIT(KIB(16));
	auto_free char *dir = NULL, *path = NULL;

	c->ca = ca_new(&params, err);
	if (!c->ca || ca_cert_pem(c->ca, &pem, err) < 0)
		return -1;
	dir = dir_make_temp("egress-proxy-", err);
	if (!dir)
		return -1;
	path = path_join(dir, "ca.pem");
	if (file_write_atomic(path, buf_str(&pem), 0644, err) < 0)
		return -1;
	log_info("no --ca: made one for this run, its certificate is in %s", path);
	return 0;
}

static int add_upstream_ca(struct proxy_config *c, const char *path, struct err *err)
{
	auto_buf text = BUF_INIT(JSON_TEXT_MAX);

	if (file_read(path, &text, err) < 0)
		return -1;
	proxy_config_add_upstream_ca(c, buf_str(&text), path);
	return 0;
}

static int read_trust(struct proxy_config *c, struct err *err)
{
	const char *ca_file = getenv("SSL_CERT_FILE");

	if (ca_file && *ca_file) {
		if (add_upstream_ca(c, ca_file, err) < 0)
			return err_wrap(err, "SSL_CERT_FILE");
	} else if (access(SYSTEM_CA_FILE, R_OK) == 0 &&
		   add_upstream_ca(c, SYSTEM_CA_FILE, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < opt.upstream_ca.n; i++)
		if (add_upstream_ca(c, opt.upstream_ca.v[i], err) < 0)
			return -1;
	return 0;
}

static int read_gate(struct proxy_config *c, struct err *err)
{
	const char *gate = getenv("EGRESS_PROXY_UPSTREAM_PROXY");
	const char *ca = getenv("EGRESS_PROXY_UPSTREAM_CA");

	if (gate && *gate && proxy_config_set_gate(c, str_of(gate), err) < 0)
		return err_wrap(err, "EGRESS_PROXY_UPSTREAM_PROXY");
	if (ca && *ca) {
		if (!c->gate_host)
			return err_set(err, E_BAD,
				       "EGRESS_PROXY_UPSTREAM_CA is set without "
				       "EGRESS_PROXY_UPSTREAM_PROXY, so nothing would be checked "
				       "against it");
		if (add_upstream_ca(c, ca, err) < 0)
			return err_wrap(err, "EGRESS_PROXY_UPSTREAM_CA");
		c->has_gate_ca = true;
	}
	return 0;
}

static int read_addresses(struct proxy_config *c, struct err *err)
{
	const char *port = getenv("EGRESS_PROXY_PORT");
	auto_free char *listen = NULL;

	if (opt.listen)
		listen = mem_strdup(opt.listen);
	else
		listen = mem_printf("127.0.0.1:%s", port && *port ? port : "9099");
	if (addr_parse_listen(str_of(listen), &c->listen, err) < 0)
		return err_wrap(err, opt.listen ? "--listen" : "EGRESS_PROXY_PORT");
	if (opt.health) {
		c->has_health = true;
		if (addr_parse_listen(str_of(opt.health), &c->health, err) < 0)
			return err_wrap(err, "--health");
	}
	if (opt.control)
		c->control = mem_strdup(opt.control);
	return 0;
}

static int read_options(struct proxy_config *c, struct err *err)
{
	if (read_addresses(c, err) < 0 || read_routes_file(c, err) < 0)
		return -1;
	if ((opt.ca ? read_ca_file(c, opt.ca, err) : make_ca(c, err)) < 0)
		return -1;
	if (read_trust(c, err) < 0 || read_gate(c, err) < 0)
		return -1;
	for (size_t i = 0; i < opt.resolve.n; i++)
		if (proxy_config_add_pin(c, str_of(opt.resolve.v[i]), err) < 0)
			return err_wrap(err, "--resolve");
	for (size_t i = 0; i < opt.allow_private.n; i++)
		if (ssrf_allow(&c->ssrf, str_of(opt.allow_private.v[i]), err) < 0)
			return err_wrap(err, "--allow-private");
	for (size_t i = 0; i < opt.name.n; i++)
		proxy_config_add_name(c, str_of(opt.name.v[i]));
	if (opt.name.n == 0)
		proxy_config_add_name(c, STR("egress-proxy"));
	if (tokens_from_env(&c->tokens, err) < 0)
		return -1;
	return proxy_config_check(c, err);
}

/* ---- configuration from a bundle ---- */

/*
 * One line on stdin, byte by byte past its end not at all: what follows is the lease. Until it has
 * come nothing listens, so everything is refused.
 */
static int read_bundle(struct proxy_config *c, struct err *err)
{
	auto_buf line = BUF_INIT_SECRET(JSON_TEXT_MAX);
	ssize_t end = -1;

	if (strcmp(opt.bundle, "-") != 0)
		return err_set(err, E_USAGE,
			       "--bundle takes \"-\" only: a bundle holds secrets and "
			       "comes on stdin");
	while (end < 0) {
		size_t before = line.len;
		char *room = buf_reserve(&line, KIB(64), err);
		ssize_t n;

		if (!room)
			return err_wrap(err, "bundle");
		n = read(STDIN_FILENO, room, KIB(64));
		if (n < 0)
			return err_sys(err, "cannot read the bundle");
		if (n == 0)
			return err_set(err, E_BAD, "stdin ended before a whole bundle line came");
		buf_commit(&line, (size_t)n);
		end = str_chr(buf_str(&line), '\n', before);
	}
	if ((size_t)end + 1 != line.len)
		return err_set(err, E_BAD, "bytes after the bundle's line");
	return proxy_config_read_bundle(c, str_sub(buf_str(&line), 0, (size_t)end), err);
}

/* ---- serving ---- */

static void reload(struct service *s)
{
	auto_buf text = BUF_INIT(YAML_TEXT_MAX);
	struct err err = ERR_INIT;

	if (!opt.routes) {
		log_info("SIGHUP: the routes came in a bundle; use ctl routes set");
		return;
	}
	if (file_read(opt.routes, &text, &err) < 0 ||
	    proxy_set_routes(s->proxy, buf_str(&text), opt.routes, &err) < 0)
		log_error("%s; the old routes stay in force", err.text);
}

static void on_signal(void *arg, int signo)
{
	struct service *s = arg;

	if (signo == SIGHUP)
		reload(s);
	else
		proxy_drain(s->proxy);
}

/* The launcher holds our stdin open; when it is gone, so is the reason to run. */
static void on_lease(void *arg, unsigned events)
{
	struct service *s = arg;
	char byte;
	ssize_t n = read(STDIN_FILENO, &byte, 1);

	(void)events;
	if (n > 0)
		return; /* nothing is expected; it is not worth dying for */
	loop_unwatch(&s->lease);
	proxy_drain(s->proxy);
}

static void announce(const struct proxy *p)
{
	struct log_event ev;
	char at[ADDR_TEXT_MAX];

	addr_text(proxy_addr(p), true, at);
	log_event_begin(&ev, "ready");
	log_event_strz(&ev, "listen", at);
	log_event_u64(&ev, "routes", p->policy->routes->n);
	log_event_strz(&ev, "sha256", p->policy->routes->sha256);
	log_event_strz(&ev, "version", bottle_version());
	(void)log_event_end(&ev);
}

static int serve(struct proxy_config *c, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct service s = { .loop = loop_new(err) };
	int res = -1;

	if (!s.loop)
		return -1;
	s.proxy = proxy_new(s.loop, c, err);
	if (!s.proxy || loop_signals(s.loop, signals, ARRAY_LEN(signals), on_signal, &s, err) < 0)
		goto out;
	if (opt.bundle &&
	    loop_watch(s.loop, &s.lease, STDIN_FILENO, LOOP_READ, on_lease, &s, err) < 0)
		goto out;
	announce(s.proxy);
	res = loop_run(s.loop, err);
out:
	loop_unwatch(&s.lease);
	proxy_free(s.proxy);
	loop_free(s.loop);
	return res;
}

static int run_serve(const struct opts_result *in, struct err *err)
{
	struct proxy_config c;
	int res;

	(void)in;
	log_init("egress-proxy", LOG_INFO);
	proxy_config_init(&c);
	if (opt.head_timeout)
		c.head_timeout_ms = opt.head_timeout * 1000;
	if (opt.idle_timeout)
		c.idle_timeout_ms = opt.idle_timeout * 1000;
	if (opt.memory)
		c.memory = MIB(opt.memory);
	if (sandbox_proxy(err) < 0 || tls_global_init(err) < 0)
		return -1;
	res = opt.bundle ? read_bundle(&c, err) : read_options(&c, err);
	if (res == 0)
		res = serve(&c, err);
	proxy_config_fini(&c);
	return res;
}

/* ---- the command ---- */

static const struct opt serve_opts[] = {
	{ .name = "routes",
	  .letter = 'r',
	  .type = OPT_STR,
	  .out = &opt.routes,
	  .arg = "FILE",
	  .help = "routes, as JSON or YAML; read again on SIGHUP" },
	{ .name = "ca",
	  .type = OPT_STR,
	  .out = &opt.ca,
	  .arg = "FILE",
	  .help = "certificate and key of the CA, one PEM (default: made for this run)" },
	{ .name = "listen",
	  .letter = 'l',
	  .type = OPT_STR,
	  .out = &opt.listen,
	  .arg = "ADDR:PORT",
	  .help = "where clients connect (default 127.0.0.1:9099; port 0: any)" },
	{ .name = "upstream-ca",
	  .type = OPT_STR_LIST,
	  .out = &opt.upstream_ca,
	  .arg = "FILE",
	  .help = "also trust these CAs upstream, next to the system's (repeatable)" },
	{ .name = "resolve",
	  .type = OPT_STR_LIST,
	  .out = &opt.resolve,
	  .arg = "HOST:PORT:ADDR",
	  .help = "pin an address, as in curl; the SSRF guard lets it pass (repeatable)" },
	{ .name = "allow-private",
	  .type = OPT_STR_LIST,
	  .out = &opt.allow_private,
	  .arg = "CIDR",
	  .help = "let the SSRF guard pass these addresses (repeatable)" },
	{ .name = "name",
	  .type = OPT_STR_LIST,
	  .out = &opt.name,
	  .arg = "HOST",
	  .help = "a name of this proxy, for reverse mounts (default egress-proxy)" },
	{ .name = "control",
	  .type = OPT_STR,
	  .out = &opt.control,
	  .arg = "PATH",
	  .help = "control socket for `egress-proxy ctl`" },
	{ .name = "health",
	  .type = OPT_STR,
	  .out = &opt.health,
	  .arg = "ADDR:PORT",
	  .help = "serve /health and /metrics there" },
	{ .name = "head-timeout",
	  .type = OPT_SECONDS,
	  .out = &opt.head_timeout,
	  .min = 1,
	  .max = 3600,
	  .arg = "TIME",
	  .help = "for a whole request head (default 60s)" },
	{ .name = "idle-timeout",
	  .type = OPT_SECONDS,
	  .out = &opt.idle_timeout,
	  .min = 1,
	  .max = 7 * 86400,
	  .arg = "TIME",
	  .help = "for a stream silent in both directions (default 1h)" },
	{ .name = "memory",
	  .type = OPT_INT,
	  .out = &opt.memory,
	  .min = 16,
	  .max = 1 << 20,
	  .arg = "MIB",
	  .help = "for connections and what they have under way (default 768)" },
	{ .name = "bundle",
	  .type = OPT_STR,
	  .out = &opt.bundle,
	  .arg = "-",
	  .help = "take everything from one JSON line on stdin; run until stdin closes" },
	{ .name = NULL },
};

const struct command applet_egress_proxy = {
	.spec = {
		.usage = "--routes FILE [options]",
		.about = "Intercepting forward proxy that enforces routes and adds credentials. Events go to "
			 "stdout, one JSON line each; credentials come from EGRESS_PROXY_TOKEN_N, an upstream "
			 "proxy from EGRESS_PROXY_UPSTREAM_PROXY and EGRESS_PROXY_UPSTREAM_CA.",
		.opts = serve_opts,
		.example = "echo '{\"routes\":[{\"host\":\"example.com\"}]}' > routes.json\n"
			   "bottle-ca init --dir ca\n"
			   "egress-proxy --routes routes.json --ca ca/ca-combined.pem &\n"
			   "curl --retry 1 --retry-connrefused --proxy http://127.0.0.1:9099 "
			   "--cacert ca/ca.pem https://example.com/",
	},
	.run = run_serve,
	.subs = (const struct command_entry[]){ { "ctl", &egress_proxy_ctl }, { NULL, NULL } },
};
