#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 3400 s
#
# Every kind of network with VMs of a stock kernel in it, beside a container: who gets which address and
# reaches whom. Two VMs have a card in each network; a third is of a user without rights. PARTS="nat user":
# only these.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"
modprobe -a bridge veth vhost_net macvtap 8021q
. "$(dirname "$0")/../net/world.bash"
. "$(dirname "$0")/vms.bash"

# ---- the world ----

# A second NIC in the same LAN, for macvtaps and a VLAN: the first is going to be a bridge's port. The LAN's
# router advertises itself and a prefix.
ip link add eth1 type veth peer name lan1 netns $outside
ip link set eth1 up
# It does not answer for the other's address: passt binds its sockets to that, and would not hear what came here.
echo 1 >/proc/sys/net/ipv4/conf/eth1/arp_ignore
o ip link add lan type bridge
o ip address flush dev lan0
o ip link set lan0 master lan
o ip link set lan1 master lan
o ip link set lan1 up
o ip link set lan up
o ip address add 192.0.2.1/24 dev lan
o ip -6 address add 2001:db8::1/64 dev lan nodad
o ip address add 192.0.2.99/24 dev lan
o ip -6 address add 2001:db8::99/64 dev lan nodad
o ip link add link lan1 name lan1.5 type vlan id 5
o ip link set lan1.5 up
o ip address add 198.51.100.1/24 dev lan1.5
lan=lan patience=${PATIENCE:-60}
serve_lan --enable-ra --dhcp-range=2001:db8::,ra-only,64,120 --ra-param=lan,10,60 --interface=lan1.5 \
    --dhcp-range=set:five,198.51.100.100,198.51.100.200 --dhcp-option=tag:five,option:router \
    --address=/far.example/192.0.2.99 --address=/far.example/2001:db8::99
ip -6 route del default # there would be no room for the other's
advertised() { ip -6 route show default proto ra dev "$1" | grep -q .; }
ok "the host hears of a router" wait_for 200 advertised eth0
before=$(host)

a=$test_id-a b=$test_id-b u=$test_id-u
# A guest is NAME for a container and VM.SPACE for a card of a VM.
in_guest()
{
    case $1 in
    *.*) in_vm "$test_id-${1%.*}" "${1#*.}" "${@:2}" ;;
    *)   "$PULT" exec "$test_id-$1" -- "${@:2}" </dev/null ;;
    esac
}
pinged() { in_guest "$1" ping -c 1 -W 3 "${@:2}" >/dev/null; } # GUEST [-I ADDRESS] HOST
not() { ! "$@"; }
show() { "$PULT" log "$1" | tr -d '\r' | sed 's/^/# /'; sed 's/^/# /' "$PULT_HOME/guests/$1/log"; }

ok "nat: defined" "$PULT" network create nat0 --kind nat --subnet 10.9.0.0/24 --subnet fd00:9::/64
ok "isolated: defined" "$PULT" network create iso0 --kind isolated --subnet 10.9.1.0/24 --subnet fd00:91::/64
ok "isolated from each other: defined" "$PULT" network create iso1 --kind nat --isolate --subnet 10.9.3.0/24
ok "routed: defined" "$PULT" network create rt0 --kind routed --subnet 10.9.2.0/24 --subnet fd00:92::/64
ok "direct: defined" "$PULT" network create dir0 --kind direct --port eth1
ok "bridge: defined" "$PULT" network create br0 --kind bridge --port eth0
ok "bridge: apply" "$PULT" network apply br0
ok "bridge: confirm" "$PULT" network confirm br0
ok "VLAN: defined" "$PULT" network create br5 --kind bridge --port eth1 --vlan 5
ok "VLAN: apply" "$PULT" network apply br5
o ip route add 10.9.2.0/24 via 192.0.2.7
o ip -6 route add fd00:92::/64 via 2001:db8::7

spaces="nat0 iso0 iso1 rt0 br0 dir0"
make_cards "$a" "$spaces br5 user" --net nat0,vhost=off --net iso0 --net iso1 --net rt0 --net br0 --net dir0,vhost=off \
    --net br5 --net user,host-loopback,forward=tcp:8090:80
# Its first address begins as the host's ends of taps do.
make_cards "$b" "$spaces" --cpus 2 --net nat0,queues=2,mac=fe:00:00:00:00:02 --net iso0 --net iso1 --net rt0 --net br0 --net dir0,queues=2
ok "a VM with eight cards" "$PULT" start "$a"
ok "a VM with six" "$PULT" start "$b"
ok "a container" guest c nat0 iso1

