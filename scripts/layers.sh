#!/bin/sh
# Checks who includes whom, in lib/ and applets/. A folder may include itself and the folders before
# it; those of the middle group (on one line below) not one another. Some libraries' headers are
# kept behind one wrapper, so that a change of library stays a change of one file.
set -eu
cd "$(dirname "$0")/.."

grep -rn --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' lib applets | awk '
BEGIN {
	order = "base;sys;net;http;policy dlp ca git docker mcp ui;manifest;proxy;backend;applets"
	for (n = split(order, rank_of, ";"); n > 0; n--) {
		m = split(rank_of[n], folder, " ")
		for (i = 1; i <= m; i++)
			rank[folder[i]] = n
	}
	# library header -> the files that may include it
	only["mbedtls/ssl"] = "^lib/net/tls[a-z0-9_]*[.][ch]:"
	only["mbedtls/x509"] = "^lib/(ca/|net/tls)[a-z0-9_]*[.][ch]:"
	only["nghttp2"] = "^lib/http/h2[a-z0-9_]*[.][ch]:"
	only["jansson"] = "^lib/base/json[.]c:"
	only["yaml.h"] = "^lib/base/yaml[.]c:"
}
function bad(why) { print $0 " -- " why; failed = 1 }
{
	split($0, part, ":")
	me = part[1]; sub(/^lib\//, "", me); sub(/\/.*/, "", me)
	match($0, /[<"][^>"]*/); header = substr($0, RSTART + 1, RLENGTH - 1)
	quoted = substr($0, RSTART, 1) == "\""
	for (name in only)
		if (!quoted && index(header, name) == 1 && $0 !~ only[name])
			bad("only " only[name] " may")
	if (!quoted || index(header, "/") == 0)
		next
	you = header; sub(/\/.*/, "", you)
	if (me == "applets" && !(you in rank))
		next # a folder of applets/, which are on the include path too
	if (!(you in rank))
		bad("no such layer; write the path from lib/")
	else if (you != me && rank[you] >= rank[me])
		bad(me " is not above " you)
}
END { exit failed }'
