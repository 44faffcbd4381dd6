/*
 * tls_priv: what the tls*.c files share.
 */
#ifndef BOTTLE_NET_TLS_PRIV_H
#define BOTTLE_NET_TLS_PRIV_H

#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <time.h>

#include "base/buf.h"
#include "base/limits.h"
#include "net/tls.h"

/* The one random generator, seeded by tls_global_init. */
#define TLS_RNG mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE

/* --- settings ----------------------------------------------------------------------------------- */

/* ALPN is part of mbedTLS's settings, so there is one set for each list in use. */
struct tls_settings {
	struct tls_settings *next;
	const char *alpn[TLS_ALPN_MAX + 1];
	char *alpn_text[TLS_ALPN_MAX]; /* where they point */
	mbedtls_ssl_config conf;
};

/* Finds or makes the settings for this ALPN list; `finish` adds to new ones what its side needs. */
mbedtls_ssl_config *tls_settings(struct tls_settings **list, const char *const *alpn, bool server,
				 void (*finish)(mbedtls_ssl_config *conf, void *arg), void *arg,
				 struct err *err);
void tls_settings_free(struct tls_settings *list);

/* "what: why", with mbedTLS's own text for its code. Returns -1. */
int tls_err(struct err *err, enum err_code code, int ret, const char *what);

/* --- sessions of a client ----------------------------------------------------------------------- */

/* All that may be resumed; zeroed at birth, at most TLS_SESSIONS_MAX. Times are time(2)'s. */
struct tls_sessions {
	struct tls_session *newest;
	size_t count;
	unsigned generation; /* changes with tls_sessions_clear */
};

/* What was put into a hello, and how long the verification holds that it stands on. */
struct tls_offer {
	bool tls13;
	time_t trusted_until;
};

void tls_sessions_clear(struct tls_sessions *all);
/* Keeps a copy, if the session can be resumed at all. */
void tls_sessions_put(struct tls_sessions *all, const char *scope, const char *host,
		      const mbedtls_ssl_session *session, time_t trusted_until, time_t now);
/* Before the handshake: makes ssl offer the best of what is there. A TLS 1.3 ticket is gone then. */
bool tls_sessions_offer(struct tls_sessions *all, const char *scope, const char *host, time_t now,
			mbedtls_ssl_context *ssl, struct tls_offer *ret_offer);

/* A connection's part in it. */
struct tls_resume {
	struct tls_sessions *all; /* NULL: none */
	unsigned generation;      /* of `all`, when the connection began */
	char *scope;
	struct tls_offer offer;
	bool offered, resumed;
	bool refused; /* the handshake failed over what was offered */
	time_t trusted_until;
};

struct tls;
void tls_resume_begin(struct tls *t, struct tls_sessions *all, const char *scope);
void tls_resume_up(struct tls *t);     /* the handshake has succeeded */
void tls_resume_ticket(struct tls *t); /* a ticket came */
void tls_resume_failed(struct tls *t); /* the peer, or TLS itself, has ended the connection */

/* --- the connection ----------------------------------------------------------------------------- */

struct tls_verify;

struct tls {
	struct filter f;
	mbedtls_ssl_context ssl;
	struct err *err; /* of the call under way; callbacks say there what went wrong */
	bool explained;  /* and they did */

	bool dead;        /* after an error mbedTLS may not be asked again */
	bool mute;        /* the filter below broke on a write; what has come can still be read */
	bool eof;         /* close_notify came */
	bool closing;     /* close_notify was written */
	bool dry;         /* the last read ended because there was no more input */
	bool yielded;     /* the last read ended although there may be more input */
	bool seen_input;  /* any at all */
	bool not_tls;     /* and it began like no TLS record */
	struct buf held;  /* records that the filter below did not take yet */
	size_t write_len; /* bytes of the caller's in them that the caller was not told of */
	bool satisfied;   /* this read has data for the caller: no more is asked of below */
	bool more;        /* the filter below has given all that it was asked for */
	size_t room;      /* bytes the caller of this read still takes */
	size_t budget;    /* bytes this operation may still take from below */
	int late;         /* what mbedTLS said behind data */

	unsigned char *aside; /* read and not yet asked for by mbedTLS; NULL: nothing */
	size_t aside_off, aside_len;

