#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/opts.h"
#include "base/str.h"

static struct {
	bool yes;
	const char *format;
	struct opt_list hosts;
	int port;
	int offset;
	int wait;
	const char *cwd;
} v;

static const struct opt table[] = {
	{ .name = "yes", .letter = 'y', .type = OPT_FLAG, .out = &v.yes, .help = "do not ask" },
	{ .name = "format",
	  .type = OPT_STR,
	  .out = &v.format,
	  .arg = "FORMAT",
	  .help = "text or json" },
	{ .name = "host",
	  .letter = 'H',
	  .type = OPT_STR_LIST,
	  .out = &v.hosts,
	  .arg = "HOST",
	  .help = "a host" },
	{ .name = "port",
	  .letter = 'p',
	  .type = OPT_INT,
	  .out = &v.port,
	  .min = 1,
	  .max = 65535,
	  .arg = "N",
	  .help = "port" },
	{ .name = "offset", .type = OPT_INT, .out = &v.offset, .min = -5, .max = 5, .help = "shift" },
	{ .name = "wait",
	  .type = OPT_SECONDS,
	  .out = &v.wait,
	  .min = 1,
	  .max = 7 * 86400,
	  .arg = "TIME",
	  .help = "so long" },
	{ .name = "cwd", .type = OPT_OPTIONAL, .out = &v.cwd, .arg = "bind", .help = "work here" },
	{ .name = NULL },
};

static const struct opts_spec any = {
	.usage = "start AGENT [options] [-- CMD…]",
	.opts = table,
	.operands_max = -1,
	.takes_rest = true,
};

/* One call; values and operands point into `text`. */
struct call {
	char text[1000];
	char *argv[200];
	struct opts_result result;
	struct err err;
};

/* `words` are what stands behind the command's name, with single spaces; "_" is an empty word. */
static int parse(struct call *c, const struct opts_spec *spec, const char *words)
{
	int argc = 0, rc;
	char *next = c->text, *word;

	memset(c, 0, sizeof(*c));
	memset(&v, 0, sizeof(v));
	assert_true((size_t)snprintf(c->text, sizeof(c->text), "start %s", words) <
		    sizeof(c->text));
	if (!words[0])
		c->text[strlen("start")] = '\0';
	while ((word = strsep(&next, " "))) {
		if (strcmp(word, "_") == 0)
			word[0] = '\0';
		assert_true(argc < 199);
		c->argv[argc++] = word;
	}
	c->result.operand_count = -7;
	rc = opts_parse(spec, argc, c->argv, &c->result, &c->err);
	if (rc < 0) {
		assert_int_equal(c->err.code, E_USAGE);
		assert_int_equal(c->result.operand_count, -7);
	} else {
		assert_null(c->result.operands[c->result.operand_count]);
	}
	return rc;
}

static void accept(struct call *c, const char *words)
{
	if (parse(c, &any, words) < 0)
		fail_msg("%s: %s", words, c->err.text);
}

static void refuse(const struct opts_spec *spec, const char *words, const char *message)
{
	struct call c;

	if (parse(&c, spec, words) == 0)
		fail_msg("accepted: %s", words);
	assert_string_equal(c.err.text, message);
}

/* The operands (or rest) joined with spaces. */
static void assert_words(char *const *words, int n, const char *want)
{
	auto_buf b = BUF_INIT(1000);

	for (int i = 0; i < n; i++)
		assert_int_equal(buf_addf(&b, NULL, "%s%s", i ? " " : "", words[i]), 0);
	assert_string_equal(buf_z(&b), want);
}

static void test_nothing(void **state)
{
	struct call c;

	(void)state;
	accept(&c, "");
	assert_int_equal(c.result.operand_count, 0);
	assert_null(c.result.rest);
	assert_false(c.result.help);
	assert_false(v.yes);
	assert_null(v.format);
}

static void test_long_options(void **state)
{
	struct call c;

	(void)state;
	accept(&c, "--yes --format json --port=65535 --offset=-5");
	assert_true(v.yes);
	assert_string_equal(v.format, "json");
	assert_int_equal(v.port, 65535);
	assert_int_equal(v.offset, -5);
	accept(&c, "--format=a=b --offset -3");
	assert_string_equal(v.format, "a=b");
	assert_int_equal(v.offset, -3);
	accept(&c, "--format= --format=--yes");
	assert_string_equal(v.format, "--yes");
	assert_false(v.yes);
	accept(&c, "--format=");
	assert_string_equal(v.format, "");
	accept(&c, "--format _");
	assert_string_equal(v.format, "");
	accept(&c, "--format -");
	assert_string_equal(v.format, "-");
	accept(&c, "--format -y");
	assert_string_equal(v.format, "-y");
	assert_false(v.yes);
	accept(&c, "--port 1 --port 2");
	assert_int_equal(v.port, 2);
}

