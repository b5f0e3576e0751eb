#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 700 s (in the lab everything takes its time)
# LXC's keys: each does something, which is seen from inside or on the host.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

n=k-$test_id
mkdir -p "$ROOT/mnt" "$WORK/more" "$WORK/share" && echo shared >"$WORK/share/file"
chmod 755 "$WORK" "$WORK/share"
cat >"$WORK/fstab" <<EOF
# as in 2010: targets with the path of the root
$WORK/share $ROOT/mnt none bind,ro 0 0
proc proc proc nodev,noexec,nosuid 0 0
EOF
cat >"$WORK/more/a.conf" <<EOF
lxc.environment = FROM=include
lxc.cap.drop = sys_time
EOF
cat >"$WORK/hook" <<'EOF'
#!/bin/sh
echo "$LXC_HOOK_TYPE|$*|$LXC_NAME|$LXC_ROOTFS_PATH|$LXC_TARGET|$LXC_PID_NS" >>"${0%/*}/hooks"
case $LXC_HOOK_TYPE$3 in
mount) echo "by hook" >"$LXC_ROOTFS_MOUNT/dev/hooked";;
esac
exit 0
EOF
chmod 755 "$WORK/hook" && : >"$WORK/hooks" && chmod 666 "$WORK/hooks"
cat >"$WORK/policy" <<EOF
2
denylist
# comment
[all]
mkdirat errno 95
mkdir errno 95
reject_force_umount  # comment
no_such_call errno 1
ioctl errno 1 [1,0x5412,SCMP_CMP_EQ]
EOF
cat >"$WORK/config" <<EOF
lxc.rootfs = $ROOT
lxc.utsname = $n
lxc.network.type = empty
lxc.mount = $WORK/fstab
lxc.include = $WORK/more
lxc.mount.entry = tmpfs srv tmpfs size=1M,mode=700,create=dir 0 0
lxc.mount.entry = etc/passwd srv/passwd none bind,relative,create=file,ro 0 0
lxc.mount.entry = $WORK/nowhere opt none bind,optional,create=dir 0 0
lxc.mount.auto = proc:mixed sys:ro cgroup:ro
lxc.tty = 2
lxc.devttydir = lxc
lxc.pts = 16
lxc.limit.nofile = 100:200
lxc.prlimit.core = 0
lxc.sysctl.net.ipv4.ip_forward = 1
lxc.sysctl.kernel.msgmax = 4096
lxc.proc.oom_score_adj = 100
lxc.arch = i686
lxc.init.cwd = /root
lxc.init.uid = 1000
lxc.init.gid = 1001
lxc.init.groups = 7,8
lxc.seccomp = $WORK/policy
lxc.signal.stop = SIGTERM
lxc.autodev.tmpfs.size = 256kB
lxc.console.logfile = $WORK/console
lxc.hook.version = 1
lxc.hook.pre-start = $WORK/hook
lxc.hook.mount = $WORK/hook
lxc.hook.start-host = $WORK/hook
lxc.hook.stop = $WORK/hook
lxc.hook.post-stop = $WORK/hook
lxc.hook.destroy = $WORK/hook
lxc.execute.cmd = /bin/sh -c 'trap "" TERM; echo on the console; while :; do sleep 1; done'
EOF

# ---- one with much ----
ok "a file with old and new spellings is taken as it is" \
    pult create container "$n" --config "$WORK/config" --net none
