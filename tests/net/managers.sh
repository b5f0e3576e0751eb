#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A bridge over a NIC that a real program keeps: dhclient, networkd. It lets
# go; who was lent an address goes on to renew it, on the bridge; and after that all is as before. Each
# where it is installed. They find a /run of their own here, and no other interface than this test's.
# timeout: 120 s
. "$(dirname "$0")/managers.bash"

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
