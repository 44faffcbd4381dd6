#include "support.h"

#include "manifest/secrets.h"

#define BOTTLE                                                                           \
	"env: {ASKED: '?the key', COPIED: '${HOST}', EMPTY: '${NOTHING}', L: literal}\n" \
	"egress_proxy:\n"                                                                \
	"  routes:\n"                                                                    \
	"    - {host: a.test, auth: {scheme: Bearer, token_ref: ONE}}\n"                 \
	"    - {host: b.test, auth: {scheme: Basic, token_ref: TWO}}\n"

/* ONE, TWO, HOST and NOTHING; a plan is made with good values, then they change. */
struct made {
	struct world w;
	const char *pairs[9];
	struct host_env env;
	int asked;
	const char *answer; /* of the terminal; NULL: Ctrl-C */
	size_t answer_len;
};

static void make(struct made *t)
{
	struct plan_input in;

	*t = (struct made){ .answer = "typed" };
	t->answer_len = strlen(t->answer);
	t->pairs[0] = "ONE", t->pairs[1] = "token-one";
	t->pairs[2] = "TWO", t->pairs[3] = "ann:pass word";
	t->pairs[4] = "HOST", t->pairs[5] = "two\nlines";
	t->pairs[6] = "NOTHING", t->pairs[7] = "";
	t->env = env_of(t->pairs);
	in = (struct plan_input){ .identity = "dev-a1b2c", .env = &t->env, .cwd = "/" };
	world_init(&t->w);
	world_load(&t->w, "bottle: b\n", "", BOTTLE);
	(void)world_plan(&t->w, &in);
}

static int answer(void *user, const char *name, const char *prompt, struct buf *ret,
		  struct err *err)
{
	struct made *t = user;

	assert_string_equal(name, "ASKED");
	assert_string_equal(prompt, "the key");
	assert_true(ret->secret);
	t->asked++;
	if (!t->answer)
		return err_set(err, E_CANCELLED, "cancelled");
	return buf_add(ret, str_mem(t->answer, t->answer_len), err);
}

static int gather(struct made *t)
{
	return secrets_gather(t->w.plan, &t->env, answer, t, &t->w.secrets, &t->w.err);
}

static void check(const struct made *t, enum secret_kind kind, const char *name, const char *value)
{
	const struct buf *b = secrets_get(&t->w.secrets, kind, name);

	assert_non_null(b);
	assert_true(b->secret); /* so that it is wiped */
	assert_true(str_eqz(buf_str(b), value));
}

static void test_gather(void **state)
{
	struct made t;

	(void)state;
	make(&t);
	if (gather(&t) < 0)
		fail_msg("%s", t.w.err.text);
	assert_int_equal(t.w.secrets.n, 5);
	check(&t, SECRET_TOKEN, "EGRESS_PROXY_TOKEN_0", "token-one");
	check(&t, SECRET_TOKEN, "EGRESS_PROXY_TOKEN_1", "ann:pass word");
	check(&t, SECRET_ENV, "COPIED", "two\nlines");
	check(&t, SECRET_ENV, "EMPTY", "");
	check(&t, SECRET_ENV, "ASKED", "typed");
	assert_string_equal(t.w.secrets.v[0].source, "ONE");
	assert_null(secrets_get(&t.w.secrets, SECRET_ENV, "L"));
	assert_null(secrets_get(&t.w.secrets, SECRET_ENV, "EGRESS_PROXY_TOKEN_0"));
	/* asked last: nobody types for a launch that cannot be */
	assert_string_equal(t.w.secrets.v[4].name, "ASKED");
	secrets_fini(&t.w.secrets);
	assert_int_equal(t.w.secrets.n, 0);
	assert_null(t.w.secrets.v);
	world_fini(&t.w);
}

static void test_refused(void **state)
{
	static const struct {
		const char *variable, *value, *error;
		enum err_code code;
	} cases[] = {
		{ "ONE", NULL, "host variable ONE is not set", E_BAD },
		{ "ONE", "", "host variable ONE is empty", E_BAD },
		{ "ONE", "a\nb",
		  "host variable ONE holds a line break or another control character", E_BAD },
		{ "ONE", "token\r",
		  "host variable ONE holds a line break or another control character", E_BAD },
		{ "ONE", " token", "host variable ONE begins or ends with a space", E_BAD },
		{ "ONE", "token ", "host variable ONE begins or ends with a space", E_BAD },
		{ "ONE", "to\xffken", "host variable ONE is not UTF-8", E_BAD },
		{ "TWO", "no colon",
		  "host variable TWO: Basic wants user:password, it has no colon", E_BAD },
		{ "HOST", NULL, "host variable HOST is not set", E_BAD },
		{ "HOST", "\xc0\x80", "host variable HOST is not UTF-8", E_BAD },
	};
	bool same = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct made t;

		make(&t);
		for (size_t k = 0; k < 8; k += 2)
			if (str_eqz(str_of(t.pairs[k]), cases[i].variable)) {
				t.pairs[k + 1] = cases[i].value;
				if (!cases[i].value)
					t.pairs[k] = "GONE";
			}
		assert_int_equal(gather(&t), -1);
		same &= same_text(t.w.err.text, cases[i].error);
		assert_int_equal(t.w.err.code, cases[i].code);
		assert_int_equal(t.asked, 0);
		assert_int_equal(t.w.secrets.n, 0);
		world_fini(&t.w);
	}
	assert_true(same);
}

static void test_too_long(void **state)
{
	auto_free char *value = mem_alloc(SECRET_MAX + 2);
	struct made t;

	(void)state;
	memset(value, 'x', SECRET_MAX + 1);
	value[SECRET_MAX + 1] = '\0';
	make(&t);
	t.pairs[1] = value;
	assert_int_equal(gather(&t), -1);
	assert_string_equal(t.w.err.text, "host variable ONE holds more than 32768 bytes");
	value[SECRET_MAX] = '\0';
	assert_int_equal(gather(&t), 0);
	world_fini(&t.w);
}

static void test_prompt(void **state)
{
	struct made t;

	(void)state;
	make(&t);
	assert_int_equal(secrets_gather(t.w.plan, &t.env, NULL, NULL, &t.w.secrets, &t.w.err), -1);
	assert_string_equal(t.w.err.text, "ASKED is asked for, and there is no terminal");
	assert_int_equal(t.w.err.code, E_USAGE);

	t.answer = NULL;
	assert_int_equal(gather(&t), -1);
	assert_int_equal(t.w.err.code, E_CANCELLED);
	t.answer = "a\0b";
	t.answer_len = 3;
	assert_int_equal(gather(&t), -1);
	assert_string_equal(t.w.err.text, "the answer for ASKED is not UTF-8 text");
	t.answer = "\xff";
	t.answer_len = 1;
	assert_int_equal(gather(&t), -1);
	assert_string_equal(t.w.err.text, "the answer for ASKED is not UTF-8 text");
	assert_int_equal(t.w.secrets.n, 0);
	world_fini(&t.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_gather),
		WORLD_TEST(test_refused),
		WORLD_TEST(test_too_long),
		WORLD_TEST(test_prompt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
