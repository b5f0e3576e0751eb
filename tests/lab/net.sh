#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 900 s
#
# Networks of VMs with a stock kernel: its virtio_net gets an address by DHCP from a server in another
# namespace, over a tap in a bridge, served by pult and by vhost-net; files go both ways through TCP
# with all offloads; and by passt, as a user without rights, with a port that is forwarded.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64
kernel=$cache/linux-cloud-amd64/vmlinux
modprobe -a bridge veth vhost_net

# The host's side: a bridge with an address, and a DHCP server that is in reach of it alone.
ip link add br9 type bridge && ip addr add 10.99.0.1/24 dev br9 && ip link set br9 up
ip netns add "$test_id"
at_exit "ip netns del $test_id; umount -q /run/netns; ip link del br9"
ip link add far type veth peer name near netns "$test_id"
ip link set far master br9 up
ip -n "$test_id" addr add 10.99.0.2/24 dev near && ip -n "$test_id" link set near up
ip route add default via 10.99.0.2
ip netns exec "$test_id" dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --interface=near \
    --bind-interfaces --dhcp-authoritative --dhcp-range=10.99.0.50,10.99.0.90,255.255.255.0,1h \
    --dhcp-option=option:router,10.99.0.2 --dhcp-leasefile="$WORK/leases" >"$WORK/dnsmasq" 2>&1 &
at_exit "kill $!"

# What the guest fetches, and where it brings it back to.
dir=$WORK/top
mkdir -p "$dir" "$WORK/www"
chmod 755 "$WORK" "$dir" "$WORK/www"
head -c 3000000 /dev/urandom >"$WORK/www/big"
sum=$(md5sum <"$WORK/www/big")
python3 -m http.server -b 0.0.0.0 -d "$WORK/www" 8001 >/dev/null 2>&1 &
at_exit "kill $!"
socat -u TCP-LISTEN:8002,reuseaddr,fork "SYSTEM:cat >$WORK/back.\$SOCAT_PEERPORT" 2>/dev/null &
at_exit "kill $!"
ok "there is a server to fetch from" wait_for 60 socat -u OPEN:/dev/null TCP:127.0.0.1:8001
reached() { [ "$(socat -t 30 - "TCP:$1" </dev/null 2>/dev/null)" = "guest was reached" ]; } # ADDRESS:PORT
came_back() { [ "$(cat "$WORK"/back.* 2>/dev/null | md5sum)" = "$sum" ]; }

cat >"$dir/dhcp" <<'GUEST'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo "bound: $ip mtu ${mtu:-none}"
GUEST
cat >"$dir/guest.sh" <<'GUEST'
host=$(sed 's/.*host=//; s/ .*//' /proc/cmdline)
[ ! -e /mnt/reboots ] || [ -e /mnt/second ] || touch_second=1
ip link set lo up; ip link set eth0 up
eth=/sys/class/net/eth0
echo "driver: $(basename $(readlink $eth/device/driver)), queues: $(ls -d $eth/queues/rx-* | wc -l)"
echo "address: $(cat $eth/address)"
echo "features: $(cat $eth/device/features)"
cp /mnt/dhcp /tmp/dhcp; chmod +x /tmp/dhcp
udhcpc -i eth0 -n -q -t 20 -T 1 -s /tmp/dhcp 2>/dev/null || echo "no lease"
[ -z "$touch_second" ] || { : >/mnt/second; reboot -f; }
# Bytes a frame on average, in one direction at a time: what goes the other way is acknowledgements.
count() { echo $(sed -n 's/.*eth0: *//p' /proc/net/dev); }
frames() { echo "$2 $3" | awk -v b=$4 -v way="$1" '{ n = $(b + 17) - $(b + 1); if (n) print way, int(($(b + 16) - $b) / n) }'; }
t0=$(count)
wget -q -O /tmp/got http://$host:8001/big && echo "fetched: $(md5sum </tmp/got)"
t1=$(count)
nc $host 8002 </tmp/got && echo "brought back"
t2=$(count)
echo "frames: $(frames received "$t0" "$t1" 1), $(frames sent "$t1" "$t2" 9)"
for i in 1 2 3; do
    nc -l -p 80 -e echo "guest was reached" && break
done &
echo "guest ready"
[ ! -e /mnt/wait ] || wait
dmesg | grep -iE "virtio_net.*(error|fail)|] BUG:|transmit queue.*timed out|TX timeout|bad gso|hw csum failure" | sed 's/^/complaint: /'
echo "script done"
GUEST

# run_guest OPTION...: what a guest prints that does all that.
run_guest()
{
    rm -f "$WORK"/back.*
    timeout 240 "$PULT" run --vm --kernel "$kernel" --initrd "$initrd" --memory 256M --share "$dir" "$@" \
        </dev/null 2>&1 | tr -d '\r'
}

# Bits of the negotiated features, the first being 0: CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6,
# HOST_TSO4, HOST_TSO6, MRG_RXBUF, CTRL_VQ (virtio 1.2, 5.1.3).
offloads() # OUTPUT
{
    local bits i
    bits=$(sed -n 's/^features: //p' <<<"$1" | tail -n 1)
    for i in 0 1 7 8 11 12 15 17; do printf '%s' "${bits:$i:1}"; done
}

