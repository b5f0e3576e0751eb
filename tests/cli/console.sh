#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Being at a console, on a real terminal: keys, the prefix, size, history, several at once, and
# the terminal as it was afterwards.
. "$(dirname "$0")/cli.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v python3 >/dev/null || skip_all "no python3 to hold a terminal"

make_busybox_rootfs "$WORK/root"
n=con-$test_id
run=("$PULT" run --name "$n" --rootfs "$WORK/root" --set 'lxc.environment=PS1=pult>' -- /bin/sh -i)
down() { wait_for 10 sh -c "! '$PULT' info $n"; }

out=$(pty 'expect=pult>' 'send=echo $((40+2))\r' 'expect=42' 'send=exit 5\r' -- "${run[@]}")
like "run: at a shell, its status passed on" "$out" 'exit 5'
like "run: the terminal is as before" "$out" 'modes cooked'
like "run: says how to leave" "$out" 'Ctrl-\] d leaves'
ok "run: gone afterwards" down

out=$(pty 'expect=pult>' 'send=stty size\r' 'expect=24 80' 'size=100x30' \
    'send=sleep 0.2; stty size\r' 'expect=30 100' 'send=exit\r' -- "${run[@]}")
like "the guest's terminal has our size, and follows it" "$out" 'exit 0'

out=$(pty 'expect=pult>' 'send=(trap "echo caught; exit" INT; echo set; read x)\r' 'expect=\nset' \
    'send=\x03' 'expect=caught' 'send=exit 6\r' -- "${run[@]}")
like "Ctrl-C is the guest's" "$out" 'exit 6'

out=$(pty 'expect=pult>' 'send=printf "\\\\033[?1049h\\\\033[?1000;1006h\\\\033[?25l"; exit\r' -- "${run[@]}")
like "what the guest switched is undone" "$out" '\[0m.*\[\?25h.*\[\?1049l.*\[\?1000l.*\[\?1006l'

out=$(pty 'expect=pult>' 'send=stty -icanon -echo min 1; od -An -tx1 -N2; stty sane\r' 'send=\x1d]' \
    'send=\x1d?' 'expect=leave' 'send=x' 'expect=1d 78' 'send=exit\r' -- "${run[@]}")
like "Ctrl-] ] sends Ctrl-], Ctrl-] ? tells" "$out" 'exit 0'

out=$(pty 'expect=pult>' 'send=echo before\r' 'expect=\nbefore' 'send=\x1dd' -- "${run[@]}")
like "Ctrl-] d leaves" "$out" "left '$n'.*exit 0"
is "and the guest goes on" "$(state_of "$n")" running
like "which log shows" "$(pult log "$n")" before
out=$(pty 'expect=before' 'send=echo a$((1+1))b\r' 'expect=a2b' 'send=\x1d\x1d' -- "$PULT" console "$n")
like "console: history first, then the guest; Ctrl-] Ctrl-] leaves" "$out" "left '$n'.*exit 0"
out=$(pty 'send=echo r$((2+2))o\r' 'send=\x1dd' -- "$PULT" console -r "$n")
like "console --read-only" "$out" 'exit 0'
ok "console --read-only sends nothing" test "$(pult log "$n" | grep -c r4o)" = 0
like "console without history" "$(pty 'send=\x1dd' -- "$PULT" console -H 0 "$n")" 'exit 0'
out=$(pty 'expect=before' signal=TERM -- "$PULT" console "$n")
like "console: SIGTERM leaves, the terminal as before" "$out" 'exit 143.modes cooked'
is "console: a lost terminal does nothing to the guest" \
    "$(pty 'expect=before' hangup -- "$PULT" console "$n" >/dev/null; state_of "$n")" running
is "console without a terminal copies" \
    "$(echo 'echo c$((3+3))d; exit' | timeout 20 "$PULT" console -H 0 "$n" | tr -d '\r' | grep -c '^c6d$')" 1
ok "until the guest ends" down

out=$(pty 'expect=pult>' 'send=\x1dX' -- "${run[@]}")
like "Ctrl-] X kills" "$out" 'exit 137'
ok "… it" down
pty 'expect=pult>' hangup -- "${run[@]}" >/dev/null
is "run: losing the terminal does nothing to the guest" "$(state_of "$n")" running
pult kill "$n"

pult create container "$n" --rootfs "$WORK/root" -- /bin/sh -c 'echo first; read x; echo "got $x"; exit 4'
out=$(pty 'expect=first' 'send=hello\r' 'expect=got hello' -- "$PULT" start --attach "$n")
like "start --attach, from the first byte" "$out" "has ended.*exit 0"
ok "the end" pult wait "$n" -s stopped -t 10
pult destroy "$n"

# ---- exec ----
pult create container "$n" --rootfs "$WORK/root" -- /bin/sleep 1000
pult start "$n"
is "exec: output" "$(pult exec "$n" -- /bin/echo hi 2>&1)" hi
is "exec: input" "$(echo there | pult exec "$n" -- /bin/cat)" there
is "exec: standard error apart" "$(pult exec "$n" -- /bin/sh -c 'echo e >&2' 2>/dev/null)" ""
pult exec "$n" -- /bin/sh -c 'exit 9'
is "exec: status" $? 9
is "exec: environment" "$(pult exec "$n" -e A='1 2' -- /bin/sh -c 'echo "$A"')" "1 2"
is "exec: directory" "$(pult exec "$n" -w /etc -- /bin/pwd)" /etc
is "exec: user" "$(pult exec "$n" -u 7:8 -- /bin/id -u)" 7
head -c 1000000 /dev/urandom >"$WORK/noise"
is "exec: bytes as they are" \
    "$(pult exec "$n" -- /bin/cat <"$WORK/noise" | cmp - "$WORK/noise" && echo same)" same
refuses "exec: no such command" 127 "nothing" "$PULT" exec "$n" -- /bin/nothing
out=$(pty 'expect=[#$>] ' 'send=stty size\r' 'expect=24 80' 'size=90x20' \
    'send=sleep 0.2; stty size\r' 'expect=20 90' 'send=exit 8\r' -- "$PULT" exec "$n" -- /bin/sh -i)
like "exec: own terminal, its size, status" "$out" 'exit 8.modes cooked'
"$PULT" exec "$n" -- /bin/sleep 999 &
pid=$!
wait_for 10 sh -c "'$PULT' exec $n -- /bin/ps | grep -q 'sleep 999'"
kill -TERM $pid
wait $pid
is "exec: SIGTERM is passed on" $? 143
"$PULT" exec "$n" -- /bin/sleep 999 2>"$WORK/err" &
pid=$!
wait_for 10 sh -c "'$PULT' exec $n -- /bin/ps | grep -q 'sleep 999'"
pult kill "$n"
wait $pid
like "exec: the guest ends" "$? $(cat "$WORK/err")" '^(137|1 .*ended)'
pult destroy "$n"
is "nothing is left" "$(left_in "$PULT_HOME/guests" "$PULT_RUN")" ""
finish
