# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of who keeps a NIC: eth9 has no address, and there is a DHCP server outside.
. "$(dirname "$0")/net.bash"

make_outside
ip -4 address flush dev eth9
ip link set eth9 address 02:00:00:00:00:09
cat >"$WORK/dhcpd.conf" <<END
port=0
interface=far9
bind-interfaces
dhcp-range=192.0.2.100,192.0.2.120,2m
dhcp-option=option:router,192.0.2.1
dhcp-leasefile=$WORK/dhcpd.leases
dhcp-authoritative
user=root
log-dhcp
log-facility=$WORK/dhcpd.log
pid-file=$WORK/dhcpd.pid
END
outside dnsmasq --conf-file="$WORK/dhcpd.conf"
at_exit 'kill "$(cat "$WORK/dhcpd.pid")" 2>/dev/null'
lent() { ip -4 -o address show dev "$1" | grep -q "192.0.2.1[0-9][0-9]/24.*dynamic"; }
address() { ip -4 -o address show dev "$1" | sed -n 's|.*inet \(192[^/ ]*\)/.*|\1|p'; }
acks() { grep -c 'DHCPACK(far9)' "$WORK/dhcpd.log"; }
more_acks() { [ "$(acks)" -gt "$1" ]; }
plain() { ip -4 -o address show | sed 's/^[0-9]*: //; s/ *valid_lft.*//'; ip route | sed 's/metric [0-9]*//'; }
ok "a network" net create br0 --kind bridge --port eth9

daemon() { "$@" >>"$WORK/daemons.log" 2>&1 & at_exit "kill $! 2>/dev/null; wait $! 2>/dev/null"; }
