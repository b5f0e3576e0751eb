#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 3400 s
#
# Debian from its own disk, with its own kernel and initrd, 4 vCPUs, and a login on hvc0: an address by DHCP,
# a terminal whose size is the pane's, and a panic, after which its file system is whole.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"
. "$(dirname "$0")/debian.bash"

make_debian 4 hvc0 --set vm.console=virtio
check_debian 4

# ---- its terminal ----

typed 'stty echo'
out=$(python3 "$TOP/tests/cli/pty" 'wait=200' 'send=\r' 'expect=~# ' 'send=tty; stty size\r' \
    'expect=/dev/hvc0.*24 80' 'size=100x30' 'send=sleep 2; stty size\r' 'expect=30 100' 'size=77x33' 'send=sleep 2; stty size\r' 'expect=33 77' \
    'send=\x1dd' -- "$PULT" console "$v")
like "the size of its terminal follows" "$out" 'exit 0' || sed 's/^/# /' <<<"$out"
ask kept 'echo kept >/root/kept; sync; echo lost >/root/lost; echo 1 >/proc/sys/kernel/sysrq; out=done'
typed 'echo c >/proc/sysrq-trigger'
ok "a panic is a crash" "$PULT" wait -s crashed -t 200 "$v"
like "and called so" "$("$PULT" info "$v")" 'kernel panic: sysrq triggered crash'
ok "qemu-img check" qemu-img check -q -f qcow2 "$disk"
qemu-img convert -f qcow2 -O raw "$disk" "$WORK/raw"
out=$(e2fsck -p "$WORK/raw")
like "its journal is replayed" "$out" 'recovering journal'
ok "its file system is sound" e2fsck -fn "$WORK/raw"
is "it has what was synced" "$(debugfs -R 'cat /root/kept' "$WORK/raw" 2>/dev/null)" kept
ok "destroy" "$PULT" destroy -f "$v"
finish