make_user "$u"
PULT=$WORK/pult make_cards "$u" "net" --net user,forward=tcp:8091:80
ok "a user's VM" "$WORK/pult" start "$u"

for v in "$a" "$b"; do
    ok "each card of $v has an address by DHCP" wait_for 900 has_printed "$v" "all done"
    show "$v"
done
ok "nat: forward a port" "$PULT" network forward add nat0 "tcp:8080:$b:80"
ok "nat: and another" "$PULT" network forward add nat0 "tcp:8082:$a:80"
ok "isolate: forward a port" "$PULT" network forward add iso1 "tcp:8084:$b:80"
ok "nat: and one of IPv6" "$PULT" network forward add nat0 "tcp:[2001:db8::7]:8081:$a:80"
is "as the host knows" "$("$PULT" list | grep -c '10\.9\.0\.')" 3

ok "a user's VM has an address" wait_for 900 env PULT="$WORK/pult" "$BASH" -c '"$PULT" log '"$u"' | grep -q "all done"'
"$WORK/pult" log "$u" | sed 's/^/# /'

# ---- by kind ----

# forwards TEST: those, from everywhere; also to the one who asks.
forwards()
{
    reaches "$1" outside http://192.0.2.7:8080/ "$b.nat0"
    reaches "$1" outside 'http://[2001:db8::7]:8081/' "$a.nat0"
    reaches "$1" host http://192.0.2.7:8080/ "$b.nat0"
    reaches "$1" a.nat0 http://192.0.2.7:8080/ "$b.nat0"
    reaches "$1" a.nat0 http://192.0.2.7:8082/ "$a.nat0"
    reaches "$1" a.nat0 'http://[2001:db8::7]:8081/' "$a.nat0"
    reaches "$1" a.rt0 http://192.0.2.7:8082/ "$a.nat0"
}

in_nat()
{
    reaches nat a.nat0 http://192.0.2.1/ outside
    reaches nat a.nat0 'http://[2001:db8::1]/' outside
    reaches nat b.nat0 http://www.example/ outside
    in_guest b.nat0 ip address show dev eth0 | sed 's/^/# /'
    in_guest a.nat0 cat /etc/resolv.conf | sed 's/^/# /'
    reaches nat a.nat0 "http://$(address b.nat0)/" "$b.nat0"
    reaches nat a.nat0 "http://$b/" "$b.nat0"
    reaches nat a.nat0 "http://$test_id-c.nat0.internal/" "$test_id-c"
    reaches nat c "http://$a/" "$a.nat0"
    reaches nat host "http://$(address a.nat0)/" "$a.nat0"
    reaches nat host "http://[$(address b.nat0 6)]/" "$b.nat0"
    cannot nat outside "http://$(address a.nat0)/"
    ok "nat: two queues" eval 'in_guest b.nat0 ip link show dev eth0 | grep -q "qdisc mq"'
    forwards nat
}

# Nobody uses the address of another.
in_guard()
{
    mac=$(in_guest a.nat0 ip link show dev eth0 | sed -n 's|.*link/ether \([^ ]*\).*|\1|p')
    ok "guard: a VM with its own address" pinged a.nat0 10.9.0.1
    in_guest a.nat0 ip link set eth0 address 02:00:00:00:00:99
    ok "guard: with another MAC" not pinged a.nat0 10.9.0.1
    in_guest a.nat0 ip link set eth0 address "$mac"
    ok "guard: its own again" wait_for $patience pinged a.nat0 10.9.0.1
    in_guest a.nat0 ip address add 10.9.0.250/24 dev eth0
    ok "guard: with another address" not pinged a.nat0 -I 10.9.0.250 10.9.0.1
    in_guest a.nat0 ip address del 10.9.0.250/24 dev eth0
    at=$(address b.nat0) at6=$(address b.nat0 6)
    in_guest a.nat0 sh -c "echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad"
    in_guest a.nat0 ip address add "$at/32" dev eth0
    in_guest a.nat0 ip -6 address add "$at6/128" dev eth0
    in_guest a.nat0 arping -c 2 -U -I eth0 -s "$at" "$at" >/dev/null
    in_guest a.nat0 ping -c 1 -W 1 -I "$at6" fd00:9::1 >/dev/null
    ip neigh flush dev nat0
    reaches guard host "http://$at/" "$b.nat0"
    reaches guard host "http://[$at6]/" "$b.nat0"
    in_guest a.nat0 ip address del "$at/32" dev eth0
    in_guest a.nat0 ip -6 address del "$at6/128" dev eth0
}

