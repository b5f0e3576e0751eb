#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
# Networks without any rights: containers with pasta, root's and an ordinary user's.
. "$(dirname "$0")/cards.bash"
command -v pasta >/dev/null || skip_all "pasta is not there"

# /dev/net/tun is everybody's on most systems: here by a node of this test's own.
mkdir "$WORK/dev" && mount -t tmpfs -o mode=755 dev "$WORK/dev" && at_exit "umount -l '$WORK/dev'"
mknod -m 666 "$WORK/dev/tun" c 10 200 && mount --bind "$WORK/dev/tun" /dev/net/tun || skip_all "no /dev/net/tun"
at_exit "umount -l /dev/net/tun"
serve 8000 greetings
n=u-$test_id
# Their side stays open, by a pipe that never ends: where that is closed at once, pasta of 2023 now and then does
# not pass on that the other has closed, too.
open='mkfifo /tmp/p; exec 3<>/tmp/p; rm /tmp/p'
fetch() { "$1" exec "$n" -- sh -c "$open; nc -w 5 192.0.2.1 8000 <&3" </dev/null; }
no_pasta() { ! pgrep -f "^pult: pasta $n" >/dev/null; }
hello() { [ "$(socat -u TCP:127.0.0.1:"$1" - 2>/dev/null)" = hello ]; }

ok "root's" pult create container "$n" --rootfs "$ROOT" --net user,forward=tcp:8081:81,mtu=1400,mac=02:00:00:00:00:09 -- \
    /bin/nc -ll -p 81 -e /bin/echo hello
ok "starts" pult start "$n"
ok "its interface" has "$n" eth0 'ether 02:00:00:00:00:09'
is "reaches the outside" "$(fetch pult)" greetings
ok "a forward of the host's leads to it" wait_for 10 hello 8081
# Somebody else, who says something first: see docs/networks.md.
told() { [ "$("${@:2}" socat -t 3 - "TCP:$1" </dev/null 2>/dev/null)" = hello ]; }
ok "also from outside" told 192.0.2.2:8081 outside
ok "by IPv6" wait_for 10 told '[2001:db8::2]:8081' outside
ok "and from the host, by the address that both have" told 192.0.2.2:8081
like "its name server" "$(pult exec "$n" -- cat /etc/resolv.conf </dev/null)" 'nameserver 169\.254\.1\.1'
refused "a port that is taken" "forward=tcp:8081:82.*listen at TCP port 8081" pult run --net user,forward=tcp:8081:82 --rootfs "$ROOT" -- true
# What listens at the host's loopback only is reached where that was asked for, at the gateway's address.
socat TCP-LISTEN:8001,bind=127.0.0.1,fork,reuseaddr 'SYSTEM:echo loopback' &
at_exit "kill $!"
listens() { [ "$(socat -u TCP:127.0.0.1:8001 -)" = loopback ]; }
wait_for 10 listens
loopback() { "$1" run --net "user$2" --rootfs "$3" -- sh -c "$open; exec 2>/dev/null; nc -w 3 192.0.2.1 8001 <&3; nc -w 3 127.0.0.1 8001 <&3; nc -w 5 192.0.2.1 8000 <&3" </dev/null 2>/dev/null; }
is "the host's loopback is out of reach" "$(loopback pult "" "$ROOT")" greetings
like "but where it is wanted" "$(loopback pult ,host-loopback "$ROOT")" ^loopback
victim=$(pgrep -P "$(pgrep -f "^pult: pasta $n")")
kill -9 "$victim"
again() { [ "$(fetch pult 2>/dev/null)" = greetings ]; }
ok "a killed pasta is started again" wait_for 30 again
like "and the log says so" "$(cat "$PULT_HOME/guests/$n/log")" 'pasta ended \(signal 9\)'
ok "stop" pult stop --timeout 0 "$n"
ok "ends it" wait_for 10 no_pasta
ok "start" pult start "$n"
kill -9 "$(id_of "$n" keeper_pid)"
ok "with a killed keeper it ends, too" wait_for 10 no_pasta
pult destroy "$n" --force
ip route del default; ip -6 route del default
ok "a host without a network" pult create container "$n" --rootfs "$ROOT" --net user -- /bin/sleep 1000
ok "starts it" pult start "$n"
like "and says so" "$(cat "$PULT_HOME/guests/$n/log")" 'there is no network yet'
ip route add default via 192.0.2.1
ok "which comes later" wait_for 60 again
pult kill "$n"; pult destroy "$n"

# ---- an ordinary user ----
uid=54321
as() { setpriv --reuid=$uid --regid=$uid --clear-groups env "$@"; }
u() { as HOME="$WORK/u" PULT_HOME="$WORK/u/home" PULT_RUN="$WORK/u/run" timeout 60 "$WORK/pult" "$@"; }
if as unshare -U true 2>/dev/null; then
    chmod 711 "$WORK" "${TMPDIR:-/tmp}"
    cp "$PULT" "$WORK/pult"
    mkdir -p "$WORK/u" && chown $uid:$uid "$WORK/u"
    cp -a "$ROOT" "$WORK/uroot" && chown -R $uid:$uid "$WORK/uroot"
    ok "a user's container" u create container "$n" --rootfs "$WORK/uroot" -- /bin/sleep 1000
    is "has that network by itself" "$(u config get "$n" guest.net.0)" user
    ok "starts" u start "$n"
    is "reaches the outside" "$(fetch u)" greetings
    ok "stops" u stop --timeout 0 "$n"
    ok "pasta with it" wait_for 10 no_pasta
    is "run" "$(u run --net user --rootfs "$WORK/uroot" -- sh -c "$open; nc -w 5 192.0.2.1 8000 <&3" </dev/null)" greetings
    is "nor does that reach the host's loopback" "$(loopback u "" "$WORK/uroot")" greetings
    bridge br0
    refused "no bridge for him" "made by root.*user" u run --net bridge=br0 --rootfs "$WORK/uroot" -- true
    u destroy "$n"
else
    skip "a user's container" "users may make no user namespaces here"
fi
finish
