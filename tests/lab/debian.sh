#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 2400 s
#
# Debian as debootstrap installs it, on a qcow2 disk, with the kernel and initrd of its own: a login,
# an address by DHCP from another namespace, data and file systems over a reboot, the balloon, a minute
# in the freezer, the size of the pane, a panic, and both ways to turn it off. With 1 and 4 vCPUs.
# A snapshot saves the boot that a second way to turn it off would take.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

debian=$cache/debian
[ -e "$debian/disk.qcow2" ] || skip_all "no image here: tests/lab/debian makes it"

modprobe -a bridge veth
ip link add br8 type bridge && ip link set br8 up
ip netns add "$test_id"
at_exit "ip netns del $test_id; umount -q /run/netns; ip link del br8"
ip link add far8 type veth peer name near netns "$test_id"
ip link set far8 master br8 up
ip -n "$test_id" addr add 10.98.0.2/24 dev near && ip -n "$test_id" link set near up
ip netns exec "$test_id" dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --interface=near \
    --bind-interfaces --dhcp-authoritative --dhcp-range=10.98.0.50,10.98.0.90,255.255.255.0,1h \
    --dhcp-leasefile="$WORK/leases" >"$WORK/dnsmasq" 2>&1 &
at_exit "kill $!"

v=$test_id-vm
disk=$WORK/system.qcow2 data=$WORK/data.qcow2
typed() { printf '%s\n' "$1" | timeout 10 "$PULT" console "$v" -H 0 >/dev/null; }
# Before what is said there may be a prompt, or what readline sends to terminals.
said() { "$PULT" log "$v" | tr -d '\r' | sed -n "s/.*<$1>\\(.*\\)\\.$/\\1/p" | tail -n 1; }
fact() { "$PULT" info "$v" -o json | sed -nE 's/^ *"'"$1"'": ([0-9]+).*/\1/p'; }
seconds() { echo $(((${EPOCHREALTIME/./} - t0) / 1000000)); }
# ask WORD COMMAND: have the shell run that; what it says is said WORD. What is typed is echoed, but
# no line of it begins as those of its output do.
ask() { typed "$2; say $1 \$out"; ok "the guest answers: $1" wait_for 400 has_printed "$v" "<$1>"; }
# login TIMES: until its login was there so many times, then log in.
login()
{
    ok "it boots to a login" wait_for 900 has_printed "$v" "debian login:" "$1" || "$PULT" log "$v" | tail -n 40 | sed 's/^/# /'
    echo "# after $(seconds) s"
    typed root
    ok "root logs in" wait_for 400 has_printed "$v" "root@debian:~#" "$1"
    typed 'say() { n=$1; shift; echo "<$n>$*."; }; stty -echo; bind "set enable-bracketed-paste off"; dmesg -n 1'
}

# The image is never written.
ok "a disk based on it" "$PULT" disk create --backing "$debian/disk.qcow2,format=qcow2" "$disk"
ok "a disk for data" "$PULT" disk create "$data" 64M
ok "a VM with 1 vCPU" "$PULT" create vm "$v" --kernel "$debian/vmlinuz" --initrd "$debian/initrd.img" \
    --append 'console=ttyS0 quiet root=LABEL=debian net.ifnames=0' --memory 512M \
    --disk "$disk,format=qcow2,backing=$debian/disk.qcow2:qcow2" --disk "$data,serial=data" --net bridge=br8
t0=${EPOCHREALTIME/./}
ok "it starts" "$PULT" start "$v"
login 1

# ---- its network, its disks ----

ask address 'out=$(ip -4 -o addr show scope global | sed -nE "s/.*inet ([0-9.]+).*/\1/p")'
like "it has an address of the server in the other namespace" "$(said address)" '^10\.98\.0\.[5-9][0-9]$'
like "which gave it" "$(cat "$WORK/leases")" "$(said address) debian"
ask root 'out=$(findmnt -no SOURCE,FSTYPE /; uname -r)'
like "its root is on its disk" "$(said root)" '^/dev/vda ext4'
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

# ---- 4 vCPUs, hvc0, a panic ----

"$PULT" config set "$v" guest.cpus=4 vm.console=virtio "vm.append=console=hvc0 quiet root=LABEL=debian net.ifnames=0"
t0=${EPOCHREALTIME/./}
ok "with 4 vCPUs, on hvc0" "$PULT" start "$v"
login 1
ask cpus 'out=$(nproc)'
is "it has 4" "$(said cpus)" 4
typed 'stty echo'
out=$(python3 "$TOP/tests/cli/pty" 'send=\r' 'expect=~# ' 'send=tty; stty size\r' 'expect=/dev/hvc0.*24 80' \
    'size=100x30' 'send=sleep 2; stty size\r' 'expect=30 100' 'size=77x33' 'send=sleep 2; stty size\r' 'expect=33 77' \
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