check() # NAME OUTPUT
{
    like "$1: it gets an address" "$2" 'bound: 10\.99\.0\.[5-9][0-9]'
    is "$1: all offloads are in use" "$(offloads "$2")" 11111111
    like "$1: a file comes whole" "$2" "fetched: $sum"
    ok "$1: and goes back whole" wait_for 20 came_back
    like "$1: in frames that are longer than the MTU" "$2" 'frames: received ([2-9][0-9]{3}|[0-9]{5}), sent ([2-9][0-9]{3}|[0-9]{5})'
    like "$1: to the end" "$2" "script done"
    is "$1: no complaints" "$(grep '^complaint' <<<"$2")" ""
}

out=$(run_guest --net bridge=br9,vhost=off,mac=02:00:00:00:99:01 --append "console=ttyS0 quiet do=script host=10.99.0.1")
sed 's/^/# /' <<<"$out"
like "the stock driver takes it" "$out" 'driver: virtio_net, queues: 1'
like "with the address that it was given" "$out" 'address: 02:00:00:00:99:01'
check "a tap, by pult" "$out"
like "the server knows it by that" "$(cat "$WORK/leases")" '02:00:00:00:99:01 10\.99\.0'
is "the tap is gone with it" "$(ip -br link show type tun)" ""

# By the kernel, with two pairs of queues, once more after a reboot, and watched meanwhile.
if [ -e /dev/vhost-net ]; then
    rm -f "$WORK"/back.*
    : >"$dir/reboots"
    ip tuntap add t9 mode tap multi_queue && ip link set t9 master br9
    v=$test_id-k
    "$PULT" create vm "$v" --kernel "$kernel" --initrd "$initrd" --memory 256M --cpus 2 --share "$dir" \
        --net tap=t9,queues=2,vhost=on --append "console=ttyS0 quiet do=script host=10.99.0.1"
    : >"$dir/wait"
    ok "start one by vhost-net" "$PULT" start "$v"
    ok "it reboots, and is there again" wait_for 240 has_printed "$v" "guest ready"
    out=$("$PULT" log "$v" | tr -d '\r')
    at=$(sed -n 's/^bound: \([0-9.]*\).*/\1/p' <<<"$out" | tail -n 1)
    is "pult knows where it is" "$("$PULT" info "$v" -o json | python3 -c 'import json, sys; print(*json.load(sys.stdin)["addresses"])')" "$at"
    rm -f "$dir/wait"
    ok "the host reaches it" wait_for 240 reached "$at:80"
    ok "it ends" "$PULT" wait -s stopped -t 90 "$v"
    out=$("$PULT" log "$v" | tr -d '\r')
    sed 's/^/# /' <<<"$out"
    like "the log says who serves it" "$(cat "$PULT_HOME/guests/$v/log")" "tap 't9', served by the kernel"
    is "two leases: before and after" "$(grep -c '^bound' <<<"$out")" 2
    like "two pairs of queues" "$out" 'queues: 2'
    check "vhost-net" "$out"
    "$PULT" destroy "$v"
    ip link del t9
    rm -f "$dir/reboots" "$dir/second"
else
    skip "vhost-net" "the lab's kernel has none"
fi

# Without rights. The gateway's address leads to the host's own loopback, as is asked for.
chmod 711 "$(dirname "$WORK")" 2>/dev/null
mkdir -p "$WORK/user" && chown -R 65534:65534 "$WORK/user"
chmod 644 "$initrd" "$dir"/*
: >"$dir/wait" && chmod 644 "$dir/wait"
cat >"$WORK/as-user" <<END
export PULT_HOME=$WORK/user/home PULT_RUN=$WORK/user/run PULT_CACHE=$WORK/user/cache HOME=$WORK/user
exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "\$@"
END
rm -f "$WORK"/back.*
timeout 240 bash "$WORK/as-user" "$PULT" run --vm --kernel "$kernel" --initrd "$initrd" --memory 256M \
    --share "$dir" --net user,host-loopback,forward=tcp:127.0.0.1:8080:80 \
    --append "console=ttyS0 quiet do=script host=10.99.0.2" </dev/null >"$WORK/user.out" 2>&1 &
user=$!
ok "a user's guest by passt" wait_for 200 grep -q "guest ready" "$WORK/user.out"
ok "a port of the host is its own" wait_for 240 reached 127.0.0.1:8080
wait $user
out=$(tr -d '\r' <"$WORK/user.out")
sed 's/^/# /' <<<"$out"
like "it gets the host's address" "$out" 'bound: 10\.99\.0\.1 mtu'
like "a file comes whole" "$out" "fetched: $sum"
ok "and goes back whole" wait_for 20 came_back
like "to the end" "$out" "script done"
is "no complaints" "$(grep '^complaint' <<<"$out")" ""
ok "passt is gone with it" eval '! ps -e -o comm= | grep -q "^passt"'

# A throwaway VM of this machine: its network is there when its command runs, if it was asked for.
out=$(timeout 240 "$PULT" run --vm --kernel "$cache/linux-cloud-amd64/vmlinuz" --memory 512M --net user,host-loopback -- sh -c \
    'ip -4 -o addr show eth0; ip route; busybox wget -q -O - http://10.99.0.2:8001/big | md5sum' </dev/null 2>&1)
like "a throwaway VM has an address" "$out" 'eth0 +inet 10\.99\.0\.1/24'
like "a route" "$out" 'default via 10\.99\.0\.2 dev eth0'
like "and the network" "$out" "$sum"
finish
