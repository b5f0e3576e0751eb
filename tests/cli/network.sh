#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The verbs of networks, called wrongly: each says what is wrong, and nothing is changed. And their
# definitions, which need no rights.
. "$(dirname "$0")/cli.bash"

net() { "$PULT" network "$@"; }
# bad NAME STATUS RE ARGS...: it fails so, says that, and changes no definition.
bad()
{
    local name=$1 status=$2 re=$3 before out rc
    shift 3
    before=$(cat "$PULT_HOME"/networks/*.conf 2>/dev/null | cksum)
    out=$(net "$@" 2>&1)
    rc=$?
    is "$name" "$rc" "$status"
    like "… and it is said why" "$out" "$re"
    is "… and nothing is changed" "$(cat "$PULT_HOME"/networks/*.conf 2>/dev/null | cksum)" "$before"
}

bad "no verb" 2 "network"
bad "no kind" 2 "missing option: --kind" create x
bad "an unknown kind" 1 "'tunnel' is no kind of network" create x --kind tunnel
bad "a name that is none" 1 "is no name of a network" create 'a/b' --kind nat
bad "a name that is too long" 1 "is no name of a network" create abcdefghijklmnopq --kind nat
bad "a subnet that is none" 1 "is no address" create x --kind nat --subnet 10.0.0.300/24
bad "a subnet without a length" 1 "has no prefix length" create x --kind nat --subnet 10.9.0.1
bad "a range that is outside" 1 "is in no network of net.address" \
    create x --kind nat --subnet 10.9.0.0/24 --dhcp 10.8.0.2-10.8.0.9
bad "a port where there is none" 1 "net.port has no meaning for a network of kind nat" \
    create x --kind nat --port eth0
bad "direct without a port" 1 "needs net.port" create x --kind direct
bad "a VLAN without a port" 1 "net.vlan needs net.port" create x --kind bridge --vlan 5
bad "a VLAN that is none" 1 "net.vlan" create x --kind bridge --port eth9 --vlan 5000
bad "a forward that is none" 1 "begins with neither tcp: nor udp:" create x --kind nat --forward 80
bad "two forwards of one port" 1 "are of the same port of the host" \
    create x --kind nat --forward tcp:80:a --forward tcp:80:b
bad "an unknown key" 1 "net.knid" create x --kind nat --set net.knid=1
bad "a --set that is none" 1 "takes KEY=VALUE" create x --kind nat --set net.mtu
bad "a network that is not there" 1 "there is no network 'nope'" info nope
bad "… to apply" 1 "there is no network 'nope'" apply nope
bad "… to confirm" 1 "nope" confirm nope
bad "… to destroy" 1 "there is no network 'nope'" destroy nope
bad "seconds that are none" 2 "seconds" apply nope --seconds soon

ok "a network with a subnet" net create lab --kind isolated --subnet 10.9.0.0/24
is "the host has its first address" "$(net info lab -o json | python3 -c 'import json, sys
print(json.load(sys.stdin)["addresses"][0])')" 10.9.0.1/24
like "guests have names in a domain" "$(net info lab)" "domain +lab"
is "it is down" "$(net list -o json | python3 -c 'import json, sys
print(json.load(sys.stdin)[0]["state"])')" down
bad "the same name again" 1 "lab" create lab --kind nat
bad "a subnet that overlaps" 1 "overlaps" create lab2 --kind nat --subnet 10.9.0.128/25
bad "a plan of a name that is taken" 1 "without options" plan lab --kind nat
bad "a wrong value" 1 "net.mtu" set lab net.mtu=1
bad "what is no pair" 2 "is not KEY=VALUE" set lab net.mtu
bad "a forward where there can be none" 1 "net.forward has no meaning" forward add lab tcp:80:a
bad "a forward that is not there" 1 "there is no forward" forward remove lab tcp:80:a
bad "a tap of nobody's" 1 "does not say whose it is" tap add lab t1
bad "a tap of somebody who is not there" 1 "there is no user 'nobody9'" tap add lab t1,user=nobody9
bad "a tap that is not there" 1 "has no tap 't1'" tap remove lab t1
ok "a tap" net tap add lab t1,user=0
like "is told" "$(net info lab)" "taps +name=t1 user=0"
ok "taken out" net tap remove lab t1
is "names alone" "$(net list --names)" lab
ok "… as JSON" python3 -c 'import json, sys; assert json.load(sys.stdin) == ["lab"]' \
    < <(net list --names -o json)
ok "set a key" net set lab net.isolate=1 net.autostart=1
like "is kept" "$(cat "$PULT_HOME/networks/lab.conf")" "net.isolate = 1"
ok "take it out" net set lab net.isolate=
is "is gone" "$(grep -c net.isolate "$PULT_HOME/networks/lab.conf")" 0
out=$(EDITOR='sed -i s/isolated/nonsense/' net edit lab 2>&1 </dev/null)
is "an edit that is wrong fails" $? 1
like "and says so" "$out" "is no kind of network"
ok "an edit" env EDITOR='sed -i s/isolated/nat/' "$PULT" network edit lab
like "is kept" "$(net list)" "lab +nat"
bad "roll back what is down" 1 "nothing to put back" rollback nope
echo 'net.kind = foo' >"$PULT_HOME/networks/odd.conf"
like "a broken one is listed as broken" "$(net list)" "odd +- +broken"
like "with what is wrong" "$(net list)" "odd.conf:1: net.kind"
like "and hides no other" "$(net list)" "lab +nat +down"
ok "and can be removed" net destroy odd
ok "destroy" net destroy lab
plan() { net plan six --kind nat -o json | python3 -c 'import json, sys
print([s["command"] for s in json.load(sys.stdin)["steps"] if s["op"] == "address-add"])'; }
was=$(plan)
like "subnets are chosen" "$was" "10\..*fd"
is "the same as before" "$(plan)" "$was"
ok "create what was planned" net create six --kind nat
for a in $(net info six | sed -n 's/^addresses *//p'); do
    like "$a was in the plan" "$was" "$a"
done
ok "destroy" net destroy six
is "nothing is left" "$(find "$PULT_HOME/networks" -type f | wc -l)" 0
finish
