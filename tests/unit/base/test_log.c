#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <sys/syscall.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* A pipe whose reading end does not wait. */
static void open_pipe(int fds[2])
{
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

/* All that is in the pipe now. */
static void drain(int fd, struct buf *out)
{
	for (;;) {
		char *p = buf_reserve(out, 4096, NULL);
		ssize_t n;

		assert_non_null(p);
		n = read(fd, p, 4096);
		if (n <= 0)
			return;
		buf_commit(out, (size_t)n);
	}
}

/* Standard error goes to a pipe while f runs. */
static void capture(void (*f)(void), struct buf *out)
{
	auto_close int saved = dup(STDERR_FILENO);
	int fds[2];

	open_pipe(fds);
	(void)fflush(stderr);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	f();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	drain(fds[0], out);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void talk(void)
{
	errno = EXDEV;
	log_init("tester", LOG_INFO);
	log_error("e %d", 1);
	log_warn("w");
	log_info("i");
	log_debug("not shown");
	log_set_level(LOG_DEBUG);
	log_debug("d");
	log_set_level(LOG_ERROR);
	log_warn("not shown");
	assert_int_equal(errno, EXDEV);
}

static void test_levels(void **state)
{
	auto_buf out = BUF_INIT(10000);

	(void)state;
	capture(talk, &out);
	assert_string_equal(buf_z(&out), "tester: error: e 1\ntester: warning: w\ntester: info: i\n"
					 "tester: debug: d\n");
	log_set_level(LOG_WARN);
	assert_true(log_enabled(LOG_ERROR));
	assert_true(log_enabled(LOG_WARN));
	assert_false(log_enabled(LOG_INFO));
}

static void talk_controls(void)
{
	log_init("t", LOG_INFO);
	log_info("%s", "a\nb\x1b[31m\x7f\xc2\x9b\xff|\xc3\xa9\\");
}

static void test_level_names(void **state)
{
	enum log_level level = LOG_INFO;

	(void)state;
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		assert_true(log_level_parse(str_of(log_level_name((enum log_level)i)), &level));
		assert_int_equal(level, i);
	}
	assert_false(log_level_parse(STR("Debug"), &level));
	assert_false(log_level_parse(STR(""), &level));
	assert_int_equal(level, LOG_DEBUG);
}

static void test_controls_are_escaped(void **state)
{
	auto_buf out = BUF_INIT(10000);

	(void)state;
	capture(talk_controls, &out);
	assert_string_equal(buf_z(&out),
			    "t: info: a\\x0ab\\x1b[31m\\x7f\\xc2\\x9b\\xff|\xc3\xa9\\\n");
}

static void talk_long(void)
{
	char text[LOG_LINE_MAX + 1];

	log_init("t", LOG_INFO);
	memset(text, '\x01', sizeof(text));
	text[LOG_LINE_MAX - 1] = '\0';
	log_info("%s", text);
	text[LOG_LINE_MAX - 1] = '\x01';
	text[LOG_LINE_MAX] = '\0';
	log_info("%s", text);
}

/* Also when every byte needs four. */
static void test_long_lines(void **state)
{
	auto_buf out = BUF_INIT(65536);
	struct str rest, line;

	(void)state;
	capture(talk_long, &out);
	rest = buf_str(&out);
	assert_true(str_split(&rest, '\n', &line));
	assert_int_equal(line.n, strlen("t: info: ") + 4 * (LOG_LINE_MAX - 1));
	assert_true(str_split(&rest, '\n', &line));
	assert_int_equal(line.n, strlen("t: info: ...") + 4 * (LOG_LINE_MAX - 1));
	assert_true(str_ends(line, STR("\\x01...")));
	assert_int_equal(rest.n, 0);
}

/* Talk never changes errno, nor fails, when standard error is gone. */
static void test_no_standard_error(void **state)
{
	auto_close int saved = dup(STDERR_FILENO);
	int after;

	(void)state;
	log_init("t", LOG_INFO);
	(void)fflush(stderr);
	(void)close(STDERR_FILENO);
	errno = EXDEV;
	log_info("lost");
	after = errno;
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(after, EXDEV);
}

/* --- events ------------------------------------------------------------------------------------ */

/* A file whose writing can be made to fail after a number of bytes: a pipe that is nearly full. */
static int fds[2];

static int setup(void **state)
{
	(void)state;
	open_pipe(fds);
	log_init("egress-proxy", LOG_INFO);
	log_event_fd(fds[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_event_fd(-1);
	if (fds[0] >= 0)
		(void)close(fds[0]);
	(void)close(fds[1]);
	return 0;
}

static void assert_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";

	assert_int_equal(strlen(text), strlen(form));
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'd')
			assert_true(ascii_digit(text[i]));
		else
			assert_int_equal(text[i], form[i]);
	}
	assert_true(strncmp(text, "2020", 4) > 0);
}

