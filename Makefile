# bottle: one non-recursive makefile.
#
#   make              build/bottle (static PIE, musl) and a symlink per applet
#   make check        every test; ends with "N passed, N failed, N skipped"
#   make unit         unit tests as shipped (musl); unit-<layer>: those of one layer
#   make asan-unit    the same under ASan and UBSan; asan-unit-<layer>
#   make fuzz         each fuzz harness for FUZZ_TIME seconds; fuzz-<name>: one
#   make fuzz-replay  each fuzz harness over its committed corpus
#   make lint         format, layers, static analysis
#   make soak         SOAK_MINUTES of mixed load on one egress-proxy: nothing grows, nothing fails
#   make bench demo install clean format
#
# O=DIR puts every output elsewhere; V=1 shows commands. scripts/deps.sh builds the third-party
# libraries once, into DEPS.

VERSION := 0.1.0

O            ?= build
DEPS         ?= build/deps
DESTDIR      ?=
PREFIX       ?= /usr/local
FUZZ_TIME    ?= 60
SOAK_MINUTES ?= 60
CLANG        ?= clang

MAKEFLAGS += --no-builtin-rules
SHELL     := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:
.PHONY: FORCE all programs check unit asan-unit fuzz fuzz-replay \
	lint lint-format lint-layers lint-headers lint-text lint-help lint-scripts lint-cppcheck \
	lint-tidy bench soak demo install clean format

all: $(O)/bottle $(O)/applets

# --- layers ---------------------------------------------------------------------------------------
# below_<layer>: what its code may use, nearest first, which is also the order for the linker. A
# unit test is linked with its layer and these only, so a call upward does not link;
# scripts/layers.sh checks the includes by the same rule.

MIDDLE := policy dlp ca git docker mcp ui
LAYERS := base sys net http $(MIDDLE) manifest proxy backend

below_sys      := base
below_net      := sys base
below_http     := net sys base
below_policy   := http net sys base
below_dlp      := $(below_policy)
below_ca       := $(below_policy)
below_git      := $(below_policy)
below_docker   := $(below_policy)
below_mcp      := $(below_policy)
below_ui       := $(below_policy)
below_manifest := $(MIDDLE) http net sys base
below_proxy    := manifest $(below_manifest)
below_backend  := proxy $(below_proxy)

# with_below LAYER: it and all below it, as far as they have code
with_below = $(foreach l,$1 $(below_$1),$(if $(wildcard lib/$l/*.c),$l))

TESTS     := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*/test_*.c))
BENCHES   := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))
HARNESSES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# --- configurations -------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wimplicit-fallthrough
# Paths of the build machine stay out of the binary: two clones give the same bytes.
COMMON := -std=gnu11 -D_GNU_SOURCE= -Ilib -Iapplets -Itests/unit -I$(O)/gen -g -fPIE \
	-fstack-protector-strong -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(O)=build \
	-ffile-prefix-map=$(abspath $(DEPS))=build/deps $(WARN)

# musl: what ships. The compiler is the wrapper that scripts/deps.sh makes.
cc_musl     := $(DEPS)/musl/bin/musl-gcc
cflags_musl := $(COMMON) -O2 -fstack-clash-protection -fcf-protection \
	-ftrivial-auto-var-init=zero -ffunction-sections -fdata-sections

# With musl, gcc's -static-pie silently links a dynamic program, hence its start files by hand:
# rcrt1.o relocates the program itself, no interpreter is needed.
gcc_file     = $(shell gcc -print-file-name=$1)
ldflags_musl = -static -nostartfiles $(DEPS)/musl/lib/rcrt1.o $(DEPS)/musl/lib/crti.o \
	$(call gcc_file,crtbeginS.o) -Wl,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now \
	-Wl,-z,noexecstack,--gc-sections,--build-id=sha1
ldlast_musl  = $(call gcc_file,crtendS.o) $(DEPS)/musl/lib/crtn.o

