# Makefile - builds, tests, checks and installs ftpipe.
#
#   make                     build/ftpipe
#   make lib                 only the archive that the program and the tests link
#   make demo                the main job, on the built-in encoder and reviews
#   make test [ONLY=text]    unit tests, Lua tests and tests of the command line; or those with that in their path
#   make test-slow [ONLY=text]      tests that take minutes: kills at random instants, every write failing
#   make test-real MODEL=DIR DATA=DIR      tests on a published model and a public data set
#   make fuzz [FUZZ_SECONDS=60] [FUZZ=name]      every fuzz target, or one, for that long
#   make bench               speed of training and evaluation, as a table; with TOKENIZERS=folder of tokenizers and TEXT=file
#                            also theirs, beside that of a Python with tokenizers where PYTHON names one
#   make check               format, lint, floors, vectorisation of hot loops (make floors: the include rules alone)
#   make format              rewrite the C files in the house format
#   make install [PREFIX=/usr/local] [DESTDIR=]
#   make clean
#
# What is missing on a Debian machine is installed first (vendor/install reads
# vendor/packages); elsewhere, or without the right to install, its list is printed.

# == settings =================================================================

# CC=gcc|clang (or a path of one), SAN=address, undefined or address,undefined; each
# combination has its own folder under build/. V=1 prints whole commands.
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
PREFIX ?= /usr/local
DESTDIR ?=
MODEL ?=
DATA ?=
ONLY ?=
FUZZ ?= *
FUZZ_SECONDS ?= 60
V ?=

OPTIMISE := $(if $(SAN),-O1,-O2)
OPTIMISE_KERNELS := $(if $(SAN),-O1,-O3)
CFLAGS ?=
LDFLAGS ?=

# == end of settings ==========================================================

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all lib demo test test-slow test-real fuzz fuzz-run bench check floors format install clean help

MAKEFLAGS += -r --no-print-directory

# One job per processor; a -j on the command line wins over this.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

