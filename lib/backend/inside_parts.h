/*
 * inside_parts: the steps of inside_provision. Private to this folder.
 */
#ifndef BOTTLE_BACKEND_INSIDE_PARTS_H
#define BOTTLE_BACKEND_INSIDE_PARTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

/* The agent's user, as the image or the plan says. */
struct inside_user {
	uid_t uid;
	gid_t gid;
	char *home;
};

/* inside_user.c: "UID", "UID:GID", "NAME", "NAME:GROUP"; `home` may be NULL: the image's. A number
 * the image has no name for gets one, since ssh and git refuse to run without. */
int inside_user_find(struct str spec, const char *home, struct inside_user *ret, struct err *err)
	__attribute__((warn_unused_result));
/* mkdir -p; what is created is the user's. */
int inside_user_dir(const struct inside_user *u, const char *path, struct err *err)
	__attribute__((warn_unused_result));
/* A file of the user's, with the directories it needs. */
int inside_user_file(const struct inside_user *u, const char *path, mode_t mode, struct str content,
		     struct err *err) __attribute__((warn_unused_result));
/* Gives a tree to the user, links themselves and not what they point to. */
int inside_user_own(const struct inside_user *u, const char *path, struct err *err)
	__attribute__((warn_unused_result));

/* inside_trust.c: the bottle's CA certificate, in PEM, for every program of the image. */
int inside_trust(const struct inside_user *u, struct str pem, struct err *err)
	__attribute__((warn_unused_result));

/* inside_hosts.c: "text" with our block of names replaced. */
int inside_hosts_text(struct str text, const struct json *hosts, struct buf *out, struct err *err)
	__attribute__((warn_unused_result));

#endif
