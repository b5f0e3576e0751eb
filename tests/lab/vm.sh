#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
#
# What a stock kernel says of the machine it is in, and its rarer ends: boot.sh has the usual ones.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

# vm NAME CPUS WORD...: define and start one, from the unpacked kernel.
vm()
{
    local name=$1 cpus=$2
    shift 2
    "$PULT" create vm "$name" --kernel "$cache/linux-cloud-amd64/vmlinux" --initrd "$initrd" \
        --cpus "$cpus" --append "console=ttyS0 $*" && "$PULT" start "$name"
}

log_has() { "$PULT" log "$1" | grep -qE "$2"; }
vm_files cloud-amd64

a=$test_id-a
ok "start" vm "$a" 4
ok "it comes up with 4 vCPUs" wait_for 240 log_has "$a" "guest up: 4 cpus"
mkfifo "$WORK/in"
"$PULT" console "$a" <"$WORK/in" >"$WORK/out" 2>&1 &
exec 7>"$WORK/in"
say() { echo "$1" >&7; }
answer() { wait_for 30 grep -qE "^$1" "$WORK/out"; }

say 'echo now $(($(date +%s) / 100)) done'
ok "its shell answers" answer 'now [0-9]+ done'
clock=$(sed -nE 's/^now ([0-9]+) done.*/\1/p' "$WORK/out")
like "its clock is the host's" "$(($(date +%s) / 100 - clock))" '^[01]$'
say 'echo clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)'
ok "it keeps time by KVM's clock" answer 'clocksource (kvm-clock|tsc)'
say 'hwclock -r >/dev/null && echo hwclock $?'
ok "the RTC is read" answer 'hwclock 0'
say 'echo cores $(sed -n "s/^cpu cores.*: //p" /proc/cpuinfo | sort -u)'
ok "it sees one socket of 4 cores" answer 'cores 4'
# A megabyte out, and a line in of all that a line takes.
say 'i=0; while [ $i -lt 256 ]; do echo 0123456789abcdef0123456789abcdef0123456789abcdef; i=$((i+1)); done; echo all out'
ok "much output" answer 'all out'
is "none of it is lost" "$(grep -cE '^0123456789abcdef0123456789abcdef0123456789abcdef' "$WORK/out")" 256
line=$(printf 'x%.0s' {1..200})
say "echo $line | wc -c"
ok "a long line in" answer 201
is "no complaints of ACPI" "$("$PULT" log "$a" | grep -E 'ACPI (BIOS )?(Error|Warning)|BUG:|lockup')" ""
say 'poweroff -f'
ok "poweroff" "$PULT" wait -s stopped -t 30 "$a"
exec 7>&-

# What is typed before the guest is there waits for it.
out=$(printf 'echo ahead $((40 + 2))\npoweroff -f\n' | timeout 90 "$PULT" run --vm \
    --kernel "$cache/linux-cloud-amd64/vmlinux" --initrd "$initrd" --append 'console=ttyS0 quiet')
is "run ends well" $? 0
like "input typed ahead is not lost" "$out" 'ahead 42'

c=$test_id-c
ok "start one with panic=1" vm "$c" 1 quiet panic=1 do=panic
twice() { [ "$("$PULT" log "$c" | grep -c 'not syncing: sysrq triggered crash')" -ge 2 ]; }
ok "it reboots by itself" wait_for 240 twice
ok "kill it" "$PULT" kill "$c"
finish
