# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make fuzz` builds every tests/fuzz/fuzz_*.c with clang's libFuzzer and with the address and
# undefined-behaviour sanitizers, against sources compiled the same way, into $(B)/fuzz.
# `make fuzz-run SECONDS=60` runs each for so long, T=conf only that one. What was found worth
# keeping stays in $(B)/fuzz/corpus and is where the next run goes on; an input that once showed a
# bug belongs into tests/fuzz/seeds/NAME/. `make check` runs each for a few seconds.

FUZZ_CC  := clang
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
FUZZ_OBJ := $(SRC:src/%.c=$(B)/fuzz/obj/%.o)
FUZZ_CFLAGS = $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS)) -Itests $(CSTD) $(filter-out -Werror,$(WARN)) -O1 -g \
              -fno-omit-frame-pointer $(FUZZ_SAN)

fuzz: $(FUZZ_BIN)

fuzz-run: fuzz
	@tests/fuzz/fuzz.sh $(or $(SECONDS),10) $(T)

$(B)/fuzz/libpult.a: $(FUZZ_OBJ)
	@rm -f $@
	@ar rcs $@ $^

# The plain object first: its rules make the headers that are generated.
$(FUZZ_OBJ): $(B)/fuzz/obj/%.o: src/%.c $(B)/flags | $(B)/obj/%.o
	@mkdir -p $(@D)
	@echo '  FUZZ-CC $<'
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(FUZZ_BIN): $(B)/fuzz/%: tests/fuzz/%.c $(B)/fuzz/libpult.a
	@mkdir -p $(@D)
	@echo '  FUZZ-LD $@'
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ $< $(B)/fuzz/libpult.a \
	    $(LIBS:%=-l%) -lm

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_BIN:=.d)

# Where there is no clang with its runtime, fuzz.sh says so and skips. Builds for other ends, by
# another compiler or with sanitizers (make clang, make asan), do not want them.
ifeq ($(B),build)
ifneq ($(wildcard $(shell $(FUZZ_CC) -print-file-name=libclang_rt.fuzzer-x86_64.a 2>/dev/null)),)
TEST_EXTRA += $(FUZZ_BIN)
endif
endif

.PHONY: fuzz fuzz-run
