#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600 s
#
# VMs that boot from their disks, with Debian's kernel: what they write is there after a reboot and
# sound, an image that is run is not touched, and a full host stops a guest that writes and not its
# data. The system on the disks is a busybox; nothing but an ext4 and a partition table is made here.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

kernel=$cache/linux-cloud-amd64/vmlinuz
boot=(--set "vm.kernel=$kernel" --set vm.rootfs=disk --memory 256M)

# make_image FILE LABEL: a qcow2 image with one partition, the system of which runs INIT of $WORK/root.
make_image()
{
    rm -f "$WORK/fs" "$WORK/raw"
    truncate -s 31M "$WORK/fs"
    mkfs.ext4 -q -L "$2" -d "$WORK/root" "$WORK/fs" || return
    truncate -s 32M "$WORK/raw"
    dd if="$WORK/fs" of="$WORK/raw" bs=1M seek=1 conv=notrunc,sparse status=none
    # One partition of Linux, from sector 2048 on, 63488 long; and the mark of a table.
    printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\xf8\0\0' | dd of="$WORK/raw" bs=1 seek=446 conv=notrunc status=none
    printf '\x55\xaa' | dd of="$WORK/raw" bs=1 seek=510 conv=notrunc status=none
    qemu-img convert -f raw -O qcow2 "$WORK/raw" "$1"
}

mkdir -p "$WORK/root"/{bin,sbin,etc,proc,sys,dev,tmp,root,run,lib/modules}
cp "$(command -v busybox)" "$WORK/root/bin/"
for name in sh cat dd md5sum sync reboot poweroff mount grep sleep ls uname; do ln -s busybox "$WORK/root/bin/$name"; done
cat >"$WORK/root/sbin/init" <<'INIT'
#!/bin/sh
# The first time: write to the other disk and to this one, and reboot. The second time: look.
export PATH=/bin
echo "system up: $(grep ' / ' /proc/mounts)"
if [ ! -e /written ]; then
    dd if=/dev/urandom of=/tmp/seed bs=256k count=1 2>/dev/null
    i=0; while [ $i -lt 64 ]; do cat /tmp/seed; i=$((i + 1)); done | dd of=/dev/vdb bs=64k 2>/dev/null
    dd if=/dev/urandom of=/data bs=64k count=100 2>/dev/null
    md5sum /data /tmp/seed >/written
    sync
    echo "all written"
    reboot -f
fi
md5sum -c /written
dd if=/dev/vdb bs=64k 2>/dev/null | md5sum
sync
poweroff -f
INIT
chmod +x "$WORK/root/sbin/init"
ok "an image" make_image "$WORK/system.qcow2" system
sum=$(sha256sum <"$WORK/system.qcow2")

# ---- a command, and everything forgotten ----

out=$(timeout 100 "$PULT" run --vm "$WORK/system.qcow2" --kernel "$kernel" --memory 256M \
    --append 'quiet root=LABEL=system' -- sh -c 'grep " / " /proc/mounts; echo new >/new; sync; cat /new; exit 7' </dev/null 2>"$WORK/err")
is "a command on an image: its status" $? 7
is "its output" "$out" $'/dev/vda1 / ext4 rw,relatime 0 0\nnew'
is "no complaint" "$(cat "$WORK/err")" ""
is "the image is as it was" "$(sha256sum <"$WORK/system.qcow2")" "$sum"

truncate -s 4M "$WORK/empty.raw"
out=$(timeout 100 "$PULT" run --vm "$WORK/empty.raw" --disk "$WORK/system.qcow2,ro" --kernel "$kernel" --memory 256M \
    --append 'quiet root=LABEL=nix' </dev/null 2>&1)
is "no such root: its status" $? 125
like "it is said" "$out" 'what root= names is not there'
like "with what there is" "$out" '/dev/vdb1, 31 MiB, ext4, LABEL=system'

# ---- a system of its own; the host has no room for its second disk ----

mkdir "$WORK/small"
mount -t tmpfs -o size=4M small "$WORK/small"
at_exit "umount -l $WORK/small"
ok "a disk that is larger than its place" "$PULT" disk create "$WORK/small/data.qcow2" 16M
ok "a VM with both" "$PULT" create vm d1 "${boot[@]}" --disk "$WORK/system.qcow2" \
    --disk "$WORK/small/data.qcow2,serial=data"
ok "it starts" "$PULT" start d1
ok "it is frozen when the host is full" wait_for 100 eval '[ "$(state_of d1)" = frozen ]'
like "and it is said why" "$("$PULT" info d1)$("$PULT" list)" "disk full: $WORK/small/data.qcow2"
"$PULT" unfreeze d1
ok "without room it freezes again" wait_for 20 eval '[ "$(state_of d1)" = frozen ]'
ok "the host gets room" mount -o remount,size=64M "$WORK/small"
ok "and the guest goes on" "$PULT" unfreeze d1
ok "to its end, through a reboot" "$PULT" wait d1 -s stopped -t 150
out=$("$PULT" log d1 | tr -d '\r')
echo "$out" | sed 's/^/# /'
is "it came up twice" "$(grep -c '^system up: /dev/vda1 / ext4 rw' <<<"$out")" 2
like "it saw no failure" "$out" 'all written'
is "what it wrote is there" "$(grep -c ': OK$' <<<"$out")" 2
is "no error of a disk" "$(grep -iE 'I/O error|EXT4-fs error' <<<"$out")" ""
for f in "$WORK/system.qcow2" "$WORK/small/data.qcow2"; do
    ok "qemu-img check: $(basename "$f")" qemu-img check -q -f qcow2 "$f"
done
rm "$WORK/raw"
qemu-img convert -O raw "$WORK/system.qcow2" "$WORK/raw"
dd if="$WORK/raw" of="$WORK/fs" bs=1M skip=1 status=none
e2fsck -fy "$WORK/fs" >"$WORK/fsck" 2>&1 # its journal, for nobody unmounted it
ok "its file system is sound" e2fsck -fn "$WORK/fs"
seed=$(debugfs -R 'cat /tmp/seed' "$WORK/fs" 2>/dev/null | md5sum)
is "the other disk has all of it" \
    "$(qemu-img convert -O raw "$WORK/small/data.qcow2" "$WORK/raw" && head -c 262144 "$WORK/raw" | md5sum; tail -c 262144 "$WORK/raw" | md5sum)" \
    "$seed"$'\n'"$seed"
finish
