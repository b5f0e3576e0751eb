#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Copies of VMs: what they have of their own, what they share, and disks as they were in a snapshot.
. "$(dirname "$0")/../lib.sh"

guest=$TOP/$B/tests/device/guest.elf
says() # NAME RE COMMAND...: it fails, and says so
{
    local name=$1 re=$2 out
    shift 2
    out=$("$@" 2>&1) && { point "not ok" "$name (it succeeded)"; return; }
    like "$name" "$out" "$re"
}
[ -r /dev/kvm ] && [ -w /dev/kvm ] || skip_all "no /dev/kvm here, or not permitted"

v=$test_id guests=$PULT_HOME/guests
head -c 3000000 /dev/urandom >"$WORK/a.raw"
truncate -s 8M "$WORK/a.raw"
cp "$WORK/a.raw" "$WORK/b.raw"
printf 'changed' | dd of="$WORK/b.raw" bs=65536 seek=7 conv=notrunc status=none
"$PULT" disk convert "$WORK/a.raw" "$WORK/base.qcow2"
"$PULT" disk create "$WORK/d.qcow2" 8M --backing "$WORK/base.qcow2,format=qcow2"
cp "$WORK/a.raw" "$WORK/e.raw"
truncate -s 1M "$WORK/ro,1.raw"
same() # GUEST FILE FORMAT RAW [BACKING]: its disk has what is in RAW
{
    rm -f "$WORK/out.raw"
    "$PULT" disk convert "$guests/$1/$2" "$WORK/out.raw" --source-format "$3" ${5:+--backing "$5,format=qcow2"} &&
        cmp "$WORK/out.raw" "$4"
}

ok "create" "$PULT" create vm "$v" --kernel "$guest" --memory 16M --append do=n \
    --disk "$WORK/d.qcow2,format=qcow2,backing=$WORK/base.qcow2:qcow2,serial=one" --disk "$WORK/e.raw" \
    --disk "$WORK/ro,,1.raw,ro" --set guest.net.0=user,mac=02:00:00:00:00:01,mtu=1400 --autostart
ok "clone" "$PULT" clone "$v" "$v-a"
config=$(cat "$guests/$v-a/config")
like "its disk is its own, and based on nothing" "$config" 'vm.disk.0 = disk.0.qcow2,format=qcow2,serial=one'
like "the raw one too" "$config" 'vm.disk.1 = disk.1.raw,format=raw'
like "what is only read is shared" "$config" "vm.disk.2 = $WORK/ro,,1.raw,format=raw,ro"
like "its address is not the other's" "$config" 'guest.net.0 = user,mtu=1400'
is "it does not start by itself" "$(grep autostart <<<"$config")" ""
ok "the same is on its disk" same "$v-a" disk.0.qcow2 qcow2 "$WORK/a.raw"
ok "and on the other" same "$v-a" disk.1.raw raw "$WORK/a.raw"
ok "a clone of the clone" "$PULT" clone "$v-a" "$v-b"
ok "has it too" same "$v-b" disk.0.qcow2 qcow2 "$WORK/a.raw"
says "a name that is taken" "already a guest" "$PULT" clone "$v" "$v-a"
says "a guest that is not there" "no guest" "$PULT" clone "$v-z" "$v-c"
says "a snapshot that is not there" "no snapshot 'x'" "$PULT" clone "$v" "$v-c" --snapshot x

"$PULT" config unset "$v" guest.net.0 vm.disk.1 vm.disk.2
ok "start" "$PULT" start "$v"
says "what is written to is not copied" "in use" "$PULT" clone "$v" "$v-c"
is "and nothing is left of that" "$(ls -A "$guests" | sort | tr '\n' ' ')" "$v $v-a $v-b "
ok "a snapshot" "$PULT" snapshot create "$v" one
ok "kill" "$PULT" kill "$v"
if command -v qemu-io >/dev/null; then
    ok "the disk changes" qemu-io -f qcow2 -c 'write -P 0x55 0 64k' "$WORK/d.qcow2"
else
    skip "the disk changes" "no qemu-io"
fi
ok "clone it as it was" "$PULT" clone "$v" "$v-c" --snapshot one
ok "which is what is on its disk" same "$v-c" disk.0.qcow2 qcow2 "$WORK/a.raw" "$WORK/base.qcow2"
ok "its image is sound" "$PULT" disk check "$guests/$v-c/disk.0.qcow2"
is "and has no snapshots" "$("$PULT" disk snapshot list "$guests/$v-c/disk.0.qcow2" -o json)" "[]"
ok "it starts" "$PULT" start "$v-c"
ok "beside the other" "$PULT" start "$v"
ok "destroy all" "$PULT" destroy --force "$v" "$v-a" "$v-b" "$v-c"
finish
