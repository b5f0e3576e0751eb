#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s
#
# Snapshots with a stock kernel: memory, disk and processes are back as they were, on all CPUs, the
# clock is right, and nothing is taken for a lockup; then the guest reboots as any other.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

v=$test_id-vm image=$WORK/d.qcow2
typed() { printf '%s\n' "$1" | timeout 5 "$PULT" console "$v" -H 0 >/dev/null; }
said() { "$PULT" log "$v" | tr -d '\r' | sed -n "s/^<$1>\\(.*\\)\\.$/\\1/p" | tail -n 1; }
await() { wait_for 240 has_printed "$v" "<$1>"; }

"$PULT" disk create --force "$image" 16M
ok "create" make_vm "$v" cloud-amd64 "" --cpus 2 --disk "$image"
ok "start" "$PULT" start "$v"
ok "it is up" wait_for 120 has_printed "$v" "guest#"
# What is typed is echoed: no line of it begins as those of its output do.
typed 'say() { n=$1; shift; echo "<$n>$*."; }; echo memory >/tmp/kept; echo disk | dd of=/dev/vda bs=512 conv=notrunc,fsync 2>/dev/null'
typed 'for c in 0 1; do taskset $((c + 1)) sh -c "n=0; while :; do n=\$((n + 1)); echo \$n >/tmp/n$c; usleep 50000; done" & done; before=$(dmesg | wc -l); say ready $((40 + 2))'
ok "it has something to lose" await ready
t0=${EPOCHREALTIME/./}
ok "a snapshot of it" "$PULT" snapshot create "$v" then
echo "# taken in $(((${EPOCHREALTIME/./} - t0) / 1000)) ms: $("$PULT" snapshot list "$v" | tail -n 1)"
typed 'rm /tmp/kept; dd if=/dev/zero of=/dev/vda bs=512 count=1 conv=fsync 2>/dev/null; say gone $(ls /tmp/kept 2>&1 | wc -l)$(head -c 4 /dev/vda | tr "\0" .)'
ok "it goes on, and loses it" await gone
is "all of it" "$(said gone)" "1...."
sleep 3 # what the clock has to make up for
t0=${EPOCHREALTIME/./}
ok "go back" "$PULT" snapshot restore "$v" then --force
echo "# gone back in $(((${EPOCHREALTIME/./} - t0) / 1000)) ms"
typed 'echo 3 >/proc/sys/vm/drop_caches; say kept $(cat /tmp/kept)-$(head -c 4 /dev/vda)-$(nproc)'
ok "it goes on" await kept
is "memory and disk are back" "$(said kept)" "memory-disk-2"
typed 'a=$(cat /tmp/n0) b=$(cat /tmp/n1); sleep 2; say runs $(($(cat /tmp/n0) > a))$(($(cat /tmp/n1) > b))'
ok "its processes" await runs
is "run on both CPUs" "$(said runs)" 11
t0=$(date +%s)
typed 'say date $(date +%s)'
ok "the time" await date
t1=$(date +%s)
echo "# it is $(said date) there, between $t0 and $t1 here"
ok "is right" [ $(($(said date) + 2)) -ge "$t0" -a $(($(said date) - 2)) -le "$t1" ]
# Only what came since: the emulated host gives its kernel reasons to complain at the start.
typed 'say trouble $(dmesg | tail -n +$((before + 1)) | grep -E "soft lockup|detected stall|unstable|going backwards|BUG:|WARNING:" | tr "\n" "|")'
ok "its kernel's opinion" await trouble
is "is good" "$(said trouble)" ""
typed 'reboot -f'
ok "it reboots" wait_for 120 has_printed "$v" "guest up"
ok "destroy" "$PULT" destroy "$v" --force
finish
