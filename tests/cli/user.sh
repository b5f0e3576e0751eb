#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command line as an ordinary user: no root, no group, no range of subordinate ids.
. "$(dirname "$0")/cli.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root, to become somebody else"
command -v setpriv >/dev/null || skip_all "no setpriv"
uid=64999
make_public
me=$public/me
mkdir "$me"
chown $uid:$uid "$me"
as_user()
{
    timeout 60 setpriv --reuid $uid --regid $uid --clear-groups --inh-caps=-all \
        env -u XDG_RUNTIME_DIR -u XDG_DATA_HOME HOME="$me" PULT_HOME="$me/home" \
        PULT_RUN="$me/run" "$@"
}
user() { as_user "$public/pult" "$@"; }
PULT_HOME=$me/home PULT_RUN=$me/run
as_user unshare -Ur true 2>/dev/null || skip_all "no user namespaces for users here"
make_busybox_rootfs "$public/root"
chown -R $uid "$public/root"
tar -cf "$public/root.tar" -C "$public/root" .
n=user-$test_id

is "a copy of this machine" "$(user run -- id -u </dev/null)" 0
is "which forgets" "$(user run -- sh -c "echo x >/tmp/$n && cat /tmp/$n" </dev/null)" x
ok "… and the host did not see it" test ! -e "/tmp/$n"
is "a directory" "$(user run --rootfs "$public/root" -- /bin/echo hi </dev/null)" hi
is "an archive" "$(user run --rootfs "$public/root.tar" -- /bin/echo hi </dev/null)" hi
user run --rootfs "$public/root" -- /bin/sh -c 'exit 5' </dev/null
is "exit status" $? 5
ok "create" user create container "$n" --rootfs "$public/root" -- /bin/sleep 1000
ok "start" user start "$n"
is "exec" "$(user exec "$n" -- /bin/hostname </dev/null)" "$n"
like "list" "$(user list)" "$n +container +running"
refuses "another user does not" 1 "Permission denied" \
    setpriv --reuid 64998 --regid 64998 --clear-groups "$public/pult" list
ok "stop" user stop -t 1 "$n"
is "stopped" "$(user list --names -s stopped)" "$n"
ok "destroy" user destroy "$n"
ok "doctor has something to say" test "$(user doctor | grep -c '^note')" -gt 0
is "nothing is left" "$(left_in "$me/home/guests" "$me/run")" ""
finish
