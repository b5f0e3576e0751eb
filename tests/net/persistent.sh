#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A bridge over a NIC in the dialects of the host's own configuration: what is shown, to the letter,
# of a NIC with addresses and of one with DHCP and routers; saved only where it is asked for.
# timeout: 60 s
. "$(dirname "$0")/net.bash"

make_outside
ip link set eth9 address 02:00:00:00:00:09
ip route add 198.51.100.0/24 via 192.0.2.9 dev eth9 metric 50
before=$(host_text)
shown() { net plan br0 --kind bridge --port eth9 --persistent --dialect "$@"; }

is "networkd" "$(shown networkd)" "==> /etc/systemd/network/05-pult-br0.netdev <==
[NetDev]
Name=br0
Kind=bridge
MACAddress=02:00:00:00:00:09

[Bridge]
STP=no
ForwardDelaySec=0

==> /etc/systemd/network/05-pult-eth9.network <==
[Match]
Name=eth9

[Network]
Bridge=br0
LinkLocalAddressing=no

==> /etc/systemd/network/05-pult-br0.network <==
[Match]
Name=br0

[Network]
DHCP=no
IPv6AcceptRA=no
Address=192.0.2.2/24
Address=2001:db8::2/64

[Route]
Gateway=192.0.2.1

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.9
Metric=50

[Route]
Gateway=2001:db8::1

note: the file of eth9 comes before those that match it now, by its name
note: then: networkctl reload && networkctl reconfigure eth9"
is "NetworkManager" "$(shown nm)" "==> /etc/NetworkManager/system-connections/br0.nmconnection <==
[connection]
id=br0
type=bridge
interface-name=br0
autoconnect-slaves=1

[ethernet]

[bridge]
mac-address=02:00:00:00:00:09
stp=false

[ipv4]
method=manual
address1=192.0.2.2/24
route1=0.0.0.0/0,192.0.2.1
route2=198.51.100.0/24,192.0.2.9,50

[ipv6]
method=manual
address1=2001:db8::2/64
route1=::/0,2001:db8::1

==> /etc/NetworkManager/system-connections/br0-port.nmconnection <==
[connection]
id=br0-port
type=ethernet
interface-name=eth9
autoconnect-priority=100
master=br0
slave-type=bridge

note: the connection that eth9 has now: nmcli connection modify ITS-NAME connection.autoconnect no
note: then: nmcli connection reload && nmcli connection up br0"
is "ifupdown" "$(shown ifupdown)" "==> /etc/network/interfaces.d/pult-br0 <==
auto br0
iface br0 inet manual
    pre-up ip link add br0 type bridge stp_state 0 forward_delay 0 || true
    pre-up ip link set br0 address 02:00:00:00:00:09
    pre-up ip link set eth9 master br0
    pre-up ip link set eth9 up
    up ip link set br0 up

iface br0 inet static
    address 192.0.2.2/24
    gateway 192.0.2.1
    up ip -4 route replace 198.51.100.0/24 via 192.0.2.9 dev br0 metric 50

iface br0 inet6 static
    address 2001:db8::2/64
    gateway 2001:db8::1
    post-down ip link delete br0

note: /etc/network/interfaces has to have the line: source /etc/network/interfaces.d/*
note: take what it says of eth9 (auto, allow-hotplug, iface) out
note: then: ifup br0, once eth9 has let go of its addresses"
is "netplan" "$(shown netplan)" "==> /etc/netplan/90-pult-br0.yaml <==
network:
  version: 2
  ethernets:
    eth9:
      dhcp4: false
      dhcp6: false
      accept-ra: false
      link-local: []
  bridges:
    br0:
      interfaces: [eth9]
      macaddress: \"02:00:00:00:00:09\"
      parameters:
        stp: false
        forward-delay: 0
      dhcp4: false
      dhcp6: false
      accept-ra: false
      addresses:
        - \"192.0.2.2/24\"
        - \"2001:db8::2/64\"
      routes:
        - to: \"0.0.0.0/0\"
          via: \"192.0.2.1\"
        - to: \"198.51.100.0/24\"
          via: \"192.0.2.9\"
          metric: 50
        - to: \"::/0\"
          via: \"2001:db8::1\"

note: netplan adds files to each other: take addresses, routes and name servers of eth9 out of the others
note: then: netplan try"

ok "a bridge" net create br0 --kind bridge --port eth9
net plan br0 --persistent --dialect networkd >"$WORK/down"
ok "brought up" net apply br0
ok "confirmed" net confirm br0
is "of the bridge the same is told as of the NIC" "$(net plan br0 --persistent --dialect networkd)" "$(cat "$WORK/down")"
ok "and taken down" net destroy br0
is "the host is as it was" "$(host_text)" "$before"

out=$(shown networkd --save "$WORK/files")
is "saved where it is asked for" "$(cd "$WORK/files" && ls)" "05-pult-br0.netdev
05-pult-br0.network
05-pult-eth9.network"
like "what is shown" "$out" "$(sed -n 3p "$WORK/files/05-pult-br0.netdev")"
ok "never over what is there" not shown networkd --save "$WORK/files"
ok "keyfiles" shown nm --save "$WORK/files"
is "are root's alone, or NetworkManager does not take them" "$(stat -c %a "$WORK/files/br0.nmconnection")" 600
ok "no such dialect" not shown latin
ok "no such network" not net plan nat9 --persistent
ok "what is no bridge over a NIC" not net plan nat9 --kind nat --persistent
is "nothing is written unasked" "$(ls -d /etc/systemd/network/*pult* /etc/netplan/*pult* \
    /etc/network/interfaces.d/*pult* /etc/NetworkManager/system-connections/*br0* 2>/dev/null)" ""
ok "as JSON" python3 -c 'import json, sys
p = json.load(sys.stdin)
assert p["dialect"] == "ifupdown" and p["files"][0]["mode"] == 0o644 and p["notes"]' < <(shown ifupdown -o json)

# ---- with DHCP and routers, on a VLAN, with another MTU ----
ip address flush dev eth9
ip address add 192.0.2.50/24 dev eth9 valid_lft 3600 preferred_lft 3600
ip route add default via 192.0.2.1 dev eth9
ip -6 address add 2001:db8::77/64 dev eth9 valid_lft 3600 preferred_lft 3600 mngtmpaddr
like "networkd asks" "$(shown networkd)" "DHCP=ipv4
IPv6AcceptRA=yes"
like "NetworkManager asks" "$(shown nm)" "\[ipv4\]
method=auto

\[ipv6\]
method=auto"
like "ifupdown asks" "$(shown ifupdown)" "iface br0 inet dhcp

iface br0 inet6 auto"
like "netplan asks" "$(shown netplan)" "dhcp4: true
      dhcp6: false
      accept-ra: true"
is "what is lent is not told" "$(for d in networkd nm ifupdown netplan; do shown $d; done | grep -c '192.0.2\|2001:db8::77')" 0
like "a VLAN" "$(shown networkd --vlan 7 --mtu 1400)" "==> /etc/systemd/network/05-pult-eth9.7.netdev <==
\[NetDev\]
Name=eth9.7
Kind=vlan

\[VLAN\]
Id=7"
like "in netplan" "$(shown netplan --vlan 7 --mtu 1400)" "  vlans:
    eth9.7:
      id: 7
      link: eth9
      mtu: 1400"
finish
