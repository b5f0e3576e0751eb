#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s
#
# Every kind of network with containers in it: who reaches whom, by which address and name.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/world.bash"
serve_lan --address=/rebound.example/10.9.0.99

# ---- nat ----

ok "nat: defined" "$PULT" network create nat0 --kind nat --subnet 10.9.0.0/24 --subnet fd00:9::/64
ok "nat: a guest" guest a nat0
# One whose address begins as that of the host's end does.
ok "nat: another" guest b nat0,mac=fe:00:00:00:00:02
reaches nat a http://192.0.2.1/ outside
reaches nat a 'http://[2001:db8::1]/' outside
reaches nat a http://www.example/ outside
reaches nat a "http://$test_id-b/" "$test_id-b"
reaches nat a "http://$test_id-b.nat0.internal/" "$test_id-b"
reaches nat host "http://$(address b)/" "$test_id-b"
ok "nat: and by IPv6, by name" in_guest a ping -6 -c 1 -W 5 "$test_id-b"
like "nat: at the address that it has" "$(in_guest a nslookup "$test_id-b.nat0.internal")" "$(address b 6)"
cannot nat outside "http://$(address b)/"
# Others' names do not lead in here, and nobody outside asks for ours.
is "nat: no name of others leads in here" "$(in_guest a nslookup rebound.example | grep -c 10.9.0.99)" 0
o ip route add 10.9.0.0/24 via 192.0.2.7
is "nat: the outside asks our server nothing" \
    "$(o timeout 1 busybox nslookup "$test_id-b" 10.9.0.1 2>&1 | grep -c '10\.9\.0\.[2-9]')" 0
o ip route delete 10.9.0.0/24
# Where there are no forwards a packet from guest to guest meets no more rules than it has to.
hairpin() { ip -d link show master nat0 | grep -o ' hairpin [a-z]*' | sort -u; }
floods() { nft list table bridge pult | grep -c 'chain flood-nat0'; }
is "nat: without forwards no port is in hairpin mode" "$(hairpin) $(floods)" " hairpin off 0"
ok "nat: forward a port" "$PULT" network forward add nat0 "tcp:8080:$test_id-b:80"
is "nat: and with one all of them are" "$(hairpin) $(floods)" " hairpin on 1"
reaches nat outside http://192.0.2.7:8080/ "$test_id-b"
reaches nat host http://192.0.2.7:8080/ "$test_id-b"
reaches nat a http://192.0.2.7:8080/ "$test_id-b"
ok "nat: and one of IPv6" "$PULT" network forward add nat0 "tcp:[2001:db8::7]:8081:$test_id-b:80"
reaches nat outside 'http://[2001:db8::7]:8081/' "$test_id-b"
# Also where bridged packets are shown to the rules of routed ones, as Docker wants it.
if echo 1 2>/dev/null >/proc/sys/net/bridge/bridge-nf-call-iptables; then
    reaches br_netfilter a http://192.0.2.7:8080/ "$test_id-b"
    reaches br_netfilter b http://192.0.2.7:8080/ "$test_id-b"
    echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
fi
reaches nat b http://192.0.2.7:8080/ "$test_id-b"
ok "nat: no more" "$PULT" network forward remove nat0 "tcp:8080:$test_id-b:80"
cannot nat outside http://192.0.2.7:8080/
ok "nat: nor the other" "$PULT" network forward remove nat0 "tcp:[2001:db8::7]:8081:$test_id-b:80"
is "nat: as it was" "$(hairpin) $(floods)" " hairpin off 0"
ok "nat: and there again" "$PULT" network forward add nat0 "tcp:[2001:db8::7]:8081:$test_id-b:80"
like "nat: the list has addresses" "$("$PULT" list)" "$test_id-a .*10\.9\.0\."
ok "nat: the doctor finds nothing" "$PULT" network doctor nat0
out=$("$PULT" network destroy nat0 2>&1)
is "nat: not destroyed while guests are in it" $? 1
like "nat: which is said" "$out" "2 guests are in the network 'nat0'"

# The host comes up again: nothing runs, nothing is there but definitions.
"$PULT" network set nat0 net.autostart=1 2>/dev/null
"$PULT" config set "$test_id-b" guest.autostart=1 2>/dev/null
"$PULT" kill "$test_id-a" "$test_id-b" 2>/dev/null
"$PULT" network down nat0
is "reboot: all is down" "$(host)" "$before"
ok "reboot: autostart" "$PULT" start --autostart
reaches reboot b http://192.0.2.1/ outside
is "reboot: with the same address" "$(address b)" "$("$PULT" network info nat0 | sed -n 's/.*guest=.*-b .*address=//p')"
reaches reboot outside 'http://[2001:db8::7]:8081/' "$test_id-b"
end a b
gone nat0

