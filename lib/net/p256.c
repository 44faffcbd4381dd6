#include "net/p256.h"

#include <string.h>

#include "base/mem.h"

typedef unsigned __int128 wide;

/* --- numbers ------------------------------------------------------------------------------------ */

/* Least significant word first. */
struct num {
	uint64_t w[4];
};

/* Odd, just below 2^256. Numbers modulo m are below m, and stand for themselves times 2^-256. */
struct modulus {
	struct num m;
	struct num one;    /* 2^256 mod m */
	struct num square; /* 2^512 mod m */
	uint64_t inverse;  /* -m^-1 mod 2^64 */
};

static const struct modulus field = {
	.m = { { 0xffffffffffffffff, 0x00000000ffffffff, 0x0000000000000000, 0xffffffff00000001 } },
	.one = { { 0x0000000000000001, 0xffffffff00000000, 0xffffffffffffffff,
		   0x00000000fffffffe } },
	.square = { { 0x0000000000000003, 0xfffffffbffffffff, 0xfffffffffffffffe,
		      0x00000004fffffffd } },
	.inverse = 1,
};

static const struct modulus order = {
	.m = { { 0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000 } },
	.one = { { 0x0c46353d039cdaaf, 0x4319055258e8617b, 0x0000000000000000,
		   0x00000000ffffffff } },
	.square = { { 0x83244c95be79eea2, 0x4699799c49bd6fa6, 0x2845b2392b6bec59,
		      0x66e12d94f3d95620 } },
	.inverse = 0xccd1c8aaee00bc4f,
};

/* All ones when bit is 1, none when it is 0. The compiler must not learn that it is one of two. */
static inline uint64_t mask_of(uint64_t bit)
{
	__asm__("" : "+r"(bit));
	return 0 - bit;
}

/* a - b; the borrow. */
static inline uint64_t subtract(struct num *r, const struct num *a, const struct num *b)
{
	uint64_t borrow = 0;

	for (int i = 0; i < 4; i++) {
		wide d = (wide)a->w[i] - b->w[i] - borrow;

		r->w[i] = (uint64_t)d;
		borrow = (uint64_t)(d >> 64) & 1;
	}
	return borrow;
}

/* high * 2^256 + a, which is below 2m, modulo m */
static inline void reduce_once(struct num *r, const struct num *a, uint64_t high,
			       const struct modulus *mod)
{
	struct num less;
	uint64_t keep = mask_of(subtract(&less, a, &mod->m) & (high ^ 1));

	for (int i = 0; i < 4; i++)
		r->w[i] = (a->w[i] & keep) | (less.w[i] & ~keep);
}

static inline void add_mod(struct num *r, const struct num *a, const struct num *b,
			   const struct modulus *mod)
{
	struct num sum;
	uint64_t carry = 0;

	for (int i = 0; i < 4; i++) {
		wide s = (wide)a->w[i] + b->w[i] + carry;

		sum.w[i] = (uint64_t)s;
		carry = (uint64_t)(s >> 64);
	}
	reduce_once(r, &sum, carry, mod);
}

static inline void sub_mod(struct num *r, const struct num *a, const struct num *b,
			   const struct modulus *mod)
{
	struct num less;
	uint64_t back = mask_of(subtract(&less, a, b)), carry = 0;

	for (int i = 0; i < 4; i++) {
		wide s = (wide)less.w[i] + (mod->m.w[i] & back) + carry;

		r->w[i] = (uint64_t)s;
		carry = (uint64_t)(s >> 64);
	}
}

/* *t += a * b + carry; what does not fit. */
static inline uint64_t multiply_add(uint64_t *t, uint64_t a, uint64_t b, uint64_t carry)
{
	wide s = (wide)a * b + *t + carry;

	*t = (uint64_t)s;
	return (uint64_t)(s >> 64);
}

/* t += a * b, for one word a. What t has above five words is returned. */
static inline uint64_t multiply_word(uint64_t t[5], uint64_t a, const struct num *b)
{
	uint64_t carry = multiply_add(&t[0], a, b->w[0], 0);

	carry = multiply_add(&t[1], a, b->w[1], carry);
	carry = multiply_add(&t[2], a, b->w[2], carry);
	carry = multiply_add(&t[3], a, b->w[3], carry);
	return multiply_add(&t[4], carry, 1, 0);
}

