#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s
#
# Shared folders with Debian's kernels: mounted, read and written from both sides, read-only where
# they are, and no way out of them.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

dir=$WORK/top
mkdir -p "$dir/sub" "$WORK/ro"
echo 'from the host' >"$dir/file"
echo 'kept' >"$WORK/ro/file"
echo 'secret' >"$WORK/secret"
ln -s ../secret "$dir/out"
ln -s "$WORK/secret" "$dir/abs"
mknod "$dir/null" c 1 3
mkfifo "$dir/fifo"
head -c 1000000 /dev/urandom >"$dir/big"
cat >"$dir/guest.sh" <<'GUEST'
echo "read: $(cat /mnt/file)"
echo 'from the guest' >/mnt/new
mkdir /mnt/made && cp /mnt/big /mnt/made/copy && cmp /mnt/big /mnt/made/copy && echo "copied"
mv /mnt/made/copy /mnt/sub/moved && ln -s moved /mnt/sub/link && ln /mnt/sub/moved /mnt/sub/hard
dd if=/dev/zero of=/mnt/sparse bs=1 count=1 seek=99999 2>/dev/null
chmod 640 /mnt/new
chown 1234:4321 /mnt/new && echo "given away"
i=0; while [ $i -lt 60 ]; do : >/mnt/sub/f$i; i=$((i + 1)); done
echo "listed: $(ls /mnt/sub | wc -l)"
rm /mnt/sub/f*
cat /mnt/out /mnt/abs 2>/dev/null && echo "ESCAPED"
cat /mnt/../secret 2>/dev/null && echo "ESCAPED"
mknod /mnt/zero c 1 5 2>/dev/null && echo "MADE A DEVICE"
(: >/mnt/null) 2>/dev/null && echo "OPENED A DEVICE"
chmod 4755 /mnt/new 2>/dev/null && echo "SET-UID"
mkdir -p /ro && mount -t virtiofs other /ro && echo "other: $(cat /ro/file)"
(echo changed >/ro/file) 2>/dev/null && echo "WROTE"
rm /ro/file 2>/dev/null && echo "REMOVED"
touch /ro/new 2>/dev/null && echo "MADE"
mount -o remount,rw /ro 2>/dev/null; (echo changed >/ro/file) 2>/dev/null && echo "WROTE"
flock /mnt/file true && echo "locked"
umount /ro
sync
echo "script done"
GUEST

for flavour in amd64 cloud-amd64; do
    vm_files $flavour
    rm -rf "$dir/made" "$dir/new" "$dir/sparse" "$dir/sub/"*
    out=$(timeout 150 "$PULT" run --vm --kernel "$kernel" --initrd "$initrd" --memory 256M \
        --append 'console=ttyS0 quiet do=script' --share "$dir" --share "$WORK/ro:other,ro" </dev/null | tr -d '\r')
    echo "$out" | sed 's/^/# /'
    like "$flavour: the guest reads" "$out" 'read: from the host'
    like "all was tried" "$out" 'script done'
    like "a large file comes back whole" "$out" 'copied'
    like "all names are listed" "$out" 'listed: 63'
    like "a second share" "$out" 'other: kept'
    is "nothing got out, and nothing into the read-only one" \
        "$(grep -E 'ESCAPED|DEVICE|SET-UID|WROTE|REMOVED|MADE|secret' <<<"$out")" ""
    is "the host sees what was written" "$(cat "$dir/new")" "from the guest"
    is "… whose it is" "$(stat -c %u:%g:%a "$dir/new")" 1234:4321:640
    is "… what was moved" "$(cmp "$dir/big" "$dir/sub/moved" && stat -c %h "$dir/sub/moved")" 2
    is "… links" "$(readlink "$dir/sub/link")" moved
    is "… holes" "$(stat -c %s "$dir/sparse")" 100000
    is "… and no device" "$(ls "$dir/zero" 2>/dev/null)" ""
    is "the read-only one is as it was" "$(ls "$WORK/ro"; cat "$WORK/ro/file")" "file"$'\n'"kept"
done
out=$("$PULT" create vm bad --kernel "$kernel" --share "$WORK/none" 2>&1)
like "a directory that is not there is said to be" "$out" "none.*No such file"
finish
