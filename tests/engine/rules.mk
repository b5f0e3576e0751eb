# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is tried from within a container (tries.sh): static, for a root file system of a busybox.

TEST_EXTRA += $(B)/tests/engine/tries

$(B)/tests/engine/tries: $(B)/tests/engine/tries.o
	@echo '  LD      $@'
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) -static-pie -o $@ $<
