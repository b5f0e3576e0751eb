#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pult create: what it makes, and every bad input, which makes nothing.
. "$(dirname "$0")/cli.bash"

mkdir -p "$WORK/root/sbin" "$WORK/files"
cp "$(command -v busybox)" "$WORK/root/sbin/init"
cd "$WORK/files" || exit
ln -s ../root link
mkfifo fifo
: >empty
echo 'no kernel at all' >text
head -c 100000 /dev/urandom >noise
ln -s nowhere dangling
tar -cf root.tar -C "$WORK/root" .
gzip -k root.tar
head -c 700 root.tar.gz >cut.tar.gz
ct() { pult create container "$@"; }

# ---- a container ----

ok "a container from a directory" ct dir1 --rootfs ../root --memory 64M --cpus 1.5 -- /bin/app --x 'a b'
is "its root is kept as an absolute path" "$(pult config get dir1 lxc.rootfs.path)" "$WORK/root"
is "its command is quoted" "$(pult config get dir1 lxc.execute.cmd)" "/bin/app --x 'a b'"
is "its memory" "$(pult config get dir1 guest.memory)" 64M
is "its type" "$(pult config get dir1 guest.type)" container
is "its state" "$(state_of dir1)" stopped
is "the definition is only the owner's" "$(stat -c %a "$PULT_HOME/guests/dir1/config")" 600
ok "an init as the command" ct init1 --rootfs ../root -- /sbin/init splash
is "is the system's init" "$(pult config get init1 lxc.init.cmd)" "/sbin/init splash"
ok "no command" ct plain1 --rootfs link --autostart --set lxc.uts.name=other
is "is no command in the definition" "$(pult config get plain1 2>&1 | grep -c 'cmd')" 0
is "a link is followed" "$(pult config get plain1 lxc.rootfs.path)" "$WORK/root"
is "--set" "$(pult config get plain1 lxc.uts.name)" other
is "--autostart" "$(pult info plain1 -o json | grep -c '"autostart": true')" 1
printf '# from afar\nlxc.utsname = con1\nlxc.rootfs = %s\n' "$WORK/root" >old.conf
ok "from a config of 2010" ct old1 --config old.conf
like "which keeps its words" "$(pult config get old1)" '# from afar'
ok "another name for it" pult create ct alias1 --rootfs ../root
if [ "$(id -u)" = 0 ]; then
    ok "a container from an archive" ct tar1 --rootfs root.tar
    ok "unpacked into its directory" test -x "$PULT_HOME/guests/tar1/rootfs/sbin/init"
    ok "from a compressed one" ct tar2 --rootfs root.tar.gz
    refuses "from one cut short" 1 "cut.tar.gz" "$PULT" create container tar3 --rootfs cut.tar.gz
else
    skip "a container from an archive" "needs root"
fi

bad() { refuses "$1" "$2" "$3" "$PULT" create container "${@:4}"; }
bad "no root" 2 "missing option: --rootfs" c1
bad "no name" 2 "missing argument" --rootfs ../root
bad "two names" 2 "unexpected argument" c1 c2 --rootfs ../root
bad "a name that is taken" 1 "'dir1'" dir1 --rootfs ../root
for name in '' . .. .hidden a/b ../x 'a b' $'a\nb' 'ä' "$(printf 'n%.0s' {1..64})" _x; do
    bad "the name '${name//$'\n'/\\n}'" 1 "name" "$name" --rootfs ../root
done
bad "a root that is not there" 1 "--rootfs: .*'nix'.*No such file" c1 --rootfs nix
bad "a root that is a dangling link" 1 "dangling" c1 --rootfs dangling
bad "a root that is empty text" 1 "--rootfs" c1 --rootfs ''
bad "a root that is a fifo" 1 "neither a directory nor an archive" c1 --rootfs fifo
bad "a root that is an empty file" 1 "empty" c1 --rootfs empty
bad "a root that is text" 1 "text" c1 --rootfs text
bad "a root that is noise" 1 "noise" c1 --rootfs noise
bad "memory that is no size" 1 "--memory: .*'much'" c1 --rootfs ../root --memory much
bad "memory below nothing" 1 "--memory" c1 --rootfs ../root --memory -1
bad "memory beyond everything" 1 "--memory" c1 --rootfs ../root --memory 99999999T
bad "memory of an unknown unit" 1 "--memory" c1 --rootfs ../root --memory 5X
bad "no CPUs" 1 "--cpus" c1 --rootfs ../root --cpus 0
bad "CPUs that are no number" 1 "--cpus" c1 --rootfs ../root --cpus two
bad "--set without a value" 1 "--set takes KEY=VALUE" c1 --rootfs ../root --set lxc.uts.name
bad "--set of an unknown key" 1 "the options: .*lxc.uts.nam.*lxc.uts.name" c1 --rootfs ../root --set lxc.uts.nam=x
bad "--set of another kind's key" 1 "vm.kernel" c1 --rootfs ../root --set vm.kernel=/boot/x
bad "--set of a bad value" 1 "guest.autostart" c1 --rootfs ../root --set guest.autostart=perhaps
bad "a config that is not there" 1 "nix.conf" c1 --config nix.conf
echo 'what is this' >broken.conf
bad "a config that is none" 1 "broken.conf:1" c1 --config broken.conf
printf 'lxc.uts.name = a\nlxc.utz.name = b\n' >typo.conf
bad "a config with a typo" 1 "typo.conf:2: .*lxc.utz.name.*lxc.uts" c1 --rootfs ../root --config typo.conf
bad "a config of the other kind" 1 "defines a vm" c1 --config <(echo guest.type = vm)
bad "a VM's option" 2 "unknown option '--kernel'" c1 --kernel x

