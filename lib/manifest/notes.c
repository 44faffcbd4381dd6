#include "manifest/notes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"

void notes_fini(struct notes *n)
{
	strs_free(&n->warnings);
	free(n->recipe);
	n->recipe = NULL;
}

void notes_warn(struct notes *n, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	if (!n)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (!strs_has(&n->warnings, text)) /* a bottle may be read twice */
		strs_add(&n->warnings, text);
}

void strs_add(struct str_list *l, const char *z)
{
	strs_take(l, mem_strdup(z));
}

void strs_take(struct str_list *l, char *z)
{
	l->v = mem_resize(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = z;
}

bool strs_has(const struct str_list *l, const char *z)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eqz(str_of(l->v[i]), z))
			return true;
	return false;
}

void strs_free(struct str_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct str_list){ NULL, 0 };
}
