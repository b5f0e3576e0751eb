#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200 s
# Limits changed while a container runs.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
n=l-$test_id

# limit_is WHAT V2FILE VALUE V1CONTROLLER V1FILE VALUE: what the kernel has of it.
limit_is()
{
    local dir
    if pure_v2; then
        is "$1" "$(cat "$(cgroup_of "$pid")/$2")" "$3"
    else
        dir=/sys/fs/cgroup/$4$(sed -n "s/^[0-9]*:\(.*,\|\)$4\(,.*\|\):\(.*\)/\3/p" "/proc/$pid/cgroup")
        is "$1" "$(cat "$dir/$5")" "$6"
    fi
}

pult create container "$n" --rootfs "$ROOT" -- /bin/sleep 1000
pult start "$n"
pid=$(id_of "$n" pid)
ok "several at once" pult limit "$n" memory=64M cpus=0.2 pids=20 cpu-weight=50 cpuset=0
limit_is "memory" memory.max 67108864 memory memory.limit_in_bytes 67108864
limit_is "processor time" cpu.max "20000 100000" cpu cpu.cfs_quota_us 20000
limit_is "weight" cpu.weight 50 cpu cpu.shares 512
limit_is "processors" cpuset.cpus 0 cpuset cpuset.cpus 0
limit_is "processes" pids.max 20 pids pids.max 20
is "the list shows it" "$(id_of "$n" memory_limit_bytes)" 67108864
refused "it is obeyed" "can't fork|temporarily" pult exec "$n" -- /bin/sh -c \
    'i=0; while [ $i -lt 30 ]; do sleep 9 </dev/null >/dev/null 2>&1 & i=$((i + 1)); done'
is "the definition has it" "$(pult config get "$n" lxc.cgroup2.pids.max)" 20
ok "one taken away" pult limit "$n" pids=none
limit_is "none is none" pids.max max pids pids.max max
ok "for now only" pult limit --now "$n" memory=48M
limit_is "that is done" memory.max 50331648 memory memory.limit_in_bytes 50331648
is "and not written down" "$(pult config get "$n" guest.memory)" 64M

refused "one that cannot be" "pids.max to many.*nothing was changed" pult limit "$n" memory=32M pids=many
limit_is "the other was not changed either" memory.max 50331648 memory memory.limit_in_bytes 50331648
is "nor the definition" "$(pult config get "$n" guest.memory)" 64M
ok "memory above which it is slow" pult limit "$n" memory-high=40M
limit_is "memory above which it is slow: written" memory.high 41943040 memory memory.soft_limit_in_bytes 41943040
ok "processors taken away, too" pult limit "$n" cpuset=none memory-high=none
limit_is "it may use all of them" cpuset.cpus "$(cat /sys/fs/cgroup/cpuset.cpus.effective 2>/dev/null)" \
    cpuset cpuset.cpus "$(cat /sys/fs/cgroup/cpuset/cpuset.cpus 2>/dev/null)"
refused "what is none" "no limit.*memory, memory-high, swap" pult limit "$n" space=1
refused "no size" "not a size" pult limit "$n" memory=much
if pure_v2 || [ -e /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes ]; then
    ok "swap" pult limit "$n" memory=64M swap=32M
    limit_is "swap, and both" memory.swap.max 33554432 memory memory.memsw.limit_in_bytes 100663296
    ok "more of both" pult limit "$n" memory=256M
    limit_is "in their order" memory.max 268435456 memory memory.memsw.limit_in_bytes $((288 << 20))
else
    skip "swap" "not limited by this kernel"
fi
if pure_v2 || [ -e /sys/fs/cgroup/blkio/blkio.bfq.io_serviced ]; then
    ok "a weight that BFQ does not have" pult limit "$n" io-weight=5050
    limit_is "is what it is there" io.weight "default 5050" blkio blkio.bfq.weight 550
    ok "none" pult limit "$n" io-weight=none
