#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where a packet's way ends: each stretch of it is broken in turn, and the first BAD line of the doctor
# names that, and not what only follows from it. Its remedy, done as it is said, mends it.
# timeout: 240 s
. "$(dirname "$0")/net.bash"

make_outside
# Of one family the host forwards already, for the other the network has it do so.
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=0
ok "a network" net create nat0 --kind nat --subnet 10.9.0.0/24 --subnet fd00:9::/64 --forward tcp:8080:web:80
ok "a guest" guest web --net nat0
ok "nothing is wrong" net doctor nat0
is "nor noted" "$(net doctor nat0 | grep -v '^ok' | grep -vc '^ *→')" 0
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
broken "none of IPv6" "all/forwarding is 0" sysctl -qw net.ipv6.conf.all.forwarding=0

# What other steps rest on is mended by all of them, and the guests are where they were, guarded.
guarded()
{
    ok "$1: the guest reaches the outside" wait_for 10 reaches web 192.0.2.1
    is "$1: and is guarded" "$(nft list set bridge pult four-nat0 | grep -c '10\.9\.0\.')" 1
}
broken "no rules" "the rules of the network 'nat0'" nft flush ruleset
guarded "no rules"
broken "empty chains" "the rules of the network 'nat0'" nft flush table inet pult
# Or only a part of them.
chain() { nft flush chain inet pult "$1"; }
broken "no translation" "translate addresses of 'nat0'" chain post-nat0
guarded "no translation"
broken "no forward" "for forwards of 'nat0'" chain pre-nat0
broken "nothing leads to its rules" "the rules of the network 'nat0'" chain forward
broken "nor for what comes" "the rules of the network 'nat0'" nft delete element inet pult to '{ "nat0" }'
broken "no guard" "the rules that guard" nft delete table bridge pult
guarded "no guard"
broken "nobody is guarded" "web: nothing guards" nft flush set bridge pult ports-nat0
port() { ip -o link show master nat0 | sed 's/^[0-9]*: \([^@]*\)@.*/\1/'; }
no_port() { ip link set "$(port)" nomaster; }
broken "no port" "web: .* is not in the bridge" no_port
broken "a port that gets nothing back" "web: .* not in hairpin mode" bridge link set dev "$(port)" hairpin off
broken "a port that is isolated" "web: .* is isolated" bridge link set dev "$(port)" isolated on
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

# The server is asked as a guest would ask it, by which nothing changes.
host=$(host_text) leases=$(cat "$PULT_HOME/networks/nat0.leases")
like "who asks is answered" "$(net doctor nat0)" "ok .*dhcp .*is offered an address.*ok .*ra .*is told of the router"
is "and leaves nothing" "$(host_text; cat "$PULT_HOME/networks/nat0.leases")" "$host"$'\n'"$leases"
# Of hardware addresses on this network the host remembers its own and the guest's alone.
remembered()
{
    ip neigh show dev nat0 | sed -n 's/.* lladdr \([^ ]*\).*/\1/p' |
        grep -vxF -e "$(ip -o link show nat0 | sed 's/.*ether \([^ ]*\).*/\1/')" \
        -e "$(in_guest web 'cat /sys/class/net/eth0/address')"
}
is "nor is anybody's address remembered" "$(remembered)" ""
stopped() { kill -STOP "$(pgrep -P "$(supervisor)")"; }
broken "a server that was stopped" "dhcp .*was stopped" stopped
nft -f - <<END
table inet others {
    chain in {
        type filter hook input priority 0; policy accept;
        iifname "nat0" udp dport 67 drop
    }
    chain out {
        type filter hook output priority 0; policy accept;
    }
}
END
like "a rule that drops what is asked: found" "$(net doctor nat0)" \
    "BAD .*dhcp .*does not come to it: a rule drops.*nft list ruleset"
# Whose kernel were to ask too, it would do so after one to two seconds; the doctor asks for one and a half.
is "who asked for long is not remembered either" "$(for _ in 1 2 3; do
    not net doctor nat0 >/dev/null
    remembered
done)" ""
nft add rule inet others out oifname nat0 icmpv6 type nd-router-advert drop
like "and for IPv6" "$(net doctor nat0)" "BAD .*ra .*no router"
nft flush chain inet others in
nft add rule inet others out oifname nat0 udp sport 67 drop
like "or the answer" "$(net doctor nat0)" "BAD .*dhcp .*hears what it is asked, but no offer.*→ cat .*nat0/log"
nft delete table inet others
ok "without it all is well" net doctor nat0
ok "a network with one address, which is taken" net create few0 --kind isolated --subnet 10.9.4.0/24 \
    --dhcp 10.9.4.2-10.9.4.2 --tap few0t,user=0 --up
out=$(net doctor few0 | grep -A 1 -m 1 ^BAD)
like "none is left: found" "$out" "dhcp .*no address of 10.9.4.2-10.9.4.2 is left"
ok "the remedy" eval "$(sed -n 's/^ *→ //p' <<<"$out") 2>/dev/null"
ok "mends it" net doctor few0
ok "destroyed" net destroy few0
no_interface() { ip link delete "$(port)"; }
broken "no interface" "web: its interface .* is gone" no_interface
guarded "no interface"
if touch "$WORK/resolv.conf" && mount --bind "$WORK/resolv.conf" /etc/resolv.conf; then
    like "nobody who knows names is a note" "$(net doctor nat0)" 'note .*dns .*/etc/resolv.conf names no server'
    umount /etc/resolv.conf
fi
ip route del default
like "no way out is a note, of its family" "$(net doctor nat0)" 'note .*no default route \(IPv4\)'
ok "the guest goes" pult destroy --force web
ok "and its network" net destroy --force nat0
finish