static void test_short_options(void **state)
{
	struct call c;

	(void)state;
	accept(&c, "-y -p 80 -H a -H b");
	assert_true(v.yes);
	assert_int_equal(v.port, 80);
	assert_int_equal(v.hosts.n, 2);
	assert_string_equal(v.hosts.v[0], "a");
	assert_string_equal(v.hosts.v[1], "b");
}

static void test_optional_value(void **state)
{
	struct call c;

	(void)state;
	accept(&c, "--cwd bind");
	assert_string_equal(v.cwd, "");
	assert_words(c.result.operands, c.result.operand_count, "bind");
	accept(&c, "--cwd=bind");
	assert_string_equal(v.cwd, "bind");
	accept(&c, "--yes --cwd");
	assert_string_equal(v.cwd, "");
}

static void test_seconds(void **state)
{
	static const struct {
		const char *words;
		int seconds;
	} good[] = {
		{ "--wait 90", 90 },   { "--wait 90s", 90 },    { "--wait=5m", 300 },
		{ "--wait 2h", 7200 }, { "--wait 7d", 604800 },
	};
	static const char *const bad[] = {
		"",       "s", "0", "0s", "8d", "1.5m", "-5s", "5ms", "m5", "5S", "999999999999d",
		"24856d",
	};
	struct call c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		accept(&c, good[i].words);
		assert_int_equal(v.wait, good[i].seconds);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char words[64], message[200];

		(void)snprintf(words, sizeof(words), "--wait=%s", bad[i]);
		(void)snprintf(message, sizeof(message),
			       "start: option '--wait' wants a time from 1 to 604800 seconds, such "
			       "as 90s or 5m, not '%s'",
			       bad[i]);
		refuse(&any, words, message);
	}
}

static void test_list_is_bounded(void **state)
{
	char words[5 * OPTS_LIST_MAX + 100];
	struct call c;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < OPTS_LIST_MAX; i++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, "-H %c ", 'a' + i % 26);
	words[n - 1] = '\0';
	accept(&c, words);
	assert_int_equal(v.hosts.n, OPTS_LIST_MAX);
	assert_string_equal(v.hosts.v[OPTS_LIST_MAX - 1], "l");
	(void)snprintf(words + n - 1, sizeof(words) - n + 1, " -H x");
	refuse(&any, words, "start: option '--host' given more than 64 times");
}

static void test_operands(void **state)
{
	struct call c;

	(void)state;
	accept(&c, "a --yes b -p 7 - c --format x d _");
	assert_words(c.result.operands, c.result.operand_count, "a b - c d ");
	assert_int_equal(c.result.operand_count, 6);
	assert_null(c.result.rest);
	assert_true(v.yes);
	assert_int_equal(v.port, 7);
	assert_string_equal(v.format, "x");
}

static void test_rest(void **state)
{
	struct call c;

	(void)state;
	accept(&c, "a --yes b -- -x --yes -- c");
	assert_words(c.result.operands, c.result.operand_count, "a b");
	assert_int_equal(c.result.rest_count, 4);
	assert_words(c.result.rest, c.result.rest_count, "-x --yes -- c");
	assert_null(c.result.rest[4]);
	/* no option before: the end of the operands is where "--" was */
	accept(&c, "a b -- c");
	assert_words(c.result.operands, c.result.operand_count, "a b");
	assert_words(c.result.rest, c.result.rest_count, "c");
	accept(&c, "--");
	assert_int_equal(c.result.operand_count, 0);
	assert_non_null(c.result.rest);
	assert_int_equal(c.result.rest_count, 0);
}

static void test_dashes_without_rest(void **state)
{
	static const struct opts_spec plain = { .usage = "x", .opts = table, .operands_max = -1 };
	struct call c;

	(void)state;
	assert_int_equal(parse(&c, &plain, "a --yes -- --no -y -- b"), 0);
	assert_words(c.result.operands, c.result.operand_count, "a --no -y -- b");
	assert_null(c.result.rest);
	assert_true(v.yes);
	assert_int_equal(parse(&c, &plain, "-- a"), 0);
	assert_words(c.result.operands, c.result.operand_count, "a");
}

