# Prong. `make help` lists the targets.
#
# Two link sets from one tree: build/$(BUILD)/prong from src/{SERVER}, build/$(BUILD)/prong-zygote from
# src/{ISOLATED}. base and ipc are compiled once for each, because the sanitizers differ. prong-client, src/cli, uses
# some of the server's; it is a program of its own because of what libcurl takes to load. prong-host and prong-check, the
# two sides of a program's socket, use some of the zygote's. prong-lab, src/experiment, is a kernel that runs once, so it
# lies among the kernels.

VERSION := 0.1.0
Q = $(if $(V),,@echo '  $@';)
BUILD ?= release
PREFIX ?= /usr/local
B := build/$(BUILD)
PYTHON ?= /usr/bin/python3

SERVER   := base ipc thread jobs jobs/store state cache pool http fetch sched live durable lab api/docs api
ISOLATED := base ipc kernel sandbox program worker zygote
KERNELS  := $(patsubst src/kernel/builtin/%.c,$(B)/kernels/%.so,$(wildcard src/kernel/builtin/*.c))

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wcast-qual -Wundef -Wformat=2 -Wconversion $(if $(DEV),-Werror)
HARDENING := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -fcf-protection
CPPFLAGS += -D_GNU_SOURCE -Isrc -Iinclude -DPRONG_VERSION='"$(VERSION)"'
COMMON   := -std=gnu11 -g -fPIC $(WARNINGS) -MMD -MP
LINK     := -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed

MODE_release := -O2 $(HARDENING)
MODE_debug   := -O0 -DPRONG_DEBUG
MODE_asan    := -O1 -DPRONG_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MODE_tsan    := -O1 -DPRONG_DEBUG
MODE_fuzz    := $(MODE_asan) -fsanitize=fuzzer-no-link
ifeq ($(MODE_$(BUILD)),)
$(error BUILD is release, debug, asan or tsan (or fuzz, with clang), not '$(BUILD)')
endif
# Only the server has threads: ThreadSanitizer has nothing to find on the other side of the wall.
SERVER_FLAGS   := $(MODE_$(BUILD)) $(if $(filter tsan,$(BUILD)),-fsanitize=thread)
ISOLATED_FLAGS := $(MODE_$(BUILD))
KERNEL_FLAGS   := $(filter-out -O1 -O2,$(MODE_$(BUILD))) -O3 -ffp-contract=off -fno-math-errno -fvisibility=hidden
SERVER_LIBS    := -lmicrohttpd -lgnutls -ljansson -lsqlite3 -lz -lm -pthread
CLIENT_LIBS    := -lcurl-gnutls -ljansson -lm -pthread
ISOLATED_LIBS  := -lseccomp -linih -ljansson -ldl -lm

objects = $(patsubst src/%.c,$(B)/$(1)/%.o,$(foreach d,$(2),$(wildcard src/$(d)/*.c)))
SERVER_OBJECTS   := $(call objects,server,$(SERVER)) $(patsubst %,$(B)/server/%.o,config places healthcheck client)
ISOLATED_OBJECTS := $(filter-out %/zygote/main.o,$(call objects,isolated,$(ISOLATED)))
HOST_OBJECTS     := $(filter-out %/host/main.o,$(call objects,isolated,host))
CHECK_OBJECTS    := $(filter-out %/check/main.o,$(call objects,isolated,check))
LAB_OBJECTS      := $(filter-out %/experiment/main.o,$(call objects,isolated,experiment))
CLIENT_OBJECTS   := $(filter-out %/cli/main.o,$(call objects,server,cli))
WIRE_HEADERS := $(wildcard src/ipc/*.h) include/prong/kernel.h
BUILD_ID := $(VERSION)-$(BUILD)-$(shell cat $(WIRE_HEADERS) | cksum | cut -d' ' -f1)

.PHONY: all pages run check check-unit check-system check-browser bench soak fuzz fuzz-merge lint format install uninstall \
	clean help deps deps-check deps-lint deps-bench deps-fuzz
.DEFAULT_GOAL := all
.SECONDARY:

PROGRAMS := $(addprefix $(B)/,prong prong-zygote prong-host prong-check prong-client)
LAB := $(addprefix $(B)/kernels/,prong-lab prong-lab.py lab.kernel)
all: $(PROGRAMS) $(KERNELS) $(LAB) $(B)/pkgconfig/prong.pc pages ## build the programs, the kernels and the pages

$(B)/prong: $(B)/server/main.o $(B)/libserver.a
	$(Q)$(CC) $(SERVER_FLAGS) -pie $(LINK) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)
$(B)/prong-zygote: $(B)/isolated/zygote/main.o $(B)/libisolated.a
	$(Q)$(CC) $(ISOLATED_FLAGS) -pie $(LINK) $(LDFLAGS) -o $@ $^ $(ISOLATED_LIBS)
$(B)/prong-host: $(B)/isolated/host/main.o $(HOST_OBJECTS) $(B)/libisolated.a
	$(Q)$(CC) $(ISOLATED_FLAGS) -pie $(LINK) $(LDFLAGS) -o $@ $^ $(ISOLATED_LIBS)
$(B)/prong-check: $(B)/isolated/check/main.o $(CHECK_OBJECTS) $(B)/libisolated.a
	$(Q)$(CC) $(ISOLATED_FLAGS) -pie $(LINK) $(LDFLAGS) -o $@ $^ $(ISOLATED_LIBS)
# What it measures is optimised in every build, or it would be the compiler's ease that is compared.
$(B)/isolated/experiment/%.o: ISOLATED_FLAGS += -O2
$(B)/kernels/prong-lab: $(B)/isolated/experiment/main.o $(LAB_OBJECTS) $(B)/libisolated.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(ISOLATED_FLAGS) -pie $(LINK) $(LDFLAGS) -o $@ $^ -pthread
	@chmod go-w $(@D) $@
$(B)/kernels/prong-lab.py $(B)/kernels/lab.kernel: $(B)/kernels/%: src/experiment/%
	@mkdir -p $(@D)
	$(Q)install -m 644 $< $@
$(B)/prong-client: $(B)/server/cli/main.o $(CLIENT_OBJECTS) $(B)/libserver.a
	$(Q)$(CC) $(SERVER_FLAGS) -pie $(LINK) $(LDFLAGS) -o $@ $^ $(CLIENT_LIBS)
$(B)/libserver.a: $(SERVER_OBJECTS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
$(B)/libisolated.a: $(ISOLATED_OBJECTS)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(B)/server/pool/receive.o $(B)/isolated/zygote/announce.o: $(WIRE_HEADERS)
$(B)/server/pool/receive.o $(B)/isolated/zygote/announce.o: CPPFLAGS += -DPRONG_BUILD_ID='"$(BUILD_ID)"'
$(B)/server/api/docs/written.o: $(wildcard src/api/docs/*.json)
$(B)/server/%.o: src/%.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(SERVER_FLAGS) $(CFLAGS) -c -o $@ $<
$(B)/isolated/%.o: src/%.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(ISOLATED_FLAGS) $(CFLAGS) -c -o $@ $<

# A kernel sees include/prong/kernel.h and nothing of src/.
# The zygote refuses what others could have written, whatever the umask was.
$(B)/kernels/%.so: src/kernel/builtin/%.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -Iinclude $(if $(PARTS_$*),-Isrc) $(COMMON) $(KERNEL_FLAGS) $(CFLAGS) -shared $(LINK) -o $@ $< $(PARTS_$*) \
		$(LIBS_$*) -lm
	@chmod go-w $(@D) $@
LIBS_mandelbrot := -lpng -lz
PARTS_page := $(wildcard src/kernel/builtin/page/*.c)
$(B)/kernels/page.so: $(PARTS_page) src/kernel/builtin/page/page.h

# What a kernel elsewhere is compiled with: pkg-config --cflags prong, and --variable=kernelsdir, where it goes.
abi = $(shell awk '/define PRONG_ABI_$(1) /{sub("u", "", $$3); print $$3}' include/prong/kernel.h)
pkgconfig = printf '%s\n' 'prefix=$(1)' 'includedir=$(2)' 'kernelsdir=$(3)' 'abi=$(call abi,MAJOR).$(call abi,MINOR)' '' \
	'Name: prong' 'Description: Kernels for Prong, an HTTP server for CPU-bound work' 'Version: $(VERSION)' \
	'Cflags: -I$${includedir}'
$(B)/pkgconfig/prong.pc: Makefile include/prong/kernel.h
	@mkdir -p $(@D)
	@$(call pkgconfig,$(CURDIR),$(CURDIR)/include,$(CURDIR)/$(B)/kernels) >$@

# What of www/ is served: copies, with compressed forms beside them. What has no original any more goes.
PAGES := $(patsubst %,$(B)/%,$(shell find www -type f ! -name '.*'))
OLD_PAGES = $(filter-out $(PAGES) $(PAGES:=.br) $(PAGES:=.gz),$(shell find $(B)/www -type f))
$(PAGES): $(B)/%: % src/pages.sh | deps
	@mkdir -p $(@D)
	@sh src/pages.sh $< $@
pages: $(PAGES)
	@$(if $(OLD_PAGES),rm -f $(OLD_PAGES))

run: all ## build and serve on http://127.0.0.1:8080 (ARGS="--workers 4 …")
	@exec $(B)/prong --hints $(ARGS)

# ---- tests ----------------------------------------------------------------------------------------
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/*/*_test.c tests/unit/*/*/*_test.c))
TEST_KERNELS := $(patsubst tests/unit/zygote/kernels/%.c,$(B)/test-kernels/%.so,$(wildcard tests/unit/zygote/kernels/*.c))
ISOLATED_TESTS := $(filter $(addprefix $(B)/tests/,$(addsuffix /%,check experiment host kernel program sandbox worker zygote)),$(UNIT))
CLIENT_TESTS := $(filter $(B)/tests/cli/%,$(UNIT))
SERVER_TESTS := $(filter-out $(ISOLATED_TESTS) $(CLIENT_TESTS),$(UNIT))

$(B)/test-kernels/%.so: tests/unit/zygote/kernels/%.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -Iinclude $(COMMON) $(KERNEL_FLAGS) -shared -o $@ $<
	@chmod go-w $(@D) $@
$(B)/tests/kernel/mock_host.o: tests/unit/kernel/mock_host.c | deps-check
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(ISOLATED_FLAGS) -c -o $@ $<
$(B)/libmock.a: $(B)/tests/kernel/mock_host.o
	$(Q)$(AR) rcs $@ $^
$(ISOLATED_TESTS): $(B)/tests/%: tests/unit/%.c $(HOST_OBJECTS) $(CHECK_OBJECTS) $(LAB_OBJECTS) $(B)/libisolated.a $(B)/libmock.a | deps-check
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(ISOLATED_FLAGS) -ffp-contract=off -o $@ $< $(if $(filter kernel/%,$*),\
		$(wildcard src/kernel/builtin/$(patsubst %_test,%,$(@F)).c src/kernel/examples/$(patsubst %_test,%,$(@F)).c) \
		$(PARTS_$(patsubst %_test,%,$(@F))) \
		$(B)/libmock.a) \
		$(if $(filter host/%,$*),$(HOST_OBJECTS)) $(if $(filter check/%,$*),$(CHECK_OBJECTS)) \
		$(if $(filter experiment/%,$*),$(LAB_OBJECTS)) $(B)/libisolated.a -lcmocka -lpng -lz $(ISOLATED_LIBS) -pthread
$(B)/tests/kernel/page_test: src/kernel/builtin/page.c $(PARTS_page)
$(SERVER_TESTS): $(B)/tests/%: tests/unit/%.c $(B)/libserver.a | deps-check
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(SERVER_FLAGS) -o $@ $< $(B)/libserver.a -lcmocka $(SERVER_LIBS)

$(CLIENT_TESTS): $(B)/tests/%: tests/unit/%.c $(CLIENT_OBJECTS) $(B)/libserver.a | deps-check
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(SERVER_FLAGS) -o $@ $< $(CLIENT_OBJECTS) $(B)/libserver.a -lcmocka $(CLIENT_LIBS)

# The fuzzers' harnesses, once over the inputs in the tree.
REPLAYS := $(patsubst %,$(B)/tests/fuzz/%,gate http)
HARNESS_PARTS := $(addprefix tests/fuzz/,layout.c reference.c answer.c)
$(REPLAYS): $(B)/tests/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(HARNESS_PARTS) $(B)/libserver.a | deps-check
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(SERVER_FLAGS) -DFUZZ_CORPUS='"tests/fuzz/corpus/$*"' -o $@ $(filter %.c %.a,$^) $(SERVER_LIBS)
$(B)/fuzz_%: tests/fuzz/fuzz_%.c $(HARNESS_PARTS) $(B)/libserver.a | deps-fuzz
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(SERVER_FLAGS) -fsanitize=fuzzer -o $@ $(filter %.c %.a,$^) $(SERVER_LIBS)

TEST_ENV = PRONG_BUILD=$(BUILD) PRONG_DIR=$(CURDIR)/$(B) PRONG_ZYGOTE=$(CURDIR)/$(B)/prong-zygote \
	PRONG_KERNELS=$(CURDIR)/$(B)/kernels PRONG_TEST_KERNELS=$(CURDIR)/$(B)/test-kernels PYTHONDONTWRITEBYTECODE=1
PYTEST = $(TEST_ENV) $(PYTHON) -m pytest -q -o cache_dir=$(CURDIR)/$(B)/tests/pytest

BROWSER := build/browser
BROWSER_BUILDS := release debug

check: check-unit check-system $(if $(filter $(BROWSER_BUILDS),$(BUILD)),check-browser) ## every test: unit, wall, system, fault and browser tests
check-unit: all $(UNIT) $(REPLAYS) $(TEST_KERNELS) $(BENCH_PROGRAMS) ## unit tests only
	@$(TEST_ENV) sh tests/unit/run.sh $(UNIT) $(REPLAYS)
check-system: deps-check all $(TEST_KERNELS) ## wall, SDK, system and fault tests only (T=path or -k word)
	$(if $(T),$(PYTEST) $(T),$(PYTEST) $(BESIDE) $(SEEN) || $(PYTEST) $(AGAIN) $(SEEN))
# What failed beside others is run once more, alone: a machine that is too busy for a test is no failure, one that fails
# twice is.
AGAIN = --last-failed --last-failed-no-failures none
SEEN = $(filter-out $(UNSEEN_$(BUILD)),tests/fault tests/system tests/sdk tests/wall) $(UNSEEN)
# Files beside each other, whole ones, and one more than there are cores: they wait as much as they compute.
# Those that take long come first.
BESIDE = -n $(shell expr 1 + $$(nproc)) --dist loadfile
# The pages in a browser (T=path of one). Alone, after the others: what it measures of a page is not the other tests' doing.
check-browser: deps-check all $(BROWSER)/node_modules | $(if $(filter check,$(MAKECMDGOALS)),check-system) ## browser tests only (T=path)
	$(TEST_ENV) sh tests/browser/run.sh $(or $(filter %.mjs,$(T)),$(wildcard tests/browser/*.test.mjs))
$(BROWSER)/node_modules: $(addprefix tests/browser/,package.json package-lock.json .npmrc) | deps-check
	@mkdir -p $(BROWSER)
	@cp $^ $(BROWSER)/
	$(Q)npm ci --prefix $(BROWSER) --ignore-scripts --no-audit --no-fund --prefer-offline
	@touch $@
# What a sanitizer sees nothing of: programs that are not ours, a browser and what runs in it among them (BROWSER_BUILDS), and
# what is linked with what; and only the server has threads.
UNSEEN_asan := tests/sdk tests/wall tests/system/test_wd_languages.py
UNSEEN_tsan := $(UNSEEN_asan) tests/system/test_wc_check.py tests/system/test_wc_examples.py
UNSEEN = $(addprefix --ignore=,$(filter %.py,$(UNSEEN_$(BUILD))))
fuzz: deps-fuzz ## invent requests with libFuzzer (HARNESS="gate http", RUNS=10000000 or SECONDS=600)
	@$(MAKE) --no-print-directory BUILD=fuzz CC=clang $(patsubst %,build/fuzz/fuzz_%,$(HARNESS))
	@RUNS='$(RUNS)' FUZZ_SECONDS='$(SECONDS)' sh tests/fuzz/run.sh $(HARNESS)
fuzz-merge: deps-fuzz ## the same, then keep what reaches new code in tests/fuzz/corpus
	@$(MAKE) --no-print-directory fuzz
	@sh tests/fuzz/merge.sh $(HARNESS)
HARNESS := gate http
soak: deps-check all ## the long rounds of the fault tests and of the end under load
	PRONG_SOAK=1 $(PYTEST) tests/fault tests/system/test_s_drain.py
BENCH_PROGRAMS := $(patsubst %,$(B)/bench/%,bare copy gate streams)
bench: deps-bench all $(BENCH_PROGRAMS) ## the speed and memory table (ROWS="echo primes" for some)
	$(TEST_ENV) PRONG_BENCH=$(CURDIR)/$(B)/bench $(PYTHON) tests/bench/bench.py $(ROWS)
$(B)/bench/bare $(B)/bench/copy: $(B)/bench/%: tests/bench/%.c | deps
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -O2 $(WARNINGS) -o $@ $< -lmicrohttpd -pthread
$(B)/bench/gate $(B)/bench/streams: $(B)/bench/%: tests/bench/%.c $(B)/libserver.a | deps
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(COMMON) $(SERVER_FLAGS) -o $@ $< $(B)/libserver.a $(SERVER_LIBS)

# ---- the rest -------------------------------------------------------------------------------------
lint: deps-lint ## format, static analysis, house rules
	sh tests/wall/lint.sh
format: ## put every C file into the house's form
	clang-format -i $$(git ls-files '*.[ch]')

install: all ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/prong $(DESTDIR)$(PREFIX)/lib/prong/kernels \
		$(DESTDIR)$(PREFIX)/lib/prong/python/prong $(DESTDIR)$(PREFIX)/share/prong $(DESTDIR)$(PREFIX)/include/prong \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 755 $(B)/prong $(B)/prong-check $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(B)/prong-zygote $(B)/prong-host $(B)/prong-client $(DESTDIR)$(PREFIX)/libexec/prong/
	install -m 644 $(KERNELS) $(filter-out %/prong-lab,$(LAB)) $(DESTDIR)$(PREFIX)/lib/prong/kernels/
	install -m 755 $(B)/kernels/prong-lab $(DESTDIR)$(PREFIX)/lib/prong/kernels/
	install -m 644 include/prong/kernel.h $(DESTDIR)$(PREFIX)/include/prong/
	install -m 644 src/sdk/python/prong/*.py src/sdk/python/prong/py.typed $(DESTDIR)$(PREFIX)/lib/prong/python/prong/
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/prong/examples/,c node sh)
	install -m 644 src/kernel/examples/*.c src/kernel/examples/Makefile $(DESTDIR)$(PREFIX)/share/prong/examples/c/
	install -m 644 src/sdk/node/* $(DESTDIR)$(PREFIX)/share/prong/examples/node/
	install -m 644 src/sdk/sh/* $(DESTDIR)$(PREFIX)/share/prong/examples/sh/
	$(call pkgconfig,$(PREFIX),$${prefix}/include,$${prefix}/lib/prong/kernels) >$(B)/prong.pc
	install -m 644 $(B)/prong.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	rm -rf $(DESTDIR)$(PREFIX)/share/prong/www
	cp -R --preserve=timestamps $(B)/www $(DESTDIR)$(PREFIX)/share/prong/www
uninstall: ## what install put there
	rm -rf $(DESTDIR)$(PREFIX)/bin/prong $(DESTDIR)$(PREFIX)/bin/prong-check $(DESTDIR)$(PREFIX)/libexec/prong $(DESTDIR)$(PREFIX)/lib/prong \
		$(DESTDIR)$(PREFIX)/share/prong $(DESTDIR)$(PREFIX)/include/prong $(DESTDIR)$(PREFIX)/lib/pkgconfig/prong.pc

compile_commands.json: Makefile ## for editors and clang-tidy
	@{ echo '['; sep=; for f in $$(git ls-files 'src/*.c'); do printf '%s{"directory":"%s","file":"%s","command":"%s"}' "$$sep" \
		"$(CURDIR)" "$$f" "cc $(subst ",\\\",$(CPPFLAGS)) -std=gnu11 -c $$f"; sep=','; done; echo ']'; } > $@
clean: ## remove build/
	rm -rf build compile_commands.json
help: ## this list
	@awk -F':.*## ' '/^[a-z_.-]+:.*## /{printf "  make %-22s %s\n",$$1,$$2}' $(MAKEFILE_LIST)
	@echo "  BUILD=release|debug|asan|tsan, V=1, PREFIX, DESTDIR, CFLAGS, LDFLAGS, DEV=1 (warnings are errors)"

# Packages by Debian's names; each target asks only for what it needs and only when it is missing.
deps:
	@CC='$(CC)' sh tests/deps.sh build
deps-check: deps
	@CC='$(CC)' PYTHON='$(PYTHON)' sh tests/deps.sh check
deps-bench: deps-check
	@CC='$(CC)' PYTHON='$(PYTHON)' sh tests/deps.sh bench
deps-fuzz: deps-check
	@CC='$(CC)' PYTHON='$(PYTHON)' sh tests/deps.sh fuzz
deps-lint:
	@CC='$(CC)' PYTHON='$(PYTHON)' sh tests/deps.sh lint

-include $(shell find build/$(BUILD) -name '*.d' 2>/dev/null)
