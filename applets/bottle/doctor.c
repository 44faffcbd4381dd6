/*
 * bottle doctor: what this host has and lacks, each line with how to mend it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "applet.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "bottle/host.h"
#include "bottle/show.h"
#include "docker/engine.h"
#include "manifest/bundle.h"

#define SKEW_MAX 60  /* seconds: certificates are backdated by an hour, tokens often by a minute */
#define FREE_MIN 512 /* MiB */

struct doctor {
	struct host host;
	bool failed;
};

static void check(struct doctor *d, bool ok, const char *what, const char *mend)
{
	show_line(ok, "%s", what);
	if (ok)
		return;
	d->failed = true;
	show_hint("    %s", mend);
}

/* close_range with CLOEXEC and pidfds: Linux 5.11. */
static void check_kernel(struct doctor *d)
{
	struct utsname u;
	auto_free char *what = NULL;
	int major = 0, minor = 0;
	struct str rest, a, b;
	uint64_t x, y;

	if (uname(&u) < 0)
		return;
	rest = str_of(u.release);
	if (str_split(&rest, '.', &a) && str_split(&rest, '.', &b) &&
	    str_to_u64(a, 1000, &x) == 0 && str_to_u64(b, 1000, &y) == 0) {
		major = (int)x;
		minor = (int)y;
	}
	what = mem_printf("kernel %s", u.release);
	check(d, major > 5 || (major == 5 && minor >= 11), what, "Linux 5.11 or newer is needed");
}

static void check_home(struct doctor *d)
{
	auto_free char *what = mem_printf("home %s", d->host.home.dir);
	struct statvfs fs;

	if (access(d->host.home.dir, F_OK) < 0) {
		check(d, false, what, "it does not exist yet: bottle init");
		return;
	}
	check(d, access(d->host.home.dir, W_OK) == 0, what, "it cannot be written to");
	if (statvfs(d->host.home.dir, &fs) == 0)
		check(d, (uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)FREE_MIN << 20,
		      "room on its disk",
		      "less than 512 MiB are free; a bottle ends when its events cannot be "
		      "written");
}

static void check_trust(struct doctor *d)
{
	static const char *const files[] = { "/etc/ssl/certs/ca-certificates.crt",
					     "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	const char *own = getenv("SSL_CERT_FILE");
	bool ok = own && access(own, R_OK) == 0;

	for (size_t i = 0; i < ARRAY_LEN(files) && !own; i++)
		ok = ok || access(files[i], R_OK) == 0;
	check(d, ok, "certificate authorities of this host",
	      own ? "SSL_CERT_FILE names a file that cannot be read"
		  : "install ca-certificates, or name a bundle in SSL_CERT_FILE");
}

/* 2026-11-22T13:36:01.5Z; 0 when it is something else. */
static time_t parse_time(struct str s)
{
	auto_free char *z = str_dupz(str_sub(s, 0, 19));
	struct tm tm = { .tm_year = 0 };
	const char *end = strptime(z, "%Y-%m-%dT%H:%M:%S", &tm);

	return end && !*end && tm.tm_year > 0 ? timegm(&tm) - tm.tm_gmtoff : 0;
}

static void check_clock(struct doctor *d, const struct json *info)
{
	struct str text = json_str(json_get(info, "SystemTime"));
	time_t theirs = str_ends(text, STR("Z")) ? parse_time(text) : 0;
	int64_t skew = theirs ? (int64_t)theirs - (int64_t)time(NULL) : 0;

	check(d, skew <= SKEW_MAX && skew >= -SKEW_MAX, "clock",
	      "the engine's clock and this host's differ by more than a minute");
}

static void check_engine(struct doctor *d)
{
	const char *program = getenv("BOTTLE_ENGINE");
	const struct engine e = { .program = program && *program ? program : "docker" };
	auto_json struct json *info = NULL;
	auto_free char *what = NULL;
	auto_call c;
	struct docker_call *const calls[] = { &c };
	struct err err = ERR_INIT;
	bool runsc;

	engine_info(&c, &e);
	if (docker_run(d->host.loop, calls, 1, &d->host.stop, &err) == 0)
		info = json_parse(docker_out(&c), "engine", &err);
	if (json_len(json_get(info, "ServerErrors")) > 0)
		(void)docker_explain(e.program, "ask the engine",
				     json_str(json_at(json_get(info, "ServerErrors"), 0)), &err);
	if (!info || err.code != E_NONE) {
		check(d, false, "engine", err.text);
		return;
	}
	what = mem_printf("engine %s %.*s", e.program,
			  STR_ARG(json_str(json_get(info, "ServerVersion"))));
	check(d, true, what, "");
	check_clock(d, info);
	runsc = json_get(json_get(info, "Runtimes"), "runsc") != NULL;
	show_line(true, "gVisor %s",
		  runsc ? "is registered: agents run in it"
			: "is not registered; agents run on the host's kernel");
	if (!runsc)
		show_hint("    optional: install runsc and add it to the engine's runtimes");
}

static void check_proxy_variables(void)
{
	static const char *const names[] = { "HTTPS_PROXY", "https_proxy" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (getenv(names[i])) {
			show_hint("    %s is set here: sidecars do not use it", names[i]);
			return;
		}
}

static int run(const struct opts_result *in, struct err *err)
{
	struct doctor d = { .failed = false };
	int rc = host_init(&d.host, err);

	(void)in;
	if (rc == 0) {
		show_heading("bottle %s (%s)", bottle_version(), bottle_revision());
		check_kernel(&d);
		check_home(&d);
		check_trust(&d);
		check_engine(&d);
		check_proxy_variables();
		rc = d.failed ? EXIT_FAILED : 0;
	}
	host_fini(&d.host);
	return rc;
}

const struct command command_bottle_doctor = {
	.spec = { .about = "Check what this host has and lacks. Each line says how to mend it.",
		  .example = "bottle doctor" },
	.run = run,
};
