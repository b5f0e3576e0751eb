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
    "$@" || fail "$what: cannot be broken"
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

# What other steps rest on is mended by all of them; the guests are out of the bridge then, which is
# what is said next.
again()
{
    ok "$1: the remedy can be done" eval "$(first | sed -n 's/^ *→ //p')"
    like "$1: the guest comes next" "$(first)" "guest .*web: .* is not in the bridge"
    pult kill web >/dev/null
    pult wait --state stopped web
    ok "$1: it starts again" pult start web
    is "$1: and all is well" "$(first)" ""
}
nft delete table inet pult
like "no rules: is named first" "$(first)" "the rules of the network 'nat0'"
again "no rules"
ip link delete nat0
like "no bridge: is named before its guests" "$(first)" "bridge-add .*no interface 'nat0'"
is "and none of them is" "$(net doctor nat0 | grep -c ' guest ')" 0
again "no bridge"
ip route del default
like "no way out is a note, of its family" "$(net doctor nat0)" 'note .*no default route \(IPv4\)'
ok "the guest goes" pult destroy --force web
ok "and its network" net destroy --force nat0
finish