empty :=
space := $(empty) $(empty)
comma := ,
quiet = $(if $(V),,@printf '%-6s %s\n' '$(1)' '$(patsubst $(B)/%,%,$@)';)
# $(call below,DIR,PATTERN): files under DIR, at any depth.
below = $(foreach f,$(sort $(wildcard $(1)/*)),$(call below,$(f),$(2)) $(filter $(2),$(f)))

goals := $(or $(MAKECMDGOALS),all)
is_clang := $(findstring clang,$(notdir $(firstword $(CC))))
cfg := $(subst $(space),_,$(notdir $(CC)))$(if $(SAN),-$(subst $(comma),+,$(SAN)))
B := build/$(cfg)

# -- what it depends on: installed and found before anything else is made --------

# The included file is made first; make then starts over and reads it. The stamp it waits for
# holds a digest of vendor/ and of the machine's package list in its name, so that both are
# made anew when either changes, and cost nothing when neither does.
groups := build $(if $(filter test test-slow test-real,$(goals)),test) \
          $(if $(filter check format,$(goals)),check) \
          $(if $(or $(is_clang),$(filter fuzz,$(goals))),fuzz)
groups := $(strip $(groups))

builds := $(filter-out clean help,$(goals))
ifneq ($(and $(builds),$(filter clean,$(goals))),)
$(error make clean stands alone: what it removes is being made)
endif
ifneq ($(builds),)
digest := $(shell (cat vendor/packages vendor/install vendor/configure /var/lib/dpkg/status; \
                   echo "$$PKG_CONFIG_PATH $$CPATH") 2>/dev/null | cksum | cut -d ' ' -f 1)
deps := build/deps/$(digest)-$(subst $(space),-,$(groups))
include $(B)/config.mk

$(deps): vendor/packages vendor/install
	@sh vendor/install $(groups)
	@mkdir -p $(@D) && touch $@

$(B)/config.mk: $(deps) vendor/configure
	@mkdir -p $(@D) && sh vendor/configure '$(CC)' > $@
endif

# -- flags ---------------------------------------------------------------------

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion \
            -Wstrict-prototypes -Wmissing-prototypes -Werror $(if $(is_clang),-Wno-pass-failed)
common := -std=c11 -D_GNU_SOURCE -Iruntime -I. -g -fopenmp $(warnings)

# "fuzz" is the configuration of `make fuzz`: both sanitizers and the fuzzer's coverage.
san_flags := $(if $(SAN),-fsanitize=$(if $(filter fuzz,$(SAN)),address$(comma)undefined$(comma)fuzzer-no-link,$(SAN)) \
             -fno-sanitize-recover=all -fno-omit-frame-pointer)

plain_flags := $(common) $(OPTIMISE) -fno-math-errno -ffp-contract=off $(san_flags) $(CFLAGS)
kernel_maths := -fno-math-errno -fno-trapping-math -ffp-contract=fast
kernel_flags := $(common) $(OPTIMISE_KERNELS) $(kernel_maths) $(san_flags) $(CFLAGS)

# Kernels (ops/*.c) are compiled once for each of these; runtime/graph/op.c chooses at start-up.
isas := base
isa_base := -DFT_ISA=base
ifeq ($(FT_ARCH),x86_64)
isas += v3 v4 v4bf16
isa_v3 := -DFT_ISA=v3 -mavx2 -mfma -mbmi2 -mf16c
isa_v4 := -DFT_ISA=v4 -mavx2 -mfma -mbmi2 -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512
isa_v4bf16 := -DFT_ISA=v4bf16 $(filter-out -DFT_ISA=v4,$(isa_v4)) -mavx512bf16 -mamx-tile -mamx-bf16
have_isas := -DFT_HAVE_V3 -DFT_HAVE_V4
endif

# LLVM's OpenMP comes first, so that it also serves what a loaded BLAS asks of GNU's.
link_first := $(if $(is_clang),-Wl$(comma)--no-as-needed -lomp) -Wl,--as-needed
link_flags := -fopenmp $(filter-out fuzzer-no-link,$(san_flags)) $(LDFLAGS)
link_libs := $(FT_LIBS) -ldl -lm -lpthread

# $(call settled,FILE,TEXT): write FILE only where its text differs; what is made from it is then made anew.
settled = $(if $(filter-out $(file <$(1)),$(2))$(filter-out $(2),$(file <$(1))),$(file >$(1),$(2)))

# -- sources -------------------------------------------------------------------

main := runtime/cli/main.c
c_plain := $(filter-out $(main),$(call below,runtime,%.c)) $(call below,ops/product,%.c)
c_kernels := $(wildcard ops/*.c)
lua_files := $(call below,lua,%.lua)
pipelines := $(wildcard pipelines/*.lua)
builtin := $(call below,pipelines/builtin,%.md %.txt %.csv %.json %.safetensors)

objects := $(c_plain:%.c=$(B)/obj/%.o) $(B)/obj/embedded.o \
           $(foreach isa,$(isas),$(c_kernels:ops/%.c=$(B)/ops-$(isa)/%.o))
LIB := $(B)/libftpipe.a
BIN := $(B)/ftpipe
latest := $(if $(filter gcc,$(cfg)),build/ftpipe,$(BIN))

ifneq ($(and $(builds),$(wildcard $(B)/config.mk)),)
$(call settled,$(B)/flags,$(CC_VERSION) $(plain_flags) $(kernel_flags) $(FT_CFLAGS) $(foreach isa,$(isas),$(isa_$(isa))) $(link_first) $(link_flags) $(link_libs))
$(call settled,$(B)/objects,$(objects))
$(call settled,$(B)/lua-files,$(lua_files) $(pipelines))
endif

# -- program -------------------------------------------------------------------

all: $(latest)

lib: $(LIB)

build/ftpipe: $(B)/ftpipe
	@ln -sf $(cfg)/ftpipe $@

$(BIN): $(B)/obj/$(main:.c=.o) $(LIB)
	$(call quiet,LINK)$(CC) $(link_first) -o $@ $^ $(link_flags) $(link_libs)

$(LIB): $(objects) $(B)/objects
	$(call quiet,AR)rm -f $@ && ar rcs $@ $(objects)

$(B)/obj/runtime/graph/op.o: private defines := $(have_isas)
$(B)/obj/ops/product/%.o: private defines = $(FT_PRODUCT_CFLAGS)

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(plain_flags) $(FT_CFLAGS) $(defines) -MMD -MP -c -o $@ $<

define kernels_for
$(B)/ops-$(1)/%.o: ops/%.c $(B)/flags
	@mkdir -p $$(@D)
	$$(call quiet,CC)$$(CC) $$(kernel_flags) $$(isa_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(isas),$(eval $(call kernels_for,$(isa))))

$(B)/embedded.c: runtime/script/embed.sh $(lua_files) $(pipelines) $(B)/lua-files
	$(call quiet,EMBED)sh runtime/script/embed.sh lua pipelines > $@

$(B)/obj/embedded.o: $(B)/embedded.c $(B)/flags
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(plain_flags) -MMD -MP -c -o $@ $<

# -- tests ---------------------------------------------------------------------

# A file tests/DIR/{test,real,bench}_x.c is a program of its own; DIR's other C files, but for
# fuzz targets, are helpers that each of its programs links. Programs real_x take arguments:
# the scripts of tests/real call them as $PROGRAMS/DIR/real_x.
test_dirs := $(sort $(patsubst tests/%/,%,$(dir $(wildcard tests/*/*.c))))
programs_in = $(foreach p,test real bench,$(wildcard tests/$(1)/$(p)_*.c))
helpers_in = $(filter-out $(call programs_in,$(1)) $(wildcard tests/$(1)/fuzz_*.c),$(wildcard tests/$(1)/*.c))
built = $(patsubst %.c,$(B)/%,$(1))

define programs_for
$(call built,$(call programs_in,$(1))): $(B)/tests/$(1)/%: $(B)/obj/tests/$(1)/%.o \
        $(patsubst %.c,$(B)/obj/%.o,$(call helpers_in,$(1))) $(LIB)
	@mkdir -p $$(@D)
	$$(call quiet,LINK)$$(CC) $$(link_first) -o $$@ $$^ $$(link_flags) $$(FT_TEST_LIBS) $$(link_libs)
endef
$(foreach d,$(test_dirs),$(eval $(call programs_for,$(d))))

test_programs := $(call built,$(filter-out tests/slow/%,$(wildcard tests/*/test_*.c)))
slow_programs := $(call built,$(wildcard tests/slow/test_*.c))
real_programs := $(call built,$(wildcard tests/*/real_*.c))
test_scripts := $(wildcard tests/lua/test_*.lua tests/cli/test_*.sh)
only = $(strip $(if $(ONLY),$(foreach t,$(1),$(if $(findstring $(ONLY),$(t:$(B)/%=%)),$(t))),$(1)))

test: $(call only,$(test_programs)) $(if $(call only,$(test_scripts) $(wildcard tests/net/test_fetch*.c)),$(BIN))
	@FTPIPE=$(BIN) sh tests/run.sh $(call only,$(test_programs) $(test_scripts))

test-slow: $(slow_programs) $(test_programs) $(BIN)
	@FTPIPE=$(BIN) PROGRAMS=$(B)/tests TEST_TIMEOUT=3600 sh tests/run.sh $(call only,$(slow_programs) $(wildcard tests/slow/test_*.lua tests/slow/test_*.sh))

ifneq ($(filter test-real,$(goals)),)
ifeq ($(and $(MODEL),$(DATA)),)
$(error make test-real needs MODEL=folder of a published model and DATA=folder of data sets)
endif
endif

test-real: $(real_programs) $(BIN)
	@FTPIPE=$(BIN) PROGRAMS=$(B)/tests TEST_TIMEOUT=7200 TEST_JOBS=1 MODEL='$(MODEL)' DATA='$(DATA)' \
	  sh tests/run.sh $(wildcard tests/real/*.sh)

bench: $(BIN) $(call built,$(wildcard tests/*/bench_*.c))
	@FTPIPE=$(BIN) PROGRAMS=$(B)/tests sh tests/bench/run.sh

