#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s
#
# The balloon with a stock kernel: the guest's own figures in the list, memory that is asked for and
# given back, and a guest short of memory takes it out of the balloon.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

MiB=$((1 << 20))
vm_files cloud-amd64
kernel=$cache/linux-cloud-amd64/vmlinux
typed() { printf '%s\n' "$2" | timeout 30 "$PULT" console "$1" -H 0 >/dev/null; } # NAME LINE
fact() { "$PULT" info "$1" -o json | sed -nE 's/^ *"'"$2"'": ([0-9]+).*/\1/p'; }  # NAME MEMBER
balloon() { "$PULT" balloon "$1" -o json | sed -nE 's/^ *"'"$2"'": ([0-9]+).*/\1/p'; }
near() { [ "${1:-0}" -ge $(($2 - $3)) ] && [ "${1:-0}" -le $(($2 + $3)) ]; } # VALUE OTHER DISTANCE
left() { [ "$(balloon "$1" left_bytes)" = "$2" ]; }

a=$test_id-a
ok "define" "$PULT" create vm "$a" --kernel "$kernel" --initrd "$initrd" --memory 128M
ok "start" "$PULT" start "$a"
ok "it comes up" wait_for 240 has_printed "$a" "guest#"

typed "$a" "awk '/MemTotal/ { t = \$2 } /MemAvailable/ { print \"used\", (t - \$2) * 1024, \"bytes\" }' /proc/meminfo"
said() { used=$("$PULT" log "$a" | tr -d '\r' | sed -nE 's/^used ([0-9]+) bytes$/\1/p'); [ -n "$used" ]; }
ok "the guest says what it uses" wait_for 30 said
said
told() { near "$(fact "$a" memory_bytes)" "$used" $((8 * MiB)); }
ok "and so does the list" wait_for 40 told
before=$(fact "$a" memory_resident_bytes)
echo "# used $used, listed $(fact "$a" memory_bytes), resident $before"
ok "which is not what its process has" test "$before" -gt $((used + 12 * MiB))
ok "its own figures" test "$(balloon "$a" total)" -gt $((80 * MiB))

typed "$a" 'head -c 33554432 /dev/zero >/tmp/much && echo written $((40 + 2))'
ok "it fills 32 MiB" wait_for 240 has_printed "$a" "written 42"
shows() { [ "$(fact "$a" memory_bytes)" -gt $((used + 26 * MiB)) ]; }
ok "the list shows it" wait_for 240 shows
typed "$a" 'rm /tmp/much'
shows_less() { near "$(fact "$a" memory_bytes)" "$used" $((10 * MiB)); }
ok "and the list shows that" wait_for 240 shows_less

ok "leave it 88M" "$PULT" balloon "$a" 88M
ok "it gives the rest up" wait_for 120 left "$a" $((88 * MiB))
is "its limit is that" "$(fact "$a" memory_limit_bytes)" $((88 * MiB))
ok "what it uses is the same" wait_for 240 shows_less

# Its keeper has shut itself in; from outside it is limited as a process of the host, and again.
ok "limited while it runs" "$PULT" limit "$a" cpus=0.5 cpu-weight=50
group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(fact "$a" keeper_pid)/cgroup")
is "by a group that its keeper is in" "${group##*/} $(cat "$group/cpu.max" "$group/cpu.weight" | paste -sd " ")" \
    "$a@$(fact "$a" keeper_pid) 50000 100000 50"
ok "and no longer" "$PULT" limit "$a" cpus=none
is "is written, too" "$(cat "$group/cpu.max") $("$PULT" limit "$a" | grep cpu)" "max 100000 cpu-weight   50"
# More than what is left, and as much as a file system in memory takes.
typed "$a" 'head -c 52428800 /dev/zero >/tmp/more; echo tried $((40 + 3))'
more_left() { [ "$(balloon "$a" left_bytes)" -gt $((88 * MiB)) ]; }
ok "in need it takes memory out of the balloon" wait_for 120 more_left
ok "it has what it wanted" wait_for 240 has_printed "$a" "tried 43"
echo "# left to it: $(balloon "$a" left_bytes)"
typed "$a" 'rm /tmp/more; dmesg | grep -c "Killed process" | sed s/^/killed-/'
ok "nothing was killed for it" wait_for 30 has_printed "$a" "killed-0"
ok "give it all back" "$PULT" balloon "$a" 128M
ok "it takes it" wait_for 240 left "$a" $((128 * MiB))

ok "leave it 112M" "$PULT" balloon "$a" 112M
ok "it does" wait_for 240 left "$a" $((112 * MiB))
typed "$a" 'reboot -f'
ok "reboot" wait_for 120 has_printed "$a" "guest up" 2
ok "what was asked for is asked again" wait_for 240 left "$a" $((112 * MiB))
ok "freeze" "$PULT" freeze "$a"
ok "ask a frozen one" "$PULT" balloon "$a" 128M
is "nothing happens" "$(balloon "$a" left_bytes)" $((112 * MiB))
ok "unfreeze" "$PULT" unfreeze "$a"
ok "then it does" wait_for 240 left "$a" $((128 * MiB))
ok "kill" "$PULT" kill "$a"
finish
