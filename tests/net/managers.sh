#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A bridge over a NIC that a real program keeps: dhclient, networkd. It lets
# go; who was lent an address goes on to renew it, on the bridge; and after that all is as before. Each
# where it is installed. They find a /run of their own here, and no other interface than this test's.
# timeout: 120 s
. "$(dirname "$0")/managers.bash"

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
    [ "$who" != dhclient ] || ok "$who: it stays a lease" lent br0
    is "$who: the same one" "$(address br0)" "$mine"
    ok "$who: the outside is reached" pinged 192.0.2.1
    said=$(acks)
    ok "$who: down" net down br0
    ok "$who: has the NIC again" wait_for 20 more_acks "$said"
    ok "$who: which has a lease" wait_for 20 lent eth9
    is "$who: and all is as before" "$(plain)" "$before"
}

# ---- dhclient ----
if PATH=$PATH:/usr/sbin command -v dhclient >/dev/null; then
    mkdir -p "$WORK/lib"
    mount -t tmpfs leases "$WORK/lib"
    at_exit 'umount -l "$WORK/lib"'
    touch "$WORK/resolv.conf"
    mount --bind "$WORK/resolv.conf" /etc/resolv.conf
    at_exit 'umount -l /etc/resolv.conf'
    dhclient -pf "$WORK/lib/pid" -lf "$WORK/lib/leases" eth9 >"$WORK/dhclient.log" 2>&1
    ok "dhclient has a lease" wait_for 20 lent eth9
    over dhclient
    kill "$(pgrep -f "dhclient.*$WORK/lib/leases")"
    ip -4 address flush dev eth9
else
    skip "dhclient" "isc-dhcp-client is not installed"
fi
# ---- networkd ----
if [ -x /lib/systemd/systemd-networkd ] && command -v dbus-daemon networkctl >/dev/null; then
    for dir in /run/systemd /run/dbus /etc/systemd/network; do
        mkdir -p "$dir"
        mount -t tmpfs own "$dir"
        at_exit "umount -l $dir"
    done
    mkdir -p /run/systemd/netif/{links,leases,lldp} /run/systemd/system
    chown -R systemd-network: /run/systemd/netif
    mount -o remount,ro,bind /sys # there is no udevd to wait for
    printf '[Match]\nName=eth9\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n' >/etc/systemd/network/20-eth9.network
    daemon dbus-daemon --system --nofork --nopidfile
    wait_for 10 test -S /run/dbus/system_bus_socket
    daemon /lib/systemd/systemd-networkd
    ok "networkd has a lease" wait_for 20 lent eth9
    over systemd-networkd
else
    skip "networkd" "systemd-networkd, networkctl or dbus-daemon is not installed"
fi
net destroy br0
finish
