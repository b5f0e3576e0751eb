# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is tried from within a container (tries.sh): static, for a root file system of a busybox. And
# who answers system calls of one (keys.sh).

TEST_EXTRA += $(B)/tests/engine/tries $(B)/tests/engine/notifyd

# No sanitizer's library is static.
$(B)/tests/engine/tries $(B)/tests/engine/tries.o: override SAN :=
$(B)/tests/engine/tries: $(B)/tests/engine/tries.o
	@echo '  LD      $@'
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS)) -static-pie -o $@ $<

$(B)/tests/engine/notifyd: $(B)/tests/engine/notifyd.o
	@echo '  LD      $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $<

# What loads profiles of AppArmor (apparmor.sh, in the lab), out of its package, which is not installed.
ifneq ($(DEPS),no)
$(B)/cache/apparmor/sbin/apparmor_parser:
	@mkdir -p $(B)/cache/apparmor
	@echo '  GET     apparmor'
	-$(Q)cd $(B)/cache/apparmor && apt-get -qq download apparmor && dpkg -x apparmor_*.deb .

TEST_EXTRA += $(B)/cache/apparmor/sbin/apparmor_parser
endif
