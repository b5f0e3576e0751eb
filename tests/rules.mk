# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every tests/DIR/test_*.c is a cmocka program of its own, $(B)/tests/DIR/test_*; the other *.c of
# its directory are linked into each of them. A directory adds what else it needs in a rules.mk of
# its own: `$(B)/tests/DIR/test_x: more.o`, or `TEST_EXTRA += file` to have a file made first.

TEST_SRC := $(wildcard tests/*/test_*.c)
TEST_BIN := $(TEST_SRC:tests/%.c=$(B)/tests/%)
TEST_OBJ := $(patsubst tests/%.c,$(B)/tests/%.o,$(wildcard tests/*/*.c))

.SECONDEXPANSION:
test_helpers = $(patsubst tests/%.c,$(B)/tests/%.o,$(filter-out $(TEST_SRC),$(wildcard tests/$1*.c)))

$(TEST_BIN): $(B)/tests/%: $(B)/tests/%.o $$(call test_helpers,$$(dir $$*)) $(B)/libpult.a
	@echo '  LD      $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS) -lcmocka

$(TEST_OBJ): $(B)/tests/%.o: tests/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/guard: tests/guard.c $(B)/flags
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $<

-include $(TEST_OBJ:.o=.d) $(B)/tests/guard.d

tests: $(B)/pult $(B)/tests/guard $(TEST_BIN) $$(TEST_EXTRA)

deps-check:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(RUN_PKGS) $(TEST_PKGS)

# make check T=unit, make check T="unit/test_conf ui": only these.
check: deps-check
	-@$(MAKE) -k --no-print-directory tests
	@B=$(B) tests/run $(T)

asan: deps-check
	@$(MAKE) --no-print-directory B=build-asan STATIC=no OPT='-O1 -g' \
	    SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined' tests
	@B=build-asan tests/run $(or $(T),unit)

.PHONY: tests check asan deps-check
