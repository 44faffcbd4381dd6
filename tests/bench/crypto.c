/*
 * The cryptography of a connection: ours beside mbedTLS's own and, where it is installed, OpenSSL.
 *
 * All in CPU time, and the best of some short rounds that take turns, because the machine may be
 * busy: what counts is the ratio within one run.
 */
#include <mbedtls/ecp.h>
#include <mbedtls/gcm.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "ca/ca.h"
#include "net/gcm.h"
#include "net/p256.h"
#include "net/tls.h"
#include "sys/proc.h"

#define ROUNDS 8
#define ROUND_NS 20e6
#define BENCH_HOST "bench.test"
#define RANDOM mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "crypto: %s failed\n", what);
	exit(1);
}

static double cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds for one call of f, in one round. The clock is asked rarely: it takes as long as 1
 * KiB. */
static double time_round(void (*f)(void *), void *arg)
{
	size_t n = 1;

	for (;;) {
		double start = cpu_ns(), took;

		for (size_t i = 0; i < n; i++)
			f(arg);
		took = cpu_ns() - start;
		if (took > ROUND_NS)
			return took / (double)n;
		n *= 2;
	}
}

/* Of up to two that take turns; results in calls a second. */
static void compare(void (*a)(void *), void *a_arg, void (*b)(void *), void *b_arg, double *ret_a,
		    double *ret_b)
{
	double best_a = 1e18, best_b = 1e18, ns;

	for (int i = 0; i < ROUNDS; i++) {
		ns = time_round(a, a_arg);
		best_a = ns < best_a ? ns : best_a;
		if (!b)
			continue;
		ns = time_round(b, b_arg);
		best_b = ns < best_b ? ns : best_b;
	}
	*ret_a = 1e9 / best_a;
	*ret_b = b ? 1e9 / best_b : 0;
}

/*
 * The last number of `openssl speed`'s last line, or the one `from_end` before it; "1234.5k" counts
 * thousands. 0 when there is none.
 */
static double openssl_speed(const char *const *args, int from_end)
{
	const char *argv[10] = { "openssl", "speed", "-seconds", "1" };
	struct proc_spec spec = { .argv = argv };
	auto_buf out = BUF_INIT(1 << 16), noise = BUF_INIT(1 << 16);
	struct str rest, line, last = STR_NONE, word, words[10];
	size_t n = 4, count = 0;
	double value;
	char *end;
	int status;

	while (*args && n < 9)
		argv[n++] = *args++;
	if (proc_run(&spec, STR_NONE, &out, &noise, 60000, &status, NULL) < 0 || status != 0)
		return 0;
	rest = buf_str(&out);
	while (str_split(&rest, '\n', &line))
		last = line.n > 0 ? line : last;
	while (count < 10 && str_split(&last, ' ', &word)) {
		if (word.n > 0)
			words[count++] = word;
	}
	if ((size_t)from_end >= count)
		return 0;
	auto_free char *text = str_dupz(words[count - 1 - (size_t)from_end]);
	value = strtod(text, &end);
	return *end == 'k' ? value * 1000 : value;
}

static void cell(double v)
{
	if (v > 0)
		(void)printf("%12.*f", v < 10 ? 2 : 0, v);
	else
		(void)printf("%12s", "-");
}

static void row(const char *name, double stock, double ours, double openssl)
{
	(void)printf("%-34s", name);
	cell(stock);
	cell(ours);
	cell(openssl);
	cell(stock > 0 ? ours / stock : 0);
	cell(openssl > 0 ? ours / openssl : 0);
	(void)printf("\n");
	(void)fflush(stdout);
}

/* --- AES-GCM ------------------------------------------------------------------------------------ */

struct aead {
	mbedtls_gcm_context gcm;
	unsigned char *text, tag[16];
	size_t n;
};

static const unsigned char aead_iv[12], aead_ad[5];

static void aead_init(struct aead *a, bool ours, unsigned bits, size_t n)
{
	static const unsigned char key[32] = { 1, 2, 3 };

	a->n = n;
	a->text = mem_zalloc(n);
	mbedtls_gcm_init(&a->gcm);
	(void)gcm_accelerate(ours);
	check(mbedtls_gcm_setkey(&a->gcm, MBEDTLS_CIPHER_ID_AES, key, bits) == 0, "key");
	(void)gcm_accelerate(true);
}

static void aead_seal(void *arg)
{
	struct aead *a = arg;

	check(mbedtls_gcm_crypt_and_tag(&a->gcm, MBEDTLS_GCM_ENCRYPT, a->n, aead_iv,
					sizeof(aead_iv), aead_ad, sizeof(aead_ad), a->text, a->text,
					sizeof(a->tag), a->tag) == 0,
	      "encryption");
}

/* What an intercepting proxy does with each byte. */
static void aead_both(void *arg)
{
	struct aead *a = arg;

	aead_seal(a);
	check(mbedtls_gcm_auth_decrypt(&a->gcm, a->n, aead_iv, sizeof(aead_iv), aead_ad,
				       sizeof(aead_ad), a->tag, sizeof(a->tag), a->text,
				       a->text) == 0,
	      "decryption");
}

static void bench_gcm(unsigned bits, size_t n, bool both)
{
	char bytes[16], cipher[24], name[64];
	const char *args[] = { "-bytes", bytes, "-evp", cipher, NULL };
	struct aead stock, ours;
	double a, b, mb = (double)n / 1e6;

	(void)snprintf(bytes, sizeof(bytes), "%zu", n);
	(void)snprintf(cipher, sizeof(cipher), "aes-%u-gcm", bits);
	(void)snprintf(name, sizeof(name), "AES-%u-GCM %s%zu KiB, MB/s", bits,
		       both ? "both ways " : "", n / 1024);
	aead_init(&stock, false, bits, n);
	aead_init(&ours, true, bits, n);
	compare(both ? aead_both : aead_seal, &stock, both ? aead_both : aead_seal, &ours, &a, &b);
	row(name, a * mb, b * mb, both ? 0 : openssl_speed(args, 0) / 1e6);
	mbedtls_gcm_free(&stock.gcm);
	mbedtls_gcm_free(&ours.gcm);
	free(stock.text);
	free(ours.text);
}

/* --- public keys -------------------------------------------------------------------------------- */

static void new_key_psa(void *arg)
{
	psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
	uint8_t out[32];
	psa_key_id_t id;
	size_t n;

	(void)arg;
	psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY));
	psa_set_key_bits(&a, 255);
	psa_set_key_algorithm(&a, PSA_ALG_ECDH);
	psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
	check(psa_generate_key(&a, &id) == PSA_SUCCESS &&
		      psa_export_public_key(id, out, sizeof(out), &n) == PSA_SUCCESS &&
		      psa_destroy_key(id) == PSA_SUCCESS,
	      "X25519 key");
}

static void new_key_generic(void *arg)
{
	mbedtls_ecp_keypair k;

	(void)arg;
	mbedtls_ecp_keypair_init(&k);
	check(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_CURVE25519, &k, RANDOM) == 0, "X25519 key");
	mbedtls_ecp_keypair_free(&k);
}

struct signer {
	bool ours; /* net/p256.h, else mbedTLS's own */
	mbedtls_pk_context key;
	unsigned char hash[32], signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
	size_t n;
};

static void sign(void *arg)
{
	struct signer *s = arg;

	(void)p256_accelerate(s->ours);
	check(mbedtls_pk_sign(&s->key, MBEDTLS_MD_SHA256, s->hash, sizeof(s->hash), s->signature,
			      sizeof(s->signature), &s->n, RANDOM) == 0,
	      "signature");
}

static void verify(void *arg)
{
	struct signer *s = arg;

	(void)p256_accelerate(s->ours);
	check(mbedtls_pk_verify(&s->key, MBEDTLS_MD_SHA256, s->hash, sizeof(s->hash), s->signature,
				s->n) == 0,
	      "verification");
}

static void signer_init(struct signer *s, const struct ca_leaf *leaf)
{
	mbedtls_pk_init(&s->key);
	check(mbedtls_pk_parse_key(&s->key, (unsigned char *)leaf->key_der, leaf->key_len, NULL, 0,
				   RANDOM) == 0,
	      "P-256 key");
}

