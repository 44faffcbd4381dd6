#include "base/opts.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "base/glob.h"
#include "base/mem.h"
#include "base/str.h"

#define HELP_COLUMN_MAX 32 /* an option longer than this has its help on the next line */

static const struct opt help_opt = { .name = "help",
				     .letter = 'h',
				     .type = OPT_FLAG,
				     .help = "show this help" };

struct parser {
	const struct opts_spec *spec;
	const char *command; /* argv[0], for messages */
	int argc;
	char **argv;
	int at; /* the word being read */
};

/* --- looking up -------------------------------------------------------------------------------- */

static size_t count_opts(const struct opts_spec *spec)
{
	size_t n = 0;

	while (spec->opts && spec->opts[n].name)
		n++;
	return n;
}

static const struct opt *find_long(const struct opts_spec *spec, struct str name)
{
	for (size_t i = 0; i < count_opts(spec); i++) {
		if (str_eqz(name, spec->opts[i].name))
			return &spec->opts[i];
	}
	return str_eqz(name, help_opt.name) ? &help_opt : NULL;
}

static const struct opt *find_short(const struct opts_spec *spec, char letter)
{
	for (size_t i = 0; i < count_opts(spec); i++) {
		if (spec->opts[i].letter == letter)
			return &spec->opts[i];
	}
	return letter == help_opt.letter ? &help_opt : NULL;
}

static int unknown_option(const struct parser *p, const char *word, struct err *err)
{
	size_t n = count_opts(p->spec);
	auto_free const char **names = mem_array(n + 1, sizeof(*names));
	struct str name = str_of(word);
	const char *near = NULL;
	ssize_t equals = str_chr(name, '=', 0);

	if (equals >= 0)
		name = str_sub(name, 0, (size_t)equals);
	for (size_t i = 0; i < n; i++)
		names[i] = p->spec->opts[i].name;
	names[n] = help_opt.name;
	/* `-format` is a long option with a dash too few */
	if (name.n > 2)
		near = glob_nearest(str_from(name, name.p[1] == '-' ? 2 : 1), names, n + 1);
	if (near)
		return err_set(err, E_USAGE, "%s: unknown option '%.*s' (did you mean '--%s'?)",
			       p->command, STR_ARG(name), near);
	return err_set(err, E_USAGE, "%s: unknown option '%.*s' (see '%s --help')", p->command,
		       STR_ARG(name), p->command);
}

/* --- values ------------------------------------------------------------------------------------ */

static int parse_int(const char *text, int *ret)
{
	struct str s = str_of(text);
	bool negative = str_starts(s, STR("-"));
	uint64_t v;

	if (str_to_u64(str_from(s, negative), negative ? (uint64_t)INT_MAX + 1 : INT_MAX, &v) < 0)
		return -1;
	*ret = (int)(negative ? -(int64_t)v : (int64_t)v);
	return 0;
}

