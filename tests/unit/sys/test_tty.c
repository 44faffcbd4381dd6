#include "sys/tty.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sys/fd.h"

/*
 * The person is this program, at the master side of a terminal; the question is asked in a process
 * on its other side. Nothing waits for time: the prompt comes after the
 * terminal has been set, so who has read it may look at the settings, answer, or send a signal.
 */
struct answer {
	int rc;
	bool yes;
	char text[64]; /* what tty_secret gave */
	struct err err;
	bool mask_kept, actions_kept;
};

struct session {
	int master, slave;
	pid_t pid;
	int result; /* the child writes its struct answer here */
};

typedef void ask_fn(struct answer *a);

static void ask_confirm(struct answer *a)
{
	a->rc = tty_confirm("Go on?", &a->yes, &a->err);
}

static void ask_secret_of(struct answer *a, size_t max)
{
	auto_buf b = BUF_INIT_SECRET(max);

	a->rc = tty_secret("Token: ", &b, &a->err);
	if (b.len < sizeof(a->text))
		memcpy(a->text, buf_str(&b).p, b.len);
}

static void ask_secret(struct answer *a)
{
	ask_secret_of(a, 10000);
}

static void ask_short_secret(struct answer *a)
{
	ask_secret_of(a, 4);
}

/* As a process whose loop has the signals: blocked, and one with an action of its own. */
static void ask_with_signals_blocked(struct answer *a)
{
	struct sigaction sa;
	sigset_t mask, after;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGINT);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	(void)signal(SIGHUP, SIG_IGN);
	ask_secret(a);
	(void)sigprocmask(SIG_BLOCK, NULL, &after);
	a->mask_kept = sigismember(&after, SIGINT) == 1 && sigismember(&after, SIGTERM) == 1 &&
		       sigismember(&after, SIGHUP) == 0 && sigismember(&after, SIGTSTP) == 0;
	(void)sigaction(SIGHUP, NULL, &sa);
	a->actions_kept = sa.sa_handler == SIG_IGN;
	(void)sigaction(SIGINT, NULL, &sa);
	a->actions_kept = a->actions_kept && sa.sa_handler == SIG_DFL;
}