ok "it starts" pult start "$n"
x() { pult exec "$n" -- /bin/sh -c "$1" 2>&1; }
r() { pult exec "$n" --user 0 -- /bin/sh -c "$1" 2>&1; }
is "lxc.uts.name" "$(x hostname)" "$n"
is "lxc.mount.fstab, a target as in 2010" "$(x 'cat /mnt/file')" shared
like "read-only" "$(r 'echo x >/mnt/file')" "Read-only"
like "lxc.mount.entry, a tmpfs" "$(x 'grep " /srv " /proc/mounts')" "tmpfs.*size=1024k"
is "relative" "$(r 'cmp /srv/passwd /etc/passwd && echo same')" same
like "proc:mixed" "$(r 'echo 1 >/proc/sys/kernel/shmmax')" "Read-only"
is "but not of the network" "$(r 'echo 0 >/proc/sys/net/ipv4/ip_forward && echo done')" done
like "sys:mixed" "$(pult run --rootfs "$ROOT" --set lxc.mount.auto=sys:mixed -- grep ' /sys/devices/virtual/net ' /proc/mounts </dev/null)" ' rw,'
is "lxc.sysctl" "$(x 'cat /proc/sys/kernel/msgmax')" 4096
is "lxc.tty.max" "$(x 'ls -l /dev/tty1 /dev/tty2 | sed "s/.*> //" | tr "\n" " "; ls /dev/tty3 2>&1')" \
    "lxc/tty1 lxc/tty2 ls: /dev/tty3: No such file or directory"
like "lxc.pty.max" "$(x 'grep " /dev/pts " /proc/mounts')" "max=35"
is "lxc.prlimit" "$(x 'ulimit -Sn; ulimit -Hn; ulimit -c' | tr '\n' ' ')" "100 200 0 "
is "lxc.arch" "$(x 'uname -m')" i686
is "lxc.init.uid, gid" "$(x 'id -u; id -g' | tr '\n' ' ')" "1000 1001 "
pid=$(id_of "$n" pid)
child=$(pgrep -P "$pid" | head -n 1)
like "of the command, too, with lxc.init.groups" "$(r 'sed -n "s/^Groups://p" /proc/[0-9]*/status')" "7 8"
is "lxc.init.cwd" "$(readlink "/proc/$child/cwd")" /root
is "lxc.proc" "$(cat "/proc/$pid/oom_score_adj")" 100
like "lxc.seccomp.profile" "$(x 'mkdir /tmp/x')" "not supported"
like "lxc.autodev.tmpfs.size" "$(x 'grep " /dev " /proc/mounts')" "size=256k"
is "lxc.include of a directory" "$(x 'echo $FROM')" include
is "lxc.hook.mount writes into the root" "$(x 'cat /dev/hooked')" "by hook"
echo typed | "$PULT" console "$n" --port tty1 >/dev/null 2>&1 &
console=$!
is "a tty is a terminal" "$(r 'read line </dev/tty1; echo "$line"')" typed
kill "$console" && wait "$console" 2>/dev/null
start=$SECONDS
pult kill "$n"
ok "lxc.signal.stop, and SIGKILL after it" test $((SECONDS - start)) -ge 2
is "lxc.console.logfile" "$(tr -d '\r' <"$WORK/console")" "on the console"
pult destroy "$n"
root=$ROOT
like "hooks in their order" "$(sed 's/|.*//' "$WORK/hooks" | tr '\n' ' ')" \
    "^pre-start mount start-host stop post-stop( destroy)? $"
like "with what they are told" "$(grep ^stop "$WORK/hooks")" "^stop\|\|$n\|$root\|stop\|/proc/[0-9]+/fd/[0-9]+$"

# ---- and some that fail ----
conf() { printf 'lxc.rootfs.path = %s\n' "$ROOT" "$@" | sed '2,$s/^lxc.rootfs.path = //' >"$WORK/c"; }
try() { conf "$@"; pult create container "$n" --config "$WORK/c" --net none 2>&1 && pult destroy "$n"; }
like "a wrong value is named with its line" "$(try 'lxc.tty.max = many')" "c:2: lxc.tty.max: 'many'"
like "an unknown key, with the nearest" "$(try 'lxc.tty.maxx = 4')" "c:2: unknown key .*lxc.tty.max"
like "lxc.namespace.keep = user" "$(try 'lxc.namespace.keep = user')" "has a user namespace"
like "a profile with an error" "$(echo 2 >"$WORK/p"; echo denylist >>"$WORK/p"; echo 'mkdir err 1' >>"$WORK/p"
    conf "lxc.seccomp.profile = $WORK/p" 'lxc.execute.cmd = /bin/true'
    pult create container "$n" --config "$WORK/c" --net none; pult start "$n" 2>&1; pult destroy "$n")" "p:3: 'err' is no action"
