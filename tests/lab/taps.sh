#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 1200 s
#
# A VM of a user without rights, on a tap that root made for him: it has the address that is kept for it,
# reaches the outside and is reached through a forward, and is guarded as any other.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"
modprobe -a bridge veth vhost_net
. "$(dirname "$0")/../net/world.bash"
. "$(dirname "$0")/vms.bash"
patience=${PATIENCE:-60}
u=$test_id-u

chmod 666 /dev/net/tun
make_user "$u"
users() { PULT=$WORK/pult "$@"; }
in_guest() { [ "$1" = u ] && in_vm "$u" net "${@:2}"; }

ok "a network with a tap" "$PULT" network create nat0 --kind nat --subnet 10.9.0.0/24 --subnet fd00:9::/64 --tap tap-u,user=54321
out=$("$WORK/pult" create vm no --kernel "$kernel" --net nat0 2>&1)
like "the network itself is not his, and he is told what is" "$out" "pult network tap add nat0 NAME,user=54321"
out=$("$WORK/pult" create vm no --kernel "$kernel" --net tap=tap-u 2>&1)
like "before it is up neither is the tap" "$out" "there is no tap 'tap-u'.*pult network tap add NETWORK tap-u,user=54321"
ok "apply" "$PULT" network apply nat0
out=$("$WORK/pult" create vm no --kernel "$kernel" --net tap=tap-u,mac=02:00:00:00:00:99 2>&1)
like "another MAC than the tap's: refused" "$out" "of the tap 'tap-u' a guest has the address ..:.*leave mac= away"
users make_cards "$u" net --net tap=tap-u,queues=2 --cpus 2
ok "his VM starts" "$WORK/pult" start "$u"
mac=$("$PULT" network info nat0 -o json | sed -n '/"taps"/,/\]/s/.*"mac": "\(.*\)".*/\1/p')
at=$("$PULT" network info nat0 -o json | sed -n '/"taps"/,/\]/s/.*"address": "\(.*\)".*/\1/p')
is "with the tap's MAC" "$("$WORK/pult" info "$u" -o json | sed -n 's/.*"mac": "\(.*\)".*/\1/p')" "$mac"
ok "it has an address by DHCP" wait_for 600 env PULT="$WORK/pult" "$BASH" -c '"$PULT" log '"$u"' | grep -q "all done"'
"$WORK/pult" log "$u" | tr -d '\r' | sed 's/^/# /'
is "the one that is kept for it" "$(address u)" "$at"
reaches tap u http://192.0.2.1/ outside
reaches tap u 'http://[2001:db8::1]/' outside
ok "a forward that names the tap" "$PULT" network forward add nat0 tcp:8095:tap-u:80
reaches tap outside http://192.0.2.7:8095/ "$u.net"
ok "root sees that it is used" eval '"$PULT" network info nat0 -o json | grep -q "\"used\": true"'
ok "two queues" eval 'in_guest u ip link show dev eth0 | grep -q "qdisc mq"'
in_guest u ip link set eth0 address 02:00:00:00:00:99
not() { ! "$@"; }
ok "with another MAC nothing passes" not in_guest u ping -c 1 -W 2 10.9.0.1
in_guest u ip link set eth0 address "$mac"
ok "with its own it does" wait_for "$patience" in_guest u ping -c 1 -W 2 10.9.0.1
like "not taken down under it" "$("$PULT" network down nat0 2>&1)" "a guest has the tap 'tap-u'"
"$WORK/pult" kill "$u"
ok "when it has ended, it is" wait_for 20 "$PULT" network down nat0
ok "and comes again" "$PULT" network apply nat0
gone nat0
finish
