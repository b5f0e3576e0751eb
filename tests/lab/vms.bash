# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# VMs with many cards, for tests of networks; to be sourced after lab.bash. In such a VM each card is
# in a network namespace of its own, where it is eth0: so one boot gives as many machines as it has
# cards, which have nothing to do with each other but their kernel.
#
#     make_cards NAME "CARD..." [OPTION...]   define a VM that has a space for each of these names, in the
#                                             order of its --net options
#     make_user NAME                          a user without rights, whose pult is $WORK/pult, for one such VM
#     in_vm NAME SPACE CMD...                 run a command of busybox there; SPACE "-": in none
#
# Each space gets an address by DHCP and serves HTTP: NAME.SPACE is what it says, and 2 MB at /big.

# Commands come by the shared folder: run.N is one, and out.N what it printed, its status at the end.
make_cards()
{
    local name=$1 cards=$2 dir=$WORK/vm-$1
    shift 2
    mkdir -p "$dir"
    cat >"$dir/guest.sh" <<'GUEST'
cp /mnt/*.sh /tmp; chmod +x /tmp/*.sh
head -c 2000000 /dev/urandom >/tmp/big
i=0
for space in $(sed 's/.*cards=//; s/ .*//; s/,/ /g' /proc/cmdline); do
    unshare -n -m sh -c "echo \$\$ >/tmp/pid.$space; exec sleep 1000000" &
    until [ -s /tmp/pid.$space ]; do usleep 20000; done
    ip link set eth$i netns $(cat /tmp/pid.$space)
    nsenter -t $(cat /tmp/pid.$space) -n -m sh /tmp/space.sh $space eth$i &
    i=$((i + 1))
done
while [ $(ls /tmp/done.* 2>/dev/null | wc -l) -lt $i ]; do usleep 100000; done
echo "all done"
n=0
while :; do
    until [ -e /mnt/run.$n ]; do usleep 200000; done
    sh /mnt/run.$n >/tmp/out 2>&1 </dev/null
    echo "status $?" >>/tmp/out
    cp /tmp/out /mnt/new.$n && mv /mnt/new.$n /mnt/out.$n
    n=$((n + 1))
done
GUEST
    cat >"$dir/space.sh" <<'GUEST'
space=$1
: >/tmp/resolv.$space; touch /etc/resolv.conf
mount --bind /tmp/resolv.$space /etc/resolv.conf
ip link set lo up
ip link set $2 name eth0; ip link set eth0 up
mkdir /tmp/www.$space
echo "$(sed 's/.*name=//; s/ .*//' /proc/cmdline).$space" >/tmp/www.$space/index.html
ln -s /tmp/big /tmp/www.$space/big
httpd -p '[::]:80' -h /tmp/www.$space
udhcpc -i eth0 -q -n -t 10 -T 2 -s /tmp/dhcp.sh >/tmp/dhcp.$space 2>&1 || { echo "$space: no address"; sed "s/^/$space: /" /tmp/dhcp.$space; ip link; }
: >/tmp/done.$space
GUEST
    cat >"$dir/dhcp.sh" <<'GUEST'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev $interface
[ -z "$router" ] || ip route add default via $router
[ -z "$domain" ] || echo "search $domain" >>/etc/resolv.conf
for d in $dns; do echo "nameserver $d" >>/etc/resolv.conf; done
GUEST
    vm_files cloud-amd64
    "$PULT" create vm "$name" --kernel "$cache/linux-cloud-amd64/vmlinux" --initrd "$initrd" --memory 192M \
        --append "console=ttyS0 quiet do=script cards=${cards// /,} name=$name" --share "$dir" "$@"
    echo 0 >"$dir.next"
}

# The user is in the group that may use KVM, and in none else.
make_user()
{
    local kvm
    kvm=$(stat -c %g /dev/kvm)
    chown :54320 /dev/kvm && chmod 660 /dev/kvm && at_exit "chown :$kvm /dev/kvm; chmod 666 /dev/kvm"
    mkdir -p "$WORK/u/home" && cp "$PULT" "$WORK/pult.bin" && chmod 711 "$(dirname "$WORK")"
    cat >"$WORK/pult" <<END
#!/bin/sh
exec setpriv --reuid 54321 --regid 54321 --groups 54320 --no-new-privs env HOME=$WORK/u PULT_HOME=$WORK/u/home \
    PULT_RUN=$WORK/u/run PULT_CACHE=$WORK/u/cache $WORK/pult.bin "\$@"
END
    chmod 755 "$WORK/pult"
    vm_files cloud-amd64 && chmod 644 "$initrd"
    mkdir "$WORK/vm-$1" && chown -R 54321 "$WORK/u" "$WORK/vm-$1"
    at_exit "'$WORK/pult' kill $1 >/dev/null 2>&1"
}

in_vm()
{
    local dir=$WORK/vm-$1 space=$2 n enter=
    shift 2
    n=$(cat "$dir.next")
    echo $((n + 1)) >"$dir.next"
    [ "$space" = - ] || enter="nsenter -t \$(cat /tmp/pid.$space) -n -m"
    printf '%s' "$enter" >"$dir/new"
    printf ' %q' "$@" >>"$dir/new"
    mv "$dir/new" "$dir/run.$n"
    wait_for 300 test -e "$dir/out.$n" || return 125
    sed '$d' "$dir/out.$n"
    return "$(sed -n '$s/status //p' "$dir/out.$n")"
}
