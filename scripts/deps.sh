#!/bin/bash
# Builds the third-party libraries of scripts/deps.lock, each once per configuration.
#
#   scripts/deps.sh musl|asan [OUTDIR]        (OUTDIR: build/deps)
#
#   musl   what ships: musl itself, then everything with its compiler wrapper, static
#   asan   clang, glibc, AddressSanitizer: for tests and fuzzers
#
# Results: OUTDIR/<config>/{include,lib}, OUTDIR/licenses/<name>, and OUTDIR/<config>/ready, whose
# time changes only when a library was rebuilt (the Makefile's objects depend on it).
#
# A tarball is taken from $BOTTLE_DEPS_DIR, else from Debian's source package in $suite (through apt,
# with lists of our own), else from the project's release URL; its hash must match in every case.
#
# To add a library: its line in deps.lock and a function build_<name> below, which runs in the
# unpacked source and installs into $prefix.
set -euo pipefail
cd "$(dirname "$0")/.."

config=${1:?usage: scripts/deps.sh musl|asan [OUTDIR]}
mkdir -p "${2:-build/deps}"
out=$(cd "${2:-build/deps}" && pwd -P)
prefix=$out/$config
here=$PWD/scripts
suite=trixie

harden='-fstack-protector-strong -fstack-clash-protection -fcf-protection -ftrivial-auto-var-init=zero'
case $config in
musl)
	names='musl mbedtls libyaml jansson nghttp2 cmocka'
	CC=$prefix/bin/musl-gcc
	CFLAGS="-O2 -fPIE -ffunction-sections -fdata-sections $harden"
	;;
asan)
	names='mbedtls libyaml jansson nghttp2 cmocka llhttp'
	CC=clang
	CFLAGS='-O1 -g -fPIE -fno-omit-frame-pointer -fsanitize=address'
	;;
*)
	echo "deps: unknown configuration '$config' (musl or asan)" >&2
	exit 2
	;;
esac

# --- one function per library -------------------------------------------------------------------

build_musl() {
	./configure --prefix="$prefix" --syslibdir="$prefix/lib" --disable-shared \
		--enable-wrapper=gcc CC=gcc CFLAGS="-O2 -fPIE $map"
	make -j"$jobs"
	make install
	# musl-gcc hides the system's include folder; the kernel's interface headers are wanted from it.
	local dir
	for dir in linux asm asm-generic; do
		ln -sfn "$(kernel_headers $dir)" "$prefix/include/$dir"
	done
}

build_mbedtls() {
	# Of ours; each says why it is there.
	cp "$here/mbedtls_config.h" include/mbedtls/
	cp "$here/mbedtls_gcm_alt.h" include/mbedtls/gcm_alt.h
	cp "$here"/mbedtls_*.c library/
	# The two -m flags only let the intrinsics compile; the code asks the CPU before it uses them.
	local flags="$CFLAGS $map -maes -mpclmul"
	make -j"$jobs" -C library CC="$CC" CFLAGS="$flags" static
	cd library
	ours() { "$CC" $flags -Wall -Wextra -I. -I../include -I../3rdparty/everest/include -c "$@"; }
	ours mbedtls_entropy.c
	ours mbedtls_gcm_stock.c
	ours mbedtls_ecdsa_stock.c
	ours mbedtls_psa_ecp.c -o psa_crypto_ecp.o # instead of the library's
	ar rs libmbedcrypto.a mbedtls_entropy.o mbedtls_gcm_stock.o mbedtls_ecdsa_stock.o \
		psa_crypto_ecp.o
	cd ..
	cp -R include/mbedtls include/psa 3rdparty/everest/include/everest "$prefix/include/"
	cp library/libmbed{tls,x509,crypto}.a "$prefix/lib/"
}

build_libyaml() {
	cmake_static -DBUILD_TESTING=OFF
}

build_jansson() {
	cmake_static -DJANSSON_BUILD_DOCS=OFF -DJANSSON_EXAMPLES=OFF -DJANSSON_WITHOUT_TESTS=ON
}

build_nghttp2() {
	cmake_static -DENABLE_LIB_ONLY=ON -DBUILD_STATIC_LIBS=ON -DBUILD_TESTING=OFF -DENABLE_DOC=OFF
}

build_cmocka() {
	CFLAGS=${CFLAGS/ -fsanitize=address/}
	cmake_static -DWITH_STATIC_LIB=ON -DWITH_EXAMPLES=OFF -DUNIT_TESTING=OFF
}

# With the counters, so that its branches guide the fuzzer too. Nothing else is linked with it.
build_llhttp() {
	local flags="$CFLAGS $map -fsanitize=fuzzer-no-link"
	cd deps/llhttp
	mv LICENSE-MIT "$work/LICENSE" # in place of Node's, which is about all that it bundles
	"$CC" $flags -Iinclude -c src/api.c src/http.c src/llhttp.c
	ar rcsD "$prefix/lib/libllhttp.a" api.o http.o llhttp.o
	cp include/llhttp.h "$prefix/include/"
}

# --- helpers ------------------------------------------------------------------------------------

say() { echo "deps: $*"; }
die() { echo "deps: $*" >&2; exit 1; }

kernel_headers() {
	local dir
	for dir in /usr/include /usr/include/"$(gcc -print-multiarch)"; do
		[ -d "$dir/$1" ] && { echo "$dir/$1"; return; }
	done
	die "kernel headers <$1/> not found (package linux-libc-dev)"
}

