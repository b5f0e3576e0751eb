#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
#
# The ends of pult run --vm, as a command in a script, that boot.sh does not have.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64
run=("$PULT" run --vm --kernel "$cache/linux-cloud-amd64/vmlinux" --initrd "$initrd" --memory 256M)

timeout 100 "${run[@]}" --append 'console=ttyS0 quiet do=panic' </dev/null >/dev/null 2>"$WORK/err"
is "a panic is status 1" $? 1
like "and says so" "$(cat "$WORK/err")" 'pult run: .*kernel panic'
"${run[@]}" --name "r-$test_id" --append 'console=ttyS0' </dev/null >/dev/null 2>&1 &
pid=$!
ok "it runs" wait_for 240 "$PULT" wait "r-$test_id" -s running -t 1
kill -TERM $pid
wait $pid
is "SIGTERM ends it" $? 143
is "nothing is left" "$("$PULT" list --names)" ""
is "… in the runtime directory" "$(left_in "$PULT_RUN")" ""
finish
