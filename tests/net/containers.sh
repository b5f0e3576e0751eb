#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each kind of network with containers, by the real program: who reaches whom, IPv4 and IPv6, through
# forwards too, with the rules of other firewalls in place, and after a reboot. Afterwards the host is
# what it was.
# timeout: 600 s
. "$(dirname "$0")/net.bash"

make_outside
before=$(host_text)
# The host as it was, with all networks and guests gone.
as_before()
{
    local n
    for n in "$@"; do ok "$n is destroyed" pult network destroy --force "$n"; done
    is "the host is as it was" "$(host_text)" "$before"
}
gone()
{
    local g
    for g in "$@"; do
        pult kill "$g" >/dev/null 2>&1
        pult wait "$g" stopped >/dev/null 2>&1
        pult destroy --force "$g" >/dev/null 2>&1
    done
}
address_of() { in_guest "$1" "ip -$2 -o addr show dev eth0 scope global" | sed -n 's|.*inet6* \([^/]*\)/.*|\1|p' | head -n 1; }

# ---- nat ----
ok "nat: create" net create nat0 --kind nat --forward tcp:8080:web:80
like "nat: the plan says how" "$(net plan nat0)" "ip link add nat0 type bridge"
is "nat: a plan changes nothing" "$(host_text)" "$before"
ok "nat: a guest" guest web --net nat0
ok "nat: another" guest two --net nat0
web=$(address_of web 4) two=$(address_of two 4) web6=$(address_of web 6)
domain=$(sed -n 's/^net.domain = //p' "$PULT_HOME/networks/nat0.conf")
like "nat: an address" "$web" "^10\\.87\\.0\\."
like "nat: one of IPv6" "$web6" "^fd"
ok "nat: guests reach the outside" reaches web 192.0.2.1
ok "nat: by IPv6" reaches web 2001:db8::1
ok "nat: and each other" reaches web "$two"
like "nat: by name" "$(in_guest two "nslookup web.$domain")" "Address: *$web"
is "nat: a server outside" "$(in_guest web 'nc -w 2 192.0.2.1 7')" outside
ok "nat: the outside reaches no guest" not pinged "$web" outside
is "nat: but by a forward" "$(outside socat -T 10 -u TCP:192.0.2.2:8080,connect-timeout=2 -)" inside

# ---- the firewalls of others ----
# Docker's, by the words of its iptables-nft: everything that is forwarded is dropped.
nft -f - <<'END'
table ip filter {
    chain DOCKER-USER { }
    chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}
END
ok "Docker's rules stop guests" not reaches web 192.0.2.1
like "the doctor says so" "$(net doctor nat0 2>&1)" "[Dd]ocker|DOCKER-USER|FORWARD"
docker=$(nft list table ip filter)
gone web two
ok "down" pult network down nat0
ok "mended with consent" net set nat0 net.mend=yes
ok "up again" net apply nat0
ok "a guest" guest web --net nat0
ok "gets out through Docker's rules" reaches web 192.0.2.1
gone web
ok "down" pult network down nat0
is "Docker's rules are what they were" "$(nft list table ip filter)" "$docker"
nft delete table ip filter
as_before nat0

# ---- routed ----
ok "routed: create" net create rou0 --kind routed --subnet 198.51.100.0/24 --subnet 2001:db8:1::/64
ok "routed: a guest" guest web --net rou0
outside ip route add 198.51.100.0/24 via 192.0.2.2
outside ip -6 route add 2001:db8:1::/64 via 2001:db8::2
web=$(address_of web 4) web6=$(address_of web 6)
ok "routed: the guest reaches the outside" reaches web 192.0.2.1
ok "routed: and the outside the guest" pinged "$web" outside
ok "routed: by IPv6" reaches web 2001:db8::1
ok "routed: and back" pinged "$web6" outside
gone web
as_before rou0

# ---- isolated ----
ok "isolated: create" net create iso0 --kind isolated
ok "isolated: a guest" guest web --net iso0
ok "isolated: another" guest two --net iso0
ok "isolated: they reach each other" reaches web "$(address_of two 4)"
ok "isolated: not the outside" not reaches web 192.0.2.1
ok "isolated: nor by IPv6" not reaches web 2001:db8::1
gone web two
as_before iso0

# ---- direct ----
ok "direct: create" net create dir0 --kind direct --port eth9
ok "direct: a guest" guest web --net dir0
in_guest web 'ip address add 192.0.2.77/24 dev eth0; ip link set eth0 up' >/dev/null
ok "direct: it is in the LAN" reaches web 192.0.2.1
ok "direct: without the host" not reaches web 192.0.2.2
gone web
as_before dir0

# ---- bridge: over the NIC that has the host's addresses, with the timer ----
ok "bridge: create" net create br0 --kind bridge --port eth9
state_is() { net list -o json | grep -q "\"state\": \"$1\""; }
ok "bridge: up, with the timer" net apply br0 --seconds 5 </dev/null
ok "bridge: it waits to be confirmed" state_is unconfirmed
ok "bridge: nobody does" wait_for 20 state_is down
is "bridge: nobody confirmed" "$(host_text)" "$before"
net apply br0 --seconds 30 </dev/null >"$WORK/apply" 2>&1 &
apply=$!
ok "bridge: up" wait_for 10 state_is unconfirmed
ok "bridge: confirmed" net confirm br0
wait $apply
is "bridge: who applied it sees that" $? 0
is "bridge: the outside still answers" "$(ask 192.0.2.1 7)" outside
ok "bridge: by IPv6" pinged 2001:db8::1
ok "bridge: a guest" guest web --net br0
in_guest web 'ip address add 192.0.2.78/24 dev eth0; ip link set eth0 up' >/dev/null
ok "bridge: it is in the LAN" reaches web 192.0.2.1
ok "bridge: with the host" reaches web 192.0.2.2
gone web
as_before br0

# ---- a reboot: nothing is left but what is written down ----
ok "reboot: create" net create nat1 --kind nat --autostart
ok "reboot: up" net apply nat1
for p in $(cat "$PULT_RUN"/.networks/nat1/server 2>/dev/null); do kill "$p"; done
ip link delete nat1
nft flush ruleset
rm -rf "$PULT_RUN"
ok "reboot: networks with autostart" pult start --autostart
ok "reboot: a guest" guest web --net nat1
ok "reboot: reaches the outside" reaches web 192.0.2.1
gone web
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.eth9.accept_ra=1
pult network destroy --force nat1 >/dev/null
finish
