#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
# Network interfaces of containers: on bridges and NICs of the host's, by cards and by LXC's keys.
. "$(dirname "$0")/cards.bash"

bridge br0 192.168.1.1/24
n=n-$test_id
sleeper() { pult create container "$n" --rootfs "$ROOT" "$@" -- /bin/sleep 1000 && pult start "$n"; }
gone() { pult kill "$n" 2>/dev/null; pult destroy "$n"; }
reaches() { pult exec "$n" -- ping -c 1 -w 5 "$1" </dev/null; }

# ---- as in 2010 ----
cat >"$WORK/con1.conf" <<EOF
lxc.utsname       = con1
lxc.network.type  = veth
lxc.network.flags = up
lxc.network.link  = br0
lxc.network.ipv4  = 192.168.1.16/24
lxc.network.name  = eth0
lxc.rootfs        = $ROOT
EOF
ok "a file of 2010" pult create container "$n" -f "$WORK/con1.conf" -- /bin/sleep 1000
ok "starts" pult start "$n"
ok "has its address" has "$n" eth0 '192\.168\.1\.16/24 brd 192\.168\.1\.255'
ok "reaches the host" reaches 192.168.1.1
ok "and is reached" ping -c 1 -w 5 192.168.1.16
port=$(ports)
like "its port is in the bridge" "$(ip link show dev "$port")" 'master br0'
like "and tells whose it is" "$(ip link show dev "$port")" "alias $n eth0"
like "the list has the address" "$(pult list)" 192.168.1.16
mac=$(pult exec "$n" -- cat /sys/class/net/eth0/address </dev/null)
ok "stops" pult stop --timeout 0 "$n"
is "nothing is left of it" "$(ports)" ""
ok "starts again" pult start "$n"
is "with the same address" "$(pult exec "$n" -- cat /sys/class/net/eth0/address </dev/null)" "$mac"
kill -9 "$(id_of "$n" keeper_pid)"
pult list >/dev/null
ok "a killed keeper leaves nothing either" wait_for 10 no_ports
ok "and the next start works" pult start "$n"
ok "as before" has "$n" eth0 192.168.1.16
ok "destroyed" gone

# ---- today's spelling, several ----
ok "two interfaces" sleeper --set lxc.net.0.type=veth --set lxc.net.0.link=br0 --set lxc.net.0.flags=up \
    --set lxc.net.0.name=lan --set "lxc.net.0.ipv4.address=192.168.1.20/24" --set lxc.net.0.ipv4.gateway=auto \
    --set lxc.net.0.hwaddr=00:16:3e:xx:xx:07 --set lxc.net.0.mtu=1400 --set lxc.net.0.veth.pair=pair0 \
    --set lxc.net.0.veth.n_rxqueues=3 --set lxc.net.0.veth.n_txqueues=2 \
    --set lxc.net.0.ipv6.address=fd00:1::2/64 --set lxc.net.1.type=veth --set lxc.net.1.link=br0
ok "its name, MTU" has "$n" lan 'mtu 1400'
ok "MAC" has "$n" lan 'ether 00:16:3e:..:..:07'
ok "address of IPv6" has "$n" lan 'fd00:1::2/64'
like "gateway" "$(pult exec "$n" -- ip route </dev/null)" 'default via 192.168.1.1 dev lan'
ok "the host's end has the name that was said" ip link show dev pair0
is "its queues, inside" "$(pult exec "$n" -- sh -c 'ls -d /sys/class/net/lan/queues/[rt]x-* | wc -l' </dev/null)" 5
is "its queues, outside" "$(ip -d link show dev pair0 | grep -o 'num[tr]xqueues [0-9]*' | paste -sd ' ')" "numtxqueues 2 numrxqueues 3"
ok "the other is there, and down" has "$n" eth1 'BROADCAST,MULTICAST(,M-DOWN)?> '
gone

ok "cards" sleeper --net bridge=br0,mac=02:00:00:00:00:05,mtu=1300 --net bridge=br0
ok "the first" has "$n" eth0 'mtu 1300'
ok "has its MAC" has "$n" eth0 'ether 02:00:00:00:00:05'
ok "the second is up" has "$n" eth1 'UP,LOWER_UP'
is "two ports" "$(ports | wc -l)" 2
gone
is "and none" "$(ports)" ""

# ---- on a NIC ----
ok "macvlan" sleeper --set lxc.net.0.type=macvlan --set lxc.net.0.link=wan --set lxc.net.0.flags=up \
    --set lxc.net.0.macvlan.mode=bridge --set lxc.net.0.ipv4.address=192.0.2.10/24
ok "reaches the outside" reaches 192.0.2.1
gone
for kind in vlan ipvlan; do
    id=(); [ $kind = vlan ] && id=(--set lxc.net.0.vlan.id=7)
    if ip link add x-$kind link wan type $kind $([ $kind = vlan ] && echo id 9) 2>/dev/null; then
        ip link del x-$kind
        ok "$kind" sleeper --set lxc.net.0.type=$kind --set lxc.net.0.link=wan --set lxc.net.0.flags=up \
            "${id[@]}" --set lxc.net.0.ipv4.address=192.0.2.11/24
        ok "$kind: its address" has "$n" eth0 192.0.2.11
        gone
    else
        skip "$kind" "this kernel has none"
    fi
