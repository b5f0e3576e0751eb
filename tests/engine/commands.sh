#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What LXC's tools do and our command for it: each row of docs/lxc-commands.md, run on one container
# (and a second one that it becomes). Each row's first point begins with the tool's name.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
n=c-$test_id
rows=$(sed -n '/^| `lxc-/s/^| \([^|]*\)|.*/\1/p' "$TOP/docs/lxc-commands.md" | grep -o 'lxc-[a-z-]*' | sort -u)
if command -v lxc-ls >/dev/null; then
    is "each tool of LXC's has a row" "$(cd "$(dirname "$(command -v lxc-ls)")" && ls lxc-* | grep -vx "$rows")" ""
else
    skip "each tool of LXC's has a row" "lxc is not installed"
fi

# ---- before it runs ----
cat >"$WORK/config" <<EOF
lxc.utsname = $n
lxc.tty = 1
lxc.group = web
lxc.start.auto = 1
lxc.cgroup2.pids.max = 100
EOF
ok "lxc-create" pult create container "$n" --template busybox --config "$WORK/config" --net none
ok "lxc-update-config" pult config modernize "$n"
is "its keys are today's" "$(pult config get "$n" lxc.uts.name)" "$n"
is "lxc-config" "$(pult doctor -o json | grep -c "\"text\": \"$PULT_HOME ")" 1
like "lxc-checkconfig" "$(pult doctor)" "container +namespaces.*container +cgroup"
is "lxc-ls" "$(pult list --names)" "$n"
is "lxc-ls --stopped" "$(pult list --names --state stopped)" "$n"
is "lxc-ls -g" "$(pult list --names --group web)$(pult list --names --group db)" "$n"
pult monitor "$n" --count 2 >"$WORK/monitor" &
monitor=$!
watches() { ls -l "/proc/$(pgrep -f "^$PULT monitor $n" | tail -n 1)/fd" 2>/dev/null | grep -q inotify; }
wait_for 10 watches
ok "lxc-autostart" pult start --autostart
is "it runs" "$(state_of "$n")" running
up() { pult log "$n" | grep -q "$n login"; }
ok "to its login" wait_for 10 up
ok "lxc-autostart -s -g" pult stop --group web --timeout 20
is "it is down" "$(state_of "$n")" stopped
wait $monitor
like "lxc-monitor" "$(cat "$WORK/monitor")" "^$n (starting|running).*$n (running|stopping|stopped)$"
ok "lxc-start" pult start "$n"
ok "lxc-wait, LXC's states" pult wait "$n" --state 'ABORTING|THAWED' --timeout 10
ok "lxc-wait" pult wait "$n" --state 'RUNNING|STOPPED' --timeout 10

# ---- while it runs ----
pid=$(id_of "$n" pid)
ok "lxc-info" test -d "/proc/$pid"
is "lxc-info -c" "$(pult config get "$n" lxc.tty.max)" 1
is "lxc-attach" "$(pult exec "$n" --user 33 --cwd /tmp --env A=b -- /bin/sh -c 'id -u; pwd; echo $A; hostname' | paste -sd ' ')" \
    "33 /tmp b $n"
