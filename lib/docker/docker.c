#include "docker/docker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

#define CALL_TIMEOUT_MS (120 * 1000)

/* ---- the argument vector ---- */

static void add(struct docker_call *c, char *arg)
{
	c->argv = mem_resize(c->argv, c->argc + 2, sizeof(*c->argv));
	c->argv[c->argc++] = arg;
	c->argv[c->argc] = NULL;
	c->job.argv = (const char *const *)c->argv;
}

static char *text(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static char *text(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	return s;
}

void docker_call_init(struct docker_call *c, const char *program, const char *what, ...)
{
	va_list ap;

	*c = (struct docker_call){ .argc = 0 };
	job_init(&c->job, NULL);
	c->job.timeout_ms = CALL_TIMEOUT_MS;
	va_start(ap, what);
	c->what = text(what, ap);
	va_end(ap);
	docker_arg(c, program);
}

void docker_call_fini(struct docker_call *c)
{
	for (size_t i = 0; i < c->argc; i++)
		free(c->argv[i]);
	free(c->argv);
	free((void *)(uintptr_t)c->what);
	job_fini(&c->job);
	*c = (struct docker_call){ .argc = 0 };
}

void docker_arg(struct docker_call *c, const char *arg)
{
	add(c, mem_strdup(arg));
}

void docker_argf(struct docker_call *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, text(fmt, ap));
	va_end(ap);
}

/* ---- what went wrong ---- */

struct cause {
	const char *said; /* part of what the client prints */
	enum err_code code;
	const char *mend; /* NULL: the engine's own words say it */
};

/* In the words of docker 20 to 28 and podman 4; the first match counts. */
static const struct cause causes[] = {
	{ "permission denied while trying to connect", E_DENIED,
	  "no permission on the engine's socket; add yourself to the group docker and log in "
	  "again, or use the rootless engine" },
	{ "dial unix", E_IO,
	  "no engine answers; start it (systemctl start docker), or set "
	  "DOCKER_HOST" },
	{ "Cannot connect to the Docker daemon", E_IO,
	  "no engine answers; start it (systemctl start docker), or set DOCKER_HOST" },
	{ "error during connect", E_IO, "no engine answers; check DOCKER_HOST" },
	{ "unable to connect to Podman", E_IO, "podman does not answer" },
	{ "is already in use by container", E_EXISTS,
	  "the name is taken; 'bottle cleanup' removes what killed runs left" },
	{ "already exists", E_EXISTS,
	  "the name is taken; 'bottle cleanup' removes what killed runs left" },
	{ "could not find an available", E_LIMIT,
	  "the engine has no free address range left; remove unused networks ('bottle cleanup', "
	  "'docker network prune') or widen default-address-pools" },
	{ "all predefined address pools have been fully subnetted", E_LIMIT,
	  "the engine has no free address range left; remove unused networks ('bottle cleanup', "
	  "'docker network prune') or widen default-address-pools" },
	{ "no space left on device", E_SYS, "the engine's disk is full" },
	{ "No such", E_NOTFOUND, NULL },
	{ "no such", E_NOTFOUND, NULL },
	{ "not found", E_NOTFOUND, NULL },
};

/* The line that says it: the engine's own, else the last one, since progress comes before. */
static struct str best_line(struct str said)
{
	struct str line, last = STR_NONE;

	while (str_split(&said, '\n', &line)) {
		line = str_trim(line);
		if (str_starts(line, STR("Error response from daemon: ")))
			return line;
		if (line.n > 0 && !str_starts(line, STR("Run 'docker")) &&
		    !str_starts(line, STR("See 'docker")))
			last = line;
	}
	return last;
}

static struct str without_prefix(struct str line)
{
	static const char *const prefixes[] = { "docker: ", "Error response from daemon: ",
						"Error: " };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_starts(line, str_of(prefixes[i])))
			line = str_from(line, str_of(prefixes[i]).n);
	return str_ends(line, STR(".")) ? str_sub(line, 0, line.n - 1) : line;
}

int docker_explain(const char *program, const char *what, struct str said, struct err *err)
{
	struct str line = without_prefix(best_line(said));

	for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
		const struct cause *c = &causes[i];

		if (str_find(said, str_of(c->said), 0) < 0)
			continue;
		return c->mend ? err_set(err, c->code, "%s: %s", what, c->mend)
			       : err_set(err, c->code, "%s: %.*s", what, STR_ARG(line));
	}
	if (line.n == 0)
		return err_set(err, E_CHILD, "%s: %s failed and said nothing", what, program);
	return err_set(err, E_CHILD, "%s: %.*s", what, STR_ARG(line));
}

int docker_result(const struct docker_call *c, struct err *err)
{
	if (job_ok(&c->job))
		return 0;
	if (c->job.err.code == E_NONE)
		return docker_explain(c->argv[0], c->what, buf_str(&c->job.errout), err);
	if (err)
		*err = c->job.err;
	if (c->job.err.code == E_NOTFOUND)
		return err_set(err, E_NOTFOUND,
			       "%s is not installed; install a container engine (Debian: apt "
			       "install docker.io), or name another client in BOTTLE_ENGINE",
			       c->argv[0]);
	return err_wrap(err, "%s", c->what);
}

int docker_run(struct loop *l, struct docker_call *const *calls, size_t count, const bool *cancel,
	       struct err *err)
{
	auto_free struct job **jobs = mem_array(count, sizeof(struct job *));

	for (size_t i = 0; i < count; i++)
		jobs[i] = &calls[i]->job;
	if (jobs_run(l, jobs, count, cancel, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (docker_result(calls[i], err) < 0)
			return -1;
	return 0;
}

struct str docker_out(const struct docker_call *c)
{
	struct str s = buf_str(&c->job.out);

	while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
		s.n--;
	return str_trim(s);
}