done
at_exit 'ip link del ph0 2>/dev/null'
ip link add ph0 type veth peer name ph1 && ip link set ph1 up
mac=$(mac_of ph0)
ok "phys" sleeper --set lxc.net.0.type=phys --set lxc.net.0.link=ph0 --set lxc.net.0.flags=up \
    --set lxc.net.0.name=nic
ok "is there" has "$n" nic "ether $mac"
ok "and not here" test -z "$(ip -br link | grep '^ph0')"
pult exec "$n" -- sh -c 'ip link set nic down; ip link set nic name other; ip link add nic type veth peer name far' </dev/null
ok "stops" pult stop --timeout 0 "$n"
is "and it is back, not what has its name inside" "$(mac_of ph0)" "$mac"
pult destroy "$n"
# One whose number is another's, while that is in a network below: the host would take it for its NIC.
ip link add mv0 link ph1 type macvlan mode bridge
as_root_inside() { nsenter -t "$pid" -U -n -S 0 -G 0 "$@"; }
ok "a NIC to be taken back" sleeper --net none
ok "it is given" pult device add "$n" mv0 nic
pid=$(id_of "$n" pid)
nsenter -t "$pid" -U -n -S 0 -G 0 unshare -n sleep 1000 >/dev/null 2>&1 &
below=$!
at_exit "kill $below 2>/dev/null"
wait_for 10 eval '[ "$(cat /proc/$below/comm)" = sleep ]'
number=$(as_root_inside ip -o link show dev nic | cut -d: -f1)
ok "the container puts it elsewhere" as_root_inside ip link set nic netns $below
ok "and another in its place" as_root_inside ip link add nic index "$number" type veth peer name spy
refused "that one does not come" "the container put it elsewhere" pult device remove "$n" nic
is "there is none of its name" "$(ip -br link show dev mv0 2>/dev/null)" ""
ok "it is put back" nsenter -t "$pid" -U -n -S 0 -G 0 sh -c "ip link del nic; nsenter -t $below -n ip link set nic netns $pid"
kill $below
gone
ok "router" sleeper --set lxc.net.0.type=veth --set lxc.net.0.veth.mode=router --set lxc.net.0.flags=up \
    --set lxc.net.0.ipv4.address=198.51.100.7/32 --set lxc.net.0.ipv4.gateway=192.0.2.2
ok "the host reaches it by a route" ping -c 1 -w 5 198.51.100.7
ok "and it the host" reaches 192.0.2.2
gone
bridge_mac=$(mac_of br0)
ok "none" sleeper --set lxc.net.0.type=none
is "shares the host's network" "$(pult exec "$n" -- ip -o link show dev br0 </dev/null | sed -n 's/.*link\/ether \([^ ]*\).*/\1/p')" "$bridge_mac"
ok "exec there" pult exec "$n" -- ip link show dev wan </dev/null
gone
ok "empty" sleeper --set lxc.net.0.type=empty
is "has lo alone" "$(pult exec "$n" -- ls /sys/class/net </dev/null)" lo
gone

# ---- a throwaway, a restart ----
is "run" "$(pult run --net bridge=br0 --rootfs "$ROOT" -- cat /sys/class/net/eth0/operstate </dev/null)" up
is "run without is without" "$(pult run --rootfs "$ROOT" -- ls /sys/class/net </dev/null)" lo
ok "leaves nothing" wait_for 10 no_ports
pult create container "$n" --rootfs "$ROOT" --net bridge=br0 --set lxc.init.cmd="/bin/sh -c 'while [ ! -e /go ]; do sleep 0.1; done; rm /go; reboot -f'"
pult start "$n"
first=$(id_of "$n" pid)
pult exec "$n" -- touch /go </dev/null
other() { local now; now=$(id_of "$n" pid) && [ "$now" ] && [ "$now" != "$first" ]; }
ok "after a reboot" wait_for 20 other
ok "its card is there again" has "$n" eth0 'UP,LOWER_UP'
is "once" "$(ports | wc -l)" 1
gone

# ---- what cannot be ----
refused "no such bridge" "no interface 'br9'.*ip link add br9 type bridge" pult create container "$n" --rootfs "$ROOT" --net bridge=br9
refused "no bridge" "'wan' is no bridge" pult create container "$n" --rootfs "$ROOT" --net bridge=wan
refused "a tap" "a container has no tap" pult create container "$n" --rootfs "$ROOT" --net tap=t0
refused "no such network" "guest.net.0.*lan9" pult create container "$n" --rootfs "$ROOT" --net lan9
refused "no type" "says nothing without lxc.net.0.type" pult create container "$n" --rootfs "$ROOT" --set lxc.net.0.link=br0
refused "no such key" "lxc.net.0.link" pult create container "$n" --rootfs "$ROOT" --set lxc.net.0.lnk=br0
bridge taken
pult create container "$n" --rootfs "$ROOT" --set lxc.net.0.type=veth --set lxc.net.0.veth.pair=taken -- /bin/sleep 1000
refused "a pair's name that is another's" "create the veth pair 'taken'.*exists" pult start "$n"
ok "which stays" ip link show dev taken
is "as it was" "$(ip link show dev taken | grep -c alias)" 0
pult destroy "$n"
ok "nothing is left in the end" no_ports
finish
