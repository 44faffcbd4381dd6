/* The names in a certificate, and the names a CA may sign for. mbedTLS does too little of the first
 * (it takes a common name for a host) and nothing of the second. */
#include <mbedtls/asn1.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/tls_priv.h"

/* --- subjectAltName ----------------------------------------------------------------------------- */

static int name_type(const mbedtls_x509_buf *b)
{
	return b->tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
}

static struct str name_str(const mbedtls_x509_buf *b)
{
	return str_mem(b->p, b->len);
}

/* The next DNS name or address of the list, from san on; NULL after the last. */
static const mbedtls_x509_sequence *next_name(const mbedtls_x509_sequence *san)
{
	for (; san; san = san->next) {
		if (san->buf.p && (name_type(&san->buf) == MBEDTLS_X509_SAN_DNS_NAME ||
				   name_type(&san->buf) == MBEDTLS_X509_SAN_IP_ADDRESS))
			return san;
	}
	return NULL;
}

/* RFC 9525 6.3: a wildcard is the whole leftmost label, stands for one, and not right above a top
 * level. */
static bool dns_match(struct str pattern, struct str host)
{
	ssize_t dot;

	if (!str_starts(pattern, STR("*.")))
		return str_ieq(pattern, host);
	pattern = str_from(pattern, 1);
	dot = str_chr(host, '.', 0);
	return dot > 0 && str_chr(pattern, '.', 1) > 0 &&
	       str_ieq(pattern, str_from(host, (size_t)dot));
}

bool tls_names_match(const mbedtls_x509_crt *crt, const struct tls_name *name)
{
	const mbedtls_x509_sequence *san = &crt->subject_alt_names;

	for (; (san = next_name(san)); san = san->next) {
		struct str s = name_str(&san->buf);

		if (name_type(&san->buf) == MBEDTLS_X509_SAN_DNS_NAME) {
			if (name->ip_len == 0 && dns_match(s, str_of(name->host)))
				return true;
		} else if (name->ip_len > 0 && str_eq(s, str_mem(name->ip, name->ip_len))) {
			return true;
		}
	}
	return false;
}

static void name_text(const mbedtls_x509_buf *b, char text[ADDR_TEXT_MAX])
{
	struct addr a = { .len = 0 };
	struct str s = name_str(b);

	if (name_type(b) == MBEDTLS_X509_SAN_DNS_NAME) {
		(void)snprintf(text, ADDR_TEXT_MAX, "%.*s", STR_ARG(s));
		return;
	}
	a.sa.sa_family = s.n == 4 ? AF_INET : AF_INET6;
	if (s.n == 4)
		memcpy(&a.in4.sin_addr, s.p, 4);
	else if (s.n == 16)
		memcpy(&a.in6.sin6_addr, s.p, 16);
	addr_text(&a, false, text);
}

void tls_names_text(const mbedtls_x509_crt *crt, char *text, size_t size)
{
	const mbedtls_x509_sequence *san = &crt->subject_alt_names;
	size_t used = 0, count = 0;

	text[0] = '\0';
	for (; (san = next_name(san)); san = san->next, count++) {
		char one[ADDR_TEXT_MAX];
		int n;

		if (count >= 3)
			continue;
		name_text(&san->buf, one);
		n = snprintf(text + used, size - used, "%s%s", count ? ", " : "", one);
		used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
	}
	if (count > 3)
		(void)snprintf(text + used, size - used, " and %zu more", count - 3);
}

/* --- name constraints --------------------------------------------------------------------------- */

#define SUBTREES_PERMITTED 0
#define SUBTREES_EXCLUDED 1

/* mbedTLS's parser does not write, but wants to be able to. */
static unsigned char *begin_of(struct str s)
{
	return (unsigned char *)(uintptr_t)s.p;
}

/* "example.com" covers itself and what is below; ".example.com", which is common, only what is
 * below. */
static bool dns_within(struct str name, struct str base)
{
	if (str_starts(name, STR("*.")))
		name = str_from(name, 2);
	if (base.n == 0 || str_ieq(name, base))
		return true;
	return name.n > base.n && str_iends(name, base) &&
	       (base.p[0] == '.' || name.p[name.n - base.n - 1] == '.');
}

