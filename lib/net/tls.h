/*
 * tls: TLS 1.2 and 1.3 as filters; lib/net/tls*.c are the only files that see mbedTLS's ssl headers.
 *
 * Client side: verifies chain, dates and name always; there is no switch to turn that off. Server
 * side: the certificate is chosen by a callback from the SNI (a proxy mints it).
 *
 * As filters: FILTER_EOF is the peer's close_notify. A transport that ends without one is
 * FILTER_ERROR with E_IO: somebody may have cut the stream, so a body that ends with the connection
 * is not complete. Failed handshakes are E_TLS, in words for an operator.
 */
#ifndef BOTTLE_NET_TLS_H
#define BOTTLE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "net/filter.h"

/* Both are shared by connections and outlive them. */
struct tls_client_config; /* trust anchors, sessions to resume */
struct tls_server_config; /* session ticket keys */
struct tls_identity;      /* certificate chain + private key, reference counted */

#define TLS_CRYPTO_VARIABLE "BOTTLE_CRYPTO"
/*
 * Before anything else here or in lib/ca: PSA crypto, the random generator, and whether AES-GCM and
 * P-256 are ours (net/gcm.h, net/p256.h) or, with BOTTLE_CRYPTO=stock in the environment,
 * mbedTLS's. Again: nothing happens.
 */
int tls_global_init(struct err *err) __attribute__((warn_unused_result));

struct tls_client_config *tls_client_config_new(struct err *err)
	__attribute__((warn_unused_result));
/*
 * Adds the certificates of a PEM bundle as trust anchors; text around them is skipped. At least one
 * must be usable; *ret_count (may be NULL) were taken. `source` names the text in errors. Sessions
 * are forgotten.
 */
int tls_client_config_add_ca(struct tls_client_config *c, struct str pem, const char *source,
			     size_t *ret_count, struct err *err)
	__attribute__((warn_unused_result));
void tls_client_config_free(struct tls_client_config *c);

/*
 * `host` is sent as SNI (not for IP literals) and verified against the certificate's
 * subjectAltName, DNS or IP; a common name does not count (RFC 9525 2). alpn: NULL-terminated, at
 * most TLS_ALPN_MAX, or NULL for none; what the server chose, if anything, is tls_alpn, also on a
 * resumed connection. Takes over `below`, which is freed on failure too.
 *
 * scope: connections with the same scope and host may resume each other's sessions, others never:
 * who may not be known to be the same client uses another scope, and so does another port. NULL:
 * resumes nothing and keeps nothing.
 */
struct filter *tls_client(struct tls_client_config *c, struct filter *below, const char *host,
			  const char *scope, const char *const *alpn, struct err *err)
	__attribute__((warn_unused_result));

/*
 * From DER: the certificate, the certificates that lead to its root (one after the other; empty
 * when it is issued by the root itself), the key. All are copied. One reference.
 */
struct tls_identity *tls_identity_new(struct str cert_der, struct str chain_der, struct str key_der,
				      struct err *err) __attribute__((warn_unused_result));
struct tls_identity *tls_identity_ref(struct tls_identity *id);
void tls_identity_unref(struct tls_identity *id); /* NULL is fine */

/*
 * Called during the handshake with the server name (lower case, without trailing dot and without
 * ":port" — some clients send one —; empty when none was sent). Returns a new reference, or NULL
 * (err set): the handshake fails with unrecognized_name. `arg` is the connection's.
 */
typedef struct tls_identity *tls_identity_fn(void *arg, struct str sni, struct err *err);

struct tls_server_config *tls_server_config_new(struct err *err)
	__attribute__((warn_unused_result));
void tls_server_config_free(struct tls_server_config *c);

/*
 * alpn: NULL-terminated in our order of preference, at most TLS_ALPN_MAX, or NULL: the extension is
 * ignored. A client that offers only others is refused (RFC 7301 3.2), one that offers none is not.
 * Takes over `below`, which is freed on failure too.
 */
struct filter *tls_server(struct tls_server_config *c, struct filter *below,
			  const char *const *alpn, tls_identity_fn *choose, void *arg,
			  struct err *err) __attribute__((warn_unused_result));

/* After the handshake, of a filter made here; STR_NONE when there is none. Owned by the filter. */
struct str tls_alpn(const struct filter *f);
struct str tls_sni(const struct filter *f);      /* server side, normalised as above */
const char *tls_version(const struct filter *f); /* "TLSv1.2", "TLSv1.3" */

/* The server was recognised by an earlier session, not by its certificate; on the server's side:
 * the client has presented a ticket of ours that is good. */
bool tls_resumed(const struct filter *f);
/*
 * Client side, after a failed handshake: a session had been offered and no certificate came. It is
 * forgotten, so another connection begins from nothing and may succeed: a server that has lost the
 * version of TLS that the session is of cannot decline it, only fail.
 */
bool tls_session_refused(const struct filter *f);

/* First bytes of a connection: is this a TLS handshake record (0x16 0x03)? Needs 3 bytes. */
enum tls_guess { TLS_GUESS_MORE, TLS_GUESS_YES, TLS_GUESS_NO };
enum tls_guess tls_guess(struct str first_bytes);

#endif
