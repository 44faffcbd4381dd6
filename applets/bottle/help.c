/*
 * bottle help: every command's text comes from its descriptor, in three forms. The README's table
 * and the manual pages are written from the last two by scripts/gen-help.
 */
#include "applet.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/version.h"

static bool markdown, man;

static const struct opt options[] = {
	{ .name = "man", .type = OPT_FLAG, .out = &man, .help = "a manual page, for man(1)" },
	{ .name = "markdown",
	  .type = OPT_FLAG,
	  .out = &markdown,
	  .help = "all commands as a table" },
	{ .name = NULL },
};

/* --- Markdown ------------------------------------------------------------------------------- */

/* '|' would end the cell, also within a code span. */
static int markdown_row(const char *usage, const char *does, struct buf *out, struct err *err)
{
	if (buf_addz(out, "| `", err) < 0)
		return -1;
	for (const char *p = usage; *p; p++)
		if ((*p == '|' && buf_addc(out, '\\', err) < 0) || buf_addc(out, *p, err) < 0)
			return -1;
	return buf_addf(out, err, "` | %s |\n", does);
}

/* An applet that is also a command of the launcher, under another name. */
static const char *applet_name(const struct command *c)
{
	for (const struct command_entry *e = applets; e->name; e++)
		if (e->command == c)
			return e->name;
	return NULL;
}

static int markdown_rows(const struct command_entry *list, const char *prog, struct buf *out,
			 struct err *err)
{
	for (; list->name; list++) {
		const struct command *c = list->command;
		const char *applet = *prog ? applet_name(c) : NULL;
		auto_free char *name = mem_printf("%s%s%s", prog, *prog ? " " : "", list->name);
		auto_free char *usage = command_usage(c, name);
		auto_free char *does =
			applet ? mem_printf("As `%s`", applet) : str_dupz(command_line(c));

		/* A group is represented by what is in it. */
		if ((c->run || applet) && markdown_row(usage, does, out, err) < 0)
			return -1;
		if (c->subs && !applet && markdown_rows(c->subs, name, out, err) < 0)
			return -1;
	}
	return 0;
}

static int write_markdown(struct buf *out, struct err *err)
{
	if (buf_addz(out, "| command | does |\n|---|---|\n", err) < 0)
		return -1;
	return markdown_rows(applets, "", out, err);
}

/* --- man(7) --------------------------------------------------------------------------------- */

/* A line that begins with '.' or '\'' would be a request; '-' must stay the ASCII one. */
static int roff(struct buf *out, const char *text, struct err *err)
{
	bool start = true;

	for (const char *p = text; *p; p++) {
		int r = 0;

		if (start && (*p == '.' || *p == '\''))
			r = buf_addz(out, "\\&", err);
		if (r == 0 && *p == '\\')
			r = buf_addz(out, "\\e", err);
		else if (r == 0 && *p == '-')
			r = buf_addz(out, "\\-", err);
		else if (r == 0)
			r = buf_addc(out, *p, err);
		if (r < 0)
			return -1;
		start = *p == '\n';
	}
	return 0;
}

static int roff_option(const struct opt *o, struct buf *out, struct err *err)
{
	char letter[] = { '\\', '-', o->letter, ',', ' ', '\0' };

	if (buf_addf(out, err, ".TP\n.B %s\\-\\-", o->letter ? letter : "") < 0 ||
	    roff(out, o->name, err) < 0)
		return -1;
	if (o->arg && buf_addf(out, err, "%s\\fI%s\\fR%s", o->type == OPT_OPTIONAL ? "[=" : " ",
			       o->arg, o->type == OPT_OPTIONAL ? "]" : "") < 0)
		return -1;
	if (buf_addc(out, '\n', err) < 0 || roff(out, o->help, err) < 0)
		return -1;
	return buf_addc(out, '\n', err);
}

/* Synopsis, description, options and example of one command; the caller wrote the heading. */
static int roff_body(const struct command *c, const char *prog, struct buf *out, struct err *err)
{
	auto_free char *usage = command_usage(c, prog);

	if (buf_addz(out, ".B ", err) < 0 || roff(out, usage, err) < 0 ||
	    buf_addz(out, "\n.PP\n", err) < 0 || roff(out, c->spec.about, err) < 0 ||
	    buf_addc(out, '\n', err) < 0)
		return -1;
	for (const struct opt *o = c->spec.opts; o && o->name; o++)
		if (roff_option(o, out, err) < 0)
			return -1;
	if (!c->spec.example)
		return 0;
	if (buf_addz(out, ".PP\nExample:\n.PP\n.nf\n.RS\n", err) < 0 ||
	    roff(out, c->spec.example, err) < 0)
		return -1;
	return buf_addz(out, "\n.RE\n.fi\n", err);
}

static int roff_subs(const struct command *c, const char *prog, struct buf *out, struct err *err)
{
	for (const struct command_entry *e = c->subs; e && e->name; e++) {
		auto_free char *name = mem_printf("%s %s", prog, e->name);

		if (e->command->run &&
		    (buf_addz(out, ".SS ", err) < 0 || roff(out, name, err) < 0 ||
		     buf_addc(out, '\n', err) < 0 || roff_body(e->command, name, out, err) < 0))
			return -1;
		if (roff_subs(e->command, name, out, err) < 0)
			return -1;
	}
	return 0;
}

static int write_man(const struct command *c, const char *prog, struct buf *out, struct err *err)
{
	struct str line = command_line(c);
	auto_free char *about = str_dupz(line);

	if (buf_addf(out, err, ".TH \"%s\" 1 \"\" \"bottle %s\"\n.SH NAME\n", prog,
		     bottle_version()) < 0 ||
	    roff(out, prog, err) < 0 || buf_addz(out, " \\- ", err) < 0 ||
	    roff(out, about, err) < 0 || buf_addz(out, "\n.SH SYNOPSIS\n", err) < 0 ||
	    roff_body(c, prog, out, err) < 0)
		return -1;
	if (c->subs && buf_addz(out, ".SH COMMANDS\n", err) < 0)
		return -1;
	return roff_subs(c, prog, out, err);
}

static int run(const struct opts_result *in, struct err *err)
{
	auto_buf out = BUF_INIT(HELP_TEXT_MAX);
	auto_free char *prog = NULL;
	const struct command *c = command_find(in->operands, in->operand_count, &prog, err);
	int r;

	if (!c)
		return -1;
	if (markdown)
		r = write_markdown(&out, err);
	else if (man)
		r = write_man(c, prog, &out, err);
	else
		r = command_help(c, prog, &out, err);
	return r < 0 ? -1 : applet_print(buf_str(&out), err);
}

const struct command command_bottle_help = {
	.spec = {
		.usage = "[COMMAND…]",
		.about = "Show the commands, or how to use one.",
		.opts = options,
		.example = "bottle help start\nbottle help --man egress-proxy | man -l -",
		.operands_max = -1,
	},
	.run = run,
};
