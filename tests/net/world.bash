# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A host and its LAN, for tests of all kinds of networks: . "$(dirname "$0")/world.bash", after lib.sh.
#
# The host is the test's own network namespace, with eth0, a pretended NIC. "Outside" is another: the
# router of the LAN, 192.0.2.1 and 2001:db8::1, which serves HTTP, names and DHCP.
#
#     serve_lan [OPTION...]  begin with that: dnsmasq, at the interface $lan of the outside
#     o CMD...               run it outside
#     guest NAME NET...      a container in these networks that serves its name by HTTP
#     in_guest NAME CMD...   run it in there
#     fetch WHERE URL        what is had from there: in a guest, on the host, or outside
#     reaches TEST WHERE URL ANSWER, cannot TEST WHERE URL   test points
#     address GUEST [6]      of its eth0
#     host                   the host's own configuration, to be compared
#     gone NETWORK           test points: it can be destroyed, and the host is then as it was
#     end GUEST...           no such guests any more

[ "$(id -u)" = 0 ] || skip_all "needs root, for interfaces"
ip link show eth0 >/dev/null 2>&1 && skip_all "needs a network namespace of its own"
for p in nft dnsmasq busybox; do
    command -v $p >/dev/null || skip_all "needs $p"
done
chmod 711 "$WORK"

unshare -n sleep 10000 &
outside=$!
at_exit "kill $outside"
o() { nsenter -t $outside -n "$@"; }
wait_for 5 eval '[ "$(readlink /proc/$outside/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
ip link set lo up
ip link add eth0 type veth peer name lan0 netns $outside
ip link set eth0 up
ip address add 192.0.2.7/24 dev eth0
ip -6 address add 2001:db8::7/64 dev eth0 nodad
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
o ip link set lo up
o ip link set lan0 up
o ip address add 192.0.2.1/24 dev lan0
o ip -6 address add 2001:db8::1/64 dev lan0 nodad
echo 'nameserver 192.0.2.1' >"$WORK/resolv.conf"
mount --bind "$WORK/resolv.conf" "$(readlink -f /etc/resolv.conf)"
at_exit "umount '$(readlink -f /etc/resolv.conf)'"

lan=lan0
# It looks for nobody who may have an address already: four who ask at once would wait for each other.
serve_lan()
{
    nsenter -t $outside -n dnsmasq -k -C /dev/null --pid-file= --no-resolv --no-hosts --no-ping --user=root --interface=$lan \
        --bind-interfaces --address=/www.example/192.0.2.1 --address=/www.example/2001:db8::1 \
        --dhcp-range=192.0.2.100,192.0.2.200 --dhcp-leasefile="$WORK/lan.leases" "$@" 2>"$WORK/lan.log" &
    at_exit "kill $!"
}

mkdir "$WORK/www"
echo outside >"$WORK/www/index.html"
nsenter -t $outside -n busybox httpd -f -p '[::]:80' -h "$WORK/www" &
at_exit "kill $!"
make_busybox_rootfs "$WORK/root"
mkdir -p "$WORK/root/var/www"

guest()
{
    local name=$test_id-$1 net=()
    shift
    for n in "$@"; do net+=(--net "$n"); done
    cp -r "$WORK/root" "$WORK/$name"
    echo "$name" >"$WORK/$name/var/www/index.html"
    "$PULT" create container "$name" --rootfs "$WORK/$name" "${net[@]}" -- \
        /bin/httpd -f -p '[::]:80' -h /var/www && "$PULT" start "$name"
}
at_exit 'for n in $("$PULT" network list -o json | sed -n "s/.*\"name\": \"\(.*\)\".*/\1/p"); do
    "$PULT" network destroy --force $n >/dev/null 2>&1; done'
at_exit '"$PULT" kill $("$PULT" list --names) >/dev/null 2>&1'
in_guest() { "$PULT" exec "$test_id-$1" -- "${@:2}"; }

# busybox' own wget does not run on every host. The asking side stays open, by a pipe that never ends: to one
# that closed it at once, passt of 2023 now and then does not pass on that the other has closed, too.
fetch()
{
    local url=${2#http://} run=(in_guest "$1") nc=nc host port=80 path
    path=${url#*/}
    url=${url%%/*}
    case $1 in
    host)    run=() nc="busybox nc" ;;
    outside) run=(o) nc="busybox nc" ;;
    esac
    if [[ $url =~ :([0-9]+)$ ]] && { [[ $url == \[* ]] && [[ $url == *\]:* ]] || [[ $url != \[* ]]; }; then
        port=${BASH_REMATCH[1]}
        url=${url%:*}
    fi
    host=${url#[}
    host=${host%]}
    ${run[@]+"${run[@]}"} sh -c "f=/tmp/ask.\$\$; mkfifo \$f; exec 3<>\$f; rm \$f
        printf 'GET /$path HTTP/1.0\r\n\r\n' >&3; timeout 20 $nc -w 3 $host $port <&3" </dev/null |
        sed '1,/^\r$/d'
} 2>/dev/null
wait_for 10 eval 'fetch outside http://192.0.2.1/ | grep -q outside'

patience=10 # seconds
reaches()
{
    wait_for $patience answers "$2" "$3"
    is "$1: $2 reaches $3" "$answer" "$4"
}
answers() { answer=$(fetch "$1" "$2") && [ -n "$answer" ]; }
cannot() { is "$1: $2 does not reach $3" "$(fetch "$2" "$3")" ""; }
address()
{
    in_guest "$1" ip -"${2:-4}" -o address show dev eth0 scope global |
        sed -n 's/.*inet6\? \([^/]*\).*/\1/p' | head -n 1
}
host() { ip -o address | sed 's|valid_lft.*||; s| tentative||' | grep -v 'fe80' | sort; ip route; ip -6 route | grep -v fe80 | sed 's| expires .*||' | sort; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/eth0/accept_ra; }
before=$(host)
gone() { ok "$1: destroyed" "$PULT" network destroy "$1"; is "$1: the host is as it was" "$(host)" "$before"; }
end() { for g in "$@"; do "$PULT" kill "$test_id-$g"; "$PULT" destroy "$test_id-$g"; done; }
