#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200 s
# Devices that a container may use, what it is given while it runs, and one that hangs for it.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
n=d-$test_id

# A device that everybody may open, as far as its mode goes.
mknod -m 666 "$WORK/control" c 10 237 || skip_all "no devices can be made here"
: <"$WORK/control" 2>/dev/null || skip_all "no /dev/loop-control"
with() { pult run --rootfs "$ROOT" --set "lxc.mount.entry=$WORK/control dev/control none bind,create=file" "$@" </dev/null 2>&1; }
opens='if : </dev/control; then echo opened; fi'
like "one that is not on the list" "$(with -- /bin/sh -c "$opens")" "not permitted"
is "one that is allowed" "$(with --set "lxc.cgroup2.devices.allow=c 10:237 rwm" -- /bin/sh -c "$opens")" opened
is "in the other spelling" "$(with --set "lxc.cgroup.devices.allow=c 10:* rw" -- /bin/sh -c "$opens")" opened
like "to be written to only" "$(with --set "lxc.cgroup2.devices.allow=c 10:237 w" -- /bin/sh -c "$opens")" "not permitted"
like "allowed, then denied" "$(with --set "lxc.cgroup2.devices.allow=c *:* rwm" --set "lxc.cgroup2.devices.deny=c 10:237 r" \
    -- /bin/sh -c "$opens")" "not permitted"
like "denied, of the usual" "$(with --set "lxc.cgroup2.devices.deny=c 1:9 r" -- /bin/sh -c ': </dev/urandom')" "not permitted"
is "all denied, terminals too: it has its own" "$(with --set "lxc.cgroup2.devices.deny=a" -- /bin/sh -c 'echo starts')" starts
like "and no others" "$(with --set "lxc.cgroup2.devices.deny=a" -- /bin/sh -c ': </dev/null')" "not permitted"
is "the others remain" "$(with --set "lxc.cgroup2.devices.deny=c 1:9 r" -- /bin/sh -c 'head -c 3 /dev/zero | wc -c')" 3
is "an empty value forgets" "$(with --set "lxc.cgroup2.devices.deny=a" --set "lxc.cgroup2.devices.allow=c 1:3 rwm" \
    --set lxc.cgroup2.devices.deny= -- /bin/sh -c ': </dev/zero && echo opened')" opened
refused "what is no rule" "no rule for devices" pult run --rootfs "$ROOT" --set "lxc.cgroup2.devices.allow=d 1:2" -- /bin/true

# ---- while it runs ----
pult create container "$n" --rootfs "$ROOT" -- /bin/sleep 1000
pult start "$n"
ok "a device is added" pult device add "$n" "$WORK/control" /dev/control
# Where root inside is root outside, it is the host's own node.
can_idmap && mode=660 || mode=666
is "its root owns it" "$(pult exec "$n" -- /bin/stat -c '%u %a' /dev/control)" "0 $mode"
is "and may use it" "$(pult exec "$n" -- /bin/sh -c "$opens")" opened
pult create container "$n-r" --rootfs "$ROOT" --set "lxc.cgroup2.devices.allow=c *:* rwm" \
    --set "lxc.cgroup2.devices.deny=c 1:9 r" -- /bin/sleep 1000
pult start "$n-r" && pult device add "$n-r" "$WORK/control" /dev/control
pult device remove "$n-r" /dev/control "$WORK/control"
refused "what is denied stays so when a device goes" "not permitted" pult exec "$n-r" -- /bin/sh -c ': </dev/urandom'
pult destroy --force "$n-r"
mkdir "$WORK/data" && echo content >"$WORK/data/file"
ok "a directory" pult device add "$n" "$WORK/data" "/mnt/a b" --ro --keep
is "with what is in it" "$(pult exec "$n" -- /bin/cat "/mnt/a b/file")" content
refused "to be read only" "ead-only" pult exec "$n" -- /bin/touch "/mnt/a b/new"
ok "a file" pult device add "$n" "$WORK/data/file" /etc/added/
is "is there" "$(pult exec "$n" -- /bin/cat /etc/added)" content
ok "it is taken away" pult device remove "$n" /etc/added
ok "with its name" pult exec "$n" -- /bin/test ! -e /etc/added
ok "the device, too" pult device remove "$n" /dev/control "$WORK/control"
ok "it is not there" pult exec "$n" -- /bin/test ! -e /dev/control
refused "nothing to be taken" "take '/etc/added' away: nothing that was added" pult device remove "$n" /etc/added
for own in /proc /proc/sys /sys /dev/null /dev; do
    refused "nor its own $own" "nothing that was added" pult device remove "$n" "$own"
