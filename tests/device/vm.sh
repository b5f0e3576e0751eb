#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# VMs through pult itself, on this host's KVM whatever it is, with a guest of a few hundred bytes
# (guest.S); and every bad definition.
. "$(dirname "$0")/../lib.sh"

guest=$TOP/$B/tests/device/guest.elf
run_vm() { timeout 60 "$PULT" run --vm --kernel "$guest" --memory 16M --set vm.rootfs=none "$@" </dev/null 2>&1; }
says() # NAME RE COMMAND...: it fails, and says so
{
    local name=$1 re=$2 out
    shift 2
    out=$("$@" 2>&1) && { point "not ok" "$name (it succeeded)"; return; }
    like "$name" "$out" "$re"
}

# What can be told without KVM.
create() { "$PULT" create vm "$@"; }
says "a kernel is needed" 'kernel' create v1
says "that is there" 'none.*No such file' create v1 --kernel "$WORK/none"
says "and is a file" 'directory' create v1 --kernel "$WORK"
echo "no kernel" >"$WORK/text"
says "and a kernel" "text' is no kernel" create v1 --kernel "$WORK/text"
head -c 300 "$guest" >"$WORK/short"
says "and a whole one" "ends before" create v1 --kernel "$WORK/short"
says "and its initrd is there" 'none.*No such file' create v1 --kernel "$guest" --initrd "$WORK/none"
says "too little memory" 'at least 16M' create v1 --kernel "$guest" --memory 1M
says "too much memory" 'this host has|addresses' create v1 --kernel "$guest" --memory 900G
is "nothing was made" "$("$PULT" list --names)" ""

[ -r /dev/kvm ] && [ -w /dev/kvm ] || skip_rest=1
if [ -n "${skip_rest:-}" ]; then
    skip "running VMs" "no /dev/kvm here, or not permitted"
    finish
fi
says "half a CPU" 'whole number' create v1 --kernel "$guest" --cpus 1.5
says "too many CPUs" 'at most' create v1 --kernel "$guest" --cpus 1000

out=$(run_vm --append do=h)
is "run: status of a guest that powers off" $? 0
is "run: its output" "$out" hello
is "run: its command line by default" "$(run_vm)" 'cryptomgr.notests console=ttyS0 quiet'
is "run: a console is named for it" "$(run_vm --append 'a b' --set vm.quick=0)" 'console=ttyS0 a b'
out=$(run_vm --cpus 4 --append do=a3h)
is "run: four CPUs" "$out" $'all up\nhello'
out=$(run_vm --append do=t)
is "run: status of a crash" $? 1
like "run: a triple fault is called so" "$out" 'triple fault'
out=$(run_vm --append do=f | sort | uniq -c)
like "run: every byte of much output" "$out" '^ *1024 The quick brown fox.*again\.$'
out=$(run_vm --append do=pl)
like "run: a panic is told, with its words" "$out" 'kernel panic: out of coffee'
is "nothing is left of them" "$("$PULT" list --names)" ""

# Disks: two that only read one, and one that writes it alone.
truncate -s 1M "$WORK/d.raw"
disk() { create "$1" --kernel "$guest" --memory 16M --append do=hb --disk "$WORK/d.raw$2"; }
ok "a VM with a disk" disk "$test_id-d" ""
ok "one that has it too" disk "$test_id-e" ",serial=two"
ok "one that only reads it" disk "$test_id-f" ",ro"
ok "and another" disk "$test_id-g" ",snapshot"
ok "it starts" "$PULT" start "$test_id-d"
says "the other does not" "d.raw' is in use: .*writes it; stop the guest" "$PULT" start "$test_id-e"
says "nor does one that would read it" "d.raw' is in use: .*writes it" "$PULT" start "$test_id-f"
ok "the first ends" "$PULT" kill "$test_id-d"
ok "then one reads it" "$PULT" start "$test_id-f"
ok "and another too" "$PULT" start "$test_id-g"
says "but none writes it" "d.raw' is in use: .*reads it" "$PULT" start "$test_id-d"
ok "they end" "$PULT" kill "$test_id-f" "$test_id-g"
ok "and it is free again" "$PULT" start "$test_id-d"
rm "$WORK/d.raw"
ok "a disk whose name is gone stays" "$PULT" kill "$test_id-d"
says "but it is missed at the next start" "d.raw.*No such file" "$PULT" start "$test_id-d"
ok "destroy" "$PULT" destroy "$test_id-d" "$test_id-e" "$test_id-f" "$test_id-g"

