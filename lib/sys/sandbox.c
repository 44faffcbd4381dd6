#include "sys/sandbox.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_launcher(struct err *err)
{
	const struct rlimit none = { 0, 0 };

	/* Not dumpable is also not ptraceable, and /proc/self/mem belongs to root. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "forbid core dumps and tracing");
	/* A core_pattern that is a pipe does not ask for the limit, one that is a file does. */
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_sys(err, "limit core dumps");
	return 0;
}

int sandbox_secrets(struct err *err)
{
	if (sandbox_launcher(err) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "forbid new privileges");
	return 0;
}

int sandbox_hold(struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

	if (syscall(SYS_capset, &head, none) < 0)
		return err_sys(err, "give up capabilities");
	return sandbox_secrets(err);
}

int sandbox_proxy(struct err *err)
{
	struct rlimit files;

	if (sandbox_secrets(err) < 0)
		return -1;
	/* A peer that has gone is an error of write(2), not the end of all connections. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return err_sys(err, "ignore SIGPIPE");
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, "read the descriptor limit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, "raise the descriptor limit");
	return 0;
}
