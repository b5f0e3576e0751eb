# SPDX-License-Identifier: GPL-2.0-or-later
#
# pult: `make run` builds and opens it, `make check` tests it; both first install what is missing
# from Debian's packages (DEPS=no skips that). Everything made lies in $(B).

ifeq ($(origin CC),default)
CC      := gcc
endif
B       ?= build
PREFIX  ?= /usr/local
DEPS    ?= yes
VERSION := 0.1

BUILD_PKGS := gcc libc6-dev libncurses-dev libevent-dev libjansson-dev libcap-dev \
              libseccomp-dev libvterm-dev zlib1g-dev liblzma-dev liblz4-dev libzstd-dev \
              libbz2-dev libnl-3-dev libnl-route-3-dev acpica-tools libarchive-dev libacl1-dev
RUN_PKGS   := ncurses-base uidmap passt nftables dnsmasq-base
TEST_PKGS  := libcmocka-dev busybox-static cpio kmod xz-utils zstd lz4 procps iproute2 util-linux \
              e2fsprogs qemu-system-x86 qemu-utils tmux python3 socat clang libclang-rt-dev debootstrap
LINT_PKGS  := clang libclang-rt-dev clang-format clang-tidy cppcheck
BENCH_PKGS := crun runc lxc bubblewrap strace

# make V=1 shows whole command lines.
Q       := $(if $(V),,@)

CSTD    := -std=gnu17
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           -Wpointer-arith -Wwrite-strings -Wno-missing-field-initializers
OPT     ?= -O2 -g
HARDEN  := -fstack-protector-strong -fPIE
CPPFLAGS += -D_GNU_SOURCE -D_FORTIFY_SOURCE=2 -Isrc -I$(B)/gen -isystem /usr/include/libnl3 -DPULT_VERSION='"$(VERSION)"' \
           -DPULT_DATADIR='"$(PREFIX)/share/pult"'
CFLAGS  += $(CSTD) $(WARN) $(OPT) $(HARDEN) $(SAN)
LDFLAGS += -pie -Wl,-z,relro,-z,now $(SAN)

# A guest starts with three processes of this binary, so its own start and size count: it is linked
# statically where all archives are there, which takes a sixth off the time of `pult run`. (What the
# linker says where it succeeds are warnings of libevent's resolver, which nothing here calls.)
LIBS    := event_core jansson seccomp cap vterm ncursesw tinfo nl-route-3 nl-3 archive acl lzma lz4 zstd bz2 z m c
LDLIBS  := $(LIBS:%=-l%)
STATIC  ?= $(shell for l in $(LIBS); do $(CC) -print-file-name=lib$$l.a || echo lib; done \
             2>/dev/null | grep -q '^lib' && echo no || echo yes)
ifeq ($(STATIC),yes)
PULT_LDFLAGS := -static-pie
# What it does first there, see src/entry.S.
ifeq ($(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1),x86_64)
PULT_LDFLAGS += -Wl,-e,pult_entry
ENTRY        := $(B)/obj/entry.o
endif
endif

SRC     := $(filter-out src/main.c,$(wildcard src/*/*.c src/*/*/*.c))
OBJ     := $(SRC:src/%.c=$(B)/obj/%.o)

all: $(B)/pult

$(B)/pult: $(B)/obj/main.o $(ENTRY) $(B)/libpult.a
	@echo '  LD      $@'
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) $(PULT_LDFLAGS) -o $@ $^ $(LDLIBS) 2>$@.log || \
	    { cat $@.log >&2; false; }

# The tests link against the same objects.
$(B)/libpult.a: $(OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/obj/%.o: src/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/%.o: src/%.S $(B)/flags
	@mkdir -p $(@D)
	@echo '  AS      $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# What was built with other flags, or another compiler, is built again.
FLAGS   := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(PULT_LDFLAGS) $(LDLIBS)
$(B)/flags: force
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS)' | cmp -s - $@ || printf '%s\n' '$(FLAGS)' >$@

# Parts with rules of their own (generated sources, tests, the lab) bring a file of them.
-include src/*/rules.mk tests/rules.mk tests/*/rules.mk .ci/rules.mk

-include $(OBJ:.o=.d) $(B)/obj/main.d

deps:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(RUN_PKGS)

# The second make sees what the first one's deps installed.
run: deps
	@$(MAKE) --no-print-directory all
	@$(B)/pult

DEST    = $(DESTDIR)$(PREFIX)
install: all
	install -d $(DEST)/bin $(DEST)/share/pult/themes $(DEST)/share/man/man1 \
	    $(DEST)/share/bash-completion/completions $(DEST)/lib/systemd/system
	install -m 755 $(B)/pult $(DEST)/bin/pult
	install -m 644 themes/*.theme $(DEST)/share/pult/themes/
	$(B)/pult help --man >$(DEST)/share/man/man1/pult.1
	$(B)/pult help --bash >$(DEST)/share/bash-completion/completions/pult
	sed 's|@PREFIX@|$(PREFIX)|g' share/pult.service >$(DEST)/lib/systemd/system/pult.service

clean:
	rm -rf build build-*

force:
.PHONY: all deps run install clean force
.DELETE_ON_ERROR:
