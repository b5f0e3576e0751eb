#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1500 s
#
# The blows of engine/chaos.sh where VMs run, on pure cgroup v2.
[ -n "${PULT_IN_LAB:-}" ] || { echo "1..0 # SKIP runs in the lab only: tests/run lab"; exit; }
exec "$(dirname "$0")/../engine/chaos.sh"