conf 'lxc.hook.pre-start = /bin/false' 'lxc.execute.cmd = /bin/true'
pult create container "$n" --config "$WORK/c" --net none
refused "a hook that fails keeps it from starting" "lxc.hook.pre-start: '/bin/false' ended with status 1" \
    pult start "$n"
pult destroy "$n"

like "a key without effect is warned of, once" "$({ conf 'lxc.pivotdir = a' 'lxc.pivotdir = b' 'lxc.execute.cmd = /bin/true'
    pult create container "$n" --config "$WORK/c" --net none 2>&1; pult start "$n" 2>&1; pult destroy -f "$n"; } | grep -v 'other users')" \
    "^pult create container: warning: [^ ]*config:2: 'lxc.pivotdir' has no effect: [^:]*pult start: warning: [^:]*:2: 'lxc.pivotdir' has no effect: [^:]*$"
if mkdir -p /var/lib/lxcfs && mount -t tmpfs lxcfs /var/lib/lxcfs 2>/dev/null; then
    at_exit "umount /var/lib/lxcfs; rmdir /var/lib/lxcfs 2>/dev/null"
    mkdir /var/lib/lxcfs/proc && echo "MemTotal: its share" >/var/lib/lxcfs/proc/meminfo
    is "lxcfs tells its share" "$(inside /bin/cat /proc/meminfo)" "MemTotal: its share"
    umount /var/lib/lxcfs
else
    skip "lxcfs tells its share" "nothing can be mounted there"
fi

is "rootfs_options: ro, noexec" "$(pult run --rootfs "$ROOT" --set lxc.rootfs.options=ro,nosuid -- \
    /bin/sh -c 'touch /x 2>/dev/null || sed -n "s,.* / [^ ]* \([^ ]*\) .*,\1,p" /proc/mounts | tail -n 1 | cut -d, -f1-2' </dev/null)" ro,nosuid

# ---- spelling ----
pult create container "$n" --config "$WORK/config" --net none
pult config modernize "$n"
is "config modernize" "$(pult config get "$n" | grep -c -e '^lxc.utsname' -e '^lxc.network' -e '^lxc.limit' \
    -e '^lxc.devttydir' -e '^lxc.mount ')" 0
is "into today's" "$(pult config get "$n" lxc.net.0.type) $(pult config get "$n" lxc.prlimit.nofile)" "empty 100:200"
pult destroy "$n"
is "docs/lxc-keys.md is of this table (pult help --keys)" \
    "$(pult help --keys | diff - "$TOP/docs/lxc-keys.md" 2>&1 | head -n 5)" ""

# ---- namespaces ----
begin() { local name=$1; shift; conf "$@" 'lxc.execute.cmd = /bin/sleep 1000'
    pult create container "$name" --config "$WORK/c" --net none && pult start "$name"; }
end() { pult kill "$1"; pult destroy "$1" 2>/dev/null; }
of() { readlink "/proc/$(id_of "$1" pid)/ns/$2"; }
both() { local k; for k in "$@"; do [ "$(of "$n" "$k")" = "$(of "$n-2" "$k")" ] && printf '%s ' "$k"; done; }
begin "$n"
begin "$n-2" "lxc.namespace.share.net = $n" "lxc.namespace.share.ipc = $n" "lxc.namespace.share.uts = $n"
is "lxc.namespace.share" "$(both net ipc uts pid user mnt)" "net ipc uts "
is "also of what is run in it" "$(pult exec "$n-2" -- readlink /proc/self/ns/net)" "$(of "$n" net)"
end "$n-2"
begin "$n-2" "lxc.namespace.share.pid = $n"
is "lxc.namespace.share.pid, with a /proc of these" "$(pult exec "$n-2" -- ps | grep -c '[s]leep 1000')" 2
end "$n-2"
begin "$n-2" "lxc.namespace.keep = uts ipc"
is "lxc.namespace.keep" "$(of "$n-2" uts) $(of "$n-2" ipc)" "$(readlink /proc/self/ns/uts) $(readlink /proc/self/ns/ipc)"
end "$n-2"
begin "$n-2" "lxc.time.offset.boot = 1000h"
ok "lxc.time.offset" test "$(pult exec "$n-2" -- sed 's/[.].*//' /proc/uptime)" -ge 3600000
end "$n-2"
end "$n"

