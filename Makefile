# futaie - make help lists the targets; the knobs below may be given on the command line or in the environment.

CC      ?= cc
CFLAGS  ?= -O2 -g
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=# address (with undefined) or thread: builds with that sanitizer, best in a BUILD of its own
T       ?=# one or more groups of tests: make test T="unit predict"
FUZZ_S  ?= 60# seconds of make fuzz

# of make run
FRONT      ?= lighttpd# or apache
HTTP_PORT  ?= 5001
HTTPS_PORT ?= 8443
MODELS     ?= models
BIND       ?= 127.0.0.1
DEFAULT_MODEL ?=# the model of /predict where MODELS has several
KEYS       ?=# a file of keys, made by futaie keys add: then every request needs one

# of make mlflow
MLFLOW_PORT ?= 5000

# of make train
TRAIN_ARGS ?=# more options of futaie train, --promote for example

RUN_PACKAGES   = gcc libc6-dev make pkg-config libfcgi-dev libxgboost-dev libcjson-dev libsodium-dev libcurl4-openssl-dev libyaml-dev \
                 $(front_$(FRONT)) spawn-fcgi openssl curl ca-certificates
front_lighttpd = lighttpd lighttpd-mod-openssl lighttpd-modules-lua
front_apache   = apache2-bin
ALL_PACKAGES   = $(sort $(RUN_PACKAGES) $(front_lighttpd) $(front_apache) $(TEST_PACKAGES))
TEST_PACKAGES  = libcmocka-dev python3 python3-pytest python3-jsonschema python3-xgboost python3-numpy wrk iproute2 procps zsh fish
BENCH_PACKAGES = python3-flask gunicorn python3-pandas gnuplot-nox
MLFLOW_PACKAGES = python3-venv
BARE_PACKAGES  = mmdebstrap
CLIENT_PACKAGES = python3-venv
# Where there is an npm already it stays: Debian's would remove the node.js of other makers.
CONSOLE_PACKAGES = chromium fonts-inter $(if $(shell command -v npm),,nodejs npm)
FUZZ_PACKAGES  = clang libclang-rt-14-dev
LINT_PACKAGES  = $(FUZZ_PACKAGES) clang-tidy clang-format shellcheck yamllint mandoc python3-pyflakes

# What the project needs is added to the user's flags, not put in their place.
WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow
HARDEN   = -fstack-protector-strong -fcf-protection -fPIE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
LIBS     = $(shell pkg-config --libs fcgi xgboost libcjson libsodium yaml-0.1) -l:libgomp.so.1 -lm
INCLUDES = -Ifcgi-app/src $(shell pkg-config --cflags fcgi xgboost libcjson libsodium libcurl yaml-0.1)
ifeq ($(SAN),address)
HARDEN = -fPIE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SAN),thread)
HARDEN = -fPIE -fsanitize=thread -fno-omit-frame-pointer
endif
ALL_CFLAGS  = -std=c17 -D_GNU_SOURCE -pthread $(WARNINGS) $(HARDEN) $(INCLUDES) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(filter -fsanitize%,$(HARDEN)) $(LDFLAGS)

