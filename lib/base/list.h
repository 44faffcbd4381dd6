/*
 * list: circular doubly linked lists through a member of their elements; nothing is allocated.
 *
 *	struct wait { struct list link; … };
 *	struct list waits;                        list_init(&waits);
 *	list_add_last(&waits, &w->link);          list_remove(&w->link);
 *	if (!list_empty(&waits))
 *		w = list_first(&waits, struct wait, link);
 */
#ifndef BOTTLE_BASE_LIST_H
#define BOTTLE_BASE_LIST_H

#include <stdbool.h>

#include "base/mem.h"

struct list { /* a head, or the link of an element */
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_last(struct list *head, struct list *link)
{
	link->next = head;
	link->prev = head->prev;
	head->prev->next = link;
	head->prev = link;
}

static inline void list_add_first(struct list *head, struct list *link)
{
	list_add_last(head->next, link);
}

/* An element that is in no list (its link was initialised, or removed) stays so. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* Moves all elements to `to`, which is empty. */
static inline void list_take(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	list_init(from);
}

#define list_entry(link, type, member) container_of(link, type, member)
/* Of a list that is not empty. */
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)
/* Through the links; what `at` points at may be removed in the body only when the loop ends there. */
#define list_each(at, head) for (struct list *at = (head)->next; at != (head); at = at->next)

#endif