static void test_stop_at_operand(void **state)
{
	static const struct opts_spec outer = {
		.usage = "COMMAND", .opts = table, .operands_max = -1, .stop_at_operand = true
	};
	struct call c;

	(void)state;
	assert_int_equal(parse(&c, &outer, "--yes ca --format -- --nonsense --help"), 0);
	assert_words(c.result.operands, c.result.operand_count, "ca --format -- --nonsense --help");
	assert_true(v.yes);
	assert_null(v.format);
	assert_false(c.result.help);
	refuse(&outer, "--nonsense ca", "start: unknown option '--nonsense' (see 'start --help')");
}

static void test_operand_counts(void **state)
{
	static const struct opts_spec one = { .usage = "start AGENT",
					      .operands_min = 1,
					      .operands_max = 1 };
	static const struct opts_spec none = { .usage = "list" };
	struct call c;

	(void)state;
	assert_int_equal(parse(&c, &one, "a"), 0);
	refuse(&one, "", "start: missing argument (usage: start AGENT)");
	refuse(&one, "a b c", "start: unexpected argument 'b' (usage: start AGENT)");
	assert_int_equal(parse(&c, &none, ""), 0);
	refuse(&none, "x", "start: unexpected argument 'x' (usage: list)");
	refuse(&none, "-- x", "start: unexpected argument 'x' (usage: list)");
}

static void test_help(void **state)
{
	static const struct opts_spec one = { .usage = "start AGENT",
					      .operands_min = 1,
					      .operands_max = 1 };
	static const char *const calls[] = { "--help", "-h", "a b c --help", "--help --nonsense" };
	struct call c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		assert_int_equal(parse(&c, &one, calls[i]), 0);
		assert_true(c.result.help);
	}
	accept(&c, "a -- --help");
	assert_false(c.result.help);
	accept(&c, "--format -h");
	assert_false(c.result.help);
	refuse(&one, "--help=x", "start: option '--help' takes no value");
}

static void test_unknown_options(void **state)
{
	static const struct {
		const char *words, *message;
	} cases[] = {
		{ "--formt json", "start: unknown option '--formt' (did you mean '--format'?)" },
		{ "--formt=json", "start: unknown option '--formt' (did you mean '--format'?)" },
		{ "--FORMAT json", "start: unknown option '--FORMAT' (did you mean '--format'?)" },
		{ "-format", "start: unknown option '-format' (did you mean '--format'?)" },
		{ "--hlep", "start: unknown option '--hlep' (did you mean '--help'?)" },
		{ "--wumpus", "start: unknown option '--wumpus' (see 'start --help')" },
		{ "-x", "start: unknown option '-x' (see 'start --help')" },
		/* no bundles, no value glued on, no abbreviations */
		{ "-yp", "start: unknown option '-yp' (see 'start --help')" },
		{ "-p80", "start: unknown option '-p80' (see 'start --help')" },
		{ "--form x", "start: unknown option '--form' (see 'start --help')" },
		{ "--=x", "start: unknown option '--' (see 'start --help')" },
		{ "---yes", "start: unknown option '---yes' (did you mean '--yes'?)" },
		{ "-=", "start: unknown option '-' (see 'start --help')" },
		{ "--x\x1b[31m", "start: unknown option '--x?[31m' (see 'start --help')" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(&any, cases[i].words, cases[i].message);
}

static void test_values_missing(void **state)
{
	(void)state;
	refuse(&any, "--format", "start: option '--format' needs a value (FORMAT)");
	refuse(&any, "--format --yes", "start: option '--format' needs a value (FORMAT)");
	refuse(&any, "--format -- x", "start: option '--format' needs a value (FORMAT)");
	refuse(&any, "-p", "start: option '--port' needs a value (N)");
	refuse(&any, "--offset", "start: option '--offset' needs a value (VALUE)");
	refuse(&any, "--yes=1", "start: option '--yes' takes no value");
	refuse(&any, "--yes=", "start: option '--yes' takes no value");
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "0",   "65536", "-1",         "x",
					   "1x",  "0x10",  "+1",         "1.0",
					   "_",   "1_0",   "4294967297", "99999999999999999999",
					   "--1", "-" };
	struct call c;

	(void)state;
	accept(&c, "--port 1");
	assert_int_equal(v.port, 1);
	accept(&c, "--port=00080");
	assert_int_equal(v.port, 80);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char words[100];

		(void)snprintf(words, sizeof(words), "--port=%s",
			       strcmp(bad[i], "_") == 0 ? "" : bad[i]);
		assert_int_equal(parse(&c, &any, words), -1);
		assert_int_equal(v.port, 0);
	}
	refuse(&any, "--port=http",
	       "start: option '--port' wants a number from 1 to 65535, not 'http'");
	refuse(&any, "--offset=-6",
	       "start: option '--offset' wants a number from -5 to 5, not '-6'");
	refuse(&any, "--offset=6", "start: option '--offset' wants a number from -5 to 5, not '6'");
}

