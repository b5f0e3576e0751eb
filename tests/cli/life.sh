#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A container's life from the command line: every verb that changes its state, what is shown of
# it meanwhile, and what is refused in which state.
. "$(dirname "$0")/cli.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

make_busybox_rootfs "$WORK/root"
n=life-$test_id
cat >"$WORK/root/bin/app" <<'EOF'
#!/bin/sh
trap 'echo going; exit 3' TERM
echo "up as $(hostname)"
printf '\033[31mred\033[0m\r\n'
while :; do sleep 1 & wait $!; done
EOF
chmod +x "$WORK/root/bin/app"
json() { pult "$@" -o json; }
field() { json info "$1" | sed -n "s/^  \"$2\": \(.*[^,]\),\{0,1\}$/\1/p"; }

ok "create" pult create container "$n" --rootfs "$WORK/root" --memory 64M -- /bin/app
is "stopped at first" "$(state_of "$n")" stopped
is "no exit status yet" "$(field "$n" exit_status)" null
for verb in stop kill freeze unfreeze console; do
    refuses "$verb when stopped" 1 "'$n' is stopped; .pult start $n. starts it" "$PULT" $verb "$n"
done
refuses "exec when stopped" 1 "is stopped" "$PULT" exec "$n" -- true
ok "wait for what is" pult wait "$n" -s stopped
refuses "wait in vain" 1 "'$n' is not running after 0.1 s" "$PULT" wait "$n" -s running -t 0.1
is "no log yet" "$(pult log "$n")" ""

ok "start" pult start "$n"
is "running" "$(state_of "$n")" running
refuses "start again" 1 "'$n'.*running" "$PULT" start "$n"
refuses "destroy when running" 1 "running" "$PULT" destroy "$n"
refuses "unfreeze when running" 1 "running" "$PULT" unfreeze "$n"
wait_for 10 sh -c "'$PULT' log $n | grep -q red"
is "log" "$(pult log "$n" | head -n 1)" "up as $n"
is "log without colours" "$(pult log "$n" | tail -n 1)" "red"
ok "log --raw with them" grep -q $'\033\[31mred' <(pult log --raw "$n")
is "log -n" "$(pult log "$n" -n 1)" "red"
is "log -n 0" "$(pult log "$n" -n 0)" ""
is "log --follow goes on until its reader has enough" "$(pult log --follow "$n" | head -n 1)" "up as $n"
pid=$(field "$n" pid)
ok "its pid is a process" test -d "/proc/$pid"
refuses "a container has no balloon" 1 "a container has no balloon" "$PULT" balloon "$n" 32M
refuses "no size at all" 2 "'0'" "$PULT" balloon "$n" 0
is "its limit" "$(field "$n" memory_limit_bytes)" 67108864
ok "uses memory" test "$(field "$n" memory_bytes)" -gt 0
is "the list's names" "$(pult list --names)" "$n"
is "… of a state" "$(pult list --names -s frozen)" ""
like "the list" "$(pult list)" "$n +container +running +$pid"
ok "the list as JSON has what scripts rely on" python3 -c '
import json, sys
g, = json.load(sys.stdin)
assert g["name"] == sys.argv[1] and g["type"] == "container" and g["state"] == "running", g
assert type(g["pid"]) is int and type(g["cpu_percent"]) is float, g
assert type(g["memory_bytes"]) is int and type(g["memory_limit_bytes"]) is int, g
assert type(g["uptime_seconds"]) is int and type(g["addresses"]) is list, g
assert g["exit_status"] is None, g' "$n" < <(json list)
ok "stat is one object a tick" python3 -c '
import json, sys
ticks = [json.loads(line) for line in sys.stdin]
assert len(ticks) == 3 and all(t["guests"][0]["name"] == sys.argv[1] for t in ticks), ticks
assert ticks[0]["time"] < ticks[2]["time"] and ticks[0]["host"]["cores"] > 0, ticks' \
    "$n" < <(pult stat "$n" -c 3 -i 0.1)
is "stat ends with its reader" "$(pult stat -i 0.05 | head -n 2 | wc -l)" 2

ok "freeze" pult freeze "$n"
is "frozen" "$(state_of "$n")" frozen
refuses "freeze again" 1 "'$n' is frozen" "$PULT" freeze "$n"
refuses "exec when frozen" 1 "'$n' is frozen" "$PULT" exec "$n" -- true
is "frozen: no CPU" "$(field "$n" cpu_percent)" 0.0
ok "unfreeze, by its other name" pult thaw "$n"
is "running again" "$(state_of "$n")" running
like "a change while it runs" "$(pult config set "$n" guest.memory=65M 2>&1)" "takes effect"

(timeout 20 "$PULT" wait "$n" -s STOPPED && echo down >"$WORK/waited") &
waiter=$!
ok "stop" pult stop "$n"
is "stopped" "$(state_of "$n")" stopped
wait $waiter
ok "wait -s STOPPED has seen it" test -s "$WORK/waited"
is "how it ended" "$(field "$n" exit_status)" 3
like "the log of the last run" "$(pult log "$n")" "going"
like "info has the last run" "$(pult info "$n")" 'last_run.exit_status: +3'

# ---- one that does not listen ----
pult config set "$n" lxc.execute.cmd="/bin/sh -c 'trap : TERM; echo deaf; while :; do sleep 1; done'"
ok "start of a deaf one" pult start "$n"
wait_for 10 sh -c "'$PULT' log $n | grep -q deaf"
ok "stop --no-wait returns" pult stop --no-wait -t 60 "$n"
is "stopping" "$(state_of "$n")" stopping
ok "kill" pult kill "$n"
is "killed is stopped" "$(state_of "$n")" stopped
pult start "$n"
ok "stop with a time kills it" pult stop -t 0 "$n"
is "and it is down" "$(state_of "$n")" stopped

# ---- one that fails ----
pult config set "$n" lxc.execute.cmd=/bin/nothing
refuses "start of a command that is not there" 1 "/bin/nothing" "$PULT" start "$n"
pult config set "$n" lxc.execute.cmd="/bin/sh -c 'kill -SEGV \$\$'"
pult start "$n"
ok "a crash is seen" pult wait "$n" -s crashed -t 10
is "as such" "$(state_of "$n") $(field "$n" exit_status)" "crashed 139"

# ---- several, and autostart ----
pult config set "$n" lxc.execute.cmd="/bin/sleep 1000"
for i in 1 2; do
    pult create container "$n-$i" --rootfs "$WORK/root" --set guest.autostart=$((i - 1)) -- /bin/sleep 1000
done
ok "start --autostart" pult start --autostart
is "starts who wants it" "$(pult list --names -s running)" "$n-2"
ok "and again nothing" pult start --autostart
out=$(pult start "$n" nobody "$n-1" 2>&1)
is "start of three, of which one is not there" $? 1
like "says which" "$out" "there is no guest 'nobody'"
is "and starts the others" "$(pult list --names -s running | wc -l)" 3
ok "stop of all" pult stop -t 5 "$n" "$n-1" "$n-2"
pult start "$n-1"
ok "destroy --force" pult destroy --force "$n-1"
ok "destroy of several" pult rm "$n" "$n-2"
is "all gone" "$(pult list --names)" ""
is "nothing is left in the store" "$(left_in "$PULT_HOME/guests" "$PULT_RUN")" ""
ok "the root that was given stays" test -x "$WORK/root/bin/busybox"
finish
