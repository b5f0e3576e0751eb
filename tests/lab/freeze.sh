#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A frozen VM takes no CPU and remembers all; thawed, it goes on where it was, and its clock does
# not count the time as a lockup.
# timeout: 200 s
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm=$test_id-vm
# Busy at once: the first words on its console come from a loop that never rests.
ok "create" make_vm "$vm" cloud-amd64 "do=count"
ok "start" "$PULT" start "$vm"
ok "it works" wait_for 240 has_printed "$vm" "count 3"

keeper_ticks()
{
    awk '{ print $14 + $15 }' "/proc/$("$PULT" info "$vm" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p')/stat"
}
ok "freeze" "$PULT" freeze "$vm"
is "frozen" "$(state_of "$vm")" frozen
before=$(keeper_ticks) lines=$(printed "$vm" "count ")
sleep 2
after=$(keeper_ticks)
ok "no CPU is used" test $((after - before)) -le 5
is "nothing is printed" "$(printed "$vm" "count ")" "$lines"
ok "unfreeze" "$PULT" unfreeze "$vm"
is "running" "$(state_of "$vm")" running
ok "it goes on" wait_for 30 has_printed "$vm" "count $((lines + 3))"
is "no lockup is seen" "$(printed "$vm" "soft lockup")" 0
ok "kill" "$PULT" kill "$vm"
finish
