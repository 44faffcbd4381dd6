#!/bin/bash
# Rules for text that no compiler checks, over all tracked files. Part of `make lint`.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=0
# rule WHY GREP-PATTERN PATH…: no line of these files may match (an allowed line says why: "lint: …")
rule() {
	local why=$1 pattern=$2
	shift 2
	git grep -nP -I "$pattern" -- "$@" ':!scripts/lint-text.sh' ':!LICENSE' | grep -v 'lint: ' || return 0
	echo "^ $why"
	failed=1
}

rule 'work left over: do it, or file an issue' '\b(TODO|FIXME|XXX|HACK)\b' .
rule 'trailing white space' '[ \t]+$' . ':!tests/fuzz/corpus' ':!tests/cases' ':!*.md'
# What the compiler poisons in lib/ and applets/ (lib/base/banned.h) is no better in a test.
rule 'banned function' \
	'\b(strcpy|strcat|strncpy|strncat|v?sprintf|strtok|gets|ato[il]|atoll|sscanf|system|popen|alloca|tmpnam|mktemp)\s*\(' \
	'*.[ch]' ':!lib/base/banned.h'
rule 'the library returns errors, it does not print or exit' \
	'\b(v?printf|puts|putchar|perror|exit|err|errx|warnx)\s*\(' 'lib/*.c'
rule 'a check switched off without its reason' 'NOLINT(NEXTLINE)?(\([^)]*\))?\s*(\*/)?\s*$' '*.[ch]'
exit $failed