# asan: tests and fuzzers. The coverage counters are for the fuzzers and do not hurt the tests.
cc_asan      := $(CLANG)
cflags_asan  := $(COMMON) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fsanitize=fuzzer-no-link -isystem $(DEPS)/asan/include
ldflags_asan := -fsanitize=address,undefined
ldlast_asan  :=

LIBS := mbedtls mbedx509 mbedcrypto jansson yaml nghttp2

# Recipes shared by the configurations: $(config) is read off the target, $(O)/<kind>/<config>/…
config  = $(word 2,$(subst /, ,$(patsubst $(O)/%,%,$@)))
say     = $(if $(V),,@printf '  %-8s%s\n' $1 $(patsubst $(O)/%,%,$@); )mkdir -p $(@D);
banned  = $(if $(filter lib/% applets/%,$<),-include base/banned.h)
compile = $(call say,CC) $(cc_$(config)) $(cflags_$(config)) $(banned) -MMD -MP -c -o $@ $<
archive = $(call say,AR) rm -f $@; ar rcsD $@ $(filter %.o,$^)
# link CONFIG[,FLAGS[,LIBRARIES]]: the prerequisites that are objects and archives, into $@. The
# archives are a group, for mbedTLS calls libnet back (lib/net/gcm_alt.c, and in tls_chain.c by
# --wrap).
link    = $(call say,LINK) $(cc_$1) $(ldflags_$1) $2 -o $@ \
	$(filter-out $(version_$1),$(filter %.o,$^)) $(version_$1) \
	-Wl,--wrap=mbedtls_x509_crt_parse_der \
	-Wl,--start-group $(filter %.a,$^) $(patsubst %,$(DEPS)/$1/lib/lib%.a,$3 $(LIBS)) \
	-Wl,--end-group $(ldlast_$1)
# Standard input replaces $@ only if it differs, so that the time of $@ means a change.
update  = mkdir -p $(@D); cat >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The object that knows the commit is in no archive, so that a commit does not relink every test.
version_musl  := $(O)/obj/musl/lib/base/version.o
version_asan  := $(O)/obj/asan/lib/base/version.o