/*
 * Adds the multiple of m that clears the lowest word of t, whose sixth is `high`, and moves the
 * others down by one. That of the field takes one multiplication: its lowest words are 2^64 - 1,
 * 2^32 - 1 and 0.
 */
static inline void reduce_word_field(uint64_t t[5], uint64_t high)
{
	const uint64_t q = t[0];
	wide s = (wide)t[1] + ((wide)q << 32);

	t[0] = (uint64_t)s;
	s = (wide)t[2] + (uint64_t)(s >> 64);
	t[1] = (uint64_t)s;
	s = (wide)q * field.m.w[3] + t[3] + (uint64_t)(s >> 64);
	t[2] = (uint64_t)s;
	s = (wide)t[4] + (uint64_t)(s >> 64);
	t[3] = (uint64_t)s;
	t[4] = high + (uint64_t)(s >> 64);
}

static inline void reduce_word_order(uint64_t t[5], uint64_t high)
{
	const uint64_t q = t[0] * order.inverse;

	high += multiply_word(t, q, &order.m);
	t[0] = t[1];
	t[1] = t[2];
	t[2] = t[3];
	t[3] = t[4];
	t[4] = high;
}

/* Montgomery's: a * b / 2^256 mod m, for a < 2^256 and b < m. */
static void multiply_field(struct num *r, const struct num *a, const struct num *b)
{
	uint64_t t[5] = { 0 };

	reduce_word_field(t, multiply_word(t, a->w[0], b));
	reduce_word_field(t, multiply_word(t, a->w[1], b));
	reduce_word_field(t, multiply_word(t, a->w[2], b));
	reduce_word_field(t, multiply_word(t, a->w[3], b));
	reduce_once(r, &(struct num){ { t[0], t[1], t[2], t[3] } }, t[4], &field);
}

static void multiply_order(struct num *r, const struct num *a, const struct num *b)
{
	uint64_t t[5] = { 0 };

	for (int i = 0; i < 4; i++)
		reduce_word_order(t, multiply_word(t, a->w[i], b));
	reduce_once(r, &(struct num){ { t[0], t[1], t[2], t[3] } }, t[4], &order);
}

typedef void multiply_fn(struct num *r, const struct num *a, const struct num *b);

/* a^(m-2), which is 1/a (Fermat), and 0 for 0. The exponent is no secret. */
static void invert(struct num *r, const struct num *a, const struct modulus *mod, multiply_fn *mul)
{
	struct num power[16] = { mod->one }, x = mod->one, exponent;

	(void)subtract(&exponent, &mod->m, &(struct num){ { 2 } });
	for (int i = 1; i < 16; i++)
		mul(&power[i], &power[i - 1], a);
	for (int at = 252; at >= 0; at -= 4) {
		for (int i = 0; i < 4; i++)
			mul(&x, &x, &x);
		mul(&x, &x, &power[exponent.w[at / 64] >> at % 64 & 15]);
	}
	*r = x;
	mem_wipe(power, sizeof(power));
}

static struct num load(const uint8_t p[P256_BYTES])
{
	struct num n;

	for (int i = 0; i < 4; i++) {
		n.w[i] = 0;
		for (int j = 0; j < 8; j++)
			n.w[i] = n.w[i] << 8 | p[8 * (3 - i) + j];
	}
	return n;
}

static void store(uint8_t p[P256_BYTES], const struct num *n)
{
	for (int i = 0; i < P256_BYTES; i++)
		p[i] = (uint8_t)(n->w[3 - i / 8] >> (56 - 8 * (i % 8)));
}

/* 1 or 0 */
static uint64_t is_zero(const struct num *a)
{
	uint64_t any = a->w[0] | a->w[1] | a->w[2] | a->w[3];

	return 1 ^ ((any | (0 - any)) >> 63);
}

static uint64_t is_equal(const struct num *a, const struct num *b)
{
	struct num d;

	(void)subtract(&d, a, b);
	return is_zero(&d);
}

static uint64_t is_below(const struct num *a, const struct num *b)
{
	struct num d;

	return subtract(&d, a, b);
}

/* 1..n-1 */
static bool is_scalar(const struct num *k)
{
	return is_below(k, &order.m) & (is_zero(k) ^ 1);
}

/* --- points ------------------------------------------------------------------------------------- */