	char *host;                /* client */
	struct tls_verify *verify; /* client, during the handshake */
	struct tls_resume resume;  /* client */

	struct tls_server_config *server;
	tls_identity_fn *choose; /* server */
	void *choose_arg;
	struct tls_identity *identity;
	char *sni;
};

/* Takes over `below`. */
struct tls *tls_new(mbedtls_ssl_config *conf, struct filter *below, struct err *err);

/*
 * Around an operation that reads, writes: what goes between mbedTLS and the filter below does so in
 * large pieces. When reading stops, dry or yielded says why. Ending a write gives -1 for an error
 * (explained).
 */
void tls_io_attach(struct tls *t);
void tls_read_begin(struct tls *t);
void tls_read_end(struct tls *t);
void tls_write_begin(struct tls *t);
int tls_write_end(struct tls *t) __attribute__((warn_unused_result));
/* Sends what is held. 0: all of it; 1: the filter below takes no more; -1: it is mute. */
int tls_drain(struct tls *t);

/* What mbedTLS's code means on this connection. Returns -1. */
int tls_describe(const struct tls *t, int ret, struct err *err);

/* --- verification ------------------------------------------------------------------------------- */

/* Who must be at the other end. */
struct tls_name {
	const char *host;
	unsigned char ip[16];
	size_t ip_len; /* 0: a DNS name */
};

/*
 * Hooks itself into the handshake of ssl. `host` is borrowed and must last as long as the
 * handshake. Freed with tls_verify_free, after the handshake.
 */
struct tls_verify *tls_verify_new(mbedtls_ssl_context *ssl, struct tls_client_config *c,
				  const char *host);
void tls_verify_free(struct tls_verify *v);
bool tls_verify_is_ip(const struct tls_verify *v);
/*
 * Until when the server may be believed without showing its certificate again: every certificate of
 * the chain is valid until then, and it is not longer than TLS_RESUME_SECONDS. 0: it showed none.
 */
time_t tls_verify_until(const struct tls_verify *v);
/* Why the certificate was refused, after mbedtls_ssl_handshake has failed for it. */
void tls_verify_explain(const struct tls_verify *v, const mbedtls_ssl_context *ssl,
			struct err *err);

typedef int tls_certificate_fn(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* mbedTLS's verification by the anchors of c; `fn` hears of each certificate, from the root down to
 * the leaf. Its code. `host` NULL: names are not looked at. */
int tls_client_verify(struct tls_client_config *c, mbedtls_x509_crt *chain, const char *host,
		      tls_certificate_fn *fn, void *arg);

/*
 * mbedTLS looks for an issuer only behind its subject, takes the first of that name and never turns
 * back, so it gets lost where a server sends its certificates in disorder or has several for one
 * issuer (cross-signing, RFC 4158 2.4). This tries them in other orders, TLS_CHAIN_TRIES at most,
 * until fn says true; the certificates stay in that order, else as they came.
 */
typedef bool tls_chain_fn(void *arg, mbedtls_x509_crt *leaf);
bool tls_chain_search(mbedtls_x509_crt *leaf, tls_chain_fn *fn, void *arg);

/* For mbedTLS's parser: of the critical extensions that it does not know, name constraints are
 * understood (tls_names.c). */
int tls_on_extension(void *arg, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
		     int critical, const unsigned char *p, const unsigned char *end);

/* RFC 9525: does a subjectAltName of crt name this host? */
bool tls_names_match(const mbedtls_x509_crt *crt, const struct tls_name *name);
/* The names in crt for a message: "a.example, b.example and 3 more". */
void tls_names_text(const mbedtls_x509_crt *crt, char *text, size_t size);

#define TLS_OID_NAME_CONSTRAINTS "\x55\x1d\x1e" /* id-ce 30 */
/*
 * RFC 5280 4.2.1.10: may `ca` sign for the names in crt, and (unless NULL) for this host, which a
 * wildcard may name? False also when the constraints cannot be understood.
 */
bool tls_constraints_allow(const mbedtls_x509_crt *ca, const mbedtls_x509_crt *crt,
			   const struct tls_name *name);

/* RFC 5280 4.2: no extension is there twice. False also when they cannot be read. */
bool tls_extensions_unique(const mbedtls_x509_crt *crt);

#endif