else
    skip "a weight that BFQ does not have" "this kernel weighs no input and output"
fi
disk=$(stat -c %Hd:%Ld "$WORK")
if [ "${disk%%:*}" != 0 ] && ok "a disk" pult limit "$n" "io=$WORK,rbps=10M,wiops=100"; then
    limit_is "is read so fast" io.max "$disk rbps=10485760 wbps=max riops=max wiops=100" \
        blkio blkio.throttle.read_bps_device "$disk 10485760"
    ok "no more" pult limit "$n" io=none
    limit_is "and as fast as it is" io.max "" blkio blkio.throttle.read_bps_device ""
fi
refused "devices are no limit" "no limit that can be changed" python3 -c 'import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"{\"cmd\":\"limit\",\"set\":{\"lxc.cgroup2.devices.allow\":\"a\"}}\n")
sys.exit(json.loads(s.makefile().readline())["error"])' "$PULT_RUN/$n/control"
pult kill "$n"
ok "one that does not run" pult limit "$n" memory=128M
is "will have it" "$(pult config get "$n" guest.memory)" 128M
ok "in LXC's spellings" eval 'pult config set "$n" lxc.cgroup2.memory.low=1M && pult config set "$n" lxc.cgroup.cpu.shares=512'
is "all is shown" "$(pult limit "$n" | tr -s ' ' | grep -E 'weight|shares|low')" \
    $'cpu-weight 50\nlxc.cgroup2.memory.low 1M\nlxc.cgroup.cpu.shares 512'
ok "said by a word" pult limit "$n" cpu-weight=60
is "it is gone" "$(pult limit "$n" | tr -s ' ' | grep -E 'weight|shares')" "cpu-weight 60"
pult destroy "$n"
if pure_v2 || [ -e /sys/fs/cgroup/blkio/blkio.bfq.io_serviced ]; then
    pult create container "$n" --rootfs "$ROOT" --set lxc.cgroup.blkio.weight=550 -- /bin/sleep 1000
    ok "the weight that CFQ had" pult start "$n"
    pid=$(id_of "$n" pid)
    limit_is "is BFQ's" io.weight "default 5050" blkio blkio.bfq.weight 550
    pult destroy --force "$n"
fi
pure_v2 && k=lxc.cgroup2 || k=lxc.cgroup
pult create container "$n" --rootfs "$ROOT" --set "$k.memory.nosuch=1" -- /bin/true
refused "a file that no kernel has" "controller 'memory' has no file 'memory.nosuch'" pult start "$n"
pult destroy "$n"

# ---- in whose groups it runs ----
if pure_v2; then
    skip "the group of CPU time, which is joined last" "there is one group for all"
else
    is "the group of CPU time, which is joined last" "$(pult run --cpus 0.5 --rootfs "$ROOT" -- \
        /bin/grep -c '[:,]cpu[:,].*/pult' /proc/self/cgroup)" 1
    is "with hooks while it mounts, too" "$(pult run --cpus 0.5 --set lxc.hook.mount=/bin/true --rootfs "$ROOT" -- \
        /bin/grep -c '[:,]cpu[:,].*/pult' /proc/self/cgroup)" 1
fi

# ---- a VM that does not run, as it is defined ----
n=vm-$test_id
mkdir -m 700 "$PULT_HOME/guests/$n"
printf 'guest.type = vm\nguest.memory = 256M\n' >"$PULT_HOME/guests/$n/config"
refused "a VM without a limit of memory" "as much memory as guest.memory says" pult limit "$n" memory=none
ok "a VM with less, and half a core" pult limit "$n" memory=128M cpus=0.5
is "its balloon has the rest" "$(pult config get "$n" vm.balloon)" 128M
is "a quota of its keeper" "$(pult config get "$n" vm.cgroup2.cpu.max)" "50000 100000"
rm -r "$PULT_HOME/guests/${n:?}"
is "no cgroup is left" "$(left_cgroups "*-$test_id")" ""
finish