/* Homogeneous: (x/z, y/z); infinity is (0, 1, 0). */
struct point {
	struct num x, y, z;
};

/* y^2 = x^3 - 3x + b */
static const struct num curve_b = { { 0xd89cdf6229c4bddf, 0xacf005cd78843090, 0xe5a220abf7212ed6,
				      0xdc30061d04874834 } };

static const struct point base = {
	.x = { { 0x79e730d418a9143c, 0x75ba95fc5fedb601, 0x79fb732b77622510, 0x18905f76a53755c6 } },
	.y = { { 0xddf25357ce95560a, 0x8b4ab8e4ba19e45c, 0xd2e88688dd21f325, 0x8571ff1825885d85 } },
	.z = { { 0x0000000000000001, 0xffffffff00000000, 0xffffffffffffffff, 0x00000000fffffffe } },
};

static const struct point infinity = {
	.y = { { 0x0000000000000001, 0xffffffff00000000, 0xffffffffffffffff, 0x00000000fffffffe } },
};

#define MUL(r, a, b) multiply_field(&(r), &(a), &(b))
#define ADD(r, a, b) add_mod(&(r), &(a), &(b), &field)
#define SUB(r, a, b) sub_mod(&(r), &(a), &(b), &field)

/* Algorithm 4 of the paper. r may be p or q. */
static void add(struct point *r, const struct point *p, const struct point *q)
{
	struct num xx, yy, zz, xy, yz, xz, u, v, w;

	MUL(xx, p->x, q->x);
	MUL(yy, p->y, q->y);
	MUL(zz, p->z, q->z);
	ADD(u, p->x, p->y); /* xy: x1 y2 + x2 y1; so too yz, xz */
	ADD(v, q->x, q->y);
	MUL(xy, u, v);
	ADD(u, xx, yy);
	SUB(xy, xy, u);
	ADD(u, p->y, p->z);
	ADD(v, q->y, q->z);
	MUL(yz, u, v);
	ADD(u, yy, zz);
	SUB(yz, yz, u);
	ADD(u, p->x, p->z);
	ADD(v, q->x, q->z);
	MUL(xz, u, v);
	ADD(u, xx, zz);
	SUB(xz, xz, u);

	MUL(u, curve_b, zz);
	SUB(u, xz, u);
	ADD(v, u, u);
	ADD(u, u, v); /* 3 (xz - b zz) */
	SUB(v, yy, u);
	ADD(u, yy, u);
	ADD(w, zz, zz);
	ADD(zz, zz, w);
	MUL(xz, curve_b, xz);
	SUB(xz, xz, zz);
	SUB(xz, xz, xx);
	ADD(w, xz, xz);
	ADD(xz, xz, w); /* 3 (b xz - 3 zz - xx) */
	ADD(w, xx, xx);
	ADD(xx, xx, w);
	SUB(xx, xx, zz); /* 3 (xx - zz) */

	MUL(w, yz, xz);
	MUL(r->x, xy, u);
	SUB(r->x, r->x, w);
	MUL(w, xx, xz);
	MUL(r->y, u, v);
	ADD(r->y, r->y, w);
	MUL(w, xy, xx);
	MUL(r->z, yz, v);
	ADD(r->z, r->z, w);
}

/* Algorithm 6. r may be p. */
static void twice(struct point *r, const struct point *p)
{
	struct num xx, yy, zz, xy, yz, xz, u, v;

	MUL(xx, p->x, p->x);
	MUL(yy, p->y, p->y);
	MUL(zz, p->z, p->z);
	MUL(xy, p->x, p->y);
	ADD(xy, xy, xy);
	MUL(xz, p->x, p->z);
	ADD(xz, xz, xz);
	MUL(yz, p->y, p->z);
	ADD(yz, yz, yz);

	MUL(u, curve_b, zz);
	SUB(u, u, xz);
	ADD(v, u, u);
	ADD(u, v, u); /* 3 (b zz - 2 x z) */
	SUB(v, yy, u);
	ADD(u, yy, u);
	MUL(u, v, u);
	MUL(v, v, xy);
	ADD(xy, zz, zz);
	ADD(zz, zz, xy);
	MUL(xz, curve_b, xz);
	SUB(xz, xz, zz);
	SUB(xz, xz, xx);
	ADD(xy, xz, xz);
	ADD(xz, xz, xy); /* 3 (2 b x z - 3 zz - xx) */
	ADD(xy, xx, xx);
	ADD(xx, xx, xy);
	SUB(xx, xx, zz); /* 3 (xx - zz) */

	MUL(xx, xx, xz);
	ADD(r->y, u, xx);
	MUL(xz, yz, xz);
	SUB(r->x, v, xz);
	MUL(r->z, yz, yy);
	ADD(r->z, r->z, r->z);
	ADD(r->z, r->z, r->z);
}

