#include "backend/launch.h"

#include <signal.h>
#include <stdlib.h>

#include "backend/provision.h"
#include "backend/service.h"
#include "backend/state.h"
#include "backend/undo.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ca/ca.h"
#include "manifest/bundle.h"
#include "manifest/notes.h"

#define SIDECARS_MAX 4

struct launch {
	const struct launch_spec *spec;
	const struct plan *plan;
	struct backend *backend;
	struct undo undo;
	struct state state;
	enum state_end end;
	struct buf sidecar_bundle, agent_bundle; /* secret */
	struct service agent;
	struct service sidecars[SIDECARS_MAX];
	size_t sidecar_count;
	struct proc session;
	bool session_running;
	int session_status;
};

static bool cancelled(const struct launch *l)
{
	return *l->spec->cancel;
}

/* ---- steps ---- */

typedef int step_fn(struct launch *l, struct err *err);

/* Runs one step and shows it. */
static int step(struct launch *l, const char *what, step_fn *fn, struct err *err)
{
	const struct progress *p = l->spec->progress;
	int64_t since = loop_now(l->spec->loop);
	int rc;

	if (cancelled(l))
		return err_set(err, E_CANCELLED, "interrupted");
	p->begin(p->user, what);
	rc = fn(l, err);
	/* What was under way when we were interrupted may have been let finish. */
	if (rc == 0 && cancelled(l))
		rc = err_set(err, E_CANCELLED, "interrupted");
	p->done(p->user, what, loop_now(l->spec->loop) - since, rc < 0 ? err : NULL);
	return rc;
}

static int undo_state(void *arg, struct err *err)
{
	struct launch *l = arg;

	return state_settle(&l->state, l->end, err);
}

static int undo_networks(void *arg, struct err *err)
{
	struct launch *l = arg;

	return l->backend->ops->remove_networks(l->backend, l->plan->identity, err);
}

static int undo_boxes(void *arg, struct err *err)
{
	struct launch *l = arg;

	return l->backend->ops->remove_boxes(l->backend, l->plan->identity, err);
}

/* The last events come while it drains; losing one is told. */
static int undo_service(void *arg, struct err *err)
{
	struct service *s = arg;

	service_stop(s);
	return s->broken ? err_set(err, E_CHILD, "%s: an event could not be kept", s->box->name)
			 : 0;
}

/* The bottle's authority lives in this memory only. */
static int make_bundles(struct launch *l, struct err *err)
{
	const struct ca_params params = { .common_name = "bottle CA",
					  .key = CA_KEY_P256,
					  .days = CA_MINT_DAYS };
	auto_ca struct ca *ca = ca_new(&params, err);
	auto_buf both = BUF_INIT_SECRET(CA_PEM_MAX);
	auto_buf cert = BUF_INIT(CA_PEM_MAX);
	struct str_list upstream = { NULL, 0 };
	int rc;

	if (!ca || ca_cert_pem(ca, &cert, err) < 0 || ca_cert_pem(ca, &both, err) < 0 ||
	    ca_key_pem(ca, &both, err) < 0)
		return -1;
	if (bundle_read_upstream_ca(l->plan, l->spec->env, &upstream, err) < 0)
		return -1;
	rc = bundle_egress_proxy(l->plan, l->spec->secrets, buf_str(&both), &upstream,
				 &l->sidecar_bundle, err);
	strs_free(&upstream);
	if (rc < 0)
		return -1;
	return bundle_agent(l->plan, l->spec->secrets, buf_str(&cert), &l->agent_bundle, err);
}

static int step_networks(struct launch *l, struct err *err)
{
	undo_push(&l->undo, undo_networks, l, "remove networks");
	return l->backend->ops->prepare(l->backend, l->plan, err);
}

static int step_boxes(struct launch *l, struct err *err)
{
	undo_push(&l->undo, undo_boxes, l, "remove boxes");
	return l->backend->ops->create(l->backend, l->plan, err);
}

static bool keep_event(void *arg, struct str line)
{
	struct launch *l = arg;

	return state_event(&l->state, line, NULL) == 0;
}