static int parse_seconds(const char *text, int *ret)
{
	static const struct {
		char unit;
		int seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct str s = str_of(text);
	uint64_t v;
	int each = 1;

	for (size_t i = 0; i < ARRAY_LEN(units) && s.n > 0; i++) {
		if (s.p[s.n - 1] != units[i].unit)
			continue;
		each = units[i].seconds;
		s = str_sub(s, 0, s.n - 1);
		break;
	}
	if (str_to_u64(s, (uint64_t)(INT_MAX / each), &v) < 0)
		return -1;
	*ret = (int)v * each;
	return 0;
}

static int store(const struct parser *p, const struct opt *o, const char *value, struct err *err)
{
	struct opt_list *list;
	int number;

	switch (o->type) {
	case OPT_FLAG:
		*(bool *)o->out = true;
		return 0;
	case OPT_STR:
	case OPT_OPTIONAL:
		*(const char **)o->out = value;
		return 0;
	case OPT_STR_LIST:
		list = o->out;
		if (list->n == ARRAY_LEN(list->v))
			return err_set(err, E_USAGE, "%s: option '--%s' given more than %zu times",
				       p->command, o->name, ARRAY_LEN(list->v));
		list->v[list->n++] = value;
		return 0;
	case OPT_INT:
		if (parse_int(value, &number) < 0 || number < o->min || number > o->max)
			return err_set(err, E_USAGE,
				       "%s: option '--%s' wants a number from %d to %d, not '%s'",
				       p->command, o->name, o->min, o->max, value);
		*(int *)o->out = number;
		return 0;
	case OPT_SECONDS:
		if (parse_seconds(value, &number) < 0 || number < o->min || number > o->max)
			return err_set(err, E_USAGE,
				       "%s: option '--%s' wants a time from %d to %d seconds, such "
				       "as 90s or 5m, not '%s'",
				       p->command, o->name, o->min, o->max, value);
		*(int *)o->out = number;
		return 0;
	}
	return err_set(err, E_USAGE, "%s: option '--%s' has no type", p->command, o->name);
}

/*
 * The value in the next word. A word that starts with "--" is none: `--config --yes` is a forgotten
 * value far more often than a file of that name, which can be written `--config=--yes`.
 */
static int next_value(struct parser *p, const struct opt *o, const char **ret, struct err *err)
{
	const char *word = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;

	if (!word || str_starts(str_of(word), STR("--")))
		return err_set(err, E_USAGE, "%s: option '--%s' needs a value (%s)", p->command,
			       o->name, o->arg ? o->arg : "VALUE");
	*ret = word;
	p->at++;
	return 0;
}

static int parse_option(struct parser *p, bool *ret_help, struct err *err)
{
	const char *word = p->argv[p->at];
	bool is_long = word[1] == '-';
	struct str name = str_from(str_of(word), is_long ? 2 : 1);
	const char *value = NULL;
	const struct opt *o = NULL;
	ssize_t equals;

	if (is_long) {
		equals = str_chr(name, '=', 0);
		if (equals >= 0) {
			value = name.p + equals + 1;
			name = str_sub(name, 0, (size_t)equals);
		}
		o = find_long(p->spec, name);
	} else if (name.n == 1) {
		o = find_short(p->spec, name.p[0]);
	}
	if (!o)
		return unknown_option(p, word, err);
	if (o->type == OPT_FLAG && value)
		return err_set(err, E_USAGE, "%s: option '--%s' takes no value", p->command,
			       o->name);
	if (o == &help_opt) {
		*ret_help = true;
		return 0;
	}
	if (o->type == OPT_OPTIONAL && !value)
		value = "";
	if (o->type != OPT_FLAG && !value && next_value(p, o, &value, err) < 0)
		return -1;
	return store(p, o, value, err);
}

/* --- parsing ----------------------------------------------------------------------------------- */

static int check_operands(const struct parser *p, const struct opts_result *r, struct err *err)
{
	const struct opts_spec *spec = p->spec;

	if (r->operand_count < spec->operands_min)
		return err_set(err, E_USAGE, "%s: missing argument (usage: %s)", p->command,
			       spec->usage);
	if (spec->operands_max >= 0 && r->operand_count > spec->operands_max)
		return err_set(err, E_USAGE, "%s: unexpected argument '%s' (usage: %s)", p->command,
			       r->operands[spec->operands_max], spec->usage);
	return 0;
}

/* Everything from p->at on is operands. */
static void take_remaining(struct parser *p, struct opts_result *r)
{
	while (p->at < p->argc)
		r->operands[r->operand_count++] = p->argv[p->at++];
}

int opts_parse(const struct opts_spec *spec, int argc, char **argv, struct opts_result *ret,
	       struct err *err)
{
	struct parser p = { spec, argc > 0 ? argv[0] : "", argc, argv, 1 };
	/* Operands move forward over the options that were read: never past the word being read. */
	struct opts_result r = { .operands = argv + (argc > 0) };

	for (; p.at < argc; p.at++) {
		char *word = argv[p.at];

		if (word[0] != '-' || word[1] == '\0') {
			if (spec->stop_at_operand) {
				take_remaining(&p, &r);
				break;
			}
			r.operands[r.operand_count++] = word;
			continue;
		}
		if (str_eqz(STR("--"), word)) {
			p.at++;
			if (spec->takes_rest) {
				r.rest = argv + p.at;
				r.rest_count = argc - p.at;
			} else {
				take_remaining(&p, &r);
			}
			break;
		}
		if (parse_option(&p, &r.help, err) < 0)
			return -1;
		if (r.help)
			break;
	}
	/* With a rest, this is at the latest where "--" was. */
	r.operands[r.operand_count] = NULL;
	if (!r.help && check_operands(&p, &r, err) < 0)
		return -1;
	*ret = r;
	return 0;
}

/* --- help -------------------------------------------------------------------------------------- */

/* "  -y, --yes" or "      --format FORMAT" */
static char *option_label(const struct opt *o)
{
	char letter[8] = "    ";
	const char *arg = o->arg ? o->arg : "VALUE";

	if (o->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	if (o->type == OPT_FLAG)
		return mem_printf("  %s--%s", letter, o->name);
	if (o->type == OPT_OPTIONAL)
		return mem_printf("  %s--%s[=%s]", letter, o->name, arg);
	return mem_printf("  %s--%s %s", letter, o->name, arg);
}

static size_t help_column(const struct opts_spec *spec)
{
	size_t column = strlen("  -h, --help");

	for (size_t i = 0; i < count_opts(spec); i++) {
		auto_free char *label = option_label(&spec->opts[i]);
		size_t n = strlen(label);

		if (n > column && n <= HELP_COLUMN_MAX)
			column = n;
	}
	return column + 2;
}

static int help_option(const struct opt *o, size_t column, struct buf *out, struct err *err)
{
	auto_free char *label = option_label(o);
	const char *help = o->help ? o->help : "";

	if (strlen(label) + 2 > column)
		return buf_addf(out, err, "%s\n%*s%s%s\n", label, (int)column, "", help,
				o->type == OPT_STR_LIST ? " (repeatable)" : "");
	return buf_addf(out, err, "%-*s%s%s\n", (int)column, label, help,
			o->type == OPT_STR_LIST ? " (repeatable)" : "");
}

/* Each line indented by two. */
static int help_example(struct str text, struct buf *out, struct err *err)
{
	struct str line;

	if (buf_addz(out, "\nExample:\n", err) < 0)
		return -1;
	while (str_split(&text, '\n', &line)) {
		if (line.n == 0 && text.n == 0)
			break;
		if (buf_addz(out, line.n ? "  " : "", err) < 0 || buf_add(out, line, err) < 0 ||
		    buf_addc(out, '\n', err) < 0)
			return -1;
	}
	return 0;
}

int opts_help(const struct opts_spec *spec, const char *prog, struct buf *out, struct err *err)
{
	size_t column = help_column(spec);

	if (buf_addf(out, err, "Usage: %s%s%s\n", prog, prog[0] ? " " : "", spec->usage) < 0)
		return -1;
	if (spec->about && buf_addf(out, err, "\n%s\n", spec->about) < 0)
		return -1;
	if (buf_addz(out, "\nOptions:\n", err) < 0)
		return -1;
	for (size_t i = 0; i < count_opts(spec); i++) {
		if (help_option(&spec->opts[i], column, out, err) < 0)
			return -1;
	}
	if (help_option(&help_opt, column, out, err) < 0)
		return -1;
	return spec->example ? help_example(str_of(spec->example), out, err) : 0;
}