demo: all
	@FTPIPE=$(BIN) sh tests/demo/run.sh

# -- fuzzing: another compiler and configuration, hence another make ---------------

fuzz_programs := $(call built,$(wildcard tests/fuzz/fuzz_$(FUZZ).c))

fuzz:
	@$(MAKE) CC='$(if $(is_clang),$(CC),clang)' SAN=fuzz fuzz-run

fuzz-run: $(fuzz_programs)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) sh tests/fuzz/run.sh $(fuzz_programs)

$(fuzz_programs): $(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(link_first) -o $@ $^ -fopenmp -fsanitize=address,undefined,fuzzer $(LDFLAGS) $(link_libs)

# -- checks --------------------------------------------------------------------

c_files = $(foreach d,runtime ops tests,$(call below,$(d),%.c %.h))

check:
	@HOT_FLAGS='$(common) -O3 $(kernel_maths) $(isa_$(lastword $(isas)))' sh tests/check/run.sh

floors:
	@sh tests/check/floors.sh .

format:
	clang-format -i $(c_files)

# -- the rest ------------------------------------------------------------------

share := $(DESTDIR)$(PREFIX)/share/ftpipe
completions := $(DESTDIR)$(PREFIX)/share

install: all
	@install -d $(DESTDIR)$(PREFIX)/bin $(share)/pipelines $(addprefix $(share)/,$(sort $(dir $(lua_files) $(builtin))))
	@install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/ftpipe
	@for f in LICENSE $(pipelines) $(lua_files) $(builtin); do install -m 644 $$f $(share)/$$f || exit; done
	@install -d $(completions)/bash-completion/completions $(completions)/zsh/site-functions $(completions)/fish/vendor_completions.d
	@$(BIN) completions bash > $(completions)/bash-completion/completions/ftpipe
	@$(BIN) completions zsh > $(completions)/zsh/site-functions/_ftpipe
	@$(BIN) completions fish > $(completions)/fish/vendor_completions.d/ftpipe.fish
	@$(BIN) definitions > $(share)/definitions.lua
	@echo 'installed $(DESTDIR)$(PREFIX)/bin/ftpipe and $(share)'

clean:
	rm -rf build

help:
	@sed -n '/^#   make/s/^#//p' Makefile

ifneq ($(wildcard $(B)),)
-include $(call below,$(B),%.d)
endif
