#include "net/gcm.h"

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#include "base/mem.h"

/* Only these functions may use the instructions: the rest of the program runs on any x86-64. */
#define ACCELERATED __attribute__((target("aes,pclmul,ssse3")))
#define INLINE static inline __attribute__((always_inline)) ACCELERATED

#define WIDE_BYTES (GCM_WIDE * GCM_BLOCK)

bool gcm_cpu_can(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AES) && (c & bit_PCLMUL) &&
	       (c & bit_SSSE3);
}

INLINE __m128i load(const void *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

INLINE void store(void *p, __m128i v)
{
	_mm_storeu_si128((__m128i *)p, v);
}

INLINE __m128i reverse(__m128i v)
{
	return _mm_shuffle_epi8(v,
				_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* --- AES ---------------------------------------------------------------------------------------- */

/* FIPS 197 5.2, words as they lie in memory. */
INLINE uint32_t sub_word(uint32_t w)
{
	__m128i v = _mm_aeskeygenassist_si128(_mm_set1_epi32((int)w), 0);

	return (uint32_t)_mm_cvtsi128_si32(v);
}

ACCELERATED static void expand_key(struct gcm *g, const uint8_t *key, unsigned bits)
{
	static const uint8_t rcon[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36 };
	unsigned words = bits / 32;
	uint32_t w[60];

	g->rounds = words + 6;
	memcpy(w, key, bits / 8);
	for (unsigned i = words; i < 4 * (g->rounds + 1); i++) {
		uint32_t t = w[i - 1];

		if (i % words == 0)
			t = sub_word(t >> 8 | t << 24) ^ rcon[i / words - 1];
		else if (words > 6 && i % words == 4)
			t = sub_word(t);
		w[i] = w[i - words] ^ t;
	}
	memcpy(g->round_keys, w, sizeof(uint32_t) * 4 * (g->rounds + 1));
	mem_wipe(w, sizeof(w));
}

ACCELERATED static __m128i encrypt_block(const struct gcm *g, __m128i b)
{
	b = _mm_xor_si128(b, load(g->round_keys[0]));
	for (unsigned r = 1; r < g->rounds; r++)
		b = _mm_aesenc_si128(b, load(g->round_keys[r]));
	return _mm_aesenclast_si128(b, load(g->round_keys[g->rounds]));
}

/* inc32 of SP 800-38D 6.2: in reverse byte order the counter is the lowest lane, and wraps there. */
INLINE __m128i count(__m128i counter, int n)
{
	return _mm_add_epi32(counter, _mm_cvtsi32_si128(n));
}

/* --- GHASH -------------------------------------------------------------------------------------- */

/*
 * In reverse byte order bit i of a block is the coefficient of x^(127-i) (SP 800-38D 6.3), and the
 * carry-less product of two blocks has that of x^(254-k) in bit k. One factor of each product is a
 * power of H, kept as H^n x^-1: so bit k means x^(255-k), and the upper half of the product is in
 * place without the shift that would be due otherwise.
 */
struct product {
	__m128i low, middle, high; /* middle counts from bit 64 */
};

#define PRODUCT_ZERO                                                          \
	(struct product)                                                      \
	{                                                                     \
		_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128() \
	}

INLINE void multiply_add(struct product *p, __m128i a, __m128i b)
{
	p->low = _mm_xor_si128(p->low, _mm_clmulepi64_si128(a, b, 0x00));
	p->high = _mm_xor_si128(p->high, _mm_clmulepi64_si128(a, b, 0x11));
	p->middle = _mm_xor_si128(p->middle, _mm_clmulepi64_si128(a, b, 0x01));
	p->middle = _mm_xor_si128(p->middle, _mm_clmulepi64_si128(a, b, 0x10));
}

/*
 * Modulo x^128 + x^7 + x^2 + x + 1, 64 bits at a time from the lowest (the highest powers of x): a
 * multiple of the polynomial is added that makes them zero. Above its bit 0 the polynomial has the
 * bits 121, 126, 127 (0xc2 << 56, 64 bits up) and 128 (the swap of the halves).
 */
INLINE __m128i reduce(struct product p)
{
	const __m128i poly = _mm_set_epi64x(0, (long long)0xc200000000000000);
	__m128i low = _mm_xor_si128(p.low, _mm_slli_si128(p.middle, 8));
	__m128i high = _mm_xor_si128(p.high, _mm_srli_si128(p.middle, 8));

	for (int i = 0; i < 2; i++)
		low = _mm_xor_si128(_mm_shuffle_epi32(low, _MM_SHUFFLE(1, 0, 3, 2)),
				    _mm_clmulepi64_si128(low, poly, 0x00));
	return _mm_xor_si128(high, low);
}

INLINE __m128i multiply(__m128i a, __m128i b)
{
	struct product p = PRODUCT_ZERO;

	multiply_add(&p, a, b);
	return reduce(p);
}

/* h x^-1: one bit up; x^-1 itself, should it fall out, is x^127 + x^6 + x + 1. */
INLINE __m128i divide_by_x(__m128i h)
{
	const __m128i inverse = _mm_set_epi64x((long long)0xc200000000000000, 1);
	__m128i top = _mm_srli_epi64(h, 63);
	__m128i out = _mm_shuffle_epi32(top, _MM_SHUFFLE(2, 2, 2, 2));

	h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(top, 8));
	out = _mm_sub_epi32(_mm_setzero_si128(), out); /* all ones or none */
	return _mm_xor_si128(h, _mm_and_si128(out, inverse));
}

ACCELERATED static void set_powers(struct gcm *g)
{
	__m128i h = divide_by_x(reverse(encrypt_block(g, _mm_setzero_si128())));
	__m128i power = h;

	for (size_t i = 0; i < GCM_WIDE; i++) {
		store(g->powers[i], power);
		power = multiply(power, h);
	}
}

/* n whole blocks, at most GCM_WIDE, with one reduction. */
INLINE __m128i hash_few(const struct gcm *g, __m128i hash, const uint8_t *p, size_t n)
{
	struct product sum = PRODUCT_ZERO;

	if (n == 0)
		return hash;
	for (size_t i = 0; i < n; i++) {
		__m128i block = reverse(load(p + i * GCM_BLOCK));

		multiply_add(&sum, _mm_xor_si128(block, hash), load(g->powers[n - 1 - i]));
		hash = _mm_setzero_si128();
	}
	return reduce(sum);
}

ACCELERATED static void hash_blocks(struct gcm *g, const uint8_t *p, size_t n)
{
	__m128i hash = load(g->hash);

	while (n > 0) {
		size_t some = n < GCM_WIDE ? n : GCM_WIDE;

		hash = hash_few(g, hash, p, some);
		p += some * GCM_BLOCK;
		n -= some;
	}
	store(g->hash, hash);
}

static void hash_pending(struct gcm *g)
{
	hash_blocks(g, g->pending, 1);
	memset(g->pending, 0, sizeof(g->pending));
}

/* --- both at once ------------------------------------------------------------------------------- */

/* Eight blocks in eight variables, which an array would not be sure to become. */
struct wide {
	__m128i b0, b1, b2, b3, b4, b5, b6, b7;
};
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)

INLINE struct wide wide_first(__m128i counter, __m128i key)
{
	struct wide w;

#define FIRST(i) w.b##i = _mm_xor_si128(reverse(count(counter, i)), key);
	EACH(FIRST)
	return w;
}

INLINE void wide_round(struct wide *w, __m128i key)
{
#define ROUND(i) w->b##i = _mm_aesenc_si128(w->b##i, key);
	EACH(ROUND)
}

INLINE void wide_last(struct wide *w, __m128i key, const uint8_t *in, uint8_t *out)
{
#define LAST(i)                                       \
	w->b##i = _mm_aesenclast_si128(w->b##i, key); \
	store(out + (i)*GCM_BLOCK, _mm_xor_si128(load(in + (i)*GCM_BLOCK), w->b##i));
	EACH(LAST)
}

/* Eight blocks, in to out. */
INLINE void mask_wide(const struct gcm *g, __m128i counter, const uint8_t *in, uint8_t *out)
{
	struct wide w = wide_first(counter, load(g->round_keys[0]));

	for (unsigned r = 1; r < g->rounds; r++)
		wide_round(&w, load(g->round_keys[r]));
	wide_last(&w, load(g->round_keys[g->rounds]), in, out);
}

/*
 * The same, and the eight blocks at `hashed` into the hash, which is returned: a round of all
 * beside the product of one, as neither waits for the other's units.
 */
INLINE __m128i crypt_wide(const struct gcm *g, __m128i counter, const uint8_t *in, uint8_t *out,
			  __m128i hash, const uint8_t *hashed)
{
	struct wide w = wide_first(counter, load(g->round_keys[0]));
	struct product sum = PRODUCT_ZERO;

#define ROUND_AND_HASH(i)                                                              \
	wide_round(&w, load(g->round_keys[1 + (i)]));                                  \
	multiply_add(&sum, _mm_xor_si128(reverse(load(hashed + (i)*GCM_BLOCK)), hash), \
		     load(g->powers[GCM_WIDE - 1 - (i)]));                             \
	hash = _mm_setzero_si128();
	EACH(ROUND_AND_HASH)
	for (unsigned r = 1 + GCM_WIDE; r < g->rounds; r++)
		wide_round(&w, load(g->round_keys[r]));
	wide_last(&w, load(g->round_keys[g->rounds]), in, out);
	return reduce(sum);
}

/*
 * Fewer than eight blocks, the last of which may end early. They go through a buffer of eight: it
 * takes no longer, and the key stream behind the end is what is left in it.
 */
ACCELERATED static void crypt_rest(struct gcm *g, const uint8_t *in, uint8_t *out, size_t n)
{
	size_t whole = n - n % GCM_BLOCK, part = n % GCM_BLOCK;
	uint8_t text[WIDE_BYTES] = { 0 };
	__m128i counter = load(g->counter);

	if (!g->encrypt) {
		hash_blocks(g, in, whole / GCM_BLOCK);
		memcpy(g->pending, in + whole, part);
	}
	memcpy(text, in, n);
	mask_wide(g, counter, text, text);
	memcpy(out, text, n);
	if (g->encrypt) {
		hash_blocks(g, out, whole / GCM_BLOCK);
		memcpy(g->pending, out + whole, part);
	}
	if (part > 0)
		memcpy(g->mask, text + whole, GCM_BLOCK);
	store(g->counter, count(counter, (int)((n + GCM_BLOCK - 1) / GCM_BLOCK)));
	mem_wipe(text, sizeof(text));
}

/* n is a multiple of eight blocks, and not zero. The hash is a step behind the ciphertext. */
ACCELERATED static void encrypt_bulk(struct gcm *g, const uint8_t *in, uint8_t *out, size_t n)
{
	__m128i counter = load(g->counter), hash = load(g->hash);
	size_t at;

	mask_wide(g, counter, in, out);
	for (at = WIDE_BYTES; at < n; at += WIDE_BYTES) {
		counter = count(counter, GCM_WIDE);
		hash = crypt_wide(g, counter, in + at, out + at, hash, out + at - WIDE_BYTES);
	}
	store(g->hash, hash_few(g, hash, out + at - WIDE_BYTES, GCM_WIDE));
	store(g->counter, count(counter, GCM_WIDE));
}

ACCELERATED static void decrypt_bulk(struct gcm *g, const uint8_t *in, uint8_t *out, size_t n)
{
	__m128i counter = load(g->counter), hash = load(g->hash);

	for (size_t at = 0; at < n; at += WIDE_BYTES) {
		hash = crypt_wide(g, counter, in + at, out + at, hash, in + at);
		counter = count(counter, GCM_WIDE);
	}
	store(g->hash, hash);
	store(g->counter, counter);
}

/* --- a message ---------------------------------------------------------------------------------- */

ACCELERATED void gcm_set_key(struct gcm *g, const uint8_t *key, unsigned bits)
{
	expand_key(g, key, bits);
	set_powers(g);
}

/* The last block of a hash: two lengths in bits. */
INLINE __m128i hash_lengths(const struct gcm *g, uint64_t first, uint64_t second)
{
	uint64_t first_bits = first * 8, second_bits = second * 8;
	__m128i block = _mm_set_epi64x((long long)first_bits, (long long)second_bits);

	return multiply(_mm_xor_si128(load(g->hash), block), load(g->powers[0]));
}

/* Bytes for the hash alone, behind the `before` that were given already. */
static void hash_bytes(struct gcm *g, uint64_t before, const uint8_t *p, size_t n)
{
	size_t at = before % GCM_BLOCK, some;

	if (at > 0) {
		some = n < GCM_BLOCK - at ? n : GCM_BLOCK - at;
		memcpy(g->pending + at, p, some);
		if (at + some == GCM_BLOCK)
			hash_pending(g);
		p += some;
		n -= some;
	}
	hash_blocks(g, p, n / GCM_BLOCK);
	some = n % GCM_BLOCK;
	memcpy(g->pending, p + n - some, some);
}

ACCELERATED void gcm_start(struct gcm *g, bool encrypt, const uint8_t *iv, size_t n)
{
	__m128i j0;

	g->encrypt = encrypt;
	g->ad_len = g->text_len = 0;
	memset(g->hash, 0, sizeof(g->hash));
	memset(g->pending, 0, sizeof(g->pending));
	if (n == GCM_IV) {
		memset(g->counter, 0, sizeof(g->counter));
		memcpy(g->counter, iv, GCM_IV);
		g->counter[GCM_BLOCK - 1] = 1;
		j0 = reverse(load(g->counter));
	} else {
		hash_bytes(g, 0, iv, n);
		if (n % GCM_BLOCK > 0)
			hash_pending(g);
		j0 = hash_lengths(g, 0, n);
		memset(g->hash, 0, sizeof(g->hash));
	}
	store(g->tag_mask, encrypt_block(g, reverse(j0)));
	store(g->counter, count(j0, 1));
}

void gcm_ad(struct gcm *g, const uint8_t *ad, size_t n)
{
	if (n > 0)
		hash_bytes(g, g->ad_len, ad, n);
	g->ad_len += n;
}

/* Into the block begun; returns how many bytes. */
static size_t crypt_begun(struct gcm *g, const uint8_t *in, uint8_t *out, size_t n)
{
	size_t at = g->text_len % GCM_BLOCK, room = GCM_BLOCK - at, some = n < room ? n : room;

	for (size_t i = 0; i < some; i++) {
		uint8_t c = in[i];

		out[i] = c ^ g->mask[at + i];
		g->pending[at + i] = g->encrypt ? out[i] : c;
	}
	if (some == room)
		hash_pending(g);
	return some;
}

void gcm_crypt(struct gcm *g, const uint8_t *in, uint8_t *out, size_t n)
{
	size_t at = 0, bulk;

	if (n == 0)
		return;
	if (g->text_len == 0 && g->ad_len % GCM_BLOCK > 0)
		hash_pending(g);
	if (g->text_len % GCM_BLOCK > 0)
		at = crypt_begun(g, in, out, n);
	g->text_len += n;
	bulk = (n - at) - (n - at) % WIDE_BYTES;
	if (bulk > 0) {
		if (g->encrypt)
			encrypt_bulk(g, in + at, out + at, bulk);
		else
			decrypt_bulk(g, in + at, out + at, bulk);
		at += bulk;
	}
	if (at < n)
		crypt_rest(g, in + at, out + at, n - at);
}

ACCELERATED void gcm_tag(struct gcm *g, uint8_t tag[GCM_BLOCK])
{
	if ((g->text_len > 0 ? g->text_len : g->ad_len) % GCM_BLOCK > 0)
		hash_pending(g);
	store(tag,
	      _mm_xor_si128(reverse(hash_lengths(g, g->ad_len, g->text_len)), load(g->tag_mask)));
}
