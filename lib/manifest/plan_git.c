#include "base/mem.h"
#include "manifest/plan_parts.h"

/* PREFIX + path in its two spellings, with ".git" and without. */
static void add_spelling(struct str_list *out, const char *prefix, struct str path)
{
	struct str bare = str_ends(path, STR(".git")) ? str_sub(path, 0, path.n - 4) : path;

	strs_take(out, mem_printf("%s%.*s.git", prefix, STR_ARG(bare)));
	strs_take(out, mem_printf("%s%.*s", prefix, STR_ARG(bare)));
}

static void add_spellings(struct str_list *out, const struct bottle_git *g)
{
	bool v6 = strchr(g->host, ':') != NULL;
	auto_free char *host = mem_printf("%s%s%s", v6 ? "[" : "", g->host, v6 ? "]" : "");
	auto_free char *ported = mem_printf("%s:%u", host, (unsigned)g->port);
	struct str path = str_of(g->path);

	while (str_ends(path, STR("/")))
		path.n--;
	for (int named = 1; named >= 0; named--) {
		auto_free char *at = mem_printf("%s%s", named ? g->user : "", named ? "@" : "");
		auto_free char *with_port = mem_printf("ssh://%s%s", at, ported);
		auto_free char *without = mem_printf("ssh://%s%s", at, host);
		auto_free char *scp = mem_printf("%s%s:", at, host);

		add_spelling(out, with_port, path);
		if (g->port != 22)
			continue;
		add_spelling(out, without, path);
		/* host:path is relative to the home directory; forges take it for the same */
		add_spelling(out, scp, path);
		add_spelling(out, scp, str_from(path, 1));
	}
	free(ported);
	ported = mem_printf("https://%s", host);
	add_spelling(out, ported, path);
}

void plan_git(struct plan *p)
{
	const struct bottle_git_list *l = &p->bottle->git;

	p->git = mem_array(l->n, sizeof(*p->git));
	for (size_t i = 0; i < l->n; i++) {
		struct plan_git *g = &p->git[p->git_count++];

		g->git = &l->v[i];
		g->gate_url = mem_printf("git://git-gate/%s.git", l->v[i].name);
		add_spellings(&g->spellings, &l->v[i]);
	}
}
