# heatcast: build, run, test. `make help` lists the targets.

MODE   ?= release
PREFIX ?= /usr/local
LISTEN ?= 127.0.0.1:8000
DATA   ?= data
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(MODE)),clang,gcc)
endif

B := build/$(MODE)
SUBMAKE := $(MAKE) --no-print-directory -j$(shell nproc)
PACKAGES := libuv hiredis jansson libxxhash libzip libcrypto zlib libcurl duckdb
FLAGS.release := -O2 -g
FLAGS.debug   := -O0 -g
FLAGS.asan    := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FLAGS.tsan    := -O1 -g -fsanitize=thread
FLAGS.fuzz    := $(FLAGS.asan) -fsanitize=fuzzer-no-link
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || cat $B/version 2>/dev/null || echo 0.1.0)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS   += -std=c17 -D_GNU_SOURCE $(WARNINGS) $(FLAGS.$(MODE)) -fstack-protector-strong
CPPFLAGS += -Isrc
# Not on a bare machine: there, setup comes first and calls make again.
ifneq ($(wildcard .deps/pkgconfig/duckdb.pc),)
PKG_CONFIG := PKG_CONFIG_PATH=$(CURDIR)/.deps/pkgconfig:$$PKG_CONFIG_PATH pkg-config
CPPFLAGS += $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
LDLIBS   += $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lm -lpthread
DUCKDB_LIBRARY := $(shell $(PKG_CONFIG) --variable=libdir duckdb)
# Built programs find DuckDB where setup put it; an installed one in lib/heatcast beside its bin.
ifneq ($(DUCKDB_LIBRARY),)
RPATH := -Wl,-rpath,$(DUCKDB_LIBRARY)
RPATH_INSTALLED := -Wl,-rpath,'$$ORIGIN/../lib/heatcast'
endif
endif