static void test_event(void **state)
{
	auto_buf out = BUF_INIT(65536);
	struct log_event ev;
	const char *tail;

	(void)state;
	log_event_begin(&ev, "decision");
	log_event_str(&ev, "host", STR("a\"\n\xff"));
	log_event_strz(&ev, "path", "/x");
	log_event_strz(&ev, "rule", NULL);
	log_event_u64(&ev, "bytes", UINT64_MAX);
	log_event_bool(&ev, "ok", true);
	log_event_bool(&ev, "bad", false);
	log_event_str(&ev, "empty", STR_NONE);
	assert_int_equal(log_event_end(&ev), 0);
	drain(fds[0], &out);
	tail = strstr(buf_z(&out), ",\"component\"");
	assert_non_null(tail);
	assert_string_equal(tail, ",\"component\":\"egress-proxy\",\"event\":\"decision\","
				  "\"host\":\"a\\\"\\u000a\xef\xbf\xbd\",\"path\":\"/x\","
				  "\"bytes\":18446744073709551615,\"ok\":true,\"bad\":false,"
				  "\"empty\":\"\"}\n");
	assert_true(str_starts(buf_str(&out), STR("{\"ts\":\"")));
	{
		auto_free char *ts = str_dupz(str_sub(buf_str(&out), 7, 24));

		assert_time(ts);
	}
}

/* The time of the tests, when they set one. */
static struct timespec set_time;

int clock_gettime(clockid_t id, struct timespec *ret)
{
	if (set_time.tv_sec == 0)
		return (int)syscall(SYS_clock_gettime, id, ret);
	*ret = set_time;
	return 0;
}

static void test_times(void **state)
{
	static const struct {
		time_t s;
		long ns;
		const char *text;
	} cases[] = {
		{ 1, 0, "1970-01-01T00:00:01.000Z" },
		{ 1000000000, 7999999, "2001-09-09T01:46:40.007Z" },
		{ 1000000000, 999999999, "2001-09-09T01:46:40.999Z" },
		{ 1000000001, 120000000, "2001-09-09T01:46:41.120Z" },
		{ 1000000000, 0, "2001-09-09T01:46:40.000Z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_buf out = BUF_INIT(65536);
		struct log_event ev;

		set_time = (struct timespec){ cases[i].s, cases[i].ns };
		log_event_begin(&ev, "n");
		assert_int_equal(log_event_end(&ev), 0);
		drain(fds[0], &out);
		assert_true(str_eqz(str_sub(buf_str(&out), 7, 24), cases[i].text));
	}
	set_time.tv_sec = 0;
}

static void test_events_are_json_lines(void **state)
{
	auto_buf out = BUF_INIT(65536);
	struct str rest, line;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct log_event ev;

		log_event_begin(&ev, "n");
		log_event_u64(&ev, "i", (uint64_t)i);
		assert_int_equal(log_event_end(&ev), 0);
	}
	drain(fds[0], &out);
	rest = buf_str(&out);
	for (int i = 0; i < 3; i++) {
		auto_json struct json *j = NULL;

		assert_true(str_split(&rest, '\n', &line));
		j = json_parse(line, "line", NULL);
		assert_non_null(j);
		assert_int_equal(json_int(json_get(j, "i")), i);
	}
	assert_int_equal(rest.n, 0);
}

