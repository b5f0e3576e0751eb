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
finish
