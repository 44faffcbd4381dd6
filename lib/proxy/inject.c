#include "proxy/inject.h"

#include "base/buf.h"
#include "base/enc.h"
#include "base/limits.h"
#include "proxy/tokens.h"

int inject_credential(struct msg *m, const struct route *route, struct str value,
		      struct mask **ret_mask, struct err *err)
{
	auto_buf field = BUF_INIT_SECRET(2 * TOKEN_VALUE_MAX);
	auto_buf basic = BUF_INIT_SECRET(2 * TOKEN_VALUE_MAX);
	struct str name = STR("Authorization");
	struct str secrets[2] = { value, STR_NONE };
	ssize_t colon;

	switch (route->auth) {
	case AUTH_BEARER:
		if (buf_addz(&field, "Bearer ", err) < 0)
			return -1;
		break;
	case AUTH_TOKEN:
		if (buf_addz(&field, "token ", err) < 0)
			return -1;
		break;
	case AUTH_BASIC:
		if (enc_base64(&basic, value, err) < 0 || buf_addz(&field, "Basic ", err) < 0)
			return -1;
		secrets[1] = buf_str(&basic);
		/* The password alone is the secret; the user's name may well be part of an answer. */
		colon = str_chr(value, ':', 0);
		if (colon >= 0)
			secrets[0] = str_from(value, (size_t)colon + 1);
		value = buf_str(&basic);
		break;
	case AUTH_HEADER:
		name = str_of(route->auth_header);
		break;
	case AUTH_NONE:
		return err_set(err, E_BAD, "a route without auth has no credential");
	}
	if (buf_add(&field, value, err) < 0 || msg_set(m, name, buf_str(&field), err) < 0 ||
	    msg_set(m, STR("Accept-Encoding"), STR("identity"), err) < 0)
		return -1;
	*ret_mask = mask_new(secrets, 2);
	return 0;
}