/* base: address and mask */
static bool ip_within(struct str ip, struct str base)
{
	for (size_t i = 0; i < ip.n; i++) {
		if ((ip.p[i] ^ base.p[i]) & base.p[ip.n + i])
			return false;
	}
	return true;
}

/* The inside of the value at the front of *list, which moves behind it. False: there is none. */
static bool take(struct str *list, int tag, struct str *ret)
{
	unsigned char *p = begin_of(*list);
	size_t n;

	if (list->n == 0 || mbedtls_asn1_get_tag(&p, p + list->n, &n, tag) != 0)
		return false;
	*ret = str_mem(p, n);
	*list = str_from(*list, (size_t)((const char *)p - list->p) + n);
	return true;
}

#define TAG_SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define TAG_SET (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)

/* One part of a directory name: the same bytes, or one attribute with the same text, whatever its
 * letters' case and type of string (RFC 5280 7.1). */
static bool same_part(struct str a, struct str b)
{
	struct str attribute_a, attribute_b, oid_a, oid_b;

	if (str_eq(a, b))
		return true;
	if (!take(&a, TAG_SEQUENCE, &attribute_a) || !take(&b, TAG_SEQUENCE, &attribute_b) ||
	    a.n > 0 || b.n > 0 || !take(&attribute_a, MBEDTLS_ASN1_OID, &oid_a) ||
	    !take(&attribute_b, MBEDTLS_ASN1_OID, &oid_b) || !str_eq(oid_a, oid_b) ||
	    attribute_a.n < 2 || attribute_a.n != attribute_b.n ||
	    attribute_a.p[1] != attribute_b.p[1])
		return false;
	/* The tags may differ, the lengths not. */
	return str_ieq(str_from(attribute_a, 2), str_from(attribute_b, 2));
}

/* Name ::= SEQUENCE OF parts; the base's are the first of the name's. */
static bool directory_within(struct str name, struct str base)
{
	struct str name_parts, base_parts, a, b;

	if (!take(&name, TAG_SEQUENCE, &name_parts) || !take(&base, TAG_SEQUENCE, &base_parts) ||
	    base.n > 0)
		return false;
	while (base_parts.n > 0)
		if (!take(&name_parts, TAG_SET, &a) || !take(&base_parts, TAG_SET, &b) ||
		    !same_part(a, b))
			return false;
	return true;
}

/*
 * One list of subtrees against one name. *ret_any: there are subtrees of the name's form,
 * *ret_within: and one of them holds it. False: cannot be understood.
 *
 * GeneralSubtree ::= SEQUENCE { base GeneralName, minimum [0] DEFAULT 0, maximum [1] OPTIONAL };
 * the last two may not be there (RFC 5280 4.2.1.10).
 */
