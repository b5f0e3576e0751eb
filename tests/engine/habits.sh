#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s (in the lab everything takes its time)
# Configurations as people who know LXC have them: taken, and with the effect that they had there.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

chmod 755 "$WORK" # hooks with the container's ids are in it
by() # COMMAND LINE...: what it prints under a configuration of these lines
{
    local cmd=$1
    shift
    printf '%s\n' "lxc.rootfs.path = $ROOT" "$@" "lxc.execute.cmd = $cmd" >"$WORK/c"
    pult create container "h-$test_id" --config "$WORK/c" --net none 2>&1 | grep -v 'other users'
    pult start --attach "h-$test_id" 2>&1 </dev/null | grep -v 'other users' | tr -d '\r'
    pult destroy --force "h-$test_id" >/dev/null 2>&1
}

# ---- capabilities ----
caps() { by "/bin/sed -n 's/^CapEff:.//p' /proc/self/status" "$@"; }
is "lxc.cap.keep = none" "$(caps 'lxc.cap.keep = none')" 0000000000000000
is "none forgets what was to be kept before" \
    "$(caps 'lxc.cap.keep = chown' 'lxc.cap.keep = none' 'lxc.cap.keep = kill')" 0000000000000020
is "a capability by its number" "$(caps 'lxc.cap.keep = 5 chown')" 0000000000000021

# ---- the grammar ----
mkdir "$WORK/more" && echo 'lxc.include = below.conf' >"$WORK/more/first.inc" && echo 'lxc.environment = A=below' >"$WORK/more/below.conf"
is "an include by a relative name" "$(by "/bin/sh -c 'echo \$A'" 'lxc.include = more/first.inc')" below
is "and of a directory" "$(by "/bin/sh -c 'echo \$A'" 'lxc.include = more')" below
quoted() # VALUE: what a command in quotes prints
{
    printf '%s\n' "lxc.rootfs.path = $ROOT" "lxc.execute.cmd = $1" >"$WORK/c"
    pult run -f "$WORK/c" </dev/null 2>&1
}
is "a command in quotes is cut into words" "$(quoted '"/bin/echo a b"') $(quoted "'/bin/echo' 'a  b'")" "a b a  b"
cp "$ROOT/bin/busybox" "$ROOT/bin/echo it"
like "but a program's name with a blank is one" "$(pult run --rootfs "$ROOT" -- "/bin/echo it" </dev/null 2>&1)" "echo it: applet not found"
pult create container "h-$test_id" --rootfs "$ROOT" -- "/bin/echo it"
like "also alone, in a definition" "$(pult start --attach "h-$test_id" 2>&1 </dev/null)" "applet not found|BusyBox"
pult destroy --force "h-$test_id"
rm "$ROOT/bin/echo it"

# ---- hooks ----
echo 'echo "$3 ${LXC_PID:+$(cut -d" " -f1 "/proc/$LXC_PID/stat")} $LXC_TARGET $LXC_LOG_LEVEL" >>'"$WORK/out" >"$WORK/tell"
tell="sh $WORK/tell"
by /bin/true "lxc.hook.pre-start = sh -c 'echo \$1 \$3 \"\$LXC_NAME\" >$WORK/first' hook"
is "a hook is a command for the shell" "$(cat "$WORK/first")" "h-$test_id pre-start h-$test_id"
like "one by a path of no known place" "$(by /bin/true 'lxc.hook.pre-start = bin/hook a/b')" \
    "c:2: lxc.hook.pre-start: 'bin/hook a/b' begins with a path"
by /bin/true "lxc.hook.start = sh -c 'test \$LXC_NAME = h-$test_id && : >/tmp/started'" \
    'lxc.hook.pre-start = true' "lxc.net.0.type = empty" "lxc.net.0.script.up = true"
like "where a failed one's words are" "$(by /bin/true "lxc.hook.pre-start = sh -c 'echo why >&2; exit 5'")" \
    "ended with status 5; what it printed is in '$PULT_HOME/guests/h-$test_id/log'"
ok "one of the container's, too" test -e "$ROOT/tmp/started"
by /bin/true "lxc.hook.start-host = $tell" "lxc.hook.post-stop = $tell" 'lxc.log.level = DEBUG' \
    "lxc.hook.stop = sh -c 'echo stop \$LXC_PID >>$WORK/stopped'"
wait_for 10 grep -q post-stop "$WORK/out"
like "they are told of the init, and in the end what for" "$(tr -s ' \n' ' ' <"$WORK/out")" \
    "^start-host [0-9]+ DEBUG post-stop stop DEBUG $"
is "also when it has ended" "$(cat "$WORK/stopped")" "stop $(sed -n 's/^start-host \([0-9]*\) .*/\1/p' "$WORK/out")"

