#include "bottle/host.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "bottle/show.h"

static void on_signal(void *arg, int signo)
{
	struct host *h = arg;

	/* A terminal that is gone takes the session with it; its keys do not. */
	if (h->in_session && signo == SIGINT)
		return;
	if (!h->stop)
		h->signo = signo;
	h->stop = true;
}

static void on_quit(void *arg, int signo)
{
	(void)arg;
	(void)signo;
}

int host_init(struct host *h, struct err *err)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	static const int ignored[] = { SIGQUIT };
	auto_notes notes = NOTES_INIT;
	int rc;

	*h = (struct host){ .loop = NULL };
	rc = home_find(&host_env_process, &h->home, &notes, err);
	show_notes(&notes);
	if (rc < 0)
		return -1;
	h->loop = loop_new(err);
	if (!h->loop)
		return -1;
	/* Both are errors of write(2), to be answered by a teardown, not by our death. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	if (loop_signals(h->loop, signals, ARRAY_LEN(signals), on_signal, h, err) < 0)
		return -1;
	return loop_signals(h->loop, ignored, ARRAY_LEN(ignored), on_quit, h, err);
}

void host_use_docker(struct host *h, const struct str_list *hide)
{
	h->backend = backend_docker_new(h->loop, &h->stop, hide);
}

void host_fini(struct host *h)
{
	backend_free(h->backend);
	loop_free(h->loop);
	home_fini(&h->home);
}

int host_backend(const char *name, enum backend_kind *ret, struct err *err)
{
	if (!name || strcmp(name, "docker") == 0)
		*ret = BACKEND_DOCKER;
	else if (strcmp(name, "native") == 0)
		*ret = BACKEND_NATIVE;
	else
		return err_set(err, E_USAGE, "--backend '%s': docker or native", name);
	return 0;
}
