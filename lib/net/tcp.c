/* The bottom of every stack: a stream socket. */
#include <errno.h>
#include <linux/tcp.h> /* glibc's tcp_info lacks the byte counts */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/filter.h"
#include "sys/loop.h"

struct tcp {
	struct filter f;
	int fd;
	unsigned wants; /* by direction: what the last read, the last write asked for */
	bool connecting;
	bool shut;
};

struct tcp_usage filter_tcp_usage(int fd)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t len = sizeof(info);
	uint32_t idle;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return (struct tcp_usage){ .idle_ms = 0 };
	idle = info.tcpi_last_data_recv < info.tcpi_last_data_sent ? info.tcpi_last_data_recv
								   : info.tcpi_last_data_sent;
	return (struct tcp_usage){ .bytes_in = info.tcpi_bytes_received,
				   .bytes_out = info.tcpi_bytes_acked,
				   .idle_ms = idle };
}

/* The peer's doing is E_IO or E_TIMEOUT, whatever else went wrong is ours. */
static int fail(struct err *err, const char *what, int e)
{
	switch (e) {
	case ETIMEDOUT:
		return err_set(err, E_TIMEOUT, "%s: %s", what, strerror(e));
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENOENT: /* a Unix socket's path */
		return err_set(err, E_IO, "%s: %s", what, strerror(e));
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return err_set(err, E_EXHAUSTED, "%s: %s", what, strerror(e));
	default:
		return err_set(err, E_SYS, "%s: %s", what, strerror(e));
	}
}

static enum filter_ready tcp_handshake(struct filter *f, struct err *err)
{
	struct tcp *t = container_of(f, struct tcp, f);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int);
	int e = 0;

	if (!t->connecting)
		return FILTER_READY;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e == 0) {
		/* No error is no proof: while the connect goes on there is none either. */
		len = sizeof(peer);
		if (getpeername(t->fd, (struct sockaddr *)&peer, &len) < 0) {
			if (errno == ENOTCONN) {
				t->wants = LOOP_WRITE;
				return FILTER_NOT_YET;
			}
			e = errno;
		}
	}
	t->wants = 0;
	if (e != 0) {
		(void)fail(err, "connect", e);
		return FILTER_FAILED;
	}
	t->connecting = false;
	return FILTER_READY;
}

static ssize_t tcp_read(struct filter *f, void *p, size_t n, struct err *err)
{
	struct tcp *t = container_of(f, struct tcp, f);
	ssize_t got;

	do
		got = recv(t->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	t->wants &= ~LOOP_READ;
	if (got >= 0)
		return got;
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		t->wants |= LOOP_READ;
		return FILTER_AGAIN;
	}
	(void)fail(err, "read", errno);
	return FILTER_ERROR;
}

static ssize_t tcp_write(struct filter *f, const void *p, size_t n, struct err *err)
{
	struct tcp *t = container_of(f, struct tcp, f);
	ssize_t put;

	do
		put = send(t->fd, p, n, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	t->wants &= ~LOOP_WRITE;
	if (put >= 0)
		return put;
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		t->wants |= LOOP_WRITE;
		return FILTER_AGAIN;
	}
	(void)fail(err, "write", errno);
	return FILTER_ERROR;
}

static enum filter_ready tcp_shutdown(struct filter *f, struct err *err)
{
	struct tcp *t = container_of(f, struct tcp, f);

	if (t->shut)
		return FILTER_READY;
	t->wants &= ~LOOP_WRITE;
	/* ENOTCONN: the peer was faster, with a reset. */
	if (shutdown(t->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
		(void)fail(err, "shutdown", errno);
		return FILTER_FAILED;
	}
	t->shut = true;
	return FILTER_READY;
}

static unsigned tcp_wants(const struct filter *f)
{
	return container_of_const(f, struct tcp, f)->wants;
}

static void tcp_free(struct filter *f)
{
	struct tcp *t = container_of(f, struct tcp, f);

	(void)close(t->fd);
	free(t);
}

static const struct filter_ops tcp_ops = {
	.name = "tcp",
	.handshake = tcp_handshake,
	.read = tcp_read,
	.write = tcp_write,
	.shutdown = tcp_shutdown,
	.wants = tcp_wants,
	.free = tcp_free,
};

struct filter *filter_tcp(int fd, bool connecting)
{
	struct tcp *t = mem_new(struct tcp);

	t->f.ops = &tcp_ops;
	t->f.ready = !connecting;
	t->fd = fd;
	t->connecting = connecting;
	return &t->f;
}

void filter_tune_tcp(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, TCP_PROBE_AFTER_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, TCP_PROBE_EVERY_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, TCP_PROBES },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, TCP_UNSENT_MAX },
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

int filter_fd(const struct filter *top)
{
	while (top->below)
		top = top->below;
	return container_of_const(top, struct tcp, f)->fd;
}

int filter_connect_socket(const void *sockaddr, unsigned socklen, int *ret_fd, struct err *err)
{
	const struct sockaddr *sa = sockaddr;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fail(err, "socket", errno);
	if (sa->sa_family != AF_UNIX)
		filter_tune_tcp(fd);
	if (connect(fd, sa, socklen) < 0 && errno != EINPROGRESS && errno != EINTR) {
		int e = errno;

		(void)close(fd);
		return fail(err, "connect", e);
	}
	*ret_fd = fd;
	return 0;
}