static bool check_subtrees(struct str list, int type, struct str name, bool *ret_any,
			   bool *ret_within)
{
	unsigned char *p = begin_of(list), *end = p + list.n;

	while (p < end) {
		unsigned char *tree_end;
		struct str base;
		size_t n;
		int tag;

		if (mbedtls_asn1_get_tag(&p, end, &n,
					 MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
			return false;
		tree_end = p + n;
		if (p == tree_end)
			return false;
		tag = *p++;
		if (mbedtls_asn1_get_len(&p, tree_end, &n) != 0 || p + n != tree_end)
			return false;
		base = str_mem(p, n);
		p = tree_end;
		if ((tag & MBEDTLS_ASN1_TAG_VALUE_MASK) != type)
			continue;
		*ret_any = true;
		if (type == MBEDTLS_X509_SAN_DNS_NAME)
			*ret_within = *ret_within || dns_within(name, base);
		else if (type == MBEDTLS_X509_SAN_DIRECTORY_NAME)
			*ret_within = *ret_within || directory_within(name, base);
		else if (type != MBEDTLS_X509_SAN_IP_ADDRESS || base.n % 8 != 0)
			return false;
		else if (base.n == 2 * name.n)
			*ret_within = *ret_within || ip_within(name, base);
	}
	return true;
}

/*
 * NameConstraints ::= SEQUENCE { permittedSubtrees [0], excludedSubtrees [1] }, both optional. A
 * name of another form than DNS, IP and directory name is allowed only when nothing is said about
 * its form.
 */
static bool name_allowed(struct str constraints, int type, struct str name)
{
	unsigned char *p = begin_of(constraints), *end = p + constraints.n;
	size_t n;

	if (mbedtls_asn1_get_tag(&p, end, &n, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) !=
		    0 ||
	    p + n != end || n == 0)
		return false;
	for (int which = SUBTREES_PERMITTED; which <= SUBTREES_EXCLUDED; which++) {
		bool any = false, within = false;

		if (p == end ||
		    *p != (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | which))
			continue;
		p++;
		if (mbedtls_asn1_get_len(&p, end, &n) != 0 ||
		    !check_subtrees(str_mem(p, n), type, name, &any, &within))
			return false;
		p += n;
		if (any && within == (which == SUBTREES_EXCLUDED))
			return false;
	}
	return p == end;
}

/*
 * The next of a list of extensions: its OID and value. False, and *ret_bad: it cannot be read.
 *
 * Extension ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue
 * OCTET STRING }
 */
static bool next_extension(struct str *list, struct str *ret_oid, struct str *ret_value,
			   bool *ret_bad)
{
	struct str extension, critical;

	if (list->n == 0)
		return false;
	*ret_bad = true;
	if (!take(list, TAG_SEQUENCE, &extension) || !take(&extension, MBEDTLS_ASN1_OID, ret_oid))
		return false;
	(void)take(&extension, MBEDTLS_ASN1_BOOLEAN, &critical);
	if (!take(&extension, MBEDTLS_ASN1_OCTET_STRING, ret_value))
		return false;
	*ret_bad = false;
	return true;
}

/* The extensions of crt as a list; empty when it has none. */
static struct str extensions_of(const mbedtls_x509_crt *crt, bool *ret_bad)
{
	struct str all = str_mem(crt->v3_ext.p, crt->v3_ext.len), list = STR_NONE;

	*ret_bad = all.n > 0 && !take(&all, TAG_SEQUENCE, &list);
	return list;
}

bool tls_extensions_unique(const mbedtls_x509_crt *crt)
{
	struct str seen[TLS_EXTENSIONS_MAX], list, oid, value;
	size_t n = 0;
	bool bad;

	list = extensions_of(crt, &bad);
	while (next_extension(&list, &oid, &value, &bad)) {
		for (size_t i = 0; i < n; i++)
			if (str_eq(seen[i], oid))
				return false;
		if (n == TLS_EXTENSIONS_MAX)
			return false;
		seen[n++] = oid;
	}
	return !bad;
}

/* The value of the extension: empty when there is none. False when the list cannot be read. */
static bool find_constraints(const mbedtls_x509_crt *ca, struct str *ret)
{
	struct str list, oid, value;
	bool bad;

	*ret = STR_NONE;
	list = extensions_of(ca, &bad);
	while (next_extension(&list, &oid, &value, &bad)) {
		if (!str_eq(oid, STR(TLS_OID_NAME_CONSTRAINTS)))
			continue;
		if (ret->p || value.n == 0)
			return false;
		*ret = value;
	}
	return !bad;
}

/* A subject without parts has no name. */
static bool subject_allowed(struct str constraints, const mbedtls_x509_crt *crt)
{
	struct str subject = str_mem(crt->subject_raw.p, crt->subject_raw.len);

	return subject.n <= 2 ||
	       name_allowed(constraints, MBEDTLS_X509_SAN_DIRECTORY_NAME, subject);
}

bool tls_constraints_allow(const mbedtls_x509_crt *ca, const mbedtls_x509_crt *crt,
			   const struct tls_name *name)
{
	struct str constraints;

	if (!find_constraints(ca, &constraints))
		return false;
	if (!constraints.p)
		return true;
	if (!subject_allowed(constraints, crt))
		return false;
	for (const mbedtls_x509_sequence *san = &crt->subject_alt_names; san; san = san->next) {
		if (san->buf.p &&
		    !name_allowed(constraints, name_type(&san->buf), name_str(&san->buf)))
			return false;
	}
	if (!name)
		return true;
	if (name->ip_len > 0)
		return name_allowed(constraints, MBEDTLS_X509_SAN_IP_ADDRESS,
				    str_mem(name->ip, name->ip_len));
	return name_allowed(constraints, MBEDTLS_X509_SAN_DNS_NAME, str_of(name->host));
}
