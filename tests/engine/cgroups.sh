#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# Limits are obeyed, freezing stops everything, figures are right, and no group is left.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

n=g-$test_id
spin='while :; do :; done'
usage() { sed -n 's/usage_usec //p' "$(cgroup_of "$1")/cpu.stat"; }

# The file of a controller, by its names in v2 and v1.
limit_of()
{
    if pure_v2; then
        cat "$(cgroup_of "$1")/$2"
    else
        cat "/sys/fs/cgroup/$3$(sed -n "s/^[0-9]*:$3://p" "/proc/$1/cgroup")/$4"
    fi
}

# ---- limits ----
pult create container "$n" --rootfs "$ROOT" --memory 32M --cpus 0.2 --set lxc.cgroup2.pids.max=10 \
    --set lxc.cgroup2.cpu.weight=50 --set lxc.cgroup.cpuset.cpus=0 -- /bin/sh -c "$spin"
ok "start" pult start "$n"
pid=$(id_of "$n" pid)
is "memory" "$(limit_of "$pid" memory.max memory memory.limit_in_bytes)" $((32 << 20))
is "pids" "$(limit_of "$pid" pids.max pids pids.max)" 10
is "cpuset" "$(limit_of "$pid" cpuset.cpus cpuset cpuset.cpus)" 0
like "cpu weight" "$(limit_of "$pid" cpu.weight cpu cpu.shares)" "^(50|512)$"
a=$(usage "$pid") t=${EPOCHREALTIME/./}
sleep 1
used=$((($(usage "$pid") - a) * 100 / (${EPOCHREALTIME/./} - t)))
ok "a fifth of a core is what it gets ($used %)" test $used -ge 5 -a $used -le 30
is "the limit is shown" "$(id_of "$n" memory_limit_bytes)" $((32 << 20))
like "no more processes than allowed" \
    "$(pult exec "$n" -- /bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 10 & done' 2>&1)" "can't fork"
# Root may not spare init everywhere (CAP_SYS_RESOURCE): these offer themselves.
like "no more memory than allowed" \
    "$(pult exec "$n" -- /bin/sh -c 'echo 1000 >/proc/self/oom_score_adj; head -c 100000000 /dev/zero | tail -c 90000000 | wc -c; echo $?' 2>&1 | tail -n 1)" "0|137"
pid=$(id_of "$n" pid)
ok "it went on" test -d "/proc/$pid"

# ---- freeze ----
pult exec -- "$n" true 2>/dev/null
ok "freeze" pult freeze "$n"
is "it is frozen" "$(state_of "$n")" frozen
a=$(usage "$pid")
sleep 0.3
is "it uses no CPU" "$(usage "$pid")" "$a"
ok "thaw" pult unfreeze "$n"
ok "it goes on" wait_for 5 sh -c "[ \$(sed -n 's/usage_usec //p' '$(cgroup_of "$pid")/cpu.stat') -gt $a ]"
pult freeze "$n"
ok "a frozen one can be killed" pult kill "$n"
is "at once" "$(state_of "$n")" stopped
pult destroy "$n"

# ---- limits that are forgotten ----
printf '%s\n' 'lxc.cgroup2.pids.max = 30' 'lxc.cgroup2.memory.max = 64M' 'lxc.cgroup2.pids.max = 20' >"$WORK/limits"
printf '%s\n' "lxc.include = $WORK/limits" 'lxc.cgroup2.memory.max =' "lxc.rootfs.path = $ROOT" >"$WORK/c"
pult create container "$n" -f "$WORK/c" -- /bin/sleep 1000
pult start "$n"
pid=$(id_of "$n" pid)
like "an empty value forgets what a file said that is included" \
    "$(limit_of "$pid" memory.max memory memory.limit_in_bytes)" "^(max|9223372036854[0-9]*)$"
is "the last one counts" "$(limit_of "$pid" pids.max pids pids.max)" 20
ok "none takes that away" pult limit "$n" pids=none
is "at once" "$(limit_of "$pid" pids.max pids pids.max)" max
pult kill "$n" && pult start "$n"
like "and for good" "$(limit_of "$(id_of "$n" pid)" pids.max pids pids.max)" "max|^$"
pult kill "$n" && pult destroy "$n"

