#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 3400 s
#
# Kill -9 of the keeper at random moments while its guest writes, RUNS times (20): the image is sound
# for QEMU each time, the journal of the file system in it replays, and what the guest had synced is
# there. A snapshot of the guest that writes saves its boot: each run goes on from there, with the
# disk as it was then, and comes to another end. Then the guest itself mounts what is left.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

RUNS=${RUNS:-20} SEED=${SEED:-$$}
RANDOM=$SEED
echo "# SEED=$SEED RUNS=$RUNS"
v=$test_id-vm image=$WORK/d.qcow2
typed() { printf '%s\n' "$1" | timeout 10 "$PULT" console "$v" -H 0 >/dev/null; }
keeper_of() { "$PULT" info "$1" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p'; }

# Small files and large, appended, renamed and removed; each sync is said when it is over.
mkdir -p "$WORK/more/bin"
cat >"$WORK/more/bin/load" <<'GUEST'
#!/bin/sh
i=0
while :; do
    i=$((i + 1))
    d=/mnt/d$((i % 5))
    mkdir -p $d
    dd if=/dev/urandom of=$d/new bs=4k count=$((i * 7 % 60 + 1)) 2>/dev/null
    mv $d/new $d/f$((i % 11))
    rm -f $d/f$(((i + 6) % 11))
    head -c 3000 /dev/urandom >>$d/log
    echo $i >/mnt/last.new && mv /mnt/last.new /mnt/last && sync && echo "synced $i"
done
GUEST
chmod +x "$WORK/more/bin/load"
vm_files cloud-amd64
(cd "$WORK/more" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) >>"$initrd"
kernel=$cache/linux-cloud-amd64/vmlinux

truncate -s 24M "$WORK/fs" && mkfs.ext4 -q -N 512 "$WORK/fs" # quick to look through
ok "an image with a file system" qemu-img convert -f raw -O qcow2 "$WORK/fs" "$image"
vm() # NAME: define and start one
{
    "$PULT" create vm "$1" --kernel "$kernel" --initrd "$initrd" --memory 128M --disk "$image" && "$PULT" start "$1" &&
        wait_for 240 has_printed "$1" "guest#"
}
ok "a VM that has it" vm "$v"
typed 'mkdir -p /mnt; mount -t ext4 /dev/vda /mnt && load'
ok "it writes" wait_for 240 has_printed "$v" "synced 3" || "$PULT" log "$v" | tail -n 20 | sed 's/^/# /'
ok "a snapshot meanwhile" "$PULT" snapshot create "$v" writing
"$PULT" kill "$v"

# follow TIMES: read what the guest prints until it has synced so often; without TIMES until it ends.
# One process follows it, for here each one costs what the guest would need. Sets synced.
follow()
{
    local line n=0
    while read -r -t 200 -u "$console" line; do
        [[ $line =~ ^synced\ ([0-9]+).?$ ]] || continue
        synced=${BASH_REMATCH[1]} n=$((n + 1))
        [ "$n" -ne "${1:-0}" ] || return 0
    done
    [ $# -eq 0 ]
}
# lap: sets took to the tenths of seconds since t0.
lap() { took=$(((${EPOCHREALTIME/./} - t0) / 100000)) took=${took%?}.${took: -1}; }
# look: what is wrong with the image, or nothing.
look()
{
    local rc
    qemu-img check -f qcow2 "$image" >"$WORK/check" 2>&1
    rc=$?
    # 3: clusters that a write was about to use are lost, and nothing else.
    [ $rc -eq 0 ] || [ $rc -eq 3 ] || { echo "qemu-img check: $rc"; cat "$WORK/check"; }
    [ $rc -ne 3 ] || leaks=$((leaks + 1))
    qemu-img convert -f qcow2 -O raw "$image" "$WORK/fs" || echo "qemu-img convert fails"
    e2fsck -p "$WORK/fs" >"$WORK/fsck" 2>&1
    rc=$?
    [[ $(<"$WORK/fsck") == *'recovering journal'* ]] && replayed=$((replayed + 1))
    [ $rc -le 1 ] || { echo "e2fsck -p: $rc"; cat "$WORK/fsck"; }
    e2fsck -fn "$WORK/fs" >"$WORK/fsck" 2>&1 || { echo "e2fsck -fn: $?"; cat "$WORK/fsck"; }
    rc=$(debugfs -R 'cat /last' "$WORK/fs" 2>/dev/null)
    [ "${rc:-0}" -ge "$1" ] || echo "sync $1 was over, and the disk has '$rc'"
}

leaks=0 replayed=0 bad=0
for ((run = 1; run <= RUNS; run++)); do
    t0=${EPOCHREALTIME/./} synced=
    "$PULT" snapshot restore "$v" writing --force >/dev/null || { echo "# restore failed"; bad=$((bad + 1)); continue; }
    exec {console}< <("$PULT" log --follow "$v")
    read -r pid < <(keeper_of "$v")
    follow $((1 + RANDOM % 4)) || { echo "# run $run: it does not write"; bad=$((bad + 1)); }
    sleep "0.$((RANDOM % 1000))" # the random moment
    kill -9 "$pid"
    lap
    killed=$took
    follow
    exec {console}<&-
    out=$(look "${synced:-0}"; echo "$leaks $replayed" >"$WORK/counts")
    read -r leaks replayed <"$WORK/counts"
    [ -z "$out" ] || { bad=$((bad + 1)); printf 'run %d:\n%s\n' "$run" "$out" | sed 's/^/# /'; }
    lap
    echo "# run $run: killed after sync ${synced:-?}, at $killed s; looked at after $took s"
done
echo "# killed $RUNS times: leaks of clusters after $leaks, the journal replayed in $replayed"
is "after each of $RUNS kills the image is sound and the file system too" "$bad" 0
is "its journal had to be replayed" "$([ "$replayed" -gt 0 ] && echo yes)" yes

# The guest's own kernel replays it, and what was lost of clusters is found.
ok "start it from its disk as it is" eval '"$PULT" start "$v" && wait_for 240 has_printed "$v" "guest#"'
typed 'dmesg -c >/dev/null; mkdir -p /mnt; mount -t ext4 /dev/vda /mnt && echo mounted-$(dmesg | grep -c "recovery complete")-$(dmesg | grep -c "EXT4-fs error")'
ok "its kernel replays the journal" wait_for 60 has_printed "$v" "mounted-1-0"
typed 'poweroff -f'
ok "poweroff" "$PULT" wait -s stopped -t 60 "$v"
ok "destroy" "$PULT" destroy -f "$v"
ok "lost clusters are found again" qemu-img check -q -r leaks -f qcow2 "$image"
finish
