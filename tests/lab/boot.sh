#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's kernels boot from a bzImage and from an ELF vmlinux, with one and with four vCPUs, to a
# shell on the serial console; and every way for a guest to end is told from the others.
# timeout: 600 s
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

# Boot, power off by itself: the console has what it printed, and the status is 0.
boots()
{
    local out
    out=$(timeout 90 "$PULT" run --vm --kernel "$1" --initrd "$initrd" --memory 256M --cpus "$2" \
        --append 'console=ttyS0 quiet do=poweroff')
    local rc=$?
    echo "$out"
    [ $rc -eq 0 ] && grep -q "guest up: $2 cpus" <<<"$out"
}

for flavour in amd64 cloud-amd64; do
    vm_files $flavour
    for cpus in 1 4; do
        ok "linux-image-$flavour, bzImage, $cpus vcpu: up, and off" boots "$kernel" $cpus
    done
done
vm_files amd64
ok "vmlinux, 2 vcpu: up, and off" boots "$cache/linux-amd64/vmlinux" 2
is "nothing is left of throwaway guests" "$("$PULT" list --names)" ""

vm=$test_id-vm
ok "create" make_vm "$vm" cloud-amd64 "" --cpus 2
ok "start" "$PULT" start "$vm"
ok "a shell on the serial console" wait_for 240 has_printed "$vm" "guest#"
ok "stop presses the power button" "$PULT" stop --timeout 30 "$vm"
like "the guest saw it" "$("$PULT" log "$vm")" "guest: power button"
is "stopped" "$(state_of "$vm")" stopped

"$PULT" config set "$vm" vm.append="console=ttyS0 quiet do=reboot"
ok "start one that reboots" "$PULT" start "$vm"
ok "it comes up again" wait_for 240 has_printed "$vm" "guest up" 2
ok "kill" "$PULT" kill "$vm"
is "killed is stopped" "$(state_of "$vm")" stopped

"$PULT" config set "$vm" vm.append="console=ttyS0 quiet do=panic"
ok "start one that panics" "$PULT" start "$vm"
ok "it is seen to crash" "$PULT" wait -s crashed -t 60 "$vm"
like "and why" "$("$PULT" info "$vm")" "panic"
ok "destroy" "$PULT" destroy "$vm"
finish
