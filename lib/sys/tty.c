/*
 * tty: one line from the terminal, and the terminal as it was afterwards.
 *
 * Signals that would end or stop us are blocked except inside ppoll, so that none comes between
 * changing the terminal and waiting; they end the question, or suspend it.
 */
#include "sys/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "sys/fd.h"

bool tty_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR"); /* no-color.org: set and not empty */
	const char *term = getenv("TERM");

	if (no_color && *no_color)
		return false;
	return term && *term && strcmp(term, "dumb") != 0 && isatty(fd);
}

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static volatile sig_atomic_t caught; /* the signal that interrupted the question */

static void on_signal(int signo)
{
	caught = signo;
}

/* What a question changes, to be put back. */
struct question {
	int tty;
	const char *prompt;
	bool echo;
	struct termios before;
	struct sigaction actions[ARRAY_LEN(ending)], stop_action;
	sigset_t mask, wait_mask; /* before; inside ppoll */
};

static void signals_begin(struct question *q)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t ours;

	(void)sigemptyset(&ours);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaddset(&ours, ending[i]);
	(void)sigaddset(&ours, SIGTSTP);
	(void)pthread_sigmask(SIG_BLOCK, &ours, &q->mask);
	/* Also for a process that has them blocked for its loop: nothing runs that loop now. */
	q->wait_mask = q->mask;
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigdelset(&q->wait_mask, ending[i]);
	(void)sigdelset(&q->wait_mask, SIGTSTP);
	caught = 0;
	(void)sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaction(ending[i], &sa, &q->actions[i]);
	(void)sigaction(SIGTSTP, &sa, &q->stop_action);
}

static void signals_end(const struct question *q)
{
	for (size_t i = 0; i < ARRAY_LEN(ending); i++)
		(void)sigaction(ending[i], &q->actions[i], NULL);
	(void)sigaction(SIGTSTP, &q->stop_action, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &q->mask, NULL);
}

/*
 * Sets the terminal, drops what was typed ahead (an answer is given to a question that was seen),
 * asks. Whole lines and signal keys, whatever a program before us has left.
 */
static int ask(const struct question *q, struct err *err)
{
	struct termios t = q->before;

	t.c_iflag |= ICRNL;
	t.c_lflag |= ICANON | ISIG | ECHO | ECHOE | ECHOK;
	if (!q->echo)
		t.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	if (tcsetattr(q->tty, TCSAFLUSH, &t) < 0)
		return err_sys(err, "set the terminal");
	return fd_write_all(q->tty, str_of(q->prompt), err);
}

static void restore(const struct question *q)
{
	(void)tcsetattr(q->tty, TCSAFLUSH, &q->before);
}

/* Ctrl-Z: the shell gets its terminal as it was, and the question is put again when we are back. */
static int suspend(const struct question *q, struct err *err)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct sigaction ours;
	sigset_t stop;

	restore(q);
	(void)sigaction(SIGTSTP, &dfl, &ours);
	(void)raise(SIGTSTP);
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTSTP);
	(void)pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* stops here */
	(void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
	(void)sigaction(SIGTSTP, &ours, NULL);
	caught = 0;
	return ask(q, err);
}

/* Waits for a line, or for a signal. */
static int await_line(const struct question *q, struct err *err)
{
	struct pollfd fd = { .fd = q->tty, .events = POLLIN };

	for (;;) {
		int n = ppoll(&fd, 1, NULL, &q->wait_mask);

		if (n > 0)
			return 0;
		if (errno != EINTR)
			return err_sys(err, "wait for the terminal");
		if (caught == SIGTSTP) {
			if (suspend(q, err) < 0)
				return -1;
		} else if (caught) {
			return err_set(err, E_CANCELLED, "interrupted");
		}
	}
}

/* One line without its end; in line mode, one read gives one line. */
static int read_line(const struct question *q, struct buf *out, struct err *err)
{
	char line[TTY_LINE_MAX];
	ssize_t n;
	int rc;

	if (ask(q, err) < 0 || await_line(q, err) < 0)
		return -1;
	n = read(q->tty, line, sizeof(line));
	/* 0: Ctrl-D; EIO: the terminal has gone. */
	if (n <= 0)
		return err_set(err, E_CANCELLED, "no answer");
	/* The terminal cuts longer lines to this without a word; half a secret is worse than none. */
	if ((size_t)n == sizeof(line))
		rc = err_set(err, E_LIMIT, "a terminal takes no line longer than %zu bytes",
			     sizeof(line) - 2);
	else
		rc = buf_add(out, str_mem(line, (size_t)(line[n - 1] == '\n' ? n - 1 : n)), err);
	mem_wipe(line, sizeof(line));
	return rc;
}

/* `no_tty` is the error without a terminal. */
static int ask_line(const char *prompt, bool echo, const char *no_tty, struct buf *out,
		    struct err *err)
{
	struct question q = { .prompt = prompt, .echo = echo };
	int rc;

	q.tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (q.tty < 0)
		return err_set(err, E_USAGE, "%s", no_tty);
	if (tcgetattr(q.tty, &q.before) < 0) {
		(void)close(q.tty);
		return err_set(err, E_USAGE, "%s", no_tty);
	}
	signals_begin(&q);
	rc = read_line(&q, out, err);
	restore(&q);
	/* Echo off swallowed the line's end; a signal key left the cursor behind the prompt. */
	if (!echo || rc < 0)
		(void)!write(q.tty, "\n", 1);
	signals_end(&q);
	(void)close(q.tty);
	return rc;
}

int tty_confirm(const char *question, bool *ret_yes, struct err *err)
{
	auto_free char *prompt = mem_printf("%s [y/N] ", question);
	auto_buf answer = BUF_INIT(TTY_LINE_MAX);
	struct str word;

	*ret_yes = false;
	if (ask_line(prompt, true, "the question needs a terminal; use --yes", &answer, err) < 0)
		return -1;
	word = str_trim(buf_str(&answer));
	*ret_yes = str_ieqz(word, "y") || str_ieqz(word, "yes");
	return 0;
}

int tty_secret(const char *prompt, struct buf *out, struct err *err)
{
	const size_t had = out->len;

	if (ask_line(prompt, false, "a secret can only be entered at a terminal", out, err) < 0)
		return -1;
	if (out->len == had)
		return err_set(err, E_BAD, "nothing was entered");
	return 0;
}