# ---- around it ----
begin "$n" "lxc.ephemeral = 1" "lxc.hook.destroy = /bin/touch $WORK/destroyed" "lxc.hook.version = 1" \
    "lxc.log.file = $WORK/log" "lxc.start.auto = 1" "lxc.console.buffer.size = 64kB"
like "lxc.start.auto" "$(pult info "$n" -o json)" '"autostart": true'
is "lxc.console.buffer.size" "$(stat -c %s "$PULT_RUN/$n/console")" $((65536 + 4096))
pult kill "$n"
ok "lxc.ephemeral" wait_for 5 test ! -e "$PULT_HOME/guests/$n"
ok "lxc.hook.destroy" test -e "$WORK/destroyed"
like "lxc.log.file" "$(cat "$WORK/log")" "runs: init is process.*ended: killed"
begin "$n" "lxc.log.file = $WORK/log2" "lxc.log.level = WARN" "lxc.kmsg = 1"
is "lxc.kmsg" "$(pult exec "$n" -- readlink /dev/kmsg)" console
end "$n"
is "lxc.log.level" "$(grep -v "no profile of AppArmor" "$WORK/log2")" ""

# ---- lxc.autodev = 0: a /dev that somebody else made ----
mkdir "$WORK/dev" && cp -a "$ROOT" "$WORK/dev/root" && dev=$WORK/dev/root/dev
mkdir "$dev/shm"; : >"$dev/null"; : >"$dev/console"; echo own >"$dev/other"; mknod "$dev/full" c 10 237 2>/dev/null
ln -s ../etc "$dev/pts.link"; ln -s /proc/sys/kernel/core_pattern "$dev/zero"
bare() { pult run --rootfs "$WORK/dev/root" --set lxc.autodev=0 "$@" </dev/null 2>&1; }
is "lxc.autodev = 0" "$(bare --set lxc.tty.max=1 -- /bin/sh -c 'cat /dev/other; ls /dev | paste -sd " "')" \
    "own"$'\n'"console $([ ! -e "$dev/full" ] || echo "full ")null other pts pts.link shm zero"
is "what works is the host's" "$(bare -- /bin/sh -c 'stat -c %t:%T /dev/null; stat -c %t /dev/console; stat -f -c %T /dev/shm')" \
    $'1:3\n88\ntmpfs'
is "no link is followed" "$(bare -- /bin/sh -c 'readlink /dev/zero; grep -c zero /proc/mounts')" $'/proc/sys/kernel/core_pattern\n0'
rm "$dev/console" && ln -s ../etc/passwd "$dev/console" && rm -r "$dev/shm" && ln -s ../etc "$dev/shm"
like "nor one to a directory" "$(bare -- /bin/sh -c 'grep " /etc" /proc/mounts; echo starts')" "not a directory|Too many|^starts"

