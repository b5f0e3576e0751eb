#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# Profiles of AppArmor: which one a container has, and that the kernel obeys it.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] || skip_all "no AppArmor here; the lab has it"
PATH=$PATH:$TOP/$B/cache/apparmor/sbin
command -v apparmor_parser >/dev/null || skip_all "no apparmor_parser"
if ! mountpoint -q /sys/kernel/security; then
    mount -t securityfs securityfs /sys/kernel/security && at_exit "umount /sys/kernel/security"
fi

n=a-$test_id
# Where the file system is not mounted by which profiles are loaded.
blind() { unshare --mount sh -c 'umount -l /sys/kernel/security; exec "$@"' sh "$@" </dev/null; }
loaded() { sed -n "s/^\($1\) .*/\1/p" /sys/kernel/security/apparmor/profiles; }
# What a profile keeps a container from, and nothing else does.
mounts() { pult exec "$n" -- /bin/sh -c 'mkdir -p /mnt; mount -t proc proc /mnt 2>&1 && echo mounted && umount /mnt'; }
profile_of() { pult exec "$n" -- /bin/cat "/proc/$1/attr/current" 2>&1; }
printf '::sysinit:/bin/echo booted\n::respawn:/bin/sleep 1000\n' >"$ROOT/etc/inittab"
echo public >"$ROOT/etc/public" && echo secret >"$ROOT/etc/secret"

is "a command" "$(inside /bin/cat /proc/self/attr/current)" "pult-command-1 (enforce)"
is "it is loaded, and stays" "$(loaded pult-command-1)" pult-command-1
is "lxc.apparmor.profile = unconfined" \
    "$(pult run --rootfs "$ROOT" --set lxc.apparmor.profile=unconfined -- /bin/cat /proc/self/attr/current </dev/null)" unconfined
mkdir "$WORK/bin" && printf '#!/bin/sh\n: >%s\nexit 1\n' "$WORK/ran" >"$WORK/bin/apparmor_parser" && chmod 755 "$WORK/bin/apparmor_parser"
is "where profiles are not to be seen it has none" \
    "$(PATH=$WORK/bin:$PATH blind "$PULT" run --rootfs "$ROOT" -- /bin/cat /proc/self/attr/current)" unconfined
ok "… and no time is lost by trying" test ! -e "$WORK/ran"
like "… which doctor says" "$(blind "$PULT" doctor)" "apparmor *it is on, but its profiles are not to be seen.*mount -t securityfs"
refused "a profile that is not there" "apparmor" \
    pult run --rootfs "$ROOT" --set lxc.apparmor.profile=nobody-made-it -- /bin/true

pult create container "$n" --rootfs "$ROOT" --net none
ok "a system starts" pult start "$n"
is "its init" "$(profile_of 1)" "pult-system-1 (enforce)"
is "what is run in it" "$(profile_of self)" "pult-system-1 (enforce)"
can=$(mounts)
pult kill "$n"
pult config set "$n" lxc.apparmor.allow_nesting=0
pult start "$n"
is "allow_nesting = 0" "$(profile_of 1)" "pult-flat-1 (enforce)"
if [ "$can" = mounted ]; then
    like "… and mounts no proc, which it could" "$(mounts)" "denied"
else
    skip "… and mounts no proc, which it could" "it could not either: $can"
fi
pult kill "$n"
pult config unset "$n" lxc.apparmor.allow_nesting
pult config set "$n" 'lxc.apparmor.raw=deny /etc/secret rwklx,'
pult start "$n"
is "lxc.apparmor.raw: its own" "$(profile_of 1)" "pult:$n (enforce)"
is "… with these lines" "$(pult exec "$n" -- /bin/cat /etc/public /etc/secret 2>&1)" \
    $'public\ncat: can\'t open \'/etc/secret\': Permission denied'
pult kill "$n"
is "… which goes with it" "$(loaded "pult:$n")" ""
pult config set "$n" 'lxc.apparmor.raw=this is no line'
refused "lines that are none: it does not start without" "lxc.apparmor.profile" pult start "$n"
pult destroy "$n"
finish