static int step_start(struct launch *l, struct err *err)
{
	struct service *all[SIDECARS_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < l->plan->box_count; i++) {
		const struct plan_box *box = &l->plan->boxes[i];
		struct service *s =
			box->role == ROLE_AGENT ? &l->agent : &l->sidecars[l->sidecar_count++];

		if (box->role == ROLE_AGENT)
			service_init(s, l->backend, box, STR_NONE, NULL, NULL);
		else
			service_init(s, l->backend, box, buf_str(&l->sidecar_bundle), keep_event,
				     l);
		all[n++] = s;
	}
	for (size_t i = 0; i < l->sidecar_count; i++)
		undo_push(&l->undo, undo_service, &l->sidecars[i], "stop a sidecar");
	/* Pushed last: the agent is gone before what it talks to goes. */
	undo_push(&l->undo, undo_service, &l->agent, "stop the agent's box");
	for (size_t i = 0; i < n; i++)
		if (service_start(all[i], err) < 0)
			return -1;
	return services_wait_ready(all, n, l->spec->cancel, err);
}

/* ---- provisioning ---- */

static int find_hosts(struct launch *l, struct provision_host hosts[SIDECARS_MAX], struct err *err)
{
	for (size_t i = 0; i < l->sidecar_count; i++) {
		const struct plan_box *box = l->sidecars[i].box;
		auto_buf address = BUF_INIT(256);

		if (!(box->networks & (1u << ROLE_NETWORK_NET)))
			continue;
		if (l->backend->ops->address(l->backend, l->plan, box, &address, err) < 0)
			return -1;
		hosts[i] = (struct provision_host){ .name = mem_strdup(box->alias),
						    .address = buf_take(&address, NULL),
						    .port = box->port };
	}
	return 0;
}

/* Runs `agent-init COMMAND` inside with the document made for it, and reads its answer. */
static int tell_agent(struct launch *l, const char *command, bool whole, struct err *err)
{
	const char *const argv[] = { "agent-init", command, NULL };
	struct provision_host hosts[SIDECARS_MAX] = { { NULL, NULL, 0 } };
	auto_buf input = BUF_INIT_SECRET(PROVISION_MAX);
	auto_buf answer = BUF_INIT(KIB(64));
	int rc = find_hosts(l, hosts, err);

	if (rc == 0)
		rc = provision_write(l->plan, hosts, l->sidecar_count,
				     whole ? buf_str(&l->agent_bundle) : STR("null"), &input, err);
	if (rc == 0)
		rc = l->backend->ops->run_inside(l->backend, l->plan, argv, buf_str(&input),
						 &answer, err);
	if (rc == 0)
		rc = provision_answer(buf_str(&answer), err);
	for (size_t i = 0; i < l->sidecar_count; i++) {
		free(hosts[i].name);
		free(hosts[i].address);
	}
	return rc;
}

static int step_provision(struct launch *l, struct err *err)
{
	if (tell_agent(l, "provision", true, err) < 0)
		return -1;
	buf_fini(&l->agent_bundle); /* said once */
	return 0;
}

/* ---- the session ---- */

static void on_session_end(void *arg, pid_t pid, int status)
{
	struct launch *l = arg;

	(void)pid;
	l->session_running = false;
	l->session_status = status;
}

/* A sidecar that ended comes back with the last state it had; its address may be another one. */
static int revive(struct launch *l, struct service *s, struct err *err)
{
	const struct progress *p = l->spec->progress;
	auto_free char *text = NULL;
	char how[64];

	if (s->broken)
		return err_set(err, E_CHILD, "%s: its events cannot be kept in %s", s->box->name,
			       l->state.dir);
	proc_status_text(s->status, how, sizeof(how));
	text = mem_printf("%s ended (%s) and is started again", s->box->name, how);
	if (state_note(&l->state, "sidecar-restart", text, err) < 0)
		return -1;
	p->note(p->user, text);
	if (service_restart(s, err) < 0)
		return -1;
	return tell_agent(l, "hosts", false, err);
}