# ---- seccomp: who answers, and filters on filters ----
printf '%s\n' 2 denylist "[all]" "mkdir notify" "mkdirat notify" "mknod notify" "mknodat notify" >"$WORK/asks"
conf "lxc.seccomp.profile = $WORK/asks" 'lxc.execute.cmd = /bin/sleep 1000'
pult create container "$n" --config "$WORK/c" --net none
refused "notify, and nobody to answer" "lxc.seccomp.notify.proxy" pult start "$n"
pult config set "$n" "lxc.seccomp.notify.proxy=unix:$WORK/proxied" lxc.seccomp.notify.cookie=biscuit
"$B/tests/engine/notifyd" "$WORK/proxied" >"$WORK/asked" &
proxy=$!
wait_for 20 grep -q ready "$WORK/asked"
pult start "$n"
asks() { pult exec "$n" -- /bin/mkdir "$1" 2>&1; }
like "lxc.seccomp.notify.proxy answers" "$(asks /tmp/not)" "not supported"
is "or lets it be" "$(asks /tmp/may; pult exec "$n" -- /bin/ls /tmp | grep may)" may
is "it is told who asks what, and the cookie" "$(tail -n 1 "$WORK/asked")" \
    "$(id_of "$n" keeper_pid) $(id_of "$n" pid) mkdir /tmp/may biscuit"
node() { pult exec "$n" -- /bin/mknod "/root/$1" c "$2" "$3" 2>&1; }
like "what the kernel refuses is refused by it" "$(node sda 8 0)" "not permitted"
is "what it makes is there, and success is what it says" \
    "$(node null 1 3; pult exec "$n" -- /bin/stat -c '%t:%T %u %F' /root/null)" "1:3 0 character special file"
kill $proxy
wait $proxy 2>/dev/null
like "without it there is no such call" "$(asks /tmp/more)" "not implemented"
keeper=$(id_of "$n" keeper_pid)
listeners() { find "/proc/$keeper/fd" -lname '*seccomp notify*' | wc -l; }
ok "commands that ended are listened to no more" wait_for 10 eval '[ "$(listeners)" = 1 ]'
# What comes of a command's filter may not come before the command is known of.
refusals() { for _ in {1..24}; do pult exec "$n" -- /bin/true </dev/null 2>&1 & done | grep -c refused; }
is "many commands at once" "$(refusals)" 0
ok "and its keeper is there for others" timeout 10 "$PULT" exec "$n" -- /bin/true
end "$n"
filtered='import ctypes, os, sys
libc = ctypes.CDLL(None)
code = (ctypes.c_uint64 * 1)(0x7fff000000000006) # BPF_RET, SECCOMP_RET_ALLOW
prog = (ctypes.c_uint64 * 2)(1, ctypes.addressof(code))
libc.prctl(38, 1, 0, 0, 0) # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
if libc.prctl(22, 2, ctypes.byref(prog)): sys.exit("no filter")
os.execv(sys.argv[1], sys.argv[1:])'
under() { timeout 60 python3 -c "$filtered" "$PULT" run --rootfs "$ROOT" --set "lxc.seccomp.profile=$WORK/policy" "$@" \
    -- /bin/mkdir /tmp/x 2>&1 </dev/null; echo $?; }
like "filters add to those that are there" "$(under)" "not supported"
is "lxc.seccomp.allow_nesting = 0 leaves the profile out there" "$(under --set lxc.seccomp.allow_nesting=0)" 0

# The files that a distribution has for its containers: each is taken whole, and obeyed; but for the
# profiles of AppArmor that some name, which LXC loads.
n=d-$test_id bad="" files=(/usr/share/lxc/config/*.conf)
for f in "${files[@]}"; do
    printf '%s\n' "lxc.include = $f" "lxc.apparmor.profile = unconfined" "lxc.rootfs.path = $ROOT" "lxc.uts.name = $n" "lxc.net.0.type = empty" >"$WORK/config"
    { pult create container "$n" -f "$WORK/config" -- /bin/true && pult start "$n" && pult wait -s stopped "$n" &&
        [ "$(id_of "$n" exit_status)" = 0 ]; } >/dev/null 2>&1 || bad+=" $f"
    pult destroy --force "$n" >/dev/null 2>&1
done
if [ -e "${files[0]}" ]; then
    is "the ${#files[@]} files of /usr/share/lxc/config" "$bad" ""
else
    skip "the files of /usr/share/lxc/config" "lxc is not installed"
fi
finish