# ---- figures ----
pult create container "$n" --rootfs "$ROOT" -- /bin/sh -c "$spin"
pult start "$n"
cpu() { [ "$(pult stat "$n" -c 2 -i 0.3 | tail -n 1 | sed -n 's/.*"cpu_percent": *\([0-9]*\).*/\1/p')" -ge "$1" ]; }
ok "CPU of a busy one is seen" wait_for 60 cpu 20
memory() { [ "$(id_of "$n" memory_bytes)" -gt 0 ]; }
ok "so is its memory" wait_for 5 memory
pult kill "$n"
pult destroy "$n"

# ---- what cannot be ----
refused "a controller that is not there" "no cgroup controller" \
    pult create container "$n" --rootfs "$ROOT" --set lxc.cgroup2.nothing.max=1
pult create container "$n" --rootfs "$ROOT" --set lxc.cgroup2.pids.max=many -- /bin/true
refused "a value that is none" "pids.max" pult start "$n"
is "it did not start" "$(state_of "$n")" stopped
pult destroy "$n"
# ---- groups below its own ----
if pure_v2; then
    # On a disk of its own, whatever this test's files are on: it can be mounted with other ids.
    modprobe -aq loop ext4 2>/dev/null
    truncate -s 32M "$WORK/disk" && mkfs.ext4 -q "$WORK/disk" && mkdir "$WORK/mnt" &&
        mount -o loop "$WORK/disk" "$WORK/mnt" && at_exit "umount -l '$WORK/mnt'" &&
        cp -a "$ROOT" "$WORK/mnt/root" && ROOT=$WORK/mnt/root
    printf '::sysinit:/bin/echo booted\n::respawn:/bin/sleep 1000\n' >"$ROOT/etc/inittab"
    pult create container "$n" --rootfs "$ROOT" --memory 64M
    pult start "$n"
    g=/sys/fs/cgroup
    if ! pult exec "$n" -- /bin/grep -q "^ *0 *0 " /proc/self/uid_map; then
        ok "a system makes groups, and moves its processes there" \
            pult exec "$n" -- /bin/sh -c "mkdir $g/sub && echo \$\$ >$g/sub/cgroup.procs"
        ok "it can give them controllers" pult exec "$n" -- /bin/sh -c "for p in \$(cat $g/cgroup.procs); do
            echo \$p >$g/sub/cgroup.procs; done; echo +pids >$g/cgroup.subtree_control"
        ok "and exec finds a place" pult exec "$n" -- /bin/grep -q pult-exec /proc/self/cgroup
    else
        refused "with root's own ids a system makes no group" "ead-only" pult exec "$n" -- /bin/mkdir $g/sub
    fi
    refused "it does not lift its limits" "denied|ead-only" \
        pult exec "$n" -- /bin/sh -c "echo max >$g/memory.max"
    pult kill "$n"
    pult destroy "$n"
else
    skip "a system makes groups below its own" "not a pure cgroup v2 host; the lab is"
fi

