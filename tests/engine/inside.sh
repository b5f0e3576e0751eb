#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# What a process in a container sees and may do.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

# ---- namespaces ----
for ns in mnt pid ipc uts net cgroup user; do
    out=$(inside /bin/readlink /proc/self/ns/$ns)
    like "its own $ns namespace" "$out" "^$ns:"
    ok "… not the host's" test "$out" != "$(readlink /proc/self/ns/$ns)"
done
is "it is root there" "$(inside /bin/id -u)" 0
is "process 1 is its init" "$(inside /bin/sh -c 'echo $PPID')" 1
is "its host name is its own" "$(pult run --name "h-$test_id" --rootfs "$ROOT" -- /bin/hostname)" "h-$test_id"
is "no process of the host is seen" "$(inside /bin/sh -c 'echo /proc/[0-9]*')" "/proc/1 /proc/2"
like "the loopback interface is up" "$(inside /bin/ip addr show lo)" "127.0.0.1"
is "and the only one" "$(inside /bin/sh -c 'ls /sys/class/net')" lo

# ---- ids ----
printf 'joe:1000000:65536\n' >"$WORK/subuid"
printf 'joe:%d:65536\n' $((0x71000000)) >"$WORK/taken"
if [ -e /etc/subuid ] && mount --bind "$WORK/subuid" /etc/subuid && at_exit "umount -l /etc/subuid"; then
    if can_idmap; then
        out=$(inside /bin/awk '{print $2}' /proc/self/uid_map)
        ok "its ids are nobody's ($out)" test "$out" -ge 1065536
    else
        skip "its ids are nobody's" "no file system here can be mounted with other ids"
    fi
    like "doctor tells which they are" "$(pult doctor)" "ok +container +subuid +each container has built-in ids of its own, out of 1895825408 "
    mount --bind "$WORK/taken" /etc/subuid && at_exit "umount -l /etc/subuid"
    like "and when they are somebody's" "$(pult doctor)" "subuid .*gives to somebody"
else
    skip "its ids are nobody's" "cannot mount over /etc/subuid"
fi
if can_idmap; then
    for c in i j; do
        pult create container "$c-$test_id" --rootfs "$ROOT" -- /bin/sleep 1000
        pult start "$c-$test_id"
    done
    first=$(id_of "i-$test_id" first) second=$(id_of "j-$test_id" first)
    ok "each container has ids of its own ($first, $second)" test $(((first - second) / 65536)) -ne 0
    is "info tells which" "$(awk '{print $2, $3}' "/proc/$(id_of "i-$test_id" pid)/uid_map")" \
        "$first $(id_of "i-$test_id" count)"
    for c in i j; do
        pult kill "$c-$test_id"
        pult destroy "$c-$test_id"
    done
else
    skip "each container has ids of its own" "no file system here can be mounted with other ids"
fi

# ---- mounts ----
# Of one command's /proc and /sys, what concerns the machine is covered.
covered=$(inside /bin/sh -c 'cut -d " " -f 2 /proc/self/mounts | grep -E "^/(proc|sys)/" | grep -v "^/sys/fs/cgroup$"')
for f in /proc/{kcore,keys,timer_list,sysrq-trigger,bus,fs,irq,sys} /sys/firmware; do
    [ ! -e $f ] || like "$f is covered" "$covered" "$f"
done
is "nothing of the host's mounts is left" \
    "$(inside /bin/sh -c 'cut -d " " -f 2 /proc/self/mounts' | sort | tr '\n' ' ')" \
    "$(printf '%s\n' / /proc /sys /dev /dev/{null,zero,full,random,urandom,tty,pts,console,shm,mqueue} \
        $(pure_v2 && echo /sys/fs/cgroup) $covered | sort | tr '\n' ' ')"
is "nothing above the root" "$(inside /bin/sh -c 'cd ..; stat -c %i . / /bin/../.. | uniq | wc -l')" 1
is "/sys cannot be written to" "$(inside /bin/sh -c 'echo x >/sys/kernel/uevent_helper' 2>&1 | grep -c 'ead-only\|denied')" 1
for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches; do
    [[ -e $f && $covered != *$f* ]] || continue
    is "$f cannot be written to" "$(inside /bin/sh -c "echo x >$f" 2>&1 | grep -c 'ead-only\|denied')" 1
done
! can_idmap || is "a setting of the machine's cannot" \
    "$(inside /bin/sh -c 'echo x >/proc/sys/kernel/domainname' 2>&1 | grep -c 'ead-only')" 1