/* What does not fit is left out, what comes after and fits is not; the line stays a JSON line. */
static void test_long_event_is_cut(void **state)
{
	static char big[LOG_EVENT_MAX + 1];

	(void)state;
	memset(big, 'b', LOG_EVENT_MAX);
	for (size_t n = LOG_EVENT_MAX - 200; n <= LOG_EVENT_MAX; n++) {
		auto_buf out = BUF_INIT(65536);
		auto_json struct json *j = NULL;
		struct log_event ev;
		bool cut;

		log_event_begin(&ev, "n");
		log_event_str(&ev, "big", str_mem(big, n));
		log_event_strz(&ev, "verdict", "deny");
		assert_int_equal(log_event_end(&ev), 0);
		drain(fds[0], &out);
		assert_true(out.len <= LOG_EVENT_MAX);
		assert_true(str_ends(buf_str(&out), STR("}\n")));
		j = json_parse(buf_str(&out), "line", NULL);
		assert_non_null(j);
		cut = !json_get(j, "big") || !json_get(j, "verdict");
		assert_int_equal(json_bool(json_get(j, "cut")), cut);
		if (n == LOG_EVENT_MAX - 200)
			assert_false(cut);
		if (n == LOG_EVENT_MAX) {
			assert_null(json_get(j, "big"));
			assert_non_null(json_get(j, "verdict"));
		}
	}
}

static void test_dropped(void **state)
{
	struct log_event ev;

	(void)state;
	log_event_fd(-1);
	log_event_begin(&ev, "n");
	assert_int_equal(log_event_end(&ev), 0);
}

static int write_event(const char *name, size_t fill)
{
	static char x[LOG_EVENT_MAX];
	struct log_event ev;

	memset(x, 'x', sizeof(x));
	log_event_begin(&ev, name);
	log_event_str(&ev, "fill", str_mem(x, fill));
	return log_event_end(&ev);
}

static void test_reader_gone(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)close(fds[0]);
	fds[0] = -1;
	assert_int_equal(write_event("n", 0), -1);
}

static void test_bad_descriptor(void **state)
{
	(void)state;
	log_event_fd(1000000);
	assert_int_equal(write_event("n", 0), -1);
}

static void test_disk_full(void **state)
{
	auto_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(full >= 0);
	log_event_fd(full);
	assert_int_equal(write_event("n", 0), -1);
}

/* A full pipe that may not block takes part of a line: -1, and the next line starts on its own. */
static void test_torn_line(void **state)
{
	auto_buf out = BUF_INIT(1 << 20);
	struct str rest, line;
	bool failed = false, last = false;

	(void)state;
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	/* longer than a page: a pipe takes the part for which it has pages */
	for (int i = 0; i < 1000 && !failed; i++)
		failed = write_event("filler", 9999) < 0;
	assert_true(failed);
	/* still no room: the torn line stays open */
	assert_int_equal(write_event("filler", 9999), -1);
	drain(fds[0], &out);
	assert_false(str_ends(buf_str(&out), STR("\n")));
	assert_int_equal(write_event("whole", 0), 0);
	assert_int_equal(write_event("last", 0), 0);
	drain(fds[0], &out);

	rest = buf_str(&out);
	while (str_split(&rest, '\n', &line) && rest.p) {
		auto_json struct json *j = json_parse(line, "line", NULL);

		if (!j) {
			/* the torn one: the next is whole */
			assert_true(str_split(&rest, '\n', &line));
			j = json_parse(line, "line", NULL);
			assert_non_null(j);
			assert_true(str_eqz(json_str(json_get(j, "event")), "whole"));
			last = true;
		}
	}
	assert_true(last);
}

static void on_alarm(int signo)
{
	static char waste[65536];

	(void)signo;
	while (read(fds[0], waste, sizeof(waste)) > 0)
		;
}

/*
 * A signal in the middle of a write does not lose the line: the pipe is full, so the write waits
 * until the handler, which must run for that, has read from it.
 */
static void test_interrupted(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	auto_buf out = BUF_INIT(1 << 20);

	(void)state;
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], "x", 1) == 1)
		;
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	(void)ualarm(2000, 2000);
	assert_int_equal(write_event("n", 9999), 0);
	(void)ualarm(0, 0);
	drain(fds[0], &out);
	assert_true(str_ends(buf_str(&out), STR("}\n")));
}

#define EVENT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_level_names),
		cmocka_unit_test(test_controls_are_escaped),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_no_standard_error),
		EVENT_TEST(test_event),
		EVENT_TEST(test_times),
		EVENT_TEST(test_events_are_json_lines),
		EVENT_TEST(test_long_event_is_cut),
		EVENT_TEST(test_dropped),
		EVENT_TEST(test_reader_gone),
		EVENT_TEST(test_bad_descriptor),
		EVENT_TEST(test_disk_full),
		EVENT_TEST(test_torn_line),
		EVENT_TEST(test_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
