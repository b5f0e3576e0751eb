# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests' guest: an ELF kernel of a few hundred bytes.

$(B)/tests/device/guest.elf: tests/device/guest.S
	@mkdir -p $(@D)
	$(CC) -c -o $(@:.elf=.o) $<
	ld -n -Ttext=0x200000 -e _start -o $@ $(@:.elf=.o)

TEST_EXTRA += $(B)/tests/device/guest.elf

# Its vCPU threads' kicks and ends are looked at.
$(B)/tests/device/test_machine: LDLIBS += -Wl,--wrap=pthread_kill,--wrap=pthread_join

# It is its own keeper.
$(B)/tests/device/test_engine: LDLIBS += -Wl,--wrap=keeper_started,--wrap=keeper_ended,--wrap=keeper_confine