/* The one who is asked for, in the foreground of the terminal. */
static _Noreturn void asker(const struct session *s, int result, ask_fn *fn)
{
	struct answer a = { .err = ERR_INIT };

	if (setpgid(0, 0) < 0 || tcsetpgrp(s->slave, getpid()) < 0)
		_exit(1);
	(void)signal(SIGTTOU, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	fn(&a);
	_exit(write(result, &a, sizeof(a)) != sizeof(a));
}

/*
 * A shell's part: leads the session, so that the asker can be stopped from the terminal; lets it go
 * on when it has been, provided that it has left the terminal in order.
 */
static _Noreturn void session_leader(const struct session *s, int result, ask_fn *fn)
{
	struct termios t;
	pid_t pid;
	int status;

	if (setsid() < 0 || ioctl(s->slave, TIOCSCTTY, 0) < 0)
		_exit(1);
	(void)signal(SIGTTOU, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	pid = fork();
	if (pid == 0)
		asker(s, result, fn);
	for (;;) {
		if (waitpid(pid, &status, WUNTRACED) != pid)
			_exit(2);
		if (!WIFSTOPPED(status))
			_exit(status != 0);
		if (tcgetattr(s->slave, &t) < 0 || !(t.c_lflag & ECHO))
			_exit(3);
		(void)kill(pid, SIGCONT);
	}
}

static void type(struct session *s, const char *text)
{
	assert_int_equal(fd_write_all(s->master, str_of(text), NULL), 0);
}

/* `ahead` is a line typed before anybody asks. */
static void session_start(struct session *s, ask_fn *fn, const char *ahead)
{
	struct pollfd arrived = { .events = POLLIN };
	int fds[2];

	s->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(s->master >= 0);
	assert_int_equal(grantpt(s->master), 0);
	assert_int_equal(unlockpt(s->master), 0);
	s->slave = open(ptsname(s->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(s->slave >= 0);
	arrived.fd = s->slave;
	type(s, ahead);
	/* The kernel carries it over in its own time. */
	if (*ahead)
		assert_int_equal(poll(&arrived, 1, -1), 1);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)close(s->master);
		session_leader(s, fds[1], fn);
	}
	(void)close(fds[1]);
	s->result = fds[0];
}

/* Reads what the terminal shows until `text` is there. */
static void expect(struct session *s, const char *text)
{
	char seen[1000];
	size_t n = 0;

	do {
		assert_true(n < sizeof(seen) - 1);
		assert_int_equal(read(s->master, seen + n, 1), 1);
		seen[++n] = '\0';
	} while (!strstr(seen, text));
}

static bool echoes(struct session *s)
{
	struct termios t;

	assert_int_equal(tcgetattr(s->master, &t), 0);
	return t.c_lflag & ECHO;
}

static void session_end(struct session *s, struct answer *ret)
{
	int status;

	assert_int_equal(read(s->result, ret, sizeof(*ret)), sizeof(*ret));
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
	if (s->master >= 0) {
		assert_true(echoes(s));
		(void)close(s->master);
	}
	(void)close(s->slave);
	(void)close(s->result);
}

static void assert_answer(ask_fn *fn, const char *prompt, const char *typed, struct answer *ret)
{
	struct session s;

	session_start(&s, fn, "");
	expect(&s, prompt);
	type(&s, typed);
	session_end(&s, ret);
}

#define CONFIRM_PROMPT "Go on? [y/N] "

static void test_confirm(void **state)
{
	const struct {
		const char *typed;
		bool yes;
	} cases[] = {
		{ "y\n", true }, { "YES\n", true }, { " y \r", true },   { "n\n", false },
		{ "\n", false }, { "yo\n", false }, { "yes!\n", false }, { "z\177y\n", true }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a;

		assert_answer(ask_confirm, CONFIRM_PROMPT, cases[i].typed, &a);
		assert_int_equal(a.rc, 0);
		assert_int_equal(a.yes, cases[i].yes);
	}
}

/* Ctrl-D, Ctrl-C, Ctrl-\ */
static void test_confirm_cancelled(void **state)
{
	const char *const cases[] = { "\004", "\003", "\034", "y\003" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a;

		assert_answer(ask_confirm, CONFIRM_PROMPT, cases[i], &a);
		assert_int_equal(a.rc, -1);
		assert_int_equal(a.err.code, E_CANCELLED);
		assert_false(a.yes);
	}
}

/* An answer given before the question could be read does not count. */
static void test_typed_ahead_is_dropped(void **state)
{
	struct session s;
	struct answer a;

	(void)state;
	session_start(&s, ask_confirm, "y\n");
	expect(&s, CONFIRM_PROMPT);
	type(&s, "n\n");
	session_end(&s, &a);
	assert_int_equal(a.rc, 0);
	assert_false(a.yes);
}

static void test_secret(void **state)
{
	struct session s;
	struct answer a;
	char shown[2];

	(void)state;
	session_start(&s, ask_secret, "");
	expect(&s, "Token: ");
	assert_false(echoes(&s));
	type(&s, "s3cr\177et x\n");
	/* the line's end, and no letter before it */
	assert_int_equal(read(s.master, shown, 2), 2);
	assert_memory_equal(shown, "\r\n", 2);
	session_end(&s, &a);
	assert_int_equal(a.rc, 0);
	assert_string_equal(a.text, "s3cet x");
}

static void test_secret_limits(void **state)
{
	char line[5001];
	struct answer a;

	(void)state;
	assert_answer(ask_secret, "Token: ", "\n", &a);
	assert_int_equal(a.rc, -1);
	assert_int_equal(a.err.code, E_BAD);
	assert_answer(ask_short_secret, "Token: ", "1234\n", &a);
	assert_int_equal(a.rc, 0);
	assert_string_equal(a.text, "1234");
	assert_answer(ask_short_secret, "Token: ", "12345\n", &a);
	assert_int_equal(a.rc, -1);
	assert_int_equal(a.err.code, E_LIMIT);

	/* the terminal itself would cut this one */
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	assert_answer(ask_secret, "Token: ", line, &a);
	assert_int_equal(a.rc, -1);
	assert_int_equal(a.err.code, E_LIMIT);
	line[4094] = '\n';
	line[4095] = '\0';
	assert_answer(ask_secret, "Token: ", line, &a);
	assert_int_equal(a.rc, 0);
}

static pid_t asking(const struct session *s)
{
	pid_t pid;

	assert_int_equal(ioctl(s->master, TIOCGPGRP, &pid), 0);
	return pid;
}

/* Whatever ends the question, session_end finds the terminal echoing again. */
static void test_secret_signals(void **state)
{
	const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	ask_fn *const asks[] = { ask_secret, ask_with_signals_blocked };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		for (size_t j = 0; j < ARRAY_LEN(asks); j++) {
			struct session s;
			struct answer a;

			session_start(&s, asks[j], "");
			expect(&s, "Token: ");
			assert_false(echoes(&s));
			assert_int_equal(kill(asking(&s), signals[i]), 0);
			session_end(&s, &a);
			assert_int_equal(a.rc, -1);
			assert_int_equal(a.err.code, E_CANCELLED);
			assert_string_equal(a.text, "");
			if (asks[j] == ask_with_signals_blocked) {
				assert_true(a.mask_kept);
				assert_true(a.actions_kept);
			}
		}
	}
}

static void on_alarm(int signo)
{
	(void)signo;
}

static void ask_secret_with_handler(struct answer *a)
{
	const struct sigaction sa = { .sa_handler = on_alarm };

	(void)sigaction(SIGUSR1, &sa, NULL);
	ask_secret(a);
}

/* A signal that is somebody else's does not end the question. */
static void test_secret_other_signal(void **state)
{
	struct session s;
	struct answer a;

	(void)state;
	session_start(&s, ask_secret_with_handler, "");
	expect(&s, "Token: ");
	assert_int_equal(kill(asking(&s), SIGUSR1), 0);
	type(&s, "abc\n");
	session_end(&s, &a);
	assert_int_equal(a.rc, 0);
	assert_string_equal(a.text, "abc");
}

static void test_terminal_gone(void **state)
{
	struct session s;
	struct answer a;

	(void)state;
	session_start(&s, ask_secret, "");
	expect(&s, "Token: ");
	(void)close(s.master);
	s.master = -1;
	session_end(&s, &a);
	assert_int_equal(a.rc, -1);
	assert_int_equal(a.err.code, E_CANCELLED);
}

/* Ctrl-Z; the session's leader looks at the terminal meanwhile. */
static void test_secret_suspended(void **state)
{
	struct session s;
	struct answer a;

	(void)state;
	session_start(&s, ask_secret, "");
	expect(&s, "Token: ");
	type(&s, "half\032");
	expect(&s, "Token: ");
	assert_false(echoes(&s));
	type(&s, "whole\n");
	session_end(&s, &a);
	assert_int_equal(a.rc, 0);
	assert_string_equal(a.text, "whole");
}

/* ---- no terminal, colours ---- */

static void test_no_terminal(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct answer a = { .yes = true };

		if (setsid() < 0)
			_exit(1);
		ask_confirm(&a);
		if (a.rc != -1 || a.err.code != E_USAGE || a.yes ||
		    !strstr(a.err.text, "needs a terminal; use --yes"))
			_exit(2);
		ask_secret(&a);
		_exit(a.rc != -1 || a.err.code != E_USAGE ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void set(const char *name, const char *value)
{
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void test_colour(void **state)
{
	const struct {
		const char *term, *no_color;
		bool terminal, want;
	} cases[] = {
		{ "xterm", NULL, true, true },   { "xterm", "", true, true },
		{ "xterm", "1", true, false },   { "dumb", NULL, true, false },
		{ "", NULL, true, false },       { NULL, NULL, true, false },
		{ "xterm", NULL, false, false },
	};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		set("TERM", cases[i].term);
		set("NO_COLOR", cases[i].no_color);
		assert_int_equal(tty_colour(cases[i].terminal ? master : null), cases[i].want);
	}
	(void)close(master);
	(void)close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confirm),
		cmocka_unit_test(test_confirm_cancelled),
		cmocka_unit_test(test_typed_ahead_is_dropped),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_secret_limits),
		cmocka_unit_test(test_secret_signals),
		cmocka_unit_test(test_secret_other_signal),
		cmocka_unit_test(test_terminal_gone),
		cmocka_unit_test(test_secret_suspended),
		cmocka_unit_test(test_no_terminal),
		cmocka_unit_test(test_colour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
