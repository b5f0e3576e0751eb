#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A lasting guest runs once, also for callers who look for running guests in another place; and a
# place that is not pult's alone keeps what is in it.
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root for a container"
make_busybox_rootfs "$WORK/rootfs"
g=twice-$test_id
ok "create" "$PULT" create container "$g" --rootfs "$WORK/rootfs" -- /bin/sh -c 'while :; do sleep 100; done'
ok "start" "$PULT" start "$g"

other()
{
    PULT_RUN=$WORK/run2 "$PULT" "$@" 2>&1
}
like "a second start is refused, and told where it runs" "$(other start "$g")" \
    "'$g' is running already; its runtime directory is '$PULT_RUN'"
like "seen from elsewhere it runs" "$(other list)" "$g +ct|container +running"
like "it is not destroyed from elsewhere" "$(other destroy "$g")" "is running"
ok "it runs still" test "$(state_of "$g")" = running
ok "kill" "$PULT" kill "$g"
ok "it stops" "$PULT" wait "$g" -s stopped -t 10
like "now it starts elsewhere" "$(other start "$g" && other info "$g")" "running"
like "and is running for us" "$("$PULT" start "$g" 2>&1)" "running already; its runtime directory is '$WORK/run2'"
other kill "$g"
ok "it stops there" env PULT_RUN="$WORK/run2" "$PULT" wait "$g" -s stopped -t 10
ok "destroy" "$PULT" destroy "$g"

mkdir -m 700 "$WORK/mine" "$WORK/mine/Documents" "$WORK/mine/.config"
echo years >"$WORK/mine/Documents/thesis"
touch -d '1 hour ago' "$WORK/mine/.config" "$WORK/mine/Documents"
before=$(find "$WORK/mine" | sort)
PULT_RUN=$WORK/mine "$PULT" list >/dev/null
is "a directory of somebody's as PULT_RUN loses nothing" "$(find "$WORK/mine" | sort)" "$before"
finish
