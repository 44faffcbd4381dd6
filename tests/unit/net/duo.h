/*
 * duo: our TLS client and our TLS server at the two ends of a socket pair, in one thread.
 */
#ifndef TEST_NET_DUO_H
#define TEST_NET_DUO_H

#include "net/tls.h"

struct duo {
	/* what to set up; the rest has defaults */
	struct tls_client_config *trust;
	struct tls_identity *identity; /* NULL: the server refuses every name */
	const char *host;
	const char *scope; /* of the client's sessions; NULL: none */
	const char *const *client_alpn, *const *server_alpn;
	bool tls12;       /* else 1.3 */
	int sndbuf;       /* of both sockets; 0: as it comes */
	uint16_t tickets; /* of the server, in 1.3; 0: mbedTLS's own number */

	/* and what came of it */
	struct tls_server_config *server_config;
	struct filter *client, *server;
	enum filter_ready client_ready, server_ready;
	struct err client_err, server_err;
	unsigned asked; /* calls for a certificate */
	char sni[256];  /* as given in the last one */
};

/* The server's choice of certificate; arg is the duo. */
struct tls_identity *duo_choose(void *arg, struct str sni, struct err *err);
/* Makes both ends and their handshake, as far as it goes. */
void duo_open(struct duo *d);
/* Ends the connection only; duo_open makes another. */
void duo_hang_up(struct duo *d);
/* No connection is open: another server, as one that was started again. */
void duo_new_server(struct duo *d);
void duo_close(struct duo *d);
/* Both handshakes succeeded. */
void duo_assert_up(const struct duo *d);

/* n alerts that mean nothing, from the server. */
void duo_send_alerts(struct duo *d, size_t n);
/* Limits a configuration to TLS 1.2, for all its later connections with this ALPN list. */
void duo_client_tls12(struct tls_client_config *c, const char *const *alpn);

/* n bytes from one end to the other, while both ends see full and empty sockets. */
void duo_transfer(struct filter *from, struct filter *to, size_t n, size_t write_size,
		  size_t read_size);

#endif
