#include "docker/engine.h"

#include "base/limits.h"

#define PULL_TIMEOUT_MS (30 * 60 * 1000) /* pulls and builds go over slow networks */

static void args(struct docker_call *c, const char *const *v)
{
	for (; *v; v++)
		docker_arg(c, *v);
}

#define begin(c, e, ...)                                          \
	do {                                                      \
		docker_call_init((c), (e)->program, __VA_ARGS__); \
		(c)->job.envp = (e)->envp;                        \
	} while (0)
#define ARGS(c, ...) args(c, (const char *const[]){ __VA_ARGS__, NULL })

static void labels(struct docker_call *c, const struct engine_labels *l)
{
	for (size_t i = 0; i < l->n; i++) {
		docker_arg(c, "--label");
		docker_argf(c, "%s=%s", l->v[i].name, l->v[i].value);
	}
}

/* ---- looking ---- */

void engine_info(struct docker_call *c, const struct engine *e)
{
	begin(c, e, "ask the engine");
	ARGS(c, "info", "--format", "{{json .}}");
}

static void listing(struct docker_call *c, const char *label, const char *format)
{
	if (label) {
		docker_arg(c, "--filter");
		docker_argf(c, "label=%s", label);
	}
	ARGS(c, "--format", format);
}

void engine_containers(struct docker_call *c, const struct engine *e, const char *label,
		       const char *format)
{
	begin(c, e, "list containers");
	ARGS(c, "ps", "--all", "--no-trunc");
	listing(c, label, format);
}

void engine_networks(struct docker_call *c, const struct engine *e, const char *label,
		     const char *format)
{
	begin(c, e, "list networks");
	ARGS(c, "network", "ls", "--no-trunc");
	listing(c, label, format);
}

void engine_image(struct docker_call *c, const struct engine *e, const char *image)
{
	begin(c, e, "look for image %s", image);
	ARGS(c, "image", "inspect", "--format", "{{.Id}} {{json .Config.Labels}}", image);
}

void engine_address(struct docker_call *c, const struct engine *e, const char *container,
		    const char *network)
{
	begin(c, e, "find the address of %s", container);
	ARGS(c, "container", "inspect", "--format");
	docker_argf(c, "{{(index .NetworkSettings.Networks \"%s\").IPAddress}}", network);
	docker_arg(c, container);
}

/* ---- images ---- */

void engine_pull(struct docker_call *c, const struct engine *e, const char *image)
{
	begin(c, e, "pull image %s", image);
	c->job.timeout_ms = PULL_TIMEOUT_MS;
	ARGS(c, "pull", "--quiet", image);
}

void engine_build_text(struct docker_call *c, const struct engine *e, const char *tag,
		       struct str dockerfile)
{
	begin(c, e, "build image %s", tag);
	c->job.timeout_ms = PULL_TIMEOUT_MS;
	c->job.input = dockerfile;
	ARGS(c, "build", "--tag", tag, "-");
}

void engine_build_file(struct docker_call *c, const struct engine *e, const char *tag,
		       const char *dockerfile, const char *dir)
{
	begin(c, e, "build image %s", tag);
	c->job.timeout_ms = PULL_TIMEOUT_MS;
	ARGS(c, "build", "--tag", tag, "--file", dockerfile, "--", dir);
}

void engine_import(struct docker_call *c, const struct engine *e, const char *tag,
		   const struct engine_label *label, struct str tar)
{
	begin(c, e, "make image %s", tag);
	c->job.input = tar;
	ARGS(c, "import", "--change");
	docker_argf(c, "LABEL %s=%s", label->name, label->value);
	ARGS(c, "-", tag);
}

/* ---- networks ---- */

void engine_network_create(struct docker_call *c, const struct engine *e, const char *name,
			   bool internal, const struct engine_labels *l)
{
	begin(c, e, "create network %s", name);
	c->job.keep = true;
	ARGS(c, "network", "create", "--driver", "bridge");
	if (internal)
		ARGS(c, "--internal", "--opt", "com.docker.network.bridge.inhibit_ipv4=true");
	labels(c, l);
	docker_arg(c, name);
}

void engine_network_connect(struct docker_call *c, const struct engine *e, const char *network,
			    const char *container, const char *alias)
{
	begin(c, e, "connect %s to network %s", container, network);
	c->job.keep = true;
	ARGS(c, "network", "connect");
	if (alias)
		ARGS(c, "--alias", alias);
	ARGS(c, network, container);
}

