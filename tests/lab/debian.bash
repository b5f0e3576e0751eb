# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Debian as debootstrap installs it, on a qcow2 disk, with its own kernel and initrd (tests/lab/debian makes
# the image), on a bridge with a DHCP server in another namespace. To be sourced after lab.bash.

debian=$cache/debian
[ -e "$debian/disk.qcow2" ] || skip_all "no image here: tests/lab/debian makes it"

modprobe -a bridge veth
ip link add br8 type bridge && ip link set br8 up
ip netns add "$test_id"
at_exit "ip netns del $test_id; umount -q /run/netns; ip link del br8"
ip link add far8 type veth peer name near netns "$test_id"
ip link set far8 master br8 up
ip -n "$test_id" addr add 10.98.0.2/24 dev near && ip -n "$test_id" link set near up
ip netns exec "$test_id" dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --interface=near \
    --bind-interfaces --dhcp-authoritative --dhcp-range=10.98.0.50,10.98.0.90,255.255.255.0,1h \
    --dhcp-leasefile="$WORK/leases" >"$WORK/dnsmasq" 2>&1 &
at_exit "kill $!"

v=$test_id-vm
disk=$WORK/system.qcow2 data=$WORK/data.qcow2
typed() { printf '%s\n' "$1" | timeout 10 "$PULT" console "$v" -H 0 >/dev/null; }
# Before what is said there may be a prompt, or what readline sends to terminals.
said() { "$PULT" log "$v" | tr -d '\r' | sed -n "s/.*<$1>\\(.*\\)\\.$/\\1/p" | tail -n 1; }
fact() { "$PULT" info "$v" -o json | sed -nE 's/^ *"'"$1"'": ([0-9]+).*/\1/p'; }
seconds() { echo $(((${EPOCHREALTIME/./} - t0) / 1000000)); }
# ask WORD COMMAND: have the shell run that; what it says is said WORD. What is typed is echoed, but
# no line of it begins as those of its output do.
ask() { typed "$2; say $1 \$out"; ok "the guest answers: $1" wait_for 400 has_printed "$v" "<$1>"; }
# login TIMES: until its login was there so many times, then log in.
login()
{
    ok "it boots to a login" wait_for 1500 has_printed "$v" "debian login:" "$1" || "$PULT" log "$v" | tail -n 40 | sed 's/^/# /'
    echo "# after $(seconds) s"
    typed root
    ok "root logs in" wait_for 400 has_printed "$v" "root@debian:~#" "$1"
    typed 'say() { n=$1; shift; echo "<$n>$*."; }; stty -echo; bind "set enable-bracketed-paste off"; dmesg -n 1'
}

# make_debian CPUS CONSOLE [OPTION...]: a VM of it. The image is never written. The kernel's own console is always
# the serial port: its initrd has no virtio_console, and needs a /dev/console to go on with the disk's init.
make_debian()
{
    ok "a disk based on it" "$PULT" disk create --backing "$debian/disk.qcow2,format=qcow2" "$disk"
    ok "a disk for data" "$PULT" disk create "$data" 64M
    ok "a VM with $1 vCPUs, on $2" "$PULT" create vm "$v" --kernel "$debian/vmlinuz" --initrd "$debian/initrd.img" \
        --append "console=ttyS0 quiet root=LABEL=debian net.ifnames=0" --memory 512M --cpus "$1" \
        --disk "$disk,format=qcow2,backing=$debian/disk.qcow2:qcow2" --disk "$data,serial=data" --net bridge=br8 "${@:3}"
    t0=${EPOCHREALTIME/./}
    ok "it starts" "$PULT" start "$v"
    login 1
}

# What both have: an address of the server, a root on its disk.
check_debian()
{
    ask address 'out=$(ip -4 -o addr show scope global | sed -nE "s/.*inet ([0-9.]+).*/\1/p")'
    like "it has an address of the server in the other namespace" "$(said address)" '^10\.98\.0\.[5-9][0-9]$'
    like "which gave it" "$(cat "$WORK/leases")" "$(said address) debian"
    ask root 'out=$(findmnt -no SOURCE,FSTYPE /; uname -r)'
    like "its root is on its disk" "$(said root)" '^/dev/vda ext4'
    ask cpus 'out=$(nproc)'
    is "it has so many CPUs" "$(said cpus)" "$1"
}
