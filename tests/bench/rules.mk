# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make bench`: pult beside its peers, as ratios of one run. BENCH="start flood" does only these.

bench:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(RUN_PKGS) $(TEST_PKGS) $(BENCH_PKGS)
	@$(MAKE) --no-print-directory all
	@B=$(B) tests/bench/bench $(BENCH)

.PHONY: bench
