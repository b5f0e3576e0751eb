# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make lab`: pult in the lab, for whoever has no hardware virtualization here. LAB="CMD…" runs
# something else in it, such as LAB=bash. What it writes is forgotten.

lab: deps-check
	@$(MAKE) --no-print-directory all
	@tests/lab/lab -i -- $(or $(LAB),$(B)/pult)

.PHONY: lab