void engine_network_remove(struct docker_call *c, const struct engine *e, const char *network)
{
	begin(c, e, "remove network %s", network);
	ARGS(c, "network", "rm", network);
}

/* ---- containers ---- */

static void create_limits(struct docker_call *c, const struct engine_container *s)
{
	ARGS(c, "--cap-drop", "ALL", "--security-opt", "no-new-privileges");
	for (const char *const *cap = s->caps; cap && *cap; cap++)
		ARGS(c, "--cap-add", *cap);
	docker_arg(c, "--pids-limit");
	docker_argf(c, "%u", s->pids);
	docker_arg(c, "--memory");
	docker_argf(c, "%um", s->memory_mib);
	/* Output is ours to read; a second copy in the engine's files would outlive the bottle. */
	ARGS(c, "--log-driver", "none");
	if (s->read_only)
		docker_arg(c, "--read-only");
	if (s->no_ipv6)
		ARGS(c, "--sysctl", "net.ipv6.conf.all.disable_ipv6=1");
	/* A box of two networks must not be a router between them. */
	ARGS(c, "--sysctl", "net.ipv4.ip_forward=0");
	if (s->runtime)
		ARGS(c, "--runtime", s->runtime);
}

/* A path with a comma or a quote in it is a field of the engine's CSV. */
static void bind(struct docker_call *c, const char *from, const char *to)
{
	auto_buf csv = BUF_INIT(MIB(1));
	struct str rest = str_of(from), piece;
	bool first = true;

	docker_arg(c, "--mount");
	if (buf_addz(&csv, "\"source=", NULL) < 0)
		return;
	while (str_split(&rest, '"', &piece)) {
		if ((!first && buf_addz(&csv, "\"\"", NULL) < 0) || buf_add(&csv, piece, NULL) < 0)
			return;
		first = false;
	}
	docker_argf(c, "type=bind,%s\",target=%s", buf_z(&csv), to);
}

void engine_create(struct docker_call *c, const struct engine *e, const struct engine_container *s)
{
	begin(c, e, "create container %s", s->name);
	c->job.keep = true;
	ARGS(c, "create", "--pull", "never", "--interactive", "--name", s->name, "--user", s->user);
	labels(c, s->labels);
	create_limits(c, s);
	ARGS(c, "--tmpfs", s->tmpfs, "--network", s->network);
	if (s->alias)
		ARGS(c, "--network-alias", s->alias);
	/* By its name alone: the client takes the value from its environment, which is ours. */
	if (s->env)
		ARGS(c, "--env", s->env);
	if (s->dns)
		ARGS(c, "--dns", s->dns);
	if (s->bind_from)
		bind(c, s->bind_from, s->bind_to);
	ARGS(c, "--entrypoint", s->command[0], "--", s->image);
	args(c, s->command + 1);
}

void engine_copy(struct docker_call *c, const struct engine *e, const char *container,
		 const char *path)
{
	begin(c, e, "copy files into %s", container);
	c->job.timeout_ms = PULL_TIMEOUT_MS;
	ARGS(c, "cp", "-");
	docker_argf(c, "%s:%s", container, path);
}

void engine_exec(struct docker_call *c, const struct engine *e, const char *container,
		 const char *user, const char *const *command, struct str input)
{
	begin(c, e, "run %s in %s", command[0], container);
	c->job.input = input;
	ARGS(c, "exec", "--interactive", "--user", user, container);
	args(c, command);
}

void engine_remove(struct docker_call *c, const struct engine *e, const char *const *containers,
		   size_t count)
{
	begin(c, e, "remove containers");
	ARGS(c, "rm", "--force", "--volumes");
	for (size_t i = 0; i < count; i++)
		docker_arg(c, containers[i]);
}

/* ---- children that stay ---- */

void engine_start_attached(struct docker_call *c, const struct engine *e, const char *container)
{
	begin(c, e, "start container %s", container);
	ARGS(c, "start", "--attach", "--interactive", container);
}

void engine_session(struct docker_call *c, const struct engine *e, const char *container,
		    const char *user, const char *workdir, bool tty, const char *const *command)
{
	begin(c, e, "run the session in %s", container);
	ARGS(c, "exec", "--interactive");
	if (tty)
		docker_arg(c, "--tty");
	ARGS(c, "--user", user, "--workdir", workdir, container);
	args(c, command);
}
