#include "manifest/home.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

static const char *process_get(void *user, const char *name)
{
	(void)user;
	return getenv(name);
}

const struct host_env host_env_process = { .get = process_get, .user = NULL };

/* Where the predecessor kept its manifests, under $HOME. */
static const char *const legacy_homes[] = {
	".bot-bottle",
	"bot-bottle.json",
	".claude-bottle",
	"claude-bottle.json",
};

static const char legacy_recipe[] =
	"Manifests are now Markdown files, one each, under ~/.bottle:\n"
	"\n"
	"  mkdir -p ~/.bottle/bottles ~/.bottle/agents\n"
	"  # for each bottle: ~/.bottle/bottles/NAME.md, its keys between two lines ---\n"
	"  # for each agent:  ~/.bottle/agents/NAME.md, the same, with the prompt below\n"
	"\n"
	"`bottle init` writes a commented pair to start from. Keys that changed are named, with the\n"
	"text to put in their place, when the bottle is first read.\n";

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* An operator who has only the predecessor's manifests is told so, not shown an empty home. */
static int check_legacy(const struct home *h, struct notes *notes, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(legacy_homes); i++) {
		auto_free char *old = path_join(h->user, legacy_homes[i]);

		if (!exists(old))
			continue;
		if (notes) {
			free(notes->recipe);
			notes->recipe = mem_strdup(legacy_recipe);
		}
		return err_set(err, E_BAD,
			       "%s is the predecessor's; this program reads %s, which "
			       "does not exist",
			       old, h->dir);
	}
	return 0;
}

int home_find(const struct host_env *env, struct home *ret, struct notes *notes, struct err *err)
{
	const char *dir = host_env_get(env, "BOTTLE_HOME");
	const char *user = host_env_get(env, "HOME");
	struct home h = { NULL, NULL };

	if (dir && *dir && *dir != '/')
		return err_set(err, E_BAD, "BOTTLE_HOME=%s: not an absolute path", dir);
	if (user && *user == '/')
		h.user = mem_strdup(user);
	if (dir && *dir) {
		h.dir = mem_strdup(dir);
	} else if (h.user) {
		h.dir = path_join(h.user, ".bottle");
		if (!exists(h.dir) && check_legacy(&h, notes, err) < 0) {
			home_fini(&h);
			return -1;
		}
	} else {
		return err_set(err, E_BAD,
			       "neither BOTTLE_HOME nor HOME is set to an absolute path");
	}
	*ret = h;
	return 0;
}

void home_fini(struct home *h)
{
	free(h->dir);
	free(h->user);
	*h = (struct home){ NULL, NULL };
}

bool manifest_name_ok(struct str name)
{
	if (name.n == 0 || name.n > MANIFEST_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c >= 'a' && c <= 'z')
			continue;
		if (i == 0 || (!ascii_digit(c) && c != '-'))
			return false;
	}
	return true;
}

int home_list(const char *dir, struct str_list *ret, struct notes *notes, struct err *err)
{
	struct dir_list found = { NULL, 0 };
	struct str_list names = { NULL, 0 };
	struct err why = ERR_INIT;

	if (dir_list(dir, &found, &why) < 0) {
		if (why.code == E_NOTFOUND && !exists(dir)) {
			*ret = names;
			return 0;
		}
		if (err)
			*err = why;
		return -1;
	}
	for (size_t i = 0; i < found.count; i++) {
		struct str file = str_of(found.names[i]);
		struct str stem = str_sub(file, 0, file.n >= 3 ? file.n - 3 : 0);

		if (str_ends(file, STR(".md")) && manifest_name_ok(stem))
			strs_take(&names, str_dupz(stem));
		else
			notes_warn(notes,
				   "%s/%s: skipped: not NAME.md with a NAME of a-z, 0-9 and "
				   "'-' that starts with a letter",
				   dir, found.names[i]);
	}
	dir_list_free(&found);
	*ret = names;
	return 0;
}

char *home_resolve(const struct home *h, const char *file, const char *path, struct err *err)
{
	auto_free char *dir = NULL;
	const char *slash;

	if (path[0] == '/')
		return mem_strdup(path);
	if (path[0] == '~' && (path[1] == '/' || path[1] == '\0')) {
		if (h->user)
			return path_join(h->user, path[1] ? path + 2 : "");
		(void)err_set(err, E_BAD, "'%s': HOME is not set", path);
		return NULL;
	}
	if (path[0] == '~') {
		(void)err_set(err, E_BAD, "'%s': write ~/… or an absolute path", path);
		return NULL;
	}
	slash = strrchr(file, '/');
	if (!slash)
		return mem_strdup(path);
	dir = mem_strndup(file, slash == file ? 1 : (size_t)(slash - file));
	return path_join(dir, path);
}
