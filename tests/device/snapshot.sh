#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 240 s
#
# Snapshots of VMs through pult itself, with a guest that counts in a register and in memory
# (guest.S): taken while it runs, gone back to, damaged, given up, with whoever takes them killed.
. "$(dirname "$0")/../lib.sh"

guest=$TOP/$B/tests/device/guest.elf
says() # NAME RE COMMAND...: it fails, and says so
{
    local name=$1 re=$2 out
    shift 2
    out=$("$@" 2>&1) && { point "not ok" "$name (it succeeded)"; return; }
    like "$name" "$out" "$re"
}
[ -r /dev/kvm ] && [ -w /dev/kvm ] || skip_all "no /dev/kvm here, or not permitted"

v=$test_id image=$WORK/d.qcow2
kept=$PULT_HOME/guests/$v/snapshots
last() { "$PULT" log "$v" | grep -aE '^[0-9a-f]{8}$' | tail -1; }
first() { "$PULT" log "$v" | sed 1d | grep -aE '^[0-9a-f]{8}$' | head -1; } # the first line may be half of one
counted() { local n; n=$(last); [ -n "$n" ] && [ $((16#$n)) -ge "$1" ]; }
# Each line is one more than the one before.
gaps() { "$PULT" log "$v" | sed 1d | python3 -c 'import sys
n = [int(l, 16) for l in sys.stdin.read().split("\n")[:-1]]
print(sum(b != a + 1 for a, b in zip(n, n[1:])))'; }
inside() { "$PULT" disk snapshot list "$image" -o json | python3 -c 'import json, sys
print(*[s["name"] for s in json.load(sys.stdin)])'; }
# Nothing of any but these.
holds() # NAME WANTED...
{
    local name=$1
    shift
    is "$name: no other files" "$(ls -A "$kept" | tr '\n' ' ')" "${*:+$* }"
    is "$name: no other states in the image" "$(inside)" "$(for s; do echo "pult:$s"; done | paste -sd ' ' -)"
}

says "no such guest" "no guest 'nobody'" "$PULT" snapshot create nobody
"$PULT" disk create "$image" 8M
ok "create" "$PULT" create vm "$v" --kernel "$guest" --memory 16M --append do=n --disk "$image"
says "a snapshot of one that does not run" "is not running" "$PULT" snapshot create "$v" one
holds "nothing is left of that"
is "none are listed" "$("$PULT" snapshot list "$v" -o json)" "[]"
ok "start" "$PULT" start "$v"
ok "it counts" wait_for 30 counted 20
before=$(last)
is "create prints the name" "$("$PULT" snapshot create "$v" one -c "for tests")" one
after=$(last)
is "it runs on" "$(state_of "$v")" running
ok "and counts on" wait_for 30 counted $((16#$after + 50))
is "and lost nothing" "$(gaps)" 0
like "it is listed" "$("$PULT" snapshot list "$v")" 'one  +20[0-9-]+ [0-9:]+ +[0-9.]+K +for tests'
holds "one snapshot" one
says "a name that is taken" "has a snapshot 'one'" "$PULT" snapshot create "$v" one
says "a name that is none" "name" "$PULT" snapshot create "$v" ../one
holds "and it is still there" one

says "a guest that runs is not given up" "running.*--force" "$PULT" snapshot restore "$v" one
says "one that is not there" "no snapshot 'onf'.*'one'" "$PULT" snapshot restore "$v" onf --force
is "nor for nothing" "$(state_of "$v")" running
ok "restore" "$PULT" snapshot restore "$v" one --force
is "it runs" "$(state_of "$v")" running
ok "it counts from there" wait_for 30 eval '[ -n "$(first)" ]'
ok "not from an earlier place" [ $((16#$(first))) -ge $((16#$before)) ]
ok "nor from a later one" [ $((16#$(first))) -le $((16#$after + 2)) ]
ok "and on" wait_for 30 counted $((16#$after + 50))
is "without a gap" "$(gaps)" 0
ok "again, and from where it is now" "$PULT" snapshot create "$v" two
ok "kill it" "$PULT" kill "$v"
ok "go back to the first" "$PULT" snapshot restore "$v" one
ok "it counts from there" wait_for 30 eval '[ -n "$(first)" ]'
ok "which is where it was" [ $((16#$(first))) -le $((16#$after + 2)) ]
holds "two of them" one two
ok "freeze" "$PULT" freeze "$v"
ok "one of a frozen guest" "$PULT" snapshot create "$v" three
is "which stays so" "$(state_of "$v")" frozen
ok "remove two while it runs" "$PULT" snapshot delete "$v" two three
holds "the other is there" one
ok "thaw" "$PULT" unfreeze "$v"
now=$(last)
ok "and it goes on" wait_for 30 counted $((16#${now:-0} + 20))
says "what is not there is not removed" "no snapshot 'two'" "$PULT" snapshot delete "$v" two

# What is not right.
says "a socket's owner cannot name files" 'has 2 files' python3 - "$PULT_RUN/$v/control" <<'P'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b'{"cmd":"snapshot","name":"raw"}\n')
answer = json.loads(s.makefile("r").readline())
sys.exit(answer["error"])
P
ok "a full disk is told, and all is taken back" python3 - "$PULT_RUN/$v/control" <<'P'
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
fds = [os.memfd_create("state"), os.open("/dev/full", os.O_RDWR)]
socket.send_fds(s, [b'{"cmd":"snapshot","name":"full","id":7}\n'], fds)
lines = s.makefile("r")
answer = json.loads(lines.readline())
assert answer["ok"], answer
while answer.get("event") != "snapshot-done":
    answer = json.loads(lines.readline())
assert not answer["ok"] and answer["id"] == 7 and "No space left" in answer["error"], answer
P
holds "after a full disk" one
is "the guest runs" "$(state_of "$v")" running
ok "kill it" "$PULT" kill "$v"
"$PULT" config set "$v" guest.memory=17M
says "another machine" "guest.memory was '16M' then.*config set" "$PULT" snapshot restore "$v" one
"$PULT" config set "$v" guest.memory=16M
"$PULT" config set "$v" vm.serial2=1
says "more devices" "vm.serial2 was not set then" "$PULT" snapshot restore "$v" one
"$PULT" config unset "$v" vm.serial2
"$PULT" config set "$v" vm.vsock=on
says "or sockets" "vm.vsock was not set then" "$PULT" snapshot restore "$v" one
"$PULT" config unset "$v" vm.vsock
damage() # NAME FILE RE COMMAND...: a damaged file is refused, and all is as it was
{
    local name=$1 file=$kept/one/$2 re=$3
    shift 3
    cp --sparse=always "$file" "$WORK/whole"
    "$@" "$file"
    says "$name" "$re" "$PULT" snapshot restore "$v" one
    cp --sparse=always "$WORK/whole" "$file"
}
flip() { printf '\xff' | dd of="$1" bs=1 seek="$offset" conv=notrunc status=none; }
offset=5000 damage "a byte of the state is wrong" state "damaged: its checksum" flip
offset=8 damage "its version" state "is of version 255" flip
offset=0 damage "its magic" state "no state of a machine" flip
damage "it is too short" state "damaged: it has 3000 bytes" truncate -s 3000
damage "it is empty" state "too short" truncate -s 0
damage "the memory is too short" memory "damaged: it has" truncate -s 1M
offset=16777216 damage "the memory was not written to its end" memory "to its end" flip
offset=16777230 damage "the memory is another's" memory "another snapshot" flip
damage "there is no memory" memory "No such file" rm
is "the guest does not run" "$(state_of "$v")" stopped
ok "all is right again" "$PULT" snapshot restore "$v" one
ok "kill it" "$PULT" kill "$v"
ok "remove it while the guest does not run" "$PULT" snapshot delete "$v" one
holds "none is left"

# Who takes one is killed, or changes his mind.
"$PULT" config set "$v" guest.memory=$(awk '/^MemTotal/ { m = int($2 * 0.7 / 1024); print (m < 3072 ? m : 3072) "M" }' /proc/meminfo)
ok "start one with more memory" "$PULT" start "$v"
ok "it counts" wait_for 30 counted 1
taking() { "$PULT" snapshot create "$v" big >"$WORK/out" 2>&1 & pid=$!; wait_for 20 test -e "$kept/.big/config" -o -e "$kept/big"; }
taking
kill -INT $pid
wait $pid
rc=$?
if [ -e "$kept/big" ]; then
    skip "it is cancelled" "it was too fast"
    "$PULT" snapshot delete "$v" big
else
    ok "it is cancelled" [ $rc -ne 0 ]
fi
holds "after that"
taking
kill -KILL $pid
wait $pid 2>/dev/null
ok "the next can be taken" wait_for 20 "$PULT" snapshot create "$v" next
ok "a snapshot that nobody finished goes away" eval '[ ! -e "$kept/.big" ]'
ok "remove it" "$PULT" snapshot delete "$v" next
[ ! -e "$kept/big" ] || "$PULT" snapshot delete "$v" big
holds "after that"
taking
kill -KILL "$("$PULT" info "$v" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p;s/.*"pid": *\([0-9]*\).*/\1/p' | head -1)"
wait $pid
ok "a guest that was killed meanwhile is gone" wait_for 10 eval '[ "$(state_of "$v")" != running ]'
"$PULT" snapshot delete "$v" big >/dev/null 2>&1
holds "after that"

# A raw disk cannot be kept where files share no blocks; one that is only read need not be.
truncate -s 1M "$WORK/d.raw"
cp --reflink=always "$WORK/d.raw" "$WORK/e.raw" 2>/dev/null && shares=1
"$PULT" config set "$v" guest.memory=16M "vm.disk.0=$WORK/d.raw,format=raw"
ok "start it with a raw disk" "$PULT" start "$v"
if [ -n "${shares:-}" ]; then
    ok "which is kept" "$PULT" snapshot create "$v" raw
else
    says "which is refused" "d.raw' is a raw disk.*disk convert" "$PULT" snapshot create "$v" raw
fi
"$PULT" kill "$v"
"$PULT" config set "$v" "vm.disk.0=$WORK/d.raw,format=raw,ro"
"$PULT" start "$v"
ok "one that is only read" "$PULT" snapshot create "$v" ro
ok "and go back" "$PULT" snapshot restore "$v" ro --force
"$PULT" kill "$v"
"$PULT" config set "$v" "vm.disk.0=$WORK/d.raw,format=raw,snapshot"
"$PULT" start "$v"
says "one whose writes are forgotten" "forgotten at the end" "$PULT" snapshot create "$v" lost
ok "destroy" "$PULT" destroy "$v" --force
is "nothing is left" "$(left_in "$PULT_RUN")" ""
ok "the image is sound" "$PULT" disk check "$image"
finish
