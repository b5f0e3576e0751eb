#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1500 s
#
# The blows of engine/chaos.sh where VMs run, on pure cgroup v2: half of them, for each takes 10 s or so
# in an emulated machine, where all becomes true later and containers that fork a hundred times a
# second leave the others nothing.
[ -n "${PULT_IN_LAB:-}" ] || { echo "1..0 # SKIP runs in the lab only: tests/run lab"; exit; }
PULT_CHAOS=${PULT_CHAOS:-20} PULT_PATIENCE=60 PULT_TICK=1 exec "$(dirname "$0")/../engine/chaos.sh"
