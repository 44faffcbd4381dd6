/*
 * bottle cleanup: what killed runs left behind, listed, asked about, removed.
 */
#include <stdio.h>

#include "applet.h"
#include "backend/state.h"
#include "base/mem.h"
#include "bottle/host.h"
#include "bottle/show.h"
#include "sys/fd.h"
#include "sys/tty.h"

static bool yes, with_state, foreign;

static const struct opt options[] = {
	{ .name = "yes", .letter = 'y', .type = OPT_FLAG, .out = &yes, .help = "do not ask" },
	{ .name = "state",
	  .type = OPT_FLAG,
	  .out = &with_state,
	  .help = "the state directories of ended bottles too: events, what could be resumed" },
	{ .name = "foreign",
	  .type = OPT_FLAG,
	  .out = &foreign,
	  .help = "objects that no state directory here knows too: make sure nobody uses them" },
	{ .name = NULL },
};

struct cleanup {
	struct host host;
	struct state_list states;
	struct str_list objects; /* identities with objects to remove */
	struct str_list unknown; /* identities that are not of this home */
	size_t ended;            /* states that are not live */
};

/* A live one is never touched. One of another home may be live for all we know. */
static int look(struct cleanup *c, struct err *err)
{
	struct str_list found = { NULL, 0 };

	if (c->host.backend->ops->identities(c->host.backend, &found, err) < 0)
		return -1;
	/* After the objects: one that was live then is known as live now. */
	if (state_list(c->host.home.dir, &c->states, err) < 0) {
		strs_free(&found);
		return -1;
	}
	for (size_t i = 0; i < found.n; i++) {
		const struct state_entry *e = state_find(&c->states, found.v[i]);

		if (!e && !foreign)
			strs_add(&c->unknown, found.v[i]);
		else if (!e || !e->live)
			strs_add(&c->objects, found.v[i]);
	}
	for (size_t i = 0; i < c->states.n; i++)
		c->ended += !c->states.v[i].live;
	strs_free(&found);
	return 0;
}

static int remove_objects(struct cleanup *c, struct err *err)
{
	struct backend *b = c->host.backend;

	for (size_t i = 0; i < c->objects.n; i++) {
		const char *id = c->objects.v[i];

		if (b->ops->remove_boxes(b, id, err) < 0 || b->ops->remove_networks(b, id, err) < 0)
			return -1;
		show_line(true, "%s: containers and networks removed", id);
	}
	return 0;
}

static int remove_states(struct cleanup *c, struct err *err)
{
	for (size_t i = 0; with_state && i < c->states.n; i++) {
		const struct state_entry *e = &c->states.v[i];
		auto_free char *path = path_join(e->dir, "lock");
		auto_close int lock = -1;

		if (e->live)
			continue;
		/* Held while it goes: nobody may find it dead and then half there. */
		lock = file_lock(path, NULL);
		if (lock < 0)
			continue;
		if (dir_remove(e->dir, err) < 0)
			return -1;
		show_line(true, "%s: state removed", e->identity);
	}
	return 0;
}

static int clean(struct cleanup *c, struct err *err)
{
	bool states, go = yes;

	if (look(c, err) < 0)
		return -1;
	states = with_state && c->ended > 0;
	for (size_t i = 0; i < c->unknown.n; i++)
		show_hint("left alone: %s, of another home or user (--foreign)", c->unknown.v[i]);
	if (c->objects.n == 0 && !states) {
		show_hint("nothing to clean up%s", c->ended > 0 && !with_state
							   ? "; ended bottles keep their state "
							     "(--state)"
							   : "");
		return 0;
	}
	for (size_t i = 0; i < c->objects.n; i++)
		(void)fprintf(stderr, "  %s: containers and networks\n", c->objects.v[i]);
	for (size_t i = 0; states && i < c->states.n; i++)
		if (!c->states.v[i].live)
			(void)fprintf(stderr, "  %s: state\n", c->states.v[i].dir);
	if (!go && tty_confirm("Remove them?", &go, err) < 0)
		return -1;
	if (!go)
		return EXIT_FAILED;
	if (remove_objects(c, err) < 0)
		return -1;
	return remove_states(c, err);
}

static int run(const struct opts_result *in, struct err *err)
{
	struct cleanup c = { .ended = 0 };
	int rc = host_init(&c.host, err);

	(void)in;
	if (rc == 0) {
		host_use_docker(&c.host, NULL);
		rc = clean(&c, err);
	}
	strs_free(&c.objects);
	strs_free(&c.unknown);
	state_list_free(&c.states);
	host_fini(&c.host);
	return rc;
}

const struct command command_bottle_cleanup = {
	.spec = { .about =
			  "Remove what killed runs left behind. Bottles that run are never touched.",
		  .opts = options,
		  .example = "bottle cleanup\nbottle cleanup --yes --state" },
	.run = run,
};
