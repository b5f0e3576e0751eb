#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1500 s
#
# The blows of engine/chaos.sh where VMs run, on pure cgroup v2. Each takes 10 s or so in an emulated
# machine, in which all becomes true later.
[ -n "${PULT_IN_LAB:-}" ] || { echo "1..0 # SKIP runs in the lab only: tests/run lab"; exit; }
PULT_PATIENCE=60 exec "$(dirname "$0")/../engine/chaos.sh"
