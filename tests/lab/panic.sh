#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
#
# A stock kernel's panic, as the machine sees it: with last words on the console it is a crash;
# told by pvpanic alone, from a kernel that will reboot by itself, it is none.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64
kernel=$cache/linux-cloud-amd64/vmlinux
vm() # NAME OPTION...: define and start one
{
    "$PULT" create vm "$1" --kernel "$kernel" --initrd "$initrd" --memory 256M "${@:2}" && "$PULT" start "$1"
}
uptime_of() { "$PULT" info "$1" -o json | sed -n 's/.*"uptime_seconds": *\([0-9]*\).*/\1/p'; }

a=$test_id-a
ok "start one with 4 vCPUs and the default command line" vm "$a" --cpus 4
ok "it comes up" wait_for 240 has_printed "$a" "guest#"
is "it does not complain of PCI" "$("$PULT" log "$a" | grep PCI)" ""
echo 'echo c >/proc/sysrq-trigger' | timeout 30 "$PULT" console "$a" >/dev/null 2>&1 &
ok "let it panic: it is a crash" "$PULT" wait -s crashed -t 60 "$a"
like "and called so" "$("$PULT" info "$a")" 'kernel panic: sysrq triggered crash'

b=$test_id-b
ok "start one without a serial console that reboots 8 s after its panic" \
    vm "$b" --append 'console=tty0 quiet panic=8 do=panic'
echo 0 >"$WORK/longest"
reboots() # the life that it is in is shorter than one before
{
    local now longest
    longest=$(<"$WORK/longest")
    now=$(uptime_of "$b")
    [ "${now:-0}" -ge "$longest" ] || return 0
    echo "${now:-0}" >"$WORK/longest"
    return 1
}
ok "it does" wait_for 240 reboots
like "after these seconds" "$(<"$WORK/longest")" '^([89]|[1-9][0-9])$'
ok "and runs again" wait_for 5 eval '[ "$(state_of "$b")" = running ]'
ok "kill it" "$PULT" kill "$b"
finish
