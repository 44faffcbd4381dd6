#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "net/tls_priv.h"

#define CERTIFICATES_MAX 20

/* Certificates of which there are the names alone: "L<A" is L, issued by A. */
struct fixture {
	mbedtls_x509_crt crt[CERTIFICATES_MAX];
	const char *name[CERTIFICATES_MAX];
	size_t count;
	char seen[500]; /* the orders tried, each with a blank behind it */
	size_t tries;
	const char *accept; /* this one is good */
};

static void set_name(mbedtls_x509_buf *b, const char *name)
{
	b->p = (unsigned char *)(uintptr_t)name;
	b->len = 1;
}

static void begin(struct fixture *f, const char *const *names)
{
	memset(f, 0, sizeof(*f));
	for (; names[f->count]; f->count++) {
		mbedtls_x509_crt *c = &f->crt[f->count];

		f->name[f->count] = names[f->count];
		set_name(&c->subject_raw, names[f->count]);
		set_name(&c->issuer_raw, names[f->count] + 2);
		if (f->count > 0)
			f->crt[f->count - 1].next = c;
	}
}

/* "0213": by their places in the order they came. */
static void order_text(const struct fixture *f, const mbedtls_x509_crt *leaf, char *text)
{
	size_t n = 0;

	for (const mbedtls_x509_crt *c = leaf; c; c = c->next)
		text[n++] = (char)('0' + (c - f->crt));
	text[n] = '\0';
	assert_int_equal(n, f->count);
}

static bool try_order(void *arg, mbedtls_x509_crt *leaf)
{
	struct fixture *f = arg;
	char text[CERTIFICATES_MAX + 1];
	size_t used = strlen(f->seen);

	order_text(f, leaf, text);
	(void)snprintf(f->seen + used, sizeof(f->seen) - used, "%s ", text);
	f->tries++;
	return f->accept && strcmp(text, f->accept) == 0;
}

static void check(const char *const *names, const char *accept, const char *want)
{
	struct fixture f;
	char text[CERTIFICATES_MAX + 1], as_it_came[CERTIFICATES_MAX + 1];

	begin(&f, names);
	order_text(&f, f.crt, as_it_came);
	f.accept = accept;
	assert_int_equal(tls_chain_search(f.crt, try_order, &f), accept != NULL);
	assert_string_equal(f.seen, want);
	order_text(&f, f.crt, text);
	assert_string_equal(text, accept ? accept : as_it_came);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void what_was_tried_is_not_tried_again(void **state)
{
	(void)state;
	check(LIST("L<A"), NULL, "");
	check(LIST("L<A", "A<R"), NULL, "");
	check(LIST("L<A", "A<R", "R<R"), NULL, "");
	check(LIST("L<A", "A<R", "X<Y"), NULL, "");
	check(LIST("L<L", "L<L"), NULL, ""); /* self-signed: nobody is above it */
}

static void disorder_is_put_in_order(void **state)
{
	(void)state;
	check(LIST("L<A", "B<R", "A<B"), "021", "021 ");
	check(LIST("L<A", "X<Y", "A<B", "B<R"), "0231", "0231 ");
}

static void each_of_several_issuers_is_tried(void **state)
{
	(void)state;
	check(LIST("L<A", "A<S", "A<R"), "021", "021 ");
	check(LIST("L<A", "A<S", "A<R"), NULL, "021 ");
	check(LIST("L<A", "A<B", "B<S", "B<R"), "0132", "0132 ");
	check(LIST("L<A", "A<B", "A<C", "B<S", "C<R"), "02413", "01324 02413 ");
}

/* Somebody who sends many of one name makes us work no longer. */
static void the_tries_are_bounded(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, LIST("L<A", "A<A", "A<B", "B<A", "A<B", "B<A", "A<B", "B<A", "A<B", "B<A", "A<B",
		       "B<A", "A<B", "B<A", "A<B", "B<A", "A<B", "B<A", "A<B"));
	assert_false(tls_chain_search(f.crt, try_order, &f));
	assert_int_equal(f.tries, TLS_CHAIN_TRIES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_tried_is_not_tried_again),
		cmocka_unit_test(disorder_is_put_in_order),
		cmocka_unit_test(each_of_several_issuers_is_tried),
		cmocka_unit_test(the_tries_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
