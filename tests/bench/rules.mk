# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make bench`: pult beside its peers, as ratios of one run. BENCH="start flood" does only these.

# The block device without a guest.
$(B)/tests/bench/blk: $(B)/tests/bench/blk.o $(B)/tests/device/driver.o $(B)/tests/device/blkrig.o $(B)/libpult.a
	@echo '  LD      $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

bench:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(RUN_PKGS) $(TEST_PKGS) $(BENCH_PKGS)
	@$(MAKE) --no-print-directory all $(B)/tests/bench/blk
	@B=$(B) tests/bench/bench $(BENCH)

.PHONY: bench