# ---- mounts ----
mounted() { by "/bin/grep -c ' /sys/fs/cgroup.*cgroup' /proc/mounts" "$@"; }
is "lxc.mount.auto = cgroup-full is its own" "$(mounted 'lxc.mount.auto = proc:mixed cgroup-full:mixed')" \
    "$(mounted 'lxc.mount.auto = proc:mixed cgroup:mixed')"
like "the host's are not to be had" "$(mounted 'lxc.mount.auto = cgroup-full:rw:force')" "cgroups of the whole host"
like "nor are ids of another namespace" "$(by /bin/true 'lxc.mount.entry = /etc mnt none bind,idmap=/proc/1/ns/user 0 0')" \
    "ids of the container, idmap=container"
mkdir -p "$WORK/low/d" "$WORK/up" "$WORK/ow" && touch "$WORK/low/d/f"
over() # COMMAND LINE OPTIONS
{
    by "$1" "lxc.mount.entry = overlay mnt/o overlay lowerdir=$WORK/low,upperdir=$WORK/up,workdir=$WORK/ow,create=dir${2-} 0 0"
}
out=$(over '/bin/ls /mnt/o/d')
like "an overlay that cannot be written to" "$out" "'$WORK/up' and the workdir are not its own.*chown -R [0-9]+:[0-9]+, or say ro"
is "but one that is not to be" "$(over '/bin/ls /mnt/o/d' ,ro)" f
ok "with the owner that is said" chown -R "$(sed 's/.*chown -R \([0-9:]*\),.*/\1/' <<<"$out")" "$WORK/low" "$WORK/up" "$WORK/ow"
is "all can be done in it" "$(over '/bin/sh -c "rm -r /mnt/o/d; mkdir /mnt/o/d; touch /mnt/o/d/g; ls /mnt/o/d"')" g
like "ids are for what is the host's" "$(over /bin/true ,idmap=container)" "idmap=container is for what is of the host"
in_etc() { by "/bin/sh -c 'touch /mnt/new 2>/dev/null && echo written'" "$@"; }
mkdir "$WORK/dir"
like "an option that bind has not, as r0 for ro, is told" \
    "$(in_etc "lxc.mount.entry = $WORK/dir mnt none bind,r0,create=dir 0 0")" "warning: .*'r0' has no effect on .*'/mnt'"
is "the last of ro and rw counts" "$(in_etc "lxc.mount.entry = $WORK/dir mnt none bind,ro,rw,idmap=container 0 0" | tail -n 1)" written
is "likewise" "$(in_etc "lxc.mount.entry = $WORK/dir mnt none bind,rw,ro,idmap=container 0 0")" ""
is "/proc/ is /proc, and there is one" \
    "$(by "/bin/grep -c '^proc /proc proc' /proc/mounts" "lxc.mount.entry = proc /proc/ proc defaults 0 0")" 1
like "a target that is not there" "$(in_etc "lxc.mount.entry = $WORK/dir nowhere none bind")" "No such file.*create=dir"
like "a file on a directory" "$(in_etc "lxc.mount.entry = /etc/passwd mnt none bind")" "'/etc/passwd' is no directory, and '/mnt' is one"
like "without the word bind" "$(in_etc "lxc.mount.entry = $WORK/dir mnt none create=dir")" "with the option bind"
like "nor is a directory for mounts" "$(mounted 'lxc.mount.auto = shmounts:/srv/x:/x')" "shmounts:.*pult device add"

# ---- roots ----
root_is() # PREFIX:PATH
{
    by '/bin/cat /etc/mark' 'lxc.rootfs.path =' "lxc.rootfs.path = $1"
}
echo "its root" >"$ROOT/etc/mark"
is "btrfs: and zfs: of a directory" "$(root_is "btrfs:$ROOT") $(root_is "zfs:$ROOT")" "its root its root"
like "an overlay without its upper layer" "$(root_is "overlay:$ROOT:$WORK/upper/delta")" \
    "the upper layer '$WORK/upper/delta' of the root: No such file.*mkdir -p '$WORK/upper/delta'"
mkdir -p "$WORK/upper/delta"
is "and with it" "$(root_is "overlay:$ROOT:$WORK/upper/delta")" "its root"
like "zfs: of a data set is to be mounted before" "$(root_is zfs:tank/web1)" "not the absolute path.*mounted before"
mkfifo "$WORK/fifo"
like "a FIFO is no image, and nothing waits for it" "$(root_is "loop:$WORK/fifo")" "fifo"
for key in lxc.log.file lxc.console.logfile lxc.seccomp.profile; do
    like "nor is one waited for by $key" "$(by /bin/true "$key = $WORK/fifo")" "fifo.*$key|fifo: a profile"