static void test_whole_range_of_int(void **state)
{
	static int value;
	static const struct opt wide_table[] = {
		{ .name = "n", .type = OPT_INT, .out = &value, .min = INT32_MIN, .max = INT32_MAX },
		{ .name = NULL },
	};
	static const struct opts_spec wide = { .usage = "x", .opts = wide_table };
	struct call c;

	(void)state;
	assert_int_equal(parse(&c, &wide, "--n=-2147483648"), 0);
	assert_true(value == INT32_MIN);
	assert_int_equal(parse(&c, &wide, "--n 2147483647"), 0);
	assert_true(value == INT32_MAX);
	assert_int_equal(parse(&c, &wide, "--n=2147483648"), -1);
	assert_int_equal(parse(&c, &wide, "--n=-2147483649"), -1);
}

static void test_no_words_at_all(void **state)
{
	char *argv[] = { NULL };
	struct opts_result r;

	(void)state;
	assert_int_equal(opts_parse(&any, 0, argv, &r, NULL), 0);
	assert_int_equal(r.operand_count, 0);
	assert_null(r.operands[0]);
}

static void test_help_text(void **state)
{
	static const struct opt long_table[] = {
		{ .name = "yes", .letter = 'y', .type = OPT_FLAG, .help = "do not ask" },
		{ .name = "format", .type = OPT_STR, .arg = "FORMAT", .help = "text or json" },
		{ .name = "host", .type = OPT_STR_LIST, .arg = "HOST", .help = "a host" },
		{ .name = "cwd", .type = OPT_OPTIONAL, .arg = "bind", .help = "work here" },
		{ .name = "a-name-so-long-that-it-does-not-fit", .type = OPT_INT, .help = "n" },
		{ .name = NULL },
	};
	static const struct opts_spec spec = {
		.usage = "start AGENT [options]",
		.about = "Starts a bottle.",
		.opts = long_table,
		.example = "bottle start demo\n\nbottle start demo --yes\n",
	};
	auto_buf b = BUF_INIT(4000);

	(void)state;
	assert_int_equal(opts_help(&spec, "bottle", &b, NULL), 0);
	assert_string_equal(buf_z(&b), "Usage: bottle start AGENT [options]\n"
				       "\n"
				       "Starts a bottle.\n"
				       "\n"
				       "Options:\n"
				       "  -y, --yes            do not ask\n"
				       "      --format FORMAT  text or json\n"
				       "      --host HOST      a host (repeatable)\n"
				       "      --cwd[=bind]     work here\n"
				       "      --a-name-so-long-that-it-does-not-fit VALUE\n"
				       "                       n\n"
				       "  -h, --help           show this help\n"
				       "\n"
				       "Example:\n"
				       "  bottle start demo\n"
				       "\n"
				       "  bottle start demo --yes\n");
}

static void test_help_text_of_little(void **state)
{
	static const struct opts_spec spec = { .usage = "list" };
	auto_buf b = BUF_INIT(4000), small = BUF_INIT(20);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(opts_help(&spec, "", &b, NULL), 0);
	assert_string_equal(buf_z(&b), "Usage: list\n\nOptions:\n  -h, --help  show this help\n");
	assert_int_equal(opts_help(&spec, "", &small, &err), -1);
	assert_int_equal(err.code, E_LIMIT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_long_options),
		cmocka_unit_test(test_short_options),
		cmocka_unit_test(test_optional_value),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_list_is_bounded),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_dashes_without_rest),
		cmocka_unit_test(test_stop_at_operand),
		cmocka_unit_test(test_operand_counts),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_unknown_options),
		cmocka_unit_test(test_values_missing),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_whole_range_of_int),
		cmocka_unit_test(test_no_words_at_all),
		cmocka_unit_test(test_help_text),
		cmocka_unit_test(test_help_text_of_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