# ---- the group of another store, whose runtime directory has the same path ----
mkdir -p "$WORK/a" "$WORK/b" "$PULT_RUN"
other() { timeout 60 unshare -m sh -c 'd=$1; shift; mount --bind "$d" "$PULT_RUN" && exec env PULT_HOME="$d/home" "$@"' - "$1" "$PULT" "${@:2}"; }
other "$WORK/a" create container "$n" --net none --rootfs "$ROOT" -- /bin/sleep 1000
other "$WORK/b" create container "$n" --net none --rootfs "$ROOT" -- /bin/sleep 1000
ok "one starts" other "$WORK/a" start "$n"
pid=$(other "$WORK/a" info "$n" -o json | sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' | head -n 1)
refused "the other cannot have the same group" "use the cgroup" other "$WORK/b" start "$n"
ok "and the first lives on" sh -c "kill -0 $pid && ! grep '^State:.Z' /proc/$pid/status"
other "$WORK/a" kill "$n"
ok "when it is gone" other "$WORK/b" start "$n"
other "$WORK/b" kill "$n"

# Its keeper is, and so it ends.
killed()
{
    local pid
    pid=$(id_of "$d" pid)
    kill -9 "$(id_of "$d" keeper_pid)"
    wait_for 10 gone "$pid"
}

# ---- where the definition wants it ----
d=$n-d
above() { rmdir /sys/fs/cgroup/{,*/}at-"$test_id"/first /sys/fs/cgroup/{,*/}at-"$test_id" 2>/dev/null; }
at_exit above
pult create container "$d" --rootfs "$ROOT" --memory 32M --set "lxc.cgroup.dir=at-$test_id/first" -- /bin/sleep 1000
ok "lxc.cgroup.dir" pult start "$d"
pid=$(id_of "$d" pid) group=$(cgroup_of "$pid")
is "its group is there" "${group#"$(unified)"}" "/at-$test_id/first/$d"
is "with its limit" "$(limit_of "$pid" memory.max memory memory.limit_in_bytes)" $((32 << 20))
killed
is "its keeper is killed" "$(state_of "$d")" crashed
ok "the group goes" test ! -e "$group"
ok "and the one above it stays" test -d "${group%/*}"
pult config set "$d" "lxc.hook.start-host=sh -c 'until test -e $WORK/go; do sleep 0.1; done'"
"$PULT" start "$d" >/dev/null 2>&1 &
ok "it is about to start" wait_for 10 test -d "$group"
wait_for 10 eval '[ "$(id_of "$d" pid)" ]'
kill -9 "$(id_of "$d" keeper_pid)"
wait $! 2>/dev/null
: >"$WORK/go"
is "its keeper is killed before it runs" "$(state_of "$d")" crashed
is "its groups go" "$(ls -d /sys/fs/cgroup/{,*/}at-"$test_id"/first/"$d" 2>/dev/null)" ""
pult config unset "$d" lxc.hook.start-host
pult config unset "$d" lxc.cgroup.dir
pult config set "$d" "lxc.cgroup.dir.container=at-$test_id/own"
pult start "$d"
group=$(cgroup_of "$(id_of "$d" pid)")
is "lxc.cgroup.dir.container" "${group#"$(unified)"}" "/at-$test_id/own"
pult kill "$d"
ok "it goes with it" wait_for 5 test ! -e "$group"

# The keeper's own, and one within the container's.
pult config set "$d" "lxc.cgroup.dir.monitor=at-$test_id/mon" "lxc.cgroup.dir.container.inner=in/side"
ok "lxc.cgroup.dir.monitor, .container.inner" pult start "$d"
pid=$(id_of "$d" pid) keeper=$(id_of "$d" keeper_pid) group=$(cgroup_of "$(id_of "$d" pid)")
is "the keeper is there" "$(sed 's/.*://' "/proc/$keeper/cgroup" | grep -v '^/$' | sort -u)" "/at-$test_id/mon"
is "the container's is within" "${group#"$(unified)"}" "/at-$test_id/own/in/side"
is "it sees no other, in any hierarchy" "$(pult exec "$d" -- /bin/sed 's/.*://' /proc/1/cgroup | grep -v '^/$' | grep -v '^/\.\.' | sort -u)" ""
group=${group%/in/side}
if pure_v2; then
    is "limits are on the outer one" "$(cat "$group/memory.max")$(grep -v max "$group/in/side/memory.max" 2>/dev/null)" "$((32 << 20))"
else
    of=/sys/fs/cgroup/memory/at-$test_id/own
    is "limits are on the outer one" "$(cat "$of/memory.limit_in_bytes" "$of/in/side/cgroup.procs" | head -n 2 | paste -sd ' ')" \
        "$((32 << 20)) $pid"
fi
ok "live ones, too" pult limit "$d" pids=77
is "and frozen with it" "$(pult freeze "$d"; sed -n 's/^frozen //p' "$group/in/side/cgroup.events"; pult unfreeze "$d")" 1
killed
is "its keeper is killed again" "$(state_of "$d")" crashed
is "nothing of it stays" "$(ls -d /sys/fs/cgroup/{,*/}at-"$test_id"/{own,mon} 2>/dev/null)" ""
pult config set "$d" "lxc.cgroup.dir.monitor.pivot=at-$test_id/pivot"
pult start "$d"
keeper=$(id_of "$d" keeper_pid)
ok "lxc.cgroup.dir.monitor.pivot" pult kill "$d"
is "the others go" "$(ls -d /sys/fs/cgroup/{,*/}at-"$test_id"/{own,mon} 2>/dev/null)" ""
ok "it stays" test -d "$(unified)/at-$test_id/pivot"
ok "when the keeper is gone it is empty" wait_for 10 rmdir "$(unified)/at-$test_id/pivot"
rmdir /sys/fs/cgroup/*/at-"$test_id"/pivot 2>/dev/null
pult config unset "$d" lxc.cgroup.dir.container lxc.cgroup.dir.monitor lxc.cgroup.dir.monitor.pivot lxc.cgroup.dir.container.inner

# Below that of who calls.
called()
{
    (echo $BASHPID >"$(unified)/at-$test_id/me/cgroup.procs"
    echo $BASHPID >"/sys/fs/cgroup/memory/at-$test_id/I/cgroup.procs"
    timeout 60 "$PULT" "$@")
}
me=at-$test_id/me
if pure_v2; then
    # A group with processes, such as a shell's, has none with limits below it. Those of pult step aside.
    mkdir -p "$(unified)/$me"
    called() { (echo $BASHPID >"$(unified)/$me/cgroup.procs"; timeout 60 "$PULT" "$@"); }
    alone() { (echo $BASHPID >"$(unified)/$me/cgroup.procs"; exec "$PULT" "$@"); }
    pult config set "$d" lxc.cgroup.relative=1
    refused "lxc.cgroup.relative, with a limit, from among others" \
        "'memory' below a group with other processes" called start "$d"
    pult config unset "$d" guest.memory lxc.cgroup2.pids.max
    ok "… without a limit" called start "$d"
    like "its group is below" "$(cgroup_of "$(id_of "$d" pid)")" "/$me/pult[^/]*/$d\$"
    refused "nor later" "below a group with other processes.*nothing was changed" pult limit "$d" memory=32M
    pult kill "$d"
    pult config set "$d" guest.memory=32M
    wait_for 10 eval '! grep -q . "$(unified)/$me/keeper/cgroup.procs"'
    ok "… alone, with a limit" alone start "$d"
    is "it has that" "$(cat "$(cgroup_of "$(id_of "$d" pid)")/memory.max")" $((32 << 20))
    killed
    is "it is found when its keeper is killed" "$(state_of "$d"); $(find "$(unified)" -name "$d")" "crashed; "
    wait_for 10 rmdir "$(unified)/$me/keeper"
    rmdir "$(unified)/$me"
else
    pult config set "$d" lxc.cgroup.relative=1
    mkdir -p "$(unified)/at-$test_id/me" "/sys/fs/cgroup/memory/at-$test_id/I"
    ok "lxc.cgroup.relative" called start "$d"
    group=$(cgroup_of "$(id_of "$d" pid)")
    like "its group is below" "$group" "/at-$test_id/me/pult[^/]*/$d\$"
    like "that of v1, too" "$(sed -n 's/.*:memory://p' "/proc/$(id_of "$d" pid)/cgroup")" "^/at-$test_id/I/pult[^/]*/$d\$"
    killed
    is "it is found when its keeper is killed" "$(state_of "$d"); $(find /sys/fs/cgroup -name "$d")" "crashed; "
    rmdir "$(unified)/at-$test_id/me" "/sys/fs/cgroup/memory/at-$test_id/I"
fi
pult destroy --force "$d"
above
rmdir /sys/fs/cgroup/{,*/}at-"$test_id" 2>/dev/null

is "no cgroup is left" "$(left_cgroups "*-$test_id")" ""
finish
