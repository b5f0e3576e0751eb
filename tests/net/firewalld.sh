#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Beside the real firewalld, which finds a /run and an /etc of its own here: what it stops is named,
# is really stopped, is mended with consent by its own means, and is as before when the network goes.
# timeout: 400 s
. "$(dirname "$0")/net.bash"

firewalld=$(PATH=$PATH:/usr/sbin command -v firewalld)
[ -n "$firewalld" ] && command -v dbus-daemon firewall-cmd >/dev/null || skip_all "firewalld or dbus-daemon is not installed"
for dir in /run/dbus /run/firewalld /etc/firewalld; do
    mkdir -p "$dir"
    mount -t tmpfs own "$dir"
    at_exit "umount -l $dir"
done
mkdir -p /etc/firewalld/{zones,policies,services,ipsets,helpers,icmptypes}
printf 'DefaultZone=public\nCleanupModulesOnExit=no\n' >/etc/firewalld/firewalld.conf
make_outside
outside ip route add 10.9.0.0/24 via 192.0.2.2
daemon() { "$@" >>"$WORK/daemons.log" 2>&1 & at_exit "kill $! 2>/dev/null; wait $! 2>/dev/null"; }
daemon dbus-daemon --system --nofork --nopidfile
wait_for 10 test -S /run/dbus/system_bus_socket
daemon "$firewalld" --nofork --nopid
ok "firewalld runs" wait_for 90 eval 'timeout 15 firewall-cmd --state 2>/dev/null | grep -q running'
firewall-cmd --permanent --zone=public --add-interface=eth9 >/dev/null
firewall-cmd --reload >/dev/null
# Of who goes where: the chains of a zone that was used once firewalld keeps, empty and unused.
rules() { for c in filter_INPUT filter_FORWARD filter_INPUT_ZONES filter_FORWARD_ZONES; do nft -s list chain inet firewalld $c; done; }
before=$(rules)

# The first line of the doctor's that is bad, and what is done about it.
first() { net doctor "$1" | grep -A 1 -m 1 ^BAD; }
has_names() { in_guest "$1" 'nslookup localhost 10.9.0.1 2>&1' | grep -q 'Address.*10.9.0.1'; }

stopped()
{
    local name=$1
    like "$name: the plan names firewalld" "$(net plan "$name")" 'firewalld drops .*net.mend = on lets it pass'
    ok "$name: up without consent" net apply "$name"
    ok "$name: a guest" guest web --net "$name"
    ok "$name: which cannot ask for names" not has_names web
    like "$name: the doctor names firewalld" "$(first "$name")" "firewalls *firewalld drops"
    like "$name: and the remedy" "$(first "$name")" 'net.mend=1'
    pult destroy --force web
    ok "$name: down" net down --force "$name"
    is "$name: its rules are as before" "$(rules)" "$before"
}

mended()
{
    local name=$1
    net set "$name" net.mend=1
    like "$name: the plan has it mended" "$(net plan "$name")" "firewall-cmd --zone=trusted --add-interface=$name"
    ok "$name: up with consent" net apply "$name"
    is "$name: in its zone" "$(firewall-cmd --get-zone-of-interface="$name")" trusted
    is "$name: nothing is wrong" "$(first "$name")" ""
    ok "$name: a guest" guest web --net "$name"
    ok "$name: which has names" has_names web
    ok "$name: and reaches the outside" reaches web 192.0.2.1
    at=$(pult list -o json | sed -n 's/.*"\(10\.9\.0\.[0-9]*\)".*/\1/p' | head -n 1)
    [ "$name" != rou0 ] || ok "$name: which reaches it ($at)" wait_for 5 pinged "$at" outside
}

forgotten()
{
    local name=$1
    firewall-cmd --reload >/dev/null
    like "$name: the doctor finds that firewalld forgot" "$(first "$name")" "firewalls *firewalld drops.*"
    eval "$(first "$name" | sed -n 's/^ *→ //p')" >/dev/null
    is "$name: the remedy mends it" "$(firewall-cmd --get-zone-of-interface="$name")" trusted
}

gone()
{
    local name=$1
    pult destroy --force web
    ok "$name: destroyed" net destroy --force "$name"
    is "$name: and firewalld is as before" "$(rules)" "$before"
}
PATH=$(dirname "$PULT"):$PATH
ok "a NAT network" net create nat0 --kind nat --subnet 10.9.0.0/24
stopped nat0
mended nat0
forgotten nat0
gone nat0
ok "a routed network" net create rou0 --kind routed --subnet 10.9.0.0/24
mended rou0
gone rou0
finish