# isolated_forwards TEST: one to a guest that its neighbours do not reach.
isolated_forwards()
{
    reaches "$1" outside http://192.0.2.7:8084/ "$b.iso1"
    reaches "$1" host http://192.0.2.7:8084/ "$b.iso1"
    reaches "$1" a.nat0 http://192.0.2.7:8084/ "$b.iso1"
}

in_isolated()
{
    reaches isolated a.iso0 "http://$b/" "$b.iso0"
    reaches isolated a.iso0 "http://[$(address b.iso0 6)]/" "$b.iso0"
    reaches isolated host "http://$(address a.iso0)/" "$a.iso0"
    cannot isolated a.iso0 http://192.0.2.1/
    reaches isolate a.iso1 http://192.0.2.1/ outside
    reaches isolate host "http://$(address b.iso1)/" "$b.iso1"
    cannot isolate a.iso1 "http://$(address b.iso1)/"
    at=$(in_guest c ip -4 -o address show dev eth1 | sed -n 's/.*inet \([^/]*\).*/\1/p')
    cannot isolate a.iso1 "http://$at/"
    isolated_forwards isolate
    reaches isolate a.iso1 http://192.0.2.7:8084/ "$b.iso1" # the neighbours, too, come by this way
}

in_routed()
{
    reaches routed a.rt0 http://192.0.2.1/ outside
    reaches routed a.rt0 'http://[2001:db8::1]/' outside
    reaches routed outside "http://$(address a.rt0)/" "$a.rt0"
    reaches routed outside "http://[$(address b.rt0 6)]/" "$b.rt0"
    reaches routed a.rt0 "http://$b/" "$b.rt0"
}

lan_name() { like "$1 is in the LAN" "$(address "$2")" "$3"; }

# Bridge, and a VLAN.
in_bridge()
{
    lan_name bridge a.br0 '^192\.0\.2\.1[0-9][0-9]$'
    like "bridge: and hears its router" "$(address a.br0 6)" '^2001:db8::'
    reaches bridge a.br0 http://www.example/ outside
    reaches bridge a.br0 'http://[2001:db8::1]/' outside
    reaches bridge outside "http://$(address a.br0)/" "$a.br0"
    reaches bridge outside "http://[$(address b.br0 6)]/" "$b.br0"
    reaches bridge a.br0 "http://$(address b.br0)/" "$b.br0"
    reaches bridge host "http://$(address a.br0)/" "$a.br0"
    reaches bridge a.nat0 "http://$(address b.br0)/" "$b.br0"
    lan_name VLAN a.br5 '^198\.51\.100\.1[0-9][0-9]$'
    reaches VLAN a.br5 http://198.51.100.1/ outside
    reaches VLAN outside "http://$(address a.br5)/" "$a.br5"
    cannot VLAN a.br5 http://192.0.2.1/
    ok "bridge: the host still hears of its router" advertised br0
}

in_direct()
{
    lan_name direct a.dir0 '^192\.0\.2\.1[0-9][0-9]$'
    reaches direct a.dir0 http://192.0.2.1/ outside
    reaches direct outside "http://$(address a.dir0)/" "$a.dir0"
    reaches direct outside "http://[$(address b.dir0 6)]/" "$b.dir0"
    reaches direct a.dir0 "http://$(address b.dir0)/" "$b.dir0"
    reaches direct a.dir0 "http://$(address b.br0)/" "$b.br0"
    ip address add 203.0.113.7/24 dev eth1
    o ip address add 203.0.113.1/24 dev lan
    in_guest a.dir0 ip address add 203.0.113.60/24 dev eth0
    reaches direct outside http://203.0.113.60/ "$a.dir0"
    cannot direct host http://203.0.113.60/
    ip address del 203.0.113.7/24 dev eth1
}

