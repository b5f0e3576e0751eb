#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# Commands in a running container.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

n=x-$test_id
echo 'joe:x:1000:1001:Joe:/home/joe:/bin/sh' >>"$ROOT/etc/passwd"
printf 'joe:x:1001:\nwheel:x:10:joe\n' >>"$ROOT/etc/group"
mkdir -p "$ROOT/home/joe"
echo data >"$ROOT/etc/data"
pult create container "$n" --rootfs "$ROOT" -- /bin/sleep 1000
ok "start" pult start "$n"
x() { pult exec "$n" -- "$@" </dev/null; }

is "output" "$(x /bin/echo one)" one
is "status" "$(status x /bin/sh -c 'exit 9')" 9
is "a signal" "$(status x /bin/sh -c 'kill -9 $$')" 137
is "no such command" "$(status x /bin/nothing)" 127
is "not a command" "$(status x /etc/data)" 126
is "input" "$(echo in | pult exec "$n" -- /bin/cat)" in
is "standard error is apart" "$(x /bin/sh -c 'echo out; echo err >&2' 2>/dev/null)" out
is "found by PATH" "$(x echo path)" path

# A terminal of the caller's is never the container's: it could be read from there.
typed() { "$(dirname "$0")/../cli/pty" "$@" 2>&1 | tr -d '\r'; }
cat >"$WORK/ends" <<'EOF'
for i in 0 1 2; do readlink /proc/self/fd/$i | sed "s/:.*//; s/^/$i /"; done
EOF
export n PULT
like "no terminal: standard error alone is one" "$(typed -- bash -c '"$PULT" exec "$n" -- sh -c "$1" </dev/null | cat' - "$(cat "$WORK/ends")")" \
    "0 /dev/null
1 pipe
2 pipe"
like "no terminal: all three are" "$(typed -- "$PULT" exec -T "$n" -- sh -c "$(cat "$WORK/ends")")" "0 pipe
1 pipe
2 pipe"
like "no terminal: what is typed comes, and its end" "$(typed 'send=one\r' 'expect=got one' 'send=two\r\x04' 'expect=end' -- \
    bash -c '"$PULT" exec "$n" -- sh -c "read x; echo got \$x; cat; echo end" | cat')" "got one.*two.*two.*end"
like "no terminal: output and error keep their order, the last of it comes, and the status" \
    "$(typed -- "$PULT" exec -T "$n" -- sh -c 'for i in 1 2 3; do echo o$i; echo e$i >&2; done; seq 20000; exit 7' | grep -v '^[0-9]\{1,4\}$' | tr '\n' ' ')" \
    "^o1 e1 o2 e2 o3 e3 10000 .* 20000 .*exit 7"
like "no terminal: an interrupt is passed on" "$(typed 'expect=go' 'send=\x03' -- \
    "$PULT" exec -T "$n" -- sh -c 'trap "exit 3" INT; echo go; while :; do sleep 0.1; done')" "exit 3"
refused "a directory is no input" "Is a directory" bash -c '"$PULT" exec "$n" -- true </'

for ns in mnt pid ipc uts net cgroup user; do
    is "the same $ns namespace" "$(x /bin/readlink /proc/self/ns/$ns)" "$(x /bin/readlink /proc/1/ns/$ns 2>/dev/null || x /bin/readlink /proc/2/ns/$ns)"
done
is "the same cgroup" "$(x /bin/cat /proc/self/cgroup)" "$(x /bin/cat /proc/2/cgroup)"
is "the same capabilities" "$(x /bin/grep Cap /proc/self/status)" "$(x /bin/grep Cap /proc/2/status)"
is "no_new_privs too" "$(x /bin/grep NoNewPrivs /proc/self/status)" $'NoNewPrivs:\t1'
is "no descriptor but 0, 1, 2" "$(x /bin/sh -c 'for f in /proc/self/fd/*; do
    [ -e $f ] && echo ${f##*/}; done' | tr '\n' ' ')" "0 1 2 "
is "its root is the container's" "$(x /bin/cat /etc/data)" data

is "as root" "$(x /bin/sh -c 'id -u; echo $HOME; pwd' | tr '\n' ' ')" "0 /root / "
is "as a user" "$(pult exec -u joe "$n" -- /bin/sh -c 'id -u; id -g; id -G; echo $HOME' | tr '\n' ' ')" \
    "1000 1001 1001 10 /home/joe "
is "by number" "$(pult exec -u 1234:56 "$n" -- /bin/sh -c 'id -u; id -g' | tr '\n' ' ')" "1234 56 "
refused "no such user" "no user 'nobody-here'" pult exec -u nobody-here "$n" -- /bin/true
mv "$ROOT/etc/passwd" "$ROOT/etc/passwd.kept" && truncate -s 9M "$ROOT/etc/passwd"
refused "nor is anybody looked for in what is no list of users" "user 'daemon' in .*/etc/passwd: File too large" \
    pult exec -u daemon "$n" -- /bin/true
mv "$ROOT/etc/passwd.kept" "$ROOT/etc/passwd"
refused "an id that it has not" "the container has no uid 70000; .*ids.count" pult exec -u 70000 "$n" -- /bin/true
refused "a group that it has not" "the container has no gid 70000; .*ids.count" pult exec -u 5:70000 "$n" -- /bin/true
is "a user has no capability" "$(pult exec -u joe "$n" -- /bin/grep CapEff /proc/self/status)" $'CapEff:\t0000000000000000'

ok "many at once" bash -c 'for i in $(seq 20); do timeout 60 "$1" exec "$2" -- /bin/true & p+=($!); done
    for i in "${p[@]}"; do wait $i || exit 1; done' - "$PULT" "$n"
ok "kill" pult kill "$n"
is "it is over" "$(state_of "$n")" stopped
refused "nothing more" "stopped" pult exec "$n" -- /bin/true
pult destroy "$n"
finish
