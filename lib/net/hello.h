/*
 * hello: the server name in a TLS ClientHello, read without taking part in the handshake.
 *
 * For connections that are spliced through untouched: the name is checked, nothing is decrypted.
 */
#ifndef BOTTLE_NET_HELLO_H
#define BOTTLE_NET_HELLO_H

#include "base/err.h"
#include "base/str.h"

enum hello_result {
	HELLO_MORE, /* incomplete so far */
	HELLO_DONE,
	HELLO_BAD, /* not a ClientHello, or one that contradicts itself: err */
};

/*
 * `bytes` are the first ones of a connection (records of RFC 8446 5.1, possibly several: the hello
 * may be split). On HELLO_DONE *ret_sni is the host_name of RFC 6066 3 as sent (a view into
 * `scratch`), empty when there is none. More than one name, or a second server_name extension, is
 * bad. scratch: HELLO_MAX bytes.
 */
#define HELLO_MAX 16384
enum hello_result hello_sni(struct str bytes, char *scratch, struct str *ret_sni, struct err *err);

#endif
