/*
 * The extensions of a CA certificate, as any peer may send them, against a leaf's names: they are
 * read within their bounds, and a list that cannot be read allows nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_name(mbedtls_x509_sequence *san, int type, const void *p, size_t n)
{
	san->buf.tag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | type;
	san->buf.p = (unsigned char *)(uintptr_t)p;
	san->buf.len = n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char ip[] = { 10, 1, 2, 3 };
	struct tls_name dns_name = { .host = "a.ok.test" },
			ip_name = { .host = "10.1.2.3", .ip_len = 4 };
	mbedtls_x509_sequence second = { .next = NULL };
	mbedtls_x509_crt ca, leaf;
	uint8_t *copy = malloc(size ? size : 1); /* of the exact size: reading past it is seen */
	char text[100];

	if (!copy)
		abort();
	memcpy(copy, data, size);
	memcpy(ip_name.ip, ip, sizeof(ip));
	mbedtls_x509_crt_init(&ca);
	mbedtls_x509_crt_init(&leaf);
	ca.v3_ext.p = copy;
	ca.v3_ext.len = size;
	leaf.subject_raw = ca.v3_ext;
	set_name(&leaf.subject_alt_names, MBEDTLS_X509_SAN_DNS_NAME, "a.ok.test", 9);
	set_name(&second, MBEDTLS_X509_SAN_IP_ADDRESS, ip, sizeof(ip));
	leaf.subject_alt_names.next = &second;
	(void)tls_constraints_allow(&ca, &leaf, &dns_name);
	(void)tls_constraints_allow(&ca, &leaf, &ip_name);
	(void)tls_constraints_allow(&ca, &leaf, NULL);
	(void)tls_extensions_unique(&ca);

	/* The same bytes as a name. */
	leaf.subject_alt_names.next = NULL;
	for (int type = MBEDTLS_X509_SAN_DNS_NAME; type <= MBEDTLS_X509_SAN_IP_ADDRESS; type += 5) {
		set_name(&leaf.subject_alt_names, type, copy, size);
		if (tls_names_match(&leaf,
				    type == MBEDTLS_X509_SAN_DNS_NAME ? &ip_name : &dns_name))
			abort();
		tls_names_text(&leaf, text, sizeof(text));
		if (strlen(text) >= sizeof(text))
			abort();
	}
	free(copy);
	return 0;
}