# ---- a VM ----

bad() { refuses "$1" "$2" "$3" "$PULT" create vm "${@:4}"; }
bad "VM: no kernel" 2 "missing option: --kernel FILE, or --disk FILE" v1
bad "VM: a kernel that is not there" 1 "--kernel: .*'nix'.*No such file" v1 --kernel nix
bad "VM: a kernel that is a directory" 1 "" v1 --kernel .
bad "VM: a kernel that is empty" 1 "empty" v1 --kernel empty
bad "VM: a kernel that is text" 1 "text" v1 --kernel text
bad "VM: a kernel that is noise" 1 "noise" v1 --kernel noise
bad "VM: a kernel that is a fifo" 1 "fifo" v1 --kernel fifo
bad "VM: a container's option" 2 "unknown option '--rootfs'" v1 --rootfs ../root
bad "VM: a command" 2 "unexpected argument 'ls'" v1 --kernel text -- ls
kernel=
for k in "$TOP/$B"/cache/*/vmlinuz* "$TOP/$B"/cache/vmlinuz* /boot/vmlinuz*; do
    [ -r "$k" ] && kernel=$k && break
done
if [ -z "$kernel" ]; then
    skip "a VM from a kernel" "no kernel here: none in /boot, and build/cache is empty"
elif [ ! -w /dev/kvm ]; then
    skip "a VM from a kernel" "no /dev/kvm"
else
    ok "a VM" pult create vm vm1 --kernel "$kernel" --append 'console=ttyS0 x="a b"' -m 256M -c 2
    is "VM: its command line" "$(pult config get vm1 vm.append)" 'console=ttyS0 x="a b"'
    : >d.raw; truncate -s 1M d.raw; cp d.raw d,2.img; cp d.raw noname; printf 'QFI\373' >trap.img
    pult disk create q.qcow2 1M && pult disk create top.qcow2 --backing q.qcow2,format=qcow2
    kd() { pult create vm "$1" --kernel "$kernel" "${@:2}"; }
    ok "VM: with disks" kd vmd --disk d.raw,ro,serial=A1 --disk d,,2.img --disk q.qcow2,cache=none \
        --disk noname,format=raw,snapshot,bps=1M,iops=100
    is "VM: a disk's format is from its name" "$(pult config get vmd vm.disk.0)" \
        "$WORK/files/d.raw,format=raw,ro,serial=A1"
    is "VM: a comma in a name" "$(pult config get vmd vm.disk.1)" "$WORK/files/d,,2.img,format=raw"
    is "VM: options are kept" "$(pult config get vmd vm.disk.2)" "$WORK/files/q.qcow2,format=qcow2,cache=none"
    is "VM: a format that was said" "$(pult config get vmd vm.disk.3)" \
        "$WORK/files/noname,format=raw,snapshot,bps=1M,iops=100"
    like "VM: info shows disks" "$(pult info vmd)" "disks.3.path: +$WORK/files/noname"
    is "VM: and how large they are" "$(pult info vmd -o json | python3 -c 'import json, sys
for d in json.load(sys.stdin)["disks"]: print(d["key"], d["format"], d["size_bytes"], d["read_only"], d["snapshot"], d["serial"])')" \
        $'vm.disk.0 raw 1048576 True False A1\nvm.disk.1 raw 1048576 False False None\nvm.disk.2 qcow2 1048576 False False None\nvm.disk.3 raw 1048576 False True None'
    ok "VM: with what a disk is based on" kd vmb --disk top.qcow2,backing=q.qcow2:qcow2 --snapshot
    is "VM: all that it writes is forgotten" "$(pult config get vmb vm.disk.0)" \
        "$WORK/files/top.qcow2,format=qcow2,backing=$WORK/files/q.qcow2:qcow2,snapshot"
    bad "VM: a disk that is not there" 1 "--disk: find 'nix'" v1 --kernel "$kernel" --disk nix
    bad "VM: a disk of no known format" 1 "noname.*format" v1 --kernel "$kernel" --disk noname
    bad "VM: a disk of an unknown format" 1 "vmdk" v1 --kernel "$kernel" --disk noname,format=vmdk
    bad "VM: a raw name on something else" 1 "add ,format=qcow2, or ,format=raw" v1 --kernel "$kernel" --disk trap.img
    bad "VM: a disk that is not what it is called" 1 "vm.disk.0.*d.raw" v1 --kernel "$kernel" --disk d.raw,format=qcow2
    bad "VM: an unknown option of a disk" 1 "snapshit.*snapshot" v1 --kernel "$kernel" --disk d.raw,snapshit
    bad "VM: a disk without what it is based on" 1 "backing=q.qcow2:qcow2" v1 --kernel "$kernel" --disk top.qcow2
    bad "VM: a disk twice" 1 "one file" v1 --kernel "$kernel" --disk d.raw --disk d.raw
    bad "VM: a directory as a disk" 1 "" v1 --kernel "$kernel" --disk .,format=raw
    bad "VM: --snapshot without a disk" 1 "no disk" v1 --kernel "$kernel" --snapshot
    ok "VM: its disk is what it boots from" pult create vm vmr --disk q.qcow2 --disk d.raw,bootindex=1 --set "vm.kernel=$kernel" --set vm.rootfs=disk
    like "VM: its place is known" "$(pult info vmr -o json)" '"boot_index": 1,'
    bad "VM: two in one place" 1 "vm.disk.0 and vm.disk.1 have the same bootindex, 3" v1 --disk d.raw,bootindex=3 \
        --disk q.qcow2,bootindex=3 --set "vm.kernel=$kernel" --set vm.rootfs=disk
    bad "VM: a place where none is asked for" 1 "bootindex is for a VM that boots from its disks" v1 \
        --kernel "$kernel" --disk d.raw,bootindex=1
    bad "VM: to boot from no disk" 1 "it has no disk" v1 --kernel "$kernel" --set vm.rootfs=disk
    bad "VM: an initrd that is not there" 1 "--initrd: .*'nix'" v1 --kernel "$kernel" --initrd nix
    net() { bad "VM: $1" 1 "$2" v1 --kernel "$kernel" --net "$3"; }
    net "a network of no kind" "guest.net.0: a network is one of" mtu=1500
    net "a network of two kinds" "a network is one of" user,tap=t0
    net "an option of nobody" "no option 'quues'; perhaps 'queues'" bridge=br0,quues=2
    net "an option of another kind" "'queues' has no meaning with 'user'" user,queues=2
    net "a group's address" "mac: .*first byte is odd" tap=t0,mac=01:00:00:00:00:01
    net "half an address" "mac: .*no address such as" tap=t0,mac=02:00:00:00:00
    net "a forward without a port" "forward: .*port" user,forward=tcp:x
    net "too small an MTU" "mtu: '67' is not between" user,mtu=67
    net "vhost, perhaps" "vhost: 'maybe' is none of" tap,vhost=maybe
    net "a name that is too long" "no name of an interface" tap=a23456789012345678
    net "a bridge that is not there" "there is no interface 'none0'" bridge=none0
    net "what is no tap" "'lo' is no tap" tap=lo
    bad "VM: two cards with one address" 1 "have the same address" v1 --kernel "$kernel" \
        --net tap,mac=02:00:00:00:00:01 --net tap,mac=02:00:00:00:00:01
    bad "VM: nine cards" 1 "at most 8 networks" v1 --kernel "$kernel" --set guest.net.8=tap
    ok "VM: cards" pult create vm vm2 --kernel "$kernel" --net none --net none
    is "VM: in their order" "$(pult config get vm2 guest.net.1)" none
    printf 'guest.type = vm\nvm.kernel = %s\nguest.net.0 = tap\nguest.net.5 = tap=t5\n' "$kernel" >vm3.conf
    ok "VM: --net takes the place of all that a file has" pult create vm vm3 --config vm3.conf --net none
    is "VM: the first" "$(pult config get vm3 guest.net.0)" none
    is "VM: and no others" "$(pult config get vm3 guest.net.5 2>/dev/null)" ""
    bad "VM: half a CPU" 1 "guest.cpus" v1 --kernel "$kernel" --cpus 0.5
    bad "VM: too many CPUs" 1 "guest.cpus" v1 --kernel "$kernel" --cpus 1000
    bad "VM: too little memory" 1 "memory" v1 --kernel "$kernel" --memory 4K
    bad "VM: more memory than an address has bits" 1 "memory" v1 --kernel "$kernel" --memory 4000000T
fi

# ---- two at once ----

race() { pult create container race --rootfs ../root >>race.out 2>&1 && echo made; }
made=$(race & race & race & race & wait)
is "of four that create one name, one does" "$made" made
is "and the definition is whole" "$(pult config get race guest.type)" container
pult destroy race

names=$(pult list --names | sort | tr '\n' ' ')
for n in $names; do pult destroy "$n" || echo "not ok - destroy $n"; done
is "all can be destroyed" "$(left_in "$PULT_HOME/guests")" ""
ok "a directory that was given stays" test -x "$WORK/root/sbin/init"
finish