# QEMU's programs keep off what a VM has, and a VM off what they have.
if command -v qemu-img qemu-io >/dev/null; then
    q=$WORK/q.qcow2
    ok "a qcow2 disk" "$PULT" disk create "$q" 1M
    ok "a VM with it" create "$test_id-q" --kernel "$guest" --memory 16M --append do=hb --disk "$q"
    ok "it starts" "$PULT" start "$test_id-q"
    says "qemu-img does not write it" 'lock' qemu-img resize -f qcow2 "$q" 2M
    says "nor check it" 'lock' qemu-img check -f qcow2 "$q"
    ok "but looks at it if it must" qemu-img info -U "$q"
    says "nor does pult" 'in use: .*writes it' "$PULT" disk resize "$q" 2M
    ok "it ends" "$PULT" kill "$test_id-q"
    mkfifo "$WORK/commands"
    qemu-io -f qcow2 "$q" <"$WORK/commands" >"$WORK/qemu-io" 2>&1 &
    exec 8>"$WORK/commands"
    echo 'write -P 7 0 64k' >&8
    ok "QEMU has it" wait_for 20 grep -q wrote "$WORK/qemu-io"
    says "then the VM does not start" "q.qcow2' is in use: .*writes it" "$PULT" start "$test_id-q"
    exec 8>&-
    wait $!
    ok "and does when that is done" "$PULT" start "$test_id-q"
    ok "destroy" "$PULT" destroy -f "$test_id-q"
    ok "it is as it was" qemu-io -f qcow2 -c 'read -P 7 0 64k' "$q"
else
    skip "QEMU's programs and VMs" "no qemu-img here"
fi

