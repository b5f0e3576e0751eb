#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# Containers of an ordinary user: no privilege, no range of ids, no cgroup.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root, to become an ordinary user"

uid=54321
chmod 711 "$WORK" "${TMPDIR:-/tmp}"
cp "$PULT" "$WORK/pult"
mkdir -p "$WORK/u" && chown $uid:$uid "$WORK/u"
cp -a "$ROOT" "$WORK/uroot" && chown -R $uid:$uid "$WORK/uroot"
as() { setpriv --reuid=$uid --regid=$uid --clear-groups env "$@"; }
u() { as HOME="$WORK/u" PULT_HOME="$WORK/u/home" PULT_RUN="$WORK/u/run" timeout 60 "$WORK/pult" "$@"; }
as unshare -U true 2>/dev/null || skip_all "users may make no user namespaces here"
n=u-$test_id

is "a command" "$(u run --rootfs "$WORK/uroot" -- /bin/sh -c 'id -u; hostname' </dev/null | head -n 1)" 0
is "its status" "$(status u run --rootfs "$WORK/uroot" -- /bin/sh -c 'exit 3')" 3
u run --rootfs "$WORK/uroot" -- /bin/sh -c 'echo x >/etc/new' </dev/null
ok "throws away what it writes" test ! -e "$WORK/uroot/etc/new"
is "a copy of this host" "$(u run -- /bin/sh -c 'cat /etc/os-release' </dev/null)" "$(cat /etc/os-release)"
is "can be written to" "$(u run -- /bin/sh -c "echo x >/etc/p-$test_id && cat /etc/p-$test_id" </dev/null)" x
ok "and the host sees nothing" test ! -e "/etc/p-$test_id"
is "homes are hidden" "$(u run -- /bin/sh -c 'ls -A /root /home' </dev/null)" $'/home:\n\n/root:'
like "secrets remain so" "$(u run -- /bin/sh -c 'cat /etc/shadow' </dev/null 2>&1)" "ermission denied"

# Files beside a mount. (The guard gives this test a mount namespace of its own.)
mkdir -p "$WORK/srv/sub" && echo mine >"$WORK/srv/file" && truncate -s 2M "$WORK/srv/large"
chown -R $uid:$uid "$WORK/srv"
if [ "$(stat -c %Hd "$WORK")" != 0 ] && mount --bind "$WORK/srv" /srv && at_exit "umount -l /srv" &&
    mount -t tmpfs tmpfs /srv/sub && at_exit "umount -l /srv/sub"; then
    is "a file beside a mount can be changed" \
        "$(u run -- /bin/sh -c 'cat /srv/file; echo x >/srv/file; cat /srv/file' </dev/null)" $'mine\nx'
    is "and the host's does not" "$(cat "$WORK/srv/file")" mine
    like "a large one cannot" "$(u run -- /bin/sh -c 'echo x >/srv/large' </dev/null 2>&1)" "ead-only"
    is "and is not" "$(stat -c %s "$WORK/srv/large")" $((2 << 20))
else
    skip "files beside a mount" "cannot bind to /srv from a disk"
fi

ok "a lasting one" u create container "$n" --rootfs "$WORK/uroot" -- /bin/sleep 1000
ok "starts" u start "$n"
is "exec" "$(u exec "$n" -- /bin/id -u </dev/null)" 0
u exec "$n" -- /bin/touch /root/made </dev/null
is "what it makes is the user's" "$(stat -c %u "$WORK/uroot/root/made")" $uid
like "init cannot be looked at" "$(u exec "$n" -- /bin/cat /proc/1/environ 2>&1 </dev/null)" "denied"
refused "it cannot be frozen" "needs a cgroup" u freeze "$n"
is "and runs on" "$(u info "$n" -o json | sed -n 's/.*"state": "\(.*\)",/\1/p')" running
ok "stop" u stop --timeout 5 "$n"
ok "destroy" u destroy "$n"
refused "a limit that cannot be" "not delegated|needs the cgroup controller" \
    u create container "$n" --rootfs "$WORK/uroot" --memory 64M
# ---- cgroups that were delegated to him, one for each of two sessions ----
tree=$(unified)/u-$test_id
from() { (echo $BASHPID >"$tree/$1/cgroup.procs" && u "${@:2}"); }
of() { from b info "$n" -o json | sed -n "s/^ *\"$1\": \"*\([^\",]*\)\"*,*$/\1/p" | head -n 1; }
if mkdir -p "$tree/a" "$tree/b" && chown -R $uid:$uid "$tree"; then
    at_exit "find '$tree' -depth -type d -exec rmdir {} +"
    u create container "$n" --rootfs "$WORK/uroot" -- /bin/sleep 1000
    ok "starts in one" from a start "$n"
    init=$(of pid)
    group=$(cgroup_of "$init")
    like "has a cgroup below it, or beside where it has controllers" "$group" "^$tree/(a/)?pult-"
    if pure_v2; then
        ok "is limited there" u limit "$n" memory=64M
        is "in its figures" "$(cat "$group/memory.max")" $((64 << 20))
    else
        skip "is limited there" "the groups of v1 are not a user's"
    fi
    ok "freezes" u freeze "$n"
    kill -9 "$(of keeper_pid)"
    is "its keeper is killed" "$(of state)" crashed
    ok "it is ended by who looks from the other" wait_for 5 gone "$init"
    ok "and its cgroup is gone" test ! -e "$group"
    u destroy "$n"
else
    skip "cgroups that were delegated" "cannot make any"
fi

# ---- clones by overlay ----
u create container "$n" --rootfs "$WORK/uroot" -- /bin/sleep 1000
ok "a whole clone" u clone "$n" "$n-base"
ok "a clone by overlay" u clone --overlay "$n-base" "$n-over"
ok "starts" u start "$n-over"
ok "is written to" u exec "$n-over" -- /bin/sh -c 'echo over >/etc/new; rm /etc/passwd; rm -r /root; mkdir /root' </dev/null
is "what it writes is the user's" "$(stat -c '%u %s' "$WORK/u/home/guests/$n-over/overlay/delta/etc/new")" "$uid 5"
is "and lies above the other" "$(cd "$WORK/u/home/guests/$n-base/rootfs" && ls -d etc/new etc/passwd root 2>/dev/null)" $'etc/passwd\nroot'
refused "the other is not started meanwhile" "lie on '$n-base' run: $n-over" u start "$n-base"
refused "nor destroyed" "lie on: $n-over" u destroy --force "$n-base"
ok "it is stopped" u stop --timeout 5 "$n-over"
ok "and starts again" u start "$n-over"
is "with what was written" "$(u exec "$n-over" -- /bin/sh -c 'cat /etc/new; ls -A /root; ls /etc/passwd' </dev/null 2>/dev/null)" over
ok "all are destroyed" u destroy --force "$n-over" "$n-base" "$n"

tar -cf "$WORK/root.tar" -C "$ROOT" .
ok "from an archive" u create container "$n" --rootfs "$WORK/root.tar"
ok "its system starts" u start "$n"
ok "and is killed" u kill "$n"
ok "and destroyed" u destroy "$n"
is "nothing is left" "$(left_in "$WORK/u/home/guests" "$WORK/u/run")" ""
finish