# ---- isolated, and guests that do not reach each other ----

ok "isolated: defined" "$PULT" network create iso0 --kind isolated --subnet 10.9.1.0/24
ok "isolated: a guest" guest a iso0
ok "isolated: another" guest b iso0
reaches isolated a "http://$test_id-b/" "$test_id-b"
reaches isolated host "http://$(address b)/" "$test_id-b"
cannot isolated a http://192.0.2.1/
end a b
ok "isolate: set" "$PULT" network set iso0 net.isolate=1
"$PULT" network down iso0
ok "isolate: a guest" guest a iso0
ok "isolate: another" guest b iso0
reaches isolate host "http://$(address b)/" "$test_id-b"
cannot isolate a "http://$(address b)/"
end a b
gone iso0

# ---- routed ----

ok "routed: defined" "$PULT" network create rt0 --kind routed --subnet 10.9.2.0/24 --subnet fd00:92::/64
ok "routed: a guest" guest a rt0
o ip route add 10.9.2.0/24 via 192.0.2.7
o ip -6 route add fd00:92::/64 via 2001:db8::7
reaches routed a http://192.0.2.1/ outside
reaches routed outside "http://$(address a)/" "$test_id-a"
reaches routed a 'http://[2001:db8::1]/' outside
reaches routed outside "http://[$(address a 6)]/" "$test_id-a"
end a
gone rt0

# ---- bridge: with a NIC, whose addresses it takes over, and without ----

ok "bridge: defined" "$PULT" network create br0 --kind bridge --port eth0
like "bridge: it would have a risk" "$("$PULT" network plan br0)" "cut off"
out=$(guest a br0 2>&1)
like "bridge: it does not come up by itself" "$out" "pult network apply br0"
ok "bridge: apply" "$PULT" network apply br0
ok "bridge: confirm" "$PULT" network confirm br0
like "bridge: the host's addresses are at the bridge" "$(ip -o address show dev br0)" "192.0.2.7/24"
is "bridge: and no more at the NIC" "$(ip -o -4 address show dev eth0)" ""
reaches bridge host http://192.0.2.1/ outside
"$PULT" start "$test_id-a"
in_guest a sh -c 'udhcpc -n -q -i eth0 -s /bin/true >/dev/null 2>&1; ip address add 192.0.2.50/24 dev eth0'
like "bridge: the LAN's DHCP server hears it" "$(cat "$WORK/lan.leases" "$WORK/lan.log")" "192.0.2.1[0-9][0-9]"
reaches bridge a http://192.0.2.1/ outside
reaches bridge outside http://192.0.2.50/ "$test_id-a"
reaches bridge host http://192.0.2.50/ "$test_id-a"
end a
gone br0
ok "bridge: one that leads nowhere" "$PULT" network create br1 --kind bridge
ok "bridge: a guest in it" guest a br1
in_guest a ip address add 10.9.3.2/24 dev eth0
cannot bridge a http://192.0.2.1/
end a
gone br1

# ---- direct ----

ok "direct: defined" "$PULT" network create lan --kind direct --port eth0
ok "direct: a guest" guest a lan
in_guest a ip address add 192.0.2.60/24 dev eth0
reaches direct a http://192.0.2.1/ outside
reaches direct outside http://192.0.2.60/ "$test_id-a"
cannot direct host http://192.0.2.60/
end a
gone lan

# ---- two cards, and who is killed ----

"$PULT" network create one --kind isolated --subnet 10.9.4.0/24
"$PULT" network create two --kind isolated --subnet 10.9.5.0/24
ok "a guest with two cards" guest a one two
like "has an address at each" "$(in_guest a ip -4 -o address)" "eth0.*10\.9\.4\..*eth1.*10\.9\.5\."
kill -9 "$("$PULT" info "$test_id-a" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p')"
ok "its keeper killed: nobody is in the network" wait_for 10 eval \
    '"$PULT" list >/dev/null; [ "$("$PULT" network info one -o json | grep -c "\"guest\"")" = 0 ]'
is "and no interface is left" "$(ip -br link show master one | wc -l)" 0
"$PULT" destroy "$test_id-a"
ok "one: destroyed" "$PULT" network destroy one two
is "the host is as it was" "$(host)" "$before"
is "no rules are left" "$(nft list tables | grep -c pult)" 0
finish