! can_idmap || is "its own network's settings can" \
    "$(inside /bin/sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward')" 1

# ---- devices ----
is "devices" "$(inside /bin/sh -c 'for d in null zero full random urandom tty console ptmx; do
    [ -c /dev/$d ] && printf "$d "; done')" "null zero full random urandom tty console ptmx "
is "no others" "$(inside /bin/find /dev -type b)" ""
is "/dev/null takes everything" "$(inside /bin/sh -c 'echo x >/dev/null && echo yes')" yes
is "/dev/zero gives zeros" "$(inside /bin/sh -c 'head -c 4 /dev/zero | od -An -tx1')" " 00 00 00 00"
like "none can be made" "$(inside /bin/mknod /dev/sda b 8 0 2>&1)" "not permitted"
is "the console is a terminal of its own" "$(inside /bin/tty)" /dev/pts/0
is "/dev/console is the same" "$(inside /bin/sh -c 'stat -c %t:%T /dev/console /dev/pts/0 | uniq | wc -l')" 1
is "/dev/shm works" "$(inside /bin/sh -c 'echo x >/dev/shm/x && cat /dev/shm/x')" x

# ---- descriptors, capabilities, signals ----
is "no descriptor but 0, 1, 2" "$(inside /bin/sh -c 'for f in /proc/self/fd/*; do
    [ -e $f ] && echo ${f##*/}; done' | tr '\n' ' ')" "0 1 2 "
is "and all are the console" "$(inside /bin/sh -c 'for i in 0 1 2; do readlink /proc/$$/fd/$i; done | uniq')" /dev/pts/0
is "init's descriptors cannot be had" "$(inside /bin/sh -c 'cat /proc/1/fd/3 2>&1 | grep -c denied')" 1
is "nor its memory" "$(inside /bin/sh -c 'head -c 1 /proc/1/environ 2>&1 | grep -c denied')" 1
is "no_new_privs for a command" "$(inside /bin/grep NoNewPrivs /proc/self/status)" $'NoNewPrivs:\t1'
bounding=$((0x$(inside /bin/sed -n 's/CapBnd:[^0-9a-f]*//p' /proc/self/status)))
for cap in sys_module:16 sys_rawio:17 sys_admin:21 sys_time:25 mac_admin:33 syslog:34; do
    is "without CAP_${cap%:*}" $((bounding >> ${cap#*:} & 1)) 0
done
for cap in chown:0 kill:5 setuid:7 net_bind_service:10; do
    is "with CAP_${cap%:*}" $((bounding >> ${cap#*:} & 1)) 1
done
refused "a command makes no user namespace" "unshare|No space" inside /bin/unshare -U /bin/true
refused "nor may it allow itself to" "denied|ead-only" \
    inside /bin/sh -c 'echo 9 >/proc/sys/user/max_user_namespaces && unshare -U /bin/true'
printf '::sysinit:/bin/echo booted\n::respawn:/bin/sleep 1000\n' >"$ROOT/etc/inittab"
pult create container "s-$test_id" --rootfs "$ROOT"
pult start "s-$test_id"
ok "a system does" pult exec "s-$test_id" -- /bin/unshare -U /bin/true
pult kill "s-$test_id"
pult destroy "s-$test_id"
only=$(pult run --rootfs "$ROOT" --set 'lxc.cap.keep=chown kill' -- /bin/grep CapBnd /proc/self/status)
is "lxc.cap.keep" "$only" $'CapBnd:\t0000000000000021'
is "lxc.cap.keep = none" "$(pult run --rootfs "$ROOT" --set lxc.cap.keep=none -- /bin/sed -n 's/CapEff:[^0-9a-f]*//p' /proc/self/status)" 0000000000000000
dropped=$(pult run --rootfs "$ROOT" --set lxc.cap.drop=chown -- /bin/sed -n 's/CapBnd:[^0-9a-f]*//p' /proc/self/status)
is "lxc.cap.drop" $((0x$dropped & 1)) 0
is "no signal is blocked or ignored" \
    "$(inside /bin/grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\t\n')" "SigBlk:0000000000000000SigIgn:0000000000000000"

# ---- environment ----
is "environment" "$(pult run --rootfs "$ROOT" --set lxc.environment=A=b -- /bin/sh -c 'echo $A $HOME $TERM $container')" \
    "b /root xterm-256color lxc"
is "nothing of the caller's" "$(SECRET=x inside /bin/sh -c 'echo "$SECRET"')" ""

finish