SOURCES := $(sort $(wildcard src/*.c src/*/*.c))
OBJECTS := $(SOURCES:%.c=$B/%.o)
# Another with each commit, it makes the program anew, and no test.
VERSIONED := $B/src/base/version.o
LIBRARY := $(filter-out $B/src/main.o $(VERSIONED),$(OBJECTS))
UNIT    := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/test_*.c))
BENCHES := $(patsubst bench/%.c,$B/bench/%,$(wildcard bench/*.c))
BENCHED := $(addprefix $B/bench/,load bare bare-uring)
FUZZERS := $(patsubst fuzz/%.c,$B/fuzz/%,$(filter-out fuzz/replay.c,$(wildcard fuzz/*.c)))
# Fuzzing has libFuzzer's main(); everywhere else a target only replays its corpus.
FUZZ_MAIN := $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer,$B/fuzz/replay.o)
C_FILES := $(wildcard src/*.[ch] src/*/*.[ch] tests/unit/*.[ch] fuzz/*.[ch] bench/*.[ch])

# `make V=1` shows whole command lines.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' '$1' '$(subst $(CURDIR)/,,$2)')

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo 'settings: MODE=release|debug|asan|tsan LISTEN=$(LISTEN) DATA=$(DATA) PREFIX=$(PREFIX)'

build: setup ## build build/heatcast, after installing what a Debian machine lacks
	@$(SUBMAKE) program

run: build ## serve the dumps under DATA=data as a replay, or a simulated market, on LISTEN=127.0.0.1:8000
	@exec scripts/run "$(DATA)" "$(LISTEN)"

test: setup-test ## every test: unit, reference vectors, CLI, HTTP, WebSocket, page
	@$(SUBMAKE) program unit-tests $B/bench/load $B/bench/bare
	@scripts/test

test-cluster: setup-test ## several servers, Redis and nginx: what `make test` has of it, and what takes long
	@$(SUBMAKE) program
	@scripts/test cluster

asan: setup-test ## the same tests under AddressSanitizer and UBSan
	@$(SUBMAKE) MODE=asan program unit-tests
	@MODE=asan scripts/test

tsan: setup-test ## the same tests under ThreadSanitizer
	@$(SUBMAKE) MODE=tsan program unit-tests
	@MODE=tsan scripts/test

fuzz: setup-fuzz ## look for faults with libFuzzer: T=client|http|inflate|peer_message|publish|replay_body|ws SECONDS=600
	$(if $(T),@$(SUBMAKE) MODE=fuzz build/fuzz/fuzz/$(T))
	@scripts/fuzz $(T) $(SECONDS)

conformance: build ## the public WebSocket suite's wstest, from PATH, against heatcast echo; CASES='1.* 7.*'
	@CASES='$(CASES)' scripts/conformance

bench: build ## heatcast beside other servers, on loopback; QUICK=1, ONLY=bare,heatcast, RESUME=1
	@scripts/setup bench
	@$(SUBMAKE) bench-programs
	@bench/run.py $(if $(QUICK),--quick) $(if $(RESUME),--resume) $(if $(ONLY),--only $(ONLY))

bench-engine: build ## candles per second of the heatmap engine, against walking all groups
	@$(SUBMAKE) $B/bench/engine && $B/bench/engine

bench-cluster: setup-test ## several servers over Redis, for docs/benchmarks.md; SHORT=1: a quick look, not for it
	@$(SUBMAKE) program $B/bench/load
	@bench/cluster.py $(if $(SHORT),--short) $(if $(OUT),--out $(OUT))

scaling: ## machines for one and ten million clients, storms simulated, for docs/scaling.md; SEED=2 CORES=16: only printed
	@bench/scaling.py $(if $(SEED)$(CORES),,--write) $(if $(SEED),--seed $(SEED)) $(if $(CORES),--cores $(CORES))

load: build ## k6: 1000 clients, checked and timed, for docs/benchmarks.md; SHORT=1: two minutes, not for it
	@HEATCAST=$B/heatcast scripts/load

soak: build ## clients that come, go, stall and resume: nothing lost or grown; MINUTES=30 CLIENTS=2000
	@HEATCAST=$(CURDIR)/$B/heatcast MODE=$(MODE) tests/load/soak.py --minutes $(or $(MINUTES),30) \
		--clients $(or $(CLIENTS),2000) --seed $(or $(SEED),1)

bench-page: setup-test ## the page in Chromium: time, bytes and memory, for docs/page.md; SHORT=1: only printed
	@$(SUBMAKE) program
	@HEATCAST=$B/heatcast SHORT=$(SHORT) node tests/browser/bench-page.mjs

screenshots: setup-test ## renew docs/screenshots, from HEATCAST_TEST_DATA or the simulated market
	@$(SUBMAKE) program
	@HEATCAST=$B/heatcast HEATCAST_TEST_DATA=$${HEATCAST_TEST_DATA:-$(CURDIR)/../shared/data} \
		node tests/browser/screenshots.mjs

lint: setup-test floors ## formatting, both compilers' warnings, JavaScript's rules and types, shell syntax
	@scripts/lint

floors: ## check who includes whom
	@scripts/floors

format: setup-test ## apply clang-format
	clang-format -i $(C_FILES)

install: build ## install to PREFIX=/usr/local
	@$(SUBMAKE) $B/heatcast-install
	install -D -m 755 $B/heatcast-install "$(DESTDIR)$(PREFIX)/bin/heatcast"
ifneq ($(DUCKDB_LIBRARY),)
	install -D -m 644 $(DUCKDB_LIBRARY)/libduckdb.so "$(DESTDIR)$(PREFIX)/lib/heatcast/libduckdb.so"
endif

clean: ## remove what was built (not .deps, not data)
	rm -rf build compile_commands.json

setup:
	@scripts/setup build
bench-programs: $(BENCHED)
setup-test:
	@scripts/setup test
setup-fuzz:
	@scripts/setup fuzz

program: $B/heatcast compile_commands.json
ifeq ($B,build/release)
	@ln -sfn release/heatcast build/heatcast
endif
unit-tests: $(UNIT) $(FUZZERS)

$B/heatcast: $(OBJECTS) $B/assets.o
	$(call say,LD,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) $(RPATH) -o $@ $^ $(LDLIBS)
$B/heatcast-install: $(OBJECTS) $B/assets.o
	$(call say,LD,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) $(RPATH_INSTALLED) -o $@ $^ $(LDLIBS)

# The page travels inside the program.
$B/assets.c: scripts/embed scripts/shrink.mjs $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null) web/package-lock.json
	@mkdir -p $(@D)
	$(call say,WEB,$@)
	$Qscripts/embed $(@D)/web > $@
$B/assets.o: $B/assets.c
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$B/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(VERSIONED): CPPFLAGS += -DHEATCAST_VERSION='"$(VERSION)"'
$(VERSIONED): $B/version
$B/version: always
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@

$B/tests/%: tests/unit/%.c $(LIBRARY) $B/assets.o | $(VERSIONED)
	@mkdir -p $(@D)
	$(call say,TEST,$@)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -Itests/unit -o $@ $< $(LIBRARY) $(VERSIONED) $B/assets.o $(LDFLAGS) $(RPATH) $(LDLIBS) -lcmocka

$(FUZZERS): $(filter %.o,$(FUZZ_MAIN))
$B/fuzz/%: fuzz/%.c $(LIBRARY) $B/assets.o | $(VERSIONED)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(FUZZ_MAIN) $(LIBRARY) $(VERSIONED) $B/assets.o $(LDFLAGS) $(RPATH) $(LDLIBS)

$B/bench/%: bench/%.c $(LIBRARY) $B/assets.o | $(VERSIONED)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$Q$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(LIBRARY) $(VERSIONED) $B/assets.o $(LDFLAGS) $(RPATH) $(LDLIBS)

# Of what they use and no more: what the bare loop needs of memory is compared too.
BENCHED_WIRE := $(patsubst %,$B/src/%.o,base/base base/blob base/buf base/clock base/utf8 wire/deflate wire/frame \
	wire/handshake wire/http)
$B/bench/load: $(addprefix $B/bench/,load.o load_crowd.o load_server.o)
$B/bench/bare: $(addprefix $B/bench/,bare.o sender_plain.o)
$B/bench/bare-uring: $(addprefix $B/bench/,bare.o sender_uring.o)
$B/bench/bare-uring: LINK_URING := -luring
$(BENCHED): $(BENCHED_WIRE)
	$(call say,LD,$@)
	$Q$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcrypto -lz -lm $(LINK_URING)

compile_commands.json: Makefile $(SOURCES)
	@scripts/compile-commands "$(CC) $(CPPFLAGS) $(CFLAGS)" $(SOURCES) > $@

-include $(OBJECTS:.o=.d) $(UNIT:=.d) $(FUZZERS:=.d) $B/fuzz/replay.d $(BENCHES:=.d)

.PHONY: always help build run test test-cluster asan tsan fuzz conformance bench bench-programs bench-engine bench-cluster scaling load soak bench-page screenshots lint floors format install clean setup setup-test setup-fuzz program unit-tests
