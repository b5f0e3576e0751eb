# SPDX-License-Identifier: GPL-2.0-or-later
$(B)/tests/ui/tty.o $(B)/tests/ui/test_console.o: CPPFLAGS += -DPULT_SOURCE='"$(CURDIR)"'
