# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make lint`: the form (clang-format), and what two analyzers find (clang-tidy, cppcheck). A file
# is looked at again when it or a header changed. `make clang`: everything built by clang as well.

LINT_C  := $(wildcard src/*.c src/*/*.c src/*/*/*.c src/*/*/*/*.c tests/*.c tests/*/*.c)
LINT_H  := $(wildcard src/*/*.h src/*/*/*.h src/*/*/*/*.h tests/*.h tests/*/*.h)

deps-lint:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(TEST_PKGS) $(LINT_PKGS)

lint: deps-lint
	@$(MAKE) --no-print-directory lint-format lint-tidy lint-cppcheck

lint-format:
	@clang-format --dry-run -Werror $(LINT_C) $(LINT_H)

lint-tidy: $(LINT_C:%.c=$(B)/lint/%.tidy)

# How many states the analyzer looks at before it leaves a function: its own 225000 take three times
# as long, to find nothing more here.
TIDY_STATES := 60000
TIDY        := $(foreach w,-analyzer-config max-nodes=$(TIDY_STATES),--extra-arg=-Xclang --extra-arg=$w)

# The analyzer does not know that a failed assertion of cmocka ends a test; and fuzzers include what
# they and tests share, to be built with their own flags.
$(B)/lint/tests/%: TIDY := --checks=-clang-analyzer-*,-bugprone-suspicious-include --extra-arg=-DPULT_SOURCE='""'

# Its count of suppressed warnings goes to stderr, its findings to stdout.
$(B)/lint/%.tidy: %.c $(LINT_H) .clang-tidy $(B)/flags
	@mkdir -p $(@D)
	@echo '  TIDY    $<'
	@clang-tidy --quiet $(TIDY) $< -- $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS)) -Itests $(CSTD) 2>$@.log || \
	    { grep -v 'warnings generated' $@.log; false; }
	@mv $@.log $@

lint-cppcheck:
	@mkdir -p $(B)/lint/cppcheck
	cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --suppressions-list=.ci/cppcheck --error-exitcode=1 --cppcheck-build-dir=$(B)/lint/cppcheck \
	    -D_GNU_SOURCE -Isrc -Itests src tests

clang: deps-lint
	@$(MAKE) --no-print-directory CC=clang B=build-clang tests

.PHONY: lint lint-format lint-tidy lint-cppcheck deps-lint clang
