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
