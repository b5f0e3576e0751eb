#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 2000 s (a minute here; in the lab everything takes its time)
#
# Debians with other inits than systemd: to a login, and down in order. debootstrap takes its time, so this
# runs where build/cache/templates has them, not in CI; for those that are missing:
#     PULT_CACHE=build/cache build/pult create container d --net none --template debian,packages=sysvinit-core
. "$(dirname "$0")/engine.bash"

[ "$(id -u)" = 0 ] || skip_all "templates of root's containers need root"
[ -z "${CI:-}" ] || skip_all "runs when asked for: make check T=engine/inits"
slow=1 # how much longer all may take
[ -z "${PULT_IN_LAB:-}" ] || slow=5
pult() { timeout $((120 * slow)) "$PULT" "$@"; }
mkdir -p "$WORK/cache" && ln -s "$TOP/build/cache/templates" "$WORK/cache/templates"
export PULT_CACHE=$WORK/cache

# life NAME PACKAGES: no mirror can be reached from here, so what is not in the cache fails at once.
life()
{
    local n=$1 why
    why=$(pult create container "$n" --template "debian,packages=$2" 2>&1) || {
        skip "$n" "not in build/cache/templates: ${why##*: }"
        return
    }
    login() { pult log "$n" | grep -q "$n login:"; }
    ok "$n: starts" pult start "$n"
    ok "$n: a login on the console" wait_for $((120 * slow)) login
    ok "$n: shuts down" pult stop --timeout $((60 * slow)) "$n"
    like "$n: in order" "$(pult log "$n" | tail -n 4)" "Will now halt|halt|Power"
    is "$n: is down" "$(state_of "$n") $(id_of "$n" exit_status)" "stopped 0"
}

life sysvinit sysvinit-core
life openrc sysvinit-core+openrc
finish
