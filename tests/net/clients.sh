#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# More of those that real programs keep: dhcpcd, ifupdown, and name servers that systemd-resolved asks.
# Each where it is installed. They find a /run of their own here, and no other interface.
# timeout: 240 s
. "$(dirname "$0")/managers.bash"

own()
{
    for dir; do
        mkdir -p "$dir"
        mount -t tmpfs own "$dir"
        at_exit "umount -l $dir"
    done
}
touch "$WORK/resolv.conf"
mount --bind "$WORK/resolv.conf" /etc/resolv.conf
at_exit 'umount -l /etc/resolv.conf'
PATH=$PATH:/usr/sbin:/sbin

# ---- dhcpcd ----
if command -v dhcpcd >/dev/null; then
    own /run/dhcpcd /var/lib/dhcpcd
    stop() { for f in /run/dhcpcd/*pid; do [ ! -e "$f" ] || kill "$(cat "$f")"; done; wait_for 20 eval '! ls /run/dhcpcd/*pid'; }
    at_exit 'stop >/dev/null 2>&1'
    dhcpcd -4 eth9 >"$WORK/dhcpcd.log" 2>&1
    ok "dhcpcd has a lease" wait_for 30 lent eth9
    over dhcpcd
    like "dhcpcd: called as it was" "$(ls /run/dhcpcd)" 'eth9-4\.pid'
    stop >/dev/null 2>&1
    ip -4 address flush dev eth9
    dhcpcd --nodev >"$WORK/dhcpcd.log" 2>&1
    ok "a dhcpcd for all interfaces has a lease" wait_for 30 lent eth9
    like "dhcpcd: which does not let go of one" "$(net plan br0 2>&1)" 'would not let go of eth9'
    stop >/dev/null 2>&1
    ip -4 address flush dev eth9
else
    skip "dhcpcd" "dhcpcd is not installed"
fi

# ---- ifupdown ----
if command -v ifup ifdown >/dev/null; then
    own /run/network /etc/network
    mkdir -p /etc/network/if-{pre-up,up,down,post-down}.d
    printf 'iface eth9 inet static\n address 192.0.2.9/24\n gateway 192.0.2.1\n' >/etc/network/interfaces
    ok "ifup" ifup eth9
    before=$(host_text) plain=$(plain)
    like "ifupdown: the plan says that it would configure the NIC again" "$(net plan br0)" 'ifup eth9 would configure it again'
    like "ifupdown: and what would make the bridge, in its dialect" "$(net plan br0 --persistent)" 'iface br0 inet static'
    ok "ifupdown: the bridge" net apply br0
    ok "ifupdown: confirmed" net confirm br0
    is "ifupdown: has the address" "$(address br0)" 192.0.2.9
    ok "ifupdown: the outside is reached" pinged 192.0.2.1
    ok "ifupdown: down" net down br0
    is "ifupdown: all is as before" "$(host_text)" "$before"
    ok "ifupdown: ifdown" ifdown eth9
    is "ifupdown: which takes all away" "$(address eth9)" ""
    ok "ifupdown: and ifup again" ifup eth9
    is "ifupdown: as it was" "$(plain)" "$plain"
    # What is shown to be reviewed does what it says.
    net plan br0 --persistent >"$WORK/interfaces"
    sed -n '/^==>/d; /^note:/d; p' "$WORK/interfaces" >/etc/network/interfaces.new
    ifdown eth9
    mv /etc/network/interfaces.new /etc/network/interfaces
    ok "ifupdown: the files that were shown are taken" ifup br0
    is "ifupdown: they make the bridge" "$(address br0)" 192.0.2.9
    ok "ifupdown: by which the outside is reached" pinged 192.0.2.1
    ok "ifupdown: and ifdown ends it" ifdown br0
    ip link delete br0 2>/dev/null
else
    skip "ifupdown" "ifupdown is not installed"
fi

# ---- systemd-resolved ----
if [ -x /lib/systemd/systemd-resolved ] && command -v resolvectl dbus-daemon >/dev/null; then
    own /run/systemd /run/dbus
    mkdir -p /run/systemd/resolve /run/systemd/system
    chown systemd-resolve: /run/systemd/resolve
    daemon dbus-daemon --system --nofork --nopidfile
    wait_for 10 test -S /run/dbus/system_bus_socket
    daemon /lib/systemd/systemd-resolved
    ok "systemd-resolved runs" wait_for 20 eval 'timeout 5 resolvectl status >/dev/null 2>&1'
    ip link set eth9 up
    ip address replace 192.0.2.9/24 dev eth9
    resolvectl dns eth9 192.0.2.1 2001:db8::1
    resolvectl domain eth9 lan.example '~corp.example'
    servers() { resolvectl dns "$1" | sed 's/^[^:]*: *//'; resolvectl domain "$1" | sed 's/^[^:]*: *//'; }
    before=$(servers eth9)
    like "resolved: the plan moves the name servers" "$(net plan br0)" 'have the name servers of eth9 asked through br0'
    ok "resolved: the bridge" net apply br0
    ok "resolved: confirmed" net confirm br0
    is "resolved: they are asked through the bridge" "$(servers br0)" "$before"
    is "resolved: and not through its port" "$(resolvectl dns eth9 | sed 's/^[^:]*: *//')" ""
    ok "resolved: down" net down br0
    is "resolved: and all is as before" "$(servers eth9)" "$before"
else
    skip "systemd-resolved" "systemd-resolved, resolvectl or dbus-daemon is not installed"
fi
net destroy br0
finish
