#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200 s
#
# Taps that root makes for a user's own guests: whose they are, what passes from them, when they come and
# go, and what is refused. The user's guest is a program that opens the tap as he may, and makes frames.
. "$(dirname "$0")/net.bash"

python=$(PATH=/usr/bin:/bin command -v python3) || skip_all "python3 is not installed" # for all users
[ -c /dev/net/tun ] || skip_all "there is no /dev/net/tun"
make_outside
before=$(host_text)
printf '%s\n' "root:x:0:0::/root:/bin/sh" "bob:x:54321:54321::/:/bin/sh" >"$WORK/passwd"
printf '%s\n' "root:x:0:" "students:x:54400:" "nogroup:x:65534:" >"$WORK/group"
mount --bind "$WORK/passwd" /etc/passwd && at_exit "umount /etc/passwd"
mount --bind "$WORK/group" /etc/group && at_exit "umount /etc/group"
# Where /dev/net/tun is root's alone, here it is everybody's, as udev has it.
mknod -m 666 "$WORK/tun" c 10 200 && mount --bind "$WORK/tun" /dev/net/tun && at_exit "umount /dev/net/tun"

as() { setpriv --reuid "$1" --regid "$2" --clear-groups --inh-caps=-all --bounding-set=-all "${@:3}"; }
# guest UID GID TAP MAC WORD...: what a guest gets there. open: it is attached, with these flags; ask IP: who has
# the gateway's address; dhcp: the address it is offered; hold: "held", until its input ends.
cat >"$WORK/guest.py" <<'END'
import fcntl, os, select, socket, struct, sys, time
name, mac, what = sys.argv[1], bytes.fromhex(sys.argv[2].replace(':', '')), sys.argv[3]
TUNSETIFF, TUNGETIFF, TAP, NO_PI, HEADER, QUEUES = 0x400454ca, 0x800454d2, 2, 0x1000, 0x4000, 0x100
def attach():
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), TAP | NO_PI | HEADER | QUEUES))
    return fd
try:
    fd = attach()
    other = attach()
except OSError as e:
    sys.exit(print(e.strerror) or 1)
def answer(frame, found, seconds):
    end, again = time.time() + seconds, 0
    while (now := time.time()) < end:
        if now >= again:
            os.write(fd, bytes(10) + frame + bytes(max(0, 60 - len(frame))))
            again = now + 1
        for q in select.select([fd, other], [], [], min(end, again) - now)[0]:
            got = found(os.read(q, 65536)[10:])
            if got: return got
    return 'nothing'