layer_objects  = $(filter-out $(version_$1),$(patsubst %.c,$(O)/obj/$1/%.o,$(wildcard lib/$2/*.c)))
layer_archives = $(patsubst %,$(O)/obj/$1/lib%.a,$(call with_below,$2))
# What a unit test is linked from: itself, the sources beside it not called test_*, the layers
test_layer     = $(firstword $(subst /, ,$1))
test_helpers   = $(filter-out tests/unit/$1/test_%,$(wildcard tests/unit/$1/*.c))
test_objects   = $(patsubst %.c,$(O)/obj/$1/%.o,\
	tests/unit/$2.c $(call test_helpers,$(call test_layer,$2))) \
	$(call layer_archives,$1,$(call test_layer,$2))

$(DEPS)/musl/ready $(DEPS)/asan/ready: $(DEPS)/%/ready: FORCE
	@scripts/deps.sh $* $(DEPS)
$(O)/obj/musl/flags $(O)/obj/asan/flags: $(O)/obj/%/flags: FORCE
	@echo '$(cc_$*) $(cflags_$*)' | { $(update); }

$(O)/obj/musl/%.o: %.c $(O)/obj/musl/flags $(DEPS)/musl/ready
	$(compile)
$(O)/obj/asan/%.o: %.c $(O)/obj/asan/flags $(DEPS)/asan/ready
	$(compile)
$(O)/obj/musl/lib%.a: $$(call layer_objects,musl,$$*)
	$(archive)
$(O)/obj/asan/lib%.a: $$(call layer_objects,asan,$$*)
	$(archive)
$(O)/test/musl/%: $$(call test_objects,musl,$$*) | $(version_musl)
	$(call link,musl,,cmocka)
$(O)/test/asan/%: $$(call test_objects,asan,$$*) | $(version_asan)
	$(call link,asan,,cmocka)

# --- generated sources ----------------------------------------------------------------------------

$(version_musl) $(version_asan): $(O)/gen/build_info.inc
$(O)/gen/build_info.inc: FORCE
	@scripts/build-info $(VERSION) | { $(update); }

# All of docker/ and the licences. Folders count too: their time changes when a file comes or goes.
$(O)/obj/musl/lib/base/embed.o $(O)/obj/asan/lib/base/embed.o: $(O)/gen/embed.inc
$(O)/gen/embed.inc: scripts/embed LICENSE $(shell find docker 2>/dev/null) $(DEPS)/musl/ready
	$(call say,GEN) scripts/embed $(DEPS)/licenses >$@

# --- the program ----------------------------------------------------------------------------------
# $(O)/bottle ships; $(O)/asan/bottle is the same under the sanitizers, for the tests.

applet_objects = $(patsubst %.c,$(O)/obj/$1/%.o,$(wildcard applets/*.c applets/*/*.c))

$(O)/bottle.debug: $$(call applet_objects,musl) $(version_musl) $$(call layer_archives,musl,backend)
	$(call link,musl)
$(O)/bottle: $(O)/bottle.debug
	$(call say,STRIP) objcopy --strip-all $< $@
$(O)/asan/bottle: $$(call applet_objects,asan) $(version_asan) $$(call layer_archives,asan,backend)
	$(call link,asan)

# A symlink for each line `APPLET(name, symbol)`; the file itself is their list.
$(O)/applets $(O)/asan/applets: applets/list.h
	@mkdir -p $(@D); sed -n 's/^APPLET(\([^,]*\),.*/\1/p' $< >$@
	@for name in $$(grep -vx bottle $@); do ln -sfn bottle $(@D)/$$name; done

install: all
	install -D -m 755 $(O)/bottle $(DESTDIR)$(PREFIX)/bin/bottle
	for name in $$(grep -vx bottle $(O)/applets); do \
		ln -sfn bottle $(DESTDIR)$(PREFIX)/bin/$$name; \
	done
	scripts/gen-help $(O)/bottle man $(DESTDIR)$(PREFIX)/share/man/man1

# --- tests ----------------------------------------------------------------------------------------
# tests/run counts; a program that was not built counts as failed.

programs: $(TESTS:%=$(O)/test/musl/%) $(TESTS:%=$(O)/test/asan/%) \
	$(HARNESSES:%=$(O)/fuzz/asan/fuzz_%) $(O)/asan/bottle $(O)/asan/applets

check:
	scripts/bootstrap
	+tests/run --out $(O)

layer_tests = $(patsubst %,$(O)/test/$1/%,$(filter $2/%,$(TESTS)))
unit: $(TESTS:%=$(O)/test/musl/%)
	@tests/run --out $(O) unit-musl
asan-unit: $(TESTS:%=$(O)/test/asan/%)
	@tests/run --out $(O) unit-asan
unit-%: $$(call layer_tests,musl,$$*)
	@tests/run --out $(O) unit-musl:$*
asan-unit-%: $$(call layer_tests,asan,$$*)
	@tests/run --out $(O) unit-asan:$*

# A harness is linked with the layers whose headers it includes, and what is below them.
harness_layers = $(shell sed -n 's,^\#include "\([a-z]*\)/.*,\1,p' tests/fuzz/fuzz_$1.c)
harness_below  = $(filter $(foreach l,$(call harness_layers,$1),$(call with_below,$l)),$(LAYERS))
reverse        = $(if $1,$(call reverse,$(wordlist 2,999,$1)) $(firstword $1))
harness_archives = $(patsubst %,$(O)/obj/asan/lib%.a,$(call reverse,$(call harness_below,$1)))
$(O)/fuzz/asan/fuzz_%: $(O)/obj/asan/tests/fuzz/fuzz_%.o $$(call harness_archives,$$*) \
		| $(version_asan)
	$(call link,asan,-fsanitize=fuzzer,llhttp)

fuzz-replay: $(HARNESSES:%=$(O)/fuzz/asan/fuzz_%)
	@tests/run --out $(O) fuzz-replay

# New inputs collect in $(O)/fuzz/corpus; a crash leaves its input in $(O)/fuzz.
fuzz: $(HARNESSES:%=fuzz-%)
$(HARNESSES:%=fuzz-%): fuzz-%: $(O)/fuzz/asan/fuzz_%
	@mkdir -p $(O)/fuzz/corpus/$*
	$< -max_total_time=$(FUZZ_TIME) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix=$(O)/fuzz/$*- $(O)/fuzz/corpus/$* tests/fuzz/corpus/$*

# --- lint -----------------------------------------------------------------------------------------

lint: lint-format lint-layers lint-headers lint-text lint-help lint-scripts lint-cppcheck lint-tidy
lint: all programs

C_FILES  := $(sort $(shell find lib applets tests scripts -name '*.[ch]' 2>/dev/null))
ANALYSED := $(filter lib/%.c applets/%.c,$(C_FILES))
# The files of ours that start with #!…, by language
scripts_in = $(shell git ls-files -co --exclude-standard | xargs grep -lIsE -m1 '^\#!.*[/ ]$1\b')

lint-format:
	@clang-format --dry-run -Werror $(C_FILES)
format:
	clang-format -i $(C_FILES)
lint-layers:
	@scripts/layers.sh
# Each header of lib/ compiles on its own, so the order of includes never matters.
lint-headers: $(DEPS)/musl/ready
	@for h in $(filter lib/%.h,$(C_FILES)); do \
		echo "#include \"$$h\"" | $(cc_musl) $(cflags_musl) -I. -fsyntax-only -x c -; done
lint-text:
	@scripts/lint-text.sh
# The README's table of commands comes from the program.
lint-help: all
	@scripts/gen-help $(O)/bottle check
lint-scripts:
	@shellcheck -S warning $(call scripts_in,(ba)?sh)
	@python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' \
		$(call scripts_in,python3) $(shell git ls-files -co --exclude-standard '*.py')

# Each reruns for what changed only: cppcheck keeps its results, clang-tidy follows the objects.
lint-cppcheck: $(O)/gen/build_info.inc $(O)/gen/embed.inc
	@mkdir -p $(O)/lint/cppcheck
	@cppcheck --quiet --error-exitcode=1 --std=c11 -j2 --cppcheck-build-dir=$(O)/lint/cppcheck \
		--enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem -D_GNU_SOURCE= -D__linux__ -D__x86_64__ \
		-Ilib -Iapplets -I$(O)/gen lib applets
hints = -include scripts/analyzer_hints.h -DHINTS_IN_$(*F) -Wno-unused-value
lint-tidy: $(ANALYSED:%.c=$(O)/lint/%.tidy)
$(O)/lint/%.tidy: %.c $(O)/obj/asan/%.o .clang-tidy scripts/analyzer_hints.h
	$(call say,TIDY) clang-tidy --quiet $< -- $(cflags_asan) $(banned) $(hints) >$@.log 2>&1 || \
		{ grep -v 'warnings\? generated' $@.log; exit 1; }; mv $@.log $@

# --- the rest -------------------------------------------------------------------------------------

# As shipped, with everything at hand.
$(O)/bench/%: $(O)/obj/musl/tests/bench/%.o $$(call layer_archives,musl,backend) | $(version_musl)
	$(call link,musl)
bench: all $(BENCHES:%=$(O)/bench/%)
	-scripts/bootstrap bench
	tests/bench/run --out $(O)
soak: all
	scripts/bootstrap
	BOTTLE_BUILD=$(O) tests/bench/soak --minutes $(SOAK_MINUTES)
demo:
	scripts/bootstrap
	+@$(MAKE) --no-print-directory all
	scripts/demo
# Keeps what takes minutes to make: the libraries and the agent image (scripts/base-image).
clean:
	rm -rf $(filter-out $(DEPS) $(O)/cache,$(wildcard $(O)/*))

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
