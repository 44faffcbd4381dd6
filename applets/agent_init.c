/*
 * agent-init: our program in the agent's box. Not for people; the launcher runs it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "applet.h"
#include "backend/inside.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"
#include "sys/loop.h"
#include "sys/sandbox.h"

/* ---- hold: process 1 of the box ---- */

/* What was orphaned becomes ours; nobody else would collect it. */
static void on_signal(void *arg, int signo)
{
	if (signo != SIGCHLD) {
		loop_stop(arg);
		return;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

struct lease {
	struct loop *loop;
	struct loop_watch watch;
};

/* The launcher holds our input open; when it closes, however that came, the box ends. */
static void on_lease(void *arg, unsigned events)
{
	struct lease *lease = arg;
	char byte;

	(void)events;
	if (read(STDIN_FILENO, &byte, 1) <= 0)
		loop_stop(lease->loop);
}

static int hold(struct lease *lease, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

	if (sandbox_hold(err) < 0 ||
	    loop_signals(lease->loop, signals, ARRAY_LEN(signals), on_signal, lease->loop, err) <
		    0 ||
	    loop_watch(lease->loop, &lease->watch, STDIN_FILENO, LOOP_READ, on_lease, lease, err) <
		    0 ||
	    applet_print(STR("ready\n"), err) < 0)
		return -1;
	return loop_run(lease->loop, err);
}

static int run_hold(const struct opts_result *in, struct err *err)
{
	struct lease lease = { .loop = loop_new(err) };
	int rc;

	(void)in;
	if (!lease.loop)
		return -1;
	rc = hold(&lease, err);
	loop_unwatch(&lease.watch);
	loop_free(lease.loop);
	return rc;
}

/* ---- provision, hosts: a document in, one line of JSON out ---- */

static int answer(int (*work)(struct str document, struct err *err), struct err *err)
{
	auto_buf document = BUF_INIT_SECRET(PROVISION_MAX);
	auto_buf out = BUF_INIT(KIB(64));
	auto_json struct json *j = json_new_object();
	struct err why = ERR_INIT;
	int rc = fd_read_all(STDIN_FILENO, &document, "document", &why);

	if (rc == 0)
		rc = work(buf_str(&document), &why);
	json_set(j, "ok", json_new_bool(rc == 0));
	if (rc < 0)
		json_set_strz(j, "error", why.text);
	if (json_write(j, false, &out, err) < 0 || buf_addc(&out, '\n', err) < 0)
		return -1;
	return applet_print(buf_str(&out), err);
}

static int run_provision(const struct opts_result *in, struct err *err)
{
	(void)in;
	return answer(inside_provision, err);
}

static int run_hosts(const struct opts_result *in, struct err *err)
{
	(void)in;
	return answer(inside_hosts, err);
}

/* ---- session ---- */

static int run_session(const struct opts_result *in, struct err *err)
{
	int status;

	if (in->rest_count == 0)
		return err_set(err, E_USAGE, "no command after --");
	status = inside_session(in->rest, err);
	(void)fprintf(stderr, "bottle: %s\n", err->text);
	return status;
}

static const struct command agent_hold = {
	.spec = { .usage = "",
		  .about = "Be process 1 of the box until standard input closes.",
		  .example = "agent-init hold" },
	.run = run_hold,
};
static const struct command agent_provision = {
	.spec = { .usage = "",
		  .about = "Make the box ready from the document on standard input, as root.",
		  .example = "agent-init provision < document.json" },
	.run = run_provision,
};
static const struct command agent_hosts = {
	.spec = { .usage = "",
		  .about = "Rewrite the sidecars' names from the document on standard input.",
		  .example = "agent-init hosts < document.json" },
	.run = run_hosts,
};
static const struct command agent_session = {
	.spec = { .usage = "-- CMD…",
		  .about = "Run a command with the environment of the bottle.",
		  .takes_rest = true,
		  .example = "agent-init session -- env" },
	.run = run_session,
};

const struct command applet_agent_init = {
	.spec = { .usage = "COMMAND",
		  .about = "Work inside the agent's box. The launcher runs it there." },
	.subs = (const struct command_entry[]){ { "hold", &agent_hold },
						{ "hosts", &agent_hosts },
						{ "provision", &agent_provision },
						{ "session", &agent_session },
						{ NULL, NULL } },
};