# cmake_static FLAG…: configure, build and install the library in the current folder. The system
# name makes it a cross build, so nothing of the build machine is probed by running it.
cmake_static() {
	cmake -S . -B b -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_C_COMPILER="$CC" \
		-DCMAKE_C_FLAGS="$CFLAGS $map" -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=OFF \
		-DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib "$@"
	cmake --build b -j"$jobs"
	cmake --install b
}

hash_ok() { echo "$2  $1" | sha256sum --check --status 2>/dev/null; }

# From Debian: a source list and state folder of our own, so the system's lists are not touched.
# The mirror is the one this machine already uses for its own release.
from_debian() {
	local package=$1 dir=$out/apt mirror codename
	[ "$package" != - ] && command -v apt-get >/dev/null || return 1
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' |
		awk -v c="$codename" '$1 == c && $2 == "main" && !found { print $3; found = 1 }')
	[ -n "$mirror" ] || return 1
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/get"
	cat >"$dir/$suite.sources" <<-END
		Types: deb-src
		URIs: $mirror
		Suites: $suite
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	local apt=(apt-get -qq -o Acquire::Retries=3 -o "Dir::Etc::sourcelist=$dir/$suite.sources"
		-o Dir::Etc::sourceparts=- -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache"
		-o APT::Sandbox::User=root)
	if [ -z "${apt_ready:-}" ]; then
		"${apt[@]}" update || return 1
		apt_ready=1
	fi
	(cd "$dir/get" && "${apt[@]}" source --download-only --tar-only "$package") || return 1
}

from_url() {
	[ "$1" != - ] && command -v curl >/dev/null &&
		curl -fsSL --connect-timeout 20 --retry 2 -o "$2" "$1"
}

# get NAME: leaves the verified tarball in $out/src/<tarball>
get() {
	local name=$1 file=$out/src/$tarball candidate
	hash_ok "$file" "$sha256" && return
	mkdir -p "$out/src"
	if [ -n "${BOTTLE_DEPS_DIR:-}" ]; then
		candidate=$BOTTLE_DEPS_DIR/$tarball
		if [ -e "$candidate" ]; then
			hash_ok "$candidate" "$sha256" || die "$candidate: hash differs from deps.lock"
			cp "$candidate" "$file"
			return
		fi
	fi
	say "$name $version: fetching"
	from_debian "$package" || say "$name: not from a Debian source package"
	for candidate in "$out/apt/get/${package}_$version.orig.tar".*; do
		hash_ok "$candidate" "$sha256" && { mv "$candidate" "$file"; return; }
	done
	from_url "$url" "$file.part" || say "$name: not from $url"
	hash_ok "$file.part" "$sha256" && { mv "$file.part" "$file"; return; }
	rm -f "$file.part"
	die "$name $version: no source has $tarball with SHA-256 $sha256." \
		"Put it into a folder and set BOTTLE_DEPS_DIR to that."
}

# What a built library depends on; its stamp holds this, so a change of any part rebuilds it.
key() {
	echo "$name $version $sha256 $prefix $CC $CFLAGS"
	declare -f "build_$name" cmake_static
	[ "$name" != mbedtls ] || cat "$here"/mbedtls_*
}

build() {
	local work=$out/work/$config/$name log=$out/$config-$name.log
	get "$name"
	say "$name $version ($config): building"
	rm -rf "$work"
	mkdir -p "$work" "$prefix/include" "$prefix/lib" "$prefix/stamp" "$out/licenses"
	tar -xf "$out/src/$tarball" -C "$work" --strip-components=1
	local map="-ffile-prefix-map=$work=$name-$version"
	# A subshell of its own, not a condition: `set -e` would be off inside one.
	set +e
	(set -e; cd "$work"; "build_$name") >"$log" 2>&1 </dev/null
	local rc=$?
	set -e
	[ $rc -eq 0 ] || { tail -n 40 "$log" >&2; die "$name: build failed, see $log"; }
	local notice
	# The last one counts: nghttp2's LICENSE only points at its COPYING.
	for notice in LICENSE License COPYRIGHT COPYING; do
		[ ! -e "$work/$notice" ] || cp "$work/$notice" "$out/licenses/$name"
	done
	[ -s "$out/licenses/$name" ] || die "$name: no licence file found"
	rm -rf "$work" "$log"
}

# --- run ----------------------------------------------------------------------------------------

jobs=$(nproc)
export LC_ALL=C
unset MAKEFLAGS MFLAGS MAKELEVEL

# Everything is rebuilt after a rebuilt musl, which the order of the lock file makes first.
update() {
	local changed=
	while read -r name version sha256 tarball package url; do
		case $name in '#'* | '') continue ;; esac
		case " $names " in *" $name "*) ;; *) continue ;; esac
		if [ -z "$changed" ]; then
			[ "$(key)" != "$(cat "$prefix/stamp/$name" 2>/dev/null)" ] || continue
		fi
		[ "$1" = build ] || return 1
		build </dev/null
		key >"$prefix/stamp/$name"
		[ "$name" != musl ] || changed=1
		touch "$prefix/ready"
	done <"$here/deps.lock"
	[ -e "$prefix/ready" ]
}

update check && exit 0
for tool in gcc make cmake bzip2 xz "${CC%%/*}"; do
	[ -z "$tool" ] || command -v "$tool" >/dev/null || die "$tool is not installed: run scripts/bootstrap"
done
exec 9>"$out/.lock"
flock -n 9 || { say "another build of the libraries is running; waiting for it"; flock 9; }
update build
