/*
 * Sessions of a client, to be resumed: what servers gave us, kept per scope and host.
 *
 * A resumed connection shows no certificate; it stands on the verification of the connection that
 * its session comes from. So a session is kept only when that one was verified, for as long as
 * every certificate of its chain is valid and TLS_RESUME_SECONDS at most, and sessions that are
 * given over a resumed connection inherit that end: a chain of renewals cannot outlive it (RFC 8446
 * 4.6.1). Other trust anchors end them all.
 */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "net/tls_priv.h"

struct tls_session {
	struct tls_session *next;
	char *scope, *host;
	bool tls13;
	time_t since, expires;
	time_t trusted_until; /* of the verification that this stands on */
	size_t len;
	unsigned char *saved; /* mbedTLS's form: holds keys */
};

static void drop(struct tls_sessions *all, struct tls_session **link)
{
	struct tls_session *s = *link;

	*link = s->next;
	all->count--;
	mem_free_secret(s->saved, s->len);
	free(s->scope);
	free(s->host);
	free(s);
}

static bool is_for(const struct tls_session *s, const char *scope, const char *host)
{
	return strcmp(s->scope, scope) == 0 && strcmp(s->host, host) == 0;
}

/* A clock that was set back makes ages unknown. */
static bool expired(const struct tls_session *s, time_t now)
{
	return now < s->since || now >= s->expires;
}

void tls_sessions_clear(struct tls_sessions *all)
{
	while (all->newest)
		drop(all, &all->newest);
	all->generation++;
}

static void forget(struct tls_sessions *all, const char *scope, const char *host)
{
	for (struct tls_session **link = &all->newest; *link;) {
		if (is_for(*link, scope, host))
			drop(all, link);
		else
			link = &(*link)->next;
	}
}

/* Back within the limits, oldest out first; the newest is the one that was added. */
static void prune(struct tls_sessions *all, time_t now)
{
	const struct tls_session *added = all->newest;
	size_t same = 0, n = 0;

	for (struct tls_session **link = &all->newest; *link;) {
		bool sibling = is_for(*link, added->scope, added->host);

		if (expired(*link, now) || n == TLS_SESSIONS_MAX ||
		    (sibling && same == TLS_SESSIONS_PER_SCOPE)) {
			drop(all, link);
			continue;
		}
		same += sibling;
		n++;
		link = &(*link)->next;
	}
}

void tls_sessions_put(struct tls_sessions *all, const char *scope, const char *host,
		      const mbedtls_ssl_session *session, time_t trusted_until, time_t now)
{
	bool tls13 = session->MBEDTLS_PRIVATE(tls_version) == MBEDTLS_SSL_VERSION_TLS1_3;
	size_t ticket_len = session->MBEDTLS_PRIVATE(ticket_len), len = 0;
	uint32_t lifetime = session->MBEDTLS_PRIVATE(ticket_lifetime);
	struct tls_session *s;

	if (ticket_len == 0 && session->MBEDTLS_PRIVATE(id_len) == 0)
		return;
	/* RFC 5077 3.3: no lifetime is "you decide". */
	if (lifetime == 0 || lifetime > TLS_RESUME_SECONDS)
		lifetime = TLS_RESUME_SECONDS;
	if (ticket_len > TLS_TICKET_MAX || trusted_until <= now)
		return;
	(void)mbedtls_ssl_session_save(session, NULL, 0, &len);
	s = mem_new(struct tls_session);
	s->saved = mem_alloc(len);
	if (mbedtls_ssl_session_save(session, s->saved, len, &s->len) != 0) {
		mem_free_secret(s->saved, len);
		free(s);
		return;
	}
	s->scope = mem_strdup(scope);
	s->host = mem_strdup(host);
	s->tls13 = tls13;
	s->since = now;
	s->trusted_until = trusted_until;
	s->expires =
		now + (time_t)lifetime < trusted_until ? now + (time_t)lifetime : trusted_until;
	if (!tls13) /* it can be used again and again, so one is enough */
		forget(all, scope, host);
	s->next = all->newest;
	all->newest = s;
	all->count++;
	prune(all, now);
}

static bool load(const struct tls_session *s, mbedtls_ssl_context *ssl)
{
	mbedtls_ssl_session session;
	int ret;

	mbedtls_ssl_session_init(&session);
	ret = mbedtls_ssl_session_load(&session, s->saved, s->len);
	if (ret == 0)
		ret = mbedtls_ssl_set_session(ssl, &session);
	mbedtls_ssl_session_free(&session); /* wipes it */
	return ret == 0;
}

bool tls_sessions_offer(struct tls_sessions *all, const char *scope, const char *host, time_t now,
			mbedtls_ssl_context *ssl, struct tls_offer *ret_offer)
{
	for (struct tls_session **link = &all->newest; *link;) {
		struct tls_session *s = *link;
		bool loaded;

		if (!is_for(s, scope, host)) {
			link = &s->next;
			continue;
		}
		loaded = !expired(s, now) && load(s, ssl);
		if (loaded)
			*ret_offer = (struct tls_offer){ s->tls13, s->trusted_until };
		if (loaded && !s->tls13) {
			*link = s->next;
			s->next = all->newest;
			all->newest = s;
			return true;
		}
		/* RFC 8446 C.4: a ticket that is shown twice links the connections to each other. */
		drop(all, link);
		if (loaded)
			return true;
	}
	return false;
}

/* --- of one connection -------------------------------------------------------------------------- */

void tls_resume_begin(struct tls *t, struct tls_sessions *all, const char *scope)
{
	struct tls_resume *r = &t->resume;

	r->all = all;
	r->generation = all->generation;
	r->scope = mem_strdup(scope);
	r->offered = tls_sessions_offer(all, scope, t->host, time(NULL), &t->ssl, &r->offer);
}

static void keep(struct tls *t)
{
	struct tls_resume *r = &t->resume;

	if (r->all && r->generation == r->all->generation)
		tls_sessions_put(r->all, r->scope, t->host, t->ssl.MBEDTLS_PRIVATE(session),
				 r->trusted_until, time(NULL));
}

/*
 * With TLS 1.2 the session is there when the handshake is over; it stays the same when resumed. One
 * that was offered has limited our hello to its version: when the server declined it, the session
 * that came instead would go on keeping us at 1.2, even with a server that has 1.3 by now.
 */
void tls_resume_up(struct tls *t)
{
	struct tls_resume *r = &t->resume;
	time_t verified_until = tls_verify_until(t->verify);

	r->resumed = verified_until == 0;
	r->trusted_until = r->resumed ? r->offer.trusted_until : verified_until;
	if (!r->all || mbedtls_ssl_get_version_number(&t->ssl) != MBEDTLS_SSL_VERSION_TLS1_2)
		return;
	if (r->offered && !r->resumed)
		forget(r->all, r->scope, t->host);
	else if (!r->resumed)
		keep(t);
}

/* With TLS 1.3 they come afterwards. */
void tls_resume_ticket(struct tls *t)
{
	keep(t);
}

/* RFC 5246 7.2.2: after a fatal alert a session is not resumed. */
void tls_resume_failed(struct tls *t)
{
	struct tls_resume *r = &t->resume;

	if (!r->all)
		return;
	forget(r->all, r->scope, t->host);
	r->refused = r->offered && t->verify && tls_verify_until(t->verify) == 0;
}