done
is "nor by lxc.mount.fstab, where it is empty" "$(by '/bin/echo up' "lxc.mount.fstab = $WORK/fifo")" up
like "what has no end is no fstab" "$(by '/bin/echo up' 'lxc.mount.fstab = /dev/zero')" "lxc.mount.fstab: .*File too large"
for from in "tar:$WORK/fifo" "oci:$WORK/fifo"; do
    refused "nor is it an archive: ${from%%:*}" "it is no file" pult create container fifo --template "$from"
done
refused "nor one to import" "it is no file" pult import "$WORK/fifo"
modprobe -aq loop ext4 2>/dev/null
if mkfs.ext4 -q -d "$ROOT" "$WORK/image" 32M 2>/dev/null && device=$(losetup -f --show "$WORK/image" 2>/dev/null); then
    at_exit "losetup -d $device 2>/dev/null"
    is "a block device, in its two spellings" "$(root_is "$device") $(root_is "lvm:$device")" "its root its root"
    losetup -d "$device"
    is "an image without loop: before it" "$(root_is "$WORK/image")" "its root"
    is "lxc.rootfs.options: its file system's" \
        "$(by "/bin/sed -n 's|^[^ ]* / [^ ]* .*\(commit=[0-9]*\).*|\1|p' /proc/mounts" 'lxc.rootfs.path =' \
            "lxc.rootfs.path = $WORK/image" 'lxc.rootfs.options = noatime,commit=77')" commit=77
else
    skip "a block device, in its two spellings" "no mkfs.ext4, or no loop devices"
    skip "an image without loop: before it" "no mkfs.ext4, or no loop devices"
    skip "lxc.rootfs.options: its file system's" "no mkfs.ext4, or no loop devices"
fi
like "a directory has no such options" "$(by /bin/true 'lxc.rootfs.options = noatime,commit=77')" "'commit=77' has no effect"

# ---- the network ----
like "a key of another type of interface is told" \
    "$(by /bin/true 'lxc.network.type = veth' 'lxc.network.flags = up' 'lxc.network.macvlan.mode = bridge')" \
    "warning: [^ ]*config:4: 'lxc.net.0.macvlan.mode' has no effect: lxc.net.0.type is veth"
like "and a gateway without flags = up" \
    "$(by /bin/true 'lxc.net.0.type = veth' 'lxc.net.0.ipv4.address = 10.9.0.1/24' 'lxc.net.0.ipv4.gateway = 10.9.0.2')" \
    "lxc.net.0.ipv4.gateway' has no effect: there is no lxc.net.0.flags = up"
is "what counts is not told of" "$(by /bin/true 'lxc.net.0.type = veth' 'lxc.net.0.flags = up' \
    'lxc.net.0.ipv4.address = 10.9.0.1/24' 'lxc.net.0.ipv4.gateway = 10.9.0.2' 'lxc.net.0.veth.mode = bridge')" ""

# ---- the first process ----
is "lxc.init.groups adds up" "$(by '/bin/id -G' 'lxc.init.groups = 7' 'lxc.init.groups = 8,9')" "0 7 8 9"
is "signals in small letters" "$(by '/bin/echo runs' 'lxc.signal.halt = sigpwr' 'lxc.signal.reboot = sigrtmin+3' \
    'lxc.signal.stop = SIGrtmax')" runs
like "an id that it has not" "$(by /bin/true 'lxc.init.uid = 99999')" "has no uid 99999 \(lxc.init.uid\).*ids.count"
like "ids that are mapped twice" "$(by /bin/true 'lxc.idmap = b 0 100000 10' 'lxc.idmap = u 9 5000 1')" \
    "c:3: lxc.idmap: 'u 9 5000 1' has ids of an earlier line; 'lxc.idmap ='"
like "also outside" "$(by /bin/true 'lxc.idmap = b 0 100000 10' 'lxc.idmap = g 10 100009 1')" "has ids of an earlier line"
is "ranges side by side, and after an empty line" "$(by "/bin/sh -c 'cat /proc/self/uid_map | tr -s \" \"'" \
    'lxc.idmap = b 0 200000 10' 'lxc.idmap =' 'lxc.idmap = b 0 100000 10' 'lxc.idmap = b 10 100010 5')" $' 0 100000 10\n 10 100010 5'
like "a limit is called by its name" "$(by /bin/true 'lxc.prlimit.nofile = 100000000000')" "lxc.prlimit.nofile:.*fs.nr_open"
like "so is a sysctl, and where it is set" "$(by /bin/true 'lxc.sysctl.vm.swappiness = 1')" \
    "lxc.sysctl.vm.swappiness: .*whole host.*sysctl\(8\)$"

# ---- the log ----
is "lxc.log.syslog where nobody listens" "$(by '/bin/echo started' 'lxc.log.syslog = daemon' | tail -n 1)" started
by '/bin/sh -c "exit 3"' "lxc.log.file = $WORK/log" 'lxc.log.level = NOTICE' >/dev/null
like "lxc.log.file has how it ended, also by itself" "$(cat "$WORK/log")" "ended: exit status 3$"
finish
