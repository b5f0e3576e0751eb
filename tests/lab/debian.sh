#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 3400 s
#
# Debian from its own disk, with its own kernel and initrd, and 1 vCPU: a login, an address by DHCP, data
# and file systems over a reboot, the balloon, a minute in the freezer, and both ways to turn it off. A
# snapshot saves the boot that the second of them would take. debian_smp.sh has the rest.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"
. "$(dirname "$0")/debian.bash"

make_debian 1 ttyS0
check_debian 1

# ---- its disks ----

ask written 'mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt && dd if=/dev/urandom of=/mnt/f bs=64k count=320 2>/dev/null && dd if=/dev/urandom of=/root/f bs=64k count=160 2>/dev/null && md5sum /mnt/f /root/f >/root/sums && sync; out=$(wc -l </root/sums)'
is "it writes 30 MiB to two disks" "$(said written)" 2

# ---- the balloon ----

ask filled 'head -c 157286400 /dev/zero >/dev/shm/fill; out=$(stat -c %s /dev/shm/fill)'
full=$(fact memory_resident_bytes)
ask emptied 'rm /dev/shm/fill; out=done'
ok "leave it 320M" "$PULT" balloon "$v" 320M
small() { [ "$(fact memory_limit_bytes)" = $((320 << 20)) ] && [ "$(fact memory_resident_bytes)" -lt $((full - (64 << 20))) ]; }
ok "the host gets memory back" wait_for 200 small
echo "# resident with 150 MiB in use: $full, after: $(fact memory_resident_bytes) bytes"
ok "give it all back" "$PULT" balloon "$v" 512M

# ---- a minute in the freezer ----

ask ticks 'out=$(cut -d. -f1 /proc/uptime)'
ok "freeze" "$PULT" freeze "$v"
sleep 60
ok "thaw" "$PULT" unfreeze "$v"
early=$(date +%s)
ask clock 'out=$(date +%s)'
late=$(date +%s)
echo "# it is $(said clock) there, between $early and $late here"
ok "its clock is right" [ $(($(said clock) + 1)) -ge "$early" -a $(($(said clock) - 1)) -le "$late" ]
ask trouble 'out=$(dmesg | grep -cE "soft lockup|detected stall|going backwards")'
is "its kernel took it for no lockup" "$(said trouble)" 0

# ---- reboot, and off ----

t0=${EPOCHREALTIME/./}
typed reboot
login 2
ask sums 'e2fsck -fn /dev/vdb >/run/fsck 2>&1; a=$?; mount /dev/vdb /mnt; md5sum -c /root/sums >/run/sums 2>&1; out="$a $? $(grep -c OK /run/sums)"'
is "fsck finds nothing, and what was written is there" "$(said sums)" "0 0 2"
ask fsck 'out=$(cat /run/initramfs/fsck.log /var/log/fsck/* 2>/dev/null | grep -o "debian: clean" | head -n 1)'
is "its root was clean" "$(said fsck)" "debian: clean"
ok "a snapshot" "$PULT" snapshot create "$v" up
ok "the power button" "$PULT" stop --timeout 400 "$v"
is "it turned itself off" "$(state_of "$v") $(grep last.how "$PULT_HOME/guests/$v/last")" "stopped last.how = 0"
like "as Debian does" "$("$PULT" log "$v")" 'Power down|ower off'
ok "once more" "$PULT" snapshot restore "$v" up
typed 'mount | grep -c vdb; poweroff'
ok "poweroff" "$PULT" wait -s stopped -t 400 "$v"
for f in "$disk" "$data"; do ok "qemu-img check: ${f##*/}" qemu-img check -q -f qcow2 "$f"; done
qemu-img convert -O raw "$data" "$WORK/raw"
ok "the host's e2fsck finds no fault" e2fsck -fn "$WORK/raw"
ok "delete the snapshot" "$PULT" snapshot delete "$v" up
ok "destroy" "$PULT" destroy -f "$v"
finish