SOURCES  = $(wildcard fcgi-app/src/*.c fcgi-app/src/*/*.c)
OBJECTS  = $(SOURCES:fcgi-app/src/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/openapi.o
UNITS    = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZERS  = $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
MAN      = $(patsubst fcgi-app/man/%,$(BUILD)/man/%,$(wildcard fcgi-app/man/*.1))

.DELETE_ON_ERROR:
.PHONY: all run train mlflow test test-clients test-mlflow test-reliability test-bare-root fuzz check bench bench-scale screenshots deps deps-run deps-bench deps-bare deps-clients deps-mlflow deps-fuzz deps-lint lint fmt install uninstall clean dist help unit-tests fuzzers conf

all: $(BUILD)/futaie $(BUILD)/openapi.json $(MAN) ## build futaie and its man pages

run: deps-run ## start futaie and a web server (FRONT) with the models of MODELS, in the foreground; Ctrl-C stops both
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' FRONT='$(FRONT)' HTTP_PORT='$(HTTP_PORT)' HTTPS_PORT='$(HTTPS_PORT)' MODELS='$(MODELS)' BIND='$(BIND)' \
	    KEYS='$(KEYS)' \
	    SERVE_ARGS='$(if $(DEFAULT_MODEL),--default-model $(DEFAULT_MODEL)) $(SERVE_ARGS)' exec webserver-conf/run.sh

train: deps-run ## train the California housing model: a new version in MODELS; TRAIN_ARGS=--promote makes it the champion
	@$(MAKE) --no-print-directory -s all
	@models/california.sh '$(BUILD)/data/california.csv'
	@url=$$(cat '$(BUILD)/mlflow/url' 2>/dev/null) && [ -z "$$MLFLOW_TRACKING_URI" ] && curl --silent --fail --max-time 2 --output /dev/null "$$url/health" && \
	    export MLFLOW_TRACKING_URI="$$url"; \
	'$(BUILD)/futaie' train --models '$(MODELS)' --data '$(BUILD)/data/california.csv' --target MedHouseVal --name california-housing \
	    --params models/train.json --example 8.3252,41,6.9841,1.023810,322,2.5556,37.88,-122.23 $(TRAIN_ARGS)

mlflow: deps-mlflow ## start MLflow on MLFLOW_PORT with a store of its own, in the foreground; make train then logs there
	@BUILD='$(BUILD)' MLFLOW_PORT='$(MLFLOW_PORT)' exec models/mlflow.sh

test: deps ## run the tests that need no network beyond packages; T=GROUP for some of them
	@$(MAKE) --no-print-directory -s all unit-tests
	@BUILD='$(BUILD)' MAKE='$(MAKE)' exec /usr/bin/python3 tests/run.py $(T)

test-reliability: deps-fuzz ## the slower tests: kills and failing disks at each step, sanitizers under load, restarts, memory, fuzzing
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' MAKE='$(MAKE)' FUZZ_S='$(FUZZ_S)' exec /usr/bin/python3 tests/run.py sanitize faults reliability fuzz

test-clients: deps-clients ## clients as their users install them, and the console in Chromium; their packages come from PyPI and npm
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' MAKE='$(MAKE)' exec /usr/bin/python3 tests/run.py clients console

test-mlflow: deps-mlflow ## training and pulling with real MLflow servers, 3.x and 2.x; their packages come from PyPI
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' MAKE='$(MAKE)' exec /usr/bin/python3 tests/run.py mlflow

fuzz: deps-fuzz ## give the readers of models and of numbers made-up input, for FUZZ_S seconds
	@BUILD='$(BUILD)' MAKE='$(MAKE)' FUZZ_S='$(FUZZ_S)' exec /usr/bin/python3 tests/run.py fuzz

test-bare-root: deps-bare ## try make run and make test in a bare Debian 12 made by mmdebstrap; as root
	@BUILD='$(BUILD)' MAKE='$(MAKE)' exec /usr/bin/python3 tests/run.py bare-root

check: test ## the same as test

bench: deps-bench ## measure speed and memory as ratios within one run
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' exec /usr/bin/python3 tests/bench/bench.py

bench-scale: deps-bench ## measure and draw how the cost grows with rows, trees, depth, connections and threads, into docs/scale
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' exec /usr/bin/python3 tests/bench/scale.py

screenshots: deps-clients deps-mlflow ## draw the README's pictures of the console and of MLflow's pages, into docs
	@$(MAKE) --no-print-directory -s all
	@BUILD='$(BUILD)' tests/console/console.py screenshots
	@BUILD='$(BUILD)' exec /usr/bin/python3 tests/mlflow/screenshot.py

deps: ## install the Debian packages that make run and make test need
	@fcgi-app/deps.sh $(ALL_PACKAGES)

deps-run:
	$(if $(front_$(FRONT)),,$(error FRONT=$(FRONT) is no web server that is known here: give FRONT=lighttpd or FRONT=apache))
	@fcgi-app/deps.sh $(RUN_PACKAGES)

deps-bench:
	@fcgi-app/deps.sh $(ALL_PACKAGES) $(BENCH_PACKAGES)

deps-clients:
	@fcgi-app/deps.sh $(ALL_PACKAGES) $(CLIENT_PACKAGES) $(CONSOLE_PACKAGES)

deps-bare:
	@fcgi-app/deps.sh $(ALL_PACKAGES) $(BARE_PACKAGES)

deps-mlflow:
	@fcgi-app/deps.sh $(ALL_PACKAGES) $(MLFLOW_PACKAGES)

deps-fuzz:
	@fcgi-app/deps.sh $(ALL_PACKAGES) $(FUZZ_PACKAGES)

deps-lint:
	@fcgi-app/deps.sh $(ALL_PACKAGES) $(LINT_PACKAGES)

lint: deps-lint ## check style and warnings of everything, with gcc and clang
	@BUILD='$(BUILD)' MAKE='$(MAKE)' exec /usr/bin/python3 tests/run.py lint

fmt: deps-lint ## format the C sources
	clang-format -i $(SOURCES) $(wildcard fcgi-app/src/*.h fcgi-app/src/*/*.h tests/unit/*.[ch] tests/fuzz/*.[ch])

conf: $(BUILD)/futaie ## write fcgi-app/etc/futaie.conf anew from the option table
	@$(BUILD)/futaie options serve conf >$(BUILD)/futaie.conf
	@cmp -s $(BUILD)/futaie.conf fcgi-app/etc/futaie.conf || cp $(BUILD)/futaie.conf fcgi-app/etc/futaie.conf

install: all ## install program, man pages, shell completions and sample configuration below DESTDIR and PREFIX
	install -D -m 755 $(BUILD)/futaie $(DESTDIR)$(PREFIX)/bin/futaie
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(MAN)
	install -D -m 644 fcgi-app/completion/futaie.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/futaie
	install -D -m 644 fcgi-app/completion/_futaie $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_futaie
	install -D -m 644 fcgi-app/completion/futaie.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/futaie.fish
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/futaie fcgi-app/etc/futaie.conf $(BUILD)/openapi.json
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' fcgi-app/systemd/futaie-pull@.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/futaie-pull@.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/futaie-pull@.service

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/futaie $(MAN:$(BUILD)/man/%=$(DESTDIR)$(PREFIX)/share/man/man1/%)
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/futaie $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_futaie \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/futaie.fish
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/futaie-pull@.service
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/futaie

clean: ## remove everything that was built
	rm -rf '$(BUILD)'

dist: ## a source archive of the last commit, under BUILD
	@mkdir -p $(BUILD)
	git archive --prefix=futaie/ -o $(BUILD)/futaie.tar.gz HEAD

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS='	' read -r name text; do \
	    printf '%-15s %s\n' "$$name" "$$text"; done
	@echo; echo 'Knobs, as make TARGET NAME=VALUE: CC CFLAGS BUILD PREFIX DESTDIR SAN T FUZZ_S FRONT HTTP_PORT HTTPS_PORT MODELS DEFAULT_MODEL MLFLOW_PORT BIND KEYS TRAIN_ARGS'
	@echo 'FUTAIE_DATA_DIR names the folder with cal_housing.data, for make train and the tests that want real rows.'

unit-tests: $(UNITS)

fuzzers: $(FUZZERS)

$(BUILD)/futaie: $(OBJECTS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: fcgi-app/src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The OpenAPI document, with the version in it, and as an array that is part of the program.
$(BUILD)/openapi.json: fcgi-app/src/serve/openapi.json fcgi-app/src/version.h
	@mkdir -p $(@D)
	@sed "s/@VERSION@/$$(sed -n 's/^#define FUTAIE_VERSION "\(.*\)"/\1/p' fcgi-app/src/version.h)/g" $< >$@

$(BUILD)/openapi.c: $(BUILD)/openapi.json
	@{ echo '#include "serve/openapi.h"'; echo 'const unsigned char openapi_text[] = {'; \
	    od -An -v -tu1 $< | sed 's/[0-9][0-9]*/&,/g'; echo '};'; echo 'const size_t openapi_len = sizeof openapi_text;'; } >$@

$(BUILD)/obj/openapi.o: $(BUILD)/openapi.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Objects of other flags are of no use: whatever changes them builds everything anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' >$@
FORCE:

$(BUILD)/tests/%: tests/unit/%.c $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(filter-out %/main.o,$(OBJECTS)) -lcmocka $(LIBS)

# Only tests/fuzz/fuzz.py asks for these, with the compiler and the flags that they need; they take in what does not serve.
$(BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(filter $(BUILD)/obj/base/% $(BUILD)/obj/model/%,$(OBJECTS))
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -MMD -MP -o $@ $(filter-out %.h,$^) $(LIBS)

# Where the source of a page says @OPTIONS@, they come from the table in the program: those of futaie-X.1 from that of futaie X.
$(BUILD)/man/%: fcgi-app/man/% $(BUILD)/futaie
	@mkdir -p $(@D)
	@if grep -qx @OPTIONS@ $<; then $(BUILD)/futaie options $(patsubst futaie-%.1,%,$*) mdoc; fi >$@.options
	@sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd}' $< >$@
	@rm -f $@.options

-include $(OBJECTS:.o=.d) $(UNITS:%=%.d) $(FUZZERS:%=%.d)
