#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# How containers start, stop and end, and that nothing remains of them.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

last() { pult info "$1" -o json | sed -n '/last_run/,$s/^ *"'"$2"'": "*\([^",]*\)"*,*$/\1/p'; }

# ---- a command ----
n=a-$test_id
pult create container "$n" --rootfs "$ROOT" -- /bin/sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'
pult start "$n"
wait_for 5 sh -c "'$PULT' log '$n' | grep -q up"
ok "stop" pult stop --timeout 10 "$n"
is "a command gets SIGTERM" "$(last "$n" exit_status)" 5
is "and has stopped" "$(state_of "$n")" stopped
pult config set "$n" lxc.signal.halt SIGUSR1
pult config set "$n" lxc.execute.cmd "/bin/sh -c 'trap \"exit 6\" USR1; echo ready; while :; do sleep 0.05; done'"
pult start "$n"
wait_for 5 sh -c "'$PULT' log '$n' | grep -q ready"
pult stop --timeout 10 "$n"
is "lxc.signal.halt" "$(last "$n" exit_status)" 6
pult config set "$n" lxc.execute.cmd "/bin/sh -c 'trap \"\" USR1; echo deaf; while :; do sleep 0.05; done'"
pult start "$n"
wait_for 5 sh -c "'$PULT' log '$n' | grep -q deaf"
ok "one that does not listen" pult stop --timeout 1 "$n"
is "is killed" "$(last "$n" how)" killed
pult config set "$n" lxc.execute.cmd "/bin/sh -c 'exit 7'"
short=
for _ in 1 2 3 4 5; do
    pult start "$n" && pult wait "$n" -s 'stopped|crashed' -t 10 && short+="$(last "$n" exit_status) "
done
is "shortlived: one that is over at once starts again and again" "$short" "7 7 7 7 7 "
pult config set "$n" lxc.execute.cmd "/bin/sh -c 'kill -SEGV \$\$'"
pult start "$n" >/dev/null 2>&1
pult wait "$n" -s crashed -t 5
is "a signal of its own is a crash" "$(last "$n" how) $(last "$n" exit_status)" "signal 139"
like "and says so" "$(last "$n" reason)" "signal 11"
pult destroy "$n"
is "children of the command are ended and reaped with it" "$(inside /bin/sh -c '
    sleep 1000 & sleep 1000 & (sleep 0.01 &)
    for _ in $(seq 100); do set -- /proc/[0-9]*; [ $# -eq 4 ] && break; sleep 0.05; done
    echo $#')" 4

# ---- a system ----
n=s-$test_id
printf '::sysinit:/bin/echo booted\n::respawn:/bin/sleep 1000\n' >"$ROOT/etc/inittab"
pult create container "$n" --rootfs "$ROOT"
ok "a system starts" pult start "$n"
like "its init is process 1" "$(pult exec "$n" -- /bin/sh -c 'tr "\\0" " " </proc/1/cmdline')" '^(/sbin/)?init'
ok "stop" pult stop --timeout 20 "$n"
is "its init powers off" "$(last "$n" how)" exit
pult start "$n"
pult exec "$n" -- /bin/poweroff -f >/dev/null 2>&1
ok "poweroff" pult wait "$n" -s stopped -t 10
pult start "$n"
before=$(id_of "$n" pid)
pult exec "$n" -- /bin/reboot -f >/dev/null 2>&1
ok "reboot" wait_for 10 sh -c "p=\$('$PULT' info '$n' -o json | sed -n 's/^ *\"pid\": \([0-9]*\),/\1/p'); [ -n \"\$p\" ] && [ \$p != $before ]"
is "runs again" "$(state_of "$n")" running

# ---- violence ----
init=$(id_of "$n" pid)
group=$(cgroup_of "$init")
ok "it has a cgroup" test -d "$group"
kill -9 "$init"
ok "its init is killed" pult wait "$n" -s crashed -t 5
ok "its cgroup is gone" test ! -e "$group"
pult start "$n"
init=$(id_of "$n" pid) keeper=$(id_of "$n" keeper_pid)
group=$(cgroup_of "$init")
kill -9 "$keeper"
ok "its keeper is killed: it dies too" wait_for 5 gone "$init"
is "and is shown as crashed" "$(state_of "$n")" crashed
ok "its cgroup is gone" test ! -e "$group"
ok "it starts again" pult start "$n"
init=$(id_of "$n" pid) keeper=$(id_of "$n" keeper_pid)
pult freeze "$n"
kill -9 "$keeper"
is "a frozen one, too" "$(state_of "$n")" crashed
ok "dies" wait_for 5 gone "$init"
pult destroy "$n"

# ---- what cannot start ----
pult create container "$n" --rootfs "$ROOT" --set lxc.init.cmd=/sbin/nothing
refused "no init" "run '/sbin/nothing' in the container: No such file" pult start "$n"
pult destroy "$n"
mkdir "$WORK/empty"
pult create container "$n" --rootfs "$WORK/empty"
refused "an empty root" "run '/sbin/init' in the container: No such file" pult start "$n"
pult destroy "$n"
is "no cgroup is left" "$(left_cgroups "*-$test_id")" ""
finish