def sum16(b):
    s = sum(struct.unpack('>%dH' % (len(b) // 2), b))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
if what == 'open':
    flags, = struct.unpack('16xH22x', fcntl.ioctl(fd, TUNGETIFF, bytes(40)))
    print('vnet_hdr' if flags & HEADER else '-', 'multi_queue' if flags & QUEUES else '-')
elif what == 'hold':
    print('held', flush=True)
    sys.stdin.read()
elif what == 'ask':
    me, gateway = socket.inet_aton(sys.argv[4]), socket.inet_aton('10.9.0.1')
    arp = b'\xff' * 6 + mac + b'\x08\x06' + bytes.fromhex('0001080006040001') + mac + me + bytes(6) + gateway
    print(answer(arp, lambda f: f[12:14] == b'\x08\x06' and f[21] == 2 and f[28:32] == gateway and 'the gateway',
                 float(sys.argv[5])))
elif what == 'dhcp':
    bootp = bytes.fromhex('01010600') + b'pult' + bytes(20) + mac + bytes(10 + 192) + \
        bytes.fromhex('63825363350101ff') + bytes(60)
    udp = struct.pack('>4H', 68, 67, 8 + len(bootp), 0) + bootp
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b'\xff' * 4)
    ip = ip[:10] + struct.pack('>H', sum16(ip)) + ip[12:]
    def offer(f):
        b = f[42:]
        return f[12:14] == b'\x08\x00' and f[23] == 17 and b[:1] == b'\2' and b[4:8] == b'pult' and socket.inet_ntoa(b[16:20])
    print(answer(b'\xff' * 6 + mac + b'\x08\x00' + ip + udp, offer, 10))
END
chmod 644 "$WORK/guest.py"
guest_of() { as "$1" "$2" "$python" "$WORK/guest.py" "$3" "$4" "${@:5}" 2>&1; }
bobs() { guest_of 54321 54321 tap-bob "$mac" "$@"; }
fact() { net info "$1" -o json | "$python" -c 'import json, sys
n = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"; }
link() { ip -d -o link show dev "$1" 2>/dev/null; }

# ---- made with the network ----

options=(--kind nat --subnet 10.9.0.0/24 --subnet fd00:9::/64)
ok "a network with a tap" net create nat0 "${options[@]}" --tap tap-bob,user=bob
like "its plan has the commands" "$(net plan nat0)" \
    "ip tuntap add dev tap-bob mode tap user 54321 multi_queue vnet_hdr.*undo.*ip link delete tap-bob"
ok "apply" net apply nat0
mac=$(fact nat0 'n["taps"][0]["mac"]')
at=$(fact nat0 'n["taps"][0]["address"]')
like "it is as was asked for" "$(link tap-bob)" \
    "master nat0 .* tun type tap pi off vnet_hdr on multi_queue .*persist on user .*alias pult nat0 $mac"
like "and in hairpin mode, as guests' ports" "$(link tap-bob)" "hairpin on .*isolated off"
is "who has it is told" "$(fact nat0 '[(t["name"], t["user"], t["group"], t["used"]) for t in n["taps"]]')" \
    "[('tap-bob', 'bob', None, False)]"
is "nobody is in the network" "$(fact nat0 'len(n["members"])')" 0
ok "the doctor finds nothing" net doctor nat0
# Whether it is open is told at once, not when the kernel has come to look at its link.
ok "a tap is added" net tap add nat0 soon,user=bob
ok "and removed before anybody had it open" net tap remove nat0 soon

# ---- used ----

is "its user opens it, two queues" "$(bobs open)" "vnet_hdr multi_queue"
is "another user does not" "$(guest_of 54322 54321 tap-bob "$mac" open)" "Operation not permitted"
is "he is offered the address that is kept for it" "$(bobs dhcp)" "$at"
is "what comes from it passes" "$(bobs ask "$at" 5)" "the gateway"
dropped() { fact nat0 'n["forwarded"]["dropped_packets"]'; }
n=$(dropped)
is "with another MAC nothing does" "$(mac=02:00:00:00:00:99 bobs ask "$at" 0.3)" nothing
is "nor with another address" "$(bobs ask 10.9.0.77 0.3)" nothing
# A port whose link has just come up takes nothing yet, which nobody counts.
asked_again() { mac=02:00:00:00:00:99 bobs ask "$at" 0.3 >/dev/null; bobs ask 10.9.0.77 0.3 >/dev/null; [ "$(dropped)" -ge $((n + 2)) ]; }
ok "which is counted" wait_for 10 asked_again
mkdir -p "$PULT_HOME/guests/v"
printf '%s\n' "guest.type = vm" "vm.kernel = /boot/x" "guest.net.0 = tap=tap-bob" >"$PULT_HOME/guests/v/config"
like "a guest of pult's has its MAC" "$(pult info v -o json)" "\"mac\": \"$mac\""
rm -r "$PULT_HOME/guests/v"
mkfifo "$WORK/end"
bobs hold <"$WORK/end" >"$WORK/held" &
exec {end}>"$WORK/end"
ok "it is held open" wait_for 10 grep -q held "$WORK/held"
is "which is told" "$(fact nat0 'n["taps"][0]["used"]')" True
like "so the network stays up" "$(net down nat0 2>&1)" "a guest has the tap 'tap-bob' .* open.*--force"
like "and the tap where it is" "$(net tap remove nat0 tap-bob 2>&1)" "has the tap 'tap-bob' .* open.*remove --force"
is "in the definition, too" "$(net info nat0 | grep -c '^taps')" 1
exec {end}>&-
wait $!

# ---- live ----

index=$(cat /proc/net/dev_mcast | awk '$2 == "tap-bob" { print $1; exit }')
ok "another, of a group, with an address" net tap add nat0 lab0,group=students,mac=02:00:00:00:00:77,address=10.9.0.77
is "is there at once" "$(guest_of 54399 54400 lab0 02:00:00:00:00:77 ask 10.9.0.77 5)" "the gateway"
is "for its group alone" "$(guest_of 54321 54321 lab0 02:00:00:00:00:77 open)" "Operation not permitted"
is "the first was left alone" "$(awk '$2 == "tap-bob" { print $1; exit }' /proc/net/dev_mcast)" "$index"
out=$(guest web --net nat0,address=10.9.0.77 2>&1)
like "its address is no other guest's" "$out" "10.9.0.77 is the address of 'lab0'"
pult destroy --force web 2>/dev/null
ok "a forward that names it" net forward add nat0 tcp:8099:lab0:80
like "leads there" "$(nft list chain inet pult pre-nat0)" "10.9.0.77:80"
ok "none" net forward remove nat0 tcp:8099:lab0:80
ok "by set" net set nat0 net.tap=tap-bob,user=bob net.tap=lab1,user=54321
is "one goes" "$(link lab0)" ""
like "one comes" "$(link lab1)" "master nat0 .* persist on user "
ok "removed" net tap remove nat0 lab1
is "it is gone" "$(link lab1)" ""
is "and nobody's address is kept" "$(grep -c lab "$PULT_HOME/networks/nat0.hosts")" 0
is "what the rules knew of them, too" "$(nft list set bridge pult ports-nat0 | grep -c lab)" 0

# ---- what cannot be ----

refused()
{
    local what=$1 re=$2 host conf
    shift 2
    host=$(ip -br link) conf=$(cat "$PULT_HOME/networks/nat0.conf")
    like "$what: refused" "$(! "$@" 2>&1 && echo REFUSED)" "$re.*REFUSED"
    is "$what: nothing changed" "$(ip -br link; cat "$PULT_HOME/networks/nat0.conf")" "$host"$'\n'"$conf"
}
refused "an unknown user" "there is no user 'nobody9'" net tap add nat0 t1,user=nobody9
refused "an unknown group" "there is no group 'none9'" net tap add nat0 t1,user=bob,group=none9
refused "nobody's" "does not say whose it is.*t1,user=USER" net tap add nat0 t1
refused "twice" "two of the name 'tap-bob'" net tap add nat0 tap-bob,user=root
refused "an address of elsewhere" "10.8.0.1 is not in this network" net tap add nat0 t1,user=bob,address=10.8.0.1
refused "the gateway's" "10.9.0.1 is not for guests" net tap add nat0 t1,user=bob,address=10.9.0.1
refused "the bridge's name" "'nat0' is another interface" net tap add nat0 nat0,user=bob
refused "no such tap" "has no tap 'lab7'" net tap remove nat0 lab7
ip tuntap add strange mode tap && at_exit "ip link delete strange 2>/dev/null"
refused "what is there already" "'strange'.*has an interface of that name" net tap add nat0 strange,user=bob
for kind in "direct --port eth9" user; do
    like "${kind%% *}: has no taps" "$(net create x --kind $kind --tap t1,user=bob 2>&1)" \
        "net.tap has no meaning for a network of kind ${kind%% *}.*no bridge"
done
ip link delete strange

# ---- broken, and mended ----

PATH=$(dirname "$PULT"):$PATH
broken()
{
    local what=$1 re=$2 out
    shift 2
    "$@"
    out=$(net doctor nat0 | grep -m 1 -A 1 ^BAD)
    like "$what: the doctor names it" "$out" "$re.*→ pult network apply nat0"
    ok "$what: the remedy" net apply nat0
    ok "$what: mends it" net doctor nat0
}
broken "no tap" "no interface 'tap-bob'" ip link delete tap-bob
broken "not in the bridge" "'tap-bob' is not in the bridge" ip link set tap-bob nomaster
broken "isolated" "'tap-bob' is isolated" bridge link set dev tap-bob isolated on
broken "unguarded" "nothing guards the tap 'tap-bob'" nft flush set bridge pult ports-nat0
broken "no rules" "the rules of the network" nft flush ruleset
is "its guest has all that it had" "$(bobs dhcp) $(bobs ask "$at" 5)" "$at the gateway"

# ---- taken down, killed, typed ----

ok "down" net down nat0
is "and the host is as it was" "$(host_text)" "$before"
ok "at boot" net set nat0 net.autostart=1
ok "it comes again" pult start --autostart
is "with the same address" "$(bobs dhcp)" "$at"
ok "down" net down nat0
told() { "$python" -c 'import json, sys
steps = [s[sys.argv[1]] for s in json.load(sys.stdin)["steps"]]
print("set -e", *(s for s in (steps[::-1] if sys.argv[1] == "undo" else steps) if s), sep="\n")' "$1" <<<"$plan"; }
without_counts() { sed 's/packets [0-9]* bytes [0-9]*//; s/ tentative//'; }
plan=$(net plan nat0 -o json)
ok "the commands of its plan, typed" bash -c "$(told command)"
host=$(host_text | without_counts)
is "its guest gets its address from that server, too" "$(bobs dhcp)" "$at"
ok "their undoing, typed" bash -c "$(told undo)"
is "leads back" "$(host_text)" "$before"
ok "apply" net apply nat0
is "does what was told" "$(host_text | without_counts)" "$host"
ok "destroy" net destroy nat0
is "and the host is as it was" "$(host_text)" "$before"
finish
