#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
# pult disk: all its verbs, held against QEMU's; what is refused, with why; and what an interrupted one
# leaves, which is nothing.
. "$(dirname "$0")/cli.bash"
command -v qemu-img qemu-io >/dev/null || skip_all "no qemu-img and qemu-io here"

cd "$WORK" || exit
same() { qemu-img compare -q -f "$2" -F "$4" "$1" "$3"; }        # FILE FORMAT FILE FORMAT
sound() { qemu-img check -q -f qcow2 "$1" && pult disk check "$1"; } # FILE
number() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# ---- create, info ----

ok "an empty one" pult disk create e.qcow2 1G
is "takes hardly any space" "$(($(stat -c %s e.qcow2) < 1000000))" 1
ok "is sound" sound e.qcow2
is "its size, as QEMU has it" "$(qemu-img info --output json e.qcow2 | number virtual-size)" $((1 << 30))
like "and as pult has it" "$(pult disk info e.qcow2)" '1.0?G'
ok "raw, with small clusters, in one go" eval 'pult disk create --format raw e.bin 3M && pult disk create --cluster-size 4K s.qcow2 3M'
is "raw is as long as it says" "$(stat -c %s e.bin)" $((3 << 20))
is "clusters" "$(qemu-img info --output json s.qcow2 | number cluster-size)" 4096
refuses "a file that is there" 1 'e.qcow2.*exists' "$PULT" disk create e.qcow2 1M
refuses "a name that says no format" 2 'does not say its format' "$PULT" disk create e.vmdk 1M
refuses "a format that is none" 2 "no disk format 'qcow'.*qcow2" "$PULT" disk create --format qcow x 1M
refuses "no size" '2' 'size|SIZE' "$PULT" disk create x.qcow2
refuses "clusters of a size that is none" 1 'cluster' "$PULT" disk create --cluster-size 3000 x.qcow2 1M
is "nothing was made" "$(ls x* 2>/dev/null)" ""

# ---- convert ----

truncate -s 20M a.raw
for i in 0 3 7 12 19; do dd if=/dev/urandom of=a.raw bs=64k count=9 seek=$((i * 16)) conv=notrunc status=none; done
ok "raw to qcow2" pult disk convert a.raw a.qcow2
ok "is sound" sound a.qcow2
ok "is the same" same a.raw raw a.qcow2 qcow2
is "without what is zero" "$(($(stat -c %s a.qcow2) < 5000000))" 1
ok "and back" eval 'pult disk convert a.qcow2 b.raw && cmp a.raw b.raw'
for type in zlib zstd; do
    ok "from QEMU, packed by $type" qemu-img convert -c -f raw -O qcow2 -o compression_type=$type a.raw c-$type.qcow2
    ok "is read" eval "pult disk convert --force c-$type.qcow2 d.qcow2 && qemu-img compare -q d.qcow2 a.raw"
done
ok "from version 2" eval 'qemu-img convert -f raw -O qcow2 -o compat=0.10 a.raw v2.qcow2 && pult disk convert --force v2.qcow2 d.raw && cmp a.raw d.raw'
# What is not understood is said to be so.
qemu-img create -q -f qcow2 --object secret,id=s,data=x -o encrypt.format=luks,encrypt.key-secret=s l.qcow2 1M
refuses "an encrypted one" 1 'encrypt' "$PULT" disk convert l.qcow2 x.raw
qemu-img create -q -f qcow2 -o data_file=ext.raw x1.qcow2 1M
refuses "one whose data is elsewhere" 1 'external|data file' "$PULT" disk convert x1.qcow2 x.raw
qemu-img create -q -f qcow2 -o extended_l2=on x2.qcow2 1M
refuses "one with subclusters" 1 'extended|subcluster' "$PULT" disk convert x2.qcow2 x.raw
refuses "no image at all" 1 'is not a qcow2 image' "$PULT" disk convert --source-format qcow2 a.raw x.raw
rm -f x1.qcow2 x2.qcow2 l.qcow2 ext.raw

# ---- backing, commit ----

ok "one based on another" pult disk create --backing a.qcow2,format=qcow2 top.qcow2
is "has its size" "$(qemu-img info --output json top.qcow2 | number virtual-size)" $((20 << 20))
qemu-io -f qcow2 -c 'write -P 9 1M 2M' -c 'write -z 12M 1M' top.qcow2 >/dev/null
qemu-img convert -O raw top.qcow2 wanted.raw
refuses "what it is based on is asked for" 1 "based on" "$PULT" disk convert top.qcow2 x.raw
ok "with that it is read" eval 'pult disk convert --backing a.qcow2,format=qcow2 top.qcow2 t.raw && cmp t.raw wanted.raw'
ok "or with what it says itself" eval 'pult disk convert --own-backing --force top.qcow2 t.raw && cmp t.raw wanted.raw'
ok "commit" pult disk commit top.qcow2
ok "what is below has it" same a.qcow2 qcow2 wanted.raw raw
ok "both are sound" eval 'sound a.qcow2 && sound top.qcow2'
ok "the upper one reads as before" same top.qcow2 qcow2 wanted.raw raw

# ---- resize ----

ok "larger" pult disk resize a.qcow2 +12M
is "it is" "$(qemu-img info --output json a.qcow2 | number virtual-size)" $((32 << 20))
refuses "smaller, when nobody said so" 1 'shrink' "$PULT" disk resize a.qcow2 8M
ok "smaller" pult disk resize --shrink a.qcow2 8M
truncate -s 8M wanted.raw
ok "what is left is the same" same a.qcow2 qcow2 wanted.raw raw
ok "and sound" sound a.qcow2

# ---- snapshots, check ----

ok "a snapshot" pult disk snapshot create a.qcow2 one
qemu-io -f qcow2 -c 'write -P 4 0 4M' a.qcow2 >/dev/null
like "is listed" "$(pult disk snapshot list a.qcow2)" 'one'
like "by QEMU, too" "$(qemu-img snapshot -l a.qcow2)" 'one'
ok "go back" pult disk snapshot apply a.qcow2 one
ok "it is as it was" same a.qcow2 qcow2 wanted.raw raw
refuses "one that is not there" 1 "no snapshot 'two'" "$PULT" disk snapshot apply a.qcow2 two
ok "delete it" pult disk snapshot delete a.qcow2 one
ok "sound" sound a.qcow2
# A cluster whose count is too small.
cp e.qcow2 bad.qcow2
qemu-io -f qcow2 -c 'write 0 64k' bad.qcow2 >/dev/null
python3 - bad.qcow2 <<'PY'
import struct, sys
f = open(sys.argv[1], "r+b")
f.seek(48); table, = struct.unpack(">Q", f.read(8))
f.seek(table); block, = struct.unpack(">Q", f.read(8))
f.seek(block + 2 * 4); f.write(b"\0\0")
PY
pult disk check bad.qcow2 >check.out 2>&1
is "errors are found: its status" $? 1
ok "put right" pult disk check --repair bad.qcow2
ok "then it is sound" sound bad.qcow2

# ---- interrupted ----

# Small clusters take a while. A new image has no name before it is whole.
head -c 100000000 /dev/urandom >big.raw
"$PULT" disk convert --cluster-size 512 big.raw big.qcow2 2>"$WORK/big.err" >&2 &
pid=$!
begun() { [ "$(sed -n 's/^wchar: //p' /proc/$pid/io)" -gt 1000000 ]; }
ok "a long one" wait_for 20 begun
kill -INT $pid
wait $pid
is "is interrupted" $? 130
is "and leaves nothing" "$(ls -A | grep big | sort | xargs)" "big.err big.raw"
finish
