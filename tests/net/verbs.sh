#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The verbs of networks on a host: what they print, what they do, and that nothing of it is left. What
# is told as a plan's commands does the same when it is typed. The countdown is for a person who is
# still there.
# timeout: 400 s
. "$(dirname "$0")/net.bash"

pty() { timeout 60 "$TOP/tests/cli/pty" "$@"; }
state() { net list | awk -v n="$1" '$1 == n { print $3 }'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
# fact NAME EXPRESSION: of `network info`, which is n.
fact() { net info "$1" -o json | python3 -c 'import json, sys
n = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"; }

# Without what comes and goes by itself.
without_counts() { sed 's/packets [0-9]* bytes [0-9]*//; s/ tentative//'; }

make_outside
before=$(host_text)

# ---- plan, create ----

options=(--kind nat --subnet 10.9.0.0/24 --dhcp 10.9.0.100-10.9.0.199 --domain lab.internal
    --mtu 1400 --autostart --forward tcp:8080:10.9.0.9:80 --set net.isolate=1)
plan=$(net plan nat0 "${options[@]}")
like "a plan of what is not there" "$plan" "create the bridge nat0.*undo +ip link delete nat0"
is "defines nothing" "$(net list --names 2>/dev/null; ls "$PULT_HOME/networks" 2>/dev/null)" ""
is "and does nothing" "$(host_text)" "$before"
ok "create" net create nat0 "${options[@]}"
is "which writes what was said" "$(sort "$PULT_HOME/networks/nat0.conf")" "net.address = 10.9.0.1/24
net.autostart = 1
net.dhcp = 10.9.0.100-10.9.0.199
net.domain = lab.internal
net.forward = tcp:8080:10.9.0.9:80
net.isolate = 1
net.kind = nat
net.mtu = 1400"
is "the plan is the same" "$(net plan nat0)" "$plan"
ok "as JSON: each step has its parts" python3 -c 'import json, sys
p = json.load(sys.stdin)
assert p["network"] == "nat0" and p["risk"] is False and p["steps"]
for s in p["steps"]:
    assert s["op"] and s["what"] and s["command"] and s["check"], s
    assert "undo" in s, s' < <(net plan nat0 -o json)
is "it is down" "$(state nat0)" down
is "nothing was done yet" "$(host_text)" "$before"

# ---- what is told can be typed ----

told() { python3 -c 'import json, sys
steps = [s[sys.argv[1]] for s in json.load(sys.stdin)["steps"]]
print("set -e", *(s for s in (steps[::-1] if sys.argv[1] == "undo" else steps) if s), sep="\n")' "$1" <<<"$plan"; }
# typed NAME COMMAND...: what is told for this network; the command is carried out in between.
typed()
{
    local name=$1 host
    shift
    plan=$(net plan "$name" -o json)
    ok "$name: the commands of its plan, typed" bash -c "$(told command)"
    host=$(host_text | without_counts)
    "$@"
    ok "$name: their undoing, typed" bash -c "$(told undo)"
    is "$name: leads back" "$(host_text)" "$before"
    ok "$name: apply" net apply "$name"
    is "$name: does what was told" "$(host_text | without_counts)" "$host"
    ok "$name: down" net down "$name"
    is "$name: leads back, too" "$(host_text)" "$before"
    ok "$name: destroy" net destroy "$name"
}
# A guest of no pult's.
leased()
{
    ip netns add typed
    ip link add ptyped master "typed$$" type veth peer name eth0 netns typed
    ip link set ptyped up
    ip -n typed link set eth0 up
    ok "a server was started, too, and gives addresses" \
        ip netns exec typed busybox udhcpc -i eth0 -n -q -f -s /bin/true -t 20 -T 1
    ip netns delete typed
    wait_for 5 not ip link show ptyped
}
ok "a network without a server" net create plain --kind bridge --port eth9
typed plain true
ok "a network with one" net create "typed$$" --kind nat --subnet 10.9.7.0/24 --subnet fd00:97::/64 \
    --forward tcp:8087:10.9.7.9:80
typed "typed$$" leased

# ---- apply, info, list ----

out=$(net apply nat0)
is "apply" $? 0
is "tells each step" "$(grep -c '^done ' <<<"$out")" "$(net plan nat0 -o json | grep -c '"op"')"
like "and each proof" "$out" "proof  the bridge nat0 is there"
is "none of which failed" "$(grep -c FAILED <<<"$out")" 0
is "it is up" "$(state nat0)" up
is "again: nothing to do" "$(net apply nat0)" "the network 'nat0' is up"
ok "a guest" guest web --net nat0,address=10.9.0.9
is "is a member" "$(fact nat0 '[(m["guest"], m["card"], m["address"]) for m in n["members"]]')" \
    "[('web', 0, '10.9.0.9')]"
is "by an interface that is in the bridge" \
    "$(ip -br link show master nat0 | sed 's/[@ ].*//')" "$(fact nat0 'n["members"][0]["port"]')"
is "with its MAC" "$(fact nat0 'n["members"][0]["mac"]')" \
    "$(in_guest web 'cat /sys/class/net/eth0/address')"
is "with the network's MTU" "$(in_guest web 'cat /sys/class/net/eth0/mtu')" 1400
like "list" "$(net list)" "nat0 +nat +up +1 +10\.9\.0\.1/24"
ok "it reaches the outside" reaches web 192.0.2.1
ok "which is counted" [ "$(fact nat0 'n["forwarded"]["out_packets"]')" -gt 0 ]

# ---- forwards ----

outside_asks() { outside socat -T 10 -u "TCP:192.0.2.2:$1,connect-timeout=2" - 2>/dev/null | grep .; }
wait_for 5 outside_asks 8080
is "the forward that it was made with" "$(outside_asks 8080)" inside
rules=$(nft list ruleset)
ok "another, at once" net forward add nat0 tcp:8081:web:80
is "leads there" "$(outside_asks 8081)" inside
is "and is kept" "$(fact nat0 'n["forwards"]')" "['tcp:8080:10.9.0.9:80', 'tcp:8081:web:80']"
net forward add nat0 tcp:8081:other:80 2>/dev/null
is "the same port again: refused" $? 1
is "and the first still leads there" "$(outside_asks 8081)" inside
ok "remove it" net forward remove nat0 tcp:8081:web:80
is "leads nowhere" "$(outside_asks 8081)" ""
is "the other does" "$(outside_asks 8080)" inside
inside=$(pgrep -P "$(pult info web -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p')" | head -n 1)
nsenter -t "$inside" -n socat UDP4-RECVFROM:5001,fork SYSTEM:'echo inside' &
at_exit "kill $! 2>/dev/null"
outside_tells() { echo x | outside socat -T "${2:-2}" - "UDP4:192.0.2.2:$1" 2>/dev/null | grep .; }
ok "a range of UDP, at once" net forward add nat0 udp:9000-9002:web:5000
ok "its second leads to the second" wait_for 5 eval '[ "$(outside_tells 9001 0.3)" = inside ]'
ok "remove it" net forward remove nat0 udp:9000-9002:web:5000
is "leads nowhere" "$(outside_tells 9001 0.3)" ""
is "the rules are what they were" "$(nft list ruleset | without_counts)" "$(without_counts <<<"$rules")"
like "what is not taken over at once is said" "$(net set nat0 net.mtu=1300 2>&1)" \
    "'nat0' is up; this takes effect when it is brought up again"

# ---- what was killed ----

supervisor() { sed -n 1p "$PULT_RUN/.networks/nat0/server"; }
ok "the server's supervisor is killed" kill -9 "$(supervisor)"
ok "it is gone, with the server" wait_for 10 not grep -q . <(pgrep -f -- "--conf-file=$PULT_RUN/.networks/nat0")
like "the doctor says so" "$(net doctor nat0)" "BAD.*does not run"
ok "the next guest that joins" guest three --net nat0
is "starts it again" "$(net doctor nat0 | grep -c 'server runs')" 1
ok "goes" pult destroy --force three

# ---- down, destroy ----

for verb in down destroy; do
    out=$(net $verb nat0 2>&1)
    is "$verb: not while a guest is in it" $? 1
    like "$verb: which is said" "$out" "1 guest is in the network 'nat0', web among them"
done
is "it is still up" "$(state nat0)" up
ok "the guest goes" pult destroy --force web
ok "destroy" net destroy nat0
is "nothing is left of it" "$(ls "$PULT_HOME/networks")" ""
is "and the host is as it was" "$(host_text)" "$before"

# ---- create --up ----

ok "create and bring up" net create iso0 --kind isolated --subnet 10.9.1.0/24 --up
is "it is up" "$(state iso0)" up
ok "destroy" net destroy iso0
out=$(net create dir0 --kind direct --port nope0 --up 2>&1)
is "one that cannot be brought up: the status says so" $? 1
like "and that it is defined" "$out" "nope0.*it is defined all the same.*pult network destroy dir0"
is "which is true" "$(state dir0)" down
ok "destroy" net destroy dir0

# ---- the countdown ----

ok "over the NIC" net create br0 --kind bridge --port eth9
out=$(pty expect='Press Enter' send='\r' -- "$PULT" network apply br0)
like "Enter confirms" "$out" "exit 0"
is "it is up" "$(state br0)" up
ok "down" net down br0
out=$(pty expect='Press Enter' signal=INT -- "$PULT" network apply br0 --seconds 20)
is "who interrupts has confirmed nothing" "$(state br0)" unconfirmed
like "the next one is told what is left" "$(net apply br0 2>&1)" "confirm within 1[0-9] seconds"
ok "roll back" net rollback br0
# Typed before there is anything to confirm: nobody has seen the host's new network.
out=$(pty send='\r\r\r' expect='Press Enter' -- "$PULT" network apply br0 --seconds 5)
like "what was typed ahead confirms nothing" "$out" "nobody confirmed.*exit 1"
ok "it goes back" wait_for 20 state_is br0 down
is "and the host is as it was" "$(host_text)" "$before"
for verb in confirm rollback; do
    pty expect='Press Enter' -- "$PULT" network apply br0 >"$WORK/asks" 2>&1 &
    asks=$!
    ok "one asks" wait_for 20 state_is br0 unconfirmed
    ok "$verb: another answers" net $verb br0
    wait $asks
    case $verb in
    confirm)  like "confirm: who asks hears of it" "$(cat "$WORK/asks")" "confirmed.*exit 0" ;;
    rollback) like "rollback: who asks hears of it" "$(cat "$WORK/asks")" "was put back.*exit 1" ;;
    esac
    is "$verb: once" "$(net down br0 2>&1; state br0)" down
done
ok "create with the timer" net destroy br0
like "says so" "$(net create br0 --kind bridge --port eth9 --up 2>&1)" "pult network confirm br0"
ok "confirm" net confirm br0
ok "destroy" net destroy br0
is "the host is as it was" "$(host_text)" "$before"

# ---- a guest that says nothing of networks ----

: >"$PULT_HOME/pult.conf"
nets() { ls "$PULT_HOME/networks"; }
ok "no such key: not created" not pult create ct web --rootfs "$WORK/root" --set lxc.nonsense=1
ok "no such name" not pult create ct -- -web --rootfs "$WORK/root"
ok "no such root" not pult create ct web --rootfs "$WORK/nowhere"
echo nonsense >"$WORK/broken.tar"
ok "a broken archive" not pult create ct web --rootfs "$WORK/broken.tar"
is "and no network either" "$(nets)" ""
ok "the first guest" pult create ct web --rootfs "$WORK/root"
is "has nat0" "$(pult config get web guest.net.0)" "network=nat0"
is "which comes with it" "$(nets)" nat0.conf
ok "the same name again: not created" not pult create ct web --rootfs "$WORK/root"
ok "the guest goes" pult destroy --force web
ok "and nat0" net destroy nat0
finish
