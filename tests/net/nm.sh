#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A bridge over a NIC that the real NetworkManager keeps: it lets go, its route of the subnet moves with
# the address, and after that all is as before. It finds a /run of its own here.
# timeout: 120 s
. "$(dirname "$0")/managers.bash"

nm=$(PATH=$PATH:/usr/sbin command -v NetworkManager)
if [ -n "$nm" ] && [ -d /usr/share/dbus-1/system.d ] && command -v nmcli dbus-daemon >/dev/null; then
    for dir in /run/NetworkManager /var/lib/NetworkManager /etc/NetworkManager /run/dbus; do
        mkdir -p "$dir"
        mount -t tmpfs own "$dir"
        at_exit "umount -l $dir"
    done
    mkdir -p /etc/NetworkManager/system-connections /etc/NetworkManager/conf.d
    printf '[main]\nplugins=keyfile\ndns=none\nauth-polkit=false\ndhcp=internal\nno-auto-default=*\n' \
        >/etc/NetworkManager/NetworkManager.conf
    printf '[connection]\nid=lan\ntype=ethernet\ninterface-name=eth9\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=ignore\n' \
        >/etc/NetworkManager/system-connections/lan.nmconnection
    chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
    daemon dbus-daemon --system --nofork --nopidfile
    wait_for 10 test -S /run/dbus/system_bus_socket
    daemon "$nm" --no-daemon --log-level=INFO
    mount -o remount,ro,bind /sys # there is no udevd to wait for
    wait_for 15 timeout 3 nmcli general status
    nmcli device set eth9 managed yes
    timeout 20 nmcli connection up lan >"$WORK/nmcli" 2>&1
    ok "NetworkManager has a lease" wait_for 20 lent eth9
    mine=$(address eth9) before=$(plain)
    like "NetworkManager: the plan says that nobody renews" "$(net plan br0)" "it stays for good, but nobody renews"
    ok "NetworkManager: the bridge" net apply br0
    ok "NetworkManager: confirmed" net confirm br0
    is "NetworkManager: has the address" "$(address br0)" "$mine"
    like "NetworkManager: lets go of the NIC" "$(nmcli -t -f DEVICE,STATE device)" "eth9:unmanaged"
    ok "NetworkManager: the outside is reached" pinged 192.0.2.1
    ok "NetworkManager: down" net down br0
    ok "NetworkManager: has the NIC again" wait_for 20 eval 'nmcli -t -f DEVICE,STATE device | grep -q eth9:connected'
    ok "NetworkManager: which has a lease" wait_for 20 lent eth9
    is "NetworkManager: and all is as before" "$(plain)" "$before"
else
    skip "NetworkManager" "network-manager or dbus-daemon is not installed"
fi
net destroy br0
finish
