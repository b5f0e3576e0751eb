#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where a packet's way ends: each stretch of it is broken in turn, and the first BAD line of the doctor
# names that, and not what only follows from it. Its remedy, done as it is said, mends it.
# timeout: 240 s
. "$(dirname "$0")/net.bash"

make_outside
ok "a network" net create nat0 --kind nat --subnet 10.9.0.0/24
ok "a guest" guest web --net nat0
ok "nothing is wrong" net doctor nat0
like "the ways out are named" "$(net doctor nat0)" 'eth9 \(IPv4\)'

first() { net doctor nat0 | grep -A 1 -m 1 ^BAD; }
# broken WHAT RE COMMAND...: it is found first, the status is 1, and the remedy mends it.
broken()
{
    local what=$1 re=$2 out remedy
    shift 2
    ok "$what: is broken" "$@"
    out=$(first)
    like "$what: is named first" "${out%%$'\n'*}" "$re"
    ok "$what: the status says so" not net doctor nat0
    remedy=$(sed -n 's/^ *→ //p' <<<"$out")
    ok "$what: the remedy can be done ($remedy)" eval "$remedy"
    is "$what: and mends it" "$(first)" ""
}
PATH=$(dirname "$PULT"):$PATH
broken "the bridge is off" "'nat0' is off" ip link set nat0 down
broken "no address" "has no address" ip address del 10.9.0.1/24 dev nat0
broken "no forwarding" "ip_forward is 0" sysctl -qw net.ipv4.ip_forward=0

# What other steps rest on is mended by all of them, and the guests are where they were, guarded.
guarded()
{
    ok "$1: the guest reaches the outside" wait_for 10 reaches web 192.0.2.1
    is "$1: and is guarded" "$(nft list set bridge pult four-nat0 | grep -c '10\.9\.0\.')" 1
}
broken "no rules" "the rules of the network 'nat0'" nft flush ruleset
guarded "no rules"
broken "empty chains" "the rules of the network 'nat0'" nft flush table inet pult
broken "no guard" "the rules that guard" nft delete table bridge pult
guarded "no guard"
broken "nobody is guarded" "web: nothing guards" nft flush set bridge pult ports-nat0
port() { ip -o link show master nat0 | sed 's/^[0-9]*: \([^@]*\)@.*/\1/'; }
no_port() { ip link set "$(port)" nomaster; }
broken "no port" "web: .* is not in the bridge" no_port
no_bridge()
{
    ip link delete nat0
    is "no bridge: none of its guests is named" "$(net doctor nat0 | grep -c ' guest ')" 0
}
broken "no bridge" "bridge-add .*no interface 'nat0'" no_bridge
guarded "no bridge"
supervisor() { cat "$PULT_RUN/.networks/nat0/server"; }
no_server() { kill -9 "$(supervisor)" && wait_for 5 not net doctor nat0; }
broken "no server" "dhcp .*does not run" no_server
ok "no server: names are known" wait_for 5 eval 'in_guest web "nslookup web 10.9.0.1" | grep -q "10\.9\.0\.[2-9]"'
no_interface() { ip link delete "$(port)"; }
broken "no interface" "web: its interface .* is gone" no_interface
guarded "no interface"
ip route del default
like "no way out is a note, of its family" "$(net doctor nat0)" 'note .*no default route \(IPv4\)'
ok "the guest goes" pult destroy --force web
ok "and its network" net destroy --force nat0
finish