done
is "all of that is there" "$(pult exec "$n" -- /bin/sh -c 'echo x >/proc/sys/kernel/shmmax; : </dev/null && ls -d /sys/class /proc/1' 2>&1)" \
    $'/bin/sh: can\'t create /proc/sys/kernel/shmmax: Read-only file system\n/proc/1\n/sys/class'
refused "nothing to be added" "No such file" pult device add "$n" "$WORK/none"

# A link of the container's leads to its own files, not to the host's.
mkdir -p "$WORK/out"
pult exec "$n" -- /bin/sh -c "mkdir -p '$WORK/out' && ln -s '$WORK/out' /link"
pult device add "$n" "$WORK/data" /link/x
ok "a link leads nowhere else" test ! -e "$WORK/out/x"
is "but inside" "$(pult exec "$n" -- /bin/cat "$WORK/out/x/file")" content
is "the host has no mount more" "$(grep -c "$test_id\|$WORK/data" /proc/self/mounts)" 0
pult kill "$n"
pult start "$n"
is "what was kept is there again" "$(pult exec "$n" -- /bin/cat "/mnt/a b/file")" content
ok "and goes for good" pult device remove "$n" "/mnt/a b/"
refused "from the definition, too" "does not set" pult config get "$n" lxc.mount.entry

# What the definition says of devices holds whatever comes and goes: its order, and its own lines.
pult create container "$n-o" --rootfs "$ROOT" --set "lxc.cgroup2.devices.allow=c 10:237 rwm" \
    --set "lxc.cgroup2.devices.allow=c *:* rwm" --set "lxc.cgroup2.devices.deny=c 1:9 r" -- /bin/sleep 1000
pult start "$n-o"
denied() { pult exec "$n-o" -- /bin/sh -c ': </dev/urandom' 2>&1; }
like "one is denied" "$(denied)" "not permitted"
pult device add "$n-o" "$WORK/control" /dev/control
pult device remove "$n-o" /dev/control "$WORK/control"
like "it still is when another has come and gone" "$(denied)" "not permitted"
pult kill "$n-o"
pult config unset "$n-o" lxc.cgroup2.devices.deny
pult config set "$n-o" "lxc.cgroup2.devices.allow=c 10:237 rwm" \
    "lxc.mount.entry=$WORK/control dev/own none bind,create=file,idmap=container"
pult start "$n-o"
opens_own() { pult exec "$n-o" -- /bin/sh -c 'if : </dev/own; then echo opened; fi' 2>&1; }
is "one is allowed by the definition" "$(opens_own)" opened
pult device add "$n-o" "$WORK/control" /dev/second
pult device remove "$n-o" /dev/second "$WORK/control"
is "it still is when that has come and gone" "$(opens_own)" opened
pult destroy --force "$n-o"

# ---- network cards ----
if ip link add br-$$ type bridge 2>/dev/null; then
    at_exit "ip link delete br-$$ 2>/dev/null; ip link delete nic-$$ 2>/dev/null"
    ip link add "nic-$$" type veth peer name "far-$$"
    links() { pult exec "$n" -- /bin/ls /sys/class/net | paste -sd ' '; }
    ports() { ip -o link show master "br-$$" | wc -l; }
    here() { ip -o link show "nic-$$" 2>/dev/null | grep -c .; }
    is "it has no card" "$(links)" lo
    is "one is added" "$(pult device add "$n" --net bridge=br-$$)" eth0
    is "is there, and on" "$(links) $(pult exec "$n" -- /bin/cat /sys/class/net/eth0/carrier)" "eth0 lo 1"
    is "its other end is in the bridge" "$(ports)" 1
    is "with the name it is to have" "$(pult device add "$n" --net bridge=br-$$,mtu=1400 lan --keep)" lan
    is "kept with it" "$(pult config get "$n" guest.net.1)" "bridge=br-$$,mtu=1400,name=lan"
    refused "a name that is taken" "already" pult device add "$n" --net bridge=br-$$ lan
    refused "a bridge that is none" "No such device|nowhere" pult device add "$n" --net bridge=nowhere
    ok "one of the host's moves" pult device add "$n" "nic-$$" wan
    is "it is there, not here" "$(links) $(here)" "eth0 lan lo wan 0"
    ok "it is taken away" pult device remove "$n" wan
    is "it is here again" "$(links) $(here)" "eth0 lan lo 1"
    ok "so is another kind" pult device remove "$n" eth0
    is "the bridge has one less" "$(links) $(ports)" "lan lo 1"
    refused "nothing to be taken" "no interface 'eth7'" pult device remove "$n" eth7
    pult kill "$n"
    pult start "$n"
    is "what was kept is there again" "$(links)" "lan lo"
    ok "and goes for good" pult device remove "$n" lan
    refused "from the definition, too" "does not set" pult config get "$n" guest.net.1
    is "its name is free" "$(links)" lo
    pult device add "$n" "nic-$$" >/dev/null
    pult kill "$n"
    pult wait "$n" -s 'stopped|crashed'
    ok "the end brings it back" ip link show "nic-$$"
    is "no interface is left" "$(ports)" 0
    pult start "$n"
