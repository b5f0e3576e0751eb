# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the VMM has made at build time: the DSDT from its ASL source, and the doctor's guest.

$(B)/gen/kvm/dsdt.h: src/kvm/acpi/dsdt.asl
	@mkdir -p $(@D)
	iasl -vs -tc -p $(B)/gen/kvm/dsdt $< >$(B)/gen/kvm/dsdt.log || { cat $(B)/gen/kvm/dsdt.log; exit 1; }
	mv $(B)/gen/kvm/dsdt.hex $@

# A piece of flat code, assembled and turned into the inside of a C array.
$(B)/gen/kvm/%.inc: src/kvm/%.S
	@mkdir -p $(@D)
	$(CC) -c -o $(@:.inc=.o) $<
	objcopy -O binary -j .text $(@:.inc=.o) $(@:.inc=.bin)
	od -An -v -tx1 $(@:.inc=.bin) | sed 's/ \(..\)/0x\1,/g' >$@

$(B)/obj/kvm/acpi/tables.o: $(B)/gen/kvm/dsdt.h
$(B)/obj/kvm/doctor.o: $(B)/gen/kvm/probe.inc

# The first process of a throwaway VM: a program of its own, static and small, inside of this one.
VM_INIT := $(wildcard src/kvm/throw/init/*.c)
$(B)/gen/kvm/init: $(VM_INIT) src/kvm/throw/init/init.h src/kvm/legacy/report.h $(B)/flags
	@mkdir -p $(@D)
	@echo '  CC      $@'
	$(Q)$(CC) -D_GNU_SOURCE -Isrc $(CSTD) $(WARN) -Os -static -fno-pie -s -o $@ $(VM_INIT)

$(B)/obj/kvm/throw/init.o: $(B)/gen/kvm/init
$(B)/fuzz/obj/kvm/throw/init.o: $(B)/gen/kvm/init
