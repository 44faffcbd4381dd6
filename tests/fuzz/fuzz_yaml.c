/*
 * YAML text: the tree keeps what yaml.h promises, and a refusal has a position inside the text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/yaml.h"

static void need(bool ok)
{
	if (!ok)
		abort();
}

struct totals {
	size_t nodes;
	int lines;
};

static void check_scalar(const struct yaml *y)
{
	need(y->text.p && y->text.p[y->text.n] == '\0' && strlen(y->text.p) == y->text.n);
	need(str_is_utf8(y->text));
	need(!y->child && y->count == 0);
}

/* Recursion is bounded by YAML_DEPTH_MAX, which is checked too. */
static void check_node(const struct yaml *y, int depth, struct totals *t)
{
	size_t count = 0;

	t->nodes++;
	need(depth <= YAML_DEPTH_MAX);
	need(y->line >= 1 && y->line <= t->lines && y->col >= 1);
	need(yaml_kind_name(y) != NULL);
	if (y->kind == YAML_SCALAR) {
		check_scalar(y);
		return;
	}
	need(depth < YAML_DEPTH_MAX);
	for (const struct yaml *v = y->child; v; v = v->next, count++) {
		need((v->key != NULL) == (y->kind == YAML_MAP));
		if (v->key) {
			t->nodes++;
			check_scalar(v->key);
			/* the first of a name is the only one */
			need(yaml_get(y, v->key->text.p) == v);
		}
		check_node(v, depth + 1, t);
	}
	need(count == y->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_mem(data, size);
	struct totals totals = { .lines = 2 };
	struct err err = ERR_INIT;
	auto_yaml struct yaml *root = NULL;

	/* the harness looks each key up again: keep that small */
	if (size > KIB(16))
		return 0;
	/*
	 * One line more than there are ends, and one at the end of the text, which libyaml takes
	 * for the end of a line; it also ends lines at CR, NEL, LS and PS: their bytes are enough.
	 */
	for (size_t i = 0; i < size; i++)
		totals.lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80;
	root = yaml_parse(text, "fuzz", 0, &err);
	if (root) {
		check_node(root, 0, &totals);
		need(totals.nodes <= YAML_NODES_MAX);
	} else {
		need(err.code != E_NONE && strncmp(err.text, "fuzz:", 5) == 0);
		need(!str_has_ctl(str_of(err.text)));
	}
	return 0;
}