else
    skip "network cards" "no bridge can be made here"
fi

# ---- of one that does not run ----
d=down-$test_id
pult create container "$d" --rootfs "$ROOT" --set 'lxc.cgroup2.devices.allow=c 1:3 rwm' -- /bin/true
refused "what the definition does not mount" "mounts nothing on '/dev/null'" pult device remove "$d" /dev/null
is "and its own rule stays" "$(pult config get "$d" lxc.cgroup2.devices.allow)" "c 1:3 rwm"
ok "mounted, with a rule like it" pult device add --keep "$d" /dev/null /dev/other
ok "it goes" pult device remove "$d" /dev/other /dev/null
is "with its rule alone" "$(pult config get "$d" lxc.cgroup2.devices.allow)" "c 1:3 rwm"
pult destroy "$d"

# ---- one process that cannot be stopped: its file system does not answer ----
mkdir "$WORK/hang"
exec 7<>/dev/fuse
if mount -i -t fuse hang "$WORK/hang" -o fd=7,rootmode=40000,user_id=0,group_id=0,allow_other 2>/dev/null; then
    at_exit "exec 7>&-; umount -l '$WORK/hang'"
    pult kill "$n"
    pult config set "$n" "lxc.mount.entry=$WORK/hang hang none bind,create=dir"
    ok "one that does not answer is mounted" pult start "$n" 7>&-
    pult exec "$n" -- /bin/sh -c 'exec /bin/cat /hang/file' </dev/null >/dev/null 2>&1 7>&- &
    waits() { grep -q '^State:.D' /proc/"$(pgrep -x cat -P "$(id_of "$n" keeper_pid)")"/status; }
    ok "a process waits for a file" wait_for 5 waits
    refused "it is named" "process [0-9]+ \(cat\) does not stop: it is in state D" pult freeze "$n"
    is "the container runs on" "$(state_of "$n")" running
    exec 7>&-
    wait
    ok "when it has what it waits for" pult freeze "$n"
    ok "it is frozen as a whole" grep -q "frozen 1" "$(cgroup_of "$(id_of "$n" pid)")/cgroup.events"
else
    skip "one process that cannot be stopped" "no FUSE"
fi
exec 7>&-
# One that has taken a question, and does not answer it: not even SIGKILL ends who asked.
python3 - "$WORK/hang" >"$WORK/served" <<'END' &
import os, struct, subprocess, sys, time
fd = os.open("/dev/fuse", os.O_RDWR)
subprocess.Popen(["mount", "-i", "-t", "fuse", "hang", sys.argv[1], "-o",
                  f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"], pass_fds=[fd])
answers = { # linux/fuse.h: FUSE_INIT, and FUSE_GETATTR of the root
    26: struct.pack("=IIII48x", 7, 31, 0, 0),
    3: struct.pack("=QII6Q10I", 60, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0),
}
while True:
    try:
        code, unique = struct.unpack("=4xIQ", os.read(fd, 1 << 17)[:16])
    except PermissionError: # it is not mounted yet
        time.sleep(0.01)
        continue
    if code in answers:
        os.write(fd, struct.pack("=IiQ", 16 + len(answers[code]), 0, unique) + answers[code])
    else:
        print("asked", code, flush=True)
END
server=$!
at_exit "kill -9 $server 2>/dev/null; umount -l '$WORK/hang' 2>/dev/null"
if wait_for 10 mountpoint -q "$WORK/hang"; then
    pult kill "$n"
    pult config set "$n" "lxc.mount.entry=$WORK/hang hang none bind,create=dir"
    ok "another is mounted" pult start "$n"
    refused "nothing is added to it" "wait for the container's file system" pult device add "$n" "$WORK/data" /hang/x
    ok "it was asked" grep -qx "asked 1" "$WORK/served"
    is "and the keeper goes on" "$(pult exec "$n" -- /bin/echo works)" works
else
    skip "one that answers nothing" "no FUSE"
fi
kill -9 $server
wait $server 2>/dev/null
pult kill "$n"
pult destroy "$n"
is "no cgroup is left" "$(left_cgroups "*-$test_id")" ""
finish