v=$test_id
ok "create" create "$v" --kernel "$guest" --memory 16M --append do=hb
ok "start" "$PULT" start "$v"
is "running" "$(state_of "$v")" running
exits() { "$PULT" info "$v" -o json | python3 -c 'import json, sys; g = json.load(sys.stdin); e = g["exits"]
print(e["serial port"] >= 12, e["acpi pm"] > 0, e["nobody"], g["exits_per_second"] > 0)'; }
ok "its exits are counted by cause" wait_for 20 eval '[ "$(exits)" = "True True 0 True" ]'
says "more memory than it has" 'of 16M cannot be left with 1G' "$PULT" balloon "$v" 1G
says "less than a guest can live with" 'cannot be left with 1M: it may be 16M to 16M' "$PULT" balloon "$v" 1M
says "no size" "'much' is no size" "$PULT" balloon "$v" much
like "it has no driver for a balloon" "$("$PULT" balloon "$v" 16M 2>&1)" 'no balloon driver'
like "what it is left with" "$("$PULT" balloon "$v")" 'left to the guest: +16M of 16M'
ok "freeze" "$PULT" freeze "$v"
is "frozen" "$(state_of "$v")" frozen
ok "unfreeze" "$PULT" unfreeze "$v"
ok "stop presses the power button" "$PULT" stop -t 20 "$v"
is "stopped" "$(state_of "$v")" stopped
like "it saw it" "$("$PULT" log "$v")" 'button'

says "vm.balloon is checked" 'vm.balloon: a guest of 16M cannot be left with 64M' create v1 --kernel "$guest" --memory 16M --set vm.balloon=64M
says "and is a size" "'soft'" create v1 --kernel "$guest" --set vm.balloon=soft
"$PULT" config set "$v" vm.append=do=hl vm.balloon=none
ok "start one that hears nothing" "$PULT" start "$v"
# Most of its time it is in KVM_RUN; where it is not when it is to stop, there is nobody to kick.
kicked() { "$PULT" freeze "$v" && "$PULT" info "$v" | grep -qE 'exits.kick: +[1-9]' || { "$PULT" unfreeze "$v"; false; }; }
ok "a freeze kicks it" wait_for 20 kicked
ok "thaw it again" "$PULT" unfreeze "$v"
says "it has no balloon at all" 'has no balloon \(vm.balloon = none\)' "$PULT" balloon "$v"
"$PULT" config unset "$v" vm.balloon
ok "freeze it" "$PULT" freeze "$v"
ok "kill it while it is frozen" "$PULT" kill "$v"
is "stopped by kill" "$(state_of "$v")" stopped
ok "start it again" "$PULT" start "$v"
ok "stop kills it when its time is up" "$PULT" stop -t 1 "$v"
is "stopped in the end" "$(state_of "$v")" stopped

# The keeper dies: the VM is gone with it, and the next call sees it.
ok "start it once more" "$PULT" start "$v"
pid=$("$PULT" info "$v" -o json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
# What a process is and has: its threads, and what /proc says of it.
said_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
is "its keeper has no capabilities" "$(said_of CapPrm)" 0000000000000000
is "… and gets none" "$(said_of NoNewPrivs)" 1
is "all its threads have a list of system calls" "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid"/task/*/status | sort -u)" 2
is "vCPUs a shorter one" "$(grep -l '^vcpu' "/proc/$pid"/task/*/comm | sed 's/comm$/status/' |
    xargs sed -n 's/^Seccomp_filters:[[:space:]]*//p' | sort -u)" 2
if [ "$(id -u)" -eq 0 ]; then
    is "it sees no file" "$(ls -A "/proc/$pid/root/")" ""
    ok "it is not root" test "$(said_of Uid | cut -f 1)" -ne 0
    for ns in mnt net ipc uts; do
        ok "it has a namespace of its own: $ns" test "$(readlink "/proc/$pid/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")"
    done
fi
kill -9 "$pid"
ok "a killed keeper's guest is seen to be gone" wait_for 5 eval '[ "$(state_of "$v")" != running ]'
ok "nothing runs on" eval '! [ -d /proc/'"$pid"'/task ] || grep -q zombie /proc/'"$pid"'/status'

"$PULT" config set "$v" vm.append=do=hr
log=$PULT_HOME/guests/$v/log
said=$(stat -c %s "$log")
ok "start one that resets" "$PULT" start "$v"
resets() { [ "$("$PULT" log "$v" | grep -c hello)" -ge 3 ]; }
ok "it comes up again and again" wait_for 30 resets
if grep -qwE 'svm|vmx' /proc/cpuinfo; then
    skip "what emulation means is said once" "this host's KVM emulates nothing"
else
    is "what emulation means is said once" "$(tail -c +$((said + 1)) "$log" | grep -c emulates)" 1
fi
ok "kill it in between" "$PULT" kill "$v"

# The janitor outside: without it the keeper ends all the same, and the next call cleans up.
ok "start one more" "$PULT" start "$v"
pid=$("$PULT" info "$v" -o json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
janitor=$(pgrep -P "$pid")
like "it has a janitor" "$(tr '\0' ' ' <"/proc/$janitor/cmdline")" 'janitor of'
kill -9 "$janitor"
"$PULT" kill "$v"
ok "without a janitor it is gone as well" wait_for 5 eval '[ "$(state_of "$v")" != running ]'
ok "and who looks then cleans up" wait_for 5 eval '"$PULT" list >&2; nothing_in "$PULT_RUN"'

"$PULT" config set "$v" vm.append=do=e
ok "start one that echoes" "$PULT" start "$v"
out=$(echo 'over the wire q' | timeout 30 "$PULT" console "$v")
like "what is typed comes back" "$out" 'over the wire q'
ok "and it ends" "$PULT" wait -s stopped -t 10 "$v"
"$PULT" config set "$v" vm.append=do=wr vm.serial2=1
ok "start one with a second serial port" "$PULT" start "$v"
socket=$PULT_RUN/$v/com2
is "its socket is private" "$(stat -c %a "$socket")" 600
wire() { echo "$1" | timeout 20 socat -t 5 - UNIX-CONNECT:"$socket" | head -c "${2:-1000}"; }
is "what is sent comes back, until it resets" "$(wire 'one q' 5)" 'one q'
is "and again after the reset" "$(wire 'two q' 5)" 'two q'
ok "kill it" "$PULT" kill "$v"
says "vm.vsock is checked" "'2' is neither on nor off nor a CID from 3" create v1 --kernel "$guest" --set vm.vsock=2
"$PULT" config set "$v" vm.append=do=hl vm.vsock=on
ok "start one with sockets" "$PULT" start "$v"
is "the one for clients is private" "$(stat -c %a "$PULT_RUN/$v/vsock")" 600
is "a guest without a driver has nobody there" "$(echo CONNECT 1 | timeout 20 socat -t 5 - UNIX-CONNECT:"$PULT_RUN/$v/vsock" 2>&1 | grep -v 'Broken pipe\|reset by peer')" ""
ok "kill it" "$PULT" kill "$v"
ok "nothing is left of it" eval '! [ -e "$PULT_RUN/$v" ]'
ok "destroy" "$PULT" destroy "$v"

like "doctor measures" "$("$PULT" doctor --vm 2>&1)" 'first guest instruction after .* ms; .* exits'
finish
