#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Networks of VMs as pult sets them up, in a namespace of the test's own: taps that are made and go,
# bridges, whose address is whose, and what is said of them.
if [ -z "${NETWORKS_INSIDE:-}" ] && [ "$(id -u)" = 0 ]; then
    NETWORKS_INSIDE=1 exec unshare -n "$0" "$@"
fi
. "$(dirname "$0")/../lib.sh"

[ -n "${NETWORKS_INSIDE:-}" ] || skip_all "needs root, for interfaces"
[ -w /dev/kvm ] || skip_all "no /dev/kvm here, or not permitted"
[ -e /dev/net/tun ] || skip_all "no /dev/net/tun here"

guest=$TOP/$B/tests/device/guest.elf
vm() { "$PULT" create vm "$1" --kernel "$guest" --memory 16M --append do=hb "${@:2}"; }
fact() { "$PULT" info "$1" -o json | python3 -c "import json, sys; print(json.load(sys.stdin)['networks']$2)"; }
taps() { ip -br link show type tun 2>/dev/null | wc -l; }
a=$test_id-a b=$test_id-b
ip link set lo up
ip link add br7 type bridge && ip link set br7 up

ok "a VM in a bridge" vm "$a" --net bridge=br7,vhost=off --net none --net tap="p$$"
mac=$(fact "$a" "[0]['mac']")
like "it has an address of its own" "$mac" '^[0-9a-f][26ae]:'
is "which stays" "$(fact "$a" "[0]['mac']")" "$mac"
is "info has the others" "$(fact "$a" "[1]['key']") $(fact "$a" "[1]['tap']") $(fact "$a" "[1]['bridge']")" \
    "guest.net.2 p$$ None"
like "and says it in words" "$("$PULT" info "$a")" "networks.0.bridge: +br7"
ok "it starts" "$PULT" start "$a"
is "its tap is a port of the bridge" "$(ip -br link show master br7 | wc -l)" 1
is "the other is there" "$(ip -br link show "p$$" | wc -l)" 1
like "the log says which" "$(cat "$PULT_HOME/guests/$a/log")" "network 0: tap 'vtap[0-9]+' \(made\) in br7, served by pult"

# Whose address is whose.
ok "another with that address" vm "$b" --net "tap,mac=${mac^^}"
out=$("$PULT" start "$b" 2>&1)
is "does not run beside it" $? 1
like "and it is said why" "$out" "guest.net.0: the guest '$a' runs with the address $mac"
is "nothing is left of it" "$(taps)" 2
"$PULT" kill "$a"
ok "alone it does" "$PULT" start "$b"
out=$("$PULT" start "$a" 2>&1)
like "then the first does not" "$out" "the guest '$b' runs with the address $mac"
"$PULT" kill "$b"
ip link set br7 address "$mac"
out=$("$PULT" start "$a" 2>&1)
like "nor with the bridge's own address" "$out" "the guest's address is that of 'br7' itself"
"$PULT" config set "$b" guest.net.0=tap=br7
like "a bridge is no tap" "$("$PULT" start "$b" 2>&1)" "'br7' is no tap"

# However it ends, its taps go.
"$PULT" config set "$b" guest.net.0=bridge=br7 guest.net.1=tap
ok "start with two" "$PULT" start "$b"
is "taps are there" "$(taps)" 2
kill -9 "$("$PULT" info "$b" -o json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')"
ok "a killed keeper's taps are gone" wait_for 5 eval '[ "$(taps)" = 0 ]'
ok "and it is seen to be gone" wait_for 5 eval '[ "$(state_of "$b")" != running ]'
ok "and another start makes them" "$PULT" start "$b"
"$PULT" kill "$b"
is "which go again" "$(taps)" 0

# A tap that was there stays, and is one guest's.
ip tuntap add t7 mode tap
"$PULT" config set "$b" guest.net.0=tap=t7
"$PULT" config unset "$b" guest.net.1
"$PULT" config set "$a" guest.net.0=tap=t7
ok "on one that is there" "$PULT" start "$b"
like "another cannot have it" "$("$PULT" start "$a" 2>&1)" "tap 't7' is in use"
"$PULT" kill "$b"
ok "it stays" ip link show t7

if command -v passt >/dev/null; then
    ip link add nic type veth peer name nic-far
    ip addr add 192.0.2.1/24 dev nic && ip link set nic up && ip link set nic-far up
    ip route add default via 192.0.2.2
    "$PULT" config set "$a" guest.net.0=user,forward=tcp:127.0.0.1:18099:80
    "$PULT" config unset "$a" guest.net.2
    ok "by passt" "$PULT" start "$a"
    listens() { ss -Hltn 'sport = 18099' | grep -q .; }
    ok "it listens" wait_for 10 listens
    like "one port, one guest" "$("$PULT" run --vm --kernel "$guest" --set vm.rootfs=none \
        --net user,forward=tcp:18099 2>&1 </dev/null)" 'listen at TCP port 18099'
    "$PULT" kill "$a"
    ok "it ends with its guest" wait_for 5 eval '! listens'
else
    skip "by passt" "passt is missing"
fi
for v in "$a" "$b"; do "$PULT" destroy "$v"; done
finish
