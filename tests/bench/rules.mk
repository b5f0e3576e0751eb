# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make bench`: pult beside its peers, as ratios of one run. BENCH="start flood" does only these.
# `make bench-lab`: its VMs beside QEMU's, in the lab; BENCH="boot io" likewise.

# The block device without a guest.
$(B)/tests/bench/blk: $(B)/tests/bench/blk.o $(B)/tests/device/driver.o $(B)/tests/device/blkrig.o $(B)/libpult.a
	@echo '  LD      $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# pult with a KVM that does nothing.
$(B)/tests/bench/entry: $(B)/tests/bench/entry.o $(B)/obj/main.o $(ENTRY) $(B)/libpult.a
	@echo '  LD      $@'
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) $(PULT_LDFLAGS) -Wl,--wrap=ioctl,--wrap=kvm_open -o $@ $^ $(LDLIBS) 2>$@.log || \
	    { cat $@.log >&2; false; }

# `load` runs in guests, which have nothing else.
$(B)/tests/bench/load $(B)/tests/bench/turns: $(B)/tests/bench/%: tests/bench/%.c $(B)/flags
	@mkdir -p $(@D)
	@echo '  CC      $<'
	$(Q)$(CC) $(CPPFLAGS) $(CSTD) $(WARN) -O2 -static -o $@ $<

bench:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(RUN_PKGS) $(TEST_PKGS) $(BENCH_PKGS)
	@$(MAKE) --no-print-directory all $(addprefix $(B)/tests/bench/,blk entry load turns)
	@B=$(B) tests/bench/bench $(BENCH)

bench-lab:
	@DEPS=$(DEPS) .ci/deps $(BUILD_PKGS) $(RUN_PKGS) $(TEST_PKGS)
	@$(MAKE) --no-print-directory all $(B)/tests/bench/load
	@B=$(B) tests/bench/lab $(BENCH)

.PHONY: bench bench-lab