ok "lxc-cgroup" pult limit "$n" pids=60
pure_v2 && pids=$(cgroup_of "$pid")/pids.max || pids=/sys/fs/cgroup/pids$(sed -n 's/.*:pids://p' "/proc/$pid/cgroup")/pids.max
is "to the kernel" "$(cat "$pids")" 60
like "lxc-cgroup, what is set" "$(pult limit "$n")" "pids +60"
mkfifo "$WORK/keys" && exec 8<>"$WORK/keys"
pult console "$n" --port tty1 <"$WORK/keys" >"$WORK/tty1" 2>&1 8>&- &
console=$!
ok "lxc-console -t 1" wait_for 10 grep -q "$n login" "$WORK/tty1"
kill $console
exec 8>&-
wait $console 2>/dev/null
ok "lxc-console" wait_for 10 up
ok "lxc-device" pult device add "$n" /dev/null /dev/nothing
is "it is there" "$(pult exec "$n" -- /bin/stat -c %t:%T /dev/nothing)" 1:3
ok "lxc-device del" pult device remove "$n" /dev/nothing
is "it is gone" "$(status pult exec "$n" -- test -e /dev/nothing)" 1
like "lxc-top" "$(pult stat --count 1 "$n")" '"state": *"running"'
ok "lxc-freeze" pult freeze "$n"
ok "it is frozen" pult wait "$n" --state FROZEN --timeout 5
ok "lxc-unfreeze" pult unfreeze "$n"
is "it is thawed" "$(state_of "$n")" running
pult exec "$n" -- /bin/sh -c 'echo first >/etc/state'
ok "lxc-snapshot -c" pult snapshot create "$n" snap0 --comment why
like "lxc-snapshot -L -C" "$(pult snapshot list "$n")" "snap0 .* why"
pult exec "$n" -- /bin/sh -c 'echo second >/etc/state'
ok "lxc-stop -r" pult reboot "$n"
again() { local now; now=$(id_of "$n" pid); [ -n "$now" ] && [ "$now" != "$pid" ] && [ "$(state_of "$n")" = running ]; }
ok "it is another life" wait_for 10 again
ok "lxc-stop" pult stop "$n" --timeout 20
is "it is down" "$(state_of "$n")" stopped

# ---- afterwards ----
ok "lxc-snapshot -r" pult snapshot restore "$n" snap0
is "its files are back" "$(cat "$PULT_HOME/guests/$n/rootfs/etc/state")" first
ok "lxc-snapshot -d" pult snapshot delete "$n" snap0
ok "lxc-copy" pult clone "$n" "$n-2"
is "with its files" "$(cat "$PULT_HOME/guests/$n-2/rootfs/etc/state")" first
ok "lxc-copy -R" pult rename "$n-2" "$n-3"
pult start "$n-3"
ok "lxc-stop -k" pult kill "$n-3"
is "at once" "$(state_of "$n-3")" stopped
is "lxc-copy -e" "$(pult run --rootfs "$PULT_HOME/guests/$n/rootfs" -- /bin/sh -c 'cat /etc/state; rm /etc/state' </dev/null)" first
is "lxc-copy -e, of its definition" "$(pult run -f "$PULT_HOME/guests/$n/config" --rootfs "$PULT_HOME/guests/$n/rootfs" -- /bin/hostname </dev/null)" "$n"
is "nothing of it stays" "$(cat "$PULT_HOME/guests/$n/rootfs/etc/state")" first
pult create container "$n-t" --rootfs "$ROOT" -- /bin/sleep 1000 && pult start "$n-t"
refused "lxc-console -t 1 where there is none" "no terminal 'tty1', only its console; lxc.tty.max" \
    pult console "$n-t" --port tty1
pult destroy --force "$n-t"
printf '%s\n' "lxc.rootfs.path = $ROOT" "lxc.execute.cmd = /bin/sh -c 'exit 4'" >"$WORK/execute"
is "lxc-execute, by lxc.execute.cmd" "$(status pult run -f "$WORK/execute")" 4
is "lxc-execute" "$(status pult run --rootfs "$ROOT" -- /bin/sh -c 'exit 3')" 3
is "lxc-unshare" "$(pult run --set lxc.uts.name=other -- /bin/sh -c 'hostname; [ $$ -lt 10 ] && echo own' </dev/null | paste -sd ' ')" \
    "other own"
if can_idmap; then
    like "lxc-usernsexec" "$(inside cat /proc/self/uid_map)" "^ +0 +[1-9][0-9]+ +[0-9]+$"
    is "lxc-usernsexec -m" "$(pult run --rootfs "$ROOT" --set 'lxc.idmap=u 0 500000 1000' --set 'lxc.idmap=g 0 500000 1000' -- \
        cat /proc/self/uid_map </dev/null | tr -s ' ')" " 0 500000 1000"
else
    skip "lxc-usernsexec" "no mounts with other ids here"
fi
ok "lxc-destroy" pult destroy "$n" "$n-3"
is "nothing is left" "$(ls -A "$PULT_HOME/guests")" ""
is "no cgroup is left" "$(left_cgroups "*-$test_id*")" ""
finish
