#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many containers at once: which are started, in which order, and stopped in the reverse one.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
a=a-$test_id b=b-$test_id c=c-$test_id
started() { pult info "$1" -o json | sed -n 's/^ *"pid": \([0-9]*\),*$/\1/p' | head -n 1 | xargs -I{} awk '{print $22}' /proc/{}/stat; }
state_all() { for g in $a $b $c; do printf '%s ' "$(state_of "$g")"; done; }

pult create container "$a" --rootfs "$ROOT" --autostart --set guest.start.order=5 --set guest.group=web -- /bin/sleep 1000
pult create container "$b" --rootfs "$ROOT" --set lxc.start.auto=1 --set lxc.start.order=-1 \
    --set lxc.start.delay=1 --set lxc.group=web --set lxc.group=db -- /bin/sleep 1000
pult create container "$c" --rootfs "$ROOT" -- /bin/sleep 1000
ok "with the host" pult start --autostart
is "those that want to" "$(state_all)" "running running stopped "
ok "in their order, with a delay" test $(($(started "$a") - $(started "$b"))) -ge 100
pult stop --all --timeout 0
is "all stop" "$(state_all)" "stopped stopped stopped "
pult start --group db
is "a group" "$(state_all)" "stopped running stopped "
pult stop --all --timeout 0
pult start --group "nobody,web"
is "one of several groups" "$(state_all)" "running running stopped "
pult stop --all --timeout 0
pult start --group "db,"
is "a group, and those that are in none" "$(state_all)" "stopped running running "
pult start --all
is "all" "$(state_all)" "running running running "
pult stop --group web --group db --timeout 0
is "those that are in both groups" "$(state_all)" "running stopped running "
pult start "$b"
pult stop --group web --timeout 0
is "stopped" "$(state_all)" "stopped stopped running "
ok "the last to start was the first to stop" \
    test "$(stat -c %.9Y "$PULT_HOME/guests/$a/last")" \< "$(stat -c %.9Y "$PULT_HOME/guests/$b/last")"
refused "a name beside" "go with neither" pult start --all "$a"
refused "nobody" "missing argument" pult stop
told=$WORK/told
for i in 1 2 3 4 5 6 7 8; do
    (pult wait "$b" -s running -t 60 && echo up >>"$told" && pult wait "$b" -s stopped -t 60 && echo down >>"$told") &
    waiters+=($!)
done
pult start "$b"
wait_for 60 sh -c "[ \"\$(grep -c up '$told')\" = 8 ]"
pult stop "$b" --timeout 0
wait "${waiters[@]}"
is "state_server: all who wait are told" "$(grep -c up "$told") $(grep -c down "$told")" "8 8"
pult start "$b" & one=$!
pult start "$b" & two=$!
wait $one; first=$?
wait $two; second=$?
is "locktests, concurrent: of two who start it, one does" $((first + second)) 1
pult kill "$b"
pult kill "$c"
pult destroy "$a" "$b" "$c"
finish
