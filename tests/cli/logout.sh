#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests outlive the login session that started them, also where logind kills all that is in it. What
# systemd does of it is done by hand: the groups of a session and of a user's manager, and the
# manager's answer to a request for a scope.
[ "$(id -u)" != 0 ] || [ -n "${LOGOUT_MOUNTS:-}" ] || LOGOUT_MOUNTS=1 exec unshare --mount "$0"
. "$(dirname "$0")/cli.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

cgroups=/sys/fs/cgroup
[ -e $cgroups/cgroup.controllers ] || cgroups=/sys/fs/cgroup/unified
tree=$cgroups/logout-$test_id # not pult-…: guards of other tests take away what is empty and named so
mkdir -p "$tree" 2>/dev/null && [ -e "$tree/cgroup.kill" ] || skip_all "no cgroup v2 with cgroup.kill here"
at_exit "find '$tree' -depth -type d -exec rmdir {} +"
make_public
mkdir -p "$public/systemd/system" "$public/linger" "$public/bin" "$public/u"
mount --bind "$public" /run || skip_all "cannot mount over /run"
[ -d /var/lib/systemd ] || mkdir -p /var/lib/systemd
mount -t tmpfs -o mode=755 tmpfs /var/lib/systemd && mkdir /var/lib/systemd/linger

# from GROUP CMD...: run it as from a shell in this group.
from() { (echo $BASHPID >"$1/cgroup.procs" && exec "${@:2}"); }
group_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
keeper_of() { sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p'; }
init_of() { sed -n 's/^ *"pid": *\([0-9]*\).*/\1/p'; }

# ---- root ----
session=$tree/user.slice/user-0.slice/session-1.scope
n=o-$test_id
mkdir -p "$session"
make_busybox_rootfs "$WORK/root"
pult create container "$n" --rootfs "$WORK/root" -- /bin/sleep 1000
ok "root: a start from a session" from "$session" "$PULT" start "$n"
keeper=$(pult info "$n" -o json | keeper_of) init=$(pult info "$n" -o json | init_of)
at_exit 'for d in "$cgroups" /sys/fs/cgroup/systemd; do rmdir "$d/pult/keepers" "$d/pult" 2>/dev/null; done'
is "root: its keeper left the session" "$(group_of "$keeper")" /pult/keepers
from "$session" sleep 1000 &
other=$!
ok "root: something else is in it" wait_for 5 grep -q . "$session/cgroup.procs"
echo 1 >"$session/cgroup.kill"
wait $other
is "root: the logout kills that" $? 137
is "root: and not the guest" "$(state_of "$n") $(group_of "$init" | grep -c session)" "running 0"
is "root: the doctor says so" "$(pult doctor | grep -c '^ok *host *logout *guests go on')" 1
ok "root: it ends" pult kill "$n"
pult destroy "$n"

# ---- a user ----
uid=65534
name=$(getent passwd $uid | cut -d: -f1)
[ -n "$name" ] || { skip "a user" "there is none with the id $uid"; finish; }
as() { setpriv --reuid=$uid --regid=$uid --clear-groups env PATH="$public/bin:$PATH" HOME=/ "$@"; }
as unshare -U true 2>/dev/null || { skip "a user" "users may make no user namespaces here"; finish; }
session=$tree/user.slice/user-$uid.slice/session-2.scope manager=$tree/user.slice/user-$uid.slice/user@$uid.service
mkdir -p "$session" "$manager"
chown -R $uid:$uid "$tree/user.slice/user-$uid.slice" "$public/u"
cp -a "$WORK/root" "$public/root" && chown -R $uid:$uid "$public/root"
u() { from "$session" setpriv --reuid=$uid --regid=$uid --clear-groups env PATH="$public/bin:$PATH" HOME=/ \
    PULT_HOME="$public/u/home" PULT_RUN="$public/u/run" timeout 60 "$public/pult" "$@"; }
cat >"$public/bin/busctl" <<EOF
#!/bin/sh
echo "\$@" >$public/u/asked
[ ! -e $public/u/refuse ] || exit 1
mkdir "$manager/\$9" && echo "\${15}" >"$manager/\$9/cgroup.procs"
EOF
chmod +x "$public/bin/busctl"
u create container "$n" --rootfs "$public/root" -- /bin/sleep 1000
ok "user: a start from a session" u start "$n"
keeper=$(u info "$n" -o json | keeper_of) init=$(u info "$n" -o json | init_of)
is "user: a scope was asked for" "$(cat "$public/u/asked")" "--user --quiet call org.freedesktop.systemd1 \
/org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit ssa(sv)a(sa(sv)) \
pult-$n-$keeper.scope fail 2 PIDs au 1 $keeper Delegate b true 0"
like "user: its keeper is in it" "$(group_of "$keeper")" "/user@$uid.service/pult-$n-$keeper.scope"
like "user: and so is the guest" "$(group_of "$init")" "/user@$uid.service/pult-$n-$keeper.scope/"
echo 1 >"$session/cgroup.kill"
is "user: the logout does not end it" "$(u info "$n" | sed -n 's/^state: *//p')" running
ok "user: delegated, it can be frozen" u freeze "$n"
ok "user: it ends" u kill "$n"
session=$tree/user.slice/user-$uid.slice/session-3.scope # one that was killed is over
mkdir "$session" && chown -R $uid:$uid "$session"
touch "$public/u/refuse"
ok "user: without a scope it starts all the same" u start "$n"
like "user: and the log says that it will not stay" "$(cat "$public/u/home/guests/$n/log")" "gave no scope to '$n'"
ok "user: it ends, too" u kill "$n"
like "user: the doctor says what lingering is for" "$(u doctor 2>&1)" \
    $'note +host +logout +your guests end when your last login session does\n +→ run: loginctl enable-linger'
touch "/var/lib/systemd/linger/$name"
like "user: and that it is on" "$(u doctor 2>&1)" 'ok +host +logout +guests go on when you log out \(lingering\)'
u destroy "$n"
none_left() { [ -z "$(find "$tree" -name cgroup.procs -exec cat {} + 2>/dev/null)" ]; }
ok "none of it is left" wait_for 5 none_left
finish
