/*
 * pki: certificates for the TLS tests, made by the openssl program in a temporary folder: the other
 * side of what is tested must not be made by the code under test.
 */
#ifndef TEST_NET_PKI_H
#define TEST_NET_PKI_H

#include "net/tls.h"

/* Group set-up and tear-down for cmocka: make and remove the folder. */
int pki_make(void **state);
int pki_remove(void **state);

/* DIR/name; valid until the next call but three. */
const char *pki_path(const char *name);
/* The file's bytes, heap. */
char *pki_read(const char *name, size_t *ret_len);
/* From NAME.crt.der and NAME.key.der; with the certificates of `chain`.crt.der behind it, or NULL. */
struct tls_identity *pki_identity(const char *name, const char *chain);
/* A client that trusts ROOT.crt.pem. */
struct tls_client_config *pki_trust(const char *root);

/* Starts a program with the folder as its working directory; *ret_out reads its output (stdout and
 * stderr). */
int pki_spawn(const char *const *argv, int *ret_out);

#endif