/* table[index], by looking at all of them */
static void pick(struct point *r, const struct point table[16], uint64_t index)
{
	memset(r, 0, sizeof(*r));
	for (uint64_t i = 0; i < 16; i++) {
		uint64_t take = mask_of(((i ^ index) - 1) >> 63);

		for (int j = 0; j < 4; j++) {
			r->x.w[j] |= table[i].x.w[j] & take;
			r->y.w[j] |= table[i].y.w[j] & take;
			r->z.w[j] |= table[i].z.w[j] & take;
		}
	}
}

/* Four bits of the scalar at a time. */
static void multiply_point(struct point *r, const struct num *k, const struct point *p)
{
	struct point table[16] = { infinity, *p }, sum = infinity, one;

	for (int i = 2; i < 16; i++)
		add(&table[i], &table[i - 1], p);
	for (int at = 252; at >= 0; at -= 4) {
		for (int i = 0; i < 4; i++)
			twice(&sum, &sum);
		pick(&one, table, k->w[at / 64] >> at % 64 & 15);
		add(&sum, &sum, &one);
	}
	*r = sum;
	mem_wipe(table, sizeof(table));
	mem_wipe(&one, sizeof(one));
}

/*
 * A comb for the base point: of the scalar's bits those 64 apart are taken together, from four
 * places 16 apart at a time, so that there are 16 doublings instead of 256. teeth[j][i] is the sum
 * of 2^(16 j + 64 t) over the bits t of i, times the base point. Made once; no secret.
 */
static struct point teeth[4][16];
static bool have_teeth;

static void make_teeth(void)
{
	struct point p = base;

	for (int at = 0; at < 256; at++, twice(&p, &p)) {
		int bit = 1 << at / 64;

		if (at % 16 != 0)
			continue;
		struct point *table = teeth[at / 16 % 4];

		table[0] = infinity;
		for (int i = 0; i < bit; i++)
			add(&table[bit + i], &table[i], &p);
	}
	have_teeth = true;
}

static void multiply_base(struct point *r, const struct num *k)
{
	struct point sum = infinity, one;

	if (!have_teeth)
		make_teeth();
	for (int i = 15; i >= 0; i--) {
		twice(&sum, &sum);
		for (int j = 0; j < 4; j++) {
			int at = 16 * j + i;

			pick(&one, teeth[j],
			     (k->w[0] >> at & 1) | (k->w[1] >> at & 1) << 1 |
				     (k->w[2] >> at & 1) << 2 | (k->w[3] >> at & 1) << 3);
			add(&sum, &sum, &one);
		}
	}
	*r = sum;
	mem_wipe(&one, sizeof(one));
}

/* --- in and out --------------------------------------------------------------------------------- */

/* Out of Montgomery form. */
static void plain(struct num *r, const struct num *a, multiply_fn *mul)
{
	mul(r, &(struct num){ { 1 } }, a);
}

static bool load_point(struct point *r, const struct p256_point *p)
{
	struct num x = load(p->x), y = load(p->y), left, right, three;

	if (!(is_below(&x, &field.m) & is_below(&y, &field.m)))
		return false;
	MUL(r->x, x, field.square);
	MUL(r->y, y, field.square);
	r->z = field.one;
	MUL(left, r->y, r->y);
	MUL(right, r->x, r->x);
	ADD(three, field.one, field.one);
	ADD(three, three, field.one);
	SUB(right, right, three);
	MUL(right, right, r->x);
	ADD(right, right, curve_b);
	return is_equal(&left, &right);
}

/* Not for infinity. */
static void store_point(struct p256_point *r, const struct point *p)
{
	struct num z, x, y;

	invert(&z, &p->z, &field, multiply_field);
	MUL(x, p->x, z);
	MUL(y, p->y, z);
	plain(&x, &x, multiply_field);
	plain(&y, &y, multiply_field);
	store(r->x, &x);
	store(r->y, &y);
	mem_wipe(&z, sizeof(z));
	mem_wipe(&x, sizeof(x));
	mem_wipe(&y, sizeof(y));
}

