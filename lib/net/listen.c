#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/filter.h"

struct listener {
	struct loop *loop;
	int fd;
	int reserve; /* given up to accept one connection when there is no other descriptor */
	listen_fn *fn, *starved_fn;
	void *arg;
	struct addr addr;
	struct loop_watch watch;
	struct loop_timer pause;
	uint64_t starved;
	bool accepting; /* its own callback is on the stack */
	bool closed;
	char *path; /* Unix: what to remove, if it is still this inode */
	dev_t dev;
	ino_t ino;
};

static void listener_free(struct listener *ls)
{
	free(ls->path);
	free(ls);
}

static int accept_one(struct listener *ls, struct addr *peer)
{
	int fd;

	*peer = (struct addr){ .len = 0 };
	peer->len = sizeof(struct sockaddr_in6);
	do
		fd = accept4(ls->fd, &peer->sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -1;
	if (ls->path) /* an unnamed peer has no address at all, a named one a long one */
		*peer = (struct addr){ .sa.sa_family = AF_UNIX, .len = sizeof(sa_family_t) };
	addr_unmap(peer);
	return fd;
}

static bool out_of_resources(int e)
{
	return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM;
}

/* accept(2): errors of the connection that would have been next; the one after it may be fine. */
static bool only_this_one(int e)
{
	switch (e) {
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM: /* a firewall's word */
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static void on_pause_over(void *arg)
{
	struct listener *ls = arg;

	loop_watch_events(&ls->watch, LOOP_READ);
}

/*
 * Another process may take the descriptor that was just given up (ENFILE is the whole system's):
 * then nothing is closed, and the pause alone keeps us from spinning.
 */
static void shed(struct listener *ls)
{
	struct addr peer;

	for (unsigned i = 0; i < LISTEN_BATCH && ls->reserve >= 0; i++) {
		int fd;

		(void)close(steal_fd(&ls->reserve));
		fd = accept_one(ls, &peer);
		if (fd >= 0) {
			ls->starved++;
			if (ls->starved_fn)
				ls->starved_fn(ls->arg, fd, &peer);
			else
				(void)close(fd);
		}
		ls->reserve = fcntl(ls->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			break;
	}
}

static void pause_accepting(struct listener *ls)
{
	loop_watch_events(&ls->watch, 0);
	loop_timer(ls->loop, &ls->pause, LISTEN_PAUSE_MS, on_pause_over, ls);
}

static void on_connection(void *arg, unsigned events)
{
	struct listener *ls = arg;

	(void)events;
	ls->accepting = true;
	for (unsigned i = 0; i < LISTEN_BATCH && !ls->closed; i++) {
		struct addr peer;
		int fd = accept_one(ls, &peer);
		int e = errno;

		if (fd >= 0) {
			ls->fn(ls->arg, fd, &peer);
			continue;
		}
		if (e == EAGAIN || e == EWOULDBLOCK)
			break;
		if (only_this_one(e))
			continue;
		if (ls->reserve < 0)
			ls->reserve = fcntl(ls->fd, F_DUPFD_CLOEXEC, 0);
		if (out_of_resources(e))
			shed(ls);
		pause_accepting(ls);
		break;
	}
	ls->accepting = false;
	if (ls->closed)
		listener_free(ls);
}

/* Takes over fd: bound and listening. */
static struct listener *start(struct loop *l, int fd, listen_fn *fn, void *arg, struct err *err)
{
	struct listener *ls = mem_new(struct listener);

	ls->loop = l;
	ls->fd = fd;
	ls->fn = fn;
	ls->arg = arg;
	ls->addr.len = sizeof(struct sockaddr_in6);
	/* The copy costs a descriptor and needs no file, so it works in an empty root. */
	ls->reserve = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (ls->reserve < 0)
		(void)err_sys(err, "listen: reserve descriptor");
	else if (getsockname(fd, &ls->addr.sa, &ls->addr.len) < 0)
		(void)err_sys(err, "getsockname");
	else if (loop_watch(l, &ls->watch, fd, LOOP_READ, on_connection, ls, err) == 0)
		return ls;
	listen_close(ls);
	return NULL;
}

/* -1 with *ret_errno. */
static int bind_tcp(const struct addr *at, int *ret_fd, int *ret_errno)
{
	const int on = 1, off = 0;
	auto_close int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* [::] takes IPv4 or not by the system's default (net.ipv6.bindv6only), hence V6ONLY. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (at->sa.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
	    bind(fd, &at->sa, at->len) < 0 || listen(fd, SOMAXCONN) < 0) {
		*ret_errno = errno;
		return -1;
	}
	filter_tune_tcp(fd);
	*ret_fd = steal_fd(&fd);
	return 0;
}

struct listener *listen_tcp(struct loop *l, const struct addr *at, listen_fn *fn, void *arg,
			    struct err *err)
{
	struct addr any4 = { .in4.sin_family = AF_INET, .len = sizeof(any4.in4) };
	char text[ADDR_TEXT_MAX];
	int fd, e, rc = bind_tcp(at, &fd, &e);

	/* IPv6 may be compiled out (EAFNOSUPPORT) or switched off (EADDRNOTAVAIL). */
	if (rc && (e == EAFNOSUPPORT || e == EADDRNOTAVAIL) && at->sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&at->in6.sin6_addr)) {
		addr_set_port(&any4, addr_port(at));
		rc = bind_tcp(&any4, &fd, &e);
	}
	if (rc) {
		addr_text(at, true, text);
		errno = e;
		(void)err_sys(err, "listen on %s", text);
		return NULL;
	}
	return start(l, fd, fn, arg, err);
}

/* Is the socket at sun a leftover that nobody answers? 1 it is, 0 it is gone, -1 it may not be
 * replaced. */
static int is_stale(const struct sockaddr_un *sun, struct err *err)
{
	struct stat st;
	auto_close int fd = -1;

	if (lstat(sun->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "%s", sun->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, E_EXISTS, "%s exists and is no socket", sun->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 && errno == ECONNREFUSED)
		return 1;
	return err_set(err, E_EXISTS, "%s: another process listens there", sun->sun_path);
}

static int bind_unix(const struct sockaddr_un *sun, int *ret_fd, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int stale = 0;

	if (fd < 0)
		return err_sys(err, "socket");
	/* On Linux bind(2) creates the file with the socket's own mode: no moment with a wider one.
	 */
	if (fchmod(fd, 0600) < 0)
		return err_sys(err, "fchmod");
	if (bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0) {
		if (errno != EADDRINUSE)
			return err_sys(err, "listen on %s", sun->sun_path);
		stale = is_stale(sun, err);
		if (stale < 0)
			return -1;
		if (stale && unlink(sun->sun_path) < 0 && errno != ENOENT)
			return err_sys(err, "remove %s", sun->sun_path);
		if (bind(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0)
			return err_sys(err, "listen on %s", sun->sun_path);
	}
	if (listen(fd, SOMAXCONN) < 0)
		return err_sys(err, "listen on %s", sun->sun_path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

struct listener *listen_unix(struct loop *l, const char *path, listen_fn *fn, void *arg,
			     struct err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	struct listener *ls;
	struct stat st;
	int fd;

	if (n == 0 || n >= sizeof(sun.sun_path)) {
		(void)err_set(err, E_BAD, "'%s': a socket's path has 1 to %zu bytes", path,
			      sizeof(sun.sun_path) - 1);
		return NULL;
	}
	memcpy(sun.sun_path, path, n + 1);
	if (bind_unix(&sun, &fd, err))
		return NULL;
	ls = start(l, fd, fn, arg, err);
	if (!ls) {
		(void)unlink(path);
		return NULL;
	}
	ls->addr = (struct addr){ .sa.sa_family = AF_UNIX, .len = sizeof(sa_family_t) };
	ls->path = mem_strdup(path);
	if (lstat(path, &st) == 0) {
		ls->dev = st.st_dev;
		ls->ino = st.st_ino;
	}
	return ls;
}

void listen_close(struct listener *ls)
{
	struct stat st;

	if (!ls || ls->closed)
		return;
	ls->closed = true;
	loop_unwatch(&ls->watch);
	loop_timer_stop(&ls->pause);
	/* A successor may have taken the path over. */
	if (ls->path && lstat(ls->path, &st) == 0 && st.st_dev == ls->dev && st.st_ino == ls->ino)
		(void)unlink(ls->path);
	(void)close(ls->fd);
	if (ls->reserve >= 0)
		(void)close(ls->reserve);
	if (!ls->accepting)
		listener_free(ls);
}

const struct addr *listen_addr(const struct listener *ls)
{
	return &ls->addr;
}

void listen_on_starved(struct listener *ls, listen_fn *fn)
{
	ls->starved_fn = fn;
}

uint64_t listen_starved(const struct listener *ls)
{
	return ls->starved;
}
