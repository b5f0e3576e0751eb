# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the shell tests of networks share: . "$(dirname "$0")/net.bash"
#
# The guard gave this test network and mount namespaces of its own: they are the "host". Its NIC
# `wan` leads to the namespace "outside":
#
#     host   wan 192.0.2.2/24, 2001:db8::2/64, default route ── out0 192.0.2.1, 2001:db8::1   outside
#
#     outside CMD...     run it there
#     has NAME IF RE     is there a line that matches RE in `ip addr` of a container's interface?
#     ports              the interfaces that lead to guests
#     mac_of IF          an address of the host's
#     bridge NAME [ADDRESS]   make one, until the test ends

. "$(dirname "$0")/../engine/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
ip link add type veth 2>/dev/null || skip_all "no network interfaces can be made here"
for i in $(ip -br link | sed -n 's/^\(veth[^@ ]*\)@.*/\1/p' | head -n 1); do ip link del "$i"; done

outside() { nsenter --net="/proc/$outside_pid/ns/net" "$@"; }

ip link set lo up
unshare -n sleep infinity &
outside_pid=$!
at_exit "kill $outside_pid"
wait_for 10 test ! /proc/$outside_pid/ns/net -ef /proc/self/ns/net
at_exit "ip link del wan 2>/dev/null"
ip link add wan type veth peer name out0 netns $outside_pid
ip addr add 192.0.2.2/24 dev wan && ip addr add 2001:db8::2/64 dev wan nodad
outside ip addr add 192.0.2.1/24 dev out0 && outside ip addr add 2001:db8::1/64 dev out0 nodad
outside ip link set lo up && outside ip link set out0 up && ip link set wan up
ip route add default via 192.0.2.1 && ip route add default via 2001:db8::1

has() { pult exec "$1" -- ip addr show dev "$2" </dev/null 2>/dev/null | grep -Eq "$3"; }
ports() { ip -br link | sed -n 's/^\(pv[0-9a-f]*\.[0-9]*\).*/\1/p'; }
mac_of() { ip -o link show dev "$1" | sed -n 's/.*link\/ether \([^ ]*\).*/\1/p'; }
ping() { busybox ping "$@"; }
bridge()
{
    ip link add "$1" type bridge && at_exit "ip link del '$1' 2>/dev/null" && ip link set "$1" up &&
        { [ $# -eq 1 ] || ip addr add "$2" dev "$1"; }
}
no_ports() { [ -z "$(ports)" ]; }

# serve PORT TEXT: who connects to it outside is told TEXT.
serve()
{
    nsenter --net="/proc/$outside_pid/ns/net" socat "TCP-LISTEN:$1,fork,reuseaddr" "SYSTEM:echo $2" &
    at_exit "kill $!"
    wait_for 10 outside socat -u "TCP:127.0.0.1:$1" -
}
