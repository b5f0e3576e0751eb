# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the shell tests of networks share: . "$(dirname "$0")/net.bash"
#
# The guard's network namespace is "the host". Its NIC is eth9, wired to the namespace "outside",
# where 192.0.2.1 and 2001:db8::1 are the router of a LAN, with a server on port 7 (TCP) that says
# "outside". Nothing here leaves these two.
#
#     outside CMD...      there
#     serve PORT TEXT     a server in the outside
#     ask [-6] HOST PORT  what a server says, asked from here
#     host_text           the host's network, without what counts down

. "$(dirname "$0")/../lib.sh"
pult() { timeout 60 "$PULT" "$@"; }
net() { pult network "$@"; }

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ "$(ls /sys/class/net 2>/dev/null | wc -l)" != 0 ] && [ -z "$(ip -o link | grep -v ' lo:')" ] ||
    skip_all "needs a network namespace of its own (tests/guard)"
for p in nft dnsmasq socat ip; do
    command -v $p >/dev/null || [ -x /usr/sbin/$p ] || skip_all "$p is not installed"
done
chmod 711 "$WORK" # dnsmasq, which runs as nobody, passes through
mkdir -p /run/netns
mount -t tmpfs spaces /run/netns
mount --make-private /run/netns
at_exit 'while umount -l /run/netns 2>/dev/null; do :; done'
outside() { ip netns exec outside "$@"; }

make_outside()
{
    ip netns add outside
    ip link add eth9 type veth peer name far9 netns outside
    at_exit 'ip link delete eth9 2>/dev/null; ip netns delete outside 2>/dev/null'
    sysctl -qw net.ipv6.conf.eth9.accept_dad=0
    outside sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.far9.accept_dad=0
    outside ip link set lo up
    outside ip link set far9 up
    outside ip address add 192.0.2.1/24 dev far9
    outside ip address add 2001:db8::1/64 dev far9 nodad
    ip link set eth9 up
    ip address add 192.0.2.2/24 brd + dev eth9
    ip address add 2001:db8::2/64 dev eth9 nodad
    ip route add default via 192.0.2.1 dev eth9
    ip -6 route add default via 2001:db8::1 dev eth9
    serve 7 outside
}

# Ends with the test.
serve()
{
    outside socat "TCP6-LISTEN:$1,fork,reuseaddr,ipv6only=0" SYSTEM:"echo $2" &
    at_exit "kill $! 2>/dev/null; wait $! 2>/dev/null"
    at_exit "ip netns pids outside | xargs -r kill 2>/dev/null"
    wait_for 5 ask 192.0.2.1 "$1" >/dev/null
}

# What a server says without being asked, to its end. (Who hangs up on his side is given half a second.)
ask() { socat -T 10 -u "TCP:$1:$2,connect-timeout=2" - 2>/dev/null | grep .; }

host_text()
{
    ip -o link | sed 's/^[0-9]*: //; s/ qlen.*\\/ /; s/@if[0-9]*//; s/ link-netns.*//; s/ state [A-Z]*//'
    ip -o address | grep -v ' fe80:' | sed 's/^[0-9]*: //; s/ *valid_lft.*//'
    ip route show table main
    ip -6 route show table main | grep -v fe80
    ip rule
    ip -6 rule
    sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv6.conf.eth9.accept_ra
    nft list ruleset
}

make_busybox_rootfs "$WORK/root"
# guest NAME [OPTION...]: a container of busybox, with a server on port 80 that says "inside".
guest()
{
    local name=$1
    shift
    cp -a "$WORK/root" "$WORK/root-$name"
    pult create ct "$name" --rootfs "$WORK/root-$name" "$@" -- \
        /bin/sh -c 'while :; do echo inside | nc -l -p 80; done' >/dev/null &&
        pult start "$name" >/dev/null
}
in_guest() { timeout 20 "$PULT" exec "$1" -- /bin/sh -c "$2" </dev/null 2>/dev/null; }
# reaches GUEST HOST: does an echo request come back?
reaches() { in_guest "$1" "ping -c 1 -W 2 $2" >/dev/null; }
# pinged HOST [CMD...]: the same from here, or (CMD) elsewhere.
pinged()
{
    local host=$1
    shift
    "$@" busybox ping -c 1 -W 2 "$host" >/dev/null
}
not() { ! "$@"; }
