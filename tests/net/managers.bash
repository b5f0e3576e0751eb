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

# over WHO: the plan is carried out and taken back, where eth9 has a lease of WHO's.
over()
{
    local who=$1 mine before said
    mine=$(address eth9) before=$(plain) said=$(acks)
    like "$who: the plan has it let go" "$(net plan br0)" "have $who let go of eth9"
    like "$who: and renew" "$(net plan br0)" "have $who renew the address of br0"
    ok "$who: the bridge" net apply br0
    ok "$who: confirmed" net confirm br0
    is "$who: has the address" "$(address br0)" "$mine"
    is "$who: and the NIC none" "$(address eth9)" ""
    ok "$who: renews it" wait_for 20 more_acks "$said"
    # networkd's KeepConfiguration has it stay also when the DHCP server is silent for long.
    [ "$who" = systemd-networkd ] || ok "$who: it stays a lease" lent br0
    is "$who: the same one" "$(address br0)" "$mine"
    ok "$who: the outside is reached" pinged 192.0.2.1
    said=$(acks)
    ok "$who: down" net down br0
    ok "$who: has the NIC again" wait_for 20 more_acks "$said"
    ok "$who: which has a lease" wait_for 20 lent eth9
    is "$who: and all is as before" "$(plain)" "$before"
}