static void bench_public_keys(const struct ca_leaf *leaf)
{
	static const char *const x25519[] = { "ecdhx25519", NULL };
	static const char *const p256[] = { "ecdsap256", NULL };
	struct signer ours = { .ours = true }, stock = { .ours = false };
	double a, b;

	compare(new_key_generic, NULL, new_key_psa, NULL, &a, &b);
	row("X25519 /s", a, b, openssl_speed(x25519, 0));
	signer_init(&ours, leaf);
	signer_init(&stock, leaf);
	compare(sign, &stock, sign, &ours, &a, &b);
	row("P-256 sign /s", a, b, openssl_speed(p256, 1));
	compare(verify, &stock, verify, &ours, &a, &b);
	row("P-256 verify /s", a, b, openssl_speed(p256, 0));
	mbedtls_pk_free(&ours.key);
	mbedtls_pk_free(&stock.key);
	(void)p256_accelerate(true);
}

/* --- handshakes --------------------------------------------------------------------------------- */

struct hello {
	struct tls_client_config *client;
	struct tls_server_config *server;
	struct tls_identity *identity;
	double client_ns, server_ns; /* of the last one */
};

static struct tls_identity *choose(void *arg, struct str sni, struct err *err)
{
	struct hello *h = arg;

	(void)sni;
	(void)err;
	return tls_identity_ref(h->identity);
}

static bool step(struct filter *f, double *ns)
{
	double start = cpu_ns();
	enum filter_ready r = filter_handshake(f, NULL);

	*ns += cpu_ns() - start;
	check(r != FILTER_FAILED, "handshake");
	return r == FILTER_READY;
}

static void handshake(struct hello *h)
{
	struct filter *client, *server;
	bool client_up = false, server_up = false;
	int fds[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0,
	      "socket pair");
	client = tls_client(h->client, filter_tcp(fds[0], false), BENCH_HOST, NULL, NULL, NULL);
	server = tls_server(h->server, filter_tcp(fds[1], false), NULL, choose, h, NULL);
	check(client && server, "connection");
	h->client_ns = h->server_ns = 0;
	while (!client_up || !server_up) {
		client_up = client_up || step(client, &h->client_ns);
		server_up = server_up || step(server, &h->server_ns);
	}
	filter_free(client);
	filter_free(server);
}

static void bench_handshake(const struct ca *ca, const struct ca_leaf *leaf)
{
	auto_buf pem = BUF_INIT(1 << 16);
	struct hello h = { .client = tls_client_config_new(NULL),
			   .server = tls_server_config_new(NULL),
			   .identity = tls_identity_new(
				   str_mem(leaf->cert_der, leaf->cert_len), STR_NONE,
				   str_mem(leaf->key_der, leaf->key_len), NULL) };
	double client = 1e18, server = 1e18;

	check(h.client && h.server && h.identity && ca_cert_pem(ca, &pem, NULL) == 0 &&
		      tls_client_config_add_ca(h.client, buf_str(&pem), "bench", NULL, NULL) == 0,
	      "set-up");
	for (int i = 0; i < 20 * ROUNDS; i++) {
		handshake(&h);
		client = h.client_ns < client ? h.client_ns : client;
		server = h.server_ns < server ? h.server_ns : server;
	}
	row("TLS 1.3 full, server, CPU ms", 0, server / 1e6, 0);
	row("TLS 1.3 full, client, CPU ms", 0, client / 1e6, 0);
	tls_identity_unref(h.identity);
	tls_client_config_free(h.client);
	tls_server_config_free(h.server);
}

int main(void)
{
	struct ca_params params = { .days = 1 };
	struct str name = STR(BENCH_HOST);
	auto_leaf leaf = { .cert_der = NULL };
	auto_ca struct ca *ca = NULL;

	check(tls_global_init(NULL) == 0, "start");
	ca = ca_new(&params, NULL);
	check(ca && ca_leaf_new(ca, &name, 1, CA_KEY_P256, 1, &leaf, NULL) == 0, "certificate");
	(void)printf("%-34s%12s%12s%12s%12s%12s\n", "", "mbedTLS", "ours", "OpenSSL", "/mbedTLS",
		     "/OpenSSL");
	bench_gcm(128, 1024, false);
	bench_gcm(128, 16384, false);
	bench_gcm(256, 1024, false);
	bench_gcm(256, 16384, false);
	bench_gcm(128, 16384, true);
	bench_public_keys(&leaf);
	bench_handshake(ca, &leaf);
	return 0;
}
