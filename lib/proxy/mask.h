/*
 * mask: an injected credential that comes back is blotted out, in headers and in streamed bodies.
 *
 * Works on a stream of pieces: bytes leave at once unless they are the beginning of a secret, in
 * which case just those are held until the next bytes decide. A masked secret keeps its length, so
 * that Content-Length stays true.
 */
#ifndef BOTTLE_PROXY_MASK_H
#define BOTTLE_PROXY_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/msg.h"

struct mask;

#define MASK_MIN 6 /* a shorter credential would blot out ordinary text */
#define MASK_SECRETS_MAX 4

/* The secrets are copied and wiped with the mask. Secrets shorter than MASK_MIN are left out; NULL
 * when none remain. */
struct mask *mask_new(const struct str *secrets, size_t count);
void mask_free(struct mask *m);

/*
 * Nothing is held back, and no secret and no beginning of one is in the piece: it may leave as it
 * is, and mask_feed need not see it. Fast; false also for a piece with something very like a secret.
 */
bool mask_passes(const struct mask *m, struct str piece);
/*
 * Appends what may leave now to `out`. Afterwards mask_hits tells how often something was masked so
 * far.
 */
int mask_feed(struct mask *m, struct str in, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));
/* End of the body: a held-back beginning that stayed incomplete leaves as it is. */
int mask_finish(struct mask *m, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Masks reason, field names and values of a head in place (copies go into its arena), between
 * bodies. -1: E_LIMIT.
 */
int mask_head(struct mask *m, struct msg *head, struct err *err)
	__attribute__((warn_unused_result));
/* The same for trailers, after mask_finish: a masked copy in the arena. */
int mask_trailers(struct mask *m, const struct fields *trailers, struct arena *a,
		  struct fields *ret, struct err *err) __attribute__((warn_unused_result));
/*
 * Masks a text of ours that may quote what the upstream said, in place; whatever body was under way
 * is given up.
 */
void mask_line(struct mask *m, char *text);
unsigned mask_hits(const struct mask *m);

#endif
