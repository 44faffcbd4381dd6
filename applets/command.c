/*
 * Finding, parsing, helping and ending commands; see applet.h.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "applet.h"
#include "base/glob.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

static const struct command_entry *entry_find(const struct command_entry *list, const char *name)
{
	for (; list && list->name; list++)
		if (strcmp(list->name, name) == 0)
			return list;
	return NULL;
}

/* The applets follow the launcher's commands wherever `bottle` looks for a name; itself it is not. */
static bool is_root(const struct command *c)
{
	return c == applets[0].command;
}

static int unknown_sub(const struct command *c, const char *prog, const char *word, struct err *err)
{
	const char *names[COMMANDS_MAX];
	size_t n = 0;
	const char *near;

	for (const struct command_entry *e = c->subs; e->name && n < COMMANDS_MAX; e++)
		names[n++] = e->name;
	if (is_root(c))
		for (const struct command_entry *e = applets + 1; e->name && n < COMMANDS_MAX; e++)
			names[n++] = e->name;
	near = glob_nearest(str_of(word), names, n);
	if (near)
		return err_set(err, E_USAGE, "unknown command '%s', did you mean '%s'?", word,
			       near);
	return err_set(err, E_USAGE, "unknown command '%s' (see '%s --help')", word, prog);
}

static int print_help(const struct command *c, const char *prog, struct err *err)
{
	auto_buf out = BUF_INIT(HELP_TEXT_MAX);

	if (command_help(c, prog, &out, err) < 0)
		return -1;
	return applet_print(buf_str(&out), err);
}

char *command_usage(const struct command *c, const char *prog)
{
	const char *usage = c->spec.usage;

	if (!usage && c->subs)
		usage = "COMMAND [arguments]";
	return usage && *usage ? mem_printf("%s %s", prog, usage) : mem_strdup(prog);
}

/* What fails without the command's name in its message. */
static int parsed(const struct command *c, const char *prog, const struct opts_result *in,
		  struct err *err)
{
	if (in->help)
		return print_help(c, prog, err);
	if (!c->run)
		return err_set(err, E_USAGE, "a command is missing (see '%s --help')", prog);
	return c->run(in, err);
}

int command_run(const struct command *c, const char *prog, int argc, char **argv)
{
	struct err err = ERR_INIT;
	auto_free char *name = mem_strdup(prog), *usage = command_usage(c, prog);
	struct opts_spec spec = c->spec;
	const struct command_entry *sub = argc > 1 ? entry_find(c->subs, argv[1]) : NULL;
	struct opts_result in;
	int status;

	if (sub) {
		auto_free char *path = mem_printf("%s %s", prog, sub->name);

		return command_run(sub->command, path, argc - 1, argv + 1);
	}
	if (c->subs && argc > 1 && argv[1][0] != '-') {
		unknown_sub(c, prog, argv[1], &err);
		return applet_fail(prog, &err);
	}
	argv[0] = name;
	spec.usage = usage;
	if (opts_parse(&spec, argc, argv, &in, &err) < 0)
		return applet_fail(NULL, &err);
	status = parsed(c, prog, &in, &err);
	return status < 0 ? applet_fail(prog, &err) : status;
}

const struct command *command_find(char *const *words, int count, char **ret_prog, struct err *err)
{
	const struct command *c = applets[0].command;
	auto_free char *prog = mem_strdup(applets[0].name);

	for (int i = 0; i < count; i++) {
		const struct command_entry *e = i == 0 ? entry_find(applets, words[i]) : NULL;
		char *path;

		if (e) {
			path = mem_strdup(e->name);
		} else {
			e = entry_find(c->subs, words[i]);
			path = e ? mem_printf("%s %s", prog, e->name) : NULL;
		}
		if (!e && !c->subs) {
			err_set(err, E_USAGE, "'%s' has no command '%s'", prog, words[i]);
			return NULL;
		}
		if (!e) {
			unknown_sub(c, prog, words[i], err);
			return NULL;
		}
		free(prog);
		prog = path;
		c = e->command;
	}
	*ret_prog = steal(&prog);
	return c;
}

struct str command_line(const struct command *c)
{
	struct str about = str_of(c->spec.about);
	ssize_t end = str_find(about, STR(". "), 0);

	if (end >= 0)
		return str_sub(about, 0, (size_t)end);
	return str_ends(about, STR(".")) ? str_sub(about, 0, about.n - 1) : about;
}

static int help_list(const struct command_entry *list, const char *title, struct buf *out,
		     struct err *err)
{
	int width = 0;

	for (const struct command_entry *e = list; e->name; e++)
		if ((int)strlen(e->name) > width)
			width = (int)strlen(e->name);
	if (buf_addf(out, err, "\n%s:\n", title) < 0)
		return -1;
	for (; list->name; list++) {
		struct str line = command_line(list->command);

		if (buf_addf(out, err, "  %-*s  %.*s\n", width, list->name, STR_ARG(line)) < 0)
			return -1;
	}
	return 0;
}

int command_help(const struct command *c, const char *prog, struct buf *out, struct err *err)
{
	auto_free char *usage = command_usage(c, prog);
	struct opts_spec spec = c->spec;

	spec.usage = usage;
	if (opts_help(&spec, "", out, err) < 0)
		return -1;
	if (c->subs && help_list(c->subs, "Commands", out, err) < 0)
		return -1;
	if (!is_root(c))
		return 0;
	if (help_list(applets + 1, "Also by a symlink of their name", out, err) < 0)
		return -1;
	return buf_addz(out, "\n'bottle help COMMAND' shows a command's options and an example.\n",
			err);
}

int applet_print(struct str text, struct err *err)
{
	return fd_write_all(STDOUT_FILENO, text, err);
}

int applet_fail(const char *prog, const struct err *err)
{
	(void)fprintf(stderr, "%s%s%s\n", prog ? prog : "", prog ? ": " : "", err->text);
	return err->code == E_USAGE ? EXIT_USAGE : EXIT_FAILED;
}
