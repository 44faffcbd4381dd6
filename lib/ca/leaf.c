/*
 * Leaves: server certificates under a CA.
 */
#include <mbedtls/psa_util.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"
#include "ca/authority.h"
#include "net/addr.h"

static int parse_name(struct str name, struct cert_name *ret, struct err *err)
{
	bool wildcard = str_starts(name, STR("*."));
	struct authority a;
	struct addr ip;

	*ret = (struct cert_name){ .ip_len = 0 };
	if (addr_parse(name, 0, &ip, NULL) == 0) {
		bool v4 = ip.sa.sa_family == AF_INET;

		ret->ip_len = v4 ? 4 : 16;
		memcpy(ret->ip, v4 ? (void *)&ip.in4.sin_addr : (void *)&ip.in6.sin6_addr,
		       ret->ip_len);
		return 0;
	}
	if (url_parse_authority(wildcard ? str_from(name, 2) : name, 443, &a, err) < 0)
		return err_wrap(err, "'%.*s'", STR_ARG(name));
	if (a.has_port || (wildcard && a.is_ip) ||
	    authority_host(&a).n + 2 * wildcard > URL_HOST_MAX)
		return err_set(err, E_BAD, "'%.*s' is neither a host name nor an address",
			       STR_ARG(name));
	memcpy(ret->dns, "*.", wildcard ? 2 : 0);
	memcpy(ret->dns + 2 * wildcard, a.host, sizeof(a.host) - 2 * wildcard);
	return 0;
}

static int parse_names(const struct str *names, size_t count, struct cert_name *ret,
		       struct err *err)
{
	if (count < 1 || count > CA_NAMES_MAX)
		return err_set(err, E_USAGE, "a certificate takes 1 to %d names, not %zu",
			       CA_NAMES_MAX, count);
	for (size_t i = 0; i < count; i++)
		if (parse_name(names[i], &ret[i], err) < 0)
			return -1;
	return 0;
}

/* The subject's CN is for people; clients read the SAN (RFC 9525). It has a maximum of its own. */
static const char *common_name(struct str first, char text[CA_COMMON_NAME_MAX + 1])
{
	if (first.n > CA_COMMON_NAME_MAX)
		return NULL;
	memcpy(text, first.p, first.n);
	text[first.n] = '\0';
	return text;
}

/* Signs a leaf for this key; ret->key_der is the caller's business. */
static int issue(const struct ca *ca, const struct str *names, size_t count,
		 const struct cert_public_key *key, int days, struct ca_leaf *ret, struct err *err)
{
	struct cert_name parsed[CA_NAMES_MAX];
	char cn[CA_COMMON_NAME_MAX + 1];
	int64_t now = (int64_t)time(NULL);
	struct cert_spec spec;
	auto_buf der = BUF_INIT(CA_DER_MAX);

	if (parse_names(names, count, parsed, err) < 0)
		return -1;
	if (now >= ca->not_after)
		return err_set(err, E_DENIED, "the CA has expired");
	spec = (struct cert_spec){
		/* Signing changes the context's blinding values only. */
		.issuer_key = (mbedtls_pk_context *)(uintptr_t)&ca->key,
		.issuer = str_mem(ca->cert.subject_raw.p, ca->cert.subject_raw.len),
		.issuer_key_id = ca->key_id,
		.common_name = common_name(names[0], cn),
		.key = key,
		.not_before = now - CA_BACKDATE,
		.not_after = now + (int64_t)days * CA_DAY,
		.names = parsed,
		.name_count = count,
	};
	if (spec.not_before < ca->not_before)
		spec.not_before = ca->not_before;
	/* The last second counts (RFC 5280 4.1.2.5). */
	if (spec.not_after > spec.not_before + (int64_t)CA_LEAF_DAYS_MAX * CA_DAY - 1)
		spec.not_after = spec.not_before + (int64_t)CA_LEAF_DAYS_MAX * CA_DAY - 1;
	if (spec.not_after > ca->not_after)
		spec.not_after = ca->not_after;
	if (cert_write(&spec, &der, err) < 0)
		return -1;
	ret->not_after = spec.not_after;
	ret->cert_der = buf_take(&der, &ret->cert_len);
	return 0;
}

int ca_leaf_new(const struct ca *ca, const struct str *names, size_t count, enum ca_key key,
		int days, struct ca_leaf *ret, struct err *err)
{
	__attribute__((cleanup(mbedtls_pk_free))) mbedtls_pk_context pk;
	struct cert_public_key public;
	auto_buf der = BUF_INIT_SECRET(CA_DER_MAX);

	mbedtls_pk_init(&pk);
	if (days < 1 || days > CA_LEAF_DAYS_MAX)
		return err_set(err, E_USAGE, "days must be 1 to %d, not %d", CA_LEAF_DAYS_MAX,
			       days);
	if (ca_generate(&pk, key, err) < 0 || cert_public_key(&pk, &public, err) < 0 ||
	    cert_write_key(&pk, &der, err) < 0 ||
	    issue(ca, names, count, &public, days, ret, err) < 0)
		return -1;
	ret->key_der = buf_take(&der, &ret->key_len);
	return 0;
}

static int make_shared_key(struct ca_shared_key *shared, struct err *err)
{
	__attribute__((cleanup(mbedtls_pk_free))) mbedtls_pk_context pk;

	mbedtls_pk_init(&pk);
	buf_clear(&shared->der);
	if (ca_generate(&pk, CA_KEY_P256, err) < 0 ||
	    cert_public_key(&pk, &shared->public, err) < 0 ||
	    cert_write_key(&pk, &shared->der, err) < 0)
		return -1;
	shared->made = true;
	return 0;
}

int ca_leaf_mint(struct ca *ca, struct str name, struct ca_leaf *ret, struct err *err)
{
	struct str key;

	if (!ca->shared.made && make_shared_key(&ca->shared, err) < 0)
		return -1;
	if (issue(ca, &name, 1, &ca->shared.public, CA_MINT_DAYS, ret, err) < 0)
		return -1;
	key = buf_str(&ca->shared.der);
	ret->key_der = mem_dup(key.p, key.n);
	ret->key_len = key.n;
	return 0;
}

void ca_leaf_fini(struct ca_leaf *leaf)
{
	free(leaf->cert_der);
	mem_free_secret(leaf->key_der, leaf->key_len);
	*leaf = (struct ca_leaf){ .cert_der = NULL };
}