static int look_after_services(struct launch *l, struct err *err)
{
	if (l->agent.ended && l->session_running)
		return err_set(err, E_CHILD, "%s ended under the session", l->agent.box->name);
	for (size_t i = 0; i < l->sidecar_count; i++)
		if ((l->sidecars[i].ended || l->sidecars[i].broken) && l->session_running &&
		    !cancelled(l) && revive(l, &l->sidecars[i], err) < 0)
			return -1;
	return 0;
}

static int undo_session(void *arg, struct err *err)
{
	struct launch *l = arg;

	(void)err;
	if (!l->session_running)
		return 0;
	/* Its other half goes with the box. */
	(void)kill(l->session.pid, SIGTERM);
	return 0;
}

static int run_session(struct launch *l, struct launch_result *ret, struct err *err)
{
	int rc = 0;

	if (cancelled(l))
		return err_set(err, E_CANCELLED, "interrupted");
	undo_push(&l->undo, undo_session, l, "end the session");
	if (l->backend->ops->session(l->backend, l->plan, l->spec->tty, &l->session, err) < 0)
		return -1;
	l->session_running = ret->ran = true;
	l->end = STATE_KEEP;
	*l->spec->in_session = l->spec->tty;
	if (loop_child(l->spec->loop, l->session.pid, on_session_end, l, err) < 0)
		return -1;
	while (rc == 0 && l->session_running && !cancelled(l)) {
		rc = loop_once(l->spec->loop, -1, err);
		if (rc == 0)
			rc = look_after_services(l, err);
	}
	*l->spec->in_session = false;
	if (rc < 0)
		return -1;
	if (cancelled(l))
		return err_set(err, E_CANCELLED, "interrupted");
	ret->exit_code = proc_exit_code(l->session_status);
	return 0;
}

/* ---- the whole ---- */

static int go(struct launch *l, struct launch_result *ret, struct err *err)
{
	const char *missing = l->backend->ops->missing(l->backend, l->plan);
	auto_free char *networks =
		mem_printf("networks%s%s", missing ? ", " : "", missing ? missing : "");

	if (make_bundles(l, err) < 0)
		return -1;
	if (state_create(l->spec->home, l->plan, &l->state, err) < 0)
		return -1;
	undo_push(&l->undo, undo_state, l, "settle the state directory");
	if (step(l, networks, step_networks, err) < 0 || step(l, "boxes", step_boxes, err) < 0 ||
	    step(l, "sidecars and agent", step_start, err) < 0 ||
	    step(l, "provision and probe", step_provision, err) < 0)
		return -1;
	return run_session(l, ret, err);
}

/* Not through step(): it runs although, and because, we were interrupted. */
static int teardown(struct launch *l, struct err *err)
{
	const struct progress *p = l->spec->progress;
	int64_t since = loop_now(l->spec->loop);
	bool nothing = l->undo.n == 0;
	int rc;

	if (!nothing)
		p->begin(p->user, "teardown");
	rc = undo_run(&l->undo, err);
	if (!nothing)
		p->done(p->user, "teardown", loop_now(l->spec->loop) - since, rc < 0 ? err : NULL);
	return rc;
}

int launch_run(const struct launch_spec *spec, struct launch_result *ret, struct err *err)
{
	struct launch l = { .spec = spec,
			    .plan = spec->plan,
			    .backend = spec->backend,
			    .end = STATE_NONE,
			    .state = { .lock_fd = -1, .events_fd = -1 },
			    .sidecar_bundle = BUF_INIT_SECRET(BUNDLE_MAX),
			    .agent_bundle = BUF_INIT_SECRET(BUNDLE_MAX) };
	struct err undo_err = ERR_INIT;
	int rc;

	*ret = (struct launch_result){ .ran = false };
	rc = go(&l, ret, err);
	if (rc == 0 && ret->exit_code == 0)
		l.end = STATE_CLEAN;
	ret->kept = l.end == STATE_KEEP;
	if (teardown(&l, &undo_err) < 0 && rc == 0) {
		if (err)
			*err = undo_err;
		rc = -1;
	}
	service_fini(&l.agent);
	for (size_t i = 0; i < l.sidecar_count; i++)
		service_fini(&l.sidecars[i]);
	state_fini(&l.state);
	buf_fini(&l.sidecar_bundle);
	buf_fini(&l.agent_bundle);
	return rc;
}
