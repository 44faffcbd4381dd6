/*
 * bottle stop: asks the owner of a bottle to take it down, and waits until it has.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "applet.h"
#include "backend/state.h"
#include "base/mem.h"
#include "bottle/show.h"
#include "manifest/home.h"

#define STOP_TIMEOUT_MS (60 * 1000)

/*
 * The lock says that the owner lives, hence that the pid in its metadata is still its own. The
 * descriptor holds on to the process: should it end meanwhile, no other gets the signal.
 */
static int stop(const struct state_entry *e, struct err *err)
{
	auto_close int fd = (int)syscall(SYS_pidfd_open, e->pid, 0);
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	int n;

	if (fd < 0)
		return err_sys(err, "owner of %s (process %d)", e->identity, (int)e->pid);
	if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) < 0)
		return err_sys(err, "owner of %s (process %d)", e->identity, (int)e->pid);
	do
		n = poll(&wait, 1, STOP_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(err, E_TIMEOUT,
			       "%s is still there after %d s; its owner is process %d", e->identity,
			       STOP_TIMEOUT_MS / 1000, (int)e->pid);
	return 0;
}

static int run(const struct opts_result *in, struct err *err)
{
	const char *identity = in->operands[0];
	auto_home home = { NULL, NULL };
	struct state_list l = { NULL, 0 };
	const struct state_entry *e;
	int rc;

	if (home_find(&host_env_process, &home, NULL, err) < 0 || state_list(home.dir, &l, err) < 0)
		return -1;
	e = state_find(&l, identity);
	if (e && e->live && e->pid > 1)
		rc = stop(e, err);
	else if (e)
		rc = err_set(err, E_NOTFOUND,
			     "%s does not run; what it left is removed by 'bottle cleanup'",
			     identity);
	else
		rc = err_set(err, E_NOTFOUND, "no bottle '%s' (see 'bottle list')", identity);
	if (rc == 0)
		show_line(true, "%s has ended", identity);
	state_list_free(&l);
	return rc;
}

const struct command command_bottle_stop = {
	.spec = { .usage = "IDENTITY",
		  .about = "End a running bottle in order.",
		  .operands_min = 1,
		  .operands_max = 1,
		  .example = "bottle stop dev-x3k9a" },
	.run = run,
};