bool p256_is_point(const struct p256_point *p)
{
	struct point r;

	return load_point(&r, p);
}

bool p256_multiply(struct p256_point *ret, const uint8_t k[P256_BYTES], const struct p256_point *p)
{
	struct num scalar = load(k);
	struct point product, factor;
	bool ok = is_scalar(&scalar) && (!p || load_point(&factor, p));

	/* The order is a prime, so this is never infinity. */
	if (ok && p)
		multiply_point(&product, &scalar, &factor);
	else if (ok)
		multiply_base(&product, &scalar);
	if (ok)
		store_point(ret, &product);
	mem_wipe(&scalar, sizeof(scalar));
	mem_wipe(&product, sizeof(product));
	return ok;
}

/* --- signatures --------------------------------------------------------------------------------- */

/* x, which is below the field's m, modulo the order */
static void x_of(struct num *r, const struct point *p)
{
	struct num z;

	invert(&z, &p->z, &field, multiply_field);
	MUL(*r, p->x, z);
	plain(r, r, multiply_field);
	reduce_once(r, r, 0, &order);
	mem_wipe(&z, sizeof(z));
}

bool p256_sign(uint8_t ret_r[P256_BYTES], uint8_t ret_s[P256_BYTES], const uint8_t d[P256_BYTES],
	       const uint8_t hash[P256_BYTES], const uint8_t k[P256_BYTES])
{
	struct num key = load(d), nonce = load(k), e = load(hash), r, s;
	struct point point;
	bool ok = is_scalar(&key) && is_scalar(&nonce);

	if (ok) {
		multiply_base(&point, &nonce);
		x_of(&r, &point);
		/* s = (e + r d) / k: all in Montgomery form, which also reduces e */
		multiply_order(&e, &e, &order.square);
		multiply_order(&s, &r, &order.square);
		multiply_order(&key, &key, &order.square);
		multiply_order(&nonce, &nonce, &order.square);
		multiply_order(&s, &s, &key);
		add_mod(&s, &s, &e, &order);
		invert(&nonce, &nonce, &order, multiply_order);
		multiply_order(&s, &s, &nonce);
		plain(&s, &s, multiply_order);
		ok = (is_zero(&r) | is_zero(&s)) == 0;
	}
	if (ok) {
		store(ret_r, &r);
		store(ret_s, &s);
	}
	mem_wipe(&key, sizeof(key));
	mem_wipe(&nonce, sizeof(nonce));
	mem_wipe(&point, sizeof(point));
	return ok;
}

/* Is x/z modulo the order r? x/z is r or, as the field is a little larger, r + n. */
static bool has_x(const struct point *p, const struct num *r)
{
	struct num x, left = *r;
	uint64_t carry = 0;

	MUL(x, left, field.square);
	MUL(x, x, p->z);
	if (is_equal(&x, &p->x))
		return true;
	for (int i = 0; i < 4; i++) {
		wide s = (wide)left.w[i] + order.m.w[i] + carry;

		left.w[i] = (uint64_t)s;
		carry = (uint64_t)(s >> 64);
	}
	if (carry || !is_below(&left, &field.m))
		return false;
	MUL(x, left, field.square);
	MUL(x, x, p->z);
	return is_equal(&x, &p->x);
}

bool p256_verify(const struct p256_point *key, const uint8_t hash[P256_BYTES],
		 const uint8_t r[P256_BYTES], const uint8_t s[P256_BYTES])
{
	struct num rr = load(r), ss = load(s), e = load(hash), w, u;
	struct point q, left, right;

	if (!is_scalar(&rr) || !is_scalar(&ss) || !load_point(&q, key))
		return false;
	multiply_order(&w, &ss, &order.square);
	invert(&w, &w, &order, multiply_order);
	/* One factor in Montgomery form, so the product is not; this also reduces e. */
	multiply_order(&u, &e, &w);
	multiply_base(&left, &u);
	multiply_order(&u, &rr, &w);
	multiply_point(&right, &u, &q);
	add(&left, &left, &right);
	return !is_zero(&left.z) && has_x(&left, &rr);
}
