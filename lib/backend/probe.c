#include "backend/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/addr.h"
#include "sys/fd.h"

#define ROUTE_FIELDS 8
#define ARP_FIELDS 3

/* Takes the next word, separated by any number of blanks, off the front. */
static struct str word(struct str *line)
{
	size_t start = 0, end;
	struct str w;

	while (start < line->n && (line->p[start] == ' ' || line->p[start] == '\t'))
		start++;
	end = start;
	while (end < line->n && line->p[end] != ' ' && line->p[end] != '\t')
		end++;
	w = str_sub(*line, start, end - start);
	*line = str_from(*line, end);
	return w;
}

/* Iface Destination Gateway Flags RefCnt Use Metric Mask …, after a line of headings; numbers are
 * hexadecimal, in the order of the machine's bytes. */
int probe_default_route(struct str route, struct in_addr *ret, struct err *err)
{
	struct str line;
	int found = 0;

	(void)str_split(&route, '\n', &line);
	while (str_split(&route, '\n', &line)) {
		struct str f[ROUTE_FIELDS];
		uint64_t gateway;

		for (size_t i = 0; i < ROUTE_FIELDS; i++)
			f[i] = word(&line);
		if (!str_eqz(f[1], "00000000") || !str_eqz(f[7], "00000000"))
			continue;
		if (found || str_hex_to_u64(f[2], UINT32_MAX, &gateway) < 0 || gateway == 0)
			return err_set(err, E_DENIED,
				       "the box has a default route over %.*s that leads out: its "
				       "network is not closed",
				       STR_ARG(f[0]));
		ret->s_addr = (in_addr_t)gateway;
		found = 1;
	}
	return found;
}

/* address ifindex prefix-length scope flags name */
int probe_ipv6(struct str if_inet6, struct err *err)
{
	struct str line;

	while (str_split(&if_inet6, '\n', &line)) {
		struct str address = word(&line), name = STR_NONE;

		if (address.n == 0 || str_eqz(address, "00000000000000000000000000000001"))
			continue;
		for (int i = 0; i < 5; i++)
			name = word(&line);
		return err_set(err, E_DENIED,
			       "the box has the IPv6 address %.*s on %.*s: the engine did not "
			       "switch IPv6 off",
			       STR_ARG(address), STR_ARG(name));
	}
	return 0;
}

/* address type flags …, after a line of headings */
bool probe_arp(struct str arp, struct in_addr address)
{
	char text[INET_ADDRSTRLEN];
	struct str line;

	(void)inet_ntop(AF_INET, &address, text, sizeof(text));
	while (str_split(&arp, '\n', &line)) {
		struct str f[ARP_FIELDS];
		uint64_t flags;

		for (size_t i = 0; i < ARP_FIELDS; i++)
			f[i] = word(&line);
		if (str_eqz(f[0], text) && str_starts(f[2], STR("0x")) &&
		    str_hex_to_u64(str_from(f[2], 2), UINT32_MAX, &flags) == 0 && (flags & ATF_COM))
			return true;
	}
	return false;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int check_ipv6(struct err *err)
{
	auto_buf text = BUF_INIT(SYSTEM_FILE_MAX);
	struct err why = ERR_INIT;

	if (file_read("/proc/net/if_inet6", &text, &why) == 0)
		return probe_ipv6(buf_str(&text), err);
	if (why.code == E_NOTFOUND) /* a kernel without IPv6 */
		return 0;
	if (err)
		*err = why;
	return -1;
}

/* Any port will do: a refusal is an answer too. */
static int knock(struct probe *p, struct err *err)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_addr = p->gateway,
					.sin_port = htons(9) };

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return err_sys(err, "socket");
	(void)connect(p->fd, (const struct sockaddr *)&to, sizeof(to));
	return 0;
}

int probe_start(struct probe *p, struct err *err)
{
	auto_buf route = BUF_INIT(SYSTEM_FILE_MAX);
	int found;

	*p = (struct probe){ .fd = -1, .started_ms = now_ms() };
	if (check_ipv6(err) < 0 || file_read("/proc/net/route", &route, err) < 0)
		return -1;
	found = probe_default_route(buf_str(&route), &p->gateway, err);
	return found > 0 ? knock(p, err) : found;
}

/* Connected or refused: somebody is there. Unreachable: the address was asked for in vain. */
static bool has_answered(const struct probe *p)
{
	int64_t left = p->started_ms + PROBE_GATEWAY_MS - now_ms();
	struct pollfd fd = { .fd = p->fd, .events = POLLOUT };
	int code = 0;
	socklen_t len = sizeof(code);

	if (poll(&fd, 1, left > 0 ? (int)left : 0) <= 0)
		return false;
	return getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0 || code != EHOSTUNREACH;
}

int probe_finish(struct probe *p, struct err *err)
{
	auto_buf arp = BUF_INIT(SYSTEM_FILE_MAX);
	auto_close int fd = p->fd;
	char text[INET_ADDRSTRLEN];
	bool answers;

	if (fd < 0)
		return 0;
	answers = has_answered(p);
	p->fd = -1;
	/* A firewall may keep silent; the address is asked for all the same. gVisor has no list. */
	if (!answers && file_read("/proc/net/arp", &arp, NULL) == 0)
		answers = probe_arp(buf_str(&arp), p->gateway);
	if (!answers)
		return 0;
	(void)inet_ntop(AF_INET, &p->gateway, text, sizeof(text));
	return err_set(err, E_DENIED,
		       "the host answers the box at %s: the engine did not take the address from "
		       "the internal network's bridge (inhibit_ipv4)",
		       text);
}

int probe_reach(const char *name, struct str address, unsigned port, struct err *err)
{
	const struct timeval limit = { .tv_sec = PROBE_TIMEOUT_MS / 1000 };
	auto_close int fd = -1;
	struct addr a;

	if (addr_parse(address, (uint16_t)port, &a, err) < 0)
		return err_wrap(err, "address of %s", name);
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return err_sys(err, "socket");
	if (connect(fd, &a.sa, a.len) < 0)
		return err_sys(err, "%s cannot be reached from the agent's box", name);
	return 0;
}
