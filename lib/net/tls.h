/*
 * tls: TLS 1.2 and 1.3 as filters; the only file that sees mbedTLS ssl headers.
 *
 * Client side: verifies chain, dates and name always; there is no switch to turn that off. Server side: the
 * certificate is chosen by a callback from the SNI (a proxy mints it).
 */
#ifndef BOTTLE_NET_TLS_H
#define BOTTLE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "net/filter.h"

struct tls_client_config; /* trust anchors, versions; shared by connections, process lifetime */
struct tls_server_config;
struct tls_identity; /* certificate chain + private key, reference counted */

/* Once, before anything else here or in lib/ca: PSA crypto and the random generator. */
int tls_global_init(struct err *err) __attribute__((warn_unused_result));

/* PEM bundle(s); text that is not PEM between certificates is skipped. At least one certificate must parse; *ret_count certificates were taken. */
struct tls_client_config *tls_client_config_new(struct err *err) __attribute__((warn_unused_result));
int tls_client_config_add_ca(struct tls_client_config *c, struct str pem, const char *source, size_t *ret_count,
			     struct err *err) __attribute__((warn_unused_result));
void tls_client_config_free(struct tls_client_config *c);

/*
 * `host` is sent as SNI (not for IP literals) and verified against the certificate's SAN (DNS or IP).
 * alpn: NULL-terminated list or NULL. Takes over `below`.
 */
struct filter *tls_client(struct tls_client_config *c, struct filter *below, const char *host,
			  const char *const *alpn, struct err *err) __attribute__((warn_unused_result));

/* From DER. The key and certificate are copied. */
struct tls_identity *tls_identity_new(struct str cert_der, struct str chain_der, struct str key_der, struct err *err)
	__attribute__((warn_unused_result));
struct tls_identity *tls_identity_ref(struct tls_identity *id);
void tls_identity_unref(struct tls_identity *id);

/*
 * Called during the handshake with the server name (lower case, without trailing dot and without ":port"
 * — some clients send one —; empty when none was sent). Returns a new reference, or NULL (err set): the handshake fails with
 * unrecognized_name. `arg` is the connection's.
 */
typedef struct tls_identity *tls_identity_fn(void *arg, struct str sni, struct err *err);

struct tls_server_config *tls_server_config_new(struct err *err) __attribute__((warn_unused_result));
void tls_server_config_free(struct tls_server_config *c);

/* alpn in our order of preference; a client without a common protocol and with ALPN is refused (RFC 7301 3.2). Takes over `below`. */
struct filter *tls_server(struct tls_server_config *c, struct filter *below, const char *const *alpn,
			  tls_identity_fn *choose, void *arg, struct err *err) __attribute__((warn_unused_result));

/* After the handshake; STR_NONE when none. Owned by the filter. */
struct str tls_alpn(const struct filter *f);
struct str tls_sni(const struct filter *f); /* server side, normalised as above */
const char *tls_version(const struct filter *f);

/* First bytes of a connection: is this a TLS ClientHello record (0x16 0x03)? Needs 3 bytes. */
enum tls_guess { TLS_GUESS_MORE, TLS_GUESS_YES, TLS_GUESS_NO };
enum tls_guess tls_guess(struct str first_bytes);

#endif