# The router is asked for names, also where its address leads to the host's loopback (a.user).
in_user()
{
    for g in a.user u.net; do
        is "user: $g has the host's address" "$(address $g)" 192.0.2.7
        reaches user $g http://192.0.2.99/ outside
        reaches user $g 'http://[2001:db8::99]/' outside
        reaches user $g http://far.example/ outside
    done
    reaches user outside http://192.0.2.7:8090/ "$a.user"
    reaches user host http://127.0.0.1:8090/ "$a.user"
    reaches user outside http://192.0.2.7:8091/ "$u.net"
    reaches user outside 'http://[2001:db8::7]:8091/' "$u.net"
    is "user: it has nothing of the host's" "$(ip -br link show type tun | grep -c "$u")" 0
    # What listens at the host's loopback only is reached where that was asked for, at the gateway's address.
    mkdir "$WORK/loop" && echo loopback >"$WORK/loop/index.html"
    busybox httpd -f -p 127.0.0.1:8099 -h "$WORK/loop" & at_exit "kill $!"
    busybox httpd -f -p '[::1]:8099' -h "$WORK/loop" & at_exit "kill $!"
    reaches user a.user http://192.0.2.1:8099/ loopback
    reaches user u.net http://192.0.2.1/ outside
    reaches user u.net 'http://[2001:db8::1]/' outside
    cannot user u.net http://192.0.2.1:8099/
    cannot user u.net 'http://[2001:db8::1]:8099/'
    for g in a.user u.net; do
        in_guest $g sh -c 'cd /proc/sys/net/ipv4/conf; for i in all lo eth0; do echo 1 >$i/route_localnet; done
            ip link set lo down; ip address flush dev lo; ip route add 127.0.0.0/8 dev eth0 via 192.0.2.1
            ip neigh replace 127.0.0.1 lladdr 02:00:00:00:00:07 dev eth0'
        in_guest $g ip route get 127.0.0.1 | sed 's/^/# /'
        cannot user $g http://127.0.0.1:8099/
    done
    like "user: the log tells of that" "$(cat "$WORK/u/home/guests/$u/log")" "to the host's loopback: dropped"
}

# Long streams, in frames that are longer than the MTU.
in_streams()
{
    head -c 2000000 /dev/urandom >"$WORK/www/big"
    sum=$(md5sum <"$WORK/www/big")
    for g in a.nat0 b.nat0 a.dir0 b.dir0 u.net; do
        is "$g fetches a file whole" "$(in_guest $g sh -c 'wget -q -O - http://192.0.2.99/big | md5sum')" "$sum"
    done
    for g in a.dir0 b.dir0 b.br0 b.rt0; do
        is "$g serves one whole" "$(fetch outside "http://$(address $g)/big" | md5sum)" "$(in_guest $g md5sum /tmp/big | sed 's/ .*/  -/')"
    done
}

# With bridged packets shown to the rules of routed ones, as Docker wants it.
in_br_netfilter()
{
    modprobe br_netfilter
    if echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables && echo 1 >/proc/sys/net/bridge/bridge-nf-call-ip6tables; then
        forwards br_netfilter
        isolated_forwards br_netfilter
        # Here the kernel translates in the bridge, where from one isolated port to the other nothing passes.
        cannot br_netfilter a.iso1 http://192.0.2.7:8084/
        reaches br_netfilter a.nat0 "http://$b/" "$b.nat0"
        reaches br_netfilter a.nat0 http://192.0.2.1/ outside
        reaches br_netfilter a.iso0 "http://$b/" "$b.iso0"
        cannot br_netfilter a.iso1 "http://$(address b.iso1)/"
        reaches br_netfilter a.br0 http://192.0.2.1/ outside
        reaches br_netfilter outside "http://$(address b.br0)/" "$b.br0"
        reaches br_netfilter a.br0 "http://$(address b.br0)/" "$b.br0"
        reaches br_netfilter a.rt0 "http://$b/" "$b.rt0"
        echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
        echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
    else
        skip "br_netfilter" "the lab's kernel has none"
    fi
}

for part in ${PARTS:-nat guard isolated routed bridge direct user streams br_netfilter}; do
    in_$part
    echo "# $part: after $SECONDS s"
done

# ---- the end ----

nft list ruleset | sed 's/^/# /'
"$PULT" kill "$a" "$b" "$test_id-c"
"$WORK/pult" kill "$u"
no_ports() { ! ip -br link | grep -E '^(pv|vtap)'; }
ok "no interface of theirs is left" wait_for 60 no_ports
for n in nat0 iso0 iso1 rt0 dir0 br5 br0; do ok "$n: destroyed" "$PULT" network destroy $n; done
as_before() { [ "$(host)" = "$before" ]; }
wait_for 20 as_before
is "the host is as it was" "$(host)" "$before"
is "no rules are left" "$(nft list tables | grep -c pult)" 0
finish
